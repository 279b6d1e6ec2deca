//! Unrolled differentiation: the exact derivative of an inner run of finitely many steps.
//!
//! `s_{t+1} = Φ_t(s_t, λ)` for `t = 0 … T − 1`, where the state `s` holds `w` and the buffers of the optimiser, and `w(λ) = w_T`, whether the run has
//! converged or not. Reverse mode goes back from `p_T = ∂_w g`: `h += (∂Φ_t/∂λ)ᵀ p_{t+1}`, `p_t = (∂Φ_t/∂s)ᵀ p_{t+1}`. Forward mode carries
//! `Z_t = ds_t/dλ` with it: `h = ∂_λ g + Z_Tᵀ ∂_s g`.

mod dynamics;
mod forward;
mod outcome;
mod own_step;
mod reverse;
mod schedule;
mod settings;
mod sharing;
mod start;

pub use dynamics::Dynamics;
pub use outcome::{MemoryFit, UnrolledOutcome};
pub use own_step::OwnStep;
pub use schedule::Checkpoints;
pub use settings::Unrolled;
pub use sharing::Sharing;
pub(crate) use start::Start;

use super::implicit::{check_finite, outer_loss};
use super::{DefaultInner, Kernels, Method, Point, Sizes};
use crate::memory_size::MemorySize;
use crate::solve::{GradientDescent, InnerOutcome, InnerStop};
use crate::{BilevelProblem, Error, Float, Report, vector};
use dynamics::Work;
use forward::ForwardMemory;
use reverse::{How, ReverseMemory};

/// How an unrolled method differentiates a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Reverse over reverse.
    Reverse,
    /// The optimiser in reverse, the gradient forward over reverse.
    Mixed,
    /// Tangents of all outer variables.
    Forward,
}

impl<K> DefaultInner<K> for Unrolled {
    type Inner = GradientDescent;
}

/// Vectors of an unrolled hypergradient.
#[derive(Debug)]
pub struct UnrolledMemory<T, D> {
    length: Length,
    n_last: usize,
    /// The steps from one hypergradient to the next.
    at_once: usize,
    checkpoints: Checkpoints,
    /// The memory for which the checkpoints are to be chosen, in bytes.
    limit: Option<usize>,
    /// Why they are what they are, once they have been chosen.
    fit: Option<MemoryFit>,
    dynamics: D,
    /// The current state.
    state: Vec<T>,
    work: Work<T>,
    way: Way<T>,
}

/// When a run ends.
#[derive(Debug, Clone, Copy)]
struct Length {
    n_steps: usize,
    until: Option<f64>,
}

impl Length {
    /// Whether the run ends at a state with this gradient.
    fn is_reached<T: Float>(&self, gradient: &[T]) -> bool {
        self.until.is_some_and(|tolerance| vector::norm(gradient).to_f64() <= tolerance)
    }
}

#[derive(Debug)]
enum Way<T> {
    Reverse(ReverseMemory<T>),
    Forward(ForwardMemory<T>),
}

impl<P: BilevelProblem, D: Dynamics<P>> Method<P, D> for Unrolled {
    type Memory = UnrolledMemory<P::Float, D::Bound>;

    const FORGETS_ITS_START: bool = false;

