//! The outer loop beyond plain steps: other optimisers, bounds, early stopping, traces in files, and runs that go on after an interruption.

use bilevel_runtime::condition::Gradient;
use std::path::PathBuf;

use crate::problems::{Logistic, Quadratic, Ridge, Scalar};
use bilevel_runtime::linear::Preconditioner;
use bilevel_runtime::methods::{DefaultInner, EvoGrad, Implicit, Method, Unrolled};
use bilevel_runtime::solve::{GradientDescent, Lbfgs, Momentum, OuterOptimizer, Projected, Reparametrized, SignDescent};
use bilevel_runtime::solver::{Start, Tolerances};
use bilevel_runtime::updates::Adam;
use bilevel_runtime::{BilevelProblem, Error, LossesReadOuter, ProblemExt};
use ndarray::{Array1, array};

/// Inner `½(xᵀw − 1)²` with `x = (cos u, sin u)`, outer `½‖w − t‖²`: every point of a line is a minimum of the inner problem.
struct Toy;

const TARGET: [f64; 2] = [1.5, 0.8];

impl LossesReadOuter for Toy {}

impl BilevelProblem for Toy {
    type Float = f64;
    type Inner = Array1<f64>;
    type Outer = f64;
    type Workspace = [f64; 4];
    type Condition = bilevel_runtime::condition::Gradient;

    fn workspace(&self, _: &Array1<f64>, _: &f64) -> Result<[f64; 4], Error> {
        Ok([0.0; 4])
    }

    fn inner_value_and_grad(&self, _: &mut [f64; 4], w: &[f64], u: &[f64], w_bar: &mut [f64]) -> f64 {
        let (sin, cos) = u[0].sin_cos();
        let miss = cos * w[0] + sin * w[1] - 1.0;
        w_bar.copy_from_slice(&[miss * cos, miss * sin]);
        0.5 * miss * miss
    }

    fn inner_value_and_outer_grad(&self, at: &mut [f64; 4], w: &[f64], u: &[f64], u_bar: &mut [f64]) -> f64 {
        let (sin, cos) = u[0].sin_cos();
        u_bar[0] = (cos * w[0] + sin * w[1] - 1.0) * (cos * w[1] - sin * w[0]);
        self.inner_value_and_grad(at, w, u, &mut [0.0; 2])
    }

    fn inner_curvature(&self, at: &mut [f64; 4], w: &[f64], u: &[f64]) {
        let (sin, cos) = u[0].sin_cos();
        *at = [cos, sin, cos * w[0] + sin * w[1] - 1.0, cos * w[1] - sin * w[0]];
    }

    fn curvature_apply(&self, at: &mut [f64; 4], v: &[f64], product: &mut [f64], mixed: Option<&mut [f64]>) {
        let [cos, sin, miss, slope] = *at;
        let along = cos * v[0] + sin * v[1];
        product.copy_from_slice(&[along * cos, along * sin]);
        if let Some(mixed) = mixed {
            mixed[0] = slope * along + miss * (cos * v[1] - sin * v[0]);
        }
    }

    fn inner_gradient_linearize(&self, at: &mut [f64; 4], w: &[f64], u: &[f64]) {
        self.inner_curvature(at, w, u);
    }

    fn inner_gradient_jvp(&self, at: &mut [f64; 4], w_dot: &[f64], u_dot: &[f64], gradient_dot: &mut [f64]) {
        let [cos, sin, miss, slope] = *at;
        let along = cos * w_dot[0] + sin * w_dot[1] + slope * u_dot[0];
        gradient_dot.copy_from_slice(&[along * cos - miss * sin * u_dot[0], along * sin + miss * cos * u_dot[0]]);
    }

    fn inner_gradient_vjp(&self, at: &mut [f64; 4], w: &[f64], u: &[f64], bar: &[f64], w_bar: &mut [f64], u_bar: &mut [f64]) {
        self.inner_curvature(at, w, u);
        self.curvature_apply(at, bar, w_bar, Some(u_bar));
    }

    fn outer_value_and_grad(&self, _: &mut [f64; 4], w: &[f64], _: &[f64], w_bar: &mut [f64], u_bar: &mut [f64]) -> f64 {
        w_bar.copy_from_slice(&[w[0] - TARGET[0], w[1] - TARGET[1]]);
        u_bar[0] = 0.0;
        0.5 * (w_bar[0] * w_bar[0] + w_bar[1] * w_bar[1])
    }
}

