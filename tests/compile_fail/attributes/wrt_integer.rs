use bilevel::prelude::*;

#[differentiable(wrt(n))]
fn f(a: f64, n: usize) -> f64 {
    a * n as f64
}

fn main() {}
