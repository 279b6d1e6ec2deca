//! Implicit hypergradients against closed forms, differences and each other, and every way in which one must be refused.

use crate::problems::{Logistic, Quadratic, Ridge, Scalar};
use bilevel_runtime::condition::Gradient;
use bilevel_runtime::linear::LinearStop;
use bilevel_runtime::methods::{Differences, Implicit};
use bilevel_runtime::solve::{GradientDescent, InnerSolver, Lbfgs, NewtonCg};
use bilevel_runtime::{Error, LossesReadOuter, ProblemExt};
use ndarray::{Array1, Array2, array};

fn close(a: &Array1<f64>, b: &[f64], tolerance: f64) -> bool {
    let size = b.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance * size)
}

/// The solution of a symmetric positive definite system by elimination.
fn solve_dense(mut a: Array2<f64>, mut b: Array1<f64>) -> Array1<f64> {
    let n = b.len();
    for k in 0..n {
        for i in k + 1..n {
            let factor = a[[i, k]] / a[[k, k]];
            for j in k..n {
                a[[i, j]] -= factor * a[[k, j]];
            }
            b[i] -= factor * b[k];
        }
    }
    for k in (0..n).rev() {
        b[k] = (b[k] - (k + 1..n).map(|j| a[[k, j]] * b[j]).sum::<f64>()) / a[[k, k]];
    }
    b
}

#[test]
fn exact_quadratic() {
    let problem = Quadratic::<f64>::exact();
    let x = array![1.0, -1.0];
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-14)).inner(Lbfgs::default().tolerance(1e-13));
    let h = solver.hypergradient(&x, &Array1::zeros(3)).unwrap();
    assert!(close(&h.inner, &[-1.0 / 18.0, 2.0 / 9.0, -29.0 / 18.0], 1e-12), "{}", h.inner);
    assert!((h.value - 515.0 / 108.0).abs() < 1e-12);
    assert!(close(&h.gradient, &[44.0 / 27.0, -7.0 / 3.0], 1e-12), "{}", h.gradient);
    let linear = h.report.linear.unwrap();
    assert!(linear.stop == LinearStop::Converged && linear.n_iterations == 3 && linear.relative_residual < 1e-14, "{linear:?}");
    assert_eq!((h.report.n_products, h.report.n_gradients), (4, h.report.inner.n_evaluations));
}

#[test]
fn exact_quadratic_with_truncated_conjugate_gradients() {
    let problem = Quadratic::<f64>::exact();
    let expected = [(1, [55.0 / 54.0, -7.0 / 3.0]), (2, [1.755_446_623_093_68, -2.157_189_542_483_66])];
    for (n_iterations, expected) in expected {
        let method = Implicit::cg().max_iterations(n_iterations);
        let mut solver = problem.solver(method).inner(NewtonCg::default().tolerance(1e-13));
        let h = solver.hypergradient(&array![1.0, -1.0], &Array1::zeros(3)).unwrap();
        assert!(close(&h.gradient, &expected, 1e-12), "{n_iterations}: {}", h.gradient);
        let linear = h.report.linear.unwrap();
        assert_eq!((linear.stop, linear.n_iterations), (LinearStop::Truncated, n_iterations));
        assert!(linear.relative_residual > 1e-3);
    }
}

#[test]
fn ridge_with_a_penalty_per_feature() {
    for n in [1, 2, 5, 20] {
        let problem = Ridge::<f64>::new(n);
        let lambda = Array1::from_shape_fn(n, |i| -3.0 + 0.3 * i as f64);
        let n_rows = problem.y.len() as f64;
        let hessian = problem.a.t().dot(&problem.a) / n_rows + Array2::from_diag(&lambda.mapv(f64::exp));
        let w = solve_dense(hessian.clone(), problem.a.t().dot(&problem.y) / n_rows);
        let outer_gradient = problem.a_val.t().dot(&(problem.a_val.dot(&w) - &problem.y_val)) / problem.y_val.len() as f64;
        let expected = -lambda.mapv(f64::exp) * &w * solve_dense(hessian, outer_gradient);

        let mut solver = problem.solver(Implicit::cg().tolerance(1e-12)).inner(Lbfgs::default().tolerance(1e-12));
        let h = solver.hypergradient(&lambda, &Array1::zeros(n)).unwrap();
        assert!(close(&h.inner, &w.to_vec(), 1e-9));
        assert!(close(&h.gradient, &expected.to_vec(), 1e-9), "{n}: {} and not {expected}", h.gradient);
    }
}

