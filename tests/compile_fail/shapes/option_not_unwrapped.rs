use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array2<f64>) -> f64 {
    (x - x.mean_axis(Axis(0))).sum() * x.mean()
}

fn main() {}
