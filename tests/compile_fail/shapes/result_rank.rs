use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array2<f64>) -> f64 {
    x.sum_axis(Axis(0))
}

fn main() {}
