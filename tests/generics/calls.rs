//! Generic functions as helpers: of each other, of functions in one width or in both, of functions in other modules and crates, of losses.

use super::{distance, features, narrow, wide};
use bilevel::prelude::*;
use elsewhere::smoothness::{curvature, pseudo_huber};

mod here {
    use bilevel::prelude::*;

    /// Half the mean of the squares.
    #[differentiable]
    pub(crate) fn energy<F: Float>(x: &Array1<F>) -> F {
        (x * x).sum() * F::from_f64(0.5) / F::from(x.len()).unwrap()
    }
}

#[differentiable]
fn robust<F: Float>(w: &Array1<F>, x: &Array2<F>, delta: F) -> F {
    let mut total = here::energy(w) + curvature(w) * F::from_f64(0.25);
    for &r in x.dot(w).iter() {
        total += pseudo_huber(r, delta);
    }
    total
}

/// The same, written for one width and called from there.
#[differentiable]
fn robust_wide(w: &Array1<f64>, x: &Array2<f64>, delta: f64) -> f64 {
    let mut total = here::energy::<f64>(w) + curvature(w) * 0.25;
    for &r in x.dot(w).iter() {
        total += pseudo_huber(r, delta);
    }
    total
}

#[differentiable]
fn robust_narrow(w: &Array1<f32>, x: &Array2<f32>, delta: f32) -> f32 {
    robust(w, x, delta) * 1.0
}

fn weights() -> Array1<f64> {
    array![0.5, -1.25, 0.75]
}

#[test]
fn widths_agree_with_each_other_and_with_concrete_functions() {
    let (w, x, delta, t) = (weights(), features(), 0.75, (array![1.0, 0.5, -0.25], Array2::from_elem((4, 3), 0.125), -0.5));
    let (value, gradient) = robust::value_and_grad(&w, &x, delta);
    assert!((value - robust_wide(&w, &x, delta)).abs() < 1e-14);
    assert!(distance(&gradient, &robust_wide::grad(&w, &x, delta)) < 1e-14);
    let products = robust::hvp(&w, &x, delta, &t.0, &t.1, t.2);
    assert!(distance(&products, &robust_wide::hvp(&w, &x, delta, &t.0, &t.1, t.2)) < 1e-13);
    let (w32, x32) = (narrow(&w), narrow(&x));
    let in_f32 = robust::grad(&w32, &x32, 0.75_f32);
    assert!(distance(&(wide(&in_f32.0), wide(&in_f32.1), f64::from(in_f32.2)), &gradient) < 1e-6);
    assert_eq!(robust_narrow::grad(&w32, &x32, 0.75), in_f32);
    let t32 = (narrow(&t.0), narrow(&t.1));
    let products32 = robust::hvp(&w32, &x32, 0.75, &t32.0, &t32.1, -0.5_f32);
    assert!(distance(&(wide(&products32.0), wide(&products32.1), f64::from(products32.2)), &products) < 3e-6);
}

/// One helper in both widths, in one function.
#[differentiable]
fn in_both_widths(x: &Array1<f32>, y: &Array1<f64>) -> f64 {
    f64::from(here::energy(x)) + 3.0 * here::energy(y) + pseudo_huber::<f64>(y[0], 2.0)
}

#[test]
fn a_function_may_call_a_helper_in_both_widths() {
    let (x, y) = (array![1.0_f32, -2.0, 0.5], array![2.0_f64, -4.0]);
    let (x_bar, y_bar) = in_both_widths::grad(&x, &y);
    assert_eq!(x_bar, &x / 3.0);
    assert!(distance(&y_bar, &array![3.0 + 2.0 / 2.0_f64.sqrt(), -6.0]) < 1e-15, "{y_bar}");
}

/// Derivatives of generic functions inside of functions: one step of gradient descent, in the width of the caller.
#[differentiable]
fn after_a_step<F: Float>(w: &Array1<F>, x: &Array2<F>, rate: F) -> F {
    let gradient = grad!(robust(w, x, F::one()), w);
    robust(&(w - &(gradient * rate)), x, F::one())
}

#[differentiable]
fn after_a_narrow_step(w: &Array1<f32>, x: &Array2<f32>, rate: f32) -> f32 {
    let gradient = grad!(robust(w, x, 1.0), w);
    robust(&(w - &(gradient * rate)), x, 1.0)
}

#[test]
fn derivatives_inside_of_generic_functions_have_the_width_of_the_caller() {
    let (w, x, rate) = (weights(), features(), 0.1);
    let slope = after_a_step::grad(&w, &x, rate).2;
    let step = 1e-6;
    let difference = (after_a_step(&w, &x, rate + step) - after_a_step(&w, &x, rate - step)) / (2.0 * step);
    assert!((slope - difference).abs() < 1e-8, "{slope} {difference}");
    let (w32, x32) = (narrow(&w), narrow(&x));
    let in_f32 = after_a_step::grad(&w32, &x32, 0.1_f32);
    assert!((f64::from(in_f32.2) - slope).abs() < 1e-5);
    assert!(distance(&after_a_narrow_step::grad(&w32, &x32, 0.1), &in_f32) < 1e-6);
}

/// A problem in `f32` whose losses call generic functions: of this module, of others, of another crate.
#[bilevel]
mod tuning {
    use super::here::energy;
    use super::*;

    fn half<F: Float>(n: usize) -> F {
        if n > 0 { F::from_f64(0.5) } else { F::zero() }
    }

    #[inner(minimize = w)]
    pub fn train(w: &Array1<f32>, log_l2: &f32, x: &Array2<f32>, y: &Array1<f32>) -> f32 {
        energy(&(x.dot(w) - y)) + log_l2.exp() * curvature(w) + half::<f32>(w.len()) * (w * w).sum() * 0.1
    }

    #[outer(minimize = log_l2)]
    pub fn validate(w: &Array1<f32>, x_val: &Array2<f32>, y_val: &Array1<f32>) -> f32 {
        energy(&(x_val.dot(w) - y_val))
    }
}

#[test]
fn losses_call_generic_functions() -> Result<(), bilevel::Error> {
    let x = narrow(&features());
    let y = array![1.0, 0.5, -0.5, 0.25];
    let problem = tuning::Problem { x: &x, y: &y, x_val: &(&x * 0.9), y_val: &(&y * 1.1) };
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-5)).inner(NewtonCg::default().tolerance(1e-5));
    let at = |log_l2: f32, solver: &mut bilevel::solver::Solver<'_, tuning::Problem<'_>, _, _>| {
        solver.hypergradient(&log_l2, &Array1::zeros(3)).map(|h| (f64::from(h.value), f64::from(h.gradient)))
    };
    let (_, slope) = at(-1.0, &mut solver)?;
    let difference = (at(-0.98, &mut solver)?.0 - at(-1.02, &mut solver)?.0) / 0.04;
    assert!((slope - difference).abs() < 2e-3 * slope.abs().max(1e-2), "{slope} {difference}");
    Ok(())
}
