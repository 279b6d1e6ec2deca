//! Calls between functions of one module, of other modules, and of another crate; derivatives inside of functions.

#![allow(unreachable_pub, reason = "the functions of a problem are public, as users write them")]

mod derivatives;
mod rules;

use bilevel::prelude::*;
use elsewhere::layers::{self, dense};
use elsewhere::{huber, robust_loss};

/// Defined below what calls it.
#[differentiable]
fn hidden_layer(x: &Array2<f64>, w: &Array2<f64>, b: &Array1<f64>) -> Array2<f64> {
    here::doubled(&dense(x, w, b))
}

mod here {
    use bilevel::prelude::*;

    #[differentiable]
    pub(crate) fn doubled(x: &Array2<f64>) -> Array2<f64> {
        x * factor::FACTOR
    }

    mod factor {
        use bilevel::prelude::*;

        #[differentiable]
        pub(super) const FACTOR: f64 = HALF * 4.0;

        #[differentiable]
        const HALF: f64 = 0.5;
    }
}

/// The same name as a function that it calls.
mod same_name {
    use bilevel::prelude::*;

    #[differentiable]
    pub(super) fn robust_loss(x: &Array2<f64>, w: &Array2<f64>, b: &Array1<f64>, v: &Array1<f64>, y: &Array1<f64>) -> f64 {
        0.5 * elsewhere::robust_loss(x, w, b, v, y)
    }
}

#[bilevel]
mod tuning {
    use super::*;

    fn penalty(log_l2: &Array2<f64>, w: &Array2<f64>) -> f64 {
        (log_l2.exp() * w * w).sum()
    }

    #[inner(minimize = w)]
    pub fn train(w: &Array2<f64>, log_l2: &Array2<f64>, x: &Array2<f64>, b: &Array1<f64>, v: &Array1<f64>, y: &Array1<f64>) -> f64 {
        same_name::robust_loss(x, w, b, v, y) + penalty(log_l2, w)
    }

    #[outer(minimize = log_l2)]
    pub fn validate(w: &Array2<f64>, x_val: &Array2<f64>, b: &Array1<f64>, v: &Array1<f64>, y_val: &Array1<f64>) -> f64 {
        mse(&hidden_layer(x_val, w, b).dot(v), y_val) + huber(w[[0, 0]])
    }
}

/// The same written out.
#[bilevel]
mod written_out {
    use super::*;

    fn huber(x: f64) -> f64 {
        if x.abs() <= 1.5 { 0.5 * x * x } else { 1.5 * (x.abs() - 0.75) }
    }

    fn dense(x: &Array2<f64>, w: &Array2<f64>, b: &Array1<f64>) -> Array2<f64> {
        (x.dot(w) + b).tanh()
    }

    #[inner(minimize = w)]
    pub fn train(w: &Array2<f64>, log_l2: &Array2<f64>, x: &Array2<f64>, b: &Array1<f64>, v: &Array1<f64>, y: &Array1<f64>) -> f64 {
        let residuals = dense(x, w, b).dot(v) - y;
        let mut total = 0.0;
        for i in 0..residuals.len() {
            total += huber(residuals[i]);
        }
        0.5 * (total / residuals.len() as f64) + (log_l2.exp() * w * w).sum()
    }

    #[outer(minimize = log_l2)]
    pub fn validate(w: &Array2<f64>, x_val: &Array2<f64>, b: &Array1<f64>, v: &Array1<f64>, y_val: &Array1<f64>) -> f64 {
        mse(&(dense(x_val, w, b) * 2.0).dot(v), y_val) + huber(w[[0, 0]])
    }
}

struct Data {
    x: Array2<f64>,
    w: Array2<f64>,
    b: Array1<f64>,
    v: Array1<f64>,
    y: Array1<f64>,
}

fn data() -> Data {
    let x = Array2::from_shape_fn((5, 3), |(i, j)| ((3 * i + 5 * j) as f64 * 0.7).sin());
    let w = Array2::from_shape_fn((3, 2), |(i, j)| ((i + 2 * j) as f64 * 1.3).cos());
    let y = Array1::from_shape_fn(5, |i| 3.0 * (i as f64 * 0.9).cos());
    Data { x, w, b: array![0.1, -0.3], v: array![1.2, -2.0], y }
}

#[test]
fn a_problem_calls_functions_of_other_modules_and_crates() {
    let Data { x, w, b, v, y } = data();
    let l2 = Array2::from_elem((3, 2), -2.0);
    let method = || Implicit::cg().tolerance(1e-12);
    let called = tuning::Problem { x: &x, b: &b, v: &v, y: &y, x_val: &x, y_val: &y };
    let called = called.solver(method()).inner(Lbfgs::default().tolerance(1e-9)).hypergradient(&l2, &w).unwrap();
    let written = written_out::Problem { x: &x, b: &b, v: &v, y: &y, x_val: &x, y_val: &y };
    let written = written.solver(method()).inner(Lbfgs::default().tolerance(1e-9)).hypergradient(&l2, &w).unwrap();
    assert_eq!(called.value, written.value);
    assert_eq!(called.gradient, written.gradient);
}

#[test]
fn functions_of_another_crate_have_their_companions() {
    let Data { x, w, b, v, y } = data();
    let (_, w_bar, ..) = robust_loss::grad(&x, &w, &b, &v, &y);
    let (_, half, ..) = same_name::robust_loss::grad(&x, &w, &b, &v, &y);
    assert!((w_bar * 0.5 - half).iter().all(|d| d.abs() < 1e-15));
    assert_eq!(huber::grad(-2.0), -1.5);
    let bar = Array2::ones((5, 2));
    let (value, (x_bar, ..)) = hidden_layer::vjp(&x, &w, &b, &bar);
    let (single, (half, ..)) = layers::dense::vjp(&x, &w, &b, &bar);
    assert_eq!((value, x_bar), (single * 2.0, half * 2.0));
}

#[test]
fn functions_inside_of_functions_call_each_other() {
    #[differentiable]
    fn square(x: f64) -> f64 {
        x * x
    }

    #[differentiable]
    fn quartic(x: f64) -> f64 {
        square(square(x))
    }

    assert_eq!(quartic::grad(2.0), 32.0);
}
