//! Fixed points: their solvers, exact hypergradients, and phantom gradients.

use bilevel_runtime::condition::{FixedPoint, Suits};
use bilevel_runtime::linear::LinearSolver;
use bilevel_runtime::methods::{Implicit, Phantom, Unrolled};
use bilevel_runtime::solve::{Anderson, Broyden, GradientDescent, InnerSolver, Picard};
use bilevel_runtime::{BilevelProblem, Error, LossesReadOuter, ProblemExt};
use ndarray::{Array1, Array2, array};

/// `Φ(z, θ) = σ(W z + θ)` with `σ` the hyperbolic tangent or the identity, and the outer loss `½‖z − t‖²`.
struct Cell {
    w: Array2<f64>,
    target: Array1<f64>,
    squashed: bool,
}

/// The slopes of `σ` where the kernels were linearized.
type Slopes = Vec<f64>;

impl Cell {
    /// `n` units, with a matrix that is not symmetric, of this norm.
    fn tanh(n: usize, norm: f64) -> Self {
        let w = Array2::from_shape_fn((n, n), |(i, j)| ((3 * i + 7 * j + i * j) as f64).sin());
        let mut v = Array1::ones(n);
        for _ in 0..500 {
            v = w.t().dot(&w.dot(&v));
            v /= v.dot(&v).sqrt();
        }
        let largest = w.dot(&v).mapv(|x| x * x).sum().sqrt();
        Cell { w: w * (norm / largest), target: Array1::from_shape_fn(n, |i| (i as f64).cos()), squashed: true }
    }

    /// A rotation of the plane times a factor.
    fn rotation(factor: f64, angle: f64) -> Self {
        let (sin, cos) = angle.sin_cos();
        Cell { w: array![[cos, -sin], [sin, cos]] * factor, target: array![0.3, -0.2], squashed: false }
    }

    fn map(&self, z: &[f64], theta: &[f64]) -> (Array1<f64>, Slopes) {
        let pre = self.w.dot(&Array1::from(z.to_vec())) + Array1::from(theta.to_vec());
        if self.squashed {
            let out = pre.mapv(f64::tanh);
            let slopes = out.iter().map(|y| 1.0 - y * y).collect();
            (out, slopes)
        } else {
            let slopes = vec![1.0; pre.len()];
            (pre, slopes)
        }
    }

    fn outer(&self) -> Array1<f64> {
        Array1::from_shape_fn(self.target.len(), |i| 0.4 * (2.0 * i as f64).sin())
    }

    fn zeros(&self) -> Array1<f64> {
        Array1::zeros(self.target.len())
    }
}

impl LossesReadOuter for Cell {}

impl BilevelProblem for Cell {
    type Float = f64;
    type Inner = Array1<f64>;
    type Outer = Array1<f64>;
    type Workspace = Slopes;
    type Condition = FixedPoint;

    fn workspace(&self, _: &Array1<f64>, _: &Array1<f64>) -> Result<Slopes, Error> {
        Ok(vec![])
    }

    fn inner_value_and_grad(&self, _: &mut Slopes, z: &[f64], theta: &[f64], residual: &mut [f64]) -> f64 {
        let (mapped, _) = self.map(z, theta);
        for ((residual, z), mapped) in residual.iter_mut().zip(z).zip(&mapped) {
            *residual = z - mapped;
        }
        0.5 * residual.iter().map(|x| x * x).sum::<f64>()
    }

    fn inner_value_and_outer_grad(&self, slopes: &mut Slopes, z: &[f64], theta: &[f64], theta_bar: &mut [f64]) -> f64 {
        let mut residual = vec![0.0; z.len()];
        let value = self.inner_value_and_grad(slopes, z, theta, &mut residual);
        let (_, slopes) = self.map(z, theta);
        for ((bar, residual), slope) in theta_bar.iter_mut().zip(&residual).zip(&slopes) {
            *bar = -slope * residual;
        }
        value
    }

    fn inner_curvature(&self, slopes: &mut Slopes, z: &[f64], theta: &[f64]) {
        *slopes = self.map(z, theta).1;
    }

    fn curvature_apply(&self, slopes: &mut Slopes, u: &[f64], product: &mut [f64], mixed: Option<&mut [f64]>) {
        let scaled: Array1<f64> = u.iter().zip(slopes.iter()).map(|(u, slope)| u * slope).collect();
        let back = self.w.t().dot(&scaled);
        for ((product, u), back) in product.iter_mut().zip(u).zip(&back) {
            *product = u - back;
        }
        if let Some(mixed) = mixed {
            for (mixed, scaled) in mixed.iter_mut().zip(&scaled) {
                *mixed = -scaled;
            }
        }
    }

