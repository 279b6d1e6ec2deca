//! Functions that the macro cannot look into, differentiated by rules of the user's.

use bilevel::prelude::*;
use elsewhere::{doubled_power, integer_power};

/// `exp` of each element, by means that the macro does not understand.
fn grow(x: &Array1<f64>) -> Array1<f64> {
    x.iter().map(|v| unsafe { std::ptr::read(v) }.exp()).collect()
}

#[derivative(of = grow)]
fn grow_rule(x: &Array1<f64>, x_dot: &Array1<f64>) -> Array1<f64> {
    grow(x) * x_dot
}

/// The Frobenius norm.
fn frobenius(x: &Array2<f64>) -> f64 {
    x.iter().fold(0.0, |total: f64, v| total.hypot(*v))
}

#[derivative(of = frobenius)]
fn frobenius_rule(x: &Array2<f64>, y_bar: f64) -> Array2<f64> {
    x * (y_bar / frobenius(x))
}

#[differentiable]
fn growth(x: &Array1<f64>, n: usize) -> f64 {
    let total: f64 = grow(&(x * 2.0)).sum();
    total * integer_power(x[0], n)
}

/// A private function of another crate, called through a public one, and at each element.
#[differentiable]
fn powers(x: &Array2<f64>) -> f64 {
    x.mapv(|v| integer_power(v, 3)).sum() + doubled_power(x[[0, 0]])
}

#[differentiable]
fn shrinking(w: &Array2<f64>, scale: f64) -> f64 {
    frobenius(&(w * scale)) + w.sum()
}

#[test]
fn a_rule_of_tangents_gives_both_modes_and_all_orders() {
    let (x, v) = (2.0, 0.5);
    assert_eq!(integer_power::jvp(x, 3, v), (8.0, 6.0));
    assert_eq!(integer_power::grad(x, 3), 12.0);
    assert_eq!(integer_power::grad(x, 0), 0.0);
    assert_eq!(integer_power::hvp(x, 3, v), 6.0);
    let (x, dot) = (array![0.2, -0.4], array![1.0, 3.0]);
    let (y, y_dot) = grow::jvp(&x, &dot);
    assert_eq!((y, y_dot), (grow(&x), grow(&x) * &dot));
    assert_eq!(grow::linearize(&x)(&dot), grow(&x) * &dot);
}

#[test]
fn rules_are_used_by_functions_that_call() {
    let x = array![0.3, -0.5];
    let e = x.mapv(|v| f64::exp(2.0 * v));
    let close = |a: &Array1<f64>, b: &Array1<f64>| (a - b).iter().all(|d| d.abs() < 1e-12);
    // y = S p with S = sum exp(2 x) and p = x0^3.
    let (s, p, p1, p2) = (e.sum(), x[0].powi(3), 3.0 * x[0].powi(2), 6.0 * x[0]);
    let gradient = array![2.0 * e[0] * p + s * p1, 2.0 * e[1] * p];
    assert!((growth(&x, 3) - s * p).abs() < 1e-15);
    assert!(close(&growth::grad(&x, 3), &gradient));
    let v = array![1.0, -2.0];
    let hessian = array![[4.0 * e[0] * p + 4.0 * e[0] * p1 + s * p2, 2.0 * e[1] * p1], [2.0 * e[1] * p1, 4.0 * e[1] * p]];
    assert!(close(&growth::hvp(&x, 3, &v), &hessian.dot(&v)));
}

#[test]
fn a_function_of_numbers_is_mapped_over_an_array() {
    let x = array![[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]];
    let mut gradient = x.mapv(|v| 3.0 * v * v);
    gradient[[0, 0]] += 10.0 * 0.5_f64.powi(4);
    let computed = powers::grad(&x);
    assert!((computed - gradient).iter().all(|d| d.abs() < 1e-13));
}

