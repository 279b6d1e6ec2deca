//! Outer steps of a length that the hypergradient does not scale.

use super::OuterOptimizer;
use crate::{Error, Float, vector};

/// Steps by the signs of the hypergradient, `λ_j ← λ_j − s_j sign(h_j)`, where the length `s_j` of every element falls by a factor each time that its sign flips.
///
/// For hypergradients whose signs can be trusted and whose lengths cannot: those of long inner runs, which grow or shrink by orders of magnitude. An
/// element with a hypergradient of zero stays where it is. Micaelli and Storkey, *Gradient-based hyperparameter optimization over long horizons* (2021).
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct SignDescent {
    step: f64,
    decay: f64,
}

impl SignDescent {
    /// Steps of this length at first.
    pub fn new(step: f64) -> Self {
        SignDescent { step, decay: 0.5 }
    }

    /// The factor at each change of sign. Default: 0.5.
    pub fn decay(mut self, decay: f64) -> Self {
        self.decay = decay;
        self
    }
}

/// The length of the next step of each element, and the sign of its last one, which is zero before there is one.
#[derive(Debug, Clone)]
pub struct SignState<T> {
    steps: Vec<T>,
    signs: Vec<T>,
}

impl<T: Float> OuterOptimizer<T> for SignDescent {
    type State = SignState<T>;

    fn state(&self, n: usize) -> Result<SignState<T>, Error> {
        let settings = [
            ("SignDescent::new", self.step, self.step > 0.0 && self.step.is_finite(), "finite and positive"),
            ("SignDescent::decay", self.decay, self.decay > 0.0 && self.decay <= 1.0, "above 0 and at most 1"),
        ];
        if let Some((setting, value, _, requirement)) = settings.into_iter().find(|(_, _, holds, _)| !holds) {
            return Err(Error::InvalidSetting { setting, value, requirement });
        }
        Ok(SignState { steps: vec![T::from_f64(self.step); n], signs: vector::zeros(n) })
    }

    fn step(&self, state: &mut SignState<T>, gradient: &[T], variable: &mut [T]) {
        let (zero, one, decay) = (T::zero(), T::one(), T::from_f64(self.decay));
        for ((x, &h), (step, last)) in variable.iter_mut().zip(gradient).zip(state.steps.iter_mut().zip(&mut state.signs)) {
            let sign = if h > zero {
                one
            } else if h < zero {
                -one
            } else {
                // Zero, or what is not a number: that is to be seen, and not to be no step.
                h
            };
            if sign * *last < zero {
                *step *= decay;
            }
            if sign != zero {
                *last = sign;
            }
            *x -= *step * sign;
        }
    }

    fn save(&self, state: &SignState<T>) -> Vec<f64> {
        state.steps.iter().chain(&state.signs).map(|&x| Float::to_f64(x)).collect()
    }

    fn restore(&self, state: &mut SignState<T>, saved: &[f64]) -> bool {
        if saved.len() != 2 * state.steps.len() {
            return false;
        }
        for (x, &s) in state.steps.iter_mut().chain(&mut state.signs).zip(saved) {
            *x = T::from_f64(s);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_shrink_where_the_sign_flips() {
        let optimizer = SignDescent::new(0.5);
        let mut state = OuterOptimizer::<f64>::state(&optimizer, 3).unwrap();
        let mut x = [0.0; 3];
        for (gradient, expected) in [
            ([1e9, -1e-9, 0.0], [-0.5, 0.5, 0.0]),
            ([-2.0, -1.0, 1.0], [-0.25, 1.0, -0.5]),
            // A zero is no change of sign, and does not hide one.
            ([0.0, 0.0, 0.0], [-0.25, 1.0, -0.5]),
            ([3.0, -1.0, -1.0], [-0.375, 1.5, -0.25]),
        ] {
            optimizer.step(&mut state, &gradient, &mut x);
            assert_eq!(x, expected);
        }
        optimizer.step(&mut state, &[f64::NAN, 0.0, 0.0], &mut x);
        assert!(x[0].is_nan());
    }

    #[test]
    fn settings() {
        for optimizer in
            [SignDescent::new(0.0), SignDescent::new(f64::NAN), SignDescent::new(0.1).decay(0.0), SignDescent::new(0.1).decay(1.5)]
        {
            assert!(matches!(OuterOptimizer::<f64>::state(&optimizer, 1), Err(Error::InvalidSetting { .. })), "{optimizer:?}");
        }
    }
}
