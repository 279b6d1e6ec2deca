//! Steps against their formulas, and tangents and cotangents against each other and against differences.

use super::*;
use crate::methods::Sizes;

#[test]
fn the_first_step_has_the_length_of_the_learning_rate_whatever_the_gradient() {
    let adam = Adam::new(0.1);
    let mut state = OuterOptimizer::<f64>::state(&adam, 3).unwrap();
    let mut variable = [1.0, 1.0, 1.0];
    adam.step(&mut state, &[1e3, -1e-3, 0.0], &mut variable);
    for (x, expected) in variable.iter().zip([0.9, 1.1, 1.0]) {
        assert!((x - expected).abs() < 1e-5);
    }
}

#[test]
fn three_steps_equal_the_formula_written_out() {
    let gradients = [2.0, -1.0, 0.5];
    let (mut m, mut v, mut expected) = (0.0_f64, 0.0_f64, 3.0);
    for (k, g) in gradients.iter().enumerate() {
        let k = k as i32 + 1;
        m = 0.8 * m + 0.2 * g;
        v = 0.95 * v + 0.05 * g * g;
        expected -= 0.01 * (m / (1.0 - 0.8_f64.powi(k))) / ((v / (1.0 - 0.95_f64.powi(k))).sqrt() + 1e-6);
    }
    let adam = Adam::new(0.01).beta1(0.8).beta2(0.95).epsilon(1e-6);
    let mut state = OuterOptimizer::<f64>::state(&adam, 1).unwrap();
    let mut variable = [3.0];
    for gradient in gradients {
        adam.step(&mut state, &[gradient], &mut variable);
    }
    assert!((variable[0] - expected).abs() < 1e-15);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for adam in [Adam::new(0.0), Adam::new(f64::NAN), Adam::new(0.1).beta1(1.0), Adam::new(0.1).beta2(-0.1)] {
        assert!(OuterOptimizer::<f64>::state(&adam, 1).is_err());
    }
}

/// A step of a small problem with some hyperparameters in the outer variable: three leaves of `w`, and `outer` with the named leaves.
struct Case<U> {
    update: U,
    outer: Vec<(&'static str, Vec<f64>)>,
}

const LEAVES: [usize; 3] = [2, 1, 3];
const N: usize = 6;
const STEP: usize = 3;
const N_STEPS: usize = 5;

/// Numbers between -1 and 1 without a pattern.
fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn check<U: Update>(case: Case<U>) {
    let names: &'static [&'static str] = Box::leak(case.outer.iter().map(|(name, _)| *name).collect());
    let lengths: Vec<usize> = case.outer.iter().map(|(_, elements)| elements.len()).collect();
    let outer: Vec<f64> = case.outer.iter().flat_map(|(_, elements)| elements.clone()).collect();
    let sizes = Sizes { inner: &LEAVES, outer: &lengths, outer_names: names };
    let hypers: Vec<Bound> = case.update.settings().unwrap().iter().map(|s| s.bind(&sizes, N_STEPS).unwrap()).collect();
    let n_state = (1 + U::N_STATE) * N;
    let mut before = numbers(n_state, 1);
    // Means of squares are positive.
    before[U::N_STATE.max(1) * N..].iter_mut().for_each(|x| *x = x.abs() + 0.1);
    let g = numbers(N, 2);
    let after = |before: &[f64], g: &[f64], outer: &[f64]| {
        let mut state = before.to_vec();
        case.update.update(At { step: STEP, leaves: &LEAVES, hypers: &hypers, outer }, &mut state, g);
        state
    };
    let at = At { step: STEP, leaves: &LEAVES, hypers: &hypers, outer: &outer };

    let (before_dot, g_dot, outer_dot) = (numbers(n_state, 3), numbers(N, 4), numbers(outer.len(), 5));
    let mut dot = before_dot.clone();
    case.update.jvp(at, &before, &g, &mut dot, &g_dot, &outer_dot);
    let h = 1e-6;
    let moved = |by: f64| {
        let shift = |x: &[f64], d: &[f64]| x.iter().zip(d).map(|(x, d)| x + by * d).collect::<Vec<f64>>();
        after(&shift(&before, &before_dot), &shift(&g, &g_dot), &shift(&outer, &outer_dot))
    };
    for ((dot, up), down) in dot.iter().zip(moved(h)).zip(moved(-h)) {
        let difference = (up - down) / (2.0 * h);
        assert!((dot - difference).abs() <= 1e-8 * (1.0 + dot.abs()), "{dot} and {difference}");
    }

