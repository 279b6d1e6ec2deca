use bilevel::prelude::*;

#[differentiable]
fn f(#[shape(n)] x: &Array1<f64>, y: &Array1<f64>, #[shape(m)] z: &Array1<f64>) -> f64 {
    let a = x * y;
    a.sum() + (y * z).sum()
}

fn main() {}
