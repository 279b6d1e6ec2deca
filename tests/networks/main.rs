//! The crate's functions for networks through the real macro: emitted code against the evaluator, differences and closed forms.

#![allow(clippy::type_complexity, clippy::op_ref, reason = "the spellings are what is tested")]

#[path = "../common/mod.rs"]
mod common;
#[macro_use]
#[path = "../common/harness.rs"]
mod harness;

mod windows;

use bilevel::prelude::*;
use common::{Argument, Outcome, matrix, vector};
use ndarray::{Array3, Array4};

fn cube(n: usize, m: usize, k: usize) -> Array3<f64> {
    Array3::from_shape_fn((n, m, k), |(a, b, c)| (1.3 * a as f64 - 0.7 * b as f64 + 0.9 * c as f64 + 0.2).sin())
}

fn images(n: usize, c: usize, h: usize, w: usize) -> Array4<f64> {
    Array4::from_shape_fn((n, c, h, w), |(a, b, i, j)| (1.1 * a as f64 + 0.4 * b as f64 - 0.6 * i as f64 + 1.7 * (i * j) as f64).cos())
}

agree! {
    log_of_softmax: (&matrix(3, 4)), (&matrix(3, 4).sin()), &matrix(3, 4).cos(), 1e-13, {
        fn f(x: &Array2<f64>) -> Array2<f64> { log_softmax(x) }
    }
    #[scalar]
    layers: (&matrix(3, 4), &vector(4).exp(), &vector(4)), (&matrix(3, 4).cos(), &vector(4).sin(), &vector(4).exp()), 0.7, 1e-12, {
        fn f(x: &Array2<f64>, gamma: &Array1<f64>, beta: &Array1<f64>) -> f64 { layer_norm(x, gamma, beta, 1e-3).sin().sum() }
    }
    layers_of_sequences: (&cube(2, 3, 4), &vector(4).exp(), &vector(4)), (&cube(2, 3, 4).cos(), &vector(4).sin(), &vector(4).exp()), &cube(2, 3, 4), 1e-12, {
        fn f(x: &Array3<f64>, gamma: &Array1<f64>, beta: &Array1<f64>) -> Array3<f64> { layer_norm(x, gamma, beta, 1e-3) }
    }
    #[scalar]
    batches_of_vectors: (&matrix(5, 3), &vector(3).exp(), &vector(3), 1e-3), (&matrix(5, 3).cos(), &vector(3).sin(), &vector(3).exp(), 0.2), 0.7, 1e-12, {
        fn f(x: &Array2<f64>, gamma: &Array1<f64>, beta: &Array1<f64>, eps: f64) -> f64 { batch_norm(x, gamma, beta, eps).tanh().sum() }
    }
    batches_of_images: (&images(2, 3, 2, 4), &vector(3).exp(), &vector(3)), (&images(2, 3, 2, 4).sin(), &vector(3).sin(), &vector(3).exp()), &images(2, 3, 2, 4).exp(), 1e-12, {
        fn f(x: &Array4<f64>, gamma: &Array1<f64>, beta: &Array1<f64>) -> Array4<f64> { batch_norm(x, gamma, beta, 1e-3) }
    }
    #[scalar]
    embedded_words: (&matrix(4, 3), &array![2_usize, 0, 2, 1, 2]), (&matrix(4, 3).cos()), 0.3, 1e-13, {
        fn f(table: &Array2<f64>, ids: &Array1<usize>) -> f64 { embedding(table, ids).exp().sum() }
    }
    #[scalar]
    attended: (&matrix(3, 2), &matrix(4, 2).sin(), &matrix(4, 5).cos()), (&matrix(3, 2).exp(), &matrix(4, 2), &matrix(4, 5)), -0.8, 1e-12, {
        fn f(q: &Array2<f64>, k: &Array2<f64>, v: &Array2<f64>) -> f64 { attention(q, k, v).sin().sum() }
    }
    attended_by_heads: (&images(2, 2, 3, 4), &images(2, 2, 5, 4).sin(), &images(2, 2, 5, 3).cos()), (&images(2, 2, 3, 4).exp(), &images(2, 2, 5, 4), &images(2, 2, 5, 3)), &images(2, 2, 3, 3), 1e-12, {
        fn f(q: &Array4<f64>, k: &Array4<f64>, v: &Array4<f64>) -> Array4<f64> { attention(q, k, v) }
    }
    #[scalar]
    attended_backwards_only: (&cube(2, 3, 4), &cube(2, 3, 4).sin(), &cube(2, 3, 4).cos()), (&cube(2, 3, 4).exp(), &cube(2, 3, 4), &cube(2, 3, 4)), 0.4, 1e-12, {
        fn f(q: &Array3<f64>, k: &Array3<f64>, v: &Array3<f64>) -> f64 { causal_attention(q, k, v).sin().sum() }
    }
    attended_through_a_mask: (&cube(2, 3, 4), &cube(2, 2, 4).sin(), &cube(2, 2, 4).cos(), &array![[1_usize, 0], [1, 1], [0, 1]]), (&cube(2, 3, 4).exp(), &cube(2, 2, 4), &cube(2, 2, 4)), &cube(2, 3, 4), 1e-12, {
        fn f(q: &Array3<f64>, k: &Array3<f64>, v: &Array3<f64>, seen: &Array2<usize>) -> Array3<f64> {
            masked_attention(q, k, v, &seen.mapv(|n| n > 0))
        }
    }
    #[scalar]
    classes_as_rows: (&matrix(4, 3), &array![2_usize, 0, 2, 1]), (&matrix(4, 3).cos()), 0.7, 1e-13, {
        fn f(x: &Array2<f64>, y: &Array1<usize>) -> f64 {
            let target: Array2<f64> = one_hot(y, x.ncols());
            -(log_softmax(x) * target).sum()
        }
    }
    single_precision: (&matrix(3, 4).mapv(|x| x as f32), &vector(4).mapv(|x| x as f32)), (&matrix(3, 4).mapv(|x| x as f32), &vector(4).mapv(|x| x as f32)), &matrix(3, 4).mapv(|x| x as f32), 2e-5, {
        fn f(x: &Array2<f32>, g: &Array1<f32>) -> Array2<f32> { attention(&layer_norm(x, g, g, 1e-3), x, x) }
    }
}

