use bilevel::prelude::*;

#[differentiable(hessian)]
fn of_an_array(a: &Array1<f64>) -> Array1<f64> {
    a.exp()
}

#[differentiable(jacobian)]
fn of_a_tuple(a: f64) -> (f64, f64) {
    (a, 2.0 * a)
}

#[differentiable(batched(x), jacobian)]
fn of_many_axes(a: &Array4<f64>) -> Array3<f64> {
    a.sum_axis(Axis(0))
}

fn main() {}
