use bilevel::prelude::*;

#[differentiable]
fn f(a: f64) -> f64 {
    let _name = "a";
    a
}

fn main() {}
