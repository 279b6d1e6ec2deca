//! Optimisers: for the inner problem, to a stationary point, and for the outer one, step by step.

mod fixed_point;
mod gradient_descent;
mod lbfgs;
mod line_search;
mod newton_cg;
mod outer_lbfgs;
mod projected;
mod reparametrized;
mod sign_descent;

use std::fmt;

pub use crate::updates::{Adam, AdamW, Hyper, Momentum, Nesterov, RmsProp, Update};
pub use fixed_point::{Anderson, AndersonMemory, Broyden, BroydenMemory, Picard, PicardMemory};
pub use gradient_descent::{GradientDescent, GradientDescentMemory};
pub use lbfgs::{Lbfgs, LbfgsMemory};
pub use newton_cg::{NewtonCg, NewtonCgMemory};
pub use outer_lbfgs::LbfgsState;
pub use projected::Projected;
pub use reparametrized::{Reparametrized, ReparametrizedState};
pub use sign_descent::{SignDescent, SignState};

use crate::{Error, Float, vector};

/// A twice differentiable function of a vector.
pub trait Objective<T: Float> {
    /// The value at `w`, and the gradient written to `gradient`.
    fn value_and_grad(&mut self, w: &[T], gradient: &mut [T]) -> T;

    /// Linearizes the gradient at `w` for [`curvature_apply`](Self::curvature_apply).
    fn curvature(&mut self, w: &[T]);

    /// `product ← ∇²f · v` at the point of the last [`curvature`](Self::curvature).
    fn curvature_apply(&mut self, v: &[T], product: &mut [T]);
}

/// A way to find a stationary point of an inner loss.
///
/// Every solver stops as soon as `‖∇f‖₂` is at most its tolerance, also before its first step. It allocates nothing while it iterates.
pub trait InnerSolver<T: Float>: Clone + fmt::Debug {
    /// Vectors that one solve needs, kept from one solve to the next.
    type Memory;

    /// Checks the settings and makes the memory for `n` variables.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`]
    fn memory(&self, n: usize) -> Result<Self::Memory, Error>;

    /// Minimises from `w`, in place.
    ///
    /// # Errors
    /// [`Error::NonFinite`] where the loss or its gradient is not finite at the start or wherever the solver can go from an iterate,
    /// [`Error::UnboundedBelow`] where it decreases without end. Running out of iterations is not an error: see [`InnerOutcome::stop`].
    fn minimize(&self, objective: &mut impl Objective<T>, w: &mut [T], memory: &mut Self::Memory) -> Result<InnerOutcome, Error>;

    /// The same solver with another norm `‖∇f‖₂` to reach.
    #[must_use]
    fn at_tolerance(&self, tolerance: f64) -> Self;

    /// The same solver with at most so many iterations.
    #[must_use]
    fn limited(&self, max_iterations: usize) -> Self;
}

/// A way to improve the outer variable, one hypergradient at a time.
pub trait OuterOptimizer<T: Float>: fmt::Debug {
    /// What is carried from step to step.
    type State;

    /// Checks the settings and makes the state before the first step for `n` variables.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`]
    fn state(&self, n: usize) -> Result<Self::State, Error>;

    /// One step from `variable`, where the hypergradient is `gradient`, in place.
    fn step(&self, state: &mut Self::State, gradient: &[T], variable: &mut [T]);

    /// All numbers of the state, for a file.
    fn save(&self, state: &Self::State) -> Vec<f64>;

    /// Puts what [`save`](Self::save) gave into a state of the same number of variables. Says whether it fits.
    fn restore(&self, state: &mut Self::State, saved: &[f64]) -> bool;
}

/// How an inner solve went.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InnerOutcome {
    /// Why the solver stopped.
    pub stop: InnerStop,
    /// The loss at the result.
    pub value: f64,
    /// `‖∇f‖₂` at the result.
    pub gradient_norm: f64,
    /// Iterations made.
    pub n_iterations: usize,
    /// Evaluations of the loss and its gradient.
    pub n_evaluations: usize,
}

impl InnerOutcome {
    /// Whether the gradient met the tolerance.
    #[must_use]
    pub fn is_converged(&self) -> bool {
        self.stop == InnerStop::Converged
    }
}

/// Why an inner solver stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InnerStop {
    /// The gradient met the tolerance.
    Converged,
    /// The iterations allowed were made.
    MaxIterations,
    /// Rounding, or a kink, hides every further decrease.
    NoProgress,
    /// The steps of an unrolled method were made, which do not ask for convergence.
    AllSteps,
}

