//! `grad!` and its kin inside of functions, to any depth, in the plain function and in its derivatives.

use bilevel::prelude::*;

use elsewhere::huber;

#[differentiable]
fn quartic(x: f64) -> f64 {
    x.powi(4)
}

#[differentiable]
fn first(x: f64) -> f64 {
    grad!(quartic, x)
}

#[differentiable]
fn second(x: f64) -> f64 {
    grad!(first(x), x)
}

#[differentiable]
fn mixed(x: f64, v: f64) -> f64 {
    let (y, slope) = value_and_grad!(second(2.0 * x), x);
    let (z, z_dot) = jvp!(first, x; v);
    hvp!(quartic(x), x; v) + y * slope + z * z_dot
}

#[test]
fn derivatives_nest_to_any_depth() {
    let x = 1.5;
    assert_eq!(first(x), 4.0 * x.powi(3));
    assert_eq!(first::grad(x), 12.0 * x.powi(2));
    assert_eq!(second(x), 12.0 * x.powi(2));
    assert_eq!(second::grad(x), 24.0 * x);
    assert_eq!(second::hvp(x, 1.0), 24.0);
}

#[test]
fn all_four_have_their_closed_forms() {
    let (x, v) = (0.75_f64, -2.0);
    // 12 x² v + 12 (2x)² · 24 (2x) + 4 x³ · 12 x² v
    let expected = 12.0 * x * x * v + 2304.0 * x.powi(3) + 48.0 * x.powi(5) * v;
    assert!((mixed(x, v) - expected).abs() < 1e-12 * expected.abs());
    let (x_bar, v_bar) = mixed::grad(x, v);
    let by_x = 24.0 * x * v + 3.0 * 2304.0 * x.powi(2) + 240.0 * x.powi(4) * v;
    assert!((x_bar - by_x).abs() < 1e-12 * by_x.abs(), "{x_bar}, not {by_x}");
    let by_v = 12.0 * x * x + 48.0 * x.powi(5);
    assert!((v_bar - by_v).abs() < 1e-12 * by_v.abs(), "{v_bar}, not {by_v}");
}

/// A loss that is not quadratic, so that derivatives of its gradient are of third order.
#[differentiable]
fn task_loss(w: &Array1<f64>, a: &Array1<f64>) -> f64 {
    (a * w).exp().sum()
}

/// One step of gradient descent, differentiated through.
#[differentiable]
fn after_one_step(w: &Array1<f64>, a: &Array1<f64>, log_rate: f64, target: &Array1<f64>) -> f64 {
    let adapted = w - &(grad!(task_loss, w) * log_rate.exp());
    let error = &adapted - target;
    0.5 * error.dot(&error)
}

#[test]
fn a_step_inside_of_a_loss_is_differentiated_through() {
    let (w, a) = (array![0.3, -0.2, 0.5], array![1.2, 0.7, -0.4]);
    let (target, log_rate) = (array![0.1, 0.0, -0.3], -1.0_f64);
    let rate = log_rate.exp();
    let e = (&a * &w).exp();
    let error = &w - &(&a * &e * rate) - &target;
    assert!((after_one_step(&w, &a, log_rate, &target) - 0.5 * error.dot(&error)).abs() < 1e-15);

    // The adapted weights are w - r a exp(a w), each for itself.
    let slope = e.mapv(|_| 1.0) - &a * &a * &e * rate;
    let (w_bar, a_bar, rate_bar, target_bar) = after_one_step::grad(&w, &a, log_rate, &target);
    let close = |x: &Array1<f64>, y: &Array1<f64>| (x - y).iter().all(|d| d.abs() < 1e-13);
    assert!(close(&w_bar, &(&error * &slope)), "{w_bar}");
    assert!(close(&a_bar, &(&error * &e * (&a * &w + 1.0) * -rate)), "{a_bar}");
    assert!((rate_bar + (&error * &a * &e).sum() * rate).abs() < 1e-13);
    assert!(close(&target_bar, &-&error));

    // The Hessian in w has the third derivative of the task's loss in it.
    let v = array![0.4, -1.0, 2.0];
    let zero = Array1::zeros(3);
    let (w_hvp, ..) = after_one_step::hvp(&w, &a, log_rate, &target, &v, &zero, 0.0, &zero);
    let curvature = &slope * &slope - &error * &a.mapv(|a| a.powi(3)) * &e * rate;
    assert!(close(&w_hvp, &(&curvature * &v)), "{w_hvp}");
}

/// Several parameters, several kinds of argument, in a branch and in a loop.
#[differentiable]
fn bilinear(x: &Array1<f64>, a: &Array2<f64>, y: &Array1<f64>, n: usize) -> f64 {
    x.dot(&a.dot(y)) * n as f64
}

#[differentiable]
fn descent(x: &Array1<f64>, a: &Array2<f64>, y: &Array1<f64>, n: usize) -> f64 {
    let mut x = x.clone();
    let mut total = 0.0;
    for _ in 0..n {
        let (x_bar, y_bar) = grad!(bilinear, (x, y));
        if total < 100.0 {
            x -= &(x_bar * 0.1);
        }
        total += y_bar.dot(&y_bar);
    }
    total
}

