use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>, k: usize) -> f64 {
    x.sum_axis(Axis(1)).sum() + x.sum_axis(Axis(k)).sum()
}

fn main() {}
