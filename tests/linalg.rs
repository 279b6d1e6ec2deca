//! `bilevel::linalg` through the real macro: emitted code on `faer` against the evaluator's textbook algorithms, differences and closed forms.

#![allow(clippy::type_complexity, clippy::op_ref, reason = "the spellings are what is tested")]

mod common;
#[macro_use]
#[path = "common/harness.rs"]
mod harness;

use bilevel::prelude::*;
use common::{Argument, Outcome, matrix, vector};

/// A matrix far from a singular one, not symmetric.
fn regular(n: usize) -> Array2<f64> {
    matrix(n, n).mapv(|x| 0.3 * x.sin()) + Array2::from_diag(&Array1::from_iter((0..n).map(|k| 2.0 * (k + 1) as f64)))
}

fn single(x: &Array2<f64>) -> Array2<f32> {
    x.mapv(|v| v as f32)
}

#[track_caller]
fn close<D: ndarray::Dimension>(found: &ndarray::ArrayRef<f64, D>, expected: &ndarray::ArrayRef<f64, D>, tolerance: f64) {
    assert_eq!(found.shape(), expected.shape());
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst <= tolerance, "off by {worst}: {found} instead of {expected}");
}

agree! {
    solution_for_a_vector: (&regular(4), &vector(4)), (&matrix(4, 4).cos(), &vector(4).exp()), &vector(4).sin(), 1e-12, {
        fn f(a: &Array2<f64>, b: &Array1<f64>) -> Array1<f64> { linalg::solve(a, b) }
    }
    solutions_for_a_matrix: (&regular(3), &matrix(3, 5)), (&matrix(3, 3).cos(), &matrix(3, 5).exp()), &(matrix(3, 5), matrix(3, 5).sin()), 1e-12, {
        fn f(a: &Array2<f64>, b: &Array2<f64>) -> (Array2<f64>, Array2<f64>) {
            let x = linalg::solve(a, b);
            let y = bilevel::linalg::solve(&a.t(), &(&x * &x));
            (x, y)
        }
    }
    inverses: (&regular(3)), (&matrix(3, 3).cos()), &matrix(3, 3).sin(), 1e-12, {
        fn f(a: &Array2<f64>) -> Array2<f64> { linalg::inverse(a) + linalg::inverse(&linalg::inverse(&a.t())) }
    }
    #[scalar]
    log_determinant: (&regular(4), 0.3), (&matrix(4, 4).cos(), -0.4), 0.7, 1e-12, {
        fn f(a: &Array2<f64>, s: f64) -> f64 { s * linalg::log_det(&(a * s)) }
    }
    factors: (&regular(3)), (&matrix(3, 3).cos()), &matrix(3, 3).sin(), 1e-12, {
        fn f(a: &Array2<f64>) -> Array2<f64> { linalg::cholesky(a) }
    }
    every_triangle: (&regular(3), &vector(3), &matrix(3, 2)), (&matrix(3, 3).cos(), &vector(3).sin(), &matrix(3, 2).exp()), &(vector(3).cos(), matrix(3, 2).sin()), 1e-12, {
        fn f(t: &Array2<f64>, b: &Array1<f64>, c: &Array2<f64>) -> (Array1<f64>, Array2<f64>) {
            let x = linalg::solve_triangular(t, b, linalg::Triangle::Lower) + linalg::solve_triangular(t, b, linalg::Triangle::UnitUpper);
            let y = linalg::solve_triangular(&t.t(), c, linalg::Triangle::Upper) + linalg::solve_triangular(&t.t(), c, linalg::Triangle::UnitLower);
            (x, y)
        }
    }
    #[scalar]
    gaussian_likelihood: (&matrix(4, 3), &vector(4), -0.2), (&matrix(4, 3).cos(), &vector(4).exp(), 0.3), 1.1, 1e-12, {
        fn f(x: &Array2<f64>, y: &Array1<f64>, log_noise: f64) -> f64 {
            let n = x.nrows();
            let k = (x.dot(&x.t()) * 0.5).exp() + Array2::<f64>::eye(n) * (log_noise.exp() + 1.0);
            let l = linalg::cholesky(&k);
            let z = linalg::solve_triangular(&l, y, linalg::Triangle::Lower);
            let alpha = linalg::solve_triangular(&l.t(), &z, linalg::Triangle::Upper);
            0.5 * (z.dot(&z) + y.dot(&alpha)) + linalg::log_det(&l)
        }
    }
    eigenvalues_and_vectors: (&regular(4)), (&matrix(4, 4).cos()), &(vector(4), matrix(4, 4).sin()), 1e-12, {
        fn f(a: &Array2<f64>) -> (Array1<f64>, Array2<f64>) {
            let (values, vectors) = linalg::eigh(a);
            (values.sqrt(), vectors)
        }
    }
    #[scalar]
    a_function_of_a_matrix: (&regular(3), &vector(3)), (&matrix(3, 3).cos(), &vector(3).sin()), 0.9, 1e-12, {
        fn f(a: &Array2<f64>, x: &Array1<f64>) -> f64 {
            let (values, vectors) = linalg::eigh(a);
            let y = vectors.t().dot(x);
            (&y * &y * values.ln()).sum()
        }
    }
    steps_of_newton: (&regular(3), &vector(3)), (&matrix(3, 3).cos(), &vector(3).sin()), &vector(3).cos(), 1e-12, {
        fn f(a: &Array2<f64>, b: &Array1<f64>) -> Array1<f64> {
            let mut x = b.clone();
            for _ in 0..3 {
                let residual = a.dot(&x) + x.sin() * 0.3 - b;
                x = x - linalg::solve(a, &residual);
            }
            x
        }
    }
    single_precision: (&single(&regular(3)), &single(&matrix(3, 2))), (&single(&matrix(3, 3).cos()), &single(&matrix(3, 2).exp())), &(single(&matrix(3, 2)), 0.3_f32, single(&matrix(3, 3))), 2e-5, {
        fn f(a: &Array2<f32>, b: &Array2<f32>) -> (Array2<f32>, f32, Array2<f32>) {
            (linalg::solve(a, b), linalg::log_det(a), linalg::cholesky(a))
        }
    }
}

