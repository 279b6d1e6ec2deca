use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    let mut total = 0.0;
    for pair in x.windows(2) {
        total += pair[0] * pair[1];
    }
    for (k, v) in x.iter().rev().enumerate() {
        total += v * k as f64;
    }
    total
}

fn main() {}
