//! Unrolled hypergradients: exact values, all ways against each other, and against differences.

use bilevel_runtime::methods::{Checkpoints, Differences, Dynamics, Implicit, Unrolled};
use bilevel_runtime::solve::{Adam, AdamW, GradientDescent, Hyper, Momentum, Nesterov, NewtonCg, RmsProp};
use bilevel_runtime::{BilevelProblem, Error, LossesReadOuter, ProblemExt};
use ndarray::{Array1, array};

use crate::problems::{Quadratic, Ridge, Scalar};

const STEP: f64 = 0.125;

fn exact(method: Unrolled) -> Vec<f64> {
    let problem = Quadratic::<f64>::exact();
    let mut solver = problem.solver(method).inner(GradientDescent::new(STEP));
    solver.hypergradient(&array![1.0, -1.0], &Array1::zeros(3)).unwrap().gradient.to_vec()
}

#[test]
fn gradient_descent_on_the_exact_quadratic_has_the_known_hypergradients_in_every_mode() {
    let checkpoints = [
        Checkpoints::All,
        Checkpoints::Sqrt,
        Checkpoints::Every(2),
        Checkpoints::Binomial(1),
        Checkpoints::Binomial(2),
        Checkpoints::Online(2),
    ];
    for (n_steps, expected) in [(1, [35.0 / 64.0, -17.0 / 16.0]), (3, [53_311.0 / 65_536.0, -6_335.0 / 4_096.0])] {
        for method in [Unrolled::reverse(), Unrolled::mixed(), Unrolled::forward()] {
            for checkpoints in checkpoints {
                assert_eq!(exact(method.steps(n_steps).checkpoints(checkpoints)), expected, "{method:?} {checkpoints:?}");
            }
        }
    }
    let close = |found: Vec<f64>, expected: [f64; 2]| {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-14, "{found} and {expected}");
        }
    };
    for method in [Unrolled::reverse(), Unrolled::mixed(), Unrolled::forward()] {
        close(exact(method.steps(10)), [1.379_619_322_039_61, -2.066_742_194_818_08]);
    }
    let truncated = Unrolled::truncated().steps(10).last(3);
    close(exact(truncated), [66_835_190_015.0 / 68_719_476_736.0, -28_756_363_463.0 / 17_179_869_184.0]);
}

#[test]
fn a_truncation_to_all_steps_is_the_full_one_bit_by_bit() {
    assert_eq!(exact(Unrolled::truncated().steps(17).last(17)), exact(Unrolled::mixed().steps(17)));
}

#[test]
fn a_long_run_has_the_implicit_hypergradient() {
    let problem = Ridge::<f64>::new(5);
    let (lambda, w) = (Array1::from_elem(5, -0.5), Array1::zeros(5));
    let implicit =
        problem.solver(Implicit::cg().tolerance(1e-14)).inner(NewtonCg::default().tolerance(1e-14)).hypergradient(&lambda, &w).unwrap();
    for method in [Unrolled::reverse(), Unrolled::mixed().checkpoints(Checkpoints::Sqrt), Unrolled::forward()] {
        let unrolled = problem.solver(method.steps(400)).inner(GradientDescent::new(0.4)).hypergradient(&lambda, &w).unwrap();
        for (unrolled, implicit) in unrolled.gradient.iter().zip(&implicit.gradient) {
            assert!((unrolled - implicit).abs() < 1e-10, "{unrolled} and {implicit}");
        }
        assert!(unrolled.report.inner.gradient_norm < 1e-12);
    }
}

/// The quadratic with `0.1 Σ z⁴` in its inner loss, and two leaves of hyperparameters beside `x` in its outer variable.
pub(crate) struct Quartic {
    pub(crate) quadratic: Quadratic<f64>,
}

const N_X: usize = 2;

impl LossesReadOuter for Quartic {}

impl BilevelProblem for Quartic {
    type Float = f64;
    type Inner = (Array1<f64>, f64);
    type Outer = (Array1<f64>, Array1<f64>, Array1<f64>);
    type Workspace = Vec<f64>;
    type Condition = bilevel_runtime::condition::Gradient;