#[test]
fn a_rule_of_cotangents_gives_reverse_mode() {
    let w = array![[3.0, 0.0], [0.0, 4.0]];
    let (value, w_bar) = frobenius::value_and_grad(&w);
    assert_eq!(value, 5.0);
    assert!((w_bar - &w / 5.0).iter().all(|d| d.abs() < 1e-15));
    let (value, (w_bar, scale_bar)) = shrinking::vjp(&w, 2.0, 1.0);
    assert_eq!(value, 17.0);
    assert!((w_bar - (&w * 0.4 + 1.0)).iter().all(|d| d.abs() < 1e-15));
    assert!((scale_bar - 5.0).abs() < 1e-14);
}

/// The length of a vector, with both rules.
fn length(x: &Array1<f64>) -> f64 {
    x.iter().fold(0.0, |total: f64, v| total.hypot(*v))
}

#[derivative(of = length)]
mod length_rules {
    use super::*;

    fn tangent(x: &Array1<f64>, x_dot: &Array1<f64>) -> f64 {
        x.dot(x_dot) / length(x)
    }

    /// Twice the cotangent, so that a test can tell by which rule a derivative was made.
    fn cotangent(x: &Array1<f64>, y_bar: f64) -> Array1<f64> {
        x * (2.0 * y_bar / length(x))
    }
}

#[differentiable]
fn scaled_length(x: &Array1<f64>, scale: f64) -> f64 {
    length(&(x * scale))
}

#[test]
fn with_both_rules_each_mode_takes_its_own() {
    let (x, v) = (array![3.0, 4.0], array![1.0, 0.0]);
    assert_eq!(length::jvp(&x, &v), (5.0, 0.6));
    assert_eq!(length::vjp(&x, 2.5), (5.0, array![3.0, 4.0]));
    assert_eq!(scaled_length::jvp(&x, 2.0, &v, 0.0), (10.0, 1.2));
    assert_eq!(scaled_length::vjp(&x, 2.0, 2.5).1.0, array![6.0, 8.0]);
    // Forward over reverse goes through the function in the rule of cotangents by the rule of tangents.
    let hvp = array![2.0 / 5.0 - 2.0 * 9.0 / 125.0, -2.0 * 12.0 / 125.0];
    assert!((length::hvp(&x, &v) - hvp).iter().all(|d| d.abs() < 1e-15));
}

/// With both rules each mode takes its own.
#[bilevel]
mod with_rules {
    use super::*;

    fn softened(x: &Array1<f64>) -> f64 {
        x.iter().map(|v| (1.0 + v * v).sqrt() - 1.0).sum()
    }

    #[derivative(of = softened)]
    fn softened_tangent(x: &Array1<f64>, x_dot: &Array1<f64>) -> f64 {
        (x * x_dot / (x * x + 1.0).sqrt()).sum()
    }

    #[derivative(of = softened)]
    fn softened_cotangent(x: &Array1<f64>, y_bar: f64) -> Array1<f64> {
        x / &(x * x + 1.0).sqrt() * y_bar
    }

    #[inner(minimize = w)]
    fn train(w: &Array1<f64>, log_l2: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        softened(&(x.dot(w) - y)) + log_l2.exp() * w.dot(w)
    }

    #[outer(minimize = log_l2)]
    fn validate(w: &Array1<f64>, x_val: &Array2<f64>, y_val: &Array1<f64>) -> f64 {
        mse(&x_val.dot(w), y_val)
    }
}

#[bilevel]
mod written_out {
    use super::*;

    fn softened(x: &Array1<f64>) -> f64 {
        ((x * x + 1.0).sqrt() - 1.0).sum()
    }

    #[inner(minimize = w)]
    fn train(w: &Array1<f64>, log_l2: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        softened(&(x.dot(w) - y)) + log_l2.exp() * w.dot(w)
    }

