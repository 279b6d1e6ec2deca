//! Conjugate gradients, where they differ from the others.

use super::*;

#[test]
fn the_identity_takes_one_iteration() {
    let (x, outcome) = solve(Cg::default(), &mut Dense::diagonal(&[1.0; 5]), &[1.0, -2.0, 3.0, 0.5, 7.0]);
    assert_eq!(outcome.n_iterations, 1);
    assert_eq!(outcome.stop, LinearStop::Converged);
    for (x, b) in x.iter().zip([1.0_f64, -2.0, 3.0, 0.5, 7.0]) {
        assert!((x - b).abs() <= 1e-15 * b.abs());
    }
}

#[test]
fn a_zero_right_hand_side_takes_no_product() {
    let mut operator = hilbert::<f64>(3);
    let (x, outcome) = solve(Cg::default(), &mut operator, &[0.0, -0.0, 0.0]);
    assert_eq!(x, [0.0; 3]);
    assert_eq!((outcome.stop, outcome.relative_residual, operator.n_products), (LinearStop::Converged, 0.0, 0));
}

#[test]
fn n_iterations_suffice_for_any_scale_of_the_right_hand_side() {
    let expected = [0.3, -1.0, 2.0, 0.7, -0.1, 5.0, 1.0, -4.0];
    let mut b = [0.0; 8];
    hilbert::<f64>(8).apply(&expected, &mut b);
    for scale in [1e-150, 1.0, 1e150] {
        let scaled: Vec<f64> = b.iter().map(|b| b * scale).collect();
        let (x, outcome) = solve(Cg::default().tolerance(1e-14), &mut hilbert(8), &scaled);
        assert_eq!(outcome.stop, LinearStop::Converged, "{outcome:?}");
        assert!(outcome.n_iterations <= 16);
        for (x, expected) in x.iter().zip(expected) {
            assert!((x / scale - expected).abs() < 1e-12, "{scale:e}: {x:e} and not {expected}");
        }
    }
}

#[test]
fn single_precision_at_extreme_scales() {
    for scale in [1e-30_f32, 1.0, 1e30] {
        let mut b = [0.0; 4];
        hilbert::<f32>(4).apply(&[1.0, -1.0, 2.0, 0.5], &mut b);
        let scaled = b.map(|b| b * scale);
        let (x, outcome) = solve(Cg::default(), &mut hilbert(4), &scaled);
        assert_eq!(outcome.stop, LinearStop::Converged, "{outcome:?}");
        for (x, expected) in x.iter().zip([1.0, -1.0, 2.0, 0.5]) {
            assert!((x / scale - expected).abs() < 1e-4);
        }
    }
}

#[test]
fn the_operator_may_be_scaled_too() {
    for scale in [1e-150, 1e150] {
        let (x, outcome) = solve(Cg::default(), &mut Dense::diagonal(&[scale, 2.0 * scale, 3.0 * scale]), &[1.0, 1.0, 1.0]);
        assert_eq!(outcome.stop, LinearStop::Converged);
        assert!((x[1] * scale - 0.5_f64).abs() < 1e-12);
    }
}

#[test]
fn negative_curvature_stops_with_the_iterate_before_it() {
    // From b = (1, 1, 1): the first direction has curvature 3/3, a later one is negative.
    let (x, outcome) = solve(Cg::default(), &mut Dense::diagonal(&[4.0, 1.0, -2.0]), &[1.0, 1.0, 1.0]);
    assert_eq!(outcome.stop, LinearStop::NegativeCurvature);
    assert_eq!(outcome.n_iterations, 1);
    assert!(outcome.smallest_curvature.unwrap() < 0.0);
    assert!(x.iter().all(|x| (x - 1.0_f64).abs() < 1e-15), "one step from zero along b, of length 1: {x:?}");
}