/// A warm start carries what it learnt from earlier outer variables; a new solve does not have it.
#[test]
fn a_warm_start_reaches_what_a_cold_one_cannot() {
    let mut solver = Toy.solver(Implicit::cg()).inner(GradientDescent::new(1.0).tolerance(1e-15));
    let distance = |w: &Array1<f64>| ((w[0] - TARGET[0]).powi(2) + (w[1] - TARGET[1]).powi(2)).sqrt();
    let mut cold = f64::INFINITY;
    for k in 0..1000 {
        let solved = solver.solve_inner(&(0.002 * std::f64::consts::PI * f64::from(k)), &Array1::zeros(2)).unwrap();
        cold = cold.min(distance(&solved.inner));
    }
    assert!((cold - 0.7).abs() < 1e-4, "{cold}");
    let (middle, half) = (TARGET[1].atan2(TARGET[0]), (1.0 / 1.7_f64).acos());
    let mut w = Array1::zeros(2);
    for k in 0..60 {
        let u = if k % 2 == 0 { middle + half } else { middle - half };
        w = solver.solve_inner(&u, &w).unwrap().inner;
    }
    assert!(distance(&w) < 1e-12, "{}", distance(&w));
    // The value of the warm run is not that of its outer variable.
    let tuned = solver.minimize(&(middle - half), &w, Adam::new(0.1), 0).unwrap();
    let retrained = solver.retrain(&tuned, &Array1::zeros(2)).unwrap();
    assert!(tuned.value < 1e-20 && retrained.value > 0.5 * 0.49 - 1e-9 && retrained.gap == retrained.value - tuned.value);
    assert!((distance(&retrained.inner).powi(2) / 2.0 - retrained.value).abs() < 1e-12);
    assert_eq!(tuned.cold_gap, None);
}

/// The run goes on from step to step; a new solve at its result begins where the run began.
#[test]
fn the_gap_to_a_cold_start_is_that_of_retraining() {
    let start = array![0.5, -0.3];
    let inner = || GradientDescent::new(1.0).tolerance(1e-15);
    let mut solver = Toy.solver(Implicit::cg().damping(1e-3)).inner(inner()).cold_gap(true);
    let tuned = solver.minimize(&1.0, &start, Adam::new(0.3), 12).unwrap();
    let retrained = solver.retrain(&tuned, &start).unwrap();
    assert_eq!(tuned.cold_gap, Some(retrained.gap));
    assert!(tuned.best_step > 0 && retrained.gap.abs() > 1e-3, "{} {}", tuned.best_step, retrained.gap);
    // The run itself is the same as without.
    let without = Toy.solver(Implicit::cg().damping(1e-3)).inner(inner()).minimize(&1.0, &start, Adam::new(0.3), 12).unwrap();
    assert_eq!((tuned.outer, &tuned.inner, tuned.value), (without.outer, &without.inner, without.value));
    // Where every solve is cold there is no gap.
    let mut cold = Toy.solver(Implicit::cg().damping(1e-3)).inner(inner()).start(Start::Cold).cold_gap(true);
    assert_eq!(cold.minimize(&1.0, &start, Adam::new(0.3), 12).unwrap().cold_gap, Some(0.0));
}

#[test]
fn tolerances_that_fall() {
    let problem = Logistic::<f64>::new(6);
    let run = |tolerances: Option<Tolerances>| {
        let solver = problem.solver(Implicit::cg().error_bound(false)).inner(Lbfgs::default().tolerance(1e-12));
        let mut solver = match tolerances {
            Some(tolerances) => solver.tolerances(tolerances),
            None => solver,
        };
        solver.minimize(&Array1::from_elem(6, -3.0), &Array1::zeros(6), Adam::new(0.05), 40).unwrap()
    };
    let tight = run(None);
    for tolerances in [Tolerances::default(), Tolerances::power(1e-3, 2.0), Tolerances::geometric(1e-3, 0.7).least(1e-9)] {
        let tuned = run(Some(tolerances));
        let cost = |tuned: &bilevel_runtime::solver::TunedOf<Logistic<f64>>| -> usize {
            tuned.trace.iter().map(|entry| entry.report.n_gradients + entry.report.n_products).sum()
        };
        assert!(cost(&tuned) < cost(&tight), "{} {}", cost(&tuned), cost(&tight));
        assert!(tuned.outer.iter().zip(&tight.outer).all(|(a, b)| (a - b).abs() < 1e-2), "{} {}", tuned.outer, tight.outer);
        let gradient = |k: usize| tuned.trace[k].report.inner.gradient_norm;
        assert!(gradient(0) > 1e-7 && gradient(39) < gradient(0), "{} {}", gradient(0), gradient(39));
    }
    let error = problem
        .solver(Implicit::cg())
        .tolerances(Tolerances::geometric(1e-3, 1.5))
        .minimize(&Array1::zeros(6), &Array1::zeros(6), Adam::new(0.1), 1)
        .unwrap_err();
    assert!(matches!(error, Error::InvalidSetting { setting: "Tolerances::geometric", .. }), "{error}");
}

