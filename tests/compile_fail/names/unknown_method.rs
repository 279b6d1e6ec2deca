use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    let y = x.partition(2, Axis(0));
    let z = x.iter().filter(|v| **v > 0.0).skip(1).sum::<f64>();
    y.sum() + z
}

fn main() {}
