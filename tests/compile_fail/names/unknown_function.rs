use bilevel::prelude::*;

struct Special;

impl Special {
    fn gamma(x: f64) -> f64 {
        x * x
    }
}

#[differentiable]
fn f(x: f64) -> f64 {
    Special::gamma(x)
}

fn main() {}