    #[outer(minimize = log_l2)]
    fn validate(w: &Array1<f64>, x_val: &Array2<f64>, y_val: &Array1<f64>) -> f64 {
        mse(&x_val.dot(w), y_val)
    }
}

#[test]
fn a_problem_with_rules() {
    let x = Array2::from_shape_fn((7, 3), |(i, j)| ((2 * i + 3 * j) as f64 * 0.9).sin());
    let y = Array1::from_shape_fn(7, |i| 2.0 * (i as f64 * 0.7).cos());
    // What a rule gives need not be the derivative of anything, so that its Hessian may be asymmetric.
    let method = || Implicit::gmres().tolerance(1e-12);
    let inner = || Lbfgs::default().tolerance(1e-10);
    let a = with_rules::Problem { x: &x, y: &y, x_val: &x, y_val: &y };
    let a = a.solver(method()).inner(inner()).hypergradient(&-1.0, &Array1::zeros(3)).unwrap();
    let b = written_out::Problem { x: &x, y: &y, x_val: &x, y_val: &y };
    let b = b.solver(method()).inner(inner()).hypergradient(&-1.0, &Array1::zeros(3)).unwrap();
    assert!((a.value - b.value).abs() < 1e-10 && (a.gradient - b.gradient).abs() < 1e-8, "{} and {}", a.gradient, b.gradient);
}

/// The product of two numbers, of which the second is held constant by the rule: the derivative of nothing, as rules may be.
fn held_product(x: f64, y: f64) -> f64 {
    x * y
}

#[derivative(of = held_product)]
fn held_product_rule(_x: f64, y: f64, x_dot: f64, y_dot: f64) -> f64 {
    y * x_dot + 0.0 * y_dot
}

#[differentiable(hessian, batched(x))]
fn with_held(x: f64, y: f64) -> f64 {
    held_product(x * x, y)
}

#[test]
fn the_hessian_of_a_function_with_rules_is_not_mirrored() {
    let (x, y) = (3.0, 5.0);
    assert_eq!(with_held::grad(x, y), (2.0 * x * y, 0.0));
    // Each block is the derivative of the first parameter's gradient in the second.
    assert_eq!(with_held::hessian(x, y), ((2.0 * y, 2.0 * x), (0.0, 0.0)));
    assert_eq!(with_held::hvp(x, y, 1.0, 0.0), (2.0 * y, 0.0));
    assert_eq!(with_held::hvp(x, y, 0.0, 1.0), (2.0 * x, 0.0));
}

#[differentiable(batched(x), jvp_many, jacobian)]
fn scaled_growth(x: &Array1<f64>, scale: f64) -> Array1<f64> {
    grow(&(x * scale)) * scale
}

#[test]
fn batches_call_the_function_for_each_example() {
    let xs = array![3.0, -1.0, 0.5];
    assert_eq!(with_held::batched(&xs, 2.0), xs.mapv(|x: f64| x * x * 2.0));
    let (x_bars, y_bars) = with_held::batched_grad(&xs, 2.0);
    assert_eq!((x_bars, y_bars), (&xs * 4.0, Array1::zeros(3)));

    let xs = array![[0.1, -0.2], [0.3, 0.7], [0.0, 1.0]];
    let batched = scaled_growth::batched(&xs, 0.5);
    for (x, y) in xs.rows().into_iter().zip(batched.rows()) {
        assert_eq!(scaled_growth(&x.to_owned(), 0.5), y);
    }
    let x = xs.row(1).to_owned();
    let (_, y_dots) = scaled_growth::jvp_many(&x, 0.5, &xs, &Array1::zeros(3));
    let (by_x, _) = scaled_growth::jacobian(&x, 0.5);
    let diagonal = (&x * 0.5).exp() * 0.25;
    assert!((by_x - Array2::from_diag(&diagonal)).iter().all(|d| d.abs() < 1e-15));
    assert!((y_dots - &xs * &diagonal).iter().all(|d| d.abs() < 1e-15));
}
