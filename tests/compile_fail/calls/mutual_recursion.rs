use bilevel::prelude::*;

#[differentiable]
fn even(x: f64) -> f64 {
    odd(x - 1.0)
}

#[differentiable]
fn odd(x: f64) -> f64 {
    even(x - 1.0)
}

fn main() {}