#[differentiable]
fn energy(a: &Array2<f64>, b: &Array1<f64>) -> f64 {
    0.5 * b.dot(&linalg::solve(a, b)) + linalg::log_det(a)
}

#[test]
fn gradients_in_closed_form() {
    let (a, b) = (regular(5), vector(5));
    let (a_bar, b_bar) = energy::grad(&a, &b);
    let inverse = linalg::inverse(&a);
    let (x, xt) = (inverse.dot(&b), inverse.t().dot(&b));
    close(&b_bar, &(0.5 * (&x + &xt)), 1e-13);
    let outer = xt.insert_axis(Axis(1)).dot(&x.insert_axis(Axis(0)));
    close(&a_bar, &(&inverse.t() - 0.5 * outer), 1e-13);
}

#[test]
fn hessians_are_symmetric() {
    let (a, b) = (regular(4), vector(4));
    let (u, u2) = (matrix(4, 4).sin(), vector(4).cos());
    let (v, v2) = (matrix(4, 4).exp(), vector(4).sin());
    let (hu, hu2) = energy::hvp(&a, &b, &u, &u2);
    let (hv, hv2) = energy::hvp(&a, &b, &v, &v2);
    let (left, right) = ((&v * &hu).sum() + v2.dot(&hu2), (&u * &hv).sum() + u2.dot(&hv2));
    assert!((left - right).abs() <= 1e-11 * left.abs(), "{left} and {right}");
}

#[differentiable]
fn trace_of_eigenvalues(a: &Array2<f64>) -> f64 {
    let (values, _) = linalg::eigh(a);
    (&values * &values).sum()
}

/// The derivative of a function of the values alone is exact where values are repeated.
#[test]
fn repeated_eigenvalues() {
    let a = Array2::<f64>::eye(3) * 2.0;
    close(&trace_of_eigenvalues::grad(&a), &(2.0 * &a), 1e-14);
}

/// The second derivative goes through the vectors, and so does anything that is computed from them.
#[test]
#[should_panic(expected = "eigenvectors in `linalg::eigh(a)` have no derivative, since two eigenvalues are equal")]
fn second_derivatives_at_repeated_eigenvalues() {
    let a = Array2::<f64>::eye(3) * 2.0;
    let _ = trace_of_eigenvalues::hvp(&a, &matrix(3, 3));
}

#[differentiable]
fn projection(a: &Array2<f64>, x: &Array1<f64>) -> f64 {
    let (_, vectors) = linalg::eigh(a);
    vectors.column(0).dot(x)
}

#[test]
#[should_panic(expected = "`projection`: eigenvectors in `linalg::eigh(a)` have no derivative, since two eigenvalues are equal")]
fn eigenvectors_of_values_that_are_equal_up_to_rounding() {
    let q = linalg::eigh(&matrix(3, 3).sin()).1;
    let a = q.dot(&Array2::from_diag(&array![1.0, 1.0, 3.0])).dot(&q.t());
    let _ = projection::grad(&a, &vector(3));
}

