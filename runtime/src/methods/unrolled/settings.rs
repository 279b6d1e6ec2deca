//! What can be said of an unrolled method.

use super::Mode;
use super::schedule::Checkpoints;
use crate::Error;
use crate::memory_size::MemorySize;
use crate::sampling::Batches;

/// The unrolled hypergradient: the derivative of `T` steps of the inner optimiser from the given start, exact to rounding.
///
/// The steps are those of an [`Update`](crate::updates::Update): [`GradientDescent::new`](crate::solve::GradientDescent::new), [`Momentum`](crate::updates::Momentum),
/// [`Adam`](crate::updates::Adam) and their kin, given by [`Solver::inner`](crate::solver::Solver::inner); their hyperparameters may be outer variables,
/// see [`Hyper`](crate::updates::Hyper). Or they are those of the problem's own `#[step]` function, by [`OwnStep`](super::OwnStep).
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
    pub(super) mode: Mode,
    pub(super) truncated: bool,
    pub(super) n_steps: Option<usize>,
    pub(super) n_last: Option<usize>,
    pub(super) checkpoints: Option<Checkpoints>,
    pub(super) memory: Option<MemorySize>,
    pub(super) until: Option<f64>,
    pub(super) online: bool,
    pub(super) every: Option<usize>,
    pub(super) clamp: Option<f64>,
    pub(super) batches: Option<Batches>,
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
    /// optimization over long horizons* (2021). How long windows should be: [`Sharing`](super::Sharing).
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
    pub(super) fn lengths(&self) -> Result<(usize, usize), Error> {
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
    pub(super) fn steps_at_once(&self, n_steps: usize) -> Result<usize, Error> {
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
    pub(super) fn check_clamp(&self, can_clamp: bool) -> Result<(), Error> {
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
    pub(super) fn schedule(&self, n_last: usize, n_slots: Option<usize>) -> Result<Checkpoints, Error> {
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
}
