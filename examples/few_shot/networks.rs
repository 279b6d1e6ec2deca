//! The two networks as problems without an outer variable: a task's support set is the inner loss, its query set the outer one.

use bilevel::meta::Task;
use bilevel::prelude::*;

use crate::common::random::Random;
use crate::episodes::{Episode, PIXELS, SIDE};

/// Four blocks of convolution (3 × 3, stride 2), normalisation by the statistics of the batch and `relu`, then a linear layer.
#[allow(unreachable_pub, reason = "the struct is public as `Problem` is")]
#[bilevel]
pub(crate) mod convolutions {
    use super::*;

    /// Kernels, scale and shift of a block.
    #[derive(Params, Clone, Debug)]
    pub struct Block {
        pub kernels: Array4<f32>,
        pub gamma: Array1<f32>,
        pub beta: Array1<f32>,
    }

    #[derive(Params, Clone, Debug)]
    pub struct Net {
        pub blocks: (Block, Block, Block, Block),
        pub head: Array2<f32>,
        pub bias: Array1<f32>,
    }

    pub fn block(block: &Block, x: &Array4<f32>) -> Array4<f32> {
        batch_norm(&conv2d(x, &block.kernels, 2, 1), &block.gamma, &block.beta, 1e-3).relu()
    }

    /// Scores of the classes for images of 28 × 28 pixels, one a row.
    pub fn logits(net: &Net, x: &Array2<f32>) -> Array2<f32> {
        let n = x.nrows();
        let images = x.to_shape((n, 1, 28, 28)).unwrap().to_owned();
        let y = block(&net.blocks.0, &images);
        let y = block(&net.blocks.1, &y);
        let y = block(&net.blocks.2, &y);
        let y = block(&net.blocks.3, &y);
        let features = y.into_shape_with_order((n, net.head.nrows())).unwrap();
        features.dot(&net.head) + &net.bias
    }

    #[inner(minimize = net)]
    pub fn support(net: &Net, x: &Array2<f32>, y: &Array1<usize>) -> f32 {
        cross_entropy(&logits(net, x), y)
    }

    #[outer]
    pub fn query(net: &Net, x_query: &Array2<f32>, y_query: &Array1<usize>) -> f32 {
        cross_entropy(&logits(net, x_query), y_query)
    }
}

/// 784 - 256 - 64 - classes, with normalisation by the statistics of the batch and `relu` between the layers.
#[allow(unreachable_pub, reason = "the struct is public as `Problem` is")]
#[bilevel]
pub(crate) mod dense {
    use super::*;

    /// Weights, scale and shift of a layer.
    #[derive(Params, Clone, Debug)]
    pub struct Layer {
        pub weights: Array2<f32>,
        pub gamma: Array1<f32>,
        pub beta: Array1<f32>,
    }

    #[derive(Params, Clone, Debug)]
    pub struct Net {
        pub layers: (Layer, Layer),
        pub head: Array2<f32>,
        pub bias: Array1<f32>,
    }

    pub fn layer(layer: &Layer, x: &Array2<f32>) -> Array2<f32> {
        batch_norm(&x.dot(&layer.weights), &layer.gamma, &layer.beta, 1e-3).relu()
    }

    /// Scores of the classes for images of 28 × 28 pixels, one a row.
    pub fn logits(net: &Net, x: &Array2<f32>) -> Array2<f32> {
        layer(&net.layers.1, &layer(&net.layers.0, x)).dot(&net.head) + &net.bias
    }

    #[inner(minimize = net)]
    pub fn support(net: &Net, x: &Array2<f32>, y: &Array1<usize>) -> f32 {
        cross_entropy(&logits(net, x), y)
    }

    #[outer]
    pub fn query(net: &Net, x_query: &Array2<f32>, y_query: &Array1<usize>) -> f32 {
        cross_entropy(&logits(net, x_query), y_query)
    }
}

/// A network that learns tasks.
pub(crate) trait Network: Params<Float = f32> + Send + Sync {
    /// An episode as a problem.
    type Problem<'a>: Task<Float = f32, Inner = Self>;

    /// Weights by He et al. (2015), normally distributed with the variance `2 / fan_in`; scales one; shifts and the last layer zero.
    fn start(random: &mut Random, ways: usize, filters: usize) -> Self;

    fn problem(episode: &Episode) -> Self::Problem<'_>;

    fn logits(&self, x: &Array2<f32>) -> Array2<f32>;
}

impl Network for convolutions::Net {
    type Problem<'a> = convolutions::Problem<'a>;

    fn start(random: &mut Random, ways: usize, filters: usize) -> Self {
        let mut block = |channels: usize| {
            let scale = (2.0 / (9 * channels) as f64).sqrt();
            convolutions::Block {
                kernels: Array4::from_shape_simple_fn((filters, channels, 3, 3), || (scale * random.normal()) as f32),
                gamma: Array1::ones(filters),
                beta: Array1::zeros(filters),
            }
        };
        let blocks = (block(1), block(filters), block(filters), block(filters));
        // 28 pixels, halved four times and rounded up, are 2.
        let n_features = filters * (0..4).fold(SIDE, |side, _| side.div_ceil(2)).pow(2);
        convolutions::Net { blocks, head: Array2::zeros((n_features, ways)), bias: Array1::zeros(ways) }
    }

    fn problem(episode: &Episode) -> convolutions::Problem<'_> {
        let Episode { support, query } = episode;
        convolutions::Problem { x: &support.images, y: &support.labels, x_query: &query.images, y_query: &query.labels }
    }

    fn logits(&self, x: &Array2<f32>) -> Array2<f32> {
        convolutions::logits(self, x)
    }
}

impl Network for dense::Net {
    type Problem<'a> = dense::Problem<'a>;

    fn start(random: &mut Random, ways: usize, _filters: usize) -> Self {
        let mut layer = |rows: usize, columns: usize| {
            let scale = (2.0 / rows as f64).sqrt();
            dense::Layer {
                weights: Array2::from_shape_simple_fn((rows, columns), || (scale * random.normal()) as f32),
                gamma: Array1::ones(columns),
                beta: Array1::zeros(columns),
            }
        };
        let layers = (layer(PIXELS, 256), layer(256, 64));
        dense::Net { layers, head: Array2::zeros((64, ways)), bias: Array1::zeros(ways) }
    }

    fn problem(episode: &Episode) -> dense::Problem<'_> {
        let Episode { support, query } = episode;
        dense::Problem { x: &support.images, y: &support.labels, x_query: &query.images, y_query: &query.labels }
    }

    fn logits(&self, x: &Array2<f32>) -> Array2<f32> {
        dense::logits(self, x)
    }
}
