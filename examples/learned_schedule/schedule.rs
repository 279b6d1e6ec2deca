//! The problem, the ways to its hypergradient, and how a network is trained with what was learned.

use std::time::Instant;

use bilevel::prelude::*;
use bilevel::solver::HypergradientOf;
use clap::ValueEnum;

use crate::common::digits::accuracy;
use crate::common::outer::minimize_from;
use crate::common::random::Random;

/// A network whose training is learned: how long each step is, how much momentum each layer has, and how much each weight is held back.
#[bilevel]
pub mod learned_schedule {
    use super::*;

    /// Two layers of weights.
    #[derive(Params, Clone, Debug)]
    pub struct Network {
        pub hidden: Array2<f64>,
        pub hidden_bias: Array1<f64>,
        pub out: Array2<f64>,
        pub out_bias: Array1<f64>,
    }

    pub fn logits(net: &Network, x: &Array2<f64>) -> Array2<f64> {
        (x.dot(&net.hidden) + &net.hidden_bias).tanh().dot(&net.out) + &net.out_bias
    }

    /// Training loss, with a penalty on every weight.
    #[inner(minimize = net)]
    pub fn train(net: &Network, log_l2: &Network, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        let hidden = (log_l2.hidden.exp() * &net.hidden * &net.hidden).sum()
            + (log_l2.hidden_bias.exp() * &net.hidden_bias * &net.hidden_bias).sum();
        let out = (log_l2.out.exp() * &net.out * &net.out).sum() + (log_l2.out_bias.exp() * &net.out_bias * &net.out_bias).sum();
        cross_entropy(&logits(net, x), y) + 0.5 * (hidden + out)
    }

    /// Validation loss. The rates and the momentum are the optimiser's alone.
    #[outer(minimize = log_l2, optimizer(log_rate: Array1<f64>, momentum: Array1<f64>))]
    pub fn validate(net: &Network, x_val: &Array2<f64>, y_val: &Array1<usize>) -> f64 {
        cross_entropy(&logits(net, x_val), y_val)
    }
}

pub(crate) use learned_schedule::{Network, Problem};

/// Log-penalties, logarithms of the rate of every step, and the momentum of every layer's weights and biases before the sigmoid.
pub(crate) type Schedule = (Network, Array1<f64>, Array1<f64>);

/// A network with random weights of variance `1 / inputs`, and biases of zero; another for every number of a stream.
pub(crate) fn fresh(n_hidden: usize, seed: u64, stream: &str, number: usize) -> Network {
    let mut random = Random::new(seed, &format!("{stream} {number}"));
    let mut layer =
        |inputs: usize, outputs: usize| Array2::from_shape_simple_fn((inputs, outputs), || random.normal() / (inputs as f64).sqrt());
    Network { hidden: layer(64, n_hidden), hidden_bias: Array1::zeros(n_hidden), out: layer(n_hidden, 10), out_bias: Array1::zeros(10) }
}

/// The same rate at all steps, momentum of 0.9 and small penalties.
pub(crate) fn constant(net: &Network, n_steps: usize, rate: f64) -> Schedule {
    let log_l2 = net.with_elements(&vec![-10.0; net.n_elements()]);
    (log_l2, Array1::from_elem(n_steps, rate.ln()), Array1::from_elem(4, (0.9_f64 / 0.1).ln()))
}

/// A way to the hypergradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// Reverse mode, all states kept
    Reverse,
    /// Reverse mode with about 2 √T states
    ReverseSqrt,
    /// Reverse mode with 10 states, the binomial schedule
    ReverseBinomial,
    /// Mixed mode, all states and gradients kept
    Mixed,
    /// Mixed mode with about 2 √T states and gradients
    MixedSqrt,
    /// Mixed mode with 10 states and gradients, the binomial schedule
    MixedBinomial,
}

impl Method {
    fn unrolled(self, n_steps: usize) -> Unrolled {
        let unrolled = match self {
            Method::Reverse => Unrolled::reverse(),
            Method::ReverseSqrt => Unrolled::reverse().checkpoints(Checkpoints::Sqrt),
            Method::ReverseBinomial => Unrolled::reverse().checkpoints(Checkpoints::Binomial(10)),
            Method::Mixed => Unrolled::mixed(),
            Method::MixedSqrt => Unrolled::mixed().checkpoints(Checkpoints::Sqrt),
            Method::MixedBinomial => Unrolled::mixed().checkpoints(Checkpoints::Binomial(10)),
        };
        unrolled.steps(n_steps)
    }
}

/// The optimiser of the inner run, with hyperparameters that are outer variables.
fn optimizer() -> Momentum {
    Momentum::new(Hyper::outer("log_rate").per_step().exp(), Hyper::outer("momentum").per_leaf().sigmoid())
}

/// The fastest of several hypergradients, and how many seconds it took. The one that comes first, and makes the workspace, does not count.
pub(crate) fn hypergradient<'p>(
    problem: &'p Problem<'p>,
    method: Method,
    schedule: &Schedule,
    start: &Network,
    n_repetitions: usize,
) -> Result<(HypergradientOf<Problem<'p>>, f64), bilevel::Error> {
    let mut solver = problem.solver(method.unrolled(schedule.1.len())).inner(optimizer());
    let mut h = solver.hypergradient(schedule, start)?;
    let mut seconds = f64::INFINITY;
    for _ in 0..n_repetitions {
        let began = Instant::now();
        h = solver.hypergradient(schedule, start)?;
        seconds = seconds.min(began.elapsed().as_secs_f64());
    }
    Ok((h, seconds))
}

/// Trains from `start`.
pub(crate) fn train<'p>(problem: &'p Problem<'p>, schedule: &Schedule, start: &Network) -> Result<Network, bilevel::Error> {
    Ok(problem.solver(Unrolled::mixed().steps(schedule.1.len())).inner(optimizer()).solve_inner(schedule, start)?.inner)
}

/// The share of images that a network tells right.
pub(crate) fn network_accuracy(net: &Network, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
    accuracy(&learned_schedule::logits(net, x), y)
}

/// Learns penalties, rates and momentum together. The training of each outer step begins at `start(step)`. Gives them with the validation loss of every step.
pub(crate) fn learn(
    problem: &Problem<'_>,
    method: Method,
    schedule: &Schedule,
    start: impl Fn(usize) -> Network,
    (n_steps, rate): (usize, f64),
    progress: impl FnMut(f64),
) -> Result<(Schedule, Vec<f64>), bilevel::Error> {
    let mut solver = problem.solver(method.unrolled(schedule.1.len())).inner(optimizer());
    minimize_from(&mut solver, schedule, start, (Adam::new(rate), n_steps), progress)
}
