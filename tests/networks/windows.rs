//! Convolution and pooling.

use crate::common::{Argument, Outcome, vector};
use crate::images;
use bilevel::prelude::*;

fn kernels(o: usize, c: usize, p: usize, q: usize) -> Array4<f64> {
    images(o, c, p, q).mapv(|v| (3.0 * v).sin() + 0.1)
}

fn single(x: &Array4<f64>) -> Array4<f32> {
    x.mapv(|v| v as f32)
}

agree! {
    convolved: (&images(2, 3, 5, 6), &kernels(4, 3, 3, 2)), (&images(2, 3, 5, 6).sin(), &kernels(4, 3, 3, 2).cos()), &images(2, 4, 3, 5).exp(), 1e-12, {
        fn f(x: &Array4<f64>, k: &Array4<f64>) -> Array4<f64> { conv2d(x, k, 1, 0) }
    }
    convolved_with_steps: (&images(2, 3, 7, 6), &kernels(4, 3, 3, 3)), (&images(2, 3, 7, 6).sin(), &kernels(4, 3, 3, 3).cos()), &images(2, 4, 4, 3).exp(), 1e-12, {
        fn f(x: &Array4<f64>, k: &Array4<f64>) -> Array4<f64> { conv2d(x, k, 2, 1) }
    }
    convolved_in_every_way: (&images(2, 2, 7, 8), &kernels(3, 2, 3, 2)), (&images(2, 2, 7, 8).sin(), &kernels(3, 2, 3, 2).cos()), &images(2, 3, 3, 8).exp(), 1e-12, {
        fn f(x: &Array4<f64>, k: &Array4<f64>) -> Array4<f64> {
            const STEPS: usize = 2;
            dilated_conv2d(x, k, [STEPS, 1], 1, [2, 2]) * dilated_conv2d(x, &(k * 0.5), [STEPS, 1], [1, 1], 2)
        }
    }
    #[scalar]
    layers_of_convolution: (&images(2, 2, 8, 8), &kernels(5, 2, 3, 3), &kernels(3, 5, 3, 3), &vector(3)), (&images(2, 2, 8, 8).sin(), &kernels(5, 2, 3, 3).cos(), &kernels(3, 5, 3, 3).cos(), &vector(3).exp()), 0.7, 1e-11, {
        fn f(x: &Array4<f64>, k1: &Array4<f64>, k2: &Array4<f64>, b: &Array1<f64>) -> f64 {
            let y = conv2d(x, k1, 2, 1).tanh();
            let z = conv2d(&y, k2, 1, 1) + b.view().insert_axis(Axis(1)).insert_axis(Axis(2));
            (avg_pool2d(&z.sin(), [2, 2]) * max_pool2d(&z, 2)).sum()
        }
    }
    #[scalar]
    residual_blocks: (&images(2, 3, 5, 5), &kernels(3, 3, 3, 3)), (&images(2, 3, 5, 5).sin(), &kernels(3, 3, 3, 3).cos()), 0.7, 1e-11, {
        fn f(x: &Array4<f64>, k: &Array4<f64>) -> f64 {
            let mut y = x.clone();
            for _ in 0..2 {
                y = &y + &(conv2d(&y, k, 1, 1) * 0.1).sin();
            }
            (y * x).sum()
        }
    }
    largest_of_windows: (&images(2, 2, 5, 7)), (&images(2, 2, 5, 7).exp()), &images(2, 2, 2, 2), 1e-13, {
        fn f(x: &Array4<f64>) -> Array4<f64> { max_pool2d(x, [2, 3]) }
    }
    means_of_windows: (&images(2, 2, 5, 7)), (&images(2, 2, 5, 7).exp()), &images(2, 2, 2, 2), 1e-13, {
        fn f(x: &Array4<f64>) -> Array4<f64> { avg_pool2d(&(x * x), [2, 3]) }
    }
    in_single_precision: (&single(&images(2, 3, 8, 6)), &single(&kernels(20, 3, 3, 3))), (&single(&images(2, 3, 8, 6).sin()), &single(&kernels(20, 3, 3, 3).cos())), &single(&images(2, 20, 2, 2)), 2e-5, {
        fn f(x: &Array4<f32>, k: &Array4<f32>) -> Array4<f32> { max_pool2d(&conv2d(x, k, 2, [1, 2]).sin(), 2) }
    }
}

/// A convolution by four loops.
fn naive(x: &Array4<f64>, k: &Array4<f64>, step: usize, padding: usize) -> Array4<f64> {
    let ((n, c, h, w), (o, _, p, q)) = (x.dim(), k.dim());
    let size = |n: usize, len: usize| (n + 2 * padding - len) / step + 1;
    Array4::from_shape_fn((n, o, size(h, p), size(w, q)), |(n, o, i, j)| {
        let mut sum = 0.0;
        for (c, p, q) in ndarray::indices((c, p, q)) {
            let place = [n, c, (i * step + p).wrapping_sub(padding), (j * step + q).wrapping_sub(padding)];
            sum += x.get(place).copied().unwrap_or(0.0) * k[[o, c, p, q]];
        }
        sum
    })
}

#[differentiable(batched(x, k, y))]
fn overlap(x: &Array4<f64>, k: &Array4<f64>, y: &Array4<f64>) -> f64 {
    (conv2d(x, k, 2, 1) * y).sum()
}

