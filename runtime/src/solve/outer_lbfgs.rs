//! Limited-memory BFGS as an outer optimiser: without a line search, since every value costs an inner solve.

use super::OuterOptimizer;
use super::lbfgs::{History, Lbfgs};
use crate::{Error, Float, vector};

/// What [`Lbfgs`] carries as an outer optimiser.
#[derive(Debug, Clone)]
pub struct LbfgsState<T> {
    history: History<T>,
    /// Where the last step began, and the hypergradient there.
    variable: Vec<T>,
    gradient: Vec<T>,
    direction: Vec<T>,
    n_steps: usize,
}

/// Steps along `−B h` for the inverse Hessian `B` that the last steps model. The first step, and every step where the model gives no descent, is one of steepest
/// descent; no step is longer than one, or than the variable if that is longer. Tolerance and iterations have no meaning here.
impl<T: Float> OuterOptimizer<T> for Lbfgs {
    type State = LbfgsState<T>;

    fn state(&self, n: usize) -> Result<LbfgsState<T>, Error> {
        Ok(LbfgsState {
            history: self.history(n)?,
            variable: vector::zeros(n),
            gradient: vector::zeros(n),
            direction: vector::zeros(n),
            n_steps: 0,
        })
    }

    fn step(&self, state: &mut LbfgsState<T>, gradient: &[T], variable: &mut [T]) {
        let LbfgsState { history, variable: last_variable, gradient: last_gradient, direction, n_steps } = state;
        if *n_steps > 0 {
            history.push(last_variable, variable, last_gradient, gradient);
        }
        history.descent_direction(gradient, direction);
        let slope = vector::dot(gradient, direction);
        if !(slope < T::zero() && slope.is_finite()) {
            history.clear();
            history.descent_direction(gradient, direction);
        }
        last_variable.copy_from_slice(variable);
        last_gradient.copy_from_slice(gradient);
        *n_steps += 1;
        let (length, longest) = (vector::norm(direction), T::one().max(vector::norm(variable)));
        let step = if length > longest { longest / length } else { T::one() };
        vector::axpy(step, direction, variable);
    }

    fn save(&self, state: &LbfgsState<T>) -> Vec<f64> {
        let LbfgsState { history, variable, gradient, n_steps, .. } = state;
        let mut saved = vec![*n_steps as f64];
        saved.extend(variable.iter().chain(gradient).map(|&x| Float::to_f64(x)));
        history.save(&mut saved);
        saved
    }

    fn restore(&self, state: &mut LbfgsState<T>, saved: &[f64]) -> bool {
        let n = state.variable.len();
        if saved.len() < 2 * n + 1 {
            return false;
        }
        state.n_steps = saved[0] as usize;
        let LbfgsState { history, variable, gradient, .. } = state;
        for (x, &s) in variable.iter_mut().chain(gradient).zip(&saved[1..]) {
            *x = T::from_f64(s);
        }
        history.restore(&saved[2 * n + 1..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quadratic_in_few_steps_and_the_same_after_a_restore() {
        let scales = [1.0, 10.0, 100.0, 3.0];
        let gradient = |x: &[f64]| -> Vec<f64> { x.iter().zip(scales).map(|(x, d)| d * (x - 1.0)).collect() };
        let lbfgs = Lbfgs::default();
        let mut state = OuterOptimizer::<f64>::state(&lbfgs, 4).unwrap();
        let mut x = vec![0.0; 4];
        for k in 0..60 {
            if k == 7 {
                let saved = OuterOptimizer::<f64>::save(&lbfgs, &state);
                let mut restored = OuterOptimizer::<f64>::state(&lbfgs, 4).unwrap();
                assert!(lbfgs.restore(&mut restored, &saved));
                let (mut a, mut b) = (x.clone(), x.clone());
                lbfgs.step(&mut restored, &gradient(&x), &mut a);
                lbfgs.step(&mut state.clone(), &gradient(&x), &mut b);
                assert_eq!(a, b);
                assert!(!lbfgs.restore(&mut restored, &saved[1..]));
            }
            let g = gradient(&x);
            lbfgs.step(&mut state, &g, &mut x);
        }
        assert!(x.iter().all(|x| (x - 1.0).abs() < 1e-6), "{x:?}");
    }
}
