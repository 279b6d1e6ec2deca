use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>, n: &Array1<usize>, y: f32) -> f64 {
    let a = x * n;
    a.sum() * y
}

fn main() {}
