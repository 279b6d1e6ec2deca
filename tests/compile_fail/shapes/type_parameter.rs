use bilevel::prelude::*;

#[differentiable]
fn f<F: Float>(x: F, scale: f64) -> F {
    x * scale
}

fn main() {}
