use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    let y = if x[0] > 0.0 { x.clone() } else { x.sum() };
    y.sum()
}

fn main() {}
