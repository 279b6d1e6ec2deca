//! The derivative with respect to where an inner run starts: what meta-learning is made of.

use super::{
    Dynamics, How, Kernels, Length, Method, Point, Sizes, Unrolled, UnrolledMemory, UnrolledOutcome, Way, advance, begin, check_finite,
    outer_loss, reverse,
};
use crate::{BilevelProblem, Error, vector};

/// An unrolled run whose start is differentiated. Its outer variable is that of the hyperparameters, and of the problem where that has one.
pub(crate) struct Start<'a, P: BilevelProblem, D: Dynamics<P>> {
    method: Unrolled,
    dynamics: &'a D,
    memory: UnrolledMemory<P::Float, D::Bound>,
}

impl<'a, P: BilevelProblem, D: Dynamics<P>> Start<'a, P, D> {
    /// Checks the settings and makes the memory.
    pub(crate) fn new(method: &Unrolled, dynamics: &'a D, kernels: &Kernels<'_, P>, sizes: &Sizes<'_>) -> Result<Self, Error> {
        Ok(Start { method: *method, dynamics, memory: Method::<P, D>::memory(method, dynamics, kernels, sizes)? })
    }

    /// Makes the steps from `inner`, in its place.
    pub(crate) fn run(&mut self, kernels: &mut Kernels<'_, P>, outer: &[P::Float], inner: &mut [P::Float]) -> Result<(), Error> {
        let UnrolledMemory { length, dynamics: bound, state, work, .. } = &mut self.memory;
        kernels.draw(self.method.batches)?;
        begin(self.dynamics, bound, state, inner);
        advance(kernels, self.dynamics, bound, work, outer, state, *length)?;
        inner.copy_from_slice(&state[..inner.len()]);
        Ok(())
    }

    /// The outer loss at the end of the run from `start`, and its derivatives: with respect to the start, and to the outer variable.
    pub(crate) fn gradient(
        &mut self,
        kernels: &mut Kernels<'_, P>,
        outer: &[P::Float],
        start: &[P::Float],
        start_bar: &mut [P::Float],
        outer_bar: &mut [P::Float],
    ) -> Result<P::Float, Error> {
        self.gradient_with_outcome(kernels, outer, start, start_bar, outer_bar).map(|(value, _)| value)
    }

    /// The same, and how it was made.
    pub(crate) fn gradient_with_outcome(
        &mut self,
        kernels: &mut Kernels<'_, P>,
        outer: &[P::Float],
        start: &[P::Float],
        start_bar: &mut [P::Float],
        outer_bar: &mut [P::Float],
    ) -> Result<(P::Float, UnrolledOutcome), Error> {
        kernels.draw(self.method.batches)?;
        self.method.fit(kernels, &mut self.memory, self.dynamics, (outer, start))?;
        let UnrolledMemory { length, n_last, checkpoints, fit, dynamics: bound, state, work, way, .. } = &mut self.memory;
        let Way::Reverse(memory) = way else {
            let reason = "the derivative with respect to the start of a run needs a reverse mode";
            return Err(Error::MissingSetting { setting: "Unrolled::mixed", reason });
        };
        let mut inner = start.to_vec();
        begin(self.dynamics, bound, state, &inner);
        let before = Length { n_steps: length.n_steps - *n_last, until: None };
        advance(kernels, self.dynamics, bound, work, outer, state, before)?;
        let how = How { mode: self.method.mode, checkpoints: *checkpoints, length: *length, n_last: *n_last };
        let point = Point { outer, inner: &mut inner };
        let (value, outcome) = reverse::run(kernels, (self.dynamics, bound), (memory, work, state), how, point, outer_bar)?;
        start_bar.copy_from_slice(memory.start_bar(start.len()));
        Ok((value, UnrolledOutcome { fit: *fit, ..outcome }))
    }

    /// The outer loss at the end of the run from `start`, and its gradient there.
    pub(crate) fn gradient_at_end(
        &mut self,
        kernels: &mut Kernels<'_, P>,
        outer: &[P::Float],
        start: &[P::Float],
        end_bar: &mut [P::Float],
    ) -> Result<P::Float, Error> {
        let mut inner = start.to_vec();
        self.run(kernels, outer, &mut inner)?;
        let mut outer_bar = vector::zeros(outer.len());
        let value = outer_loss(kernels, outer, &inner, end_bar, &mut outer_bar)?;
        check_finite("the gradient of the outer loss", end_bar).map(|()| value)
    }
}
