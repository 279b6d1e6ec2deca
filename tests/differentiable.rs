//! `#[differentiable]` as users write it: every form of parameter, result and control flow, through the real macro, against differences and identities.

#![deny(warnings)]

use bilevel::prelude::*;

/// Central differences of a function of one number.
fn difference(f: impl Fn(f64) -> f64) -> f64 {
    let h = 1e-5;
    (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h)
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * (1.0 + expected.abs()), "found {found}, expected {expected}");
}

fn vector(n: usize) -> Array1<f64> {
    Array1::from_iter((0..n).map(|i| (1.7 * i as f64 + 0.3).sin()))
}

fn matrix(n: usize, m: usize) -> Array2<f64> {
    Array2::from_shape_fn((n, m), |(i, j)| (0.9 * i as f64 - 1.3 * j as f64 + 0.2).cos())
}

#[differentiable]
fn loss(w: &Array2<f64>, x: &Array2<f64>, y: &Array1<usize>, log_l2: f64) -> f64 {
    cross_entropy(&x.dot(w), y) + 0.5 * log_l2.exp() * (w * w).sum()
}

#[test]
fn gradient_and_hessian_of_a_training_loss() {
    let (w, x, y, l) = (matrix(3, 4), matrix(6, 3), array![0, 3, 1, 1, 2, 0], -0.7);
    let (w_dot, x_dot, l_dot) = (matrix(3, 4).sin(), matrix(6, 3).exp(), 0.4);
    let along = |t: f64| (&w + &(t * &w_dot), &x + &(t * &x_dot), l + t * l_dot);
    let (value, (w_bar, x_bar, l_bar)) = loss::value_and_grad(&w, &x, &y, l);
    close(value, loss(&w, &x, &y, l), 1e-14);
    let slope = (&w_bar * &w_dot).sum() + (&x_bar * &x_dot).sum() + l_bar * l_dot;
    let expected = difference(|t| {
        let (w, x, l) = along(t);
        loss(&w, &x, &y, l)
    });
    close(slope, expected, 1e-9);
    assert_eq!(loss::grad(&w, &x, &y, l), (w_bar, x_bar, l_bar));

    let (w_hvp, x_hvp, l_hvp) = loss::hvp(&w, &x, &y, l, &w_dot, &x_dot, l_dot);
    let at = |t: f64| {
        let (w, x, l) = along(t);
        loss::grad(&w, &x, &y, l)
    };
    close(w_hvp[[1, 2]], difference(|t| at(t).0[[1, 2]]), 1e-9);
    close(x_hvp[[5, 0]], difference(|t| at(t).1[[5, 0]]), 1e-9);
    close(l_hvp, difference(|t| at(t).2), 1e-9);
}

#[differentiable]
fn layer(w: &Array2<f64>, b: ArrayView1<'_, f64>, x: Array1<f64>, scale: &f64) -> Array1<f64> {
    (w.dot(&x) + b).tanh() * *scale
}

#[test]
fn forward_reverse_and_linearized_mode_agree() {
    let (w, b, x, s) = (matrix(4, 3), vector(4), vector(3), 1.7);
    let (w_dot, b_dot, x_dot, s_dot) = (matrix(4, 3).cos(), vector(4).cos(), vector(3).cos(), -0.3);
    let (y, y_dot) = layer::jvp(&w, b.view(), x.clone(), &s, &w_dot, b_dot.view(), x_dot.clone(), &s_dot);
    assert!((&y - &layer(&w, b.view(), x.clone(), &s)).abs().sum() < 1e-14);
    let y_bar = vector(4).exp();
    let (_, (w_bar, b_bar, x_bar, s_bar)) = layer::vjp(&w, b.view(), x.clone(), &s, &y_bar);
    let forward = y_dot.dot(&y_bar);
    close((&w_bar * &w_dot).sum() + b_bar.dot(&b_dot) + x_bar.dot(&x_dot) + s_bar * s_dot, forward, 1e-13);
    let linear = layer::linearize(&w, b.view(), x.clone(), &s);
    assert!((&linear(&w_dot, b_dot.view(), x_dot.clone(), &s_dot) - &y_dot).abs().sum() < 1e-14);
    assert!((&linear(&w_dot, b_dot.view(), x_dot, &s_dot) - &y_dot).abs().sum() < 1e-14, "it can be applied again");
}

#[differentiable(wrt(b))]
fn narrowed(a: f64, b: f64, n: usize) -> f64 {
    let mut p = 1.0;
    for _ in 0..n {
        p = p * b + a;
    }
    p
}

