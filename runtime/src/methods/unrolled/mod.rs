//! Unrolled differentiation: the exact derivative of an inner run of finitely many steps.
//!
//! `s_{t+1} = Φ_t(s_t, λ)` for `t = 0 … T − 1`, where the state `s` holds `w` and the buffers of the optimiser, and `w(λ) = w_T`, whether the run has
//! converged or not. Reverse mode goes back from `p_T = ∂_w g`: `h += (∂Φ_t/∂λ)ᵀ p_{t+1}`, `p_t = (∂Φ_t/∂s)ᵀ p_{t+1}`. Forward mode carries
//! `Z_t = ds_t/dλ` with it: `h = ∂_λ g + Z_Tᵀ ∂_s g`.

mod dynamics;
mod forward;
mod reverse;
mod schedule;
mod start;

use std::fmt;

pub use dynamics::Dynamics;
pub use schedule::Checkpoints;
pub(crate) use start::Start;

use super::implicit::{check_finite, outer_loss};
use super::{DefaultInner, Kernels, Method, Point, Sizes};
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

/// The unrolled hypergradient: the derivative of `T` steps of the inner optimiser from the given start, exact to rounding.
///
/// The steps are those of an [`Update`](crate::updates::Update): [`GradientDescent::new`], [`Momentum`](crate::updates::Momentum),
/// [`Adam`](crate::updates::Adam) and their kin, given by [`Solver::inner`](crate::solver::Solver::inner); their hyperparameters may be outer variables,
/// see [`Hyper`](crate::updates::Hyper).
///
/// | | time in gradients of the inner loss, beside the `T` of the run | memory in vectors of the size of the state |
/// | --- | --- | --- |
/// | [`reverse`](Self::reverse) | about 3 a step, and those of steps made again | as many as [`Checkpoints`] say |
/// | [`mixed`](Self::mixed) | about 2 a step, and those of steps made again | the same, and a gradient for each |
/// | [`truncated`](Self::truncated) | those of the last `K` steps | the same for `K` steps |
/// | [`forward`](Self::forward) | about 2 a step and outer variable | one for each outer variable |
///
/// All but the truncated one give the same hypergradient. Reverse: Domke, *Generic methods for optimization-based modeling* (2012); Franceschi et al.,
/// *Forward and reverse gradient-based hyperparameter optimization* (2017), also for forward mode; truncated: Shaban et al., *Truncated
/// back-propagation for bilevel optimization* (2019); mixed: Kemaev et al., *Scalable meta-learning via mixed-mode differentiation* (2025).
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Unrolled {
    mode: Mode,
    truncated: bool,
    n_steps: Option<usize>,
    n_last: Option<usize>,
    checkpoints: Option<Checkpoints>,
    memory: Option<usize>,
    until: Option<f64>,
}

impl Unrolled {
    fn new(mode: Mode) -> Self {
        Unrolled { mode, truncated: false, n_steps: None, n_last: None, checkpoints: None, memory: None, until: None }
    }

    /// Reverse mode throughout: each step is differentiated as it is, also where its inner "gradient" is not the gradient of a function, because of
    /// `stop_gradient` or rules of the user's.
    pub fn reverse() -> Self {
        Unrolled::new(Mode::Reverse)
    }

    /// The optimiser in reverse and the inner gradient forward over reverse: with a symmetric Hessian `(∂∇_w f/∂(w, λ))ᵀu` is the tangent of both
    /// gradients along `u`, so that no backward pass is ever recorded. It is an error for problems whose
    /// Hessian may be asymmetric.
    pub fn mixed() -> Self {
        Unrolled::new(Mode::Mixed)
    }

    /// Mixed mode through the last steps only, as many as [`last`](Self::last) says: the inner variable before them counts as a constant. Hyperparameters
    /// of the steps before get a derivative of zero. For a `μ`-strongly convex inner loss and gradient descent with `α ≤ 1/L` the error is at most
    /// `‖∂_w g‖ max ‖∂Φ/∂λ‖ (1 − αμ)ᴷ / (αμ)`.
    pub fn truncated() -> Self {
        Unrolled { truncated: true, ..Unrolled::new(Mode::Mixed) }
    }

    /// Forward mode: for few outer variables and many steps, since its memory does not grow with the steps.
    pub fn forward() -> Self {
        Unrolled::new(Mode::Forward)
    }

    /// The number of steps `T`. There is no default.
    pub fn steps(mut self, n_steps: usize) -> Self {
        self.n_steps = Some(n_steps);
        self
    }

    /// Ends the run before a step where `‖∇_w f‖₂` is at most `tolerance`; [`steps`](Self::steps) is then the most steps. The steps that were made are
    /// differentiated as if their number were fixed. Reverse modes need [`Checkpoints::All`] or [`Checkpoints::Online`] for it.
    pub fn until(mut self, tolerance: f64) -> Self {
        self.until = Some(tolerance);
        self
    }

