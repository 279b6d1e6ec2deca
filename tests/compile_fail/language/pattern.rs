use bilevel::prelude::*;

#[differentiable]
fn f(a: f64) -> f64 {
    let x @ _y = a;
    x
}

fn main() {}
