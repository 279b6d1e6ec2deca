//! The outer loop.

use std::cell::RefCell;
use std::ops::ControlFlow;

use crate::problems::{Logistic, Quadratic, Scalar};
use bilevel_runtime::methods::Implicit;
use bilevel_runtime::solve::{Adam, GradientDescent, NewtonCg};
use bilevel_runtime::solver::Start;
use bilevel_runtime::{Error, ProblemExt};
use ndarray::{Array1, array};

#[test]
fn gradient_descent_finds_the_best_penalty() {
    let tuned = Scalar::T1.solver(Implicit::cg()).minimize(&0.2, &0.0, GradientDescent::new(2.0), 60).unwrap();
    assert!((tuned.outer - 1.0).abs() < 1e-6 && (tuned.inner - 0.5).abs() < 1e-6 && tuned.value < 1e-12, "{tuned:?}");
    assert_eq!(tuned.trace.len(), 60);
    assert!(tuned.trace.windows(2).all(|pair| pair[1].value <= pair[0].value && pair[1].seconds >= pair[0].seconds));
}

#[test]
fn adam_lowers_the_validation_loss() {
    let problem = Logistic::<f64>::new(5);
    let tuned = problem.solver(Implicit::cg()).minimize(&Array1::from_elem(5, -3.0), &Array1::zeros(5), Adam::new(0.2), 80).unwrap();
    assert!(tuned.value < tuned.trace[0].value - 1e-3);
    // The result is what its parts say: solving again at the outer variable gives the inner variable and the value.
    let h = problem.solver(Implicit::cg()).hypergradient(&tuned.outer, &tuned.inner).unwrap();
    assert!((h.value - tuned.value).abs() < 1e-12);
    assert!(tuned.trace.iter().all(|entry| tuned.value <= entry.value));
}

/// Steps that are far too long: the best point visited is the first.
#[test]
fn the_best_point_is_returned_and_not_the_last() {
    let tuned = Scalar::T1.solver(Implicit::cg()).minimize(&0.9, &0.0, Adam::new(0.6), 1).unwrap();
    assert_eq!((tuned.best_step, tuned.outer), (0, 0.9));
    let tuned = Scalar::T1.solver(Implicit::cg()).minimize(&0.9, &0.0, Adam::new(0.1), 1).unwrap();
    assert_eq!(tuned.best_step, 1);
    assert!((tuned.outer - 1.0).abs() < 1e-6);
}

#[test]
fn warm_starts_cost_less_and_lead_to_the_same_result() {
    let problem = Logistic::<f64>::new(6);
    let run = |start| {
        let mut solver = problem.solver(Implicit::cg()).inner(NewtonCg::default().tolerance(1e-10)).start(start);
        solver.minimize(&Array1::from_elem(6, -3.0), &Array1::zeros(6), Adam::new(0.1), 20).unwrap()
    };
    let (warm, cold) = (run(Start::Warm), run(Start::Cold));
    assert!(warm.outer.iter().zip(&cold.outer).all(|(a, b)| (a - b).abs() < 1e-7));
    let cost = |trace: &[bilevel_runtime::solver::TraceEntry<f64>]| trace.iter().map(|entry| entry.report.n_products).sum::<usize>();
    assert!(cost(&warm.trace) < cost(&cold.trace));
    // Every cold solve begins at the inner variable given.
    let from_solution = problem.solver(Implicit::cg()).hypergradient(&warm.outer, &warm.inner).unwrap();
    assert!(from_solution.report.inner.n_iterations <= 1);
}

#[test]
fn every_step_is_seen_and_can_be_the_last() {
    let problem = Quadratic::<f64>::exact();
    let seen = RefCell::new(Vec::new());
    let mut solver = problem.solver(Implicit::cg()).on_step(|step| {
        seen.borrow_mut().push((step.index, step.outer(), step.inner(), step.entry.value));
        if step.index == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let tuned = solver.minimize(&array![1.0, -1.0], &Array1::zeros(3), GradientDescent::new(0.1), 10).unwrap();
    drop(solver);
    let seen = seen.into_inner();
    assert_eq!((seen.len(), tuned.trace.len(), tuned.best_step), (3, 3, 2));
    assert_eq!(seen[0].1, array![1.0, -1.0]);
    assert!((seen[0].2[0] + 1.0 / 18.0).abs() < 1e-7);
    assert_eq!((&tuned.outer, &tuned.inner, tuned.value), (&seen[2].1, &seen[2].2, seen[2].3));
}

#[test]
fn no_steps_give_the_start() {
    let tuned = Scalar::T1.solver(Implicit::cg()).minimize(&1.0, &0.0, Adam::new(0.1), 0).unwrap();
    assert_eq!((tuned.outer, tuned.best_step, tuned.trace.len()), (1.0, 0, 0));
    assert!((tuned.inner - 0.5).abs() < 1e-8);
}

#[test]
fn errors_say_in_which_step() {
    // For λ ≤ −1 the inner loss has no minimum; the first step goes there.
    let error = Scalar::T1.solver(Implicit::cg()).minimize(&2.0, &0.0, Adam::new(4.0), 5).unwrap_err();
    assert!(matches!(&error, Error::OuterStep { step: 1, source } if matches!(**source, Error::UnboundedBelow { .. })), "{error}");
    assert!(error.to_string().starts_with("in outer step 1: the inner loss is unbounded below"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn optimisers_check_their_settings() {
    let error = Scalar::T1.solver(Implicit::cg()).minimize(&1.0, &0.0, GradientDescent::default(), 5).unwrap_err();
    assert_eq!(error.to_string(), "a step of gradient descent needs a learning rate: give it with `GradientDescent::new`");
    let error = Scalar::T1.solver(Implicit::cg()).minimize(&1.0, &0.0, Adam::new(-0.1), 5).unwrap_err();
    assert!(matches!(error, Error::InvalidSetting { setting: "Adam::new", .. }), "{error}");
}

#[test]
fn runs_repeat_bit_for_bit() {
    let problem = Logistic::<f64>::new(5);
    let run = || problem.solver(Implicit::cg()).minimize(&Array1::zeros(5), &Array1::zeros(5), Adam::new(0.1), 10).unwrap();
    let (first, second) = (run(), run());
    assert_eq!((first.outer, first.inner, first.value), (second.outer, second.inner, second.value));
}
