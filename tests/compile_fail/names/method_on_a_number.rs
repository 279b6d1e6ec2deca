use bilevel::prelude::*;

#[differentiable]
fn f(x: f64) -> f64 {
    x.sum() + x.dot(&x)
}

fn main() {}