#[test]
fn larger_quadratic_in_closed_form() {
    let (n, m) = (15, 4);
    let root = Array2::from_shape_fn((n, n), |(i, j)| ((i * 13 + j * 29 + i * j) % 17) as f64 / 17.0 - 0.5);
    let problem = Quadratic {
        h: root.t().dot(&root) + Array2::<f64>::eye(n) * 0.1,
        b: Array2::from_shape_fn((n, m), |(i, j)| ((i * 5 + j * 11) % 7) as f64 - 3.0),
        c: Array1::from_shape_fn(n, |i| (i as f64).sin()),
        t: Array1::from_shape_fn(n, |i| (i as f64).cos()),
        r: 0.3,
    };
    let x = array![0.5, -1.0, 2.0, 0.1];
    let z = solve_dense(problem.h.clone(), problem.b.dot(&x) + &problem.c);
    let expected = 0.3 * &x + problem.b.t().dot(&solve_dense(problem.h.clone(), &z - &problem.t));
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-13)).inner(Lbfgs::default().tolerance(1e-11));
    let h = solver.hypergradient(&x, &Array1::zeros(n)).unwrap();
    assert!(close(&h.gradient, &expected.to_vec(), 1e-9), "{} and not {expected}", h.gradient);
}

#[test]
fn scalar_inner_variable() {
    for lambda in [0.0_f64, 0.2, 1.0, 3.0] {
        let h = Scalar::T1.solver(Implicit::cg()).hypergradient(&lambda, &5.0).unwrap();
        assert!((h.inner - 1.0 / (1.0 + lambda)).abs() < 1e-8);
        assert!((h.gradient - (lambda - 1.0) / (1.0 + lambda).powi(3)).abs() < 1e-8, "{lambda}: {}", h.gradient);
    }
}

#[test]
fn logistic_regression_against_differences_with_every_inner_solver() {
    fn check(inner_solver: impl InnerSolver<f64>) -> Array1<f64> {
        let problem = Logistic::<f64>::new(5);
        let lambda = array![-3.0, -2.0, -4.0, -1.0, -5.0];
        let mut solver = problem.solver(Implicit::cg().tolerance(1e-12)).inner(inner_solver);
        let check = solver.check_with(&lambda, &Array1::zeros(5), &Differences::default().directions(5)).unwrap();
        assert!(check.max_relative_error < 1e-8 && check.relative_uncertainty < 1e-8 && check.directions.len() == 5, "{check}");
        solver.hypergradient(&lambda, &Array1::zeros(5)).unwrap().gradient
    }
    let newton = check(NewtonCg::default().tolerance(1e-11));
    assert!(close(&check(Lbfgs::default().tolerance(1e-11)), &newton.to_vec(), 1e-9));
    assert!(close(&check(GradientDescent::default().tolerance(1e-11)), &newton.to_vec(), 1e-9));
}

#[test]
fn single_precision_agrees_with_double() {
    let lambda = array![-3.0, -2.0, -4.0, -1.0, -5.0];
    let reference = Logistic::<f64>::new(5).solver(Implicit::cg()).hypergradient(&lambda, &Array1::zeros(5)).unwrap();
    let problem = Logistic::<f32>::new(5);
    let mut solver = problem.solver(Implicit::cg()).inner(Lbfgs::default().tolerance(1e-6));
    let h = solver.hypergradient(&lambda.mapv(|x| x as f32), &Array1::zeros(5)).unwrap();
    assert!(close(&h.gradient.mapv(f64::from), &reference.gradient.to_vec(), 1e-3), "{} and not {}", h.gradient, reference.gradient);

    let h = Quadratic::<f32>::exact().solver(Implicit::cg()).hypergradient(&array![1.0, -1.0], &Array1::zeros(3)).unwrap();
    assert!(close(&h.gradient.mapv(f64::from), &[44.0 / 27.0, -7.0 / 3.0], 1e-3));
}

#[test]
fn without_an_outer_gradient_the_answer_is_the_direct_term() {
    let mut problem = Quadratic::<f64>::exact();
    problem.t = array![-1.0 / 18.0, 2.0 / 9.0, -29.0 / 18.0];
    let flat = Scalar { outer: |_, lambda| (lambda.sin(), 0.0, lambda.cos()), ..Scalar::T1 };
    let h = flat.solver(Implicit::cg()).hypergradient(&0.3, &0.0).unwrap();
    assert_eq!(h.gradient, 0.3_f64.cos());
    assert_eq!((h.report.n_products, h.report.linear.unwrap().relative_residual), (0, 0.0));
    // Zero up to the error of the inner solution.
    let mut solver = problem.solver(Implicit::cg()).inner(NewtonCg::default().tolerance(1e-14));
    let h = solver.hypergradient(&array![1.0, -1.0], &Array1::zeros(3)).unwrap();
    assert!(close(&h.gradient, &[0.5, -0.5], 1e-13), "{}", h.gradient);
}

