use bilevel::prelude::*;

#[differentiable]
fn f(a: f64) -> f64 {
    let mut k = 0;
    for _ in 0..3 {
        k += 1;
    }
    a * k as f64
}

fn main() {}
