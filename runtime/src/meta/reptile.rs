//! Reptile.

use super::{MetaAlgorithm, Task};
use crate::methods::{Kernels, Sizes, Start, Unrolled};
use crate::updates::Update;
use crate::{Error, Float, Params, vector};

/// Reptile: the way from the end of a few steps back to their start, `θ − w_T`, in the place of a gradient. It uses no query set; the query loss is only
/// reported.
///
/// With the optimiser `GradientDescent::new(ε)` this is the update `θ ← θ + ε · mean(w_T − θ)` of the paper.
///
/// Nichol, Achiam and Schulman, *On first-order meta-learning algorithms* (2018).
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Reptile<U> {
    update: U,
    unrolled: Unrolled,
}

impl<U: Update> Reptile<U> {
    /// `n_steps` steps of `update`.
    pub fn new(update: U, n_steps: usize) -> Self {
        Reptile { update, unrolled: Unrolled::reverse().steps(n_steps) }
    }
}

impl<P: Task, U: Update + Sync> MetaAlgorithm<P> for Reptile<U> {
    type Learned = P::Inner;

    fn start<'a>(&self, learned: &'a P::Inner) -> &'a P::Inner {
        learned
    }

    fn task(&self, kernels: &mut Kernels<'_, P>, learned: &P::Inner, gradient: &mut [P::Float]) -> Result<P::Float, Error> {
        let theta = learned.flat().to_vec();
        let mut inner = theta.clone();
        self.adapt(kernels, learned, &mut inner)?;
        let value = kernels.outer_value_and_grad(&inner, &[], gradient, &mut []);
        vector::add_scaled(&theta, -P::Float::from_f64(1.0), &inner, gradient);
        Ok(value)
    }

    fn adapt(&self, kernels: &mut Kernels<'_, P>, learned: &P::Inner, inner: &mut [P::Float]) -> Result<(), Error> {
        let sizes = Sizes { inner: &learned.lengths(), outer: &[], outer_names: &[] };
        Start::new(&self.unrolled, &self.update, kernels, &sizes)?.run(kernels, &[], inner)
    }
}