    /// The number of last steps `K ≤ T` that [`truncated`](Self::truncated) differentiates. There is no default.
    pub fn last(mut self, n_last: usize) -> Self {
        self.n_last = Some(n_last);
        self
    }

    /// Which states are kept. Default: all, or as [`memory`](Self::memory) says.
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Keeps as many states as fit into so many bytes, chosen so that the fewest steps are made again; the report says which.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// The number of steps, and of those that are differentiated.
    fn lengths(&self) -> Result<(usize, usize), Error> {
        let setting = "Unrolled::steps";
        let n_steps =
            self.n_steps.ok_or(Error::MissingSetting { setting, reason: "an unrolled method needs the number of inner steps" })?;
        if n_steps == 0 {
            return Err(Error::InvalidSetting { setting, value: 0.0, requirement: "at least 1" });
        }
        if !self.truncated {
            return Ok((n_steps, n_steps));
        }
        let setting = "Unrolled::last";
        let n_last = self.n_last.ok_or(Error::MissingSetting { setting, reason: "a truncated method needs the number of last steps" })?;
        if n_last == 0 || n_last > n_steps {
            return Err(Error::InvalidSetting { setting, value: n_last as f64, requirement: "at least 1 and at most the number of steps" });
        }
        Ok((n_steps, n_last))
    }

    /// The schedule, for states and gradients of these sizes in bytes.
    fn schedule(&self, n_last: usize, slot_bytes: usize) -> Result<Checkpoints, Error> {
        let known = self.fitting_schedule(n_last, slot_bytes)?;
        let Some(tolerance) = self.until else { return Ok(known) };
        let setting = "Unrolled::until";
        if !(tolerance.is_finite() && tolerance >= 0.0) {
            return Err(Error::InvalidSetting { setting, value: tolerance, requirement: "finite and not negative" });
        }
        if self.truncated {
            return Err(Error::InvalidSetting { setting, value: tolerance, requirement: "left out with `Unrolled::truncated`" });
        }
        match known {
            Checkpoints::All => Ok(Checkpoints::Online(n_last)),
            Checkpoints::Online(_) => Ok(known),
            Checkpoints::Binomial(c) if self.memory.is_some() => Ok(Checkpoints::Online(c)),
            Checkpoints::Every(_) | Checkpoints::Sqrt | Checkpoints::Binomial(_) => Err(Error::InvalidSetting {
                setting,
                value: tolerance,
                requirement: "used with `Checkpoints::All` or `Checkpoints::Online`",
            }),
        }
    }

    /// The schedule for a run of known length.
    fn fitting_schedule(&self, n_last: usize, slot_bytes: usize) -> Result<Checkpoints, Error> {
        let Some(bytes) = self.memory else {
            let checkpoints = self.checkpoints.unwrap_or_default();
            return checkpoints.check().map(|()| checkpoints);
        };
        let n_slots = bytes / slot_bytes.max(1);
        if n_slots == 0 {
            let requirement = "enough for one state of the inner optimiser";
            return Err(Error::InvalidSetting { setting: "Unrolled::memory", value: bytes as f64, requirement });
        }
        Ok(if n_slots >= n_last { Checkpoints::All } else { Checkpoints::Binomial(n_slots) })
    }
}

impl DefaultInner for Unrolled {
    type Inner = GradientDescent;
}

/// Vectors of an unrolled hypergradient.
#[derive(Debug)]
pub struct UnrolledMemory<T, D> {
    length: Length,
    n_last: usize,
    checkpoints: Checkpoints,
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

/// How an unrolled hypergradient was made.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UnrolledOutcome {
    /// Steps made by the inner optimiser.
    pub n_steps: usize,
    /// Those of them, the last, that were differentiated.
    pub n_differentiated: usize,
    /// Which states were kept; none in forward mode.
    pub checkpoints: Option<Checkpoints>,
    /// Steps that were made again.
    pub n_remade: usize,
    /// Bytes of all states, gradients and tangents kept.
    pub n_bytes: usize,
    /// The largest `‖p_t‖ / ‖p_T‖` of the cotangents on the way back, `1` where they shrink; none in forward mode. Above 10⁶ the inner run is so unstable that
    /// the hypergradient says nothing about larger changes of `λ`.
    pub growth: Option<f64>,
}

impl fmt::Display for UnrolledOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnrolledOutcome { n_steps, n_differentiated, checkpoints, n_remade, n_bytes, growth } = self;
        write!(f, "unrolled: {n_steps} steps")?;
        if n_differentiated < n_steps {
            write!(f, ", of which the last {n_differentiated} were differentiated")?;
        }
        match checkpoints {
            Some(checkpoints) => write!(f, ", {checkpoints}, {n_remade} steps made again")?,
            None => f.write_str(", tangents of all outer variables")?,
        }
        write!(f, ", {n_bytes} bytes")?;
        if let Some(growth) = growth.filter(|&growth| growth > GROWTH_LIMIT) {
            write!(f, "; warning: cotangents grow {growth:.1e} times on the way back, so that the inner run is unstable")?;
        }
        Ok(())
    }
}

