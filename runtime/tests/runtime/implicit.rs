//! Every implicit method on the same problems: those that are exact against closed forms, those that are approximations against their formulas, and
//! what each does where there is no strict minimum.

use crate::problems::Ridge;
use crate::problems::{Logistic, Quadratic, Scalar};
#[cfg(feature = "linalg")]
use bilevel_runtime::condition::Gradient;
use bilevel_runtime::linear::{LinearSolver, LinearStop, Preconditioner};
use bilevel_runtime::methods::Implicit;
use bilevel_runtime::report::Report;
use bilevel_runtime::solve::{Lbfgs, NewtonCg};
use bilevel_runtime::solver::HypergradientOf;
use bilevel_runtime::{Error, LossesReadOuter, ProblemExt};
use ndarray::{Array1, Array2, array};

fn close(a: &Array1<f64>, b: &[f64], tolerance: f64) -> bool {
    let size = b.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance * size)
}

/// A check of one method, by its name.
trait Check {
    fn check<L: LinearSolver<f64> + Copy>(&self, name: &str, method: Implicit<L>);
}

/// All methods that are exact at a strict minimum.
fn each_exact(check: &impl Check) {
    check.check("cg", Implicit::cg().tolerance(1e-14));
    check.check("cg, diagonal", Implicit::cg().tolerance(1e-14).preconditioner(Preconditioner::diagonal()));
    check.check("cg, estimated diagonal", Implicit::cg().tolerance(1e-14).preconditioner(Preconditioner::estimated_diagonal(3)));
    check.check("cg, nystrom", Implicit::cg().tolerance(1e-14).preconditioner(Preconditioner::nystrom(2).every(5)));
    check.check("neumann", Implicit::neumann().tolerance(1e-14));
    each_indefinite(check);
    #[cfg(feature = "linalg")]
    {
        check.check("direct", Implicit::direct());
        check.check("direct, pseudo-inverse", Implicit::direct().pseudo_inverse(1e-12));
    }
}

/// All methods that need no minimum.
fn each_indefinite(check: &impl Check) {
    check.check("minres", Implicit::minres().tolerance(1e-14));
    check.check("gmres", Implicit::gmres().tolerance(1e-14));
    check.check("gmres, restarted", Implicit::gmres().tolerance(1e-14).restart(2));
    check.check("bicgstab", Implicit::bicgstab().tolerance(1e-14));
    #[cfg(feature = "linalg")]
    check.check("direct, indefinite", Implicit::direct().allow_indefinite());
}

fn solve<P: LossesReadOuter<Condition = Gradient, Float = f64>, L: LinearSolver<f64>>(
    problem: &P,
    method: Implicit<L>,
    outer: P::Outer,
    inner: P::Inner,
) -> Result<HypergradientOf<P>, Error> {
    problem.solver(method).inner(NewtonCg::default().tolerance(1e-13)).hypergradient(&outer, &inner)
}

struct ExactQuadratic;

impl Check for ExactQuadratic {
    fn check<L: LinearSolver<f64> + Copy>(&self, name: &str, method: Implicit<L>) {
        let h = solve(&Quadratic::exact(), method, array![1.0, -1.0], Array1::zeros(3)).unwrap();
        assert!(close(&h.gradient, &[44.0 / 27.0, -7.0 / 3.0], 1e-12), "{name}: {}", h.gradient);
        let bound = h.report.error_bound.as_ref().unwrap();
        assert!(bound.value < 1e-10, "{name}: {}", h.report);
        assert!(!h.report.is_indefinite() && h.report.peak_bytes >= (3 * 3 + 2) * 8);
    }
}

#[test]
fn exact_quadratic() {
    each_exact(&ExactQuadratic);
}

struct Scales;

impl Check for Scales {
    fn check<L: LinearSolver<f64> + Copy>(&self, name: &str, method: Implicit<L>) {
        // At z = 0 and x = 0 with c = 0 the inner problem is solved, and the outer gradient is −t.
        let gradient = |scale: f64| {
            let mut problem = Quadratic::<f64>::exact();
            problem.c.fill(0.0);
            problem.t *= scale;
            solve(&problem, method, array![0.0, 0.0], Array1::zeros(3)).unwrap().gradient / scale
        };
        let reference = gradient(1.0).to_vec();
        for scale in [1e-150, 1e150] {
            assert!(close(&gradient(scale), &reference, 1e-13), "{name}, {scale:e}: {}", gradient(scale));
        }
    }
}

