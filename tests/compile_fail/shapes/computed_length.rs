use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>, n: usize) -> f64 {
    let scale = Array1::from_elem(n, 2.0);
    (x * &scale).sum()
}

fn main() {}
