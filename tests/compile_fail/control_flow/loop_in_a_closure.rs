use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    let y = x.mapv(|v| {
        let mut p = 1.0;
        for _ in 0..3 {
            p *= v;
        }
        p
    });
    y.sum()
}

fn main() {}
