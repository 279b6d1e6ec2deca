//! The error bound of implicit hypergradients against the true error, on problems whose exact answer is known.

use crate::problems::{Logistic, Quadratic, Ridge};
use bilevel_runtime::condition::Gradient;
use bilevel_runtime::linear::LinearSolver;
use bilevel_runtime::methods::Implicit;
use bilevel_runtime::report::Basis;
use bilevel_runtime::solve::{GradientDescent, InnerSolver, Lbfgs, NewtonCg};
use bilevel_runtime::{BilevelProblem, Error, LossesReadOuter, ProblemExt};
use ndarray::{Array1, array};

/// Inner `Σ dᵢ (½(wᵢ − 1)² + ¼wᵢ⁴) + ½e^λᵢ wᵢ²`, outer `½Σ(wᵢ − ½)⁴ + ½Σλᵢ²`: every derivative up to the fourth matters.
struct Quartic;

const N: usize = 8;

fn weight(i: usize) -> f64 {
    10_f64.powf(-3.0 * i as f64 / N as f64)
}

impl LossesReadOuter for Quartic {}

impl BilevelProblem for Quartic {
    type Float = f64;
    type Inner = Array1<f64>;
    type Outer = Array1<f64>;
    type Workspace = [[f64; N]; 2];
    type Condition = bilevel_runtime::condition::Gradient;

    fn workspace(&self, _: &Array1<f64>, _: &Array1<f64>) -> Result<[[f64; N]; 2], Error> {
        Ok([[0.0; N]; 2])
    }

    fn inner_value_and_grad(&self, _: &mut [[f64; N]; 2], w: &[f64], lambda: &[f64], w_bar: &mut [f64]) -> f64 {
        let mut value = 0.0;
        for i in 0..N {
            w_bar[i] = weight(i) * (w[i] - 1.0 + w[i].powi(3)) + lambda[i].exp() * w[i];
            value += weight(i) * (0.5 * (w[i] - 1.0).powi(2) + 0.25 * w[i].powi(4)) + 0.5 * lambda[i].exp() * w[i] * w[i];
        }
        value
    }

    fn inner_value_and_outer_grad(&self, at: &mut [[f64; N]; 2], w: &[f64], lambda: &[f64], lambda_bar: &mut [f64]) -> f64 {
        for i in 0..N {
            lambda_bar[i] = 0.5 * lambda[i].exp() * w[i] * w[i];
        }
        self.inner_value_and_grad(at, w, lambda, &mut [0.0; N])
    }

    fn inner_curvature(&self, at: &mut [[f64; N]; 2], w: &[f64], lambda: &[f64]) {
        for i in 0..N {
            at[0][i] = weight(i) * (1.0 + 3.0 * w[i] * w[i]) + lambda[i].exp();
            at[1][i] = lambda[i].exp() * w[i];
        }
    }

    fn curvature_apply(&self, at: &mut [[f64; N]; 2], v: &[f64], product: &mut [f64], mixed: Option<&mut [f64]>) {
        for i in 0..N {
            product[i] = at[0][i] * v[i];
        }
        if let Some(mixed) = mixed {
            for i in 0..N {
                mixed[i] = at[1][i] * v[i];
            }
        }
    }

    fn inner_gradient_vjp(&self, at: &mut [[f64; N]; 2], w: &[f64], lambda: &[f64], u: &[f64], w_bar: &mut [f64], lambda_bar: &mut [f64]) {
        self.inner_curvature(at, w, lambda);
        self.curvature_apply(at, u, w_bar, Some(lambda_bar));
    }

    fn inner_gradient_linearize(&self, at: &mut [[f64; N]; 2], w: &[f64], lambda: &[f64]) {
        self.inner_curvature(at, w, lambda);
    }

    fn inner_gradient_jvp(&self, at: &mut [[f64; N]; 2], w_dot: &[f64], lambda_dot: &[f64], gradient_dot: &mut [f64]) {
        self.curvature_apply(at, w_dot, gradient_dot, None);
        for i in 0..N {
            gradient_dot[i] += at[1][i] * lambda_dot[i];
        }
    }

    fn outer_value_and_grad(&self, _: &mut [[f64; N]; 2], w: &[f64], lambda: &[f64], w_bar: &mut [f64], lambda_bar: &mut [f64]) -> f64 {
        lambda_bar.copy_from_slice(lambda);
        for i in 0..N {
            w_bar[i] = 2.0 * (w[i] - 0.5).powi(3);
        }
        w.iter().map(|w| 0.5 * (w - 0.5).powi(4)).sum::<f64>() + 0.5 * lambda.iter().map(|l| l * l).sum::<f64>()
    }
}

const TOLERANCES: [f64; 5] = [1e-2, 1e-4, 1e-6, 1e-8, 1e-10];