#[test]
fn outer_gradients_of_any_scale() {
    each_exact(&Scales);
    Scales.check("nystrom", Implicit::nystrom());
    Scales.check("one step", Implicit::one_step());
}

#[cfg(feature = "linalg")]
struct RidgeProblem;

#[cfg(feature = "linalg")]
impl Check for RidgeProblem {
    fn check<L: LinearSolver<f64> + Copy>(&self, name: &str, method: Implicit<L>) {
        let problem = Ridge::<f64>::new(12);
        let lambda = Array1::from_shape_fn(12, |i| -3.0 + 0.3 * f64::from(i as u8));
        let n_rows = problem.y.len() as f64;
        let hessian = problem.a.t().dot(&problem.a) / n_rows + Array2::from_diag(&lambda.mapv(f64::exp));
        let solve_dense = |b: &Array1<f64>| bilevel_runtime::linalg::solve(&hessian, b);
        let w = solve_dense(&(problem.a.t().dot(&problem.y) / n_rows));
        let outer_gradient = problem.a_val.t().dot(&(problem.a_val.dot(&w) - &problem.y_val)) / problem.y_val.len() as f64;
        let expected = -lambda.mapv(f64::exp) * &w * solve_dense(&outer_gradient);
        let h = solve(&problem, method, lambda, Array1::zeros(12)).unwrap();
        assert!(close(&h.gradient, &expected.to_vec(), 1e-10), "{name}: {} and not {expected}", h.gradient);
    }
}

#[cfg(feature = "linalg")]
#[test]
fn ridge() {
    each_exact(&RidgeProblem);
}

struct Saddle;

impl Check for Saddle {
    fn check<L: LinearSolver<f64> + Copy>(&self, name: &str, method: Implicit<L>) {
        let h = solve(&saddle(), method, array![0.0, 0.0], Array1::zeros(3)).unwrap();
        // h = Bᵀ H⁻¹ (z − t) with z = 0 and t = (1, 1, 1).
        assert!(close(&h.gradient, &[-2.0, -1.5], 1e-12), "{name}: {}", h.gradient);
        assert!(h.report.is_indefinite() && h.report.to_string().contains("not a minimum"), "{name}: {}", h.report);
        assert!(h.report.error_bound.unwrap().value < 1e-10, "{name}");
    }
}

/// z = 0 is stationary for x = 0 and c = 0, and no minimum.
fn saddle() -> Quadratic<f64> {
    let mut problem = Quadratic::exact();
    problem.h = Array2::from_diag(&array![1.0, 2.0, -1.0]);
    problem.c.fill(0.0);
    problem
}

#[test]
fn a_saddle_is_reported_where_the_solver_can_handle_it() {
    each_indefinite(&Saddle);
}

struct SaddleRefused;

impl Check for SaddleRefused {
    fn check<L: LinearSolver<f64> + Copy>(&self, name: &str, method: Implicit<L>) {
        let error = solve(&saddle(), method, array![0.0, 0.0], Array1::zeros(3)).unwrap_err();
        assert!(matches!(error, Error::NotPositiveDefinite { curvature, .. } if curvature < 0.0), "{name}: {error}");
    }
}

#[test]
fn a_saddle_is_refused_where_the_solver_needs_a_minimum() {
    SaddleRefused.check("cg", Implicit::cg());
    SaddleRefused.check("neumann", Implicit::neumann());
    SaddleRefused.check("neumann, terms", Implicit::neumann().terms(5).step(0.1));
    SaddleRefused.check("nystrom", Implicit::nystrom());
    #[cfg(feature = "linalg")]
    SaddleRefused.check("direct", Implicit::direct());
}

struct Singular;

impl Check for Singular {
    fn check<L: LinearSolver<f64> + Copy>(&self, name: &str, method: Implicit<L>) {
        let mut problem = saddle();
        problem.h = Array2::from_diag(&array![1.0, 2.0, 0.0]);
        let error = solve(&problem, method, array![0.0, 0.0], Array1::zeros(3)).unwrap_err();
        assert!(matches!(error, Error::NotPositiveDefinite { .. } | Error::LinearSolverNotConverged { .. }), "{name}: {error}");
    }
}

