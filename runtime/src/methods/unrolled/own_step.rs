//! Steps that the user writes.

use super::dynamics::{Dynamics, Step, Work};
use super::{Kernels, Mode, Sizes, check_finite_at};
use crate::params::check_finite_leaves;
use crate::{Error, Float, Params, StepProblem, vector};

/// The inner optimiser whose step is the problem's `#[step]` function: the step `(w, s) ← Φ_t(w, s, λ)` of the inner variable `w` and a state `s`.
///
/// The state is zero before the first step, or what [`state`](Self::state) gives. All modes of [`Unrolled`](super::Unrolled) differentiate it exactly.
///
/// ```
/// # use bilevel_runtime::{Error, ProblemExt, StepProblem, methods::*};
/// # fn example<P: StepProblem>(problem: &P, outer: P::Outer, inner: P::Inner) -> Result<P::Outer, Error> {
/// let mut solver = problem.solver(Unrolled::mixed().steps(100)).inner(OwnStep::default());
/// # Ok(solver.hypergradient(&outer, &inner)?.gradient)
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use]
pub struct OwnStep {
    /// The shapes and the elements of the state before the first step.
    state: Option<(Vec<Vec<usize>>, Vec<f64>)>,
}

impl OwnStep {
    /// The state before the first step, in the form in which the step takes it: several parts are a tuple.
    pub fn state<S: Params>(mut self, state: &S) -> Self {
        self.state = Some((state.shapes(), state.flat().iter().map(|x| x.to_f64()).collect()));
        self
    }
}

/// The state before the first step, and the number of elements of the inner variable, which stand in front of it.
#[derive(Debug)]
pub struct BoundStep<T> {
    n_inner: usize,
    state: Vec<T>,
}

impl<P: StepProblem> Dynamics<P> for OwnStep {
    type Bound = BoundStep<P::Float>;

    const TAKES_GRADIENT: bool = false;

    fn bind(&self, kernels: &Kernels<'_, P>, sizes: &Sizes<'_>, n_steps: usize) -> Result<Self::Bound, Error> {
        kernels.check_steps(n_steps)?;
        let (shapes, n_inner) = (kernels.state_shapes(), sizes.n_inner());
        let Some((given, elements)) = &self.state else {
            let lengths = shapes.iter().map(|shape| shape.iter().product::<usize>());
            return Ok(BoundStep { n_inner, state: vector::zeros(lengths.sum()) });
        };
        if given.len() != shapes.len() {
            let (found, expected) = (given.len(), shapes.len());
            return Err(Error::StateParts { found, expected, names: P::STATE_NAMES });
        }
        for ((given, expected), name) in given.iter().zip(&shapes).zip(P::STATE_NAMES) {
            if given != expected {
                let (shape, expected) = (given.clone(), expected.clone());
                return Err(Error::ShapeMismatch { name, shape, expected_by: "OwnStep::state", expected });
            }
        }
        let state: Vec<P::Float> = elements.iter().map(|&x| P::Float::from_f64(x)).collect();
        check_finite_leaves(P::STATE_NAMES, &shapes, &state)?;
        Ok(BoundStep { n_inner, state })
    }

    fn n_buffers(&self, bound: &Self::Bound, _: &Sizes<'_>) -> usize {
        bound.state.len()
    }

    fn begin(&self, bound: &Self::Bound, buffers: &mut [P::Float]) {
        buffers.copy_from_slice(&bound.state);
    }

    fn step(
        &self,
        kernels: &mut Kernels<'_, P>,
        bound: &Self::Bound,
        t: usize,
        outer: &[P::Float],
        state: &mut [P::Float],
        work: &mut Work<P::Float>,
    ) -> Result<(), Error> {
        let next = work.next(state.len());
        kernels.step(bound.n_inner, t, state, outer, next);
        state.copy_from_slice(next);
        check_finite_at("what the step gives", t, state)
    }

    fn vjp(
        &self,
        kernels: &mut Kernels<'_, P>,
        bound: &Self::Bound,
        step: Step<'_, P::Float>,
        work: &mut Work<P::Float>,
        bar: &mut [P::Float],
        outer_bar: &mut [P::Float],
    ) {
        let Step { t, mode, outer, before, .. } = step;
        work.next(bar.len());
        let Work { next, mixed, .. } = work;
        let vjp = match mode {
            Mode::Reverse => P::step_vjp,
            Mode::Mixed | Mode::Forward => P::step_mixed_vjp,
        };
        kernels.step_vjp(vjp, bound.n_inner, t, (before, outer), bar, (next, mixed));
        bar.copy_from_slice(next);
        vector::axpy(P::Float::from_f64(1.0), mixed, outer_bar);
    }

    fn linearize(&self, kernels: &mut Kernels<'_, P>, bound: &Self::Bound, step: Step<'_, P::Float>) {
        kernels.step_linearize(bound.n_inner, step.t, step.before, step.outer);
    }

    fn jvp(
        &self,
        kernels: &mut Kernels<'_, P>,
        bound: &Self::Bound,
        _: Step<'_, P::Float>,
        work: &mut Work<P::Float>,
        dot: &mut [P::Float],
        outer_dot: &[P::Float],
    ) {
        let next = work.next(dot.len());
        kernels.step_jvp(bound.n_inner, dot, outer_dot, next);
        dot.copy_from_slice(next);
    }
}