#[test]
fn derivatives_in_loops_and_branches() {
    let a = array![[1.0, -0.5, 0.2], [0.3, 0.8, -1.0]];
    let (x, y) = (array![0.5, -1.0], array![1.0, 0.2, -0.6]);
    // Written out.
    let plain = |x: &Array1<f64>| {
        let mut x = x.clone();
        let mut total = 0.0;
        for _ in 0..3 {
            let y_bar = a.t().dot(&x) * 3.0;
            let x_bar = a.dot(&y) * 3.0;
            if total < 100.0 {
                x -= &(x_bar * 0.1);
            }
            total += y_bar.dot(&y_bar);
        }
        total
    };
    assert!((descent(&x, &a, &y, 3) - plain(&x)).abs() < 1e-12);
    let (x_bar, ..) = descent::grad(&x, &a, &y, 3);
    for k in 0..2 {
        let mut step = Array1::zeros(2);
        step[k] = 1e-6;
        let difference = (plain(&(&x + &step)) - plain(&(&x - &step))) / 2e-6;
        assert!((x_bar[k] - difference).abs() < 1e-6 * difference.abs().max(1.0), "{} and {difference}", x_bar[k]);
    }
}

/// Derivatives of functions of another crate, and of functions of the module that have no attribute.
#[bilevel]
mod flat_minimum {
    use super::*;

    fn fit(w: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&x.dot(w), y)
    }

    /// The loss, and how steep it is.
    #[inner(minimize = w)]
    fn train(w: &Array1<f64>, log_l2: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        let steepness = grad!(fit, w);
        fit(w, x, y) + log_l2.exp() * (w.dot(w) + steepness.dot(&steepness))
    }

    #[outer(minimize = log_l2)]
    fn validate(w: &Array1<f64>, x_val: &Array2<f64>, y_val: &Array1<f64>) -> f64 {
        let x = w[0];
        fit(w, x_val, y_val) + grad!(elsewhere::huber, x) * grad!(huber(w[1]), x)
    }
}

#[test]
fn a_problem_with_derivatives_in_its_losses() {
    let x = Array2::from_shape_fn((6, 2), |(i, j)| ((i + 3 * j) as f64 * 1.1).sin());
    let y = Array1::from_shape_fn(6, |i| (i as f64 * 0.8).cos());
    let problem = flat_minimum::Problem { x: &x, y: &y, x_val: &x, y_val: &y };
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-12)).inner(Lbfgs::default().tolerance(1e-10));
    let (log_l2, w0) = (-2.0, Array1::zeros(2));
    let h = solver.hypergradient(&log_l2, &w0).unwrap();
    // The inner loss is quadratic: w solves H w = c with closed forms for both, and the outer loss is checked by differences of it.
    let gram = x.t().dot(&x) * (2.0 / 6.0);
    let right = x.t().dot(&y) * (2.0 / 6.0);
    let outer = |log_l2: f64| {
        let l2 = f64::exp(log_l2);
        let hessian = &gram + &((&gram.dot(&gram) + &Array2::<f64>::eye(2)) * (2.0 * l2));
        let c = &right + &(gram.dot(&right) * (2.0 * l2));
        let det = hessian[[0, 0]] * hessian[[1, 1]] - hessian[[0, 1]] * hessian[[1, 0]];
        let w = array![(hessian[[1, 1]] * c[0] - hessian[[0, 1]] * c[1]) / det, (hessian[[0, 0]] * c[1] - hessian[[1, 0]] * c[0]) / det];
        mse(&x.dot(&w), &y) + w[0] * w[1]
    };
    assert!((h.value - outer(log_l2)).abs() < 1e-9);
    let difference = (outer(log_l2 + 1e-5) - outer(log_l2 - 1e-5)) / 2e-5;
    assert!((h.gradient - difference).abs() < 1e-7, "{} and {difference}", h.gradient);
}

#[differentiable]
fn held(x: &Array1<f64>, a: f64) -> f64 {
    let (weights, scale) = stop_gradient((x * x, a));
    (&weights * x).sum() * scale + x.mapv(|v| v * stop_gradient(v)).sum()
}

#[test]
fn a_stopped_gradient_is_a_constant_in_every_order() {
    let (x, a) = (array![0.5, -2.0], 3.0);
    assert_eq!(held(&x, a), (&x * &x * &x).sum() * a + (&x * &x).sum());
    let (x_bar, a_bar) = held::grad(&x, a);
    assert_eq!((x_bar, a_bar), (&x * &x * a + &x, 0.0));
    let (_, dot) = held::jvp(&x, a, &array![1.0, 0.5], 7.0);
    assert_eq!(dot, (&x * &x * a + &x).dot(&array![1.0, 0.5]));
    let (x_hvp, a_hvp) = held::hvp(&x, a, &array![1.0, 0.5], 7.0);
    assert_eq!((x_hvp, a_hvp), (Array1::zeros(2), 0.0));
}
