//! The steps of an inner run, and their derivatives.

use std::fmt;

use super::{Kernels, Mode, Sizes};
use crate::updates::{At, Bound, Update};
use crate::{BilevelProblem, Error, Float, vector};

/// The step `s⁺ = Φ_t(s, λ)` of an inner run, where the state `s` is `w` and then what the optimiser keeps. Most steps are functions of the gradient
/// `∇_w f(w, λ)` at the state; those compute no other and say so by [`TAKES_GRADIENT`](Self::TAKES_GRADIENT).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a step that an unrolled method can differentiate",
    label = "not an update",
    note = "unrolled methods take `GradientDescent::new(rate)`, `Momentum`, `Nesterov`, `RmsProp`, `Adam` or `AdamW`, and `OwnStep::default()` for the `#[step]` of the problem"
)]
pub trait Dynamics<P: BilevelProblem>: fmt::Debug {
    /// What is known of the steps before the first one, such as the places of hyperparameters in the outer variable.
    type Bound;

    /// Whether the step and its derivatives take the inner gradient at the state before the step. The run then computes it, and keeps it where that saves
    /// computing it again; it is finite.
    const TAKES_GRADIENT: bool;

    /// Prepares a run of so many steps.
    ///
    /// # Errors
    /// Hyperparameters that make no sense, or that the outer variable does not have; states that do not fit.
    fn bind(&self, kernels: &Kernels<'_, P>, sizes: &Sizes<'_>, n_steps: usize) -> Result<Self::Bound, Error>;

    /// Whether the step reads an element of the outer variable by itself, and not only by way of the gradient. Where it surely does not, forward mode leaves
    /// out tangents that are still zero.
    fn reads(&self, bound: &Self::Bound, t: usize, position: usize) -> bool {
        let _ = (bound, t, position);
        true
    }

    /// Whether [`jvp`](Self::jvp) observes a limit on the tangents of the gradient.
    fn can_clamp(&self) -> bool {
        false
    }

    /// The number of elements that a state has beside `w`.
    fn n_buffers(&self, bound: &Self::Bound, sizes: &Sizes<'_>) -> usize;

    /// What a state has beside `w` before the first step, written over zeros.
    fn begin(&self, bound: &Self::Bound, buffers: &mut [P::Float]) {
        let _ = (bound, buffers);
    }

    /// `s ← Φ_t(s, λ)`, with the gradient at `s` in the working memory where the step takes it.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with the step
    fn step(
        &self,
        kernels: &mut Kernels<'_, P>,
        bound: &Self::Bound,
        t: usize,
        outer: &[P::Float],
        state: &mut [P::Float],
        work: &mut Work<P::Float>,
    ) -> Result<(), Error>;

    /// Cotangents at the state `before` a step: `bar` from after to before, and `outer_bar` added to.
    fn vjp(
        &self,
        kernels: &mut Kernels<'_, P>,
        bound: &Self::Bound,
        step: Step<'_, P::Float>,
        work: &mut Work<P::Float>,
        bar: &mut [P::Float],
        outer_bar: &mut [P::Float],
    );

    /// Prepares [`jvp`](Self::jvp) at a state.
    fn linearize(&self, kernels: &mut Kernels<'_, P>, bound: &Self::Bound, step: Step<'_, P::Float>);

    /// Tangents at the state of the last [`linearize`](Self::linearize): `dot` from before to after, for a tangent of the outer variable.
    fn jvp(
        &self,
        kernels: &mut Kernels<'_, P>,
        bound: &Self::Bound,
        step: Step<'_, P::Float>,
        work: &mut Work<P::Float>,
        dot: &mut [P::Float],
        outer_dot: &[P::Float],
    );
}

/// A step that was made: its index, the outer variable, the state before it and, where the step takes it, the gradient there.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a, T> {
    pub(super) t: usize,
    pub(super) mode: Mode,
    pub(super) outer: &'a [T],
    pub(super) before: &'a [T],
    pub(super) gradient: &'a [T],
}

/// Vectors that steps and their derivatives work with.
#[derive(Debug)]
pub struct Work<T> {
    /// `∇_w f`
    pub(super) gradient: Vec<T>,
    /// Its cotangent or tangent.
    pub(super) gradient_bar: Vec<T>,
    pub(super) product: Vec<T>,
    pub(super) mixed: Vec<T>,
    /// A state to go back to.
    pub(super) state: Vec<T>,
    /// A state, or its cotangent or tangent, while it is computed from another; empty until a step needs it.
    pub(super) next: Vec<T>,
    /// The largest magnitude that an element of a tangent of the gradient may have.
    pub(super) limit: Option<T>,
    /// How many were taken back to it.
    pub(super) n_clamped: usize,
}

