//! Every linear solver, on systems with known solutions and on those that have none.

mod cg;
#[cfg(feature = "linalg")]
mod direct;
mod every_solver;
mod general;
mod preconditioners;
mod series;

use super::*;
use crate::vector;

/// A dense matrix as an operator, and the number of products with it.
struct Dense<T> {
    rows: Vec<Vec<T>>,
    n_products: usize,
}

impl<T: Float> Dense<T> {
    fn new(rows: Vec<Vec<T>>) -> Self {
        Dense { rows, n_products: 0 }
    }

    fn diagonal(diagonal: &[T]) -> Self {
        let row = |i| (0..diagonal.len()).map(|j| if i == j { diagonal[i] } else { T::zero() }).collect();
        Dense::new((0..diagonal.len()).map(row).collect())
    }
}

impl<T: Float> Operator<T> for Dense<T> {
    fn apply(&mut self, v: &[T], product: &mut [T]) {
        self.n_products += 1;
        for (product, row) in product.iter_mut().zip(&self.rows) {
            *product = vector::dot(row, v);
        }
    }
}

/// Solves with a start that is no number, which is as good as none.
fn solve<T: Float>(solver: impl LinearSolver<T>, operator: &mut Dense<T>, b: &[T]) -> (Vec<T>, LinearOutcome) {
    let mut x = vec![T::nan(); b.len()];
    let mut memory = solver.memory(b.len()).unwrap();
    let outcome = solver.solve(operator, b, &mut x, &mut memory);
    vector::scale(T::from_f64(outcome.rhs_norm), &mut x);
    (x, outcome)
}

/// The Hilbert matrix plus a tenth of the identity: full, positive definite, condition about 16.
fn hilbert<T: Float>(n: usize) -> Dense<T> {
    let entry = |i: usize, j: usize| T::from_f64(1.0 / (i + j + 1) as f64 + if i == j { 0.1 } else { 0.0 });
    Dense::new((0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect())
}

/// As much effort as a tolerance takes.
fn within(tolerance: f64) -> Effort<f64> {
    Effort { tolerance, max_products: None }
}