impl InnerStop {
    /// The reason in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            InnerStop::Converged => "converged",
            InnerStop::MaxIterations => "all iterations used",
            InnerStop::NoProgress => "no further progress",
            InnerStop::AllSteps => "all steps made",
        }
    }
}

impl fmt::Display for InnerStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much of a loss is rounding: a difference below this times its value may be noise.
fn noise<T: Float>() -> T {
    T::EPSILON.powf(T::from_f64(2.0 / 3.0))
}

/// The tolerance on the norm of the gradient: what the user set, or the square root of the machine epsilon.
fn gradient_tolerance<T: Float>(setting: Option<f64>) -> T {
    setting.map_or_else(|| T::EPSILON.sqrt(), T::from_f64)
}

fn check_tolerance(setting: &'static str, value: Option<f64>) -> Result<(), Error> {
    match value {
        Some(value) if !(value.is_finite() && value >= 0.0) => {
            Err(Error::InvalidSetting { setting, value, requirement: "finite and not negative" })
        }
        Some(_) | None => Ok(()),
    }
}

/// Watches a solve from iterate to iterate: counts, and knows when it must end.
struct Watch<T> {
    tolerance: T,
    max_iterations: usize,
    patience: usize,
    start_value: T,
    start_norm: T,
    /// Loss and norm of the gradient at the last iterates that were visibly better. What stands still is compared with these and not with the iterate before:
    /// small steps add up.
    last_value: T,
    last_gradient_norm: T,
    n_without_progress: usize,
    n_iterations: usize,
    n_evaluations: usize,
}

impl<T: Float> Watch<T> {
    /// Begins at an evaluated point. After `patience` iterations without visible progress the solve ends.
    fn new(tolerance: T, max_iterations: usize, patience: usize, w: &[T], value: T, gradient: &[T]) -> Result<Self, Error> {
        let watch = Watch {
            tolerance,
            max_iterations,
            patience,
            start_value: value,
            start_norm: vector::norm(w),
            last_value: value,
            last_gradient_norm: T::infinity(),
            n_without_progress: 0,
            n_iterations: 0,
            n_evaluations: 1,
        };
        watch.check_finite(value, vector::norm(gradient)).map(|()| watch)
    }

    /// The end of the solve at an iterate, if it has come.
    fn end(&mut self, w: &[T], value: T, gradient_norm: T) -> Result<Option<InnerOutcome>, Error> {
        if gradient_norm <= self.tolerance {
            return Ok(Some(self.outcome(InnerStop::Converged, value, gradient_norm)));
        }
        let norm = vector::norm(w);
        if value < self.start_value && norm > unreachable_norm(self.start_norm) {
            return Err(self.unbounded(value, norm));
        }
        self.n_without_progress += 1;
        if value < self.last_value - T::from_f64(4.0) * T::EPSILON * self.last_value.abs() {
            self.last_value = value;
            self.n_without_progress = 0;
        }
        if gradient_norm < T::from_f64(0.98) * self.last_gradient_norm {
            self.last_gradient_norm = gradient_norm;
            self.n_without_progress = 0;
        }
        if self.n_without_progress > self.patience {
            return Ok(Some(self.outcome(InnerStop::NoProgress, value, gradient_norm)));
        }
        if self.n_iterations == self.max_iterations {
            return Ok(Some(self.outcome(InnerStop::MaxIterations, value, gradient_norm)));
        }
        Ok(None)
    }

    fn outcome(&self, stop: InnerStop, value: T, gradient_norm: T) -> InnerOutcome {
        InnerOutcome {
            stop,
            value: value.to_f64(),
            gradient_norm: gradient_norm.to_f64(),
            n_iterations: self.n_iterations,
            n_evaluations: self.n_evaluations,
        }
    }

    /// Fails where the loss or its gradient is not finite.
    fn check_finite(&self, value: T, gradient_norm: T) -> Result<(), Error> {
        let (quantity, value) = if !value.is_finite() {
            ("the inner loss", value)
        } else if !gradient_norm.is_finite() {
            ("the gradient of the inner loss", gradient_norm)
        } else {
            return Ok(());
        };
        Err(Error::NonFinite { quantity, step: Some(self.n_iterations), value: value.to_f64() })
    }

    fn unbounded(&self, value: T, norm: T) -> Error {
        Error::UnboundedBelow { step: self.n_iterations, value: value.to_f64(), norm: norm.to_f64() }
    }
}

/// A norm that no minimiser has, for a variable that started with norm `start`.
fn unreachable_norm<T: Float>(start: T) -> T {
    T::from_f64(1e15) * (T::one() + start)
}
