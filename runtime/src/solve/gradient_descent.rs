//! Gradient descent: with a line search or fixed steps inside, with fixed steps outside.

use super::{InnerOutcome, InnerSolver, InnerStop, Objective, Watch, check_tolerance, gradient_tolerance, noise};
use crate::updates::Hyper;
use crate::{Error, Float, vector};

/// Decrease that a step must bring, as a fraction of what the slope promises.
const SUFFICIENT_DECREASE: f64 = 1e-4;
/// A step must fall below the largest of so many last values, which lets good steps through that a monotone search would cut.
const N_VALUES: usize = 10;

/// Gradient descent `w ← w − α ∇f`.
///
/// As an inner solver the step `α` is the Barzilai–Borwein step `sᵀs / sᵀy` of the last two iterates, halved until the loss falls below the
/// largest of its last ten values (the globalised Barzilai–Borwein method), unless [`new`](Self::new) has fixed it. As an outer optimiser
/// it takes the fixed step of [`new`](Self::new).
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct GradientDescent {
    learning_rate: Option<Hyper>,
    tolerance: Option<f64>,
    max_iterations: usize,
}

impl Default for GradientDescent {
    fn default() -> Self {
        GradientDescent { learning_rate: None, tolerance: None, max_iterations: 10_000 }
    }
}

/// Vectors of a solve by [`GradientDescent`].
#[derive(Debug, Clone)]
pub struct GradientDescentMemory<T> {
    gradient: Vec<T>,
    trial: Vec<T>,
    trial_gradient: Vec<T>,
}

impl GradientDescent {
    /// Steps of fixed length `learning_rate` times the gradient, without a line search.
    pub fn new(learning_rate: impl Into<Hyper>) -> Self {
        GradientDescent { learning_rate: Some(learning_rate.into()), ..GradientDescent::default() }
    }

    /// The norm `‖∇f‖₂` to reach. Default: the square root of the machine epsilon, 1.5·10⁻⁸ in `f64` and 3.5·10⁻⁴ in `f32`.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// The most iterations. Default: 10 000.
    pub fn max_iterations(mut self, max_iterations: usize) -> Self {
        self.max_iterations = max_iterations;
        self
    }

    /// The step length, if it is fixed.
    pub(crate) fn learning_rate(&self) -> Option<Hyper> {
        self.learning_rate
    }

    /// The fixed step length as a number, if there is one.
    fn constant_rate(&self) -> Result<Option<f64>, Error> {
        check_tolerance("GradientDescent::tolerance", self.tolerance)?;
        let setting = "GradientDescent::new";
        let Some(hyper) = self.learning_rate else { return Ok(None) };
        match hyper.constant() {
            Some(value) if value.is_finite() && value > 0.0 => Ok(Some(value)),
            Some(value) => Err(Error::InvalidSetting { setting, value, requirement: "finite and positive" }),
            None => Err(Error::HyperparameterNotConstant { setting, what: "a solver to a stationary point" }),
        }
    }
}

impl<T: Float> InnerSolver<T> for GradientDescent {
    type Memory = GradientDescentMemory<T>;

    fn memory(&self, n: usize) -> Result<GradientDescentMemory<T>, Error> {
        self.constant_rate()?;
        Ok(GradientDescentMemory { gradient: vector::zeros(n), trial: vector::zeros(n), trial_gradient: vector::zeros(n) })
    }

    fn at_tolerance(&self, tolerance: f64) -> Self {
        self.tolerance(tolerance)
    }

    fn limited(&self, max_iterations: usize) -> Self {
        self.max_iterations(max_iterations)
    }

    fn minimize(&self, objective: &mut impl Objective<T>, w: &mut [T], memory: &mut Self::Memory) -> Result<InnerOutcome, Error> {
        let GradientDescentMemory { gradient, trial, trial_gradient } = memory;
        let mut value = objective.value_and_grad(w, gradient);
        let mut watch = Watch::new(gradient_tolerance(self.tolerance), self.max_iterations, 200, w, value, gradient)?;
        let mut last_values = [value; N_VALUES];
        let fixed = self.constant_rate()?;
        let mut step = fixed.map_or_else(|| T::one().min(vector::norm(gradient).recip()), T::from_f64);
        loop {
            let gradient_norm = vector::norm(gradient);
            if let Some(outcome) = watch.end(w, value, gradient_norm)? {
                return Ok(outcome);
            }
            let decrease = T::from_f64(SUFFICIENT_DECREASE) * gradient_norm * gradient_norm;
            let reference = last_values.iter().fold(T::neg_infinity(), |largest, &value| largest.max(value));
            let ceiling = reference + noise::<T>() * value.abs();
            let mut barrier = value;
            let new_value = loop {
                vector::add_scaled(w, -step, gradient, trial);
                let new_value = objective.value_and_grad(trial, trial_gradient);
                watch.n_evaluations += 1;
                if new_value == T::neg_infinity() {
                    return Err(watch.unbounded(new_value, vector::norm(trial)));
                }
                if fixed.is_some() {
                    watch.check_finite(new_value, vector::norm(trial_gradient))?;
                    break new_value;
                }
                if trial == w {
                    watch.check_finite(barrier, gradient_norm)?;
                    return Ok(watch.outcome(InnerStop::NoProgress, value, gradient_norm));
                }
                if new_value <= ceiling - step * decrease && vector::all_finite(trial_gradient) {
                    break new_value;
                }
                if new_value.is_finite() {
                    step /= T::from_f64(2.0);
                } else {
                    barrier = new_value;
                    step /= T::from_f64(10.0);
                }
            };
            if fixed.is_none() {
                step = barzilai_borwein(step, gradient, trial_gradient);
            }
            w.copy_from_slice(trial);
            std::mem::swap(gradient, trial_gradient);
            value = new_value;
            watch.n_iterations += 1;
            last_values[watch.n_iterations % N_VALUES] = value;
        }
    }
}

/// `sᵀs / sᵀy` for the step `s = −α ∇f` just made; where there was no positive curvature along it, ten times its length.
fn barzilai_borwein<T: Float>(step: T, gradient: &[T], new_gradient: &[T]) -> T {
    let square = vector::dot(gradient, gradient);
    let change = square - vector::dot(gradient, new_gradient);
    let next = step * square / change;
    if change > T::zero() && next.is_finite() { next } else { T::from_f64(10.0) * step }
}