#[differentiable]
fn weighted(x: &Array2<f64>, gamma: &Array1<f64>, beta: &Array1<f64>, weights: &Array2<f64>) -> f64 {
    (batch_norm(x, gamma, beta, 1e-3) * weights).sum()
}

/// The gradient of batch normalisation as textbooks have it.
#[test]
fn the_gradient_of_batch_norm_in_closed_form() {
    let (x, gamma, beta, y_bar) = (matrix(6, 3).sin(), vector(3).exp(), vector(3), matrix(6, 3).cos());
    let (x_bar, gamma_bar, beta_bar, _) = weighted::grad(&x, &gamma, &beta, &y_bar);
    let n = 6.0;
    let mean = x.mean_axis(Axis(0)).unwrap();
    let variance = (&x - &mean).pow2().mean_axis(Axis(0)).unwrap();
    let scale = (variance + 1e-3).sqrt().recip();
    let normal = (&x - &mean) * &scale;
    let sums = y_bar.sum_axis(Axis(0));
    let products = (&y_bar * &normal).sum_axis(Axis(0));
    let expected = (&gamma * &scale) * (&y_bar - &sums / n - &normal * (&products / n));
    let worst = |a: &Array2<f64>, b: &Array2<f64>| (a - b).abs().into_iter().fold(0.0, f64::max);
    assert!(worst(&x_bar, &expected) < 1e-13);
    assert!((&gamma_bar - &products).abs().sum() < 1e-13);
    assert!((&beta_bar - &sums).abs().sum() < 1e-13);
}

/// Two layers of normalisation with attention between them, on one sequence.
#[differentiable(batched(x), hessian)]
fn block(x: &Array2<f64>, gamma: &Array1<f64>, beta: &Array1<f64>) -> f64 {
    let y = layer_norm(x, gamma, beta, 1e-3);
    let z = attention(&y, x, &y) + causal_attention(x, &y, x);
    (log_softmax(&batch_norm(&z, beta, gamma, 1e-2)) * x).sum()
}

