use bilevel::prelude::*;

fn f(x: f64) -> f64 {
    x
}

#[derivative(of = f)]
fn clipped(_x: f64, y_bar: f64) -> f64 {
    y_bar.clamp(-1.0, 1.0)
}

#[differentiable]
fn g(x: f64) -> f64 {
    f(x) * x
}

fn main() {
    let _ = g::grad(1.0);
    let _ = g::hvp(1.0, 1.0);
}
