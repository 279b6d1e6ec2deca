//! The inner solvers on functions with known minima.

use bilevel_runtime::solve::{GradientDescent, InnerOutcome, InnerSolver, InnerStop, Lbfgs, NewtonCg, Objective};
use bilevel_runtime::{Error, Float, vector};

/// A function given by its value with gradient, and its Hessian product.
struct Function<V, H, T> {
    value_and_grad: V,
    hessian_product: H,
    point: Vec<T>,
}

fn function<T: Float, V: FnMut(&[T], &mut [T]) -> T, H: FnMut(&[T], &[T], &mut [T])>(
    value_and_grad: V,
    hessian_product: H,
) -> Function<V, H, T> {
    Function { value_and_grad, hessian_product, point: vec![] }
}

impl<T: Float, V: FnMut(&[T], &mut [T]) -> T, H: FnMut(&[T], &[T], &mut [T])> Objective<T> for Function<V, H, T> {
    fn value_and_grad(&mut self, w: &[T], gradient: &mut [T]) -> T {
        (self.value_and_grad)(w, gradient)
    }

    fn curvature(&mut self, w: &[T]) {
        self.point = w.to_vec();
    }

    fn curvature_apply(&mut self, v: &[T], product: &mut [T]) {
        (self.hessian_product)(&self.point, v, product);
    }
}

fn minimize<T: Float>(solver: &impl InnerSolver<T>, objective: &mut impl Objective<T>, w: &mut [T]) -> Result<InnerOutcome, Error> {
    let mut memory = solver.memory(w.len())?;
    solver.minimize(objective, w, &mut memory)
}

fn rosenbrock() -> impl Objective<f64> {
    function(
        |w: &[f64], g: &mut [f64]| {
            let (a, b) = (1.0 - w[0], w[1] - w[0] * w[0]);
            g.copy_from_slice(&[-2.0 * a - 400.0 * b * w[0], 200.0 * b]);
            a * a + 100.0 * b * b
        },
        |w, v, hv| {
            let (xx, xy) = (2.0 - 400.0 * (w[1] - 3.0 * w[0] * w[0]), -400.0 * w[0]);
            hv.copy_from_slice(&[xx * v[0] + xy * v[1], xy * v[0] + 200.0 * v[1]]);
        },
    )
}

/// `½ Σ dᵢ (wᵢ − 1)²` with `dᵢ` from 1 down to `1 / condition`, minus a constant.
fn quadratic<T: Float>(n: usize, condition: f64, offset: f64) -> impl Objective<T> {
    let d = move |i: usize| T::from_f64(condition.powf(-(i as f64) / (n as f64 - 1.0)));
    function(
        move |w: &[T], g: &mut [T]| {
            let mut value = T::from_f64(-offset);
            for (i, (g, &w)) in g.iter_mut().zip(w).enumerate() {
                *g = d(i) * (w - T::one());
                value += T::from_f64(0.5) * *g * (w - T::one());
            }
            value
        },
        move |_, v, hv| {
            for (i, (hv, &v)) in hv.iter_mut().zip(v).enumerate() {
                *hv = d(i) * v;
            }
        },
    )
}

/// Mean logistic loss on fixed data plus `½ e⁻⁶ ‖w‖²`.
fn logistic<T: Float>() -> impl Objective<T> {
    const N: usize = 40;
    const D: usize = 6;
    let x = |i: usize, j: usize| T::from_f64(((i * 7 + j * j * 3 + i * j) % 11) as f64 / 5.0 - 1.0);
    let y = |i: usize| T::from_f64(if (i * i + i / 3) % 5 < 2 { 1.0 } else { -1.0 });
    let decay = T::from_f64((-6.0_f64).exp());
    let n = T::from_f64(N as f64);
    let margin = move |w: &[T], i: usize| y(i) * (0..D).map(|j| x(i, j) * w[j]).sum::<T>();
    function(
        move |w: &[T], g: &mut [T]| {
            for (g, &w) in g.iter_mut().zip(w) {
                *g = decay * w;
            }
            let mut value = T::from_f64(0.5) * decay * vector::dot(w, w);
            for i in 0..N {
                let m = margin(w, i);
                value += ((-m.abs()).exp().ln_1p() + (-m).max(T::zero())) / n;
                for (j, g) in g.iter_mut().enumerate() {
                    *g -= y(i) * x(i, j) / (T::one() + m.exp()) / n;
                }
            }
            value
        },
        move |w, v, hv| {
            for (hv, &v) in hv.iter_mut().zip(v) {
                *hv = decay * v;
            }
            for i in 0..N {
                let p = (T::one() + margin(w, i).exp()).recip();
                let along = (0..D).map(|j| x(i, j) * v[j]).sum::<T>();
                for (j, hv) in hv.iter_mut().enumerate() {
                    *hv += p * (T::one() - p) * along * x(i, j) / n;
                }
            }
        },
    )
}

