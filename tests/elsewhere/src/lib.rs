//! Differentiable functions that the tests call from another crate: public ones that stand on private ones, several levels deep.

use bilevel::prelude::*;

mod smooth {
    use bilevel::prelude::*;

    /// Where the quadratic part of [`huber`] ends.
    #[differentiable]
    const DELTA: f64 = 1.5;

    /// `x² / 2` near zero, linear far from it.
    #[differentiable]
    pub fn huber(x: f64) -> f64 {
        if x.abs() <= DELTA { 0.5 * x * x } else { DELTA * (x.abs() - 0.5 * DELTA) }
    }
}

/// Functions of layers.
pub mod layers {
    use bilevel::prelude::*;

    /// `tanh(x w + b)`.
    #[differentiable]
    pub fn dense(x: &Array2<f64>, w: &Array2<f64>, b: &Array1<f64>) -> Array2<f64> {
        affine(x, w, b).tanh()
    }

    #[differentiable]
    fn affine(x: &Array2<f64>, w: &Array2<f64>, b: &Array1<f64>) -> Array2<f64> {
        x.dot(w) + b
    }
}

pub use smooth::huber;

/// The mean Huber loss of two layers.
#[differentiable]
pub fn robust_loss(x: &Array2<f64>, w: &Array2<f64>, b: &Array1<f64>, v: &Array1<f64>, y: &Array1<f64>) -> f64 {
    let residuals = layers::dense(x, w, b).dot(v) - y;
    let mut total = 0.0;
    for i in 0..residuals.len() {
        total += huber(residuals[i]);
    }
    total / residuals.len() as f64
}

/// Weights of networks.
pub mod nets {
    use bilevel::prelude::*;

    pub use parts::Dense;

    mod parts {
        use bilevel::prelude::*;

        /// A layer, of which nobody else can name the module.
        #[derive(Clone, Debug, PartialEq, Params)]
        pub struct Dense {
            /// The weights.
            pub w: Array2<f64>,
            /// The bias.
            pub b: Array1<f64>,
        }
    }

    /// A network with one hidden layer.
    #[derive(Clone, Debug, PartialEq, Params)]
    pub struct Net {
        /// From the inputs.
        pub hidden: parts::Dense,
        /// To the outputs.
        pub last: Dense,
        /// How many samples it was trained on.
        pub n_seen: usize,
    }

    /// The outputs of a layer before its activation.
    #[differentiable]
    pub fn affine(layer: &Dense, x: &Array2<f64>) -> Array2<f64> {
        let Dense { w, b } = layer;
        x.dot(w) + b
    }
}

/// `x` to the power `n`, by repeated multiplication.
pub fn integer_power(x: f64, n: usize) -> f64 {
    (0..n).fold(1.0, |power, _| power * x)
}

/// The derivative of [`integer_power()`].
#[derivative(of = integer_power)]
pub fn integer_power_rule(x: f64, n: usize, x_dot: f64) -> f64 {
    if n == 0 { 0.0 * x_dot } else { n as f64 * integer_power(x, n - 1) * x_dot }
}

/// Twice the fifth power.
#[differentiable]
pub fn doubled_power(x: f64) -> f64 {
    2.0 * integer_power(x, 5)
}

/// Functions that are generic over their float type.
pub mod smoothness {
    use bilevel::prelude::*;

    /// `δ² (sqrt(1 + (x / δ)²) - 1)`.
    #[differentiable]
    pub fn pseudo_huber<F: Float>(x: F, delta: F) -> F {
        delta * delta * excess(x / delta)
    }

    #[differentiable]
    fn excess<T>(ratio: T) -> T
    where
        T: Float,
    {
        (T::one() + ratio * ratio).sqrt() - T::one()
    }

    /// The mean of the squares of second differences.
    #[differentiable]
    pub fn curvature<F: Float>(x: &Array1<F>) -> F {
        let mut total = F::zero();
        for i in 2..x.len() {
            let second = x[i] - F::from_f64(2.0) * x[i - 1] + x[i - 2];
            total += second * second;
        }
        total / F::from(x.len()).unwrap()
    }
}