    fn memory(&self, dynamics: &D, kernels: &Kernels<'_, P>, sizes: &Sizes<'_>) -> Result<Self::Memory, Error> {
        if self.mode == Mode::Mixed && !P::SYMMETRIC_HESSIAN {
            return Err(Error::AsymmetricHessian { method: if self.truncated { "Unrolled::truncated" } else { "Unrolled::mixed" } });
        }
        if let (Some(value), Some(_)) = (self.until, self.batches) {
            let requirement = "left out with `Unrolled::batches`, whose gradients do not say whether a run has converged";
            return Err(Error::InvalidSetting { setting: "Unrolled::until", value, requirement });
        }
        let (n_steps, n_last) = self.lengths()?;
        let at_once = self.steps_at_once(n_steps)?;
        self.check_clamp(dynamics.can_clamp())?;
        let bound = dynamics.bind(kernels, sizes, n_steps)?;
        let (n_inner, n_outer) = (sizes.n_inner(), sizes.n_outer());
        let n_state = n_inner + dynamics.n_buffers(&bound, sizes);
        let keeps_gradients = self.mode == Mode::Mixed && D::TAKES_GRADIENT;
        let limit = self.memory.map(MemorySize::bytes).transpose()?;
        // Where states are to fit into memory this is as if all did, until their number is known.
        let checkpoints = self.schedule(n_last, limit.map(|_| n_last))?;
        let way = match self.mode {
            Mode::Reverse | Mode::Mixed => Way::Reverse(ReverseMemory::new([n_state, n_inner, n_outer], keeps_gradients)),
            Mode::Forward if limit.is_some() => {
                let reason = "forward mode keeps a tangent for each outer variable, and no states to choose from";
                return Err(Error::NotApplicable { setting: "Unrolled::memory", reason });
            }
            Mode::Forward => Way::Forward(ForwardMemory::new::<P>(n_state, sizes)),
        };
        let (state, mut work) = (vector::zeros(n_state), Work::new(n_state, n_inner, n_outer));
        work.limit = self.clamp.map(P::Float::from_f64);
        let length = Length { n_steps, until: self.until };
        Ok(UnrolledMemory { length, n_last, at_once, checkpoints, limit, fit: None, dynamics: bound, state, work, way })
    }

    fn settings(&self, inner_solver: &D) -> (String, String) {
        (format!("{self:?}"), format!("{inner_solver:?}"))
    }

    fn solve_inner(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        dynamics: &D,
        Point { outer, inner }: Point<'_, P::Float>,
    ) -> Result<InnerOutcome, Error> {
        memory.end_online_run();
        let UnrolledMemory { length, dynamics: bound, state, work, .. } = memory;
        kernels.draw(self.batches)?;
        begin(dynamics, bound, state, inner);
        let n_steps = advance(kernels, dynamics, bound, work, outer, state, *length)?;
        inner.copy_from_slice(&state[..inner.len()]);
        end_of_run(kernels, work, outer, inner, n_steps)
    }

    fn value(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        dynamics: &D,
        Point { outer, inner }: Point<'_, P::Float>,
    ) -> Result<P::Float, Error> {
        let is_under_way = memory.online_at().is_some_and(|at| at > 0);
        let UnrolledMemory { length, dynamics: bound, state, work, .. } = memory;
        // An online run has made its steps under the outer variables of its time; what counts is where it has got to.
        if !is_under_way {
            kernels.draw(self.batches)?;
            begin(dynamics, bound, state, inner);
            advance(kernels, dynamics, bound, work, outer, state, *length)?;
        }
        inner.copy_from_slice(&state[..inner.len()]);
        outer_loss(kernels, outer, inner, &mut work.gradient, &mut work.mixed)
    }

    fn exact_value(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        dynamics: &D,
        Point { outer, inner }: Point<'_, P::Float>,
    ) -> Result<P::Float, Error> {
        memory.end_online_run();
        let UnrolledMemory { length, at_once, dynamics: bound, state, work, .. } = memory;
        kernels.draw(self.batches)?;
        begin(dynamics, bound, state, inner);
        advance(kernels, dynamics, bound, work, outer, state, Length { n_steps: *at_once, ..*length })?;
        inner.copy_from_slice(&state[..inner.len()]);
        outer_loss(kernels, outer, inner, &mut work.gradient, &mut work.mixed)
    }