#[test]
fn rosenbrock_valley() {
    let mut w = [-1.2, 1.0];
    let outcome = minimize(&Lbfgs::default().tolerance(1e-10), &mut rosenbrock(), &mut w).unwrap();
    assert!(outcome.is_converged() && outcome.n_evaluations < 60, "{outcome:?}");
    assert!((w[0] - 1.0).abs() < 1e-9 && (w[1] - 1.0).abs() < 1e-9);

    let mut w = [-1.2, 1.0];
    let outcome = minimize(&NewtonCg::default().tolerance(1e-10), &mut rosenbrock(), &mut w).unwrap();
    assert!(outcome.is_converged() && outcome.n_evaluations < 60, "{outcome:?}");
    assert!((w[0] - 1.0).abs() < 1e-9 && (w[1] - 1.0).abs() < 1e-9);

    let mut w = [-1.2, 1.0];
    let outcome = minimize(&GradientDescent::default().tolerance(1e-8), &mut rosenbrock(), &mut w).unwrap();
    assert!(outcome.is_converged() && outcome.n_evaluations < 500, "{outcome:?}");
    assert!((w[0] - 1.0).abs() < 1e-6);
}

#[test]
fn ill_conditioned_quadratics() {
    let mut w = vec![0.0_f64; 50];
    let outcome = minimize(&Lbfgs::default().tolerance(1e-10), &mut quadratic(50, 1e4, 0.0), &mut w).unwrap();
    assert!(outcome.is_converged() && outcome.n_evaluations < 1000, "{outcome:?}");

    let mut w = vec![0.0_f64; 50];
    let solver = Lbfgs::default().tolerance(1e-9).memory(20).max_iterations(100_000);
    let outcome = minimize(&solver, &mut quadratic(50, 1e8, 0.0), &mut w).unwrap();
    assert!(outcome.is_converged(), "{outcome:?}");

    let mut w = vec![0.0_f64; 50];
    let outcome = minimize(&NewtonCg::default().tolerance(1e-10), &mut quadratic(50, 1e8, 0.0), &mut w).unwrap();
    assert!(outcome.is_converged() && outcome.n_iterations < 30, "{outcome:?}");
    assert!(w.iter().all(|w| (w - 1.0).abs() < 1.1e-2));

    let mut w = vec![0.0_f64; 50];
    let outcome = minimize(&GradientDescent::default().tolerance(1e-8), &mut quadratic(50, 1e4, 0.0), &mut w).unwrap();
    assert!(outcome.is_converged(), "{outcome:?}");
}

/// With an offset of 10⁴ the loss is rounded to 10⁻¹², six digits more than a gradient of 10⁻¹⁰ leaves to see.
#[test]
fn tolerances_far_below_what_the_value_resolves() {
    for offset in [0.0, 1.0, 1e4] {
        let mut w = vec![0.0_f64; 20];
        let outcome = minimize(&Lbfgs::default().tolerance(1e-10), &mut quadratic(20, 1e3, offset), &mut w).unwrap();
        assert!(outcome.is_converged(), "offset {offset}: {outcome:?}");
        let mut w = vec![0.0_f64; 20];
        let outcome = minimize(&NewtonCg::default().tolerance(1e-10), &mut quadratic(20, 1e3, offset), &mut w).unwrap();
        assert!(outcome.is_converged(), "offset {offset}: {outcome:?}");
        let mut w = vec![0.0_f64; 20];
        let outcome = minimize(&GradientDescent::default().tolerance(1e-10), &mut quadratic(20, 1e2, offset), &mut w).unwrap();
        assert!(outcome.is_converged(), "offset {offset}: {outcome:?}");
    }
}

