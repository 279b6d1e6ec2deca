//! The direct solver: what it proves, and what it does with matrices that are not positive definite.

use super::*;

#[test]
fn no_eigenvalue_is_below_the_bound() {
    for n in [1, 2, 5, 20, 60] {
        let diagonal: Vec<f64> = (0..n).map(|i| 10_f64.powf(-4.0 * i as f64 / n as f64)).collect();
        let smallest = diagonal[n - 1];
        let (_, outcome) = solve(Direct::default(), &mut Dense::diagonal(&diagonal), &vec![1.0; n]);
        let bound = outcome.eigenvalue_bound.unwrap();
        assert!(bound <= smallest && bound > 0.3 * smallest, "{n}: {bound:e} for {smallest:e}");
    }
    for n in [3, 10, 30] {
        let (_, outcome) = solve(Direct::default(), &mut hilbert::<f64>(n), &vec![1.0; n]);
        let mut matrix: Vec<f64> = hilbert::<f64>(n).rows.concat();
        let mut vectors = vec![0.0; n * n];
        dense::eigen(&mut matrix, &mut vectors, n);
        let smallest = (0..n).map(|i| matrix[i * (n + 1)]).fold(f64::INFINITY, f64::min);
        let bound = outcome.eigenvalue_bound.unwrap();
        assert!(bound <= smallest && bound > 0.4 * smallest, "{n}: {bound:e} for {smallest:e}");
        assert!(outcome.smallest_curvature.unwrap() >= smallest * (1.0 - 1e-12));
    }
}

#[test]
fn factors_are_used_again_for_the_same_operator_only() {
    let direct = Direct::default();
    let mut memory = LinearSolver::<f64>::memory(&direct, 4).unwrap();
    let run = |scale: f64, memory: &mut _| {
        let mut operator = hilbert(4);
        operator.rows.iter_mut().flatten().for_each(|x| *x *= scale);
        let mut x = [0.0; 4];
        let outcome = direct.solve(&mut operator, &[1.0, 2.0, 3.0, 4.0], &mut x, memory);
        assert_eq!(outcome.stop, LinearStop::Converged);
        assert!(outcome.eigenvalue_bound.is_some());
        (operator.n_products, x)
    };
    let (first, x) = run(1.0, &mut memory);
    assert_eq!(first, 6);
    assert_eq!(run(1.0, &mut memory), (2, x));
    let (changed, half) = run(2.0, &mut memory);
    assert_eq!(changed, 6);
    assert!(half.iter().zip(x).all(|(half, x)| (2.0 * half - x).abs() < 1e-14));
    assert_eq!(run(2.0, &mut memory).0, 2);
    assert_eq!(run(2.0 + 1e-15, &mut memory).0, 6);
    LinearSolver::<f64>::forget(&direct, &mut memory);
    assert_eq!(run(2.0 + 1e-15, &mut memory).0, 6);
}

#[test]
fn singular_matrices_have_a_pseudo_inverse_only() {
    let singular = || Dense::diagonal(&[2.0, 1.0, 0.0]);
    for direct in [Direct::default(), Direct::default().allow_indefinite()] {
        let (_, outcome) = solve(direct, &mut singular(), &[1.0, 1.0, 1.0]);
        assert_eq!(outcome.stop, LinearStop::Singular, "{outcome:?}");
    }
    let (x, outcome) = solve(Direct::default().pseudo_inverse(1e-10), &mut singular(), &[1.0, 1.0, 1.0]);
    assert_eq!(outcome.stop, LinearStop::Truncated);
    assert!(x.iter().zip([0.5_f64, 1.0, 0.0]).all(|(x, e)| (x - e).abs() < 1e-14), "{x:?}");
    assert!((outcome.relative_residual - (1.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    let (x, outcome) = solve(Direct::default().pseudo_inverse(1e-10), &mut singular(), &[1.0, 1.0, 0.0]);
    assert_eq!(outcome.stop, LinearStop::Converged);
    assert!(x.iter().zip([0.5_f64, 1.0, 0.0]).all(|(x, e)| (x - e).abs() < 1e-14), "{x:?}");
    assert!(LinearSolver::<f64>::memory(&Direct::default().pseudo_inverse(2.0), 1).is_err());
}

/// With a zero diagonal, elimination without exchanges would divide by zero.
#[test]
fn indefinite_matrices_of_every_size() {
    for n in [2, 3, 6, 33, 70] {
        let entry = |i: usize, j: usize| if i == j { 0.0 } else { ((i * j + i + j) as f64).sin() };
        let rows: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect();
        let expected: Vec<f64> = (0..n).map(|i| (i as f64).cos()).collect();
        let mut b = vec![0.0; n];
        Dense::new(rows.clone()).apply(&expected, &mut b);
        let (x, outcome) = solve(Direct::default().allow_indefinite(), &mut Dense::new(rows), &b);
        assert_eq!(outcome.stop, LinearStop::Converged, "{n}: {outcome:?}");
        assert!(outcome.smallest_curvature.unwrap() < 0.0);
        assert!(x.iter().zip(&expected).all(|(x, e)| (x - e).abs() < 1e-9), "{n}");
    }
}

/// As the factors of the last outer step do for the next.
#[test]
fn factors_of_a_neighbour_correct_too() {
    let direct = Direct::default();
    let mut memory = LinearSolver::<f64>::memory(&direct, 5).unwrap();
    let b = [1.0, -1.0, 2.0, 0.0, 1.0];
    let mut x = [0.0; 5];
    assert_eq!(direct.correct(&mut hilbert(5), &b, &mut x, &mut memory, within(0.1)), LinearStop::Singular);
    direct.solve(&mut hilbert(5), &b, &mut x, &mut memory);
    let mut neighbour = hilbert(5);
    neighbour.rows.iter_mut().enumerate().for_each(|(i, row)| row[i] += 0.05);
    assert_eq!(direct.correct(&mut neighbour, &b, &mut x, &mut memory, within(1e-6)), LinearStop::Converged);
    assert!(neighbour.n_products > 1);
    let mut product = [0.0; 5];
    neighbour.apply(&x, &mut product);
    assert!(product.iter().zip(b).all(|(p, b)| (p - b / 7_f64.sqrt()).abs() < 1e-6));
    // One that has nothing in common with them is not corrected, which is said.
    let mut stranger = Dense::diagonal(&[-1.0; 5]);
    assert_eq!(direct.correct(&mut stranger, &b, &mut x, &mut memory, within(0.1)), LinearStop::Stagnated);
}

#[test]
fn single_precision() {
    let mut b = [0.0; 4];
    hilbert::<f32>(4).apply(&[1.0, -1.0, 2.0, 0.5], &mut b);
    let (x, outcome) = solve(Direct::default(), &mut hilbert::<f32>(4), &b);
    assert_eq!(outcome.stop, LinearStop::Converged, "{outcome:?}");
    assert!(x.iter().zip([1.0, -1.0, 2.0, 0.5]).all(|(x, e)| (x - e).abs() < 1e-5));
}
