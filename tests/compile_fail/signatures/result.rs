use bilevel::prelude::*;

#[differentiable]
fn nothing(x: f64) {
    let _ = x;
}

#[differentiable]
fn whole(x: f64) -> usize {
    x as usize
}

#[differentiable]
fn borrowed(x: &Array1<f64>) -> &Array1<f64> {
    x
}

fn main() {}
