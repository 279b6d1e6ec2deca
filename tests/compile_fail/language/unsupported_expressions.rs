use bilevel::prelude::*;

#[differentiable]
fn f(x: f64, n: usize) -> f64 {
    let y = if let 0 = n { x } else { x * x };
    let z = [x, y];
    let _text = "sum";
    y + z[0]
}

fn main() {}
