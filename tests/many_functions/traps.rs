//! What differentiating compilers are known to get wrong, in compiled code; `compiler/tests/traps.rs` has the same for the IR.

use bilevel::prelude::*;

fn finite(x: &Array1<f64>) -> bool {
    x.iter().all(|v| v.is_finite())
}

#[track_caller]
fn close(found: &Array1<f64>, expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-14 * (1.0 + b.abs())), "{found} instead of {expected:?}");
}

#[differentiable]
fn guarded(x: &Array1<f64>) -> f64 {
    x.mapv(|v| if v > 0.0 { v.ln() * v.sqrt() + 1.0 / v } else { 0.0 }).sum()
}

#[differentiable]
fn selected(x: &Array1<f64>) -> f64 {
    let inside = x.mapv(|v| v > 0.0);
    let outside = Array1::<f64>::zeros(x.len());
    (select(&inside, &x.ln(), &outside) + select(&inside, &x.sqrt(), &outside) + select(&inside, &(1.0 / x), &outside)).sum()
}

#[test]
fn select_around_a_partial_function_at_the_guarded_point() {
    let (x, ones) = (array![0.0, -1.0, 2.0], Array1::ones(3));
    let root = 2.0_f64.sqrt();
    let slope = root / 2.0 + 2.0_f64.ln() / (2.0 * root) - 0.25;
    close(&guarded::grad(&x), &[0.0, 0.0, slope]);
    close(&selected::grad(&x), &[0.0, 0.0, 0.5 + 0.5 / root - 0.25]);
    assert!(finite(&guarded::hvp(&x, &ones)) && finite(&selected::hvp(&x, &ones)));
    assert_eq!(guarded::jvp(&x, &array![1.0, 1.0, 0.0]).1, 0.0);
    assert_eq!(selected::vjp(&x, 1.0).1, selected::grad(&x));
}

#[differentiable]
fn ties(x: &Array1<f64>) -> f64 {
    x[0].max(x[1]) + 3.0 * x[0].min(x[1])
}

#[differentiable]
fn corners(x: &Array1<f64>) -> Array1<f64> {
    array![x[0].abs(), x[1].relu(), x[2].sqrt()]
}

#[differentiable]
fn largest(x: &Array1<f64>) -> f64 {
    x.fold(f64::NEG_INFINITY, |a, &b| a.max(b))
}

#[test]
fn ties_and_kinks_follow_the_convention() {
    close(&ties::grad(&array![1.5, 1.5]), &[2.0, 2.0]);
    close(&corners::vjp(&Array1::zeros(3), &Array1::ones(3)).1, &[0.0, 0.0, 0.0]);
    close(&corners::jvp(&Array1::zeros(3), &Array1::ones(3)).1, &[0.0, 0.0, 0.0]);
    close(&corners::vjp(&array![-2.0, 2.0, 4.0], &Array1::ones(3)).1, &[-1.0, 1.0, 0.25]);
    close(&largest::grad(&array![2.0, 1.0, 2.0, 2.0]), &[1.0 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 3.0]);
}

#[differentiable]
fn product(a: &Array1<f64>, b: &Array1<f64>) -> f64 {
    a.dot(b) + (a * b).sin().sum()
}

#[differentiable]
fn square(x: &Array1<f64>) -> f64 {
    product(x, x)
}

#[test]
fn one_array_as_both_arguments() {
    let x = array![0.3, -0.7, 1.1];
    let (a_bar, b_bar) = product::grad(&x, &x);
    assert_eq!(a_bar, b_bar);
    close(&square::grad(&x), &(&a_bar + &b_bar).to_vec());
    let (y, y_dot) = product::jvp(&x, &x, &x, &x);
    assert_eq!((y, y_dot), square::jvp(&x, &x));
    let (a_hvp, b_hvp) = product::hvp(&x, &x, &x, &x);
    close(&square::hvp(&x, &x), &(a_hvp + b_hvp).to_vec());
}

#[differentiable]
fn layers(a: &Array2<f64>, x: &Array1<f64>) -> Array1<f64> {
    a.dot(x).sin() + a.sum_axis(Axis(1)) + softmax(a).sum_axis(Axis(1))
}

#[test]
fn axes_without_elements() {
    let (a, x) = (Array2::<f64>::zeros((3, 0)), Array1::<f64>::zeros(0));
    let (y, (a_bar, x_bar)) = layers::vjp(&a, &x, &array![1.0, 2.0, 3.0]);
    assert_eq!((y, a_bar.dim(), x_bar.len()), (Array1::zeros(3), (3, 0), 0));
    assert_eq!(layers::jvp(&a, &x, &a, &x).1, Array1::<f64>::zeros(3));
    let (a, x) = (Array2::<f64>::zeros((0, 2)), array![1.0, 2.0]);
    let (y, (a_bar, x_bar)) = layers::vjp(&a, &x, &Array1::zeros(0));
    assert_eq!((y.len(), a_bar.dim(), x_bar), (0, (0, 2), array![0.0, 0.0]));
    let empty = Array1::<f64>::zeros(0);
    assert_eq!((square::grad(&empty).len(), square::hvp(&empty, &empty).len()), (0, 0));
}

#[differentiable]
fn turns(x: &Array1<f64>, w: f64) -> f64 {
    let n = (x[0] * 10.0).floor() as usize;
    let mut s = w * w;
    let mut v = x.to_owned();
    for i in 0..n {
        s = (s + x[1] * i as f64).sin() * w;
        v = &v * s;
    }
    s + v.sum()
}

#[test]
fn loops_without_turns_and_loops_whose_bound_is_data() {
    // No turn: w² + x₀ + x₁.
    let (x_bar, w_bar) = turns::grad(&array![0.05, 0.7], 0.9);
    close(&x_bar, &[1.0, 1.0]);
    assert_eq!(w_bar, 1.8);
    let (_, w_hvp) = turns::hvp(&array![0.05, 0.7], 0.9, &Array1::zeros(2), 1.0);
    assert_eq!(w_hvp, 2.0);
    for first in [0.15, 0.35, 0.55] {
        let (x, w) = (array![first, 0.7], 0.9);
        let (x_bar, w_bar) = turns::grad(&x, w);
        let at = |t: f64| turns(&array![first, 0.7 + 0.3 * t], w - 0.2 * t);
        let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
        let slope = 0.3 * x_bar[1] - 0.2 * w_bar;
        assert!((slope - difference).abs() < 1e-8, "{slope} and {difference}");
        assert!((turns::jvp(&x, w, &array![0.0, 0.3], -0.2).1 - slope).abs() < 1e-14);
    }
}
