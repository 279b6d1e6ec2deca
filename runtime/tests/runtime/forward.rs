//! Forward mode beyond plain runs: tangents that are left out, windows of steps, online runs, limits; and memory that is given as text.

use std::cell::RefCell;
use std::ops::ControlFlow;

use bilevel_runtime::methods::{Checkpoints, MemorySize, Unrolled};
use bilevel_runtime::solve::{Adam, GradientDescent, Hyper, Momentum, SignDescent};
use bilevel_runtime::solver::Start;
use bilevel_runtime::{Error, ProblemExt};
use ndarray::{Array1, array, s};

use crate::problems::{Quadratic, Ridge};
use crate::unrolled::Quartic;

const N_STEPS: usize = 12;

fn problem() -> Quartic {
    Quartic { quadratic: Quadratic::exact() }
}

fn start() -> (Array1<f64>, f64) {
    (array![0.3, -0.2], 0.5)
}

#[test]
fn tangents_are_left_out_until_a_step_reads_their_variable() {
    let problem = problem();
    let outer = (array![1.0, -1.0], Array1::from_shape_fn(N_STEPS, |t| 0.1 + 0.01 * t as f64), array![0.0]);
    let dynamics = Momentum::new(Hyper::outer("rates").per_step(), 0.8);
    let forward = problem.solver(Unrolled::forward().steps(N_STEPS)).inner(dynamics).hypergradient(&outer, &start()).unwrap();
    // Both elements of `x` in every step, the rates of the steps made so far, and never the decay, which nothing reads.
    let expected: usize = (1..=N_STEPS).map(|t| 2 + t).sum();
    assert_eq!((forward.report.n_products, forward.gradient.2[0]), (expected, 0.0));
    let reverse = problem.solver(Unrolled::reverse().steps(N_STEPS)).inner(dynamics).hypergradient(&outer, &start()).unwrap();
    for (forward, reverse) in forward.gradient.1.iter().zip(&reverse.gradient.1) {
        assert!((forward - reverse).abs() <= 1e-12 * reverse.abs(), "{forward} and {reverse}");
    }
}

#[test]
fn the_hypergradient_of_a_window_is_the_sum_of_those_of_its_steps() {
    let problem = problem();
    let shared = array![-2.5, -3.0, -2.8];
    let each = Array1::from_shape_fn(N_STEPS, |t| shared[t / 5]);
    let rates = Hyper::outer("rates").exp();
    for method in [Unrolled::forward(), Unrolled::reverse(), Unrolled::mixed()] {
        let hypergradient = |rate: Hyper, rates: &Array1<f64>| {
            let outer = (array![1.0, -1.0], rates.clone(), array![0.0]);
            problem.solver(method.steps(N_STEPS)).inner(Momentum::new(rate, 0.8)).hypergradient(&outer, &start()).unwrap()
        };
        let windows = hypergradient(rates.per_window(5), &shared);
        let steps = hypergradient(rates.per_step(), &each);
        assert_eq!(windows.value, steps.value);
        for (k, window) in windows.gradient.1.iter().enumerate() {
            let sum = steps.gradient.1.slice(s![5 * k..(5 * k + 5).min(N_STEPS)]).sum();
            assert!((window - sum).abs() <= 1e-12 * sum.abs(), "{method:?} {k}: {window} and {sum}");
        }
    }
}

#[test]
fn an_online_run_with_one_hypergradient_is_forward_mode() {
    let problem = problem();
    let outer = (array![1.0, -1.0], array![-2.5, -3.0], array![1.0]);
    let dynamics = Momentum::new(Hyper::outer("rates").exp().per_leaf(), Hyper::outer("decays").sigmoid());
    let online = Unrolled::online().steps(N_STEPS).every(N_STEPS);
    let ours = problem.solver(online).inner(dynamics).hypergradient(&outer, &start()).unwrap();
    let forward = problem.solver(Unrolled::forward().steps(N_STEPS)).inner(dynamics).hypergradient(&outer, &start()).unwrap();
    assert_eq!((&ours.gradient, &ours.inner, ours.value), (&forward.gradient, &forward.inner, forward.value));
    assert_eq!((ours.report.unrolled.as_ref().unwrap().online, forward.report.unrolled.unwrap().online), (Some(0), None));
    for start_of_runs in [Start::Cold, Start::WarmFull] {
        let tuned = |method: Unrolled| {
            problem.solver(method).inner(dynamics).start(start_of_runs).minimize(&outer, &start(), Adam::new(0.05), 6).unwrap()
        };
        let (ours, forward) = (tuned(online), tuned(Unrolled::forward().steps(N_STEPS)));
        assert_eq!((ours.outer, ours.inner, ours.value), (forward.outer, forward.inner, forward.value), "{start_of_runs:?}");
    }
}

