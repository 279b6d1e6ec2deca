use bilevel::prelude::*;

fn elsewhere(x: f64) -> f64 {
    x * x
}

#[differentiable]
fn f(x: f64) -> f64 {
    elsewhere(x)
}

fn main() {}