#[test]
fn eigenvectors_of_separate_values() {
    let (a, x) = (Array2::from_diag(&array![1.0, 1.0 + 1e-9, 3.0]), array![0.5, -1.0, 2.0]);
    let (a_bar, x_bar) = projection::grad(&a, &x);
    assert!(a_bar.iter().all(|v| v.is_finite()) && (a_bar[[0, 1]] + a_bar[[1, 0]]).abs() > 1e8);
    close(&x_bar, &array![1.0, 0.0, 0.0], 1e-15);
}

#[test]
#[should_panic(expected = "`energy`: the matrix `a` in `linalg::solve(a, b)` is singular")]
fn companions_refuse_singular_matrices() {
    let _ = energy::grad(&array![[1.0, 2.0], [2.0, 4.0]], &array![1.0, 1.0]);
}

#[differentiable]
fn whitened(a: &Array2<f64>, b: &Array1<f64>) -> Array1<f64> {
    linalg::solve_triangular(&linalg::cholesky(a), b, linalg::Triangle::Lower)
}

#[test]
#[should_panic(expected = "`whitened`: the symmetric part of the matrix `a` is not positive definite, as `linalg::cholesky(a)` needs it")]
fn companions_refuse_matrices_that_are_not_positive_definite() {
    let _ = whitened::vjp(&array![[1.0, 2.0], [2.0, 1.0]], &array![1.0, 1.0], &array![1.0, 1.0]);
}

#[test]
#[should_panic(expected = "has elements that are infinite or NaN")]
fn companions_refuse_what_has_no_eigenvalues() {
    let _ = trace_of_eigenvalues::grad(&array![[f64::NAN]]);
}

/// A matrix without rows has the empty solution, the determinant one, and derivatives of its shape.
#[test]
fn nothing_to_solve() {
    let (a, b) = (Array2::<f64>::zeros((0, 0)), Array1::<f64>::zeros(0));
    let (value, (a_bar, b_bar)) = energy::value_and_grad(&a, &b);
    assert_eq!((value, energy(&a, &b), a_bar.dim(), b_bar.len()), (0.0, 0.0, (0, 0), 0));
    assert_eq!(whitened::vjp(&a, &b, &b), (b.clone(), (a.clone(), b.clone())));
    assert_eq!(trace_of_eigenvalues::value_and_grad(&a), (0.0, a));
}

/// `w` at the minimum is `(k + s I) y`.
#[bilevel]
mod smoothing {
    use super::*;

    #[inner(minimize = w)]
    pub(crate) fn train(w: &Array1<f64>, log_s: &f64, k: &Array2<f64>, y: &Array1<f64>) -> f64 {
        let c = k + &(Array2::<f64>::eye(k.nrows()) * log_s.exp());
        0.5 * w.dot(&linalg::solve(&c, w)) - y.dot(w)
    }

    #[outer(minimize = log_s)]
    pub(crate) fn validate(w: &Array1<f64>, t: &Array1<f64>) -> f64 {
        0.5 * (w - t).pow2().sum()
    }
}

#[test]
fn a_problem_with_a_linear_system() {
    let k = regular(4);
    let k = (&k + &k.t()) * 0.5;
    let (y, t, log_s) = (vector(4), vector(4).cos(), -0.3);
    let problem = smoothing::Problem { k: &k, y: &y, t: &t };
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-12)).inner(Lbfgs::default().tolerance(1e-11));
    let h = solver.hypergradient(&log_s, &Array1::zeros(4)).unwrap();
    let w = k.dot(&y) + log_s.exp() * &y;
    close(&h.inner, &w, 1e-8);
    let expected = (&w - &t).dot(&y) * log_s.exp();
    assert!((h.gradient - expected).abs() <= 1e-7 * expected.abs(), "{} instead of {expected}", h.gradient);
}

/// A singular system is an error, not numbers.
#[test]
fn a_problem_with_a_singular_matrix() {
    let k = array![[1.0, 2.0], [2.0, 4.0]];
    let (y, t) = (vector(2), vector(2));
    let problem = smoothing::Problem { k: &k, y: &y, t: &t };
    let mut solver = problem.solver(Implicit::cg()).inner(Lbfgs::default());
    let error = solver.hypergradient(&-800.0, &array![1.0, -1.0]).unwrap_err().to_string();
    assert!(error.contains("the matrix `&c` in `linalg::solve(&c, w)` is singular"), "{error}");
}