#[test]
fn logistic_regression_reaches_tiny_gradients() {
    let mut newton = [0.0_f64; 6];
    let outcome = minimize(&NewtonCg::default().tolerance(1e-13), &mut logistic(), &mut newton).unwrap();
    assert!(outcome.is_converged() && outcome.n_iterations < 15, "{outcome:?}");
    let mut lbfgs = [0.0; 6];
    let outcome = minimize(&Lbfgs::default().tolerance(1e-12), &mut logistic(), &mut lbfgs).unwrap();
    assert!(outcome.is_converged() && outcome.n_evaluations < 60, "{outcome:?}");
    assert!(newton.iter().zip(lbfgs).all(|(a, b)| (a - b).abs() < 1e-9));
    let mut descent = [0.0; 6];
    let outcome = minimize(&GradientDescent::default().tolerance(1e-10), &mut logistic(), &mut descent).unwrap();
    assert!(outcome.is_converged(), "{outcome:?}");
    assert!(newton.iter().zip(descent).all(|(a, b)| (a - b).abs() < 1e-7));
}

#[test]
fn single_precision() {
    let mut reference = [0.0_f64; 6];
    minimize(&NewtonCg::default().tolerance(1e-12), &mut logistic(), &mut reference).unwrap();
    let mut w = [0.0_f32; 6];
    assert!(minimize(&Lbfgs::default(), &mut logistic(), &mut w).unwrap().is_converged());
    let mut w = [0.0_f32; 6];
    assert!(minimize(&NewtonCg::default().tolerance(1e-5), &mut logistic(), &mut w).unwrap().is_converged());
    assert!(w.iter().zip(reference).all(|(&a, b)| (f64::from(a) - b).abs() < 1e-3 * (1.0 + b.abs())));
}

/// A tolerance that rounding cannot reach ends the solve soon after the last progress.
#[test]
fn an_impossible_tolerance_ends_without_progress() {
    let mut w = [0.0_f64; 6];
    let outcome = minimize(&Lbfgs::default().tolerance(0.0), &mut logistic(), &mut w).unwrap();
    assert!(outcome.stop == InnerStop::NoProgress && outcome.gradient_norm < 1e-13 && outcome.n_evaluations < 500, "{outcome:?}");
    let mut w = [0.0_f64; 6];
    let outcome = minimize(&NewtonCg::default().tolerance(0.0), &mut logistic(), &mut w).unwrap();
    assert!(outcome.stop == InnerStop::NoProgress && outcome.gradient_norm < 1e-14 && outcome.n_evaluations < 100, "{outcome:?}");
}

#[test]
fn a_solved_problem_costs_one_evaluation() {
    let mut w = [1.0; 5];
    let outcome = minimize(&Lbfgs::default(), &mut quadratic(5, 10.0, 0.0), &mut w).unwrap();
    assert_eq!((outcome.n_iterations, outcome.n_evaluations, outcome.value), (0, 1, 0.0));
}

#[test]
fn fixed_steps_contract_as_they_should() {
    // w ← w − ½ (w − 1): the distance to 1 halves.
    let mut w = [0.0];
    let solver = GradientDescent::new(0.5).max_iterations(10).tolerance(0.0);
    let outcome = minimize(
        &solver,
        &mut function(
            |w: &[f64], g: &mut [f64]| {
                g[0] = w[0] - 1.0;
                0.5 * g[0] * g[0]
            },
            |_, v, hv| hv.copy_from_slice(v),
        ),
        &mut w,
    )
    .unwrap();
    assert_eq!((outcome.stop, outcome.n_iterations, w[0]), (InnerStop::MaxIterations, 10, 1.0 - 0.5_f64.powi(10)));
}

#[test]
fn slow_progress_is_progress() {
    // The largest error shrinks by a thousandth in each step, far below what the loss can resolve.
    let mut w = [0.0_f64; 5];
    let solver = GradientDescent::new(1.0).tolerance(1e-12).max_iterations(100_000);
    let outcome = minimize(&solver, &mut quadratic(5, 1000.0, 1e3), &mut w).unwrap();
    assert_eq!(outcome.stop, InnerStop::Converged);
    assert!(w.iter().all(|w| (w - 1.0).abs() < 1e-8), "{w:?}");
}