    fn inner_gradient_linearize(&self, slopes: &mut Slopes, z: &[f64], theta: &[f64]) {
        self.inner_curvature(slopes, z, theta);
    }

    fn inner_gradient_jvp(&self, slopes: &mut Slopes, z_dot: &[f64], theta_dot: &[f64], residual_dot: &mut [f64]) {
        let forward = self.w.dot(&Array1::from(z_dot.to_vec())) + Array1::from(theta_dot.to_vec());
        for (((dot, z), slope), forward) in residual_dot.iter_mut().zip(z_dot).zip(slopes.iter()).zip(&forward) {
            *dot = z - slope * forward;
        }
    }

    fn inner_gradient_vjp(&self, slopes: &mut Slopes, z: &[f64], theta: &[f64], u: &[f64], z_bar: &mut [f64], theta_bar: &mut [f64]) {
        self.inner_curvature(slopes, z, theta);
        self.curvature_apply(slopes, u, z_bar, Some(theta_bar));
    }

    fn outer_value_and_grad(&self, _: &mut Slopes, z: &[f64], _: &[f64], z_bar: &mut [f64], theta_bar: &mut [f64]) -> f64 {
        theta_bar.fill(0.0);
        for ((bar, z), t) in z_bar.iter_mut().zip(z).zip(&self.target) {
            *bar = z - t;
        }
        0.5 * z_bar.iter().map(|x| x * x).sum::<f64>()
    }
}

fn norm(x: &Array1<f64>) -> f64 {
    x.dot(x).sqrt()
}

fn distance(a: &Array1<f64>, b: &Array1<f64>) -> f64 {
    norm(&(a - b)) / norm(b)
}

/// The exact hypergradient, everything solved to rounding.
fn exact(cell: &Cell) -> Array1<f64> {
    let mut solver = cell.solver(Implicit::gmres().tolerance(1e-15)).inner(Anderson::default().tolerance(1e-14));
    solver.hypergradient(&cell.outer(), &cell.zeros()).unwrap().gradient
}

#[test]
fn exact_hypergradients_against_differences() {
    fn check<L: LinearSolver<f64> + Suits<FixedPoint> + std::fmt::Debug>(method: Implicit<L>) {
        let cell = Cell::tanh(12, 0.8);
        let mut solver = cell.solver(method).inner(Anderson::default().tolerance(1e-13));
        let check = solver.check(&cell.outer(), &cell.zeros()).unwrap();
        assert!(check.max_relative_error < 1e-8, "{:e}", check.max_relative_error);
    }
    check(Implicit::gmres().tolerance(1e-12));
    check(Implicit::bicgstab().tolerance(1e-12));
    check(Implicit::neumann().tolerance(1e-12));
}

#[test]
fn a_rotation_has_the_hypergradient_of_its_closed_form() {
    // z = (I − W)⁻¹ θ and h = (I − W)⁻ᵀ (z − t), for factors of either side of one.
    for (factor, angle) in [(0.9, 1.2), (0.99, 3.0), (1.5, 2.0)] {
        let cell = Cell::rotation(factor, angle);
        let a = Array2::<f64>::eye(2) - &cell.w;
        let determinant = a[[0, 0]] * a[[1, 1]] - a[[0, 1]] * a[[1, 0]];
        let inverse = array![[a[[1, 1]], -a[[0, 1]]], [-a[[1, 0]], a[[0, 0]]]] / determinant;
        let z = inverse.dot(&cell.outer());
        let expected = inverse.t().dot(&(&z - &cell.target));
        for h in [
            cell.solver(Implicit::gmres().tolerance(1e-14))
                .inner(Anderson::default().tolerance(1e-13))
                .hypergradient(&cell.outer(), &cell.zeros()),
            cell.solver(Implicit::bicgstab().tolerance(1e-14))
                .inner(Broyden::default().tolerance(1e-13))
                .hypergradient(&cell.outer(), &cell.zeros()),
        ] {
            let h = h.unwrap();
            assert!(distance(&h.gradient, &expected) < 1e-11, "{factor} {angle}: {} {expected}\n{}", h.gradient, h.report);
            assert!(!h.report.is_indefinite(), "{}", h.report);
        }
    }
}

#[test]
fn unrolled_phantom_gradients_against_differences_of_their_program() {
    let cell = Cell::tanh(10, 0.8);
    for (k, tau) in [(1, 1.0), (3, 0.5), (7, 0.8)] {
        // Also from a solution that is far from one.
        for tolerance in [1e-1, 1e-12] {
            let mut solver = cell.solver(Phantom::unrolled(k, tau)).inner(Picard::default().tolerance(tolerance));
            let check = solver.check(&cell.outer(), &cell.zeros()).unwrap();
            assert!(check.max_relative_error < 1e-8, "{k} {tau} {tolerance}: {:e}", check.max_relative_error);
            let report = solver.hypergradient(&cell.outer(), &cell.zeros()).unwrap().report;
            let phantom = report.phantom.unwrap();
            assert_eq!((phantom.n_steps, phantom.damping), (k, tau));
            assert!(report.to_string().contains("biased on purpose"), "{report}");
        }
    }
}

