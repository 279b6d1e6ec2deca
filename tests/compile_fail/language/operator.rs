use bilevel::prelude::*;

#[differentiable]
fn f(x: f64, n: usize) -> f64 {
    let k = n >> 1;
    x * (k ^ 1) as f64
}

fn main() {}
