use bilevel::prelude::*;

#[differentiable]
fn f(x: &Array1<f64>) -> f64 {
    let mut state = Array1::zeros(x.len());
    for _ in 0..3 {
        state = state.insert_axis(Axis(0));
    }
    state.sum()
}

fn main() {}