    let after_bar = numbers(n_state, 6);
    let (mut bar, mut g_bar, mut outer_bar) = (after_bar.clone(), vec![f64::NAN; N], vec![0.0; outer.len()]);
    case.update.vjp(at, &before, &g, &mut bar, &mut g_bar, &mut outer_bar);
    let dot_product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let tangent_side = dot_product(&after_bar, &dot);
    let cotangent_side = dot_product(&bar, &before_dot) + dot_product(&g_bar, &g_dot) + dot_product(&outer_bar, &outer_dot);
    assert!((tangent_side - cotangent_side).abs() <= 1e-12 * (1.0 + tangent_side.abs()), "{tangent_side} and {cotangent_side}");
}

#[test]
fn steps_have_their_derivatives_for_constants_and_for_outer_variables_of_every_kind() {
    let rate = || ("rate", vec![-1.3]);
    check(Case { update: crate::solve::GradientDescent::new(0.2), outer: vec![("unused", vec![1.0])] });
    check(Case { update: crate::solve::GradientDescent::new(Hyper::outer("rate").exp()), outer: vec![("other", vec![2.0, 3.0]), rate()] });
    check(Case { update: Momentum::new(0.1, 0.8), outer: vec![rate()] });
    check(Case {
        update: Momentum::new(Hyper::outer("rates").per_step(), Hyper::outer("beta").sigmoid().per_leaf()),
        outer: vec![("rates", numbers(N_STEPS, 7)), ("beta", numbers(LEAVES.len(), 8))],
    });
    check(Case {
        update: Nesterov::new(Hyper::outer("rate").exp(), Hyper::outer("beta").sigmoid()),
        outer: vec![rate(), ("beta", vec![0.4])],
    });
    check(Case { update: Nesterov::new(Hyper::outer("rates").per_weight(), 0.5), outer: vec![("rates", numbers(N, 9))] });
    check(Case {
        update: RmsProp::new(Hyper::outer("rate").exp()).decay(Hyper::outer("decay").sigmoid()).epsilon(Hyper::outer("epsilon").exp()),
        outer: vec![("decay", vec![0.7]), rate(), ("epsilon", vec![-2.0])],
    });
    check(Case { update: RmsProp::new(0.1), outer: vec![rate()] });
    check(Case {
        update: Adam::new(Hyper::outer("rate").exp())
            .beta1(Hyper::outer("beta1").sigmoid())
            .beta2(Hyper::outer("beta2").sigmoid().per_weight())
            .epsilon(Hyper::outer("epsilon").exp().per_leaf()),
        outer: vec![rate(), ("beta1", vec![1.2]), ("beta2", numbers(N, 10)), ("epsilon", numbers(LEAVES.len(), 11))],
    });
    check(Case { update: Adam::new(0.1), outer: vec![rate()] });
    check(Case {
        update: AdamW::new(Hyper::outer("rate").exp().per_leaf(), Hyper::outer("decay").exp().per_weight()).beta1(0.8),
        outer: vec![("decay", numbers(N, 12)), ("rate", numbers(LEAVES.len(), 13))],
    });
}

#[test]
fn an_exactly_zero_mean_of_squares_has_a_finite_cotangent() {
    let hypers: Vec<Bound> = Adam::new(0.1).settings().unwrap().iter().map(|s| Bound::Constant(s.hyper.constant().unwrap())).collect();
    let at = At { step: 0, leaves: &[1], hypers: &hypers, outer: &[] };
    let (mut bar, mut g_bar) = ([1.0, 0.0, 0.0], [f64::NAN]);
    Adam::new(0.1).vjp(at, &[2.0, 0.0, 0.0], &[0.0], &mut bar, &mut g_bar, &mut []);
    // Only the way through the first moment is left: -α / ε through the gradient, β₁ of that through the moment (1 − β₁ = c₁ in the first step).
    let expected = -0.1 / 1e-8;
    assert!((g_bar[0] / expected - 1.0).abs() < 1e-12 && (bar[1] / (9.0 * expected) - 1.0).abs() < 1e-12, "{g_bar:?} {bar:?}");
    assert_eq!([bar[0], bar[2]], [1.0, 0.0]);
}

#[test]
fn hyperparameters_that_the_outer_variable_does_not_have_are_errors() {
    let sizes = Sizes { inner: &[2, 1], outer: &[3, 1], outer_names: &["log_l2", "rate"] };
    let bind = |hyper: Hyper| Momentum::new(hyper, 0.9).settings().unwrap()[0].bind(&sizes, 4).map(|_| ()).map_err(|e| e.to_string());
    assert_eq!(bind(Hyper::outer("rate")), Ok(()));
    assert!(bind(Hyper::outer("rates")).unwrap_err().contains("`log_l2`"));
    assert!(bind(Hyper::outer("log_l2")).unwrap_err().contains("3 elements"));
    assert_eq!(bind(Hyper::outer("log_l2").per_weight()), Ok(()));
    assert!(bind(Hyper::outer("log_l2").per_step()).unwrap_err().contains('4'));
    assert!(bind((-1.0).into()).is_err());
    assert!(OuterOptimizer::<f64>::state(&Adam::new(Hyper::outer("rate")), 1).is_err());
}
