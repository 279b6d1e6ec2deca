use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    let mut total = 0.0;
    for i in 0..x.len() {
        if x[i] < 0.0 {
            continue;
        }
        if x[i] > 9.0 {
            break;
        }
        total += x[i];
    }
    total
}

fn main() {}
