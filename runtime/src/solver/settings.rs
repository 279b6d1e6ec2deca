//! Settings of an outer minimisation.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::Step;
use crate::progress::Progress;
use crate::{BilevelProblem, Error};

/// Where the inner solve of each outer step starts, in [`Solver::minimize`](super::Solver::minimize).
///
/// Where the inner problem has one minimum for each `λ`, both lead to the same result, and a warm start is faster. Where it has several,
/// they can differ: a warm start stays near the minimum that it followed, and carries what it learnt from earlier outer variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Start {
    /// From the result of the step before, solved as the inner solver is told to.
    #[default]
    WarmFull,
    /// From the result of the step before, with at most so many iterations of the inner solver, which need not reach a stationary point: the hypergradient is then
    /// that of the point that was reached. For methods with an inner solver.
    WarmPartial(usize),
    /// From the inner variable given to [`Solver::minimize`](super::Solver::minimize), at every step.
    Cold,
}

#[allow(non_upper_case_globals)]
impl Start {
    /// The same as [`Start::WarmFull`].
    pub const Warm: Start = Start::WarmFull;
}

/// The tolerance of each outer step, for the inner solver and for the linear one (Pedregosa, 2016): early steps need not be exact.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Tolerances {
    first: f64,
    fall: Fall,
    least: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fall {
    Geometric(f64),
    Power(f64),
}

impl Default for Tolerances {
    /// From 10⁻³, a tenth less at every step.
    fn default() -> Self {
        Tolerances::geometric(1e-3, 0.9)
    }
}

impl Tolerances {
    /// `first`, and at every step `factor` times that of the step before.
    pub fn geometric(first: f64, factor: f64) -> Self {
        Tolerances { first, fall: Fall::Geometric(factor), least: 0.0 }
    }

    /// `first / (k + 1)^exponent` at step `k`. The theory asks for exponents above 1.
    pub fn power(first: f64, exponent: f64) -> Self {
        Tolerances { first, fall: Fall::Power(exponent), least: 0.0 }
    }

    /// No tolerance below this. Default: 0, for as much as rounding allows.
    pub fn least(mut self, least: f64) -> Self {
        self.least = least;
        self
    }

    pub(super) fn at(&self, step: usize) -> f64 {
        let tolerance = match self.fall {
            Fall::Geometric(factor) => self.first * factor.powf(step as f64),
            Fall::Power(exponent) => self.first / (step as f64 + 1.0).powf(exponent),
        };
        tolerance.max(self.least)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let fall = match self.fall {
            Fall::Geometric(factor) if factor > 0.0 && factor <= 1.0 => Ok(()),
            Fall::Geometric(factor) => Err(("Tolerances::geometric", factor, "above 0 and at most 1")),
            Fall::Power(exponent) if exponent.is_finite() && exponent >= 0.0 => Ok(()),
            Fall::Power(exponent) => Err(("Tolerances::power", exponent, "finite and not negative")),
        };
        let sizes = [("the first of Tolerances", self.first), ("Tolerances::least", self.least)];
        let sizes = sizes.into_iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0));
        let wrong = fall.err().or(sizes.map(|(setting, value)| (setting, value, "finite and not negative")));
        wrong.map_or(Ok(()), |(setting, value, requirement)| Err(Error::InvalidSetting { setting, value, requirement }))
    }
}

/// What an outer minimisation does beside its steps.
pub(super) struct Driver<'p, P: BilevelProblem> {
    pub(super) start: Start,
    pub(super) tolerances: Option<Tolerances>,
    pub(super) on_step: Option<OnStep<'p, P>>,
    pub(super) held_out: Option<HeldOut<'p, P>>,
    /// A file, and after how many steps it is written.
    pub(super) checkpoint: Option<(PathBuf, usize)>,
    pub(super) cold_gap: bool,
    pub(super) progress: Progress,
}

impl<P: BilevelProblem> Default for Driver<'_, P> {
    fn default() -> Self {
        Driver {
            start: Start::default(),
            tolerances: None,
            on_step: None,
            held_out: None,
            checkpoint: None,
            cold_gap: false,
            progress: Progress::default(),
        }
    }
}

/// A loss on held-out data, and how many steps may pass without a new lowest one.
pub(super) struct HeldOut<'p, P: BilevelProblem> {
    pub(super) loss: HeldOutLoss<'p, P>,
    pub(super) patience: usize,
}

pub(super) type HeldOutLoss<'p, P> = Box<dyn FnMut(&<P as BilevelProblem>::Outer, &<P as BilevelProblem>::Inner) -> f64 + 'p>;

pub(super) type OnStep<'p, P> = Box<dyn FnMut(&Step<'_, P>) -> ControlFlow<()> + 'p>;