    const INNER_NAMES: &'static [&'static str] = &["z", "last"];
    const OUTER_NAMES: &'static [&'static str] = &["x", "rates", "decays"];
    const GRADIENT_READS: &'static [bool] = &[true, false, false];

    fn workspace(&self, _: &Self::Inner, _: &Self::Outer) -> Result<Vec<f64>, Error> {
        Ok(vec![])
    }

    fn inner_value_and_grad(&self, _: &mut Vec<f64>, z: &[f64], outer: &[f64], z_bar: &mut [f64]) -> f64 {
        let mut value = self.quadratic.inner_value_and_grad(&mut (), z, &outer[..N_X], z_bar);
        for (z, z_bar) in z.iter().zip(z_bar) {
            value += 0.1 * z.powi(4);
            *z_bar += 0.4 * z.powi(3);
        }
        value
    }

    fn inner_value_and_outer_grad(&self, at: &mut Vec<f64>, z: &[f64], outer: &[f64], outer_bar: &mut [f64]) -> f64 {
        outer_bar.fill(0.0);
        self.quadratic.inner_value_and_outer_grad(&mut (), z, &outer[..N_X], &mut outer_bar[..N_X]);
        self.inner_value_and_grad(at, z, outer, &mut vec![0.0; z.len()])
    }

    fn inner_curvature(&self, at: &mut Vec<f64>, z: &[f64], _: &[f64]) {
        *at = z.to_vec();
    }

    fn curvature_apply(&self, at: &mut Vec<f64>, v: &[f64], product: &mut [f64], mixed: Option<&mut [f64]>) {
        let mixed = mixed.map(|mixed| {
            mixed[N_X..].fill(0.0);
            &mut mixed[..N_X]
        });
        self.quadratic.curvature_apply(&mut (), v, product, mixed);
        for ((product, v), z) in product.iter_mut().zip(v).zip(at) {
            *product += 1.2 * *z * *z * v;
        }
    }

    fn inner_gradient_linearize(&self, at: &mut Vec<f64>, z: &[f64], outer: &[f64]) {
        self.inner_curvature(at, z, outer);
    }

    fn inner_gradient_jvp(&self, at: &mut Vec<f64>, z_dot: &[f64], outer_dot: &[f64], gradient_dot: &mut [f64]) {
        self.quadratic.inner_gradient_jvp(&mut (), z_dot, &outer_dot[..N_X], gradient_dot);
        for ((gradient_dot, z_dot), z) in gradient_dot.iter_mut().zip(z_dot).zip(at) {
            *gradient_dot += 1.2 * *z * *z * z_dot;
        }
    }

    fn inner_gradient_vjp(&self, at: &mut Vec<f64>, z: &[f64], outer: &[f64], u: &[f64], z_bar: &mut [f64], outer_bar: &mut [f64]) {
        self.inner_curvature(at, z, outer);
        self.curvature_apply(at, u, z_bar, Some(outer_bar));
    }

    fn outer_value_and_grad(&self, _: &mut Vec<f64>, z: &[f64], outer: &[f64], z_bar: &mut [f64], outer_bar: &mut [f64]) -> f64 {
        outer_bar.fill(0.0);
        self.quadratic.outer_value_and_grad(&mut (), z, &outer[..N_X], z_bar, &mut outer_bar[..N_X])
    }
}

const N_STEPS: usize = 12;

/// All ways for one inner optimiser: against each other, and against differences.
fn check(dynamics: impl Dynamics<Quartic> + Copy, rates: Array1<f64>, decays: Array1<f64>) {
    let problem = Quartic { quadratic: Quadratic::exact() };
    let outer = (array![1.0, -1.0], rates, decays);
    let start = (array![0.3, -0.2], 0.5);
    let ways = [
        Unrolled::reverse(),
        Unrolled::mixed(),
        Unrolled::forward(),
        Unrolled::truncated().last(N_STEPS),
        Unrolled::mixed().checkpoints(Checkpoints::Every(5)),
        Unrolled::reverse().checkpoints(Checkpoints::Binomial(3)),
        Unrolled::mixed().checkpoints(Checkpoints::Online(3)),
        Unrolled::mixed().memory(1000),
        Unrolled::reverse().until(0.0),
    ];
    let mut first: Option<Vec<f64>> = None;
    for way in ways {
        let mut solver = problem.solver(way.steps(N_STEPS)).inner(dynamics);
        let h = solver.hypergradient(&outer, &start).unwrap();
        let gradient: Vec<f64> = [&h.gradient.0, &h.gradient.1, &h.gradient.2].iter().flat_map(|x| x.iter().copied()).collect();
        let expected = first.get_or_insert_with(|| gradient.clone());
        let size = expected.iter().fold(0.0_f64, |size, x| size.max(x.abs()));
        for (gradient, &mut expected) in gradient.iter().zip(expected) {
            assert!((gradient - expected).abs() <= 1e-12 * size, "{way:?}: {gradient} and {expected}");
        }
        let check = solver.check_with(&outer, &start, &Differences::default().step(0.01)).unwrap();
        assert!(check.max_relative_error < 1e-8, "{way:?}\n{check}");
    }
}

