//! Ridge regression with a penalty for every feature, against its closed form: `H = AᵀA/N + diag(e^λ)`, `w* = H⁻¹Aᵀy/N`,
//! `h = −e^λ ⊙ w* ⊙ H⁻¹∇g(w*)`.

use bilevel::prelude::*;

#[bilevel]
mod ridge {
    use super::*;

    #[inner(minimize = w)]
    fn train(w: &Array1<f64>, log_l2: &Array1<f64>, a: &Array2<f64>, y: &Array1<f64>) -> f64 {
        let residual = a.dot(w) - y;
        residual.dot(&residual) / (2.0 * a.nrows() as f64) + 0.5 * (log_l2.exp() * w * w).sum()
    }

    #[outer(minimize = log_l2)]
    fn validate(w: &Array1<f64>, a_val: &Array2<f64>, y_val: &Array1<f64>) -> f64 {
        0.5 * mse(&a_val.dot(w), y_val)
    }
}

/// Numbers in `[-1, 1)` from a linear congruential generator.
fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// The solution of `h x = b` for a symmetric positive definite matrix, by elimination.
fn solve(h: &Array2<f64>, b: &Array1<f64>) -> Array1<f64> {
    let n = b.len();
    let (mut h, mut x) = (h.clone(), b.clone());
    for k in 0..n {
        for i in k + 1..n {
            let factor = h[[i, k]] / h[[k, k]];
            for j in k..n {
                h[[i, j]] -= factor * h[[k, j]];
            }
            x[i] -= factor * x[k];
        }
    }
    for k in (0..n).rev() {
        for j in k + 1..n {
            x[k] -= h[[k, j]] * x[j];
        }
        x[k] /= h[[k, k]];
    }
    x
}

#[test]
fn hypergradient_is_the_closed_form() {
    let mut next = numbers(51);
    let (n, n_val, d) = (40, 15, 7);
    let a = Array2::from_shape_simple_fn((n, d), &mut next);
    let a_val = Array2::from_shape_simple_fn((n_val, d), &mut next);
    let y = Array1::from_shape_simple_fn(n, &mut next);
    let y_val = Array1::from_shape_simple_fn(n_val, &mut next);
    let log_l2 = Array1::from_shape_simple_fn(d, || 2.0 * next() - 2.0);

    let h = a.t().dot(&a) / n as f64 + Array2::from_diag(&log_l2.exp());
    let w = solve(&h, &(a.t().dot(&y) / n as f64));
    let outer_bar = a_val.t().dot(&(a_val.dot(&w) - &y_val)) / n_val as f64;
    let expected = -log_l2.exp() * &w * solve(&h, &outer_bar);

    let problem = ridge::Problem { a: &a, y: &y, a_val: &a_val, y_val: &y_val };
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-13)).inner(Lbfgs::default().tolerance(1e-12));
    let result = solver.hypergradient(&log_l2, &Array1::zeros(d)).expect("a strictly convex problem");
    for (actual, expected, what) in [(&result.inner, &w, "inner solution"), (&result.gradient, &expected, "hypergradient")] {
        let error = (actual - expected).iter().map(|e| e * e).sum::<f64>().sqrt() / expected.dot(expected).sqrt();
        assert!(error < 1e-9, "{what}: relative error {error:.1e}");
    }
}
