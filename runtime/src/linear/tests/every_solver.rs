//! What holds for all solvers that solve exactly: the same systems, the same traps.

use super::*;

/// A check of one solver, by its name.
trait Check {
    fn check(&self, name: &str, solver: impl LinearSolver<f64> + Copy);
}

/// All solvers that are exact on a positive definite system.
fn each(check: &impl Check) {
    check.check("cg", Cg::default().tolerance(1e-14));
    check.check("cg, diagonal", Cg::default().tolerance(1e-14).preconditioner(Preconditioner::diagonal()));
    check.check("cg, nystrom", Cg::default().tolerance(1e-14).preconditioner(Preconditioner::nystrom(4)));
    check.check("neumann", Neumann::default().tolerance(1e-14));
    each_indefinite(check);
    #[cfg(feature = "linalg")]
    check.check("direct", Direct::default());
}

/// Those that are also for indefinite systems.
fn each_indefinite(check: &impl Check) {
    check.check("minres", Minres::default().tolerance(1e-14));
    check.check("gmres", Gmres::default().tolerance(1e-14));
    check.check("bicgstab", BiCgStab::default().tolerance(1e-14));
    #[cfg(feature = "linalg")]
    check.check("direct, indefinite", Direct::default().allow_indefinite());
}

struct Scales;

impl Check for Scales {
    fn check(&self, name: &str, solver: impl LinearSolver<f64> + Copy) {
        let expected = [0.3, -1.0, 2.0, 0.7, -0.1, 5.0, 1.0, -4.0];
        let mut b = [0.0; 8];
        hilbert::<f64>(8).apply(&expected, &mut b);
        for scale in [1e-150, 1.0, 1e150] {
            let scaled: Vec<f64> = b.iter().map(|b| b * scale).collect();
            let (x, outcome) = solve(solver, &mut hilbert(8), &scaled);
            assert_eq!(outcome.stop, LinearStop::Converged, "{name}: {outcome:?}");
            assert!(outcome.relative_residual < 1e-13, "{name}: {outcome:?}");
            for (x, expected) in x.iter().zip(expected) {
                assert!((x / scale - expected).abs() < 1e-10, "{name} {scale:e}: {x:e} and not {expected}");
            }
        }
    }
}

#[test]
fn right_hand_sides_of_any_scale() {
    each(&Scales);
}

struct Identity;

impl Check for Identity {
    fn check(&self, name: &str, solver: impl LinearSolver<f64> + Copy) {
        let b = [1.0, -2.0, 3.0, 0.5, 7.0];
        let (x, outcome) = solve(solver, &mut Dense::diagonal(&[1.0; 5]), &b);
        assert_eq!(outcome.stop, LinearStop::Converged, "{name}");
        assert!(outcome.n_iterations <= 1, "{name}: {outcome:?}");
        assert!(x.iter().zip(b).all(|(x, b)| (x - b).abs() <= 4e-15 * b.abs()), "{name}: {x:?}");
        // The operator of one unknown.
        let (x, outcome) = solve(solver, &mut Dense::diagonal(&[4.0]), &[2.0]);
        assert!(outcome.stop == LinearStop::Converged && (x[0] - 0.5).abs() < 1e-15, "{name}: {x:?} {outcome:?}");
    }
}

#[test]
fn the_identity_takes_one_iteration() {
    each(&Identity);
}

struct Zero;

impl Check for Zero {
    fn check(&self, name: &str, solver: impl LinearSolver<f64> + Copy) {
        let mut operator = hilbert::<f64>(3);
        let (x, outcome) = solve(solver, &mut operator, &[0.0, -0.0, 0.0]);
        assert_eq!(x, [0.0; 3], "{name}");
        assert_eq!((outcome.stop, outcome.relative_residual, operator.n_products), (LinearStop::Converged, 0.0, 0), "{name}");
    }
}

#[test]
fn a_zero_right_hand_side_takes_no_product() {
    each(&Zero);
    Zero.check("nystrom", Nystrom::default());
    Zero.check("one step", Neumann::one_step());
}

struct NonFinite;

impl Check for NonFinite {
    fn check(&self, name: &str, solver: impl LinearSolver<f64> + Copy) {
        for (operator, b) in [([1.0, f64::NAN], [1.0, 1.0]), ([1.0, f64::INFINITY], [1.0, 1.0]), ([1.0, 2.0], [1.0, f64::INFINITY])] {
            let (_, outcome) = solve(solver, &mut Dense::diagonal(&operator), &b);
            assert_eq!(outcome.stop, LinearStop::NonFinite, "{name}: {outcome:?}");
        }
        let (_, outcome) = solve(solver, &mut hilbert(2), &[1.0, f64::NAN]);
        assert_eq!(outcome.stop, LinearStop::NonFinite, "{name}: {outcome:?}");
    }
}

