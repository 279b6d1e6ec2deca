use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    println!("{x}");
    let y = array![1.0, 2.0];
    (x * &y).sum()
}

fn main() {}
