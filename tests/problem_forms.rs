//! `#[bilevel]` on problems of every form that users write: several variables, numbers, views, tuples, both float types, helpers and constants. Each
//! hypergradient is compared with central differences of the problem solved again, or with its closed form.

#![deny(warnings)]

use bilevel::condition::Gradient;
use bilevel::prelude::*;
use bilevel::{LossesReadOuter, Params};

fn vector(n: usize) -> Array1<f64> {
    Array1::from_iter((0..n).map(|i| (1.7 * i as f64 + 0.3).sin()))
}

fn matrix(n: usize, m: usize) -> Array2<f64> {
    Array2::from_shape_fn((n, m), |(i, j)| (0.9 * i as f64 - 1.3 * j as f64 + 0.2).cos())
}

/// The hypergradient, checked along each coordinate against differences of the outer loss at re-solved inner problems.
fn checked<P: LossesReadOuter<Condition = Gradient, Float = f64>>(
    problem: &P,
    outer: &P::Outer,
    inner: &P::Inner,
    tolerance: f64,
) -> Vec<f64> {
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-12)).inner(NewtonCg::default().tolerance(1e-12));
    let h = solver.hypergradient(outer, inner).unwrap_or_else(|e| panic!("{e}"));
    let flat = |p: &P::Outer| {
        let mut out = vec![0.0; p.n_elements()];
        p.write_to(&mut out);
        out
    };
    let (point, gradient) = (flat(outer), flat(&h.gradient));
    for k in 0..point.len() {
        let mut value = |t: f64| {
            let mut moved = point.clone();
            moved[k] += t;
            solver.hypergradient(&outer.with_elements(&moved), inner).unwrap_or_else(|e| panic!("{e}")).value
        };
        let step = 1e-4;
        let expected = (8.0 * (value(step) - value(-step)) - (value(2.0 * step) - value(-2.0 * step))) / (12.0 * step);
        assert!((gradient[k] - expected).abs() <= tolerance * (1.0 + expected.abs()), "{k}: {} and {expected}", gradient[k]);
    }
    gradient
}

#[bilevel]
mod scalars {
    const TARGET: f64 = 3.0 * THIRD;
    const THIRD: f64 = 1.0 / 3.0;

    fn square(x: f64) -> f64 {
        x * x
    }

    /// `w* = shift / (1 + l)`
    #[inner(minimize = w)]
    fn train(w: &f64, l: &f64, shift: f64) -> f64 {
        0.5 * square(*w - shift) + 0.5 * *l * square(*w) - 0.5 * square(shift)
    }

    #[outer(minimize = l)]
    fn validate(w: &f64) -> f64 {
        square(*w - TARGET)
    }
}

#[test]
fn numbers_as_variables_and_data() {
    let problem = scalars::Problem { shift: 2.0 };
    let l = 0.5;
    let gradient = checked(&problem, &l, &0.0, 1e-8);
    let w = 2.0 / (1.0 + l);
    let expected = 2.0 * (w - 1.0) * (-w / (1.0 + l));
    assert!((gradient[0] - expected).abs() < 1e-12, "{} and {expected}", gradient[0]);
}

#[bilevel]
mod without_data {
    #[inner(minimize = w)]
    fn train(w: &f64, l: &f64) -> f64 {
        (w - l).powi(2)
    }

    #[outer(minimize = l)]
    fn validate(w: &f64, l: &f64) -> f64 {
        w * w * w + l
    }
}

#[test]
fn a_problem_without_data() {
    let gradient = checked(&without_data::Problem {}, &0.7, &0.0, 1e-8);
    assert!((gradient[0] - (3.0 * 0.49 + 1.0)).abs() < 1e-12);
}

#[bilevel]
mod several {
    use super::*;

    fn predict(w: &Array2<f64>, b: &Array1<f64>, x: ArrayView2<'_, f64>) -> Array2<f64> {
        (x.dot(w) + b).tanh()
    }

    #[inner(minimize(w, b))]
    pub(super) fn train(
        w: &Array2<f64>,
        b: &Array1<f64>,
        penalty: &(Array1<f64>, f64),
        x: ArrayView2<'_, f64>,
        y: &Array2<f64>,
        weights: Array1<f64>,
        temperature: &f64,
    ) -> f64 {
        let (rows, rest) = penalty;
        let residual = predict(w, b, x) - y * *temperature;
        let losses = residual.pow2().sum_axis(Axis(1));
        losses.dot(&weights) + (w.pow2().sum_axis(Axis(1)) * rows.exp()).sum() + rest.exp() * (b * b).sum()
    }

    #[outer(minimize(penalty, temperature))]
    pub(super) fn validate(b: &Array1<f64>, w: &Array2<f64>, temperature: &f64, x_val: &Array2<f64>, y_val: &Array2<f64>) -> f64 {
        mse(&predict(w, b, x_val.view()), y_val) + 0.1 * *temperature
    }
}

