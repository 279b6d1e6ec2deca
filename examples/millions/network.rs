//! The problem: a network of a million weights, each with a penalty of its own.

use std::time::Instant;

use bilevel::prelude::*;
use bilevel::solver::{Start, TunedOf};
use clap::ValueEnum;

use crate::common::digits::accuracy;
use crate::common::random::Random;

/// A network whose every weight has a penalty of its own.
#[bilevel]
pub mod millions {
    use super::*;

    /// Three layers of weights.
    #[derive(Params, Clone, Debug)]
    pub struct Network {
        pub first: Array2<f32>,
        pub first_bias: Array1<f32>,
        pub second: Array2<f32>,
        pub second_bias: Array1<f32>,
        pub out: Array2<f32>,
        pub out_bias: Array1<f32>,
    }

    pub fn logits(net: &Network, x: &Array2<f32>) -> Array2<f32> {
        let hidden = (x.dot(&net.first) + &net.first_bias).tanh();
        let hidden = (hidden.dot(&net.second) + &net.second_bias).tanh();
        hidden.dot(&net.out) + &net.out_bias
    }

    /// Training loss, with a penalty on every weight and bias.
    #[inner(minimize = net)]
    pub fn train(net: &Network, log_l2: &Network, x: &Array2<f32>, y: &Array1<usize>) -> f32 {
        let first =
            (log_l2.first.exp() * &net.first * &net.first).sum() + (log_l2.first_bias.exp() * &net.first_bias * &net.first_bias).sum();
        let second = (log_l2.second.exp() * &net.second * &net.second).sum()
            + (log_l2.second_bias.exp() * &net.second_bias * &net.second_bias).sum();
        let out = (log_l2.out.exp() * &net.out * &net.out).sum() + (log_l2.out_bias.exp() * &net.out_bias * &net.out_bias).sum();
        cross_entropy(&logits(net, x), y) + 0.5 * (first + second + out)
    }

    /// Validation loss.
    #[outer(minimize = log_l2)]
    pub fn validate(net: &Network, x_val: &Array2<f32>, y_val: &Array1<usize>) -> f32 {
        cross_entropy(&logits(net, x_val), y_val)
    }
}

pub(crate) use millions::{Network, Problem};

/// A network with random weights of variance `1 / inputs`, and biases of zero.
pub(crate) fn fresh(n_inputs: usize, [n_first, n_second]: [usize; 2], seed: u64) -> Network {
    let mut random = Random::new(seed, "network");
    let mut layer = |inputs: usize, outputs: usize| {
        Array2::from_shape_simple_fn((inputs, outputs), || (random.normal() / (inputs as f64).sqrt()) as f32)
    };
    Network {
        first: layer(n_inputs, n_first),
        first_bias: Array1::zeros(n_first),
        second: layer(n_first, n_second),
        second_bias: Array1::zeros(n_second),
        out: layer(n_second, 10),
        out_bias: Array1::zeros(10),
    }
}

/// The same log-penalty for all weights.
pub(crate) fn uniform(net: &Network, log_l2: f32) -> Network {
    net.with_elements(&vec![log_l2; net.n_elements()])
}

/// A way to the hypergradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// Terms of the Neumann series, with the learning rate of the training
    Neumann,
    /// Its first term alone (T1-T2)
    OneStep,
}

/// Sizes of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Outer steps.
    pub(crate) n_steps: usize,
    /// Steps of training in each of them.
    pub(crate) n_inner: usize,
    /// Terms of the series beyond the first.
    pub(crate) n_terms: usize,
    /// The learning rate of the training.
    pub(crate) inner_rate: f64,
    /// The step size of Adam on the log-penalties.
    pub(crate) rate: f64,
    /// What is added to the Hessian's diagonal.
    pub(crate) damping: f64,
}

impl Settings {
    fn training(&self) -> GradientDescent {
        GradientDescent::new(self.inner_rate).tolerance(0.0)
    }

    fn implicit(&self, method: Method) -> Implicit<bilevel::linear::Neumann> {
        let neumann = match method {
            Method::Neumann => Implicit::neumann().terms(self.n_terms),
            Method::OneStep => Implicit::one_step(),
        };
        neumann.step(self.inner_rate).damping(self.damping).error_bound(false)
    }

    /// How many seconds a step of training takes, evaluation of the gradient and update of the weights.
    pub(crate) fn seconds_of_step(&self, problem: &Problem<'_>, log_l2: &Network, net: &Network) -> Result<f64, bilevel::Error> {
        let mut solver = problem.solver(self.implicit(Method::OneStep)).inner(self.training().max_iterations(20));
        solver.solve_inner(log_l2, net)?;
        let began = Instant::now();
        let n_evaluations = solver.solve_inner(log_l2, net)?.outcome.n_evaluations;
        Ok(began.elapsed().as_secs_f64() / n_evaluations as f64)
    }

    /// Learns the penalties, the training going on from step to step.
    pub(crate) fn learn<'p>(
        &self,
        problem: &'p Problem<'p>,
        method: Method,
        (log_l2, start): (&Network, &Network),
        progress: bool,
    ) -> Result<TunedOf<Problem<'p>>, bilevel::Error> {
        let solver = problem.solver(self.implicit(method)).inner(self.training()).start(Start::WarmPartial(self.n_inner));
        solver.progress(progress).minimize(log_l2, start, Adam::new(self.rate), self.n_steps)
    }
}

/// A network that is trained from `start` by so many iterations of L-BFGS.
pub(crate) fn trained(problem: &Problem<'_>, log_l2: &Network, start: &Network, n_iterations: usize) -> Result<Network, bilevel::Error> {
    Ok(problem.solver(Implicit::one_step()).inner(Lbfgs::default().max_iterations(n_iterations)).solve_inner(log_l2, start)?.inner)
}

/// The share of images that a network tells right.
pub(crate) fn network_accuracy(net: &Network, x: &Array2<f32>, y: &Array1<usize>) -> f64 {
    accuracy(&millions::logits(net, x), y)
}