#[test]
fn what_is_not_finite_is_said_to_be_so() {
    each(&NonFinite);
    NonFinite.check("nystrom", Nystrom::default());
    NonFinite.check("one step", Neumann::one_step());
}

struct Indefinite;

impl Check for Indefinite {
    fn check(&self, name: &str, solver: impl LinearSolver<f64> + Copy) {
        for scale in [1e-150, 1.0, 1e150] {
            let (x, outcome) = solve(solver, &mut Dense::diagonal(&[4.0, 1.0, -2.0, 0.5]), &[scale, scale, scale, -scale]);
            assert_eq!(outcome.stop, LinearStop::Converged, "{name}: {outcome:?}");
            assert!(x.iter().zip([0.25, 1.0, -0.5, -2.0]).all(|(x, e)| (x / scale - e).abs() < 1e-12), "{name}: {x:?}");
            assert!(outcome.smallest_curvature < outcome.largest_curvature, "{name}: {outcome:?}");
        }
    }
}

#[test]
fn indefinite_systems() {
    each_indefinite(&Indefinite);
}

struct NeedsDefinite;

impl Check for NeedsDefinite {
    fn check(&self, name: &str, solver: impl LinearSolver<f64> + Copy) {
        let (_, outcome) = solve(solver, &mut Dense::diagonal(&[4.0, 1.0, -2.0]), &[1.0, 1.0, 1.0]);
        assert_eq!(outcome.stop, LinearStop::NegativeCurvature, "{name}: {outcome:?}");
        assert!(outcome.smallest_curvature.unwrap() < 0.0, "{name}: {outcome:?}");
    }
}

#[test]
fn what_needs_a_definite_operator_says_so() {
    NeedsDefinite.check("cg", Cg::default());
    NeedsDefinite.check("cg, diagonal", Cg::default().preconditioner(Preconditioner::diagonal()));
    NeedsDefinite.check("neumann", Neumann::default());
    NeedsDefinite.check("neumann, terms", Neumann::default().terms(50).step(0.1));
    NeedsDefinite.check("nystrom", Nystrom::default());
    #[cfg(feature = "linalg")]
    NeedsDefinite.check("direct", Direct::default());
}

struct Singular;

impl Check for Singular {
    fn check(&self, name: &str, solver: impl LinearSolver<f64> + Copy) {
        let (_, outcome) = solve(solver, &mut Dense::diagonal(&[2.0, 1.0, 0.0]), &[1.0, 1.0, 1.0]);
        assert!(
            matches!(
                outcome.stop,
                LinearStop::NegativeCurvature | LinearStop::Singular | LinearStop::Stagnated | LinearStop::MaxIterations
            ) && outcome.relative_residual > 0.1,
            "{name}: {outcome:?}"
        );
    }
}

#[test]
fn a_singular_system_without_a_solution_is_not_solved() {
    each(&Singular);
}

struct SingularSolvable;

impl Check for SingularSolvable {
    fn check(&self, name: &str, solver: impl LinearSolver<f64> + Copy) {
        let rows = vec![vec![2.0, -1.0, -1.0], vec![-1.0, 3.0, -2.0], vec![-1.0, -2.0, 3.0]];
        let (x, outcome) = solve(solver, &mut Dense::new(rows), &[4.0, -7.0, 3.0]);
        assert_eq!(outcome.stop, LinearStop::Converged, "{name}: {outcome:?}");
        for (x, expected) in x.iter().zip([4.0_f64 / 3.0, -5.0 / 3.0, 1.0 / 3.0]) {
            assert!((x - expected).abs() < 1e-11, "{name}: {x} and not {expected}");
        }
    }
}

#[test]
fn iterations_solve_a_singular_system_with_a_solution() {
    SingularSolvable.check("cg", Cg::default().tolerance(1e-13));
    SingularSolvable.check("minres", Minres::default().tolerance(1e-13));
    SingularSolvable.check("gmres", Gmres::default().tolerance(1e-13));
    SingularSolvable.check("bicgstab", BiCgStab::default().tolerance(1e-13));
    SingularSolvable.check("neumann", Neumann::default().tolerance(1e-13));
}

struct WarmStart;