#[test]
fn both_phantom_gradients_are_one_at_the_solution_and_approach_the_exact_one() {
    let cell = Cell::tanh(10, 0.8);
    let exact = exact(&cell);
    let solver = || Anderson::default().tolerance(1e-14);
    let mut last = 0.0;
    for k in 1..=60 {
        let unrolled = cell.solver(Phantom::unrolled(k, 0.5)).inner(solver()).hypergradient(&cell.outer(), &cell.zeros()).unwrap();
        let neumann = cell.solver(Phantom::neumann(k, 0.5)).inner(solver()).hypergradient(&cell.outer(), &cell.zeros()).unwrap();
        assert!(distance(&unrolled.gradient, &neumann.gradient) < 1e-10, "{k}: {} {}", unrolled.gradient, neumann.gradient);
        let linear = neumann.report.linear.as_ref().unwrap();
        assert_eq!((linear.n_iterations, linear.series_step), (k - 1, Some(0.5)));
        let cosine = unrolled.gradient.dot(&exact) / norm(&unrolled.gradient) / norm(&exact);
        assert!(cosine > last - 1e-12, "{k}: {cosine} after {last}");
        last = cosine;
    }
    assert!(last > 1.0 - 1e-8, "{last}");
}

#[test]
fn one_full_step_is_the_jacobian_free_gradient() {
    let cell = Cell::tanh(6, 0.8);
    let h = cell
        .solver(Phantom::unrolled(1, 1.0))
        .inner(Anderson::default().tolerance(1e-14))
        .hypergradient(&cell.outer(), &cell.zeros())
        .unwrap();
    // (∂Φ/∂θ)ᵀ ∂g/∂z at the solution.
    let (_, slopes) = cell.map(h.inner.as_slice().unwrap(), cell.outer().as_slice().unwrap());
    let expected = (&h.inner - &cell.target) * Array1::from(slopes);
    assert!(distance(&h.gradient, &expected) < 1e-12, "{} {expected}", h.gradient);
}

#[test]
fn unrolled_runs_are_those_of_the_damped_iteration() {
    let cell = Cell::tanh(5, 0.8);
    let run = |method: Unrolled| {
        let mut solver = cell.solver(method.steps(6)).inner(GradientDescent::new(0.7));
        let check = solver.check(&cell.outer(), &cell.zeros()).unwrap();
        assert!(check.max_relative_error < 1e-8, "{:e}", check.max_relative_error);
        solver.hypergradient(&cell.outer(), &cell.zeros()).unwrap().gradient
    };
    assert!(distance(&run(Unrolled::reverse()), &run(Unrolled::forward())) < 1e-13);
    let error = cell.solver(Unrolled::mixed().steps(6)).hypergradient(&cell.outer(), &cell.zeros()).unwrap_err();
    assert!(matches!(error, Error::AsymmetricHessian { .. }), "{error}");
}

/// Solves, and gives the number of evaluations.
fn evaluations(cell: &Cell, solver: impl InnerSolver<f64> + Suits<FixedPoint>, tolerance: f64) -> usize {
    let solved = cell.solver(Implicit::gmres()).inner(solver.at_tolerance(tolerance)).solve_inner(&cell.outer(), &cell.zeros()).unwrap();
    let (mapped, _) = cell.map(solved.inner.as_slice().unwrap(), cell.outer().as_slice().unwrap());
    let residual = norm(&(&solved.inner - &mapped));
    assert!(solved.outcome.is_converged() && residual <= tolerance, "{:?}", solved.outcome);
    assert!((solved.outcome.gradient_norm - residual).abs() < 1e-15);
    solved.outcome.n_evaluations
}

#[test]
fn every_solver_finds_the_fixed_point_and_acceleration_takes_fewer_evaluations() {
    let cell = Cell::tanh(40, 0.95);
    let plain = evaluations(&cell, Picard::default(), 1e-11);
    for n in [
        evaluations(&cell, Anderson::default(), 1e-11),
        evaluations(&cell, Anderson::default().memory(3).damping(0.8), 1e-11),
        evaluations(&cell, Anderson::default().regularization(1e-4), 1e-11),
        evaluations(&cell, Broyden::default(), 1e-11),
        evaluations(&cell, Broyden::default().memory(4), 1e-11),
    ] {
        assert!(n < plain, "{n} and not fewer than {plain}");
    }
    assert!(evaluations(&cell, Picard::default().damping(0.5), 1e-11) > plain);
}

