//! Unrolled differentiation: the exact derivative of an inner run of finitely many steps.
//!
//! `s_{t+1} = Φ_t(s_t, λ)` for `t = 0 … T − 1`, where the state `s` holds `w` and the buffers of the optimiser, and `w(λ) = w_T`, whether the run has
//! converged or not. Reverse mode goes back from `p_T = ∂_w g`: `h += (∂Φ_t/∂λ)ᵀ p_{t+1}`, `p_t = (∂Φ_t/∂s)ᵀ p_{t+1}`. Forward mode carries
//! `Z_t = ds_t/dλ` with it: `h = ∂_λ g + Z_Tᵀ ∂_s g`.

mod dynamics;
mod forward;
mod own_step;
mod reverse;
mod schedule;
mod sharing;
mod start;

use std::fmt;

pub use dynamics::Dynamics;
pub use own_step::OwnStep;
pub use schedule::Checkpoints;
pub use sharing::Sharing;
pub(crate) use start::Start;

use super::implicit::{check_finite, outer_loss};
use super::{DefaultInner, Kernels, Method, Point, Sizes};
use crate::memory_size::MemorySize;
use crate::sampling::Batches;
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
/// see [`Hyper`](crate::updates::Hyper). Or they are those of the problem's own `#[step]` function, by [`OwnStep`].
///
/// | | time in gradients of the inner loss, beside the `T` of the run | memory in vectors of the size of the state |
/// | --- | --- | --- |
/// | [`reverse`](Self::reverse) | about 3 a step, and those of steps made again | as many as [`Checkpoints`] say |
/// | [`mixed`](Self::mixed) | about 2 a step, and those of steps made again | the same, and a gradient for each |
/// | [`truncated`](Self::truncated) | those of the last `K` steps | the same for `K` steps |
/// | [`forward`](Self::forward) | about 2 a step and outer variable that a step before has read | one for each outer variable |
/// | [`online`](Self::online) | the same, for the steps between two hypergradients | the same |
///
/// All but the truncated and the online one give the same hypergradient. Reverse: Domke, *Generic methods for optimization-based modeling* (2012); Franceschi et al.,
/// *Forward and reverse gradient-based hyperparameter optimization* (2017), also for forward mode and the online one; truncated: Shaban et al., *Truncated
/// back-propagation for bilevel optimization* (2019); mixed: Kemaev et al., *Scalable meta-learning via mixed-mode differentiation* (2025).
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Unrolled {
    mode: Mode,
    truncated: bool,
    n_steps: Option<usize>,
    n_last: Option<usize>,
    checkpoints: Option<Checkpoints>,
    memory: Option<MemorySize>,
    until: Option<f64>,
    online: bool,
    every: Option<usize>,
    clamp: Option<f64>,
    batches: Option<Batches>,
}

