//! Convolution: how fast it and its derivatives are in comparison to a matrix product of the same number of operations, and a network of four blocks of
//! convolution, batch normalisation and `relu` as few-shot learning has it. One thread, `f32`.
//!
//! Run it with `cargo bench --bench networks`.

use std::hint::black_box;
use std::time::Instant;

use bilevel::prelude::*;
use ndarray::Array;

#[differentiable]
fn overlap(x: &Array4<f32>, k: &Array4<f32>, y: &Array4<f32>) -> f32 {
    (conv2d(x, k, 1, 1) * y).sum()
}

#[differentiable(wrt(k))]
fn overlap_of_kernels(x: &Array4<f32>, k: &Array4<f32>, y: &Array4<f32>) -> f32 {
    (conv2d(x, k, 1, 1) * y).sum()
}

#[differentiable]
fn overlap_by_two(x: &Array4<f32>, k: &Array4<f32>, y: &Array4<f32>) -> f32 {
    (conv2d(x, k, 2, 1) * y).sum()
}

#[differentiable(wrt(k))]
fn overlap_of_kernels_by_two(x: &Array4<f32>, k: &Array4<f32>, y: &Array4<f32>) -> f32 {
    (conv2d(x, k, 2, 1) * y).sum()
}

/// Kernels, scales and shifts of four blocks, and the last layer.
#[derive(Params, Clone)]
pub struct Network {
    k1: Array4<f32>,
    k2: Array4<f32>,
    k3: Array4<f32>,
    k4: Array4<f32>,
    gamma: Array2<f32>,
    beta: Array2<f32>,
    w: Array2<f32>,
}

#[differentiable(wrt(net))]
fn loss(net: &Network, images: &Array4<f32>, labels: &Array1<usize>) -> f32 {
    let y = conv2d(images, &net.k1, 2, 1);
    let y = batch_norm(&y, &net.gamma.row(0), &net.beta.row(0), 1e-3).relu();
    let y = conv2d(&y, &net.k2, 2, 1);
    let y = batch_norm(&y, &net.gamma.row(1), &net.beta.row(1), 1e-3).relu();
    let y = conv2d(&y, &net.k3, 2, 1);
    let y = batch_norm(&y, &net.gamma.row(2), &net.beta.row(2), 1e-3).relu();
    let y = conv2d(&y, &net.k4, 2, 1);
    let y = batch_norm(&y, &net.gamma.row(3), &net.beta.row(3), 1e-3).relu();
    let n = y.dim().0;
    let features = y.into_shape_with_order((n, net.w.nrows())).unwrap();
    cross_entropy(&features.dot(&net.w), labels)
}

fn numbers<Sh: ndarray::ShapeBuilder>(shape: Sh) -> Array<f32, Sh::Dim> {
    let mut state = 1u64;
    Array::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0) as f32
    })
}

/// The shortest of many runs, in microseconds.
fn time<T>(mut run: impl FnMut() -> T) -> f64 {
    let mut shortest = f64::INFINITY;
    for _ in 0..40 {
        let start = Instant::now();
        black_box(run());
        shortest = shortest.min(start.elapsed().as_secs_f64() * 1e6);
    }
    shortest
}

fn report(what: &str, n_operations: f64, took: f64) {
    println!("{what:<52} {took:>10.1} µs {:>8.1} GFLOP/s", n_operations / took * 1e-3);
}

fn main() {
    for (n, c, h, o, stride) in [(25, 32, 14, 32, 1), (25, 32, 14, 32, 2), (25, 1, 28, 32, 2), (75, 32, 7, 32, 2)] {
        let out = (h - 1) / stride + 1;
        let (x, k, y) = (numbers((n, c, h, h)), 0.1 * numbers((o, c, 3, 3)), numbers((n, o, out, out)));
        let (a, b) = (numbers((o, 9 * c)), numbers((9 * c, n * out * out)));
        let n_operations = 2.0 * (a.len() * n * out * out) as f64;
        println!("{n} images of {c} × {h} × {h}, {o} kernels of 3 × 3, stride {stride}");
        report("  a matrix product with as many operations", n_operations, time(|| a.dot(&b)));
        report("  convolution", n_operations, time(|| conv2d(&x, &k, stride, 1)));
        if stride == 1 {
            report("  gradient by the kernels", n_operations, time(|| overlap_of_kernels::grad(&x, &k, &y)));
            report("  gradients by images, kernels and result", 3.0 * n_operations, time(|| overlap::grad(&x, &k, &y)));
        } else {
            report("  gradient by the kernels", n_operations, time(|| overlap_of_kernels_by_two::grad(&x, &k, &y)));
            report("  gradients by images, kernels and result", 3.0 * n_operations, time(|| overlap_by_two::grad(&x, &k, &y)));
        }
    }
    let kernels = |c: usize| 0.1 * numbers((32, c, 3, 3));
    let net = Network {
        k1: kernels(1),
        k2: kernels(32),
        k3: kernels(32),
        k4: kernels(32),
        gamma: Array2::ones((4, 32)),
        beta: Array2::zeros((4, 32)),
        w: 0.1 * numbers((128, 5)),
    };
    // Multiplications of one image in the four blocks and the last layer.
    let of_one = 9.0 * (196 * 32 + 49 * 1024 + 16 * 1024 + 4 * 1024) as f64 + 640.0;
    for n in [5, 25, 75] {
        let images = numbers((n, 1, 28, 28));
        let labels: Array1<usize> = (0..n).map(|k| k % 5).collect();
        let n_operations = 2.0 * of_one * n as f64;
        println!("four blocks of 32 kernels, {n} images of 28 × 28");
        report("  loss", n_operations, time(|| loss(&net, &images, &labels)));
        report("  gradient", 3.0 * n_operations, time(|| loss::grad(&net, &images, &labels)));
        report("  Hessian-vector product", 6.0 * n_operations, time(|| loss::hvp(&net, &images, &labels, &net)));
    }
}
