use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    let mut total = 0.0;
    'rows: for i in 0..x.len() {
        for j in 0..i {
            if x[i] < x[j] {
                continue 'rows;
            }
        }
        total += x[i];
    }
    let last = loop {
        total *= 0.5;
        if total < 1.0 {
            break total;
        }
    };
    loop {
        total += last;
    }
}

fn main() {}