#[test]
fn every_optimiser_has_its_hypergradient_in_every_mode() {
    let none = || Array1::zeros(1);
    check(GradientDescent::new(0.1), none(), none());
    check(Momentum::new(0.05, 0.8), none(), none());
    check(Nesterov::new(0.05, 0.8), none(), none());
    check(RmsProp::new(0.05).epsilon(0.1), none(), none());
    check(Adam::new(0.05).epsilon(0.1), none(), none());
    check(AdamW::new(0.05, 0.1).epsilon(0.1), none(), none());
}

#[test]
fn hyperparameters_in_the_outer_variable_are_differentiated() {
    let (rates, decays) = (Hyper::outer("rates"), Hyper::outer("decays"));
    check(GradientDescent::new(rates.per_step()), Array1::from_shape_fn(N_STEPS, |t| 0.1 + 0.01 * t as f64), array![0.0]);
    check(Momentum::new(rates.exp().per_leaf(), decays.sigmoid()), array![-2.5, -3.0], array![1.0]);
    check(Nesterov::new(rates.exp(), decays.sigmoid().per_weight()), array![-3.0], array![1.0, 0.0, 0.5]);
    check(RmsProp::new(rates.exp()).epsilon(0.1).decay(decays.sigmoid().per_step()), array![-3.0], Array1::from_elem(N_STEPS, 1.5));
    check(Adam::new(rates.exp().per_weight()).epsilon(0.1).beta1(decays.sigmoid()), array![-3.0, -2.5, -2.0], array![1.5]);
    check(AdamW::new(rates.exp(), decays.exp()).epsilon(0.1), array![-3.0], array![-2.0]);
}

#[test]
fn memory_is_what_was_asked_for_and_steps_made_again_are_counted() {
    let problem = Quadratic::<f64>::exact();
    let hypergradient = |method: Unrolled| {
        let mut solver = problem.solver(method.steps(100)).inner(GradientDescent::new(0.01));
        solver.hypergradient(&array![1.0, -1.0], &Array1::zeros(3)).unwrap().report
    };
    let all = hypergradient(Unrolled::mixed());
    // A gradient a step and the one that the report asks for; both products a step.
    assert_eq!((all.n_gradients, all.n_products), (101, 100));
    let unrolled = all.unrolled.unwrap();
    assert_eq!((unrolled.n_remade, unrolled.n_bytes), (0, 100 * 6 * 8));

    let few = hypergradient(Unrolled::reverse().checkpoints(Checkpoints::Binomial(5))).unrolled.unwrap();
    assert_eq!((few.n_remade, few.n_bytes), (316 - 99, 5 * 3 * 8));

    // A state and its gradient are 48 bytes, and all else 200.
    let fitted = hypergradient(Unrolled::mixed().memory(200 + 10 * 6 * 8 + 7)).unrolled.unwrap();
    assert_eq!(fitted.checkpoints, Some(Checkpoints::Binomial(10)));
    assert!(fitted.n_bytes <= 10 * 6 * 8 && fitted.to_string().contains("10 states kept, binomial"), "{fitted}");

    let forward = hypergradient(Unrolled::forward());
    assert_eq!((forward.n_gradients, forward.n_products), (101, 200));
}

#[test]
fn a_run_until_a_tolerance_is_the_run_of_as_many_steps() {
    let problem = Quadratic::<f64>::exact();
    let (x, z) = (array![1.0, -1.0], Array1::zeros(3));
    for method in [Unrolled::reverse(), Unrolled::mixed(), Unrolled::forward(), Unrolled::mixed().checkpoints(Checkpoints::Online(4))] {
        let until = problem.solver(method.steps(1000).until(1e-3)).inner(GradientDescent::new(0.2)).hypergradient(&x, &z).unwrap();
        let n_steps = until.report.unrolled.unwrap().n_steps;
        assert!((10..200).contains(&n_steps) && until.report.inner.gradient_norm <= 1e-3);
        let fixed = problem
            .solver(method.steps(n_steps).checkpoints(Checkpoints::All))
            .inner(GradientDescent::new(0.2))
            .hypergradient(&x, &z)
            .unwrap();
        assert_eq!((until.gradient, until.value), (fixed.gradient, fixed.value));
        // No step at all: the direct derivative, and the start as it is.
        let none = problem.solver(method.steps(1000).until(1e3)).inner(GradientDescent::new(0.2)).hypergradient(&x, &z).unwrap();
        assert_eq!((none.gradient, none.inner), (array![0.5, -0.5], Array1::zeros(3)));
    }
}

