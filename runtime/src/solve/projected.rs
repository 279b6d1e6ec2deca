//! Outer steps that stay within bounds.

use super::OuterOptimizer;
use crate::{Error, Float};

/// Makes the steps of another optimiser and takes every element back to the nearest number between two bounds (projected gradient descent, for that of
/// [`GradientDescent`](super::GradientDescent)).
///
/// A start outside of the bounds is taken into them by the first step. For bounds that are never to be touched see [`Reparametrized`](super::Reparametrized).
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Projected<O> {
    optimizer: O,
    lower: f64,
    upper: f64,
}

impl<O> Projected<O> {
    /// Keeps the outer variable between two numbers, of which either may be infinite.
    pub fn new(optimizer: O, lower: f64, upper: f64) -> Self {
        Projected { optimizer, lower, upper }
    }
}

impl<T: Float, O: OuterOptimizer<T>> OuterOptimizer<T> for Projected<O> {
    type State = O::State;

    fn state(&self, n: usize) -> Result<O::State, Error> {
        let (setting, requirement) = ("Projected::new", "not NaN, and the lower bound not above the upper one");
        if self.lower.is_nan() || self.lower > self.upper {
            return Err(Error::InvalidSetting { setting, value: self.lower, requirement });
        }
        if self.upper.is_nan() {
            return Err(Error::InvalidSetting { setting, value: self.upper, requirement });
        }
        self.optimizer.state(n)
    }

    fn step(&self, state: &mut O::State, gradient: &[T], variable: &mut [T]) {
        self.optimizer.step(state, gradient, variable);
        let (lower, upper) = (T::from_f64(self.lower), T::from_f64(self.upper));
        for x in variable {
            // What is not a number stays one, and is reported.
            if *x < lower {
                *x = lower;
            } else if *x > upper {
                *x = upper;
            }
        }
    }

    fn save(&self, state: &O::State) -> Vec<f64> {
        self.optimizer.save(state)
    }

    fn restore(&self, state: &mut O::State, saved: &[f64]) -> bool {
        self.optimizer.restore(state, saved)
    }
}
