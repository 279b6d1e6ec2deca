//! Adam, as an outer optimiser.

use super::OuterOptimizer;
use crate::{Error, Float, vector};

/// Adam: `λ ← λ − α m̂ / (√v̂ + ε)` for the running means `m̂` of the gradient and `v̂` of its square, both corrected for their start at
/// zero.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Adam {
    learning_rate: f64,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
}

/// What [`Adam`] carries from step to step.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamState<T> {
    mean: Vec<T>,
    mean_square: Vec<T>,
    n_steps: i32,
}

impl Adam {
    /// Adam with the step size `α`, which is about how far each variable moves in one step.
    pub fn new(learning_rate: f64) -> Self {
        Adam { learning_rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }

    /// How much of the mean of the gradient is kept per step. Default: 0.9.
    pub fn beta1(mut self, beta1: f64) -> Self {
        self.beta1 = beta1;
        self
    }

    /// How much of the mean of the squared gradient is kept per step. Default: 0.999.
    pub fn beta2(mut self, beta2: f64) -> Self {
        self.beta2 = beta2;
        self
    }

    /// The `ε` that keeps the divisor from zero. Default: 10⁻⁸.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }
}

impl<T: Float> OuterOptimizer<T> for Adam {
    type State = AdamState<T>;

    fn state(&self, n: usize) -> Result<AdamState<T>, Error> {
        for (setting, value) in [("Adam::new", self.learning_rate), ("Adam::epsilon", self.epsilon)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::InvalidSetting { setting, value, requirement: "finite and positive" });
            }
        }
        for (setting, value) in [("Adam::beta1", self.beta1), ("Adam::beta2", self.beta2)] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::InvalidSetting { setting, value, requirement: "at least 0 and below 1" });
            }
        }
        Ok(AdamState { mean: vector::zeros(n), mean_square: vector::zeros(n), n_steps: 0 })
    }

    fn step(&self, state: &mut AdamState<T>, gradient: &[T], variable: &mut [T]) {
        state.n_steps = state.n_steps.saturating_add(1);
        let (beta1, beta2, epsilon) = (T::from_f64(self.beta1), T::from_f64(self.beta2), T::from_f64(self.epsilon));
        let rate = T::from_f64(self.learning_rate / (1.0 - self.beta1.powi(state.n_steps)));
        let correction = T::from_f64((1.0 - self.beta2.powi(state.n_steps)).recip());
        let moments = state.mean.iter_mut().zip(&mut state.mean_square);
        for ((variable, &gradient), (mean, mean_square)) in variable.iter_mut().zip(gradient).zip(moments) {
            *mean = beta1 * *mean + (T::one() - beta1) * gradient;
            *mean_square = beta2 * *mean_square + (T::one() - beta2) * gradient * gradient;
            *variable -= rate * *mean / ((correction * *mean_square).sqrt() + epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_has_the_length_of_the_learning_rate_whatever_the_gradient() {
        let adam = Adam::new(0.1);
        let mut state = OuterOptimizer::<f64>::state(&adam, 3).unwrap();
        let mut variable = [1.0, 1.0, 1.0];
        adam.step(&mut state, &[1e3, -1e-3, 0.0], &mut variable);
        for (x, expected) in variable.iter().zip([0.9, 1.1, 1.0]) {
            assert!((x - expected).abs() < 1e-5);
        }
    }

    #[test]
    fn three_steps_equal_the_formula_written_out() {
        let gradients = [2.0, -1.0, 0.5];
        let (mut m, mut v, mut expected) = (0.0_f64, 0.0_f64, 3.0);
        for (k, g) in gradients.iter().enumerate() {
            let k = k as i32 + 1;
            m = 0.8 * m + 0.2 * g;
            v = 0.95 * v + 0.05 * g * g;
            expected -= 0.01 * (m / (1.0 - 0.8_f64.powi(k))) / ((v / (1.0 - 0.95_f64.powi(k))).sqrt() + 1e-6);
        }
        let adam = Adam::new(0.01).beta1(0.8).beta2(0.95).epsilon(1e-6);
        let mut state = OuterOptimizer::<f64>::state(&adam, 1).unwrap();
        let mut variable = [3.0];
        for gradient in gradients {
            adam.step(&mut state, &[gradient], &mut variable);
        }
        assert!((variable[0] - expected).abs() < 1e-15);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for adam in [Adam::new(0.0), Adam::new(f64::NAN), Adam::new(0.1).beta1(1.0), Adam::new(0.1).beta2(-0.1)] {
            assert!(OuterOptimizer::<f64>::state(&adam, 1).is_err());
        }
    }
}