#[test]
fn partial_warm_starts() {
    let problem = Logistic::<f64>::new(6);
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-6)).inner(GradientDescent::new(0.5)).start(Start::WarmPartial(3));
    let tuned = solver.minimize(&Array1::from_elem(6, -3.0), &Array1::zeros(6), Adam::new(0.05), 60).unwrap();
    assert!(tuned.trace.iter().all(|entry| entry.report.inner.n_iterations <= 3));
    assert!(!tuned.trace[0].report.inner.is_converged() && tuned.trace[0].report.inner.gradient_norm > 1e-2);
    // It follows the solution: the last points are nearly stationary.
    assert!(tuned.trace[59].report.inner.gradient_norm < 0.1 * tuned.trace[0].report.inner.gradient_norm);
    // Alone, such a point is refused, unless any will do.
    let far = |method: Implicit| {
        problem
            .solver(method)
            .inner(GradientDescent::new(0.5).max_iterations(1))
            .hypergradient(&Array1::from_elem(6, -3.0), &Array1::zeros(6))
    };
    assert!(matches!(far(Implicit::cg()), Err(Error::InnerNotConverged { .. })));
    assert!(far(Implicit::cg().unconverged(true)).unwrap().report.inner.gradient_norm > 1e-2);
    let unrolled = problem.solver(Unrolled::reverse().steps(3)).inner(GradientDescent::new(0.5)).start(Start::WarmPartial(3)).minimize(
        &Array1::zeros(6),
        &Array1::zeros(6),
        Adam::new(0.1),
        1,
    );
    assert!(matches!(unrolled, Err(Error::NotApplicable { setting: "Start::WarmPartial", .. })));
}

#[test]
fn outer_lbfgs() {
    let problem = Quadratic::<f64>::exact();
    let mut solver = problem.solver(Implicit::cg()).inner(Lbfgs::default().tolerance(1e-12));
    let tuned = solver.minimize(&array![1.0, -1.0], &Array1::zeros(3), Lbfgs::default(), 25).unwrap();
    let h = solver.hypergradient(&tuned.outer, &tuned.inner).unwrap();
    assert!(h.gradient.dot(&h.gradient).sqrt() < 1e-7, "{}", h.gradient);
    let adam = solver.minimize(&array![1.0, -1.0], &Array1::zeros(3), Adam::new(0.1), 25).unwrap();
    assert!(tuned.value < adam.value);
}

#[test]
fn bounds_and_free_variables() {
    fn minimum(optimizer: impl OuterOptimizer<f64>) -> f64 {
        Scalar::T1.solver(Implicit::cg()).minimize(&0.2, &0.0, optimizer, 200).unwrap().outer
    }
    // The minimum is at one, and beyond the upper bound of a half.
    assert_eq!(minimum(Projected::new(Adam::new(0.05), 0.0, 0.5)), 0.5);
    assert!((minimum(Projected::new(GradientDescent::new(1.0), 0.0, f64::INFINITY)) - 1.0).abs() < 1e-6);
    assert!((minimum(Reparametrized::exp(Adam::new(0.1))) - 1.0).abs() < 1e-3);
    assert!((minimum(Reparametrized::softplus(GradientDescent::new(1.0))) - 1.0).abs() < 1e-3);
    assert!((minimum(Reparametrized::between(GradientDescent::new(1.0), 0.0, 2.0)) - 1.0).abs() < 1e-2);
    let error = Scalar::T1.solver(Implicit::cg()).minimize(&-0.2, &0.0, Reparametrized::exp(Adam::new(0.1)), 5).unwrap_err();
    assert!(matches!(&error, Error::OuterStep { step: 0, source } if matches!(**source, Error::NonFiniteElement { .. })), "{error}");
    let error = Scalar::T1.solver(Implicit::cg()).minimize(&0.2, &0.0, Projected::new(Adam::new(0.1), 1.0, 0.0), 5).unwrap_err();
    assert!(matches!(error, Error::InvalidSetting { setting: "Projected::new", .. }), "{error}");
}

