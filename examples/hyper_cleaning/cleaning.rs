//! The problem, the ways to its hypergradient, and how a result is judged.

use std::time::Instant;

use bilevel::methods;
use bilevel::prelude::*;
use bilevel::solver::{Solver, Start};
use clap::ValueEnum;

use crate::common::digits::accuracy;
use crate::common::random::Random;

/// Softmax regression on examples that are not all trusted alike.
#[bilevel]
pub mod hyper_cleaning {
    use super::*;

    /// Training loss: every example has a weight of its own, `sigmoid(trust)`.
    #[inner(minimize = w)]
    pub fn train(w: &Array2<f32>, trust: &Array1<f32>, x: &Array2<f32>, y: &Array1<usize>) -> f32 {
        let logits = x.dot(w);
        let targets: Array2<f32> = one_hot(y, 10);
        let losses = log_sum_exp(&logits) - (logits * targets).sum_axis(Axis(1));
        (trust.sigmoid() * losses).mean().unwrap() + 0.5e-3 * (w * w).sum()
    }

    /// Validation loss, on labels that are right.
    #[outer(minimize = trust)]
    pub fn validate(w: &Array2<f32>, x_val: &Array2<f32>, y_val: &Array1<usize>) -> f32 {
        cross_entropy(&x_val.dot(w), y_val)
    }
}

/// Images as rows, with their labels.
pub(crate) type Labelled = (Array2<f32>, Array1<usize>);

/// Training images of which half have a wrong label, and others whose labels are right.
pub(crate) struct Data {
    pub(crate) train: Labelled,
    /// The labels of `train` before half of them were changed.
    right: Array1<usize>,
    /// Which were changed.
    pub(crate) changed: Array1<bool>,
    pub(crate) validation: Labelled,
    pub(crate) test: Labelled,
}

impl Data {
    /// Changes exactly half of the training labels, each to another class, all others equally likely.
    pub(crate) fn new(mut train: Labelled, validation: Labelled, test: Labelled, seed: u64) -> Self {
        let mut random = Random::new(seed, "changed labels");
        let (n, right) = (train.1.len(), train.1.clone());
        let mut changed = Array1::from_elem(n, false);
        for i in random.choose(n / 2, n) {
            train.1[i] = (train.1[i] + 1 + random.below(9)) % 10;
            changed[i] = true;
        }
        Data { train, right, changed, validation, test }
    }

    fn problem(&self) -> hyper_cleaning::Problem<'_> {
        self.problem_with(&self.train.1)
    }

    fn problem_with<'a>(&'a self, labels: &'a Array1<usize>) -> hyper_cleaning::Problem<'a> {
        let (x_val, y_val) = &self.validation;
        hyper_cleaning::Problem { x: &self.train.0, y: labels, x_val, y_val }
    }

    /// The test accuracy of a classifier that is trained from zero to a stationary point, with these labels and these weights of the examples.
    fn accuracy_with(&self, labels: &Array1<usize>, trust: &Array1<f32>) -> Result<f64, bilevel::Error> {
        let problem = self.problem_with(labels);
        let mut solver = problem.solver(Implicit::cg()).inner(Lbfgs::default().tolerance(1e-4));
        let trained = solver.solve_inner(trust, &Array2::zeros((self.train.0.ncols(), 10)))?.inner;
        let (x, y) = &self.test;
        Ok(accuracy(&x.dot(&trained), y))
    }

    /// The accuracy with the learned weights of the examples.
    pub(crate) fn test_accuracy(&self, trust: &Array1<f32>) -> Result<f64, bilevel::Error> {
        self.accuracy_with(&self.train.1, trust)
    }

    /// The accuracy with all examples counted in full, and no label changed.
    pub(crate) fn oracle(&self) -> Result<f64, bilevel::Error> {
        self.accuracy_with(&self.right, &Array1::from_elem(self.changed.len(), FULL))
    }

    /// The accuracy with the weight one where the label is right, and zero where it was changed.
    pub(crate) fn without_changed(&self) -> Result<f64, bilevel::Error> {
        self.test_accuracy(&self.changed.mapv(|changed| if changed { -FULL } else { FULL }))
    }

    /// The accuracy with all examples counted in full.
    pub(crate) fn baseline(&self) -> Result<f64, bilevel::Error> {
        self.test_accuracy(&Array1::from_elem(self.changed.len(), FULL))
    }

    /// How well examples of a weight below `threshold` are those whose label was changed: the F1 score.
    pub(crate) fn f1(&self, trust: &Array1<f32>, threshold: f64) -> f64 {
        let suspected = weights(trust).mapv(|weight| weight < threshold);
        let n_found = suspected.iter().zip(&self.changed).filter(|(suspected, changed)| **suspected && **changed).count();
        let n_suspected = suspected.iter().filter(|suspected| **suspected).count();
        let n_changed = self.changed.iter().filter(|changed| **changed).count();
        2.0 * n_found as f64 / ((n_suspected + n_changed) as f64).max(1.0)
    }
}

