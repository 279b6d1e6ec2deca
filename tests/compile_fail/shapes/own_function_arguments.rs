use bilevel::prelude::*;

#[differentiable]
fn f(z: &Array2<f64>, labels: &Array2<usize>, y: &Array1<f64>) -> f64 {
    cross_entropy(z, labels) + cross_entropy(z, y)
}

fn main() {}
