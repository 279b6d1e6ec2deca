//! Every way to a hypergradient on problems that go through the macro: against each other and against differences of the re-solved problem.

#[allow(unreachable_pub)] // Problems are written as users write them.
mod batches;
#[allow(unreachable_pub)]
mod configured;
mod fixed_points;
mod meta;
#[allow(unreachable_pub)] // Problems are written as users write them.
mod problems;
#[allow(unreachable_pub)]
mod steps;

use bilevel::methods::Dynamics;
use bilevel::prelude::*;
use bilevel::solver::HypergradientOf;
use problems::{asymmetric, coupled, network, quadratic, scalar};

const N_STEPS: usize = 9;

/// All unrolled ways; `symmetric` says whether those are among them that need a symmetric Hessian.
fn ways(symmetric: bool) -> Vec<Unrolled> {
    let mut ways = vec![
        Unrolled::reverse(),
        Unrolled::forward(),
        Unrolled::reverse().checkpoints(Checkpoints::Binomial(2)),
        Unrolled::reverse().checkpoints(Checkpoints::Online(3)),
    ];
    if symmetric {
        ways.extend([Unrolled::mixed(), Unrolled::mixed().checkpoints(Checkpoints::Sqrt), Unrolled::truncated().last(N_STEPS)]);
    }
    ways.iter().map(|way| way.steps(N_STEPS)).collect()
}

fn check<P: BilevelProblem<Float = f64>>(problem: &P, outer: &P::Outer, inner: &P::Inner, symmetric: bool) {
    check_with(problem, outer, inner, GradientDescent::new(0.1), symmetric);
    check_with(problem, outer, inner, Momentum::new(0.05, 0.7), symmetric);
    check_with(problem, outer, inner, Nesterov::new(0.05, 0.7), symmetric);
    check_with(problem, outer, inner, RmsProp::new(0.05).epsilon(0.1), symmetric);
    check_with(problem, outer, inner, Adam::new(0.05).epsilon(0.1), symmetric);
    check_with(problem, outer, inner, AdamW::new(0.05, 0.1).epsilon(0.1), symmetric);
}

fn check_with<P: BilevelProblem<Float = f64>>(
    problem: &P,
    outer: &P::Outer,
    inner: &P::Inner,
    dynamics: impl Dynamics<P> + Copy,
    symmetric: bool,
) {
    let mut first: Option<HypergradientOf<P>> = None;
    for way in ways(symmetric) {
        let mut solver = problem.solver(way).inner(dynamics);
        let h = solver.hypergradient(outer, inner).unwrap();
        // What is held constant is so in every derivative, and moves in differences.
        if symmetric {
            let checked = solver.check_with(outer, inner, &Differences::default().step(0.01)).unwrap();
            assert!(checked.max_relative_error < 1e-6, "{way:?}\n{checked}");
        }
        let expected = first.get_or_insert_with(|| h.clone());
        let mut difference = h.gradient.clone();
        difference.add_scaled(-1.0, &expected.gradient);
        assert!(difference.l2_norm() <= 1e-12 * expected.gradient.l2_norm(), "{way:?}");
        assert!((h.value - expected.value).abs() <= 1e-13 * expected.value.abs());
    }
}

#[test]
fn the_exact_quadratic() {
    let (h, b) = (array![[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]], array![[1.0, 2.0], [0.0, 1.0], [-1.0, 1.0]]);
    let (c, t) = (array![1.0, 0.0, -1.0], array![1.0, 1.0, 1.0]);
    let problem = quadratic::Problem { h: &h, b: &b, c: &c, t: &t };
    let (x, z) = (array![1.0, -1.0], Array1::zeros(3));
    for (n_steps, expected) in [(1, [35.0 / 64.0, -17.0 / 16.0]), (3, [53_311.0 / 65_536.0, -6_335.0 / 4_096.0])] {
        for way in ways(true) {
            let way = if format!("{way:?}").contains("truncated: true") { way.last(n_steps) } else { way };
            let h = problem.solver(way.steps(n_steps)).inner(GradientDescent::new(0.125)).hypergradient(&x, &z).unwrap();
            assert_eq!(h.gradient.to_vec(), expected, "{way:?}");
        }
    }
    check(&problem, &x, &array![0.3, -0.4, 0.1], true);
}

#[test]
fn a_scalar_inner_variable() {
    check(&scalar::Problem { a: 1.3 }, &0.4, &0.2, true);
}

#[test]
fn two_coupled_inner_variables() {
    let x = array![[0.5, -0.2], [0.1, 0.9], [-0.7, 0.4], [0.3, 0.3]];
    let y = array![0.4, -0.1, 0.8, 0.2];
    let outer = (array![-0.5, 0.3], 0.7);
    check(&coupled::Problem { x: &x, y: &y }, &outer, &(array![0.1, -0.2], array![[0.3, 0.1], [-0.1, 0.2]]), true);
}

#[test]
fn a_network_whose_weights_are_a_struct() {
    let x = array![[0.5, -0.2, 1.0], [0.1, 0.9, -0.3], [-0.7, 0.4, 0.2], [0.3, 0.3, -0.8], [0.9, -0.6, 0.1]];
    let y = array![0, 1, 2, 1, 0];
    let start = network::Net {
        hidden: array![[0.2, -0.1], [0.3, 0.4], [-0.2, 0.1]],
        bias: array![0.05, -0.1],
        out: array![[0.3, -0.2, 0.1], [0.1, 0.2, -0.3]],
    };
    check(&network::Problem { x: &x, y: &y }, &array![-2.0, -1.0], &start, true);
}

#[test]
fn a_loss_that_holds_something_constant() {
    let problem = asymmetric::Problem {};
    let (a, w) = (array![0.4, -0.3], array![0.5, 0.2]);
    check(&problem, &a, &w, false);
    let error = problem.solver(Unrolled::mixed().steps(3)).inner(GradientDescent::new(0.1)).hypergradient(&a, &w).unwrap_err();
    assert!(error.to_string().contains("`Unrolled::reverse`"), "{error}");
}

/// At the end of a long run the implicit hypergradient is that of the run, also where the Jacobian of the gradient is not symmetric; what needs symmetry says so.
#[test]
fn a_stationary_point_of_a_loss_that_holds_something_constant() {
    let problem = asymmetric::Problem {};
    let (a, w) = (array![0.4, -0.3], array![0.5, 0.2]);
    let descent = GradientDescent::new(0.1).tolerance(1e-13);
    let run = problem.solver(Unrolled::reverse().steps(2000)).inner(descent).hypergradient(&a, &w).unwrap().gradient;
    let difference = |found: Array1<f64>| (found - &run).l2_norm() / run.l2_norm();
    let gmres = problem.solver(Implicit::gmres().tolerance(1e-13)).inner(descent).hypergradient(&a, &w).unwrap();
    let bicgstab = problem.solver(Implicit::bicgstab().tolerance(1e-13)).inner(descent).hypergradient(&a, &w).unwrap();
    assert!(difference(gmres.gradient) < 1e-10 && difference(bicgstab.gradient) < 1e-10);
    let errors = [
        problem.solver(Implicit::cg()).hypergradient(&a, &w).unwrap_err(),
        problem.solver(Implicit::direct()).hypergradient(&a, &w).unwrap_err(),
        problem.solver(Implicit::minres()).hypergradient(&a, &w).unwrap_err(),
        problem.solver(Implicit::nystrom()).hypergradient(&a, &w).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("needs a symmetric Hessian"), "{error}");
    }
}
