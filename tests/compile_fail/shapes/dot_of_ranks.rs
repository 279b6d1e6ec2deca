use bilevel::prelude::*;
use ndarray::Array3;

#[differentiable]
fn f(x: &Array2<f64>, t: &Array3<f64>) -> f64 {
    x.dot(t).sum()
}

fn main() {}