    fn hypergradient(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        dynamics: &D,
        Point { outer, inner }: Point<'_, P::Float>,
        gradient: &mut [P::Float],
    ) -> Result<(P::Float, Report), Error> {
        kernels.draw(self.batches)?;
        self.fit(kernels, memory, dynamics, (outer, inner))?;
        let UnrolledMemory { length, n_last, at_once, checkpoints, fit, dynamics: bound, state, work, way, .. } = memory;
        let (length, n_last) = (*length, *n_last);
        kernels.take_counts();
        let (value, outcome) = match way {
            Way::Reverse(memory) => {
                begin(dynamics, bound, state, inner);
                let before = Length { n_steps: length.n_steps - n_last, until: None };
                advance(kernels, dynamics, bound, work, outer, state, before)?;
                let how = How { mode: self.mode, checkpoints: *checkpoints, length, n_last };
                let (value, outcome) =
                    reverse::run(kernels, (dynamics, bound), (memory, work, state), how, Point { outer, inner }, gradient)?;
                (value, UnrolledOutcome { fit: *fit, ..outcome })
            }
            Way::Forward(memory) => {
                if !self.online || memory.at() == length.n_steps {
                    memory.begin();
                }
                if memory.at() == 0 {
                    begin(dynamics, bound, state, inner);
                }
                let (first, end) = (memory.at(), length.n_steps.min(memory.at() + *at_once));
                let (value, outcome) =
                    forward::run(kernels, (dynamics, bound), (memory, work, state), (length, end), Point { outer, inner }, gradient)?;
                (value, UnrolledOutcome { online: self.online.then_some(first), ..outcome })
            }
        };
        check_finite("the hypergradient", gradient)?;
        let inner_outcome = end_of_run(kernels, work, outer, inner, outcome.n_steps)?;
        let (n_gradients, n_products) = kernels.take_counts();
        let peak_bytes = outcome.n_bytes + memory.n_vector_bytes();
        Ok((value, Report { peak_bytes, unrolled: Some(outcome), ..Report::new(inner_outcome, n_gradients, n_products) }))
    }

    fn save(&self, memory: &Self::Memory) -> Vec<f64> {
        match &memory.way {
            Way::Forward(forward) if self.online => forward.save(&memory.state),
            Way::Forward(_) | Way::Reverse(_) => vec![],
        }
    }

    fn restore(&self, memory: &mut Self::Memory, saved: &[f64]) -> bool {
        match &mut memory.way {
            Way::Forward(forward) if self.online => forward.restore(&mut memory.state, saved),
            Way::Forward(_) | Way::Reverse(_) => saved.is_empty(),
        }
    }

    fn forget(&self, memory: &mut Self::Memory) {
        memory.end_online_run();
    }
}

impl Unrolled {
    /// Chooses the schedule that fits into memory, where it has not been chosen yet. Before that, one step and its derivative are made at the start, so that all buffers
    /// have their sizes.
    fn fit<P: BilevelProblem, D: Dynamics<P>>(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut UnrolledMemory<P::Float, D::Bound>,
        dynamics: &D,
        (outer, inner): (&[P::Float], &[P::Float]),
    ) -> Result<(), Error> {
        let UnrolledMemory { n_last, checkpoints, dynamics: bound, state, work, way, limit, fit, .. } = memory;
        let (Some(limit), Way::Reverse(reverse), None) = (*limit, way, &fit) else { return Ok(()) };
        begin(dynamics, bound, state, inner);
        reverse.try_a_step(kernels, (dynamics, bound), (work, state), self.mode, (outer, inner))?;
        let (activations, slot) = (kernels.buffer_bytes(), reverse.slot_bytes());
        let vectors = state.len() * size_of::<P::Float>() + work.n_bytes() + reverse.n_vector_bytes();
        let n_fitting = limit.saturating_sub(activations + vectors) / slot.max(1);
        if n_fitting == 0 {
            return Err(Error::MemoryLimit { limit, needed: activations + vectors + slot, activations });
        }
        *checkpoints = self.schedule(*n_last, Some(n_fitting))?;
        *fit = Some(MemoryFit { limit, activations, vectors, n_fitting });
        Ok(())
    }
}

