use bilevel::prelude::*;

#[differentiable]
fn f<T: bilevel::Float>(x: T) -> T {
    x
}

fn main() {}
