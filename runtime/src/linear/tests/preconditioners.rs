//! Preconditioned conjugate gradients: the same solution in fewer iterations.

use super::*;

/// A few large eigenvalues along full directions, on a diagonal that varies.
fn spiked(n: usize, spread: f64) -> Dense<f64> {
    let spike = |k: usize, i: usize| ((i * (k + 2) + k) as f64).sin();
    let entry = |i: usize, j: usize| {
        let diagonal = if i == j { 1.0 + spread * i as f64 } else { 0.0 };
        diagonal + (0..3).map(|k| 10_f64.powi(3 - k as i32) * spike(k, i) * spike(k, j)).sum::<f64>()
    };
    Dense::new((0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect())
}

fn iterations(operator: impl Fn() -> Dense<f64>, preconditioner: Option<Preconditioner>) -> usize {
    let n = operator().rows.len();
    let expected: Vec<f64> = (0..n).map(|i| (i as f64).cos()).collect();
    let mut b = vec![0.0; n];
    operator().apply(&expected, &mut b);
    let cg = Cg::default().tolerance(1e-12);
    let cg = preconditioner.map_or(cg, |p| cg.preconditioner(p));
    let (x, outcome) = solve(cg, &mut operator(), &b);
    assert_eq!(outcome.stop, LinearStop::Converged, "{outcome:?}");
    assert!(x.iter().zip(&expected).all(|(x, e)| (x - e).abs() < 1e-8), "{preconditioner:?}");
    outcome.n_iterations
}

#[test]
fn the_diagonal_helps_where_scales_differ() {
    let operator = || {
        let mut operator = hilbert::<f64>(30);
        for (i, row) in operator.rows.iter_mut().enumerate() {
            for (j, x) in row.iter_mut().enumerate() {
                *x *= 10_f64.powf((i as f64 + j as f64) / 12.0);
            }
        }
        operator
    };
    let plain = iterations(operator, None);
    for preconditioner in [Preconditioner::diagonal(), Preconditioner::estimated_diagonal(30)] {
        let preconditioned = iterations(operator, Some(preconditioner));
        assert!(preconditioned * 2 < plain, "{preconditioner:?}: {preconditioned} and {plain}");
    }
    // For a diagonal operator one probe knows all.
    let diagonal: Vec<f64> = (0..50).map(|i| 10_f64.powf(f64::from(i) / 12.0)).collect();
    assert_eq!(iterations(|| Dense::diagonal(&diagonal), Some(Preconditioner::estimated_diagonal(1))), 1);
}

#[test]
fn a_sketch_removes_the_largest_eigenvalues() {
    let plain = iterations(|| spiked(60, 0.05), None);
    let sketched = iterations(|| spiked(60, 0.05), Some(Preconditioner::nystrom(6).seed(1)));
    assert!(sketched + 5 < plain, "{sketched} and {plain}");
    // A sketch of full rank is the operator itself.
    assert!(iterations(|| spiked(20, 0.5), Some(Preconditioner::nystrom(20))) <= 2);
    assert!(iterations(|| spiked(20, 0.5), Some(Preconditioner::nystrom(100))) <= 2);
}

#[test]
fn one_that_is_kept_costs_its_products_once() {
    let cg = Cg::default().preconditioner(Preconditioner::diagonal().every(3));
    let mut memory = LinearSolver::<f64>::memory(&cg, 10).unwrap();
    let mut operator = hilbert::<f64>(10);
    let mut run = |memory: &mut _| {
        let before = operator.n_products;
        let outcome = cg.solve(&mut operator, &[1.0; 10], &mut [0.0; 10], memory);
        operator.n_products - before - outcome.n_iterations - 1
    };
    let costs: Vec<usize> = (0..5).map(|_| run(&mut memory)).collect();
    assert_eq!(costs, [10, 0, 0, 10, 0]);
    LinearSolver::<f64>::forget(&cg, &mut memory);
    assert_eq!(run(&mut memory), 10);
}
