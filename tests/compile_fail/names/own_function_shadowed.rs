use bilevel::prelude::*;

/// Not the mean but the sum: the macro must not take it for the crate's.
fn mse(a: &Array1<f64>, b: &Array1<f64>) -> f64 {
    (a - b).pow2().sum()
}

#[differentiable]
fn f(a: &Array1<f64>, b: &Array1<f64>) -> f64 {
    mse(a, b)
}

fn main() {}