/// With an outer variable that stays where it is, every hypergradient is that of forward mode after as many steps, and after the last step a run begins anew.
#[test]
fn an_online_run_goes_on_from_step_to_step() {
    let problem = problem();
    let outer = (array![1.0, -1.0], array![-2.5, -3.0], array![1.0]);
    let dynamics = Adam::new(Hyper::outer("rates").exp().per_leaf()).epsilon(0.1).beta1(Hyper::outer("decays").sigmoid());
    let mut solver = problem.solver(Unrolled::online().steps(N_STEPS).every(5)).inner(dynamics).start(Start::Cold);
    let tuned = solver.minimize(&outer, &start(), GradientDescent::new(1e-300), 5).unwrap();
    for (entry, (n_steps, first)) in tuned.trace.iter().zip([(5, 0), (10, 5), (12, 10), (5, 0), (10, 5)]) {
        let forward = problem.solver(Unrolled::forward().steps(n_steps)).inner(dynamics).hypergradient(&outer, &start()).unwrap();
        let gradient: Vec<f64> = [&forward.gradient.0, &forward.gradient.1, &forward.gradient.2].into_iter().flatten().copied().collect();
        assert_eq!(entry.value, forward.value);
        assert!((entry.gradient_norm - Array1::from(gradient).powi(2).sum().sqrt()).abs() < 1e-14);
        let unrolled = entry.report.unrolled.as_ref().unwrap();
        assert_eq!((unrolled.online, unrolled.n_steps), (Some(first), n_steps - first));
        assert!(unrolled.to_string().contains(&format!("online from step {first} on")), "{unrolled}");
    }
    // By itself a hypergradient is that of the first part of a run, and so are the differences that it is checked with.
    assert_eq!(solver.hypergradient(&outer, &start()).unwrap().value, tuned.trace[0].value);
    assert!(solver.check(&outer, &start()).unwrap().max_relative_error < 1e-6);
    assert_eq!(solver.hypergradient(&outer, &start()).unwrap().value, tuned.trace[0].value);
}

/// Where the outer variable moves, each part of the run is made under that of its time, from where the part before has ended.
#[test]
fn an_online_run_is_one_run_under_changing_variables() {
    let problem = Quadratic::<f64>::exact();
    let parts = RefCell::new(Vec::new());
    let mut solver = problem.solver(Unrolled::online().steps(12).every(4)).inner(GradientDescent::new(0.125)).on_step(|step| {
        parts.borrow_mut().push((step.outer(), step.inner()));
        ControlFlow::Continue(())
    });
    let tuned = solver.minimize(&array![1.0, -1.0], &Array1::zeros(3), GradientDescent::new(0.2), 3).unwrap();
    drop(solver);
    let mut inner = Array1::zeros(3);
    for (outer, after) in parts.into_inner() {
        let mut four = problem.solver(Unrolled::forward().steps(4)).inner(GradientDescent::new(0.125));
        inner = four.solve_inner(&outer, &inner).unwrap().inner;
        assert_eq!(inner, after);
    }
    assert!(tuned.value < tuned.trace[0].value);
}

#[test]
fn settings_of_forward_mode_that_make_no_sense_are_errors() {
    let problem = problem();
    let error = |method: Unrolled, dynamics: Momentum| {
        let outer = (array![1.0, -1.0], array![0.1], array![0.0]);
        problem.solver(method.steps(N_STEPS)).inner(dynamics).hypergradient(&outer, &start()).unwrap_err().to_string()
    };
    let step = Momentum::new(0.1, 0.5);
    for (method, words) in [
        (Unrolled::online(), "`Unrolled::every`"),
        (Unrolled::online().every(0), "at least 1"),
        (Unrolled::online().every(13), "at most the number of steps"),
        (Unrolled::forward().every(3), "it is for `Unrolled::online`"),
        (Unrolled::forward().clamp(0.0), "`Unrolled::clamp` is 0"),
        (Unrolled::mixed().clamp(1.0), "it is for forward mode"),
        (Unrolled::forward().memory("1 GiB"), "keeps a tangent for each outer variable"),
        (Unrolled::mixed().memory("a lot"), "`a lot` is not an amount of memory: write a number and a unit"),
    ] {
        let error = error(method, step);
        assert!(error.contains(words), "{error}");
    }
    let rates = Hyper::outer("rates");
    assert!(error(Unrolled::forward(), Momentum::new(rates.per_window(0), 0.5)).contains("`Hyper::per_window` is 0"));
    let found = error(Unrolled::forward(), Momentum::new(rates.per_window(5), 0.5));
    assert!(found.contains("has 1 elements, but must have 3, one for each window of steps"), "{found}");
}

