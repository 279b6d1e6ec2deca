use bilevel::prelude::*;

#[differentiable]
fn f(a: f64) -> f64 {
    a * (a as u8) as f64
}

fn main() {}