#[test]
fn a_singular_hessian_is_refused_unless_the_method_says_what_to_do() {
    Singular.check("cg", Implicit::cg());
    Singular.check("neumann", Implicit::neumann());
    Singular.check("minres", Implicit::minres());
    Singular.check("gmres", Implicit::gmres());
    Singular.check("bicgstab", Implicit::bicgstab());
    #[cfg(feature = "linalg")]
    {
        Singular.check("direct", Implicit::direct());
        Singular.check("direct, indefinite", Implicit::direct().allow_indefinite());
    }

    let mut problem = saddle();
    problem.h = Array2::from_diag(&array![1.0, 2.0, 0.0]);
    let gradient = |report: &Report| report.error_bound.as_ref().unwrap().value;
    let at = || (array![0.0, 0.0], Array1::zeros(3));
    // B = [[1, 2], [0, 1], [−1, 1]] and z − t = −(1, 1, 1): with q = (−1, −½, q₃), h = Bᵀq.
    #[cfg(feature = "linalg")]
    {
        let h = solve(&problem, Implicit::direct().pseudo_inverse(1e-10), at().0, at().1).unwrap();
        assert!(close(&h.gradient, &[-1.0, -2.5], 1e-12), "{}", h.gradient);
        assert!(gradient(&h.report).is_infinite(), "{}", h.report);
    }
    // (H + δ)⁻¹ with δ = ½: q = −(⅔, 2/5, 2).
    let h = solve(&problem, Implicit::cg().damping(0.5).tolerance(1e-14), at().0, at().1).unwrap();
    assert!(close(&h.gradient, &[-2.0 / 3.0 + 2.0, -4.0 / 3.0 - 0.4 - 2.0], 1e-12), "{}", h.gradient);
    assert_eq!(h.report.damping, 0.5);
    assert!(h.report.to_string().contains("damped by 5.0e-1") && gradient(&h.report).is_infinite(), "{}", h.report);
    // K terms: what lies outside of the range grows as α (K + 1).
    let h = solve(&problem, Implicit::neumann().terms(99).step(0.5), at().0, at().1).unwrap();
    assert!(close(&h.gradient, &[-1.0 + 50.0, -2.5 - 50.0], 1e-11), "{}", h.gradient);
}

#[test]
fn neumann_series_of_the_exact_quadratic() {
    let problem = Quadratic::<f64>::exact();
    let cases: [(usize, [f64; 2]); 2] = [(0, [25.0 / 36.0, -19.0 / 16.0]), (3, [10489.0 / 9216.0, -3785.0 / 2048.0])];
    for (terms, expected) in cases {
        let mut solver = problem.solver(Implicit::neumann().terms(terms).step(0.125)).inner(Lbfgs::default().tolerance(1e-13));
        let h = solver.hypergradient(&array![1.0, -1.0], &Array1::zeros(3)).unwrap();
        assert!(close(&h.gradient, &expected, 1e-12), "{terms}: {}", h.gradient);
        let linear = h.report.linear.as_ref().unwrap();
        assert_eq!((linear.stop, linear.n_iterations, h.report.n_products), (LinearStop::Truncated, terms, terms + 1));
        // The bound counts what the missing terms leave out.
        let error = ((h.gradient[0] - 44.0 / 27.0).powi(2) + (h.gradient[1] + 7.0 / 3.0).powi(2)).sqrt();
        let bound = h.report.error_bound.as_ref().unwrap().value;
        assert!(error <= bound && bound < 3.0 * error, "{terms}: {error:e} {bound:e}");
    }
    let h = solve(&problem, Implicit::one_step().step(0.125), array![1.0, -1.0], Array1::zeros(3)).unwrap();
    assert!(close(&h.gradient, &[25.0 / 36.0, -19.0 / 16.0], 1e-12), "{}", h.gradient);
    let error = solve(&problem, Implicit::neumann().terms(50).step(1.0), array![1.0, -1.0], Array1::zeros(3)).unwrap_err();
    assert!(matches!(error, Error::LinearSolverDiverged { .. }), "{error}");
}