/// On the simplex the weights of two problems find the mixture that validates best.
#[test]
fn a_simplex() {
    let problem = Quadratic::<f64>::exact();
    let mut solver = problem.solver(Implicit::cg()).inner(Lbfgs::default().tolerance(1e-10));
    let tuned = solver.minimize(&array![0.5, 0.5], &Array1::zeros(3), Reparametrized::simplex(GradientDescent::new(0.5)), 3000).unwrap();
    assert!((tuned.outer.sum() - 1.0).abs() < 1e-14 && tuned.outer.iter().all(|x| *x > 0.0), "{}", tuned.outer);
    // Where it ends, the gradient along the simplex vanishes, or the point is a corner.
    let h = solver.hypergradient(&tuned.outer, &tuned.inner).unwrap().gradient;
    let mean = tuned.outer.dot(&h);
    assert!(tuned.outer.iter().zip(&h).all(|(x, h)| (x * (h - mean)).abs() < 1e-3), "{} {h}", tuned.outer);
}

#[test]
fn early_stopping() {
    let mut solver = Scalar::T1.solver(Implicit::cg()).early_stopping(5, |lambda, _| (lambda - 0.6).powi(2));
    let tuned = solver.minimize(&0.2, &0.0, Adam::new(0.02), 1000).unwrap();
    assert!((tuned.outer - 0.6).abs() < 0.02 && tuned.trace.len() == tuned.best_step + 7, "{} {}", tuned.outer, tuned.trace.len());
    assert_eq!(tuned.held_out, Some((tuned.outer - 0.6).powi(2)));
    assert_eq!(tuned.trace[tuned.best_step].held_out, tuned.held_out);
    // Without it the run goes on to the minimum.
    let tuned = Scalar::T1.solver(Implicit::cg()).minimize(&0.2, &0.0, Adam::new(0.02), 200).unwrap();
    assert!((tuned.outer - 1.0).abs() < 0.02 && tuned.held_out.is_none() && tuned.trace.len() == 200);
}

#[test]
fn traces_in_files() {
    let mut solver = Scalar::T1.solver(Implicit::cg());
    let tuned = solver.minimize(&0.2, &0.0, Adam::new(0.02), 3).unwrap();
    let csv = tuned.trace_csv();
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert!(lines.len() == 4 && lines.iter().all(|line| line.len() == lines[0].len()));
    let column = |name: &str| lines[0].iter().position(|column| *column == name).unwrap();
    for (k, (line, entry)) in lines[1..].iter().zip(&tuned.trace).enumerate() {
        assert_eq!(line[column("step")].parse::<usize>().unwrap(), k);
        assert_eq!(line[column("value")].parse::<f64>().unwrap(), entry.value);
        assert_eq!(line[column("n_products")].parse::<usize>().unwrap(), entry.report.n_products);
        assert_eq!(line[column("error_bound")].parse::<f64>().unwrap(), entry.report.error_bound.as_ref().unwrap().value);
        assert_eq!(line[column("held_out")], "");
    }
    let json = tuned.trace_json();
    assert!(
        json.starts_with("[\n  {\"step\": 0, \"value\": ") && json.contains("\"held_out\": null") && json.ends_with("}\n]\n"),
        "{json}"
    );
    assert_eq!(json.matches('{').count(), 3);
}