#[test]
fn limits_on_tangents_are_reported_where_they_change_something() {
    let problem = problem();
    let outer = (array![1.0, -1.0], array![0.1], array![0.0]);
    let run = |method: Unrolled| {
        let mut solver = problem.solver(method.steps(N_STEPS)).inner(Momentum::new(Hyper::outer("rates"), 0.8));
        solver.hypergradient(&outer, &start()).unwrap()
    };
    let (free, wide, narrow) = (run(Unrolled::forward()), run(Unrolled::forward().clamp(1e6)), run(Unrolled::forward().clamp(0.05)));
    assert_eq!((&free.gradient, free.value), (&wide.gradient, wide.value));
    assert_eq!(wide.report.unrolled.unwrap().n_clamped, 0);
    assert!(!free.report.to_string().contains("clamped"));
    // The run itself is the same.
    assert_eq!((narrow.value, &narrow.inner), (free.value, &free.inner));
    assert_ne!(narrow.gradient, free.gradient);
    assert!(narrow.report.unrolled.as_ref().unwrap().n_clamped > 0 && narrow.report.to_string().contains("inexact"), "{}", narrow.report);
}

/// Forward mode with sharing: windows, cold starts, the whole run before each step by signs.
#[test]
fn a_schedule_is_learned_by_signs() {
    let problem = problem();
    let outer = (array![1.0, -1.0], Array1::from_elem(3, -4.0), array![0.0]);
    let dynamics = Momentum::new(Hyper::outer("rates").exp().per_window(5), Hyper::outer("decays").sigmoid());
    let mut solver = problem.solver(Unrolled::forward().steps(N_STEPS)).inner(dynamics).start(Start::Cold);
    // The first step is as long as was said, in the direction of the signs.
    let h = solver.hypergradient(&outer, &start()).unwrap().gradient;
    let once = solver.minimize(&outer, &start(), SignDescent::new(0.2), 1).unwrap().outer;
    for (moved, h) in once.1.iter().zip(&h.1).chain(once.2.iter().map(|x| x - 4.0).collect::<Array1<f64>>().iter().zip(&h.2)) {
        assert_eq!(*moved, -4.0 - 0.2 * h.signum());
    }
    let tuned = solver.minimize(&outer, &start(), SignDescent::new(0.2), 30).unwrap();
    assert!(tuned.value < 0.5 * tuned.trace[0].value, "{} and {}", tuned.value, tuned.trace[0].value);
}

#[test]
fn memory_is_divided_and_the_report_says_how() {
    let problem = Ridge::<f64>::new(4);
    let hypergradient = |memory: MemorySize| {
        let mut solver = problem.solver(Unrolled::mixed().steps(100).memory(memory)).inner(Momentum::new(0.1, 0.9));
        solver.hypergradient(&Array1::from_elem(4, -1.0), &Array1::zeros(4))
    };
    // A state is `w` and its velocity, and has its gradient beside it: 12 numbers. Beside them stand a state, five vectors to work with, and three cotangents.
    let (slot, vectors) = (12 * 8, (8 + (4 + 4 + 4 + 4 + 8) + (8 + 4 + 4)) * 8);
    let all = hypergradient("1 MiB".into()).unwrap();
    let unrolled = all.report.unrolled.as_ref().unwrap();
    assert_eq!((unrolled.checkpoints, unrolled.n_remade), (Some(Checkpoints::All), 0));
    assert_eq!(all.report.peak_bytes, 100 * slot + vectors);
    let few = hypergradient((vectors + 7 * slot + 5).into()).unwrap();
    let unrolled = few.report.unrolled.as_ref().unwrap();
    assert_eq!(unrolled.checkpoints, Some(Checkpoints::Binomial(7)));
    assert_eq!((few.report.peak_bytes, unrolled.fit.unwrap().n_fitting), (vectors + 7 * slot, 7));
    assert!(unrolled.to_string().contains("there is room for 7 states"), "{unrolled}");
    assert_eq!((few.gradient, few.report.n_products), (all.gradient, all.report.n_products));
    let error = hypergradient((vectors + slot - 1).into()).unwrap_err();
    assert_eq!(error, Error::MemoryLimit { limit: vectors + slot - 1, needed: vectors + slot, activations: 0 });
    assert!(error.to_string().contains("`Unrolled::memory` is 479 B, but at least 480 B are needed"), "{error}");
}
