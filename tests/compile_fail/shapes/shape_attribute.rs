use bilevel::prelude::*;

#[differentiable]
fn f(#[shape(n + 1)] x: &Array1<f64>) -> f64 {
    x.sum()
}

fn main() {}