/// The exact hypergradient, up to rounding.
fn exact<P: LossesReadOuter<Condition = Gradient, Float = f64, Outer = Array1<f64>, Inner = Array1<f64>>>(
    problem: &P,
    outer: &Array1<f64>,
    n: usize,
) -> Array1<f64> {
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-15)).inner(NewtonCg::default().tolerance(0.0));
    solver.hypergradient(outer, &Array1::zeros(n)).unwrap().gradient
}

/// How the bound compares with the true error.
#[derive(Default)]
struct Tally {
    n: usize,
    n_unknown: usize,
    /// The largest ratio of bound and error where the error is above rounding.
    loosest: f64,
}

impl Tally {
    fn add<P, L>(&mut self, what: &str, problem: &P, method: Implicit<L>, inner: impl InnerSolver<f64>, outer: &Array1<f64>, n: usize)
    where
        P: LossesReadOuter<Condition = Gradient, Float = f64, Outer = Array1<f64>, Inner = Array1<f64>>,
        L: LinearSolver<f64>,
    {
        let expected = exact(problem, outer, n);
        let h = match problem.solver(method).inner(inner).hypergradient(outer, &Array1::zeros(n)) {
            Ok(h) => h,
            // Where no hypergradient is given it needs no bound.
            Err(Error::InnerNotConverged { .. } | Error::LinearSolverNotConverged { .. }) => return,
            Err(error) => panic!("{what}: {error}"),
        };
        let bound = h.report.error_bound.as_ref().unwrap();
        self.n += 1;
        if let Basis::Unknown { .. } = bound.basis {
            self.n_unknown += 1;
            assert!(bound.value.is_infinite());
            return;
        }
        let norm = expected.dot(&expected).sqrt();
        let error = (&h.gradient - &expected).mapv(|x| x * x).sum().sqrt();
        assert!(error <= bound.value, "{what}: the error is {error:e}, and the bound {:e}\n{}", bound.value, h.report);
        assert!((bound.relative * h.gradient.dot(&h.gradient).sqrt() / bound.value - 1.0).abs() < 1e-12);
        if error > 1e-11 * norm {
            self.loosest = self.loosest.max(bound.value / error);
        }
    }
}

fn sweep<P>(problem: &P, outer: &Array1<f64>, n: usize, mu: f64) -> [Tally; 3]
where
    P: LossesReadOuter<Condition = Gradient, Float = f64, Outer = Array1<f64>, Inner = Array1<f64>>,
{
    let mut tallies = [Tally::default(), Tally::default(), Tally::default()];
    for inner in TOLERANCES {
        for linear in TOLERANCES {
            let what = format!("inner {inner:e}, linear {linear:e}");
            let [estimate, convex, direct] = &mut tallies;
            let lbfgs = Lbfgs::default().tolerance(inner);
            let descent = GradientDescent::default().tolerance(inner);
            estimate.add(&what, problem, Implicit::cg().tolerance(linear), lbfgs, outer, n);
            estimate.add(&what, problem, Implicit::cg().tolerance(linear), descent, outer, n);
            estimate.add(&what, problem, Implicit::minres().tolerance(linear), lbfgs, outer, n);
            estimate.add(&what, problem, Implicit::gmres().tolerance(linear), lbfgs, outer, n);
            estimate.add(&what, problem, Implicit::bicgstab().tolerance(linear), lbfgs, outer, n);
            estimate.add(&what, problem, Implicit::neumann().tolerance(linear), lbfgs, outer, n);
            convex.add(&what, problem, Implicit::cg().tolerance(linear).strong_convexity(mu), lbfgs, outer, n);
            convex.add(&what, problem, Implicit::minres().tolerance(linear).strong_convexity(mu), descent, outer, n);
            #[cfg(feature = "linalg")]
            {
                direct.add(&what, problem, Implicit::direct(), lbfgs, outer, n);
                direct.add(&what, problem, Implicit::direct(), descent, outer, n);
            }
            let _ = direct;
        }
    }
    // Approximations on purpose.
    for inner in TOLERANCES {
        let (lbfgs, estimate) = (Lbfgs::default().tolerance(inner), &mut tallies[0]);
        estimate.add("one step", problem, Implicit::one_step().step(0.1), lbfgs, outer, n);
        estimate.add("nystrom", problem, Implicit::nystrom().rho(0.01), lbfgs, outer, n);
        estimate.add("two iterations", problem, Implicit::cg().max_iterations(2), lbfgs, outer, n);
        estimate.add("damped", problem, Implicit::cg().damping(0.01), lbfgs, outer, n);
    }
    tallies
}

