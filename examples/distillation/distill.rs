//! The problem, and how images are learned and judged.

use bilevel::prelude::*;
use clap::ValueEnum;

use crate::common::digits::accuracy;
use crate::common::outer::minimize_from;
use crate::common::random::Random;

/// A network that is trained on a few images, one of each class in their order; the images are learned.
#[bilevel]
pub mod distillation {
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

    /// Training loss, on the learned images.
    #[inner(minimize = net)]
    pub fn train(net: &Network, images: &Array2<f64>, labels: &Array1<usize>) -> f64 {
        cross_entropy(&logits(net, images), labels)
    }

    /// Loss on real images.
    #[outer(minimize = images)]
    pub fn validate(net: &Network, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        cross_entropy(&logits(net, x), y)
    }
}

pub(crate) use distillation::{Network, Problem};

/// A network with random weights of variance `1 / inputs`, and biases of zero; another for every number of a stream.
pub(crate) fn fresh(seed: u64, stream: &str, number: usize) -> Network {
    const N_HIDDEN: usize = 32;
    let mut random = Random::new(seed, &format!("{stream} {number}"));
    let mut layer =
        |inputs: usize, outputs: usize| Array2::from_shape_simple_fn((inputs, outputs), || random.normal() / (inputs as f64).sqrt());
    Network { hidden: layer(64, N_HIDDEN), hidden_bias: Array1::zeros(N_HIDDEN), out: layer(N_HIDDEN, 10), out_bias: Array1::zeros(10) }
}

/// A way to the hypergradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// Reverse mode
    Reverse,
    /// The optimiser in reverse, the inner gradient forward over reverse
    Mixed,
    /// Mixed mode through the last third of the steps
    Truncated,
}

/// How a network is trained on the images.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Training {
    pub(crate) n_steps: usize,
    pub(crate) rate: f64,
}

impl Training {
    fn unrolled(self, method: Method) -> Unrolled {
        let unrolled = match method {
            Method::Reverse => Unrolled::reverse(),
            Method::Mixed => Unrolled::mixed(),
            Method::Truncated => Unrolled::truncated().last(self.n_steps.div_ceil(3)),
        };
        unrolled.steps(self.n_steps)
    }

    /// A network trained on these images.
    pub(crate) fn train(self, problem: &Problem<'_>, images: &Array2<f64>, start: &Network) -> Result<Network, bilevel::Error> {
        let mut solver = problem.solver(self.unrolled(Method::Mixed)).inner(Momentum::new(self.rate, 0.9));
        Ok(solver.solve_inner(images, start)?.inner)
    }

    /// Mean and standard deviation of the test accuracy of networks that are trained on these images from so many fresh starts.
    pub(crate) fn test_accuracy(
        self,
        problem: &Problem<'_>,
        images: &Array2<f64>,
        (x, y): (&Array2<f64>, &Array1<usize>),
        starts: impl IntoIterator<Item = Network>,
    ) -> Result<(f64, f64), bilevel::Error> {
        let accuracies: Result<Array1<f64>, bilevel::Error> =
            starts.into_iter().map(|start| Ok(accuracy(&distillation::logits(&self.train(problem, images, &start)?, x), y))).collect();
        let accuracies = accuracies?;
        Ok((accuracies.mean().unwrap_or(f64::NAN), accuracies.std(0.0)))
    }
}

/// Learns images from `images`, the network of each outer step starting at `start(step)`. Gives them with the loss on real images of every step.
pub(crate) fn distill(
    problem: &Problem<'_>,
    (method, training): (Method, Training),
    images: &Array2<f64>,
    start: impl Fn(usize) -> Network,
    (n_steps, rate): (usize, f64),
    progress: impl FnMut(f64),
) -> Result<(Array2<f64>, Vec<f64>), bilevel::Error> {
    let mut solver = problem.solver(training.unrolled(method)).inner(Momentum::new(training.rate, 0.9));
    minimize_from(&mut solver, images, start, (Adam::new(rate), n_steps), progress)
}

/// One image of each class, chosen at random.
pub(crate) fn real_images(x: &Array2<f64>, y: &Array1<usize>, random: &mut Random) -> Array2<f64> {
    let positions: Vec<usize> = (0..10)
        .map(|class| {
            let of_class: Vec<usize> = (0..y.len()).filter(|&i| y[i] == class).collect();
            of_class[random.below(of_class.len())]
        })
        .collect();
    x.select(Axis(0), &positions)
}

/// The mean of all images of each class.
pub(crate) fn mean_images(x: &Array2<f64>, y: &Array1<usize>) -> Array2<f64> {
    let mut sums = Array2::zeros((10, x.ncols()));
    let mut counts = Array1::<f64>::zeros(10);
    for (row, &class) in x.rows().into_iter().zip(y) {
        sums.row_mut(class).scaled_add(1.0, &row);
        counts[class] += 1.0;
    }
    sums / counts.insert_axis(Axis(1))
}
