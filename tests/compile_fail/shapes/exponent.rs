use bilevel::prelude::*;

#[differentiable]
fn f(x: f64, n: usize) -> f64 {
    x.powi(n as i32)
}

fn main() {}
