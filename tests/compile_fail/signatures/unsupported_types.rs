use bilevel::prelude::*;
use ndarray::ArrayD;

#[differentiable]
fn f(v: Vec<f64>, s: &[f64], n: i32, d: &ArrayD<f64>) -> f64 {
    v[0] + s[0] + d.sum() + f64::from(n)
}

fn main() {}
