//! Outer variables that are functions of free ones.

use super::OuterOptimizer;
use crate::{Error, Float, vector};

/// Makes the steps of another optimiser in free variables `u`, of which the outer variable is a function: `λ = T(u)`.
///
/// The gradient in `u` is `J_Tᵀ` times that in `λ`, so that the stationary points stay what they are, except where `T` saturates, and the way there
/// changes. The start has to lie inside of the range of `T`: where it does not, the first step gives elements that are not finite, which is an error.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Reparametrized<O> {
    optimizer: O,
    transform: Transform,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Transform {
    Exp,
    Softplus,
    Box { lower: f64, upper: f64 },
    Simplex,
}

impl<O> Reparametrized<O> {
    /// `λ = exp(u)`: positive numbers, moved by factors.
    pub fn exp(optimizer: O) -> Self {
        Reparametrized { optimizer, transform: Transform::Exp }
    }

    /// `λ = ln(1 + exp(u))`: positive numbers, moved by factors where they are small and by amounts where they are large.
    pub fn softplus(optimizer: O) -> Self {
        Reparametrized { optimizer, transform: Transform::Softplus }
    }

    /// `λ = lower + (upper − lower) / (1 + exp(−u))`: numbers strictly between two bounds.
    pub fn between(optimizer: O, lower: f64, upper: f64) -> Self {
        Reparametrized { optimizer, transform: Transform::Box { lower, upper } }
    }

    /// `λ = exp(u) / Σ exp(u)`: positive numbers that sum up to one, over all elements of the outer variable.
    pub fn simplex(optimizer: O) -> Self {
        Reparametrized { optimizer, transform: Transform::Simplex }
    }
}

/// What [`Reparametrized`] carries from step to step.
#[derive(Debug, Clone)]
pub struct ReparametrizedState<T, S> {
    free: Vec<T>,
    gradient: Vec<T>,
    /// Whether the free variables are those of the outer variable.
    known: bool,
    inner: S,
}

fn sigmoid<T: Float>(u: T) -> T {
    let e = (-u.abs()).exp();
    if u >= T::zero() { (T::one() + e).recip() } else { e / (T::one() + e) }
}

impl Transform {
    /// `u = T⁻¹(λ)`
    fn inverse<T: Float>(self, variable: &[T], free: &mut [T]) {
        for (u, &x) in free.iter_mut().zip(variable) {
            *u = match self {
                Transform::Exp | Transform::Simplex => x.ln(),
                // `ln(eˣ − 1)`, without overflow.
                Transform::Softplus => x + (-(-x).exp_m1()).ln(),
                Transform::Box { lower, upper } => ((x - T::from_f64(lower)) / (T::from_f64(upper) - x)).ln(),
            };
        }
    }

    /// `λ = T(u)`
    fn forward<T: Float>(self, free: &[T], variable: &mut [T]) {
        let largest = free.iter().copied().fold(T::neg_infinity(), T::max);
        for (x, &u) in variable.iter_mut().zip(free) {
            *x = match self {
                Transform::Exp => u.exp(),
                Transform::Softplus => u.max(T::zero()) + (-u.abs()).exp().ln_1p(),
                Transform::Box { lower, upper } => {
                    let (lower, upper) = (T::from_f64(lower), T::from_f64(upper));
                    lower + (upper - lower) * sigmoid(u)
                }
                Transform::Simplex => (u - largest).exp(),
            };
        }
        if self == Transform::Simplex {
            let total: T = variable.iter().copied().sum();
            vector::scale(total.recip(), variable);
        }
    }

    /// `J_Tᵀ h`
    fn pull_back<T: Float>(self, free: &[T], variable: &[T], gradient: &[T], free_gradient: &mut [T]) {
        let mean = vector::dot(variable, gradient);
        for (((out, &u), &x), &h) in free_gradient.iter_mut().zip(free).zip(variable).zip(gradient) {
            *out = match self {
                Transform::Exp => x * h,
                Transform::Softplus => sigmoid(u) * h,
                Transform::Box { lower, upper } => T::from_f64(upper - lower) * sigmoid(u) * sigmoid(-u) * h,
                Transform::Simplex => x * (h - mean),
            };
        }
    }
}

impl<T: Float, O: OuterOptimizer<T>> OuterOptimizer<T> for Reparametrized<O> {
    type State = ReparametrizedState<T, O::State>;

    fn state(&self, n: usize) -> Result<Self::State, Error> {
        if let Transform::Box { lower, upper } = self.transform
            && !(lower.is_finite() && upper.is_finite() && lower < upper)
        {
            return Err(Error::InvalidSetting {
                setting: "Reparametrized::between",
                value: lower,
                requirement: "finite, as the upper bound, and below it",
            });
        }
        Ok(ReparametrizedState { free: vector::zeros(n), gradient: vector::zeros(n), known: false, inner: self.optimizer.state(n)? })
    }

