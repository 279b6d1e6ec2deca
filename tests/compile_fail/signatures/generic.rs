use bilevel::prelude::*;

#[differentiable]
fn nothing_said<T>(x: T) -> T {
    x
}

#[differentiable]
fn another_bound<T: std::fmt::Debug>(x: &Array1<T>, s: f64) -> f64 {
    s
}

#[differentiable]
fn in_no_parameter<F: Float>(s: f64) -> f64 {
    s
}

#[differentiable]
fn literals<F: Float>(x: F) -> F {
    x * 0.5 + 2
}

#[differentiable]
fn casts<F: Float>(x: F, n: usize) -> F {
    F::from_f64(x as f64) * (n as F)
}

fn main() {}
