//! Operators that are not symmetric, and iterations that break down.

use super::*;

/// `I − J` with `J` a rotation by 80 degrees times 0.9, in planes of different angles.
fn rotation_and_contraction(n_planes: usize) -> Dense<f64> {
    let n = 2 * n_planes;
    let mut rows = vec![vec![0.0; n]; n];
    for k in 0..n_planes {
        let angle = 1.4 + 0.1 * k as f64;
        let (sin, cos) = angle.sin_cos();
        let j = [[0.9 * cos, -0.9 * sin], [0.9 * sin, 0.9 * cos]];
        for a in 0..2 {
            for b in 0..2 {
                rows[2 * k + a][2 * k + b] = f64::from(u8::from(a == b)) - j[a][b];
            }
        }
    }
    Dense::new(rows)
}

#[test]
fn a_rotation_with_contraction() {
    let expected: Vec<f64> = (0..8).map(|i| f64::from(i) - 3.3).collect();
    let mut b = vec![0.0; 8];
    rotation_and_contraction(4).apply(&expected, &mut b);
    fn check(solver: impl LinearSolver<f64> + Copy, b: &[f64], expected: &[f64]) {
        for scale in [1e-150, 1.0, 1e150] {
            let scaled: Vec<f64> = b.iter().map(|b| b * scale).collect();
            let (x, outcome) = solve(solver, &mut rotation_and_contraction(4), &scaled);
            assert_eq!(outcome.stop, LinearStop::Converged, "{outcome:?}");
            assert!(x.iter().zip(expected).all(|(x, e)| (x / scale - e).abs() < 1e-11), "{x:?}");
        }
    }
    check(Gmres::default().tolerance(1e-14), &b, &expected);
    check(Gmres::default().tolerance(1e-14).restart(3), &b, &expected);
    check(BiCgStab::default().tolerance(1e-14), &b, &expected);
    // Conjugate gradients assume what does not hold, and notice.
    let (_, outcome) = solve(Cg::default(), &mut rotation_and_contraction(4), &b);
    assert!(outcome.stop != LinearStop::Converged && outcome.relative_residual > 1e-3, "{outcome:?}");
}

/// The exchange of two unknowns: the first direction of biconjugate gradients has no curvature.
#[test]
fn a_breakdown_is_survived() {
    for scale in [1e-150_f64, 1.0, 1e150] {
        let (x, outcome): (Vec<f64>, _) =
            solve(BiCgStab::default(), &mut Dense::new(vec![vec![0.0, 1.0], vec![1.0, 0.0]]), &[scale, 0.0_f64]);
        assert_eq!(outcome.stop, LinearStop::Converged, "{outcome:?}");
        assert!(x[0].abs() < 1e-12 * scale && (x[1] / scale - 1.0).abs() < 1e-12, "{x:?}");
    }
    // A rotation by 90 degrees has no curvature along any direction.
    let (x, outcome): (Vec<f64>, _) = solve(BiCgStab::default(), &mut Dense::new(vec![vec![0.0, -1.0], vec![1.0, 0.0]]), &[1.0, 2.0_f64]);
    assert_eq!(outcome.stop, LinearStop::Converged, "{outcome:?}");
    assert!((x[0] - 2.0).abs() < 1e-12 && (x[1] + 1.0).abs() < 1e-12, "{x:?}");
}

/// The cyclic shift is the worst case of restarts: nothing is gained before the last vector.
#[test]
fn stagnation_between_restarts_is_said() {
    let shift = |n: usize| Dense::new((0..n).map(|i| (0..n).map(|j| if (i + 1) % n == j { 1.0 } else { 0.0 }).collect()).collect());
    let mut b = vec![0.0; 10];
    b[0] = 1.0;
    let (_, outcome) = solve(Gmres::default().restart(5), &mut shift(10), &b);
    assert!(outcome.stop == LinearStop::Stagnated && outcome.relative_residual > 0.9, "{outcome:?}");
    let (x, outcome) = solve(Gmres::default().restart(10), &mut shift(10), &b);
    assert_eq!((outcome.stop, outcome.n_iterations), (LinearStop::Converged, 10), "{outcome:?}");
    assert!((x[1] - 1.0_f64).abs() < 1e-14);
}

#[test]
fn ill_conditioned_and_indefinite() {
    let diagonal: Vec<f64> = (0..40).map(|i| 10_f64.powf(-6.0 * f64::from(i) / 39.0) * if i % 3 == 0 { -1.0 } else { 1.0 }).collect();
    let (x, outcome) = solve(Minres::default().tolerance(1e-12).max_iterations(2000), &mut Dense::diagonal(&diagonal), &vec![1.0; 40]);
    assert!(outcome.relative_residual < 1e-9, "{outcome:?}");
    assert!(x.iter().zip(&diagonal).all(|(x, d)| (x * d - 1.0).abs() < 1e-8), "{outcome:?}");
}

#[test]
fn damping_adds_to_the_diagonal() {
    let mut operator = Dense::diagonal(&[2.0, 1.0, 0.0]);
    let mut damped = Damped::new(&mut operator, 0.5);
    let cg = Cg::default().tolerance(1e-14);
    let mut memory = LinearSolver::<f64>::memory(&cg, 3).unwrap();
    let mut x = [0.0; 3];
    let outcome = cg.solve(&mut damped, &[1.0, 1.0, 1.0], &mut x, &mut memory);
    assert_eq!(outcome.stop, LinearStop::Converged);
    for (x, expected) in x.iter().zip([0.4, 1.0 / 1.5, 2.0]) {
        assert!((x * 3_f64.sqrt() - expected).abs() < 1e-13);
    }
}
