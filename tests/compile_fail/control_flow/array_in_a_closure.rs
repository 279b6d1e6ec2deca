use bilevel::prelude::*;

#[differentiable]
fn f(a: &Array1<f64>) -> f64 {
    a.mapv(|v| v * a.sum() + a[0]).sum() + a.mapv(|v| (v * a).sum()).sum()
}

fn main() {}