    fn step(&self, state: &mut Self::State, gradient: &[T], variable: &mut [T]) {
        let ReparametrizedState { free, gradient: free_gradient, known, inner } = state;
        if !*known {
            self.transform.inverse(variable, free);
            *known = true;
        }
        self.transform.pull_back(free, variable, gradient, free_gradient);
        self.optimizer.step(inner, free_gradient, free);
        self.transform.forward(free, variable);
    }

    fn save(&self, state: &Self::State) -> Vec<f64> {
        let free = state.free.iter().map(|&u| Float::to_f64(u));
        [f64::from(u8::from(state.known))].into_iter().chain(free).chain(self.optimizer.save(&state.inner)).collect()
    }

    fn restore(&self, state: &mut Self::State, saved: &[f64]) -> bool {
        let n = state.free.len();
        if saved.len() < n + 1 {
            return false;
        }
        state.known = saved[0] != 0.0;
        for (u, &x) in state.free.iter_mut().zip(&saved[1..]) {
            *u = T::from_f64(x);
        }
        self.optimizer.restore(&mut state.inner, &saved[n + 1..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solve::GradientDescent;

    const TRANSFORMS: [Transform; 4] =
        [Transform::Exp, Transform::Softplus, Transform::Box { lower: -1.0, upper: 3.0 }, Transform::Simplex];

    #[test]
    fn the_inverse_is_one() {
        for transform in TRANSFORMS {
            let variable = [0.2, 0.5, 0.3];
            let (mut free, mut again) = ([0.0_f64; 3], [0.0; 3]);
            transform.inverse(&variable, &mut free);
            transform.forward(&free, &mut again);
            assert!(again.iter().zip(variable).all(|(a, b)| (a - b).abs() < 1e-15), "{transform:?}: {again:?}");
        }
        // Far out nothing overflows.
        let mut out = [0.0_f64; 2];
        Transform::Softplus.forward(&[800.0, -800.0], &mut out);
        assert_eq!(out, [800.0, 0.0]);
        Transform::Simplex.forward(&[800.0, -800.0], &mut out);
        assert_eq!(out, [1.0, 0.0]);
        Transform::Softplus.inverse(&[800.0, 1e-300], &mut out);
        assert!(out[0] == 800.0 && (out[1] + 690.775_527_898_213_7).abs() < 1e-9, "{out:?}");
    }

    #[test]
    fn the_pull_back_is_the_transposed_jacobian() {
        for transform in TRANSFORMS {
            let (free, h, d) = ([0.3, -1.0, 0.8], [0.7, -0.2, 1.1], [0.5, 1.0, -0.6]);
            let (mut x, mut up, mut down, mut pulled) = ([0.0_f64; 3], [0.0; 3], [0.0; 3], [0.0; 3]);
            transform.forward(&free, &mut x);
            transform.pull_back(&free, &x, &h, &mut pulled);
            let e = 1e-5;
            let shifted = |sign: f64| [0, 1, 2].map(|i| free[i] + sign * e * d[i]);
            transform.forward(&shifted(1.0), &mut up);
            transform.forward(&shifted(-1.0), &mut down);
            let tangent: f64 = (0..3).map(|i| h[i] * (up[i] - down[i]) / (2.0 * e)).sum();
            let cotangent: f64 = (0..3).map(|i| pulled[i] * d[i]).sum();
            assert!((tangent - cotangent).abs() < 1e-9, "{transform:?}: {tangent} {cotangent}");
        }
    }

    #[test]
    fn steps_stay_in_the_range_and_reach_the_minimum() {
        // ½‖λ − t‖², of which the minimum on the simplex, for a t on it, is t.
        let target = [0.2, 0.5, 0.3];
        for (transform, start) in TRANSFORMS.into_iter().zip([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 2.0, -0.5], [0.1, 0.1, 0.8]]) {
            let optimizer = Reparametrized { optimizer: GradientDescent::new(0.5), transform };
            let mut state = OuterOptimizer::<f64>::state(&optimizer, 3).unwrap();
            let mut variable = start;
            for _ in 0..2000 {
                let gradient = [0, 1, 2].map(|i| variable[i] - target[i]);
                optimizer.step(&mut state, &gradient, &mut variable);
                assert!(transform == (Transform::Box { lower: -1.0, upper: 3.0 }) || variable.iter().all(|x| *x > 0.0));
            }
            assert!(variable.iter().zip(target).all(|(x, t)| (x - t).abs() < 1e-8), "{transform:?}: {variable:?}");
        }
    }

    #[test]
    fn a_start_outside_of_the_range_is_not_finite() {
        let optimizer = Reparametrized::exp(GradientDescent::new(0.1));
        let mut state = OuterOptimizer::<f64>::state(&optimizer, 1).unwrap();
        let mut variable = [-1.0];
        optimizer.step(&mut state, &[1.0], &mut variable);
        assert!(variable[0].is_nan());
        assert!(OuterOptimizer::<f64>::state(&Reparametrized::between(GradientDescent::new(0.1), 1.0, 0.0), 1).is_err());
    }
}
