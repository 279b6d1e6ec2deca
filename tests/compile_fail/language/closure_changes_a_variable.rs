use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    let mut total = 0.0;
    let y = x.mapv(|v| {
        total += v;
        total
    });
    y.sum()
}

fn main() {}
