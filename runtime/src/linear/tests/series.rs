//! Approximations on purpose: the Neumann series and the Nyström method.

use super::*;

/// `α Σ (I − αH)ᵏ b` up to `k = terms`, as the formula has it.
fn series(operator: &mut Dense<f64>, b: &[f64], step: f64, terms: usize) -> Vec<f64> {
    let (mut v, mut sum) = (b.to_vec(), b.to_vec());
    let mut product = vec![0.0; b.len()];
    for _ in 0..terms {
        operator.apply(&v, &mut product);
        for i in 0..b.len() {
            v[i] -= step * product[i];
            sum[i] += v[i];
        }
    }
    sum.iter().map(|x| step * x).collect()
}

#[test]
fn the_series_is_the_formula() {
    let b = [0.5, -1.0, 2.0, 0.1, 3.0];
    for terms in [0, 1, 3, 20] {
        let (x, outcome) = solve(Neumann::default().terms(terms).step(0.3), &mut hilbert(5), &b);
        assert_eq!((outcome.stop, outcome.n_iterations), (LinearStop::Truncated, terms));
        let expected = series(&mut hilbert(5), &b, 0.3, terms);
        assert!(x.iter().zip(&expected).all(|(x, e)| (x - e).abs() < 1e-14 * vector::norm(&expected)), "{terms}: {x:?}");
    }
    let (x, outcome) = solve(Neumann::one_step().step(0.25), &mut hilbert(5), &b);
    assert_eq!((outcome.stop, outcome.n_iterations), (LinearStop::Truncated, 0));
    assert!(x.iter().zip(b).all(|(x, b)| (x - 0.25 * b).abs() < 1e-15));
}

/// The relative error of the solution is at most `(1 − αμ)^(K + 1)` for `α ≤ 1/L`.
#[test]
fn the_error_falls_as_the_theory_says() {
    let diagonal = [4.0, 2.0, 1.0, 0.5];
    for terms in [0, 2, 10, 40] {
        for step in [0.1, 0.25] {
            let (x, outcome) = solve(Neumann::default().terms(terms).step(step), &mut Dense::diagonal(&diagonal), &[1.0, 2.0, -1.0, 1.0]);
            let exact: Vec<f64> = diagonal.iter().zip([1.0, 2.0, -1.0, 1.0]).map(|(d, b)| b / d).collect();
            let error: Vec<f64> = x.iter().zip(&exact).map(|(x, e)| x - e).collect();
            let bound = (1.0 - 0.5 * step).powi(terms as i32 + 1);
            assert!(vector::norm(&error) <= bound * vector::norm(&exact) * (1.0 + 1e-12));
            assert!(outcome.relative_residual <= bound * (1.0 + 1e-12));
        }
    }
}

#[test]
fn steps_that_are_too_long_diverge() {
    let (_, outcome) = solve(Neumann::default().terms(100).step(1.0), &mut Dense::diagonal(&[3.0, 1.0]), &[1.0, 1.0]);
    assert!(outcome.stop == LinearStop::Diverged && outcome.n_iterations < 5, "{outcome:?}");
    // A step of our own choice becomes shorter instead, also where the right-hand side hides the largest eigenvalue.
    let (x, outcome) = solve(Neumann::default().tolerance(1e-12), &mut Dense::diagonal(&[1000.0, 1.0]), &[1e-40, 1.0]);
    assert_eq!(outcome.stop, LinearStop::Converged, "{outcome:?}");
    assert!((x[1] - 1.0_f64).abs() < 1e-11);
}

/// On its range the series is the pseudo-inverse; what lies outside grows as `α (K + 1)`.
#[test]
fn a_singular_operator_of_a_series() {
    let (x, outcome) = solve(Neumann::default().terms(99).step(0.5), &mut Dense::diagonal(&[1.0, 0.0]), &[1.0, 1.0]);
    assert_eq!(outcome.stop, LinearStop::Truncated);
    assert!((x[0] - 1.0_f64).abs() < 1e-12 && (x[1] - 50.0).abs() < 1e-11, "{x:?}");
}

#[test]
fn all_columns_give_the_damped_inverse() {
    for rho in [1.0, 0.1, 1e-3] {
        let b = [0.3, -1.0, 2.0, 0.7, -0.1, 1.0];
        let (x, outcome) = solve(Nystrom::default().rank(6).rho(rho), &mut hilbert(6), &b);
        assert_eq!(outcome.stop, LinearStop::Truncated);
        let mut damped = hilbert::<f64>(6);
        let mut damped = Damped::new(&mut damped, rho);
        let cg = Cg::default().tolerance(1e-15);
        let mut memory = LinearSolver::<f64>::memory(&cg, 6).unwrap();
        let mut expected = [0.0; 6];
        let scale = cg.solve(&mut damped, &b, &mut expected, &mut memory).rhs_norm;
        for (x, e) in x.iter().zip(expected) {
            assert!((x - scale * e).abs() < 1e-9, "{rho}: {x} and not {}", scale * e);
        }
        assert!(outcome.condition.unwrap() >= 1.0);
    }
}

/// As many columns as the rank are enough, whichever they are, and zero columns do no harm.
#[test]
fn the_rank_is_enough() {
    let factor: Vec<Vec<f64>> = (0..3).map(|k| (0..9).map(|i| f64::from((k * 5 + i * 3 + i * k) % 7) / 7.0).collect()).collect();
    let entry = |i: usize, j: usize| (0..3).map(|k| factor[k][i] * factor[k][j]).sum::<f64>();
    let rows: Vec<Vec<f64>> = (0..9).map(|i| (0..9).map(|j| entry(i, j)).collect()).collect();
    let b: Vec<f64> = (0..9).map(|i| f64::from(i) - 4.0).collect();
    let reference = solve(Nystrom::default().rank(9).rho(0.1), &mut Dense::new(rows.clone()), &b).0;
    for seed in 0..5 {
        let (x, _) = solve(Nystrom::default().rank(5).rho(0.1).seed(seed), &mut Dense::new(rows.clone()), &b);
        assert!(x.iter().zip(&reference).all(|(x, e)| (x - e).abs() < 1e-8 * vector::norm(&reference)), "{seed}: {x:?} {reference:?}");
    }
    let (x, outcome) = solve(Nystrom::default().rho(0.5), &mut Dense::diagonal(&[0.0; 4]), &[1.0, 0.0, -1.0, 2.0]);
    assert_eq!(outcome.stop, LinearStop::Truncated);
    assert!(x.iter().zip([2.0_f64, 0.0, -2.0, 4.0]).all(|(x, e)| (x - e).abs() < 1e-12), "{x:?}");
}
