use bilevel::prelude::*;

#[differentiable]
fn square(x: f64) -> f64 {
    x * x
}

#[differentiable]
fn f(y: f64) -> f64 {
    grad!(square, x) * y
}

#[differentiable]
fn g(x: f64) -> f64 {
    grad!(square(x), y) + jvp!(square, x).0
}

#[differentiable]
fn h(x: f64) -> f64 {
    grad!(h, x)
}

fn main() {
    let x = 1.0;
    let _ = grad!(square, x);
}
