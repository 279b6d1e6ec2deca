use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array2<f64>) -> f64 {
    let y = x.fold_axis(Axis(0), 1.0, |&p, &v| {
        let mut p = p;
        for _ in 0..3 {
            p *= v;
        }
        p
    });
    y.sum()
}

fn main() {}