#[test]
fn the_nystrom_method_with_all_columns() {
    let problem = Quadratic::<f64>::exact();
    let rho = 0.05;
    let h = solve(&problem, Implicit::nystrom().rank(3).rho(rho), array![1.0, -1.0], Array1::zeros(3)).unwrap();
    let damped = solve(&problem, Implicit::cg().damping(rho).tolerance(1e-15), array![1.0, -1.0], Array1::zeros(3)).unwrap();
    assert!(close(&h.gradient, &damped.gradient.to_vec(), 1e-12), "{} {}", h.gradient, damped.gradient);
    assert!(h.report.linear.unwrap().condition.unwrap() > 1.0);
    // Other seeds choose other columns.
    let gradient = |seed| solve(&problem, Implicit::nystrom().rank(1).seed(seed), array![1.0, -1.0], Array1::zeros(3)).unwrap().gradient;
    assert!((1..10).any(|seed| gradient(seed) != gradient(0)));
    assert_eq!(gradient(4), gradient(4));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let problem = Quadratic::<f64>::exact();
    let refuses = |error: Result<_, Error>, setting: &str| {
        let error = error.map(|h: HypergradientOf<Quadratic<f64>>| h.value).unwrap_err();
        assert!(error.to_string().starts_with(&format!("`{setting}` is")), "{error}");
    };
    let at = || (array![1.0, -1.0], Array1::zeros(3));
    refuses(solve(&problem, Implicit::cg().damping(-1.0), at().0, at().1), "Implicit::damping");
    refuses(solve(&problem, Implicit::cg().strong_convexity(0.0), at().0, at().1), "Implicit::strong_convexity");
    refuses(solve(&problem, Implicit::gmres().restart(0), at().0, at().1), "Gmres::restart");
    refuses(solve(&problem, Implicit::minres().tolerance(f64::NAN), at().0, at().1), "Minres::tolerance");
    refuses(solve(&problem, Implicit::neumann().step(-1.0), at().0, at().1), "Neumann::step");
    refuses(solve(&problem, Implicit::nystrom().rank(0), at().0, at().1), "Nystrom::rank");
    // The smallest eigenvalue is about 1.27.
    refuses(solve(&problem, Implicit::cg().strong_convexity(2.0), at().0, at().1), "Implicit::strong_convexity");
}

#[test]
fn linear_solves_start_from_the_last_step() {
    let problem = Logistic::<f64>::new(20);
    let products = |method: Implicit| {
        let mut solver = problem.solver(method.tolerance(1e-4)).inner(Lbfgs::default().tolerance(1e-10));
        let tuned = solver.minimize(&Array1::from_elem(20, -3.0), &Array1::zeros(20), bilevel_runtime::solve::Adam::new(0.01), 20).unwrap();
        (tuned.trace.iter().map(|entry| entry.report.linear.as_ref().unwrap().n_iterations).sum::<usize>(), tuned.outer)
    };
    let (warm, outer) = products(Implicit::cg());
    let (cold, same) = products(Implicit::cg().warm_start(false));
    assert!(warm < cold, "{warm} {cold}");
    assert!(close(&outer, &same.to_vec(), 1e-3));
}

#[cfg(feature = "linalg")]
#[test]
fn a_constant_hessian_is_factorised_once() {
    let problem = Quadratic::<f64>::exact();
    let mut solver = problem.solver(Implicit::direct().error_bound(false)).inner(NewtonCg::default());
    let tuned = solver.minimize(&array![1.0, -1.0], &Array1::zeros(3), bilevel_runtime::solve::GradientDescent::new(0.1), 3).unwrap();
    let iterations = |k: usize| tuned.trace[k].report.n_products;
    assert!(iterations(0) >= iterations(1) + 3, "{} {}", iterations(0), iterations(1));
}

#[test]
fn the_scalar_problem() {
    for lambda in [0.0_f64, 0.2, 1.0, 3.0] {
        let expected = (lambda - 1.0) / (1.0 + lambda).powi(3);
        let gradient = solve(&Scalar::T1, Implicit::minres(), lambda, 5.0).unwrap().gradient;
        assert!((gradient - expected).abs() < 1e-10);
        let gradient = solve(&Scalar::T1, Implicit::gmres(), lambda, 5.0).unwrap().gradient;
        assert!((gradient - expected).abs() < 1e-10);
    }
}