#[test]
fn settings_that_make_no_sense_are_errors_that_name_them() {
    let problem = Quadratic::<f64>::exact();
    let error = |method: Unrolled, dynamics: GradientDescent| {
        problem.solver(method).inner(dynamics).hypergradient(&array![1.0, -1.0], &Array1::zeros(3)).unwrap_err().to_string()
    };
    let step = GradientDescent::new(0.1);
    for (method, words) in [
        (Unrolled::mixed(), "Unrolled::steps"),
        (Unrolled::reverse().steps(0), "at least 1"),
        (Unrolled::truncated().steps(3), "Unrolled::last"),
        (Unrolled::truncated().steps(3).last(4), "at most the number of steps"),
        (Unrolled::truncated().steps(3).last(0), "at least 1"),
        (Unrolled::reverse().steps(3).checkpoints(Checkpoints::Binomial(0)), "Checkpoints::Binomial"),
        (Unrolled::reverse().steps(3).memory(10), "Unrolled::memory"),
        (Unrolled::reverse().steps(3).until(-1.0), "Unrolled::until"),
        (Unrolled::reverse().steps(3).until(1.0).checkpoints(Checkpoints::Sqrt), "Checkpoints::Online"),
    ] {
        let error = error(method, step);
        assert!(error.contains(words), "{error}");
    }
    assert!(error(Unrolled::mixed().steps(3), GradientDescent::default()).contains("GradientDescent::new"));
    assert!(error(Unrolled::mixed().steps(3), GradientDescent::new(Hyper::outer("rate"))).contains("`rate`"));
    assert!(error(Unrolled::mixed().steps(3), GradientDescent::new(Hyper::outer("x"))).contains("2 elements"));
    let implicit = problem.solver(Implicit::cg()).inner(GradientDescent::new(Hyper::outer("x").per_step()));
    let error = { implicit }.hypergradient(&array![1.0, -1.0], &Array1::zeros(3)).unwrap_err();
    assert!(error.to_string().contains("does not depend"), "{error}");
}

#[test]
fn diverging_runs_are_errors_with_the_step_and_cotangents_of_any_scale_pass() {
    let problem = Quadratic::<f64>::exact();
    let mut solver = problem.solver(Unrolled::mixed().steps(3000)).inner(GradientDescent::new(10.0));
    let error = solver.hypergradient(&array![1.0, -1.0], &Array1::zeros(3)).unwrap_err();
    assert!(matches!(error, Error::NonFinite { step: Some(100..300), .. }), "{error}");

    const T: f64 = 1e150;
    for scale in [1e-150, 1.0, T] {
        let scaled = Scalar {
            outer: match scale {
                T => |w, _| (1e150 * (w - 0.5), 1e150, 0.0),
                1.0 => |w, _| (w - 0.5, 1.0, 0.0),
                _ => |w, _| (1e-150 * (w - 0.5), 1e-150, 0.0),
            },
            ..Scalar::T1
        };
        for method in [Unrolled::reverse(), Unrolled::mixed(), Unrolled::forward()] {
            let h = scaled.solver(method.steps(200)).inner(GradientDescent::new(0.2)).hypergradient(&0.5, &0.0).unwrap();
            // dw*/dλ = -1 / (1 + λ)²
            assert!((h.gradient / scale + 1.0 / 2.25).abs() < 1e-14, "{scale}: {}", h.gradient);
        }
    }
}

#[test]
fn unstable_runs_are_reported() {
    // Gradient descent beyond its stable step length: the cotangents grow like the iterates.
    let h = Quadratic::<f64>::exact()
        .solver(Unrolled::mixed().steps(30))
        .inner(GradientDescent::new(0.7))
        .hypergradient(&array![1.0, -1.0], &Array1::zeros(3))
        .unwrap();
    assert!(h.report.unrolled.as_ref().unwrap().growth.unwrap() > 1e6);
    assert!(h.report.to_string().contains("unstable"), "{}", h.report);
}

#[test]
fn a_whole_tuning_by_unrolling_learns_the_learning_rate_too() {
    let problem = Quartic { quadratic: Quadratic::exact() };
    let dynamics = Momentum::new(Hyper::outer("rates").exp(), Hyper::outer("decays").sigmoid());
    let outer = (array![1.0, -1.0], array![-4.0], array![0.0]);
    let start = (array![0.0, 0.0], 0.0);
    let mut solver = problem.solver(Unrolled::mixed().steps(10)).inner(dynamics).start(bilevel_runtime::solver::Start::Cold);
    let before = solver.hypergradient(&outer, &start).unwrap();
    let tuned = solver.minimize(&outer, &start, Adam::new(0.1), 60).unwrap();
    assert!(tuned.value < 0.5 * before.value, "{} and {}", tuned.value, before.value);
    assert!(tuned.outer.1[0] > -4.0, "{}", tuned.outer.1);
}
