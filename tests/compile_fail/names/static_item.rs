use bilevel::prelude::*;

static SCALE: f64 = 2.0;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    x.sum() * SCALE
}

fn main() {}