impl Unrolled {
    fn new(mode: Mode) -> Self {
        Unrolled {
            mode,
            truncated: false,
            n_steps: None,
            n_last: None,
            checkpoints: None,
            memory: None,
            until: None,
            online: false,
            every: None,
            clamp: None,
            batches: None,
        }
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
    ///
    /// With outer variables that a window of steps shares ([`Hyper::per_window`](crate::updates::Hyper::per_window)), cold starts and steps by
    /// [`SignDescent`](crate::solve::SignDescent) this is forward-mode differentiation with sharing: Micaelli and Storkey, *Gradient-based hyperparameter
    /// optimization over long horizons* (2021). How long windows should be: [`Sharing`].
    pub fn forward() -> Self {
        Unrolled::new(Mode::Forward)
    }

    /// Forward mode on a run that goes on while its outer variable changes (RTHO): each hypergradient is that after [`every`](Self::every) steps more, up to
    /// [`steps`](Self::steps) in all; the next one begins a run anew. It is not the derivative of anything unless a run has one hypergradient only: the tangents
    /// have been made under earlier outer variables. The report says `online`.
    ///
    /// A hypergradient by itself begins a run. In [`minimize`](crate::solver::Solver::minimize), [`Start::Cold`](crate::solver::Start::Cold) has each run begin
    /// at the inner variable given there, and a warm start where the run before has ended.
    pub fn online() -> Self {
        Unrolled { online: true, ..Unrolled::new(Mode::Forward) }
    }

    /// The number of steps from one hypergradient of an [`online`](Self::online) run to the next. There is no default.
    pub fn every(mut self, n_steps: usize) -> Self {
        self.every = Some(n_steps);
        self
    }

    /// Takes each element of the tangents of the inner gradient to the nearest number between `-limit` and `limit`, in forward mode with a built-in update. The
    /// hypergradient is then not exact wherever there was something to take back; the report says how many elements were. Default: no limit.
    pub fn clamp(mut self, limit: f64) -> Self {
        self.clamp = Some(limit);
        self
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

    /// Keeps as many states as fit into so much memory, chosen so that the fewest steps are made again: `.memory("256 MiB")`, or a number of bytes.
    ///
    /// The buffers of the kernels, which hold the activations of one gradient and what its derivative keeps of them, and the vectors of the method count as well.
    /// How large the former are is seen by making one step and its derivative, once, before the first hypergradient. The report says what was chosen and why.
    pub fn memory(mut self, memory: impl Into<MemorySize>) -> Self {
        self.memory = Some(memory.into());
        self
    }

    /// Lets each step see a batch of the rows that the inner loss samples, `#[inner(minimize = w, sample(x, y))]`. The outer loss, and what the report says of
    /// the inner one at the end of the run, are of all rows. Default: every step sees all rows.
    pub fn batches(mut self, batches: Batches) -> Self {
        self.batches = Some(batches);
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

    /// The steps from one hypergradient to the next.
    fn steps_at_once(&self, n_steps: usize) -> Result<usize, Error> {
        let setting = "Unrolled::every";
        match self.every {
            None if self.online => {
                Err(Error::MissingSetting { setting, reason: "an online run needs the number of steps from one hypergradient to the next" })
            }
            Some(_) if !self.online => {
                Err(Error::NotApplicable { setting, reason: "it is for `Unrolled::online`, which goes on with a run" })
            }
            Some(every) if every == 0 || every > n_steps => {
                Err(Error::InvalidSetting { setting, value: every as f64, requirement: "at least 1 and at most the number of steps" })
            }
            Some(every) => Ok(every),
            None => Ok(n_steps),
        }
    }

    /// Checks the limit on tangents.
    fn check_clamp(&self, can_clamp: bool) -> Result<(), Error> {
        let (Some(value), setting) = (self.clamp, "Unrolled::clamp") else { return Ok(()) };
        if !(value > 0.0 && value.is_finite()) {
            return Err(Error::InvalidSetting { setting, value, requirement: "finite and positive" });
        }
        if self.mode != Mode::Forward || !can_clamp {
            return Err(Error::NotApplicable { setting, reason: "it is for forward mode with a built-in update, such as `Momentum`" });
        }
        Ok(())
    }

    /// The schedule; where states are to fit into memory, for so many of them.
    fn schedule(&self, n_last: usize, n_slots: Option<usize>) -> Result<Checkpoints, Error> {
        let known = match n_slots {
            Some(n_slots) if n_slots >= n_last => Checkpoints::All,
            Some(n_slots) => Checkpoints::Binomial(n_slots),
            None => self.checkpoints.unwrap_or_default(),
        };
        known.check()?;
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

impl DefaultInner for Unrolled {
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

/// How an unrolled hypergradient was made.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UnrolledOutcome {
    /// Steps made by the inner optimiser; in an online run since the hypergradient before.
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
    /// For an online run the step from which it went on: its hypergradient has tangents of earlier outer variables in it, unless that is 0.
    pub online: Option<usize>,
    /// Elements of tangents that [`Unrolled::clamp`] has changed.
    pub n_clamped: usize,
    /// Why the checkpoints are what they are, where [`Unrolled::memory`] has chosen them.
    pub fit: Option<MemoryFit>,
}

/// How [`Unrolled::memory`] has divided the memory. All sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryFit {
    /// The memory that there was.
    pub limit: usize,
    /// The buffers of the kernels: the activations of one gradient, and what its derivative keeps of them.
    pub activations: usize,
    /// The vectors of the method that do not depend on the number of states.
    pub vectors: usize,
    /// The states that fit into the rest.
    pub n_fitting: usize,
}

impl fmt::Display for MemoryFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [limit, activations, vectors] = [self.limit, self.activations, self.vectors].map(MemorySize::from);
        write!(
            f,
            "chosen for {limit}: beside {activations} of activations and {vectors} of vectors there is room for {} states",
            self.n_fitting
        )
    }
}

impl fmt::Display for UnrolledOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnrolledOutcome { n_steps, n_differentiated, checkpoints, n_remade, n_bytes, growth, online, n_clamped, fit } = self;
        write!(f, "unrolled: {n_steps} steps")?;
        if let Some(first) = online {
            write!(f, ", online from step {first} on")?;
        }
        if n_differentiated < n_steps {
            write!(f, ", of which the last {n_differentiated} were differentiated")?;
        }
        match checkpoints {
            Some(checkpoints) => write!(f, ", {checkpoints}, {n_remade} steps made again")?,
            None => f.write_str(", tangents of all outer variables")?,
        }
        write!(f, ", {n_bytes} bytes")?;
        if let Some(fit) = fit {
            write!(f, ", {fit}")?;
        }
        if *n_clamped > 0 {
            write!(f, "; inexact: {n_clamped} elements of tangents were clamped")?;
        }
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
