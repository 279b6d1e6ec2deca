//! Whatever is given to a problem, the answer is numbers that are right or one clear error.

use bilevel::Error;
use bilevel::prelude::*;

#[bilevel]
mod classify {
    use super::*;

    #[inner(minimize = w)]
    fn train(w: &Array2<f64>, log_l2: &f64, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        cross_entropy(&x.dot(w), y) + 0.5 * log_l2.exp() * (w * w).sum()
    }

    #[outer(minimize = log_l2)]
    fn validate(w: &Array2<f64>, x_val: &Array2<f64>, y_val: &Array1<usize>) -> f64 {
        cross_entropy(&x_val.dot(w), y_val)
    }
}

struct Data {
    x: Array2<f64>,
    y: Array1<usize>,
    x_val: Array2<f64>,
    y_val: Array1<usize>,
    w: Array2<f64>,
}

impl Data {
    fn good() -> Self {
        let x = Array2::from_shape_fn((6, 3), |(i, j)| ((3 * i + 5 * j) % 7) as f64 / 7.0);
        Data { x_val: x.clone(), x, y: array![0, 1, 0, 1, 1, 0], y_val: array![0, 1, 1, 1, 0, 0], w: Array2::zeros((3, 2)) }
    }

    fn hypergradient(&self, log_l2: f64) -> Result<f64, Error> {
        let problem = classify::Problem { x: &self.x, y: &self.y, x_val: &self.x_val, y_val: &self.y_val };
        problem.solver(Implicit::cg()).hypergradient(&log_l2, &self.w).map(|h| h.gradient)
    }
}

fn message(result: Result<f64, Error>) -> String {
    result.expect_err("the input is bad").to_string()
}

#[test]
fn good_data_give_a_finite_hypergradient() {
    assert!(Data::good().hypergradient(-1.0).expect("good data").is_finite());
}

#[test]
fn shapes_that_do_not_fit_are_named_with_both_shapes() {
    let mut data = Data::good();
    data.w = Array2::zeros((4, 2));
    let text = message(data.hypergradient(0.0));
    for part in ["`x`", "`w`", "[6, 3]", "[4, 2]"] {
        assert!(text.contains(part), "{text}");
    }
    let mut data = Data::good();
    data.y = array![0, 1];
    let text = message(data.hypergradient(0.0));
    for part in ["`x`", "`y`", "[6, 3]", "[2]"] {
        assert!(text.contains(part), "{text}");
    }
    let mut data = Data::good();
    data.x_val = Array2::zeros((6, 5));
    let text = message(data.hypergradient(0.0));
    assert!(text.contains("`x_val`") && text.contains("[6, 5]"), "{text}");
}

#[test]
fn data_and_variables_that_are_not_finite_are_named() {
    let mut data = Data::good();
    data.x[[2, 1]] = f64::NAN;
    let text = message(data.hypergradient(0.0));
    assert!(text.contains("`x`") && text.contains("NaN") && text.contains('7'), "{text}");
    let mut data = Data::good();
    data.x_val[[0, 0]] = f64::INFINITY;
    assert!(message(data.hypergradient(0.0)).contains("`x_val`"));
    let mut data = Data::good();
    data.w[[0, 0]] = f64::NAN;
    assert!(message(data.hypergradient(0.0)).contains("`w`"));
    assert!(message(Data::good().hypergradient(f64::NAN)).contains("`log_l2`"));
}

#[test]
fn empty_data_are_named() {
    let mut data = Data::good();
    data.x = Array2::zeros((0, 3));
    data.y = Array1::from_vec(Vec::new());
    let text = message(data.hypergradient(0.0));
    assert!(text.contains("empty") && (text.contains("`x`") || text.contains("`y`")), "{text}");
}

#[test]
fn labels_out_of_range_are_named() {
    let mut data = Data::good();
    data.y[3] = 2;
    let text = message(data.hypergradient(0.0));
    assert!(text.contains("`y`") && text.contains("index 2 at position 3") && text.contains("0..2"), "{text}");
    let mut data = Data::good();
    data.y_val[0] = 1000;
    assert!(message(data.hypergradient(0.0)).contains("`y_val`"));
}

