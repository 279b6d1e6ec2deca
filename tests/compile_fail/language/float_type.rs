use bilevel::prelude::*;

#[differentiable]
fn f(x: f32) -> f64 {
    let rate = 0.1;
    f64::from(x * rate) + rate as f64
}

fn main() {}
