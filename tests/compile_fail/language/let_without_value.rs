use bilevel::prelude::*;

#[differentiable]
fn f(a: f64) -> f64 {
    let b: f64;
    b = a;
    b
}

fn main() {}
