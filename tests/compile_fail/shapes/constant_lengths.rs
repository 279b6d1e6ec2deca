use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    let a = Array1::<f64>::ones(3) * x;
    let b = Array1::<f64>::ones(4) * x;
    a.sum() + b.sum()
}

fn main() {}