#[test]
fn arrays_of_any_layout_give_the_same_result() {
    let data = Data::good();
    let mut turned = Data::good();
    turned.x = data.x.t().as_standard_layout().into_owned().reversed_axes();
    turned.w = Array2::zeros((2, 3)).reversed_axes();
    assert!(!turned.x.is_standard_layout() && !turned.w.is_standard_layout());
    assert_eq!(turned.hypergradient(-1.0), data.hypergradient(-1.0));
}

#[bilevel]
mod scalar {
    /// `½ a w² − λ w` with minimum `λ / a`; unbounded below for `a ≤ 0`.
    #[inner(minimize = w)]
    fn inner(w: &f64, lambda: &f64, a: f64) -> f64 {
        0.5 * a * w * w - lambda * w
    }

    #[outer(minimize = lambda)]
    fn outer(w: &f64, lambda: &f64, target: f64) -> f64 {
        0.5 * (w - target).powi(2) + 3.0 * lambda
    }
}

#[test]
fn a_scalar_inner_variable_and_the_identity_as_hessian_work() {
    for a in [1.0, 4.0] {
        let problem = scalar::Problem { a, target: 2.0 };
        let h = problem.solver(Implicit::cg()).hypergradient(&6.0, &0.0).expect("a strictly convex problem");
        assert!((h.inner - 6.0 / a).abs() < 1e-8);
        assert!((h.gradient - ((6.0 / a - 2.0) / a + 3.0)).abs() < 1e-8, "{}", h.gradient);
        assert_eq!(h.report.linear.expect("a linear solve").n_iterations, 1);
    }
}

#[test]
fn a_zero_right_hand_side_leaves_the_direct_term() {
    let problem = scalar::Problem { a: 2.0, target: 3.0 };
    // The inner solution is exactly the target, so that the outer loss is stationary there.
    let h = problem.solver(Implicit::cg()).hypergradient(&6.0, &3.0).expect("a strictly convex problem");
    assert_eq!(h.gradient, 3.0);
}

#[test]
fn an_inner_loss_without_a_minimum_is_an_error() {
    for a in [0.0, -1.0] {
        let problem = scalar::Problem { a, target: 0.0 };
        let error = problem.solver(Implicit::cg()).hypergradient(&1.0, &0.5).expect_err("no minimum");
        assert!(matches!(error, Error::UnboundedBelow { .. } | Error::NotPositiveDefinite { .. }), "{error}");
    }
}

#[test]
fn a_stationary_point_that_is_no_minimum_is_an_error() {
    // The inner loss is -½w², stationary at the start.
    let problem = scalar::Problem { a: -1.0, target: 1.0 };
    let error = problem.solver(Implicit::cg()).hypergradient(&0.0, &0.0).expect_err("no minimum");
    assert!(matches!(error, Error::NotPositiveDefinite { .. }), "{error}");
}

#[bilevel]
mod no_data {
    use super::*;

    #[inner(minimize(u, v))]
    fn inner(u: &Array1<f64>, v: &f64, x: &Array1<f64>) -> f64 {
        let a = u - x;
        (&a * &a).sum() + (v - u.sum()).powi(2)
    }

    #[outer(minimize = x)]
    fn outer(u: &Array1<f64>, v: &f64) -> f64 {
        v + u.dot(u)
    }
}

#[test]
fn two_inner_variables_and_no_data() {
    let problem = no_data::Problem {};
    let x = array![1.0, -2.0, 0.5];
    let h = problem.solver(Implicit::cg()).hypergradient(&x, &(Array1::zeros(3), 0.0)).expect("a strictly convex problem");
    // u = x and v = Σx, so that the outer loss is Σx + x·x.
    let expected = 1.0 + 2.0 * &x;
    assert!((&h.gradient - &expected).iter().all(|e| e.abs() < 1e-8), "{} is not {expected}", h.gradient);
    let (u, v) = h.inner;
    assert!((&u - &x).iter().all(|e| e.abs() < 1e-8) && (v - x.sum()).abs() < 1e-8);
}
