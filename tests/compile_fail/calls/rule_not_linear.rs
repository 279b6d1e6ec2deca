use bilevel::prelude::*;

fn f(x: f64) -> f64 {
    x
}

#[derivative(of = f)]
fn clipped(x: f64, x_dot: f64) -> f64 {
    x_dot.clamp(-1.0, 1.0) * x
}

fn main() {}
