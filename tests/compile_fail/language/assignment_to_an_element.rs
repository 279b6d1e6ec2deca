use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    let mut y = x.clone();
    y[0] = 1.0;
    y.sum()
}

fn main() {}
