use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array2<f64>) -> f64 {
    let mut row = x.row(0).to_owned();
    row += x;
    row.sum()
}

fn main() {}