/// A logit whose sigmoid is one to the precision of `f32`.
const FULL: f32 = 20.0;
/// Steps of the unrolled methods.
const N_STEPS: usize = 200;

/// The weights of the examples in the training loss.
pub(crate) fn weights(trust: &Array1<f32>) -> Array1<f64> {
    trust.mapv(|t| 1.0 / (1.0 + f64::from(-t).exp()))
}

/// A way to the hypergradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// Implicit, by conjugate gradients
    Cg,
    /// Implicit, by 20 terms of the Neumann series
    Neumann,
    /// Implicit, with a multiple of the identity for the inverse Hessian (T1-T2)
    OneStep,
    /// Implicit, by a low-rank approximation from 20 columns
    Nystrom,
    /// 200 steps of momentum from zero, in reverse mode
    Reverse,
    /// The same in mixed mode
    Mixed,
    /// The same in mixed mode, through the last 20 steps
    Truncated,
    /// A virtual evolutionary step with 8 copies
    Evograd,
}

/// The result of a run.
pub(crate) struct Cleaned {
    pub(crate) trust: Array1<f32>,
    /// The validation loss of every step, and of the result.
    pub(crate) losses: Vec<f64>,
    pub(crate) n_gradients: usize,
    pub(crate) n_products: usize,
    pub(crate) seconds: f64,
}

/// How a run goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) n_steps: usize,
    /// The step size of Adam.
    pub(crate) rate: f64,
    /// The norm of the inner gradient at which implicit methods begin.
    pub(crate) inner_tolerance: f64,
    pub(crate) seed: u64,
    /// Whether to show how far it has come.
    pub(crate) progress: bool,
}

/// Learns the weights of the examples, from one half for all.
pub(crate) fn clean(data: &Data, method: Method, settings: Settings) -> Result<Cleaned, bilevel::Error> {
    let problem = data.problem();
    let lbfgs = Lbfgs::default().tolerance(settings.inner_tolerance);
    let momentum = Momentum::new(0.05, 0.9);
    match method {
        Method::Cg => run(problem.solver(Implicit::cg().tolerance(0.01).error_bound(false)).inner(lbfgs), data, settings),
        Method::Neumann => run(problem.solver(Implicit::neumann().terms(20).error_bound(false)).inner(lbfgs), data, settings),
        Method::OneStep => run(problem.solver(Implicit::one_step().error_bound(false)).inner(lbfgs), data, settings),
        Method::Nystrom => {
            // How far the inner problem has to be solved is measured by the curvature that is seen, of which some columns show less than products.
            let lbfgs = Lbfgs::default().tolerance(settings.inner_tolerance.min(1e-3));
            let nystrom = Implicit::nystrom().rank(20).rho(0.01).seed(settings.seed).error_bound(false);
            run(problem.solver(nystrom).inner(lbfgs), data, settings)
        }
        Method::Reverse => run(problem.solver(Unrolled::reverse().steps(N_STEPS)).inner(momentum).start(Start::Cold), data, settings),
        Method::Mixed => run(problem.solver(Unrolled::mixed().steps(N_STEPS)).inner(momentum).start(Start::Cold), data, settings),
        Method::Truncated => {
            let truncated = Unrolled::truncated().steps(N_STEPS).last(20);
            run(problem.solver(truncated).inner(momentum).start(Start::Cold), data, settings)
        }
        Method::Evograd => run(problem.solver(EvoGrad::default().copies(8).seed(settings.seed)).inner(lbfgs), data, settings),
    }
}

fn run<'a, M: methods::Method<hyper_cleaning::Problem<'a>, I>, I>(
    solver: Solver<'_, hyper_cleaning::Problem<'a>, M, I>,
    data: &Data,
    settings: Settings,
) -> Result<Cleaned, bilevel::Error> {
    let (x, y) = &data.train;
    let began = Instant::now();
    let tuned = solver.progress(settings.progress).minimize(
        &Array1::zeros(y.len()),
        &Array2::zeros((x.ncols(), 10)),
        Adam::new(settings.rate),
        settings.n_steps,
    )?;
    Ok(Cleaned {
        losses: tuned.trace.iter().map(|step| step.value).chain([tuned.value]).map(f64::from).collect(),
        n_gradients: tuned.trace.iter().map(|step| step.report.n_gradients).sum(),
        n_products: tuned.trace.iter().map(|step| step.report.n_products).sum(),
        seconds: began.elapsed().as_secs_f64(),
        trust: tuned.outer,
    })
}
