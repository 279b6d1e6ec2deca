use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    let mut total = 0.0;
    for v in x {
        total += v;
    }
    total
}

fn main() {}
