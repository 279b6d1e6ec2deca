use bilevel::prelude::*;

#[differentiable]
fn f(a: f64) -> f64 {
    #[cfg(not(test))]
    let a = 2.0 * a;
    a
}

fn main() {}