impl<T: Float> Work<T> {
    pub(super) fn new(n_state: usize, n_inner: usize, n_outer: usize) -> Self {
        Work {
            gradient: vector::zeros(n_inner),
            gradient_bar: vector::zeros(n_inner),
            product: vector::zeros(n_inner),
            mixed: vector::zeros(n_outer),
            state: vector::zeros(n_state),
            next: Vec::new(),
            limit: None,
            n_clamped: 0,
        }
    }

    /// A place for a state of so many elements beside the current one.
    pub(super) fn next(&mut self, n_state: usize) -> &mut [T] {
        self.next.resize(n_state, T::zero());
        &mut self.next
    }

    /// Bytes of all vectors.
    pub(super) fn n_bytes(&self) -> usize {
        let Work { gradient, gradient_bar, product, mixed, state, next, limit: _, n_clamped: _ } = self;
        [gradient, gradient_bar, product, mixed, state, next].iter().map(|vector| vector.len() * size_of::<T>()).sum()
    }

    /// Takes the elements of the tangent of the gradient back to the limit. What is not a number stays as it is, and is reported.
    fn clamp(&mut self) {
        let Some(limit) = self.limit else { return };
        for x in &mut self.gradient_bar {
            let clamped = if *x > limit {
                limit
            } else if *x < -limit {
                -limit
            } else {
                continue;
            };
            *x = clamped;
            self.n_clamped += 1;
        }
    }
}

/// The hyperparameters of an update, and the lengths of the leaves of the inner variable.
#[derive(Debug)]
pub struct BoundUpdate {
    hypers: Vec<Bound>,
    leaves: Vec<usize>,
}

impl BoundUpdate {
    fn at<'a, T>(&'a self, step: usize, outer: &'a [T]) -> At<'a, T> {
        At { step, leaves: &self.leaves, hypers: &self.hypers, outer }
    }
}

impl<P: BilevelProblem, U: Update> Dynamics<P> for U {
    type Bound = BoundUpdate;

    const TAKES_GRADIENT: bool = true;

    fn bind(&self, _: &Kernels<'_, P>, sizes: &Sizes<'_>, n_steps: usize) -> Result<BoundUpdate, Error> {
        let hypers = self.settings()?.iter().map(|setting| setting.bind(sizes, n_steps)).collect::<Result<_, _>>()?;
        Ok(BoundUpdate { hypers, leaves: sizes.inner.to_vec() })
    }

    fn reads(&self, bound: &BoundUpdate, t: usize, position: usize) -> bool {
        bound.hypers.iter().any(|hyper| hyper.reads(t, position, &bound.leaves))
    }

    fn can_clamp(&self) -> bool {
        true
    }

    fn n_buffers(&self, _: &BoundUpdate, sizes: &Sizes<'_>) -> usize {
        U::N_STATE * sizes.n_inner()
    }

    fn step(
        &self,
        _: &mut Kernels<'_, P>,
        bound: &BoundUpdate,
        t: usize,
        outer: &[P::Float],
        state: &mut [P::Float],
        work: &mut Work<P::Float>,
    ) -> Result<(), Error> {
        self.update(bound.at(t, outer), state, &work.gradient);
        Ok(())
    }

    fn vjp(
        &self,
        kernels: &mut Kernels<'_, P>,
        bound: &BoundUpdate,
        step: Step<'_, P::Float>,
        work: &mut Work<P::Float>,
        bar: &mut [P::Float],
        outer_bar: &mut [P::Float],
    ) {
        let Step { t, mode, outer, before, gradient } = step;
        let Work { gradient_bar, product, mixed, .. } = work;
        Update::vjp(self, bound.at(t, outer), before, gradient, bar, gradient_bar, outer_bar);
        let inner = &before[..gradient.len()];
        match mode {
            Mode::Reverse => kernels.inner_gradient_vjp(inner, outer, gradient_bar, product, mixed),
            Mode::Mixed | Mode::Forward => kernels.both_products(inner, outer, gradient_bar, product, mixed),
        }
        vector::axpy(P::Float::from_f64(1.0), product, &mut bar[..inner.len()]);
        vector::axpy(P::Float::from_f64(1.0), mixed, outer_bar);
    }

    fn linearize(&self, kernels: &mut Kernels<'_, P>, _: &BoundUpdate, step: Step<'_, P::Float>) {
        kernels.inner_gradient_linearize(&step.before[..step.gradient.len()], step.outer);
    }

    fn jvp(
        &self,
        kernels: &mut Kernels<'_, P>,
        bound: &BoundUpdate,
        step: Step<'_, P::Float>,
        work: &mut Work<P::Float>,
        dot: &mut [P::Float],
        outer_dot: &[P::Float],
    ) {
        let Step { t, outer, before, gradient, .. } = step;
        kernels.inner_gradient_jvp(&dot[..gradient.len()], outer_dot, &mut work.gradient_bar);
        work.clamp();
        Update::jvp(self, bound.at(t, outer), before, gradient, dot, &work.gradient_bar, outer_dot);
    }
}
