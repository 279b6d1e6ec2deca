use bilevel::prelude::*;

#[differentiable]
fn f(x: f64, k: usize) -> f64 {
    let values = if x > 1.0 { Array1::from_elem(k % 3, x) } else { Array1::from_elem(k % 2, x) };
    values.sum()
}

fn main() {}