#[test]
fn what_expands_diverges_by_the_plain_iteration_only() {
    let cell = Cell::rotation(1.2, 1.0);
    let error = cell.solver(Implicit::gmres()).inner(Picard::default()).hypergradient(&cell.outer(), &cell.zeros()).unwrap_err();
    let Error::FixedPointDiverged { step, residual, lowest } = error else { panic!("{error}") };
    assert!(step >= 10 && residual > 10.0 * lowest, "{step} {residual} {lowest}");
    assert!(error.to_string().contains(&format!("step {step}")), "{error}");
    assert!(evaluations(&cell, Anderson::default(), 1e-12) < 10);
    assert!(evaluations(&cell, Broyden::default(), 1e-12) < 20);
    let cell = Cell::tanh(20, 3.0);
    evaluations(&cell, Anderson::default(), 1e-10);
    // A series diverges too, and says so.
    let cell = Cell::rotation(1.2, 1.0);
    let error = cell.solver(Phantom::neumann(50, 1.0)).inner(Anderson::default()).hypergradient(&cell.outer(), &cell.zeros()).unwrap_err();
    assert!(matches!(error, Error::LinearSolverDiverged { iterations: 2, .. }), "{error}");
}

#[test]
fn values_that_are_not_finite_name_the_step() {
    let mut cell = Cell::rotation(1e200, 1.0);
    cell.target[0] = 0.0;
    for error in [
        cell.solver(Implicit::gmres()).inner(Picard::default()).solve_inner(&cell.outer(), &cell.zeros()).unwrap_err(),
        cell.solver(Phantom::unrolled(2, 1.0)).inner(Picard::default()).solve_inner(&cell.outer(), &cell.zeros()).unwrap_err(),
    ] {
        assert!(matches!(error, Error::NonFinite { step: Some(1..), .. }), "{error}");
    }
}

#[test]
fn the_error_bound_holds() {
    let cell = Cell::tanh(15, 0.9);
    let exact = exact(&cell);
    let mut loosest: f64 = 0.0;
    for inner in [1e-2, 1e-4, 1e-6, 1e-8, 1e-10] {
        for linear in [1e-2, 1e-4, 1e-6, 1e-8, 1e-10] {
            let anderson = Anderson::default().tolerance(inner);
            for h in [
                cell.solver(Implicit::gmres().tolerance(linear)).inner(anderson).hypergradient(&cell.outer(), &cell.zeros()),
                cell.solver(Implicit::bicgstab().tolerance(linear)).inner(anderson).hypergradient(&cell.outer(), &cell.zeros()),
                cell.solver(Implicit::neumann().tolerance(linear)).inner(anderson).hypergradient(&cell.outer(), &cell.zeros()),
            ] {
                // Where no hypergradient is given it needs no bound.
                let Ok(h) = h else { continue };
                let bound = h.report.error_bound.as_ref().unwrap().value;
                let error = norm(&(&h.gradient - &exact));
                assert!(error <= bound && bound.is_finite(), "{inner:e} {linear:e}: {error:e} and {bound:e}\n{}", h.report);
                if error > 1e-11 {
                    loosest = loosest.max(bound / error);
                }
            }
        }
    }
    println!("loosest {loosest:.1}");
    assert!(loosest < 20.0, "{loosest}");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let cell = Cell::tanh(3, 0.5);
    let refuses = |error: Result<f64, Error>, setting: &str| {
        let error = error.unwrap_err();
        assert!(error.to_string().starts_with(&format!("`{setting}` is")), "{error}");
    };
    fn value(cell: &Cell, inner: impl InnerSolver<f64> + Suits<FixedPoint>) -> Result<f64, Error> {
        cell.solver(Implicit::gmres()).inner(inner).hypergradient(&cell.outer(), &cell.zeros()).map(|h| h.value)
    }
    refuses(value(&cell, Anderson::default().memory(0)), "Anderson::memory");
    refuses(value(&cell, Anderson::default().damping(0.0)), "Anderson::damping");
    refuses(value(&cell, Anderson::default().regularization(-1.0)), "Anderson::regularization");
    refuses(value(&cell, Broyden::default().memory(0)), "Broyden::memory");
    refuses(value(&cell, Broyden::default().tolerance(f64::NAN)), "Broyden::tolerance");
    refuses(value(&cell, Picard::default().damping(f64::INFINITY)), "Picard::damping");
    for phantom in [Phantom::unrolled(0, 0.5), Phantom::unrolled(3, 1.5)] {
        let error = cell.solver(phantom).hypergradient(&cell.outer(), &cell.zeros()).map(|h| h.value);
        refuses(error, "Phantom::unrolled");
    }
}
