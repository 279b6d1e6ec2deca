use bilevel::prelude::*;

mod other {
    pub trait Float: Copy {}
}

/// The bound is not this crate's.
#[differentiable]
fn f<F: other::Float>(x: F) -> F {
    x
}

fn main() {}