#[test]
fn one_argument_comes_bare() {
    close(narrowed::grad(0.5, 1.3, 4), difference(|t| narrowed(0.5, 1.3 + t, 4)), 1e-9);
    assert_eq!(narrowed::grad(0.5, 1.3, 0), 0.0);
    let (value, slope) = narrowed::jvp(0.5, 1.3, 4, 2.0);
    close(value, narrowed(0.5, 1.3, 4), 1e-14);
    close(slope, 2.0 * narrowed::grad(0.5, 1.3, 4), 1e-13);
}

#[differentiable]
fn tuples(p: (f64, f64), q: &(f64, Array1<f64>)) -> (f64, (Array1<f64>, f64)) {
    let (a, b) = p;
    let (c, v) = q;
    (a * b + c, (v * a * *c, v.sum() * b))
}

#[test]
fn tuples_of_arguments_and_results() {
    let (p, q) = ((0.3, -1.2), (0.7, vector(3)));
    let (p_dot, q_dot) = ((1.1, 0.4), (-0.6, vector(3).cos()));
    let ((y, (v, s)), (y_dot, (v_dot, s_dot))) = tuples::jvp(p, &q, p_dot, &q_dot);
    let plain = tuples(p, &q);
    close(y, plain.0, 1e-15);
    assert!((&v - &plain.1.0).abs().sum() < 1e-14);
    close(s, plain.1.1, 1e-14);
    let along = |t: f64| {
        let q = (q.0 + t * q_dot.0, &q.1 + &(t * &q_dot.1));
        tuples((p.0 + t * p_dot.0, p.1 + t * p_dot.1), &q)
    };
    close(y_dot, difference(|t| along(t).0), 1e-9);
    close(v_dot[2], difference(|t| along(t).1.0[2]), 1e-9);
    close(s_dot, difference(|t| along(t).1.1), 1e-9);
    let bar = (0.9, (vector(3).sin(), -0.5));
    let (_, (p_bar, q_bar)) = tuples::vjp(p, &q, &bar);
    let reverse = p_bar.0 * p_dot.0 + p_bar.1 * p_dot.1 + q_bar.0 * q_dot.0 + q_bar.1.dot(&q_dot.1);
    close(reverse, bar.0 * y_dot + bar.1.0.dot(&v_dot) + bar.1.1 * s_dot, 1e-13);
}

#[differentiable]
fn branches(x: &Array1<f64>, threshold: f64) -> f64 {
    let y = x.mapv(|v| if v > 0.2 { (v - 0.1).ln() } else { (-100.0 * v).exp() * 1e-40 + v * v });
    let mut total = 0.0;
    for i in 0..x.len() {
        if x[i] > threshold {
            total += y[i] * threshold;
        } else {
            total -= y[i];
        }
    }
    total
}

#[test]
fn branches_differentiate_what_is_taken_and_only_that() {
    // In the branch not taken, `ln` is undefined for some of these and `exp` overflows for others.
    let x = array![-0.9, 0.1, 0.05, 0.4, 3.0, 12.0];
    let (x_bar, t_bar) = branches::grad(&x, 0.3);
    for k in 0..x.len() {
        let moved = |t: f64| {
            let mut x = x.clone();
            x[k] += t * 1e-2;
            branches(&x, 0.3)
        };
        close(x_bar[k] * 1e-2, difference(moved), 1e-7);
    }
    close(t_bar, difference(|t| branches(&x, 0.3 + t)), 1e-9);
}

#[differentiable]
fn narrow(x: &Array1<f32>) -> f32 {
    (x * x).sum() / 2.0 + x.softplus().sum()
}

#[test]
fn single_precision() {
    let x = array![0.5_f32, -2.0, 3.0];
    let expected = &x + &x.sigmoid();
    assert!((&narrow::grad(&x) - &expected).iter().all(|d| d.abs() < 1e-6));
}

#[differentiable]
fn product(a: &Array1<f64>, b: &Array1<f64>) -> f64 {
    a.dot(b) + a.sum() * PI
}

use std::f64::consts::PI;

#[test]
fn the_same_array_may_be_passed_twice() {
    let a = vector(3);
    let (a_bar, b_bar) = product::grad(&a, &a);
    assert!((&a_bar - &(&a + PI)).abs().sum() < 1e-14);
    assert_eq!(b_bar, a);
}

/// Generated names do not meet the user's.
mod hygiene {
    #![no_implicit_prelude]
    #![allow(non_camel_case_types, dead_code, reason = "the names are the point")]

    use ::bilevel::differentiable;
    use ::bilevel::ndarray::Array1;

    struct rt {}
    struct Option {}
    fn dims() {}
    fn map() {}

    #[differentiable]
    pub(super) fn awkward(out: &Array1<f64>, dims: f64, map: f64, w_bar: f64, y_dot: f64) -> f64 {
        let rt = out * dims;
        let buffer = rt.sum() * map;
        let w_bar = buffer * w_bar;
        let out = w_bar * y_dot;
        let jvp = out * out;
        jvp + rt[0]
    }
}