/// The gradients of an inner product with a convolution are the inner products with what unit images and kernels give.
#[test]
fn gradients_against_loops() {
    let (x, k, y) = (images(2, 3, 6, 5), kernels(4, 3, 3, 3), images(2, 4, 3, 3).exp());
    assert!((conv2d(&x, &k, 2, 1) - naive(&x, &k, 2, 1)).iter().all(|off| off.abs() < 1e-13));
    let (x_bar, k_bar, y_bar) = overlap::grad(&x, &k, &y);
    assert!((y_bar - naive(&x, &k, 2, 1)).iter().all(|off| off.abs() < 1e-13));
    for (place, found) in x_bar.indexed_iter() {
        let mut unit = Array4::zeros(x.raw_dim());
        unit[place] = 1.0;
        assert!((found - (naive(&unit, &k, 2, 1) * &y).sum()).abs() < 1e-13, "{place:?}");
    }
    for (place, found) in k_bar.indexed_iter() {
        let mut unit = Array4::zeros(k.raw_dim());
        unit[place] = 1.0;
        assert!((found - (naive(&x, &unit, 2, 1) * &y).sum()).abs() < 1e-13, "{place:?}");
    }
}

/// Each example with kernels of its own.
#[test]
fn batches_are_loops() {
    let (n, rank) = (3, (2, 3, 6, 5));
    let many = |seed: f64, (a, b, c, d): (usize, usize, usize, usize)| {
        ndarray::Array5::from_shape_fn((n, a, b, c, d), |(e, a, b, c, d)| {
            (seed * (1 + e) as f64 + (a * 7 + b * 3 + c * 5 + d) as f64).sin()
        })
    };
    let (xs, ks, ys) = (many(0.3, rank), many(0.7, (4, 3, 3, 3)), many(1.1, (2, 4, 3, 3)));
    let values = overlap::batched(&xs, &ks, &ys);
    let (x_bars, k_bars, y_bars) = overlap::batched_grad(&xs, &ks, &ys);
    for e in 0..n {
        let at = |many: &ndarray::Array5<f64>| many.index_axis(Axis(0), e).to_owned();
        let (value, (x_bar, k_bar, y_bar)) = overlap::value_and_grad(&at(&xs), &at(&ks), &at(&ys));
        let off = (x_bar - at(&x_bars)).abs().sum() + (k_bar - at(&k_bars)).abs().sum() + (y_bar - at(&y_bars)).abs().sum();
        assert!((value - values[e]).abs() < 1e-12 && off < 1e-11, "example {e}: {off}");
    }
}

#[test]
#[should_panic(expected = "`overlap`: the windows of `conv2d(x, k, 2, 1)` have no elements or do not fit on the images with their padding")]
fn kernels_must_fit() {
    let _ = overlap::grad(&images(1, 2, 2, 6), &images(1, 2, 5, 2), &images(1, 1, 1, 1));
}

/// No images.
#[test]
fn nothing_to_compute() {
    let (x_bar, k_bar, y_bar) = overlap::grad(&images(0, 2, 4, 4), &kernels(3, 2, 3, 3), &images(0, 3, 2, 2));
    assert_eq!((x_bar.dim(), y_bar.dim()), ((0, 2, 4, 4), (0, 3, 2, 2)));
    assert_eq!(k_bar, Array4::zeros((3, 2, 3, 3)));
}

/// A small network: kernels are the inner variable, their penalty the outer one.
#[bilevel]
mod network {
    use super::*;

    #[inner(minimize(k, w))]
    pub(crate) fn train(k: &Array4<f64>, w: &Array2<f64>, log_l2: &f64, x: &Array4<f64>, y: &Array1<usize>) -> f64 {
        let hidden = avg_pool2d(&conv2d(x, k, 1, 1).tanh(), 2);
        let n = hidden.dim().0;
        let features = hidden.into_shape_with_order((n, w.nrows())).unwrap();
        cross_entropy(&features.dot(w), y) + log_l2.exp() * (k.pow2().sum() + w.pow2().sum())
    }

    #[outer(minimize = log_l2)]
    pub(crate) fn validate(k: &Array4<f64>, w: &Array2<f64>, x_val: &Array4<f64>, y_val: &Array1<usize>) -> f64 {
        let hidden = avg_pool2d(&conv2d(x_val, k, 1, 1).tanh(), 2);
        let n = hidden.dim().0;
        cross_entropy(&hidden.into_shape_with_order((n, w.nrows())).unwrap().dot(w), y_val)
    }
}

#[test]
fn a_problem_with_convolutions() {
    let (x, x_val) = (images(6, 1, 4, 4), images(5, 1, 4, 4).sin());
    let (y, y_val) = (array![0_usize, 1, 2, 0, 1, 2], array![0_usize, 0, 1, 2, 2]);
    let problem = network::Problem { x: &x, y: &y, x_val: &x_val, y_val: &y_val };
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-12)).inner(Lbfgs::default().tolerance(1e-10));
    let start = (kernels(2, 1, 3, 3), images(1, 1, 8, 3).into_shape_with_order((8, 3)).unwrap());
    let at = |solver: &mut _, log_l2: f64, start: &(Array4<f64>, Array2<f64>)| {
        let solver: &mut bilevel::solver::Solver<_, _, _> = solver;
        solver.hypergradient(&log_l2, start).unwrap()
    };
    let h = at(&mut solver, -2.0, &start);
    let step = 1e-4;
    let (ahead, behind) = (at(&mut solver, -2.0 + step, &h.inner).value, at(&mut solver, -2.0 - step, &h.inner).value);
    let expected = (ahead - behind) / (2.0 * step);
    assert!((h.gradient - expected).abs() < 1e-6 * expected.abs().max(1e-2), "{} instead of {expected}", h.gradient);
}
