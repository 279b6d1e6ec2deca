use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    let mut total = 0.0;
    for v in x.iter().chain(x.iter()) {
        total += v * v;
    }
    let mut y = x.clone();
    for (k, v) in y.iter_mut().rev().enumerate() {
        *v += k as f64;
    }
    total
}

fn main() {}
