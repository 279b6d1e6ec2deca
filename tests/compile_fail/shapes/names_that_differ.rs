use bilevel::prelude::*;

#[differentiable]
fn f(#[shape(n, d)] x: &Array2<f64>, #[shape(n)] w: &Array1<f64>) -> f64 {
    x.dot(w).sum()
}

fn main() {}
