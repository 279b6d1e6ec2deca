use bilevel::prelude::*;

const SCALE: f64 = 2.0;

#[differentiable]
fn f(x: f64) -> f64 {
    SCALE * x
}

fn main() {}
