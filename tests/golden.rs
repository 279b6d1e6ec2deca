//! The functions whose expansions are reviewed in `compiler/tests/golden` compile and compute.

use bilevel::prelude::*;

include!("../compiler/tests/golden/three_lines.rs");
include!("../compiler/tests/golden/loop.rs");
include!("../compiler/tests/golden/branch.rs");
include!("../compiler/tests/golden/weight_decay.rs");
include!("../compiler/tests/golden/configured.rs");

#[test]
fn three_lines_have_their_closed_form() {
    let (w, y) = (array![0.5, -1.0], array![1.0, 2.0, -0.5]);
    let x = array![[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]];
    let expected = x.t().dot(&(x.dot(&w) - &y)) * (2.0 / 3.0) + &w * 0.6;
    let gradient = ridge::grad(&w, &x, &y, 0.3);
    assert!((&gradient - &expected).iter().all(|d| d.abs() < 1e-14), "{gradient}, not {expected}");
    let hvp = ridge::hvp(&w, &x, &y, 0.3, &array![1.0, 0.0]);
    let expected = x.t().dot(&x.column(0)) * (2.0 / 3.0) + array![0.6, 0.0];
    assert!((&hvp - &expected).iter().all(|d| d.abs() < 1e-14), "{hvp}, not {expected}");
}

#[test]
fn the_loop_runs_backwards() {
    let (w, start) = (array![[0.3_f32, -0.2], [0.5, 0.1]], array![0.7_f32, -0.4]);
    let (w_dot, start_dot) = (array![[1.0_f32, 0.5], [-0.3, 0.2]], array![0.1_f32, 0.9]);
    let (value, slope) = recurrent::jvp(&w, &start, 5, &w_dot, &start_dot);
    assert!((value - recurrent(&w, &start, 5)).abs() < 1e-6);
    let (w_bar, start_bar) = recurrent::grad(&w, &start, 5);
    assert!(((&w_bar * &w_dot).sum() + start_bar.dot(&start_dot) - slope).abs() < 1e-6);
}

#[test]
fn the_branch_takes_both_sides() {
    let x = array![1.0, 2.0];
    // Inside, r² / 2 with r = 3 s; outside, delta (|r| - delta / 2).
    assert_eq!(huber::grad(0.25, &x, 1.0).0, 2.25);
    assert_eq!(huber::grad(-2.0, &x, 1.0), (-3.0, array![2.0, 2.0], 5.0));
}

#[test]
fn the_problem_has_its_kernels() {
    let (x, y) = (array![[1.0, 0.0], [0.0, 1.0]], array![0_usize, 1]);
    let problem = weight_decay::Problem { x: &x, y: &y, x_val: &x, y_val: &y };
    let zero = Array2::<f64>::zeros((2, 2));
    let mut workspace = problem.workspace(&zero, &zero).unwrap();
    let mut gradient = [0.0; 4];
    let value = problem.inner_value_and_grad(&mut workspace, &[0.0; 4], &[0.0; 4], &mut gradient);
    assert!((value - std::f64::consts::LN_2).abs() < 1e-15);
    assert_eq!(gradient, [-0.25, 0.25, 0.25, -0.25]);
}

#[test]
fn the_method_in_the_attribute_is_the_builder() {
    let (x, y) = (array![[1.0, 0.2], [0.3, -1.0], [0.5, 0.5]], array![1.0, 0.5, -0.2]);
    let problem = configured::Problem { x: &x, y: &y };
    let (log_rate, start) = (-2.0, array![0.1, -0.3]);
    let method = Unrolled::mixed().steps(10).batches(Batches::of(2).seed(7));
    let mut solver = problem.solver(method).inner(Momentum::new(Hyper::outer("log_rate").exp(), 0.9));
    let h = problem.hypergradient(&log_rate, &start).unwrap();
    assert_eq!(h, solver.hypergradient(&log_rate, &start).unwrap());
    assert!(problem.check(&log_rate, &start).unwrap().max_relative_error < 1e-7);
}
