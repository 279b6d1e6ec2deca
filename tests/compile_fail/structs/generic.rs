use bilevel::prelude::*;

#[derive(Clone, Params)]
struct Unbounded<T> {
    a: Array1<T>,
}

#[derive(Clone, Params)]
struct Sized<const N: usize> {
    a: [f64; N],
}

#[derive(Clone, Params)]
struct Layer<F: Float> {
    w: Array2<F>,
}

#[differentiable]
fn another_width(layer: &Layer<f32>, x: &Array1<f64>) -> Array1<f64> {
    layer.w.dot(x)
}

fn main() {}
