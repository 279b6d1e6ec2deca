use bilevel::prelude::*;

#[differentiable]
fn f(x: &mut Array1<f64>) -> f64 {
    x[0] = 1.0;
    x.sum()
}

fn main() {}