#[test]
fn names_of_generated_code_do_not_meet_names_of_the_user() {
    use hygiene::awkward;
    let x = vector(3);
    let (_, dims_bar, ..) = awkward::grad(&x, 0.5, 0.6, 0.7, 0.8);
    close(dims_bar, difference(|t| awkward(&x, 0.5 + t, 0.6, 0.7, 0.8)), 1e-9);
}

/// The crate under another name.
mod renamed {
    pub(crate) use ::bilevel as other;

    #[other::differentiable(crate = crate::renamed::other)]
    pub(super) fn square(x: f64) -> f64 {
        x * x
    }
}

#[test]
fn the_crate_may_have_another_name() {
    assert_eq!(renamed::square::grad(3.0), 6.0);
}

#[test]
#[should_panic(expected = "axis 1 of `w` (shape [4, 3]) has length 3, but axis 0 of `x` (shape [5]) has length 5")]
fn shapes_that_do_not_fit_name_the_parameters() {
    let _ = layer::linearize(&matrix(4, 3), vector(4).view(), vector(5), &1.0);
}

#[differentiable]
fn reads(a: &Array2<f64>, x: &Array1<f64>, k: usize) -> f64 {
    let mut s = 0.0;
    for j in 0..x.len() {
        s += a[[0, j]] * x[j] + a.row(k)[j];
    }
    s
}

/// A position out of range is a panic, as in the function itself, also where it would still hit the memory of the array.
#[test]
fn positions_out_of_range_panic() {
    let a = matrix(3, 2);
    assert!(reads::grad(&a, &vector(2), 2).1.len() == 2);
    for (x, k) in [(vector(3), 0), (vector(2), 3), (vector(2), usize::MAX)] {
        assert!(std::panic::catch_unwind(|| reads(&a, &x, k)).is_err());
        assert!(std::panic::catch_unwind(|| reads::value_and_grad(&a, &x, k)).is_err(), "{} {k}", x.len());
    }
}

#[differentiable]
fn nested(x: &Array1<f64>, n: usize) -> f64 {
    let mut total = 0.0;
    for i in 0..x.len() {
        let mut p = 1.0;
        for k in 1..=2 * n {
            p = p * x[i] / k as f64 + 0.1;
        }
        let mut scale = Array1::zeros(n);
        for _ in i..3 {
            scale += p;
        }
        total += p * scale.sum();
    }
    total
}

#[test]
fn inner_loops_with_bounds_from_outside() {
    let x = vector(3);
    for n in 0..4 {
        let x_bar = nested::grad(&x, n);
        for k in 0..x.len() {
            let moved = |t: f64| {
                let mut x = x.clone();
                x[k] += t;
                nested(&x, n)
            };
            close(x_bar[k], difference(moved), 1e-8);
        }
    }
}

#[differentiable]
fn bounded(x: &Array1<f64>, y: f64) -> f64 {
    x.clamp(0.0, 1.0).sum() + y.clamp(-1.0, 1.0) * (2.9 as usize as f64) + (-0.5) as i64 as f64
}

/// `max` and `min` prefer a number to a NaN, `clamp` does not.
#[test]
fn clamp_keeps_a_nan() {
    assert!(bounded::value_and_grad(&array![0.5, f64::NAN], 0.5).0.is_nan());
    assert!(bounded::value_and_grad(&array![0.5], f64::NAN).0.is_nan());
    let (value, (x_bar, y_bar)) = bounded::value_and_grad(&array![0.5, -2.0, 7.0], 0.25);
    assert_eq!((value, x_bar, y_bar), (bounded(&array![0.5, -2.0, 7.0], 0.25), array![1.0, 0.0, 0.0], 2.0));
}

#[differentiable]
fn literal_ranges(x: &Array1<f64>, n: usize) -> f64 {
    let mut s = 0.0;
    for i in 1..4 {
        s += (x[i] - x[i - 1]).powi(2);
        for j in 0..2 {
            s += x[2 + j - i / 2] * (3 - i) as f64;
        }
    }
    for i in 0_usize..3 {
        s += x[0] * (3 - i) as f64;
    }
    for i in 0..3 {
        s += x[1] * (n - i) as f64 * (i * 2 + 1) as f64;
    }
    s
}

/// Indices of literal ranges may be subtracted where some use says that they are `usize`.
#[test]
fn differences_of_indices() {
    let x = vector(5);
    let (value, x_bar) = literal_ranges::value_and_grad(&x, 4);
    close(value, literal_ranges(&x, 4), 1e-14);
    for k in 0..5 {
        let moved = |t: f64| {
            let mut x = x.clone();
            x[k] += t;
            literal_ranges(&x, 4)
        };
        close(x_bar[k], difference(moved), 1e-9);
    }
}