#[test]
fn several_variables_of_every_form() {
    let (x, y) = (matrix(8, 3), matrix(8, 2).sin());
    let (x_val, y_val) = (matrix(5, 3).cos(), matrix(5, 2));
    let weights = vector(8).exp();
    let problem = several::Problem { x: x.view(), y: &y, weights: &weights, x_val: &x_val, y_val: &y_val };
    let outer = ((vector(3), -0.5), 0.8);
    checked(&problem, &outer, &(Array2::zeros((3, 2)), Array1::zeros(2)), 1e-7);
    // The losses stay what they were.
    let (w, b) = (matrix(3, 2), vector(2));
    assert!(several::train(&w, &b, &outer.0, x.view(), &y, weights, &0.8) > 0.0);
    assert!(several::validate(&b, &w, &0.8, &x_val, &y_val) > 0.0);
}

#[bilevel]
mod control_flow {
    use super::*;

    /// Polynomial regression with a penalty that grows with the degree.
    #[inner(minimize = w)]
    fn train(w: &Array1<f64>, growth: &Array1<f64>, x: &Array1<f64>, y: &Array1<f64>, robust: bool) -> f64 {
        let mut total = 0.0;
        for i in 0..x.len() {
            let mut p = 0.0;
            for k in (0..w.len()).rev() {
                p = p * x[i] + w[k];
            }
            let r = p - y[i];
            total += if robust { (r * r + 1.0).sqrt() - 1.0 } else { 0.5 * r * r };
        }
        let mut weight = growth[0].exp();
        for k in 0..w.len() {
            total += weight * w[k] * w[k];
            weight *= growth[1];
        }
        total
    }

    #[outer(minimize = growth)]
    fn validate(w: &Array1<f64>, t: &Array1<f64>) -> f64 {
        (w - t).mapv(|d| if d > 0.0 { d * d } else { 2.0 * d * d }).sum()
    }
}

#[test]
fn loops_and_branches_in_both_losses() {
    let (x, y, t) = (vector(9), vector(9).cos(), array![0.5, -0.2, 0.1]);
    for robust in [false, true] {
        let problem = control_flow::Problem { x: &x, y: &y, robust, t: &t };
        checked(&problem, &array![-2.0, 1.5], &Array1::zeros(3), 1e-6);
    }
}

#[bilevel]
mod computed_lengths {
    use super::*;

    /// The number of terms is data: what the loop keeps for the curvature is as long.
    #[inner(minimize = w)]
    fn train(w: &Array1<f64>, l: &Array1<f64>, n: usize, t: ArrayView2<'_, f64>, first: usize) -> f64 {
        let mut s = 0.0;
        for i in 0..n {
            s += ((w[i % 3] - t[[i % 3, 1]]).powi(2) + 1.0).ln() * l[i % 2].exp();
        }
        for i in first..n {
            s += (w[0] * i as f64).cos() * 0.01 * l[1];
        }
        s + (w * w).sum() * 0.5
    }

    #[outer(minimize = l)]
    fn validate(w: &Array1<f64>, n: usize) -> f64 {
        let mut s = 0.0;
        for i in 0..n {
            s += (w[i % 3] * i as f64).sin();
        }
        s
    }
}

#[test]
fn loops_as_long_as_data_says() {
    let t = matrix(2, 3);
    for n in [0, 1, 4] {
        let problem = computed_lengths::Problem { n, t: t.t(), first: 2 };
        checked(&problem, &array![-0.5, 0.3], &Array1::zeros(3), 1e-7);
    }
}

#[bilevel]
mod narrow {
    use super::*;

    #[inner(minimize = w)]
    fn train(w: &Array1<f32>, l: &f32, t: &Array1<f32>) -> f32 {
        0.5 * (w - t).pow2().sum() + 0.5 * *l * w.dot(w)
    }

    #[outer(minimize = l)]
    fn validate(w: &Array1<f32>) -> f32 {
        w.sum()
    }
}

#[test]
fn single_precision() {
    let t = array![1.0_f32, 2.0, -0.5];
    let problem = narrow::Problem { t: &t };
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-6)).inner(Lbfgs::default().tolerance(1e-5));
    let h = solver.hypergradient(&1.0, &Array1::zeros(3)).unwrap_or_else(|e| panic!("{e}"));
    assert!((h.gradient + t.sum() / 4.0).abs() < 1e-5, "{}", h.gradient);
}

#[test]
fn data_that_does_not_fit_is_one_error_that_names_it() {
    let (x, y, y_short) = (vector(9), vector(9), vector(8));
    let error = |y: &Array1<f64>, t: &Array1<f64>| {
        let problem = control_flow::Problem { x: &x, y, robust: false, t };
        problem.solver(Implicit::cg()).hypergradient(&array![-2.0, 1.5], &Array1::zeros(3)).unwrap_err().to_string()
    };
    let found = error(&y, &array![0.5, f64::NAN, 0.0]);
    assert!(found.contains("`t`"), "{found}");
    let found = error(&y, &array![0.5]);
    assert!(found.contains("`t`") && found.contains("`w`"), "{found}");
    let found = error(&y_short, &array![0.5, 0.1, 0.2]);
    assert!(found.contains("`y`"), "{found}");
}
