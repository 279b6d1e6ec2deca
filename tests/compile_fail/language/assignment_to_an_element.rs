use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array2<f64>) -> f64 {
    let mut y = x.clone();
    y.view_mut().reversed_axes().fill(1.0);
    y.row_mut(0).assign(x);
    y.sum()
}

fn main() {}
