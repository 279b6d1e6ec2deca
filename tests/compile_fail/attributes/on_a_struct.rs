use bilevel::prelude::*;

#[differentiable]
struct Loss {
    value: f64,
}

fn main() {}
