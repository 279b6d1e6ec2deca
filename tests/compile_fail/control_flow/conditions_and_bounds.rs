use bilevel::prelude::*;

#[differentiable]
fn f(x: f64, n: usize) -> f64 {
    let mut y = x;
    while {
        y *= 0.5;
        y > 1.0
    } {
        y -= 0.1;
    }
    #[bound(n)]
    for _ in 0..n {
        y += x;
    }
    #[bound(x)]
    while y > 3.0 {
        y -= x;
    }
    y
}

fn main() {}
