use bilevel::prelude::*;

#[differentiable]
fn f(a: ArrayView1<'_, f64>) -> ArrayView1<'_, f64> {
    a
}

fn main() {}
