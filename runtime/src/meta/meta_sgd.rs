//! Meta-SGD.

use super::{MetaAlgorithm, Task};
use crate::methods::{Kernels, Sizes, Start, Unrolled};
use crate::solve::GradientDescent;
use crate::updates::Hyper;
use crate::{Error, Params};

/// Meta-SGD: [`Maml`](super::Maml) by gradient descent with a learning rate for every weight, which is learned together with the start. What is
/// learned is the pair of both.
///
/// Li, Zhou, Chen and Li, *Meta-SGD: learning to learn quickly for few-shot learning* (2017).
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct MetaSgd {
    unrolled: Unrolled,
}

impl Default for MetaSgd {
    /// One step.
    fn default() -> Self {
        MetaSgd { unrolled: Unrolled::mixed().steps(1) }
    }
}

const RATES: &[&str] = &["rates"];

fn update() -> GradientDescent {
    GradientDescent::new(Hyper::outer(RATES[0]).per_weight())
}

impl MetaSgd {
    /// The number of steps. Default: 1.
    pub fn steps(mut self, n_steps: usize) -> Self {
        self.unrolled = self.unrolled.steps(n_steps);
        self
    }
}

impl<P: Task> MetaAlgorithm<P> for MetaSgd {
    type Learned = (P::Inner, P::Inner);

    fn start<'a>(&self, learned: &'a Self::Learned) -> &'a P::Inner {
        &learned.0
    }

    fn task(&self, kernels: &mut Kernels<'_, P>, learned: &Self::Learned, gradient: &mut [P::Float]) -> Result<P::Float, Error> {
        let (theta, rates) = (learned.0.flat().to_vec(), learned.1.flat().to_vec());
        let sizes = Sizes { inner: &learned.0.lengths(), outer: &[rates.len()], outer_names: RATES };
        let (theta_bar, rates_bar) = gradient.split_at_mut(theta.len());
        Start::new(&self.unrolled, &update(), kernels, &sizes)?.gradient(kernels, &rates, &theta, theta_bar, rates_bar)
    }

    fn adapt(&self, kernels: &mut Kernels<'_, P>, learned: &Self::Learned, inner: &mut [P::Float]) -> Result<(), Error> {
        let rates = learned.1.flat().to_vec();
        let sizes = Sizes { inner: &learned.0.lengths(), outer: &[rates.len()], outer_names: RATES };
        Start::new(&self.unrolled, &update(), kernels, &sizes)?.run(kernels, &rates, inner)
    }
}
