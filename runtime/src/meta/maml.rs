//! Model-agnostic meta-learning.

use super::{MetaAlgorithm, Task};
use crate::methods::{Kernels, Sizes, Start, Unrolled};
use crate::updates::Update;
use crate::{Error, Params};

/// MAML: the derivative of the query loss after a few steps of `update` on the support loss, with respect to their start. Exact, through all second
/// derivatives, or to first order.
///
/// A task costs `T` gradients and as many curvature products, to first order `T` gradients, and one gradient of the query loss.
///
/// Finn, Abbeel and Levine, *Model-agnostic meta-learning for fast adaptation of deep networks* (2017).
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Maml<U> {
    update: U,
    unrolled: Unrolled,
    first_order: bool,
}

impl<U: Update> Maml<U> {
    /// One step of `update`.
    pub fn new(update: U) -> Self {
        Maml { update, unrolled: Unrolled::mixed().steps(1), first_order: false }
    }

    /// The gradient of the query loss at the end of the steps, as if the end were the start plus a constant: no second derivatives.
    pub fn first_order(update: U) -> Self {
        Maml { first_order: true, ..Maml::new(update) }
    }

    /// The number of steps. Default: 1.
    pub fn steps(mut self, n_steps: usize) -> Self {
        self.unrolled = self.unrolled.steps(n_steps);
        self
    }

    /// How the steps are differentiated, their number included. Default: [`Unrolled::mixed`].
    pub fn unrolled(mut self, unrolled: Unrolled) -> Self {
        self.unrolled = unrolled;
        self
    }
}

impl<P: Task, U: Update + Sync> MetaAlgorithm<P> for Maml<U> {
    type Learned = P::Inner;

    fn start<'a>(&self, learned: &'a P::Inner) -> &'a P::Inner {
        learned
    }

    fn task(&self, kernels: &mut Kernels<'_, P>, learned: &P::Inner, gradient: &mut [P::Float]) -> Result<P::Float, Error> {
        let sizes = Sizes { inner: &learned.lengths(), outer: &[], outer_names: &[] };
        let mut start = Start::new(&self.unrolled, &self.update, kernels, &sizes)?;
        let theta = learned.flat().to_vec();
        if self.first_order {
            start.gradient_at_end(kernels, &[], &theta, gradient)
        } else {
            start.gradient(kernels, &[], &theta, gradient, &mut [])
        }
    }

    fn adapt(&self, kernels: &mut Kernels<'_, P>, learned: &P::Inner, inner: &mut [P::Float]) -> Result<(), Error> {
        let sizes = Sizes { inner: &learned.lengths(), outer: &[], outer_names: &[] };
        Start::new(&self.unrolled, &self.update, kernels, &sizes)?.run(kernels, &[], inner)
    }
}