/// Above this the report warns of an unstable inner run.
const GROWTH_LIMIT: f64 = 1e6;

impl<P: BilevelProblem, D: Dynamics<P>> Method<P, D> for Unrolled {
    type Memory = UnrolledMemory<P::Float, D::Bound>;

    const FORGETS_ITS_START: bool = false;

    fn memory(&self, dynamics: &D, sizes: &Sizes<'_>) -> Result<Self::Memory, Error> {
        if self.mode == Mode::Mixed && !P::SYMMETRIC_HESSIAN {
            return Err(Error::AsymmetricHessian { method: if self.truncated { "Unrolled::truncated" } else { "Unrolled::mixed" } });
        }
        let (n_steps, n_last) = self.lengths()?;
        let bound = dynamics.bind(sizes, n_steps)?;
        let (n_state, n_inner, n_outer) = (dynamics.n_state(sizes), sizes.n_inner(), sizes.n_outer());
        let keeps_gradients = self.mode == Mode::Mixed;
        let slot = (n_state + if keeps_gradients { n_inner } else { 0 }) * size_of::<P::Float>();
        let checkpoints = self.schedule(n_last, slot)?;
        let way = match self.mode {
            Mode::Reverse | Mode::Mixed => {
                Way::Reverse(ReverseMemory::new([n_state, n_inner, n_outer], keeps_gradients, checkpoints.n_slots(n_last)))
            }
            Mode::Forward => Way::Forward(ForwardMemory::new(n_state, n_outer)),
        };
        let (state, work) = (vector::zeros(n_state), Work::new(n_state, n_inner, n_outer));
        let length = Length { n_steps, until: self.until };
        Ok(UnrolledMemory { length, n_last, checkpoints, dynamics: bound, state, work, way })
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
        let UnrolledMemory { length, dynamics: bound, state, work, .. } = memory;
        begin(state, inner);
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
        let UnrolledMemory { length, dynamics: bound, state, work, .. } = memory;
        begin(state, inner);
        advance(kernels, dynamics, bound, work, outer, state, *length)?;
        inner.copy_from_slice(&state[..inner.len()]);
        outer_loss(kernels, outer, inner, &mut work.gradient, &mut work.mixed)
    }

    fn exact_value(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        dynamics: &D,
        point: Point<'_, P::Float>,
    ) -> Result<P::Float, Error> {
        self.value(kernels, memory, dynamics, point)
    }

    fn hypergradient(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        dynamics: &D,
        Point { outer, inner }: Point<'_, P::Float>,
        gradient: &mut [P::Float],
    ) -> Result<(P::Float, Report), Error> {
        let UnrolledMemory { length, n_last, checkpoints, dynamics: bound, state, work, way } = memory;
        let (length, n_last) = (*length, *n_last);
        kernels.take_counts();
        begin(state, inner);
        let (value, outcome) = match way {
            Way::Reverse(memory) => {
                let before = Length { n_steps: length.n_steps - n_last, until: None };
                advance(kernels, dynamics, bound, work, outer, state, before)?;
                let how = How { mode: self.mode, checkpoints: *checkpoints, length, n_last };
                reverse::run(kernels, (dynamics, bound), (memory, work, state), how, Point { outer, inner }, gradient)?
            }
            Way::Forward(memory) => {
                forward::run(kernels, (dynamics, bound), (memory, work, state), length, Point { outer, inner }, gradient)?
            }
        };
        check_finite("the hypergradient", gradient)?;
        let inner_outcome = end_of_run(kernels, work, outer, inner, outcome.n_steps)?;
        let (n_gradients, n_products) = kernels.take_counts();
        Ok((value, Report { peak_bytes: outcome.n_bytes, unrolled: Some(outcome), ..Report::new(inner_outcome, n_gradients, n_products) }))
    }
}

/// The memory of a way, the working memory and the current state.
type Memories<'a, M, T> = (&'a mut M, &'a mut Work<T>, &'a mut [T]);

/// The state before the first step: `w` and zeros.
fn begin<T: Float>(state: &mut [T], inner: &[T]) {
    state.fill(T::zero());
    state[..inner.len()].copy_from_slice(inner);
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
        dynamics.gradient(kernels, bound, t, outer, state, &mut work.gradient)?;
        if length.is_reached(&work.gradient) {
            return Ok(t);
        }
        dynamics.step(kernels, bound, t, outer, state, &work.gradient);
    }
    Ok(length.n_steps)
}

/// What is true of the end of an inner run: one gradient more.
fn end_of_run<P: BilevelProblem>(
    kernels: &mut Kernels<'_, P>,
    work: &mut Work<P::Float>,
    outer: &[P::Float],
    inner: &[P::Float],
    n_steps: usize,
) -> Result<InnerOutcome, Error> {
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
