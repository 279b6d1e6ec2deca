use bilevel::prelude::*;

#[differentiable]
fn f(a: f64) -> f64
where
    f64: Copy,
{
    a
}

fn main() {}
