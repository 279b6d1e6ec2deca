use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    if x > 0.0 { x.sum() } else { 0.0 }
}

fn main() {}