impl<T: Float, D> UnrolledMemory<T, D> {
    /// The next hypergradient begins a run.
    fn end_online_run(&mut self) {
        match &mut self.way {
            Way::Forward(forward) => forward.begin(),
            Way::Reverse(_) => {}
        }
    }

    /// Steps that were made of a run that can go on.
    fn online_at(&self) -> Option<usize> {
        match &self.way {
            Way::Forward(forward) if self.at_once < self.length.n_steps => Some(forward.at()),
            Way::Forward(_) | Way::Reverse(_) => None,
        }
    }

    /// Bytes of the vectors that do not depend on the number of states.
    fn n_vector_bytes(&self) -> usize {
        let way = match &self.way {
            Way::Reverse(reverse) => reverse.n_vector_bytes(),
            Way::Forward(_) => 0,
        };
        self.state.len() * size_of::<T>() + self.work.n_bytes() + way
    }
}

/// The memory of a way, the working memory and the current state.
type Memories<'a, M, T> = (&'a mut M, &'a mut Work<T>, &'a mut [T]);

/// The state before the first step: `w`, and what the optimiser begins with.
fn begin<P: BilevelProblem, D: Dynamics<P>>(dynamics: &D, bound: &D::Bound, state: &mut [P::Float], inner: &[P::Float]) {
    let (variable, buffers) = state.split_at_mut(inner.len());
    variable.copy_from_slice(inner);
    buffers.fill(P::Float::from_f64(0.0));
    dynamics.begin(bound, buffers);
}

/// The inner gradient at a state.
fn inner_gradient<P: BilevelProblem>(
    kernels: &mut Kernels<'_, P>,
    t: usize,
    outer: &[P::Float],
    state: &[P::Float],
    gradient: &mut [P::Float],
) -> Result<(), Error> {
    kernels.inner_gradient(&state[..gradient.len()], outer, gradient);
    check_finite_at("the gradient of the inner loss", t, gradient)
}

/// Makes the steps of a run; gives their number.
fn advance<P: BilevelProblem, D: Dynamics<P>>(
    kernels: &mut Kernels<'_, P>,
    dynamics: &D,
    bound: &D::Bound,
    work: &mut Work<P::Float>,
    outer: &[P::Float],
    state: &mut [P::Float],
    length: Length,
) -> Result<usize, Error> {
    for t in 0..length.n_steps {
        kernels.at_step(t);
        if D::TAKES_GRADIENT || length.until.is_some() {
            inner_gradient(kernels, t, outer, state, &mut work.gradient)?;
        }
        if length.is_reached(&work.gradient) {
            return Ok(t);
        }
        dynamics.step(kernels, bound, t, outer, state, work)?;
    }
    Ok(length.n_steps)
}

/// What is true of the end of an inner run: one gradient more, on all rows.
fn end_of_run<P: BilevelProblem>(
    kernels: &mut Kernels<'_, P>,
    work: &mut Work<P::Float>,
    outer: &[P::Float],
    inner: &[P::Float],
    n_steps: usize,
) -> Result<InnerOutcome, Error> {
    kernels.show_all();
    let value = kernels.inner_gradient(inner, outer, &mut work.gradient);
    check_finite("the inner loss", &[value])?;
    let gradient_norm = vector::norm(&work.gradient).to_f64();
    let stop = InnerStop::AllSteps;
    Ok(InnerOutcome { stop, value: value.to_f64(), gradient_norm, n_iterations: n_steps, n_evaluations: n_steps + 1 })
}

/// Fails where a vector that a step has made is not finite.
pub(crate) fn check_finite_at<T: Float>(quantity: &'static str, step: usize, values: &[T]) -> Result<(), Error> {
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(&value) => Err(Error::NonFinite { quantity, step: Some(step), value: value.to_f64() }),
    }
}
