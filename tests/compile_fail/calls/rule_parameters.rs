use bilevel::prelude::*;

fn f(x: f64, n: usize) -> f64 {
    x * n as f64
}

#[derivative(of = f)]
fn rule(x: f64, n: usize, dx: f64) -> f64 {
    dx * n as f64
}

fn main() {}