#[test]
fn batches_are_loops() {
    let (xs, gamma, beta) = (cube(3, 4, 2), vector(2).exp(), vector(2));
    let together = block::batched(&xs, &gamma, &beta);
    let (x_bars, gamma_bars, beta_bars) = block::batched_grad(&xs, &gamma, &beta);
    for (k, x) in xs.outer_iter().enumerate() {
        let x = x.to_owned();
        let (value, (x_bar, gamma_bar, beta_bar)) = block::value_and_grad(&x, &gamma, &beta);
        assert!((value - block(&x, &gamma, &beta)).abs() < 1e-12 && (value - together[k]).abs() < 1e-12);
        let off = (x_bar - x_bars.index_axis(Axis(0), k)).abs().sum()
            + (gamma_bar - gamma_bars.row(k)).abs().sum()
            + (beta_bar - beta_bars.row(k)).abs().sum();
        assert!(off < 1e-11, "example {k} is off by {off}");
    }
}

#[test]
fn hessians_are_the_derivatives_of_gradients() {
    let (x, gamma, beta) = (matrix(4, 2).sin(), vector(2).exp(), vector(2));
    let ((xx, xg, _), (gx, gg, _), _) = block::hessian(&x, &gamma, &beta);
    let step = 1e-6;
    for (row, column) in ndarray::indices((4, 2)) {
        let moved = |sign: f64| {
            let mut x = x.clone();
            x[[row, column]] += sign * step;
            block::grad(&x, &gamma, &beta)
        };
        let (ahead, behind) = (moved(1.0), moved(-1.0));
        let of_x = (ahead.0 - behind.0) / (2.0 * step);
        let of_gamma = (ahead.1 - behind.1) / (2.0 * step);
        let off_x = (&of_x - &xx.slice(s![row, column, .., ..])).abs().into_iter().fold(0.0, f64::max);
        let off_gamma = (&of_gamma - &xg.slice(s![row, column, ..])).abs().sum() + (&of_gamma - &gx.slice(s![.., row, column])).abs().sum();
        assert!(off_x < 1e-6 && off_gamma < 1e-6, "{off_x} and {off_gamma} at {row}, {column}");
    }
    let mirrored = xx.view().permuted_axes([2, 3, 0, 1]);
    assert!(xx == mirrored && gg == gg.t());
}

/// No rows, no columns and no positions give what the plain functions give, and derivatives of their shapes.
#[test]
fn nothing_to_compute() {
    #[differentiable]
    fn f(x: &Array2<f64>, g: &Array1<f64>, ids: &Array1<usize>) -> f64 {
        let y = layer_norm(x, g, g, 1e-3);
        embedding(&attention(&y, x, x), ids).sum() + log_softmax(&causal_attention(&y, &y, x)).sum()
    }
    let (x, g, none) = (Array2::<f64>::zeros((0, 3)), vector(3), Array1::<usize>::zeros(0));
    let (value, (x_bar, g_bar)) = f::value_and_grad(&x, &g, &none);
    assert_eq!((value, f(&x, &g, &none)), (0.0, 0.0));
    assert_eq!((x_bar.dim(), g_bar), ((0, 3), Array1::zeros(3)));
    let (x, g) = (Array2::<f64>::zeros((3, 0)), Array1::<f64>::zeros(0));
    let (value, (x_bar, g_bar)) = f::value_and_grad(&x, &g, &none);
    assert_eq!((value, f(&x, &g, &none)), (0.0, 0.0));
    assert_eq!((x_bar.dim(), g_bar.len()), ((3, 0), 0));
}

#[test]
#[should_panic(expected = "`weighted`: axis 1 of `x` (shape [4, 3]) has length 3, but axis 0 of `gamma` (shape [2]) has length 2")]
fn lengths_that_do_not_fit_are_named() {
    let _ = weighted::grad(&matrix(4, 3), &vector(2), &vector(3), &matrix(4, 3));
}

#[test]
#[should_panic(expected = "a label in `one_hot(y, 3)` is not below the number of classes")]
fn labels_are_checked() {
    #[differentiable]
    fn f(x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        let target: Array2<f64> = one_hot(y, 3);
        (x * target).sum()
    }
    let _ = f::grad(&matrix(2, 3), &array![0, 3]);
}

#[test]
#[should_panic(expected = "the mask `mask` in `masked_attention(x, x, x, mask)` lets a query see nothing")]
fn masks_are_checked() {
    #[differentiable]
    fn f(x: &Array2<f64>, mask: &Array2<bool>) -> f64 {
        masked_attention(x, x, x, mask).sum()
    }
    let _ = f::grad(&matrix(2, 3), &array![[true, true], [false, false]]);
}