impl Check for WarmStart {
    fn check(&self, name: &str, solver: impl LinearSolver<f64> + Copy) {
        let expected = [0.1, -0.2, 0.3, 0.4, -0.5, 0.6];
        let mut b = [0.0; 6];
        hilbert::<f64>(6).apply(&expected, &mut b);
        let norm = vector::norm(&b);
        let solution: Vec<f64> = expected.iter().map(|x| x / norm).collect();
        let mut memory = solver.memory(6).unwrap();
        let run = |start: &[f64], memory: &mut _| {
            let mut operator = hilbert(6);
            let mut x = start.to_vec();
            let outcome = solver.solve(&mut operator, &b, &mut x, memory);
            assert_eq!(outcome.stop, LinearStop::Converged, "{name}: {outcome:?}");
            assert!(x.iter().zip(&solution).all(|(x, e)| (x - e).abs() < 1e-11), "{name}");
            (outcome.n_iterations, operator.n_products)
        };
        let near: Vec<f64> = solution.iter().map(|x| x * (1.0 + 1e-6)).collect();
        let far: Vec<f64> = solution.iter().map(|x| -1e3 * x).collect();
        let cold = run(&[0.0; 6], &mut memory);
        assert_eq!(run(&solution, &mut memory), (0, 1), "{name}");
        assert!(run(&near, &mut memory).0 <= cold.0, "{name}");
        // A start that is worse than none costs the product that shows it.
        assert_eq!(run(&far, &mut memory), (cold.0, cold.1 + 1), "{name}");
    }
}

#[test]
fn a_start_near_the_solution_is_used_and_one_far_from_it_is_not() {
    WarmStart.check("cg", Cg::default().tolerance(1e-13));
    WarmStart.check("minres", Minres::default().tolerance(1e-13));
    WarmStart.check("gmres", Gmres::default().tolerance(1e-13));
    WarmStart.check("bicgstab", BiCgStab::default().tolerance(1e-13));
}

struct Truncated;

impl Check for Truncated {
    fn check(&self, name: &str, solver: impl LinearSolver<f64> + Copy) {
        let (_, outcome) = solve(solver, &mut hilbert::<f64>(6), &[1.0, 0.0, 2.0, 0.0, 3.0, 0.0]);
        assert_eq!((outcome.stop, outcome.n_iterations), (LinearStop::Truncated, 2), "{name}");
        assert!(outcome.relative_residual > 1e-10 && outcome.relative_residual < 1.0, "{name}: {outcome:?}");
    }
}

#[test]
fn a_truncated_solve_gives_the_iterate_it_has_reached() {
    Truncated.check("cg", Cg::default().max_iterations(2));
    Truncated.check("minres", Minres::default().max_iterations(2));
    Truncated.check("gmres", Gmres::default().max_iterations(2));
    Truncated.check("gmres, restarted", Gmres::default().max_iterations(2).restart(1));
    Truncated.check("bicgstab", BiCgStab::default().max_iterations(2));
    Truncated.check("neumann", Neumann::default().terms(2).step(0.5));
}

struct Rough;

impl Check for Rough {
    fn check(&self, name: &str, solver: impl LinearSolver<f64> + Copy) {
        let mut operator = hilbert::<f64>(12);
        let b: Vec<f64> = (0..12).map(|i| 1e100 * f64::from(i % 5 - 2)).collect();
        let mut memory = solver.memory(12).unwrap();
        let mut x = vec![0.0; 12];
        // A direct solver corrects with the factors that it has.
        solver.solve(&mut operator, &b, &mut x, &mut memory);
        let before = operator.n_products;
        solver.correct(&mut operator, &b, &mut x, &mut memory, within(0.1));
        assert!(operator.n_products - before <= 12, "{name}");
        let mut product = vec![0.0; 12];
        operator.apply(&x, &mut product);
        let norm = vector::norm(&b);
        let residual: Vec<f64> = product.iter().zip(&b).map(|(p, b)| p - b / norm).collect();
        assert!(vector::norm(&residual) < 0.101, "{name}: {}", vector::norm(&residual));
    }
}

#[test]
fn corrections_are_rough() {
    each(&Rough);
    Rough.check("nystrom", Nystrom::default());
    Rough.check("one step", Neumann::one_step());
    Rough.check("cg, one iteration", Cg::default().max_iterations(1));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    fn refuses(solver: impl LinearSolver<f64>) -> bool {
        solver.memory(3).is_err()
    }
    assert!(refuses(Cg::default().tolerance(f64::NAN)) && refuses(Cg::default().max_iterations(0)));
    assert!(refuses(Cg::default().preconditioner(Preconditioner::nystrom(0))));
    assert!(refuses(Cg::default().preconditioner(Preconditioner::estimated_diagonal(0))));
    assert!(refuses(Cg::default().preconditioner(Preconditioner::diagonal().every(0))));
    assert!(refuses(Minres::default().tolerance(-1.0)) && refuses(Minres::default().max_iterations(0)));
    assert!(refuses(Gmres::default().restart(0)) && refuses(Gmres::default().tolerance(f64::INFINITY)));
    assert!(refuses(BiCgStab::default().max_iterations(0)));
    assert!(refuses(Neumann::default().step(0.0)) && refuses(Neumann::default().step(f64::NAN)));
    assert!(refuses(Nystrom::default().rank(0)) && refuses(Nystrom::default().rho(0.0)));
}