#[test]
fn a_singular_operator_is_not_positive_definite() {
    let (_, outcome) = solve(Cg::default(), &mut Dense::diagonal(&[2.0, 1.0, 0.0]), &[1.0, 1.0, 1.0]);
    assert_eq!(outcome.stop, LinearStop::NegativeCurvature);
    let (_, outcome) = solve(Cg::default(), &mut Dense::diagonal(&[0.0]), &[1.0]);
    assert_eq!((outcome.stop, outcome.n_iterations), (LinearStop::NegativeCurvature, 0));
}

/// Rounding makes the zero eigenvalues of `RᵀR` small numbers of either sign.
#[test]
fn a_system_that_is_singular_up_to_rounding_is_not_positive_definite() {
    for seed in 1..40 {
        let root: Vec<Vec<f64>> =
            (0..3).map(|i| (0..6).map(|j| f64::from((seed * (i * 7 + j * 5 + i * j * 3) + j) % 19) / 19.0).collect()).collect();
        let entry = |i: usize, j: usize| root.iter().map(|row| row[i] * row[j]).sum();
        let mut operator = Dense::new((0..6).map(|i| (0..6).map(|j| entry(i, j)).collect()).collect());
        let (_, outcome) = solve(Cg::default(), &mut operator, &[1.0, 0.3, -0.2, 0.7, 0.1, -0.9]);
        assert_eq!(outcome.stop, LinearStop::NegativeCurvature, "{seed}: {outcome:?}");
        assert!(outcome.n_iterations <= 3, "{seed}: {outcome:?}");
    }
}

/// As in a softmax whose shift nothing penalises: the least-norm solution.
#[test]
fn a_singular_system_with_a_solution_is_solved() {
    let rows = vec![vec![2.0, -1.0, -1.0], vec![-1.0, 3.0, -2.0], vec![-1.0, -2.0, 3.0]];
    let (x, outcome) = solve(Cg::default().tolerance(1e-12), &mut Dense::new(rows), &[4.0, -7.0, 3.0]);
    assert_eq!(outcome.stop, LinearStop::Converged, "{outcome:?}");
    for (x, expected) in x.iter().zip([4.0_f64 / 3.0, -5.0 / 3.0, 1.0 / 3.0]) {
        assert!((x - expected).abs() < 1e-12, "{x} and not {expected}");
    }
}

#[test]
fn an_ill_conditioned_system_ends_at_the_accuracy_that_rounding_allows() {
    let diagonal: Vec<f64> = (0..60).map(|i| 10_f64.powf(-8.0 * f64::from(i) / 59.0)).collect();
    let (x, outcome) = solve(Cg::default().tolerance(1e-12), &mut Dense::diagonal(&diagonal), &vec![1.0; 60]);
    assert_eq!(outcome.stop, LinearStop::Converged, "{outcome:?}");
    assert!(outcome.relative_residual < 1e-7);
    for (x, d) in x.iter().zip(&diagonal) {
        assert!((x * d - 1.0).abs() < 1e-6);
    }
}

#[test]
fn a_truncated_solve_gives_the_iterate_it_has_reached() {
    let mut operator = hilbert::<f64>(6);
    let (_, outcome) = solve(Cg::default().max_iterations(2), &mut operator, &[1.0, 0.0, 2.0, 0.0, 3.0, 0.0]);
    assert_eq!((outcome.stop, outcome.n_iterations, operator.n_products), (LinearStop::Truncated, 2, 3));
    assert!(outcome.relative_residual > 1e-10 && outcome.relative_residual < 1.0);
}

#[test]
fn non_finite_products_and_settings_are_refused() {
    let (_, outcome) = solve(Cg::default(), &mut Dense::diagonal(&[1.0, f64::NAN]), &[1.0, 1.0]);
    assert_eq!(outcome.stop, LinearStop::NonFinite);
    let (_, outcome) = solve(Cg::default(), &mut hilbert(2), &[1.0, f64::INFINITY]);
    assert_eq!(outcome.stop, LinearStop::NonFinite);
    assert!(LinearSolver::<f64>::memory(&Cg::default().tolerance(f64::NAN), 1).is_err());
    assert!(LinearSolver::<f64>::memory(&Cg::default().max_iterations(0), 1).is_err());
}
