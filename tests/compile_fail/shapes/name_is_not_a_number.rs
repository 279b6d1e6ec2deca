use bilevel::prelude::*;

#[differentiable]
fn f(#[shape(n)] x: &Array1<f64>) -> f64 {
    (x + &Array1::<f64>::ones(3)).sum()
}

fn main() {}
