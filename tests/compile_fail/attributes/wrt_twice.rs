use bilevel::prelude::*;

#[differentiable(wrt(a, a))]
fn f(a: f64) -> f64 {
    a
}

fn main() {}
