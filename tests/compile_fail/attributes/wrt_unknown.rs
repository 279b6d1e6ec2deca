use bilevel::prelude::*;

#[differentiable(wrt(b))]
fn f(a: f64) -> f64 {
    a * a
}

fn main() {}
