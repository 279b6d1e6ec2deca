use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    let y = x.cbrt();
    let z = x.iter().sum::<f64>();
    y.sum() + z
}

fn main() {}
