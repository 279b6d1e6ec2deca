use bilevel::prelude::*;

#[differentiable]
fn f(#[shape(n, m)] x: &Array1<f64>) -> f64 {
    x.sum()
}

fn main() {}
