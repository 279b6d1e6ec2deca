use bilevel::prelude::*;

#[differentiable]
fn f(a: &Array2<f64>, k: usize) -> f64 {
    a.mean_axis(Axis(k)).unwrap().sum()
}

fn main() {}
