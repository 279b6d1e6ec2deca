use bilevel::prelude::*;

const WIDTH: usize = 3;

#[differentiable]
fn of_a_constant_elsewhere(x: &[f64; WIDTH]) -> f64 {
    x[0]
}

#[differentiable]
fn of_arrays(x: &[Array1<f64>; 2]) -> f64 {
    x[0].sum()
}

#[differentiable]
fn without_arithmetic(x: &[f64; 3]) -> f64 {
    x.sum() + (x * 2.0)[0]
}

#[differentiable]
fn other_length(x: f64) -> [f64; 3] {
    [x; 2]
}

#[differentiable]
fn length_from_nowhere<const N: usize>(x: f64) -> f64 {
    x * N as f64
}

fn main() {}