/// A function of one number: its value, slope and curvature.
type Curve = fn(f64) -> (f64, f64, f64);

fn every_solver(check: impl Fn(&dyn Fn(&mut [f64], Curve) -> Result<InnerOutcome, Error>)) {
    fn run(solver: &impl InnerSolver<f64>, w: &mut [f64], f: Curve) -> Result<InnerOutcome, Error> {
        let mut objective = function(
            move |w: &[f64], g: &mut [f64]| {
                let (value, slope, _) = f(w[0]);
                g[0] = slope;
                value
            },
            move |w, v, hv| hv[0] = f(w[0]).2 * v[0],
        );
        minimize(solver, &mut objective, w)
    }
    check(&|w, f| run(&Lbfgs::default(), w, f));
    check(&|w, f| run(&NewtonCg::default(), w, f));
    check(&|w, f| run(&GradientDescent::default(), w, f));
}

#[test]
fn losses_without_a_minimum_are_recognised() {
    let cases: [(&str, f64, Curve); 5] = [
        ("-w", 0.0, |w| (-w, -1.0, 0.0)),
        ("-w²", 0.3, |w| (-w * w, -2.0 * w, -2.0)),
        ("w³", -1.0, |w| (w.powi(3), 3.0 * w * w, 6.0 * w)),
        ("-eʷ", 1.0, |w| (-w.exp(), -w.exp(), -w.exp())),
        ("√w less w", 4.0, |w| (w.sqrt() - w, 0.5 / w.sqrt() - 1.0, -0.25 * w.powf(-1.5))),
    ];
    every_solver(|solve| {
        for (name, start, f) in cases {
            let error = solve(&mut [start], f).unwrap_err();
            assert!(matches!(error, Error::UnboundedBelow { .. }), "{name}: {error}");
        }
    });
}

#[test]
fn non_finite_losses_are_errors() {
    every_solver(|solve| {
        let error = solve(&mut [1.0], |_| (f64::NAN, 1.0, 1.0)).unwrap_err();
        assert!(matches!(error, Error::NonFinite { quantity: "the inner loss", step: Some(0), .. }), "{error}");
        let error = solve(&mut [1.0], |_| (1.0, f64::INFINITY, 1.0)).unwrap_err();
        assert!(matches!(error, Error::NonFinite { quantity: "the gradient of the inner loss", step: Some(0), .. }), "{error}");
        // Finite at the start only.
        let error = solve(&mut [1.0], |w| (if w == 1.0 { 1.0 } else { f64::NAN }, 1.0, 1.0)).unwrap_err();
        assert!(matches!(error, Error::NonFinite { quantity: "the inner loss", .. }), "{error}");
    });
}

/// `w − ln w` is NaN left of 0: steps that leave the domain come back.
#[test]
fn the_edge_of_the_domain_is_respected() {
    every_solver(|solve| {
        let mut w = [1e-3];
        let outcome = solve(&mut w, |w| (w - w.ln(), 1.0 - 1.0 / w, w.powi(-2))).unwrap();
        assert!(outcome.is_converged() && (w[0] - 1.0).abs() < 1e-7, "{outcome:?}");
    });
}

#[test]
fn runs_repeat_bit_for_bit() {
    let run = || {
        let mut w = [0.0_f64; 6];
        minimize(&Lbfgs::default(), &mut logistic(), &mut w).unwrap();
        w.map(f64::to_bits)
    };
    assert_eq!(run(), run());
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    assert!(InnerSolver::<f64>::memory(&Lbfgs::default().tolerance(-1.0), 2).is_err());
    assert!(InnerSolver::<f64>::memory(&Lbfgs::default().memory(0), 2).is_err());
    assert!(InnerSolver::<f64>::memory(&NewtonCg::default().tolerance(f64::NAN), 2).is_err());
    assert!(InnerSolver::<f64>::memory(&GradientDescent::new(0.0), 2).is_err());
}
