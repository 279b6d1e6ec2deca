use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    let y: Array2<f64> = x.exp();
    y.sum()
}

fn main() {}