#[test]
fn outer_gradients_of_any_scale() {
    // At z = 0 and x = 0 with c = 0 the inner problem is solved, and the outer gradient is −t.
    fn gradient(scale: f64) -> Array1<f64> {
        let mut problem = Quadratic::<f64>::exact();
        problem.c.fill(0.0);
        problem.t *= scale;
        problem.solver(Implicit::cg()).hypergradient(&array![0.0, 0.0], &Array1::zeros(3)).unwrap().gradient / scale
    }
    let reference = gradient(1.0).to_vec();
    assert!(close(&gradient(1e-150), &reference, 1e-13));
    assert!(close(&gradient(1e150), &reference, 1e-13));
}

#[test]
fn the_identity_as_hessian() {
    let mut problem = Quadratic::<f64>::exact();
    problem.h = Array2::eye(3);
    let h = problem.solver(Implicit::cg()).hypergradient(&array![1.0, -1.0], &Array1::zeros(3)).unwrap();
    // z = Bx + c = (0, −1, −3), h = ½x + Bᵀ(z − t).
    assert!(close(&h.gradient, &[0.5 + 3.0, -0.5 - 8.0], 1e-7), "{}", h.gradient);
    assert_eq!(h.report.linear.unwrap().n_iterations, 1);
}

fn error_of<P: LossesReadOuter<Condition = Gradient>>(problem: &P, outer: P::Outer, inner: P::Inner) -> Error {
    match problem.solver(Implicit::cg()).hypergradient(&outer, &inner) {
        Err(error) => error,
        Ok(h) => panic!("a hypergradient where there is none: {}", h.report),
    }
}

#[test]
fn stationary_points_that_are_no_minima_are_refused() {
    // A saddle: z = 0 is stationary for x = 0 and c = 0.
    let mut problem = Quadratic::<f64>::exact();
    problem.h = Array2::from_diag(&array![1.0, 2.0, -1.0]);
    problem.c.fill(0.0);
    let error = error_of(&problem, array![0.0, 0.0], Array1::zeros(3));
    assert!(matches!(error, Error::NotPositiveDefinite { curvature, .. } if curvature < 0.0), "{error}");
    // A singular Hessian: w⁴ at 0.
    let quartic = Scalar {
        inner: |w, _| (w.powi(4), 4.0 * w.powi(3)),
        curvature: |w, _| (12.0 * w * w, 0.0),
        outer_slope: |_, _| 0.0,
        outer: |w, _| (w, 1.0, 0.0),
    };
    let error = error_of(&quartic, 0.0, 0.0);
    assert!(matches!(error, Error::NotPositiveDefinite { curvature: 0.0, iteration: 0 }), "{error}");
}

#[test]
fn an_inner_problem_without_minimum_is_refused() {
    let error = error_of(&Scalar { inner: |w, lambda| (-lambda * w, -lambda), ..Scalar::T1 }, 2.0, 0.0);
    assert!(matches!(error, Error::UnboundedBelow { .. }), "{error}");
    let mut indefinite = Quadratic::<f64>::exact();
    indefinite.h[[2, 2]] = -2.0;
    let error = error_of(&indefinite, array![1.0, -1.0], Array1::zeros(3));
    assert!(matches!(error, Error::UnboundedBelow { .. }), "{error}");
}

#[test]
fn a_kink_where_the_inner_solver_gets_stuck_is_refused() {
    let kink = Scalar { inner: |w, _| ((w - 1.0).abs(), (w - 1.0).signum()), ..Scalar::T1 };
    let error = error_of(&kink, 0.0, 0.3);
    assert!(matches!(error, Error::InnerNotConverged { gradient_norm: 1.0, .. }), "{error}");
}

#[test]
fn an_inner_solve_that_is_far_off_is_refused_and_one_that_is_near_is_reported() {
    let problem = Logistic::<f64>::new(5);
    let lambda = Array1::from_elem(5, -4.0);
    let solve = |n| problem.solver(Implicit::cg()).inner(Lbfgs::default().max_iterations(n)).hypergradient(&lambda, &Array1::zeros(5));
    let error = solve(1).unwrap_err();
    assert!(matches!(error, Error::InnerNotConverged { iterations: 1, .. }), "{error}");
    let h = solve(8).unwrap();
    assert!(!h.report.inner.is_converged() && h.report.inner.gradient_norm > 1e-7, "{}", h.report);
}

