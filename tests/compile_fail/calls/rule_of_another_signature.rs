use bilevel::prelude::*;

fn f(x: f64) -> f64 {
    x
}

#[derivative(of = f)]
fn rule(x: &f64, x_dot: &f64) -> f64 {
    x * x_dot
}

fn main() {}
