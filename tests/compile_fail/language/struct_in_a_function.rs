use bilevel::prelude::*;

#[differentiable]
fn f(a: f64) -> f64 {
    #[allow(dead_code)]
    struct S;
    a
}

fn main() {}