/// A file that is removed at the end of the test.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        File(std::env::temp_dir().join(format!("bilevel-{}-{name}", std::process::id())))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A run of 20 steps with checkpoints after every 7, and one that ends after 10 steps and is resumed from the first of them.
fn interrupted<P, M, O>(name: &str, problem: &P, method: M, optimizer: O, outer: P::Outer, inner: P::Inner)
where
    P: BilevelProblem<Condition = Gradient, Outer: PartialEq + std::fmt::Debug, Inner: PartialEq + std::fmt::Debug>,
    M: DefaultInner<Gradient> + Method<P, M::Inner> + Copy,
    O: OuterOptimizer<P::Float> + Copy,
{
    let (whole, part) = (File::new(&format!("{name}-whole")), File::new(&format!("{name}-part")));
    let expected = problem.solver(method).checkpoint(&whole.0, 7).minimize(&outer, &inner, optimizer, 20).unwrap();
    problem.solver(method).checkpoint(&part.0, 7).minimize(&outer, &inner, optimizer, 10).unwrap();
    let tuned = problem.solver(method).checkpoint(&part.0, 7).resume(&outer, &inner, optimizer, 20).unwrap();
    assert_eq!((tuned.first_step, tuned.trace.len()), (7, 13), "{name}");
    assert_eq!(
        (&tuned.outer, &tuned.inner, tuned.value, tuned.best_step),
        (&expected.outer, &expected.inner, expected.value, expected.best_step),
        "{name}"
    );
    for (resumed, whole) in tuned.trace.iter().zip(&expected.trace[7..]) {
        assert_eq!((resumed.value, resumed.gradient_norm, &resumed.report), (whole.value, whole.gradient_norm, &whole.report), "{name}");
    }
    assert!(tuned.trace[0].seconds > 0.0 && tuned.trace_csv().lines().nth(1).unwrap().starts_with("7,"));
}

#[test]
fn a_resumed_run_goes_on_bit_for_bit() {
    let logistic = Logistic::<f64>::new(6);
    let at = || (Array1::from_elem(6, -3.0), Array1::zeros(6));
    let cg = Implicit::cg().tolerance(1e-5);
    interrupted("adam", &logistic, cg, Adam::new(0.1), at().0, at().1);
    interrupted("lbfgs", &logistic, cg, Lbfgs::default(), at().0, at().1);
    interrupted("projected", &logistic, cg, Projected::new(Adam::new(0.1), -3.05, 3.0), at().0, at().1);
    interrupted("between", &logistic, cg, Reparametrized::between(Lbfgs::default(), -5.0, 1.0), at().0, at().1);
    let sketch = cg.preconditioner(Preconditioner::nystrom(2).every(5));
    interrupted("sketch", &logistic, sketch, Adam::new(0.1), at().0, at().1);
    interrupted("evograd", &logistic, EvoGrad::default().sigma(0.1), Adam::new(0.1), at().0, at().1);
    #[cfg(feature = "linalg")]
    interrupted("direct", &logistic, Implicit::direct(), Adam::new(0.1), at().0, at().1);
    let ridge = Ridge::<f32>::new(4);
    interrupted("single", &ridge, Implicit::cg(), Adam::new(0.1), Array1::from_elem(4, -1.0), Array1::zeros(4));
}

#[test]
fn unrolled_runs_are_resumed_too() {
    let ridge = Ridge::<f64>::new(4);
    let (outer, inner) = (Array1::from_elem(4, -1.0), Array1::zeros(4));
    // The file is written in the middle of an online run, with its velocities and tangents.
    for (name, method) in [("mixed", Unrolled::mixed().steps(5)), ("online", Unrolled::online().steps(18).every(3))] {
        let (whole, part) = (File::new(&format!("{name}-whole")), File::new(&format!("{name}-part")));
        let solver = |file: &File| ridge.solver(method).inner(Momentum::new(0.1, 0.8)).checkpoint(&file.0, 4);
        let expected = solver(&whole).minimize(&outer, &inner, SignDescent::new(0.1), 9).unwrap();
        solver(&part).minimize(&outer, &inner, SignDescent::new(0.1), 5).unwrap();
        let tuned = solver(&part).resume(&outer, &inner, SignDescent::new(0.1), 9).unwrap();
        assert_eq!((tuned.outer, tuned.inner, tuned.value), (expected.outer, expected.inner, expected.value), "{name}");
        for (resumed, whole) in tuned.trace.iter().zip(&expected.trace[4..]) {
            assert_eq!(
                (resumed.value, resumed.gradient_norm, &resumed.report),
                (whole.value, whole.gradient_norm, &whole.report),
                "{name}"
            );
        }
    }
}

