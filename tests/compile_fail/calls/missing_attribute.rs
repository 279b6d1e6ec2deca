use bilevel::prelude::*;

mod layers {
    pub fn dense(x: f64) -> f64 {
        x * x
    }
}

#[differentiable]
fn f(x: f64) -> f64 {
    layers::dense(x)
}

fn main() {}