/// With a loss of size 10⁻¹² every point meets a tolerance of 10⁻⁸; that must not pass for a solution.
#[test]
fn a_tolerance_too_large_for_the_loss_is_noticed() {
    let tiny = Scalar {
        inner: |w, lambda| (1e-12 * ((w - 1.0).powi(2) + lambda * w * w), 2e-12 * (w - 1.0 + lambda * w)),
        curvature: |w, lambda| (2e-12 * (1.0 + lambda), 2e-12 * w),
        ..Scalar::T1
    };
    let error = error_of(&tiny, 0.2, 5.0);
    assert!(matches!(error, Error::InnerNotConverged { reason: "converged", .. }), "{error}");
    let h = tiny.solver(Implicit::cg()).inner(Lbfgs::default().tolerance(1e-22)).hypergradient(&0.2, &5.0).unwrap();
    assert!((h.gradient + 0.8 / 1.2_f64.powi(3)).abs() < 1e-9, "{}", h.gradient);
}

#[test]
fn non_finite_numbers_are_refused_with_their_place() {
    let problem = Quadratic::<f64>::exact();
    let error = error_of(&problem, array![1.0, f64::NAN], Array1::zeros(3));
    assert!(matches!(error, Error::NonFiniteElement { name: "x", position: 1, .. }), "{error}");
    let error = error_of(&problem, array![1.0, 1.0], array![0.0, 0.0, f64::INFINITY]);
    assert!(matches!(error, Error::NonFiniteElement { name: "z", position: 2, .. }), "{error}");
    let error = error_of(&Scalar { inner: |_, _| (f64::NAN, 0.0), ..Scalar::T1 }, 0.0, 0.0);
    assert!(matches!(error, Error::NonFinite { quantity: "the inner loss", step: Some(0), .. }), "{error}");
    let error = error_of(&Scalar { outer: |_, _| (f64::INFINITY, 0.0, 0.0), ..Scalar::T1 }, 0.0, 0.0);
    assert!(matches!(error, Error::NonFinite { quantity: "the outer loss", .. }), "{error}");
    let error = error_of(&Scalar { outer: |_, _| (0.0, f64::NAN, 0.0), ..Scalar::T1 }, 0.0, 0.0);
    assert!(matches!(error, Error::NonFinite { quantity: "the gradient of the outer loss", .. }), "{error}");
    let error = error_of(&Scalar { curvature: |_, _| (f64::NAN, 0.0), ..Scalar::T1 }, 0.0, 0.0);
    assert!(matches!(error, Error::NonFinite { quantity: "a product with the Hessian of the inner loss", .. }), "{error}");
    let error = error_of(&Scalar { curvature: |_, _| (2.0, f64::NAN), ..Scalar::T1 }, 0.0, 0.0);
    assert!(matches!(error, Error::NonFinite { quantity: "the hypergradient", .. }), "{error}");
}

#[test]
fn shapes_are_checked_at_every_call() {
    let problem = Quadratic::<f64>::exact();
    let mut solver = problem.solver(Implicit::cg());
    solver.hypergradient(&array![1.0, -1.0], &Array1::zeros(3)).unwrap();
    let error = solver.hypergradient(&array![1.0, -1.0], &Array1::zeros(4)).unwrap_err();
    assert_eq!(error.to_string(), "`z` has shape [4], but `b` requires [3]");
    solver.hypergradient(&array![1.0, -1.0], &Array1::zeros(3)).unwrap();
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let error = Scalar::T1.solver(Implicit::cg().tolerance(-1.0)).hypergradient(&0.1, &0.0).unwrap_err();
    assert_eq!(error.to_string(), "`Cg::tolerance` is -1, but must be finite and not negative");
    let error = Scalar::T1.solver(Implicit::cg()).check_with(&0.1, &0.0, &Differences::default().step(0.0)).unwrap_err();
    assert!(matches!(error, Error::InvalidSetting { setting: "Differences::step", .. }), "{error}");
}

#[test]
fn results_repeat_bit_for_bit_and_do_not_depend_on_earlier_calls() {
    let problem = Logistic::<f64>::new(5);
    let (lambda, w) = (Array1::from_elem(5, -4.0), Array1::zeros(5));
    let first = problem.solver(Implicit::cg()).hypergradient(&lambda, &w).unwrap();
    let mut solver = problem.solver(Implicit::cg());
    solver.hypergradient(&Array1::from_elem(5, 1.0), &Array1::ones(5)).unwrap();
    assert_eq!(solver.hypergradient(&lambda, &w).unwrap(), first);
}

/// The check itself notices a wrong hypergradient: here, a mixed product that is a thousandth off.
#[test]
fn differences_notice_a_wrong_mixed_product() {
    let wrong = Scalar { curvature: |w, lambda| (2.0 + 2.0 * lambda, 2.002 * w), ..Scalar::T1 };
    let check = wrong.solver(Implicit::cg()).check(&0.2, &0.0).unwrap();
    assert!(check.max_relative_error > 5e-4 && check.relative_uncertainty < 1e-9, "{check}");
    let check = Scalar::T1.solver(Implicit::cg()).check(&0.2, &0.0).unwrap();
    assert!(check.max_relative_error < 1e-7, "{check}");
}