#[test]
fn a_file_of_another_run_is_refused() {
    let file = File::new("refused");
    let problem = Ridge::<f64>::new(4);
    let (outer, inner) = (Array1::from_elem(4, -1.0), Array1::zeros(4));
    problem.solver(Implicit::cg()).checkpoint(&file.0, 2).minimize(&outer, &inner, Adam::new(0.1), 3).unwrap();
    let reason = |result: Result<_, Error>| match result.map(|tuned: bilevel_runtime::solver::TunedOf<Ridge<f64>>| tuned.value) {
        Err(Error::Checkpoint { reason, path }) => {
            assert!(path.contains("refused"));
            reason
        }
        other => panic!("{other:?}"),
    };
    let resume = || problem.solver(Implicit::cg()).checkpoint(&file.0, 2);
    assert!(resume().resume(&outer, &inner, Adam::new(0.1), 5).is_ok());
    let other = reason(resume().resume(&outer, &inner, Lbfgs::default(), 5));
    assert!(other.starts_with("its outer optimiser is `") && other.contains("Lbfgs"), "{other}");
    let other = reason(problem.solver(Implicit::minres()).checkpoint(&file.0, 2).resume(&outer, &inner, Adam::new(0.1), 5));
    assert!(other.starts_with("its method is `"), "{other}");
    let settings = reason(problem.solver(Implicit::cg().tolerance(1e-3)).checkpoint(&file.0, 2).resume(&outer, &inner, Adam::new(0.1), 5));
    assert!(settings.starts_with("its method is `") && settings.contains("0.001"), "{settings}");
    let settings = reason(resume().resume(&outer, &inner, Adam::new(0.2), 5));
    assert!(settings.starts_with("its outer optimiser is `") && settings.contains("0.2"), "{settings}");
    let settings = reason(resume().inner(Lbfgs::default().tolerance(1e-3)).resume(&outer, &inner, Adam::new(0.1), 5));
    assert!(settings.starts_with("its inner solver is `"), "{settings}");
    let settings = reason(resume().start(Start::Cold).resume(&outer, &inner, Adam::new(0.1), 5));
    assert_eq!(settings, "its start is `WarmFull`, and that of this run is `Cold`");
    let settings = reason(resume().tolerances(Tolerances::default()).resume(&outer, &inner, Adam::new(0.1), 5));
    assert!(settings.starts_with("its schedule of tolerances is `None`"), "{settings}");
    let settings = reason(resume().early_stopping(3, |_, _| 0.0).resume(&outer, &inner, Adam::new(0.1), 5));
    assert!(settings.starts_with("its patience of early stopping is `None`"), "{settings}");
    let larger = Ridge::<f64>::new(5);
    let other =
        reason(larger.solver(Implicit::cg()).checkpoint(&file.0, 2).resume(&Array1::zeros(5), &Array1::zeros(5), Adam::new(0.1), 5));
    assert!(other.starts_with("its inner variable is `inner variable [[4]]`"), "{other}");
    let logistic = Logistic::<f64>::new(4);
    let error = logistic.solver(Implicit::cg()).checkpoint(&file.0, 2).resume(&outer, &inner, Adam::new(0.1), 5).unwrap_err();
    assert!(error.to_string().contains("its problem is `"), "{error}");

    // Another version, with a hash that fits.
    let text = std::fs::read_to_string(&file.0).unwrap();
    let version = format!("version = {}", env!("CARGO_PKG_VERSION"));
    let body = text[..text.rfind("hash").unwrap()].replace(&version, "version = 0.0.0");
    let hash = body.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    std::fs::write(&file.0, format!("{body}hash {hash:016x}\n")).unwrap();
    let other = reason(resume().resume(&outer, &inner, Adam::new(0.1), 5));
    assert!(other.starts_with("its version is `0.0.0`"), "{other}");

    // Damage of any kind.
    for damaged in [&text[..text.len() / 2], "", "hash", &text.replace("progress", "prograss"), &text.replacen("0000", "0001", 1)] {
        std::fs::write(&file.0, damaged).unwrap();
        assert_eq!(reason(resume().resume(&outer, &inner, Adam::new(0.1), 5)), "it is damaged, or no checkpoint");
    }
    std::fs::remove_file(&file.0).unwrap();
    assert!(reason(resume().resume(&outer, &inner, Adam::new(0.1), 5)).starts_with("it cannot be read"));
    let error = problem.solver(Implicit::cg()).resume(&outer, &inner, Adam::new(0.1), 5).unwrap_err();
    assert!(matches!(error, Error::MissingSetting { setting: "Solver::checkpoint", .. }), "{error}");
    let nowhere = std::env::temp_dir().join("bilevel-no-such-folder").join("file");
    let error = problem.solver(Implicit::cg()).checkpoint(nowhere, 1).minimize(&outer, &inner, Adam::new(0.1), 5).unwrap_err();
    assert!(error.to_string().contains("it cannot be written"), "{error}");
}
