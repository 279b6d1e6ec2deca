use bilevel::prelude::*;

#[differentiable]
fn f(a: f64) -> f64 {
    let mut s = 0.0;
    for i in 0..3 {
        s += a * (i - 1) as f64;
    }
    s
}

fn main() {}