/// The bound of the default method must not cost more than its share: a tenth, and what it always needs.
fn check_cheap<P>(problem: &P, outer: &Array1<f64>, n: usize)
where
    P: LossesReadOuter<Condition = Gradient, Float = f64, Outer = Array1<f64>, Inner = Array1<f64>>,
{
    for tolerance in &TOLERANCES[2..] {
        let mut solver = problem.solver(Implicit::cg().tolerance(*tolerance)).inner(Lbfgs::default().tolerance(*tolerance));
        let Ok(h) = solver.hypergradient(outer, &Array1::zeros(n)) else { continue };
        let bound = h.report.error_bound.as_ref().unwrap();
        let (cost, of_the_bound) = (h.report.n_gradients + h.report.n_products, bound.n_gradients + bound.n_products);
        assert!(of_the_bound <= 6 + 8.max(cost / 10), "{of_the_bound} beside {cost}\n{}", h.report);
    }
}

/// Bounds by strong convexity are products of norms, whose ratio to the error grows with the condition number.
fn check_sharp(name: &str, tallies: [Tally; 3], loosest: [f64; 3]) {
    for (tally, limit) in tallies.iter().zip(loosest) {
        println!("{name}: {} bounds, {} unknown, loosest {:.1}", tally.n, tally.n_unknown, tally.loosest);
        assert!(tally.n_unknown * 4 <= tally.n, "{name}: {} of {} unknown", tally.n_unknown, tally.n);
        assert!(tally.loosest < limit, "{name}: a bound is {} times the error", tally.loosest);
    }
}

/// Penalties from `e^first` to `e^last`.
fn penalties(n: usize, first: f64, last: f64) -> Array1<f64> {
    Array1::from_shape_fn(n, |i| first + (last - first) * i as f64 / (n - 1) as f64)
}

#[test]
fn exact_quadratic() {
    let problem = Quadratic::<f64>::exact();
    check_sharp("quadratic", sweep(&problem, &array![1.0, -1.0], 3, 1.2), [5.0, 4.0, 4.0]);
}

#[test]
fn ridge() {
    for (n, first, last) in [(10, -4.0, -1.3), (30, 0.0, 1.0), (30, -9.0, 0.0), (60, -6.0, 2.0)] {
        let (problem, lambda) = (Ridge::<f64>::new(n), penalties(n, first, last));
        check_cheap(&problem, &lambda, n);
        check_sharp(&format!("ridge {n}, {first} to {last}"), sweep(&problem, &lambda, n, first.exp()), [60.0, f64::INFINITY, 30.0]);
    }
}

#[test]
fn quartic() {
    for (first, last) in [(-4.0, -1.9), (-7.0, -1.0), (0.0, 2.0)] {
        let lambda = penalties(N, first, last);
        check_cheap(&Quartic, &lambda, N);
        check_sharp(&format!("quartic, {first} to {last}"), sweep(&Quartic, &lambda, N, first.exp()), [40.0, f64::INFINITY, 30.0]);
    }
}

#[test]
fn logistic() {
    for (n, first, last) in [(6, -6.0, -3.5), (30, -8.0, -2.0), (30, -3.0, 0.0)] {
        let (problem, lambda) = (Logistic::<f64>::new(n), penalties(n, first, last));
        check_cheap(&problem, &lambda, n);
        check_sharp(&format!("logistic {n}, {first} to {last}"), sweep(&problem, &lambda, n, first.exp()), [60.0, f64::INFINITY, 30.0]);
    }
}

#[test]
fn what_it_stands_on_is_said() {
    let problem = Quadratic::<f64>::exact();
    let basis = |report: &bilevel_runtime::Report| report.error_bound.as_ref().unwrap().basis;
    let at = (array![1.0, -1.0], Array1::zeros(3));
    let h = problem.solver(Implicit::cg()).hypergradient(&at.0, &at.1).unwrap();
    let Basis::Curvature { smallest } = basis(&h.report) else { panic!("{}", h.report) };
    assert!((1.2..2.0).contains(&smallest), "{smallest}");
    assert!(h.report.to_string().contains("estimated by a Newton correction"), "{}", h.report);
    let h = problem.solver(Implicit::cg().strong_convexity(1.0)).hypergradient(&at.0, &at.1).unwrap();
    assert_eq!(basis(&h.report), Basis::StrongConvexity { mu: 1.0 });
    #[cfg(feature = "linalg")]
    {
        let h = problem.solver(Implicit::direct()).hypergradient(&at.0, &at.1).unwrap();
        let Basis::StrongConvexity { mu } = basis(&h.report) else { panic!("{}", h.report) };
        assert!(mu > 0.5 && mu < 1.268, "{mu}");
    }
    let h = problem.solver(Implicit::cg().error_bound(false)).hypergradient(&at.0, &at.1).unwrap();
    assert!(h.report.error_bound.is_none());
}
