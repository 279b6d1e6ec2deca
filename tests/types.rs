//! Functions whose parameters and results are of every form: fixed arrays, arrays without axes, tuples, structs, constant parameters. The plain
//! function, its derivatives and closed forms agree.

#![deny(warnings)]
#![allow(clippy::type_complexity, reason = "tuples within tuples are what is tested")]

use bilevel::ndarray::{Array3, Array4, arr0};
use bilevel::prelude::*;

/// Largest difference between corresponding elements.
fn distance<P: Params<Float = f64>>(a: &P, b: &P) -> f64 {
    (a.flat() - b.flat()).iter().fold(0.0, |m, d| d.abs().max(m))
}

#[differentiable]
fn rosenbrock(x: &[f64; 2], scale: [f64; 2]) -> f64 {
    scale[0] * (1.0 - x[0]).powi(2) + scale[1] * (x[1] - x[0] * x[0]).powi(2)
}

#[test]
fn fixed_arrays_are_arguments_and_gradients() {
    let (x, scale) = ([0.5, -0.25], [1.0, 100.0]);
    let r = x[1] - x[0] * x[0];
    let expected = ([-2.0 * (1.0 - x[0]) - 400.0 * x[0] * r, 200.0 * r], [0.25, r * r]);
    let gradient: ([f64; 2], [f64; 2]) = rosenbrock::grad(&x, scale);
    assert!(distance(&gradient, &expected) < 1e-13, "{gradient:?}");
    let (value, slope) = rosenbrock::jvp(&x, scale, &[1.0, -1.0], [0.5, 0.0]);
    assert_eq!(value, rosenbrock(&x, scale));
    assert!((slope - (expected.0[0] - expected.0[1] + 0.5 * expected.1[0])).abs() < 1e-12);
    // The Hessian in `x` alone.
    let column = |k: usize| rosenbrock::hvp(&x, scale, &std::array::from_fn(|i| f64::from(u8::from(i == k))), [0.0; 2]).0;
    let (first, second) = (column(0), column(1));
    assert!(distance(&first, &[2.0 - 400.0 * (r - 2.0 * x[0] * x[0]), -400.0 * x[0]]) < 1e-12, "{first:?}");
    assert!((first[1] - second[0]).abs() < 1e-12 && (second[1] - 200.0).abs() < 1e-12);
}

/// A bilinear form, with a fixed array of fixed arrays.
#[differentiable]
fn bilinear<const N: usize, const M: usize>(a: &[[f64; N]; M], x: &[f64; N], y: &[f64; M]) -> f64 {
    let mut total = 0.0;
    for i in 0..M {
        for j in 0..N {
            total += y[i] * a[i][j] * x[j];
        }
    }
    total / (a.len() as f64) + 0.0 * N as f64
}

#[test]
fn constant_parameters_are_lengths() {
    let (a, x, y) = ([[1.0, -2.0, 0.5], [0.0, 3.0, 1.5]], [0.5, 1.0, -1.0], [2.0, -1.0]);
    let (a_bar, x_bar, y_bar) = bilinear::grad(&a, &x, &y);
    let expected: [[f64; 3]; 2] = std::array::from_fn(|i| std::array::from_fn(|j| 0.5 * y[i] * x[j]));
    assert!(distance(&a_bar, &expected) < 1e-15);
    assert!(distance(&x_bar, &[1.0, -3.5, -0.25]) < 1e-15, "{x_bar:?}");
    assert!(distance(&y_bar, &[-1.0, 0.75]) < 1e-15, "{y_bar:?}");
    // One function for every length.
    let (value, gradient) = bilinear::value_and_grad(&[[3.0]], &[2.0], &[5.0]);
    assert_eq!((value, gradient), (30.0, ([[10.0]], [15.0], [6.0])));
    let along = bilinear::linearize(&a, &x, &y);
    let slope = along(&[[0.0; 3]; 2], &[1.0, 0.0, 0.0], &[0.0, 1.0]);
    assert!((slope - (x_bar[0] + y_bar[1])).abs() < 1e-15);
}

/// Fixed arrays as results.
#[differentiable]
fn polar<'a>(p: ArrayView1<'a, f64>) -> ([f64; 2], Array0<f64>) {
    let mut out = [0.0; 2];
    out = out.map(|o| o + 1.0);
    let r = p[0] * out[0];
    (out.map(|o| o * r * p[1].cos()), Array0::from_elem((), r * p[1].sin()))
}

#[test]
fn fixed_arrays_and_arrays_without_axes_are_results() {
    let p = array![2.0, 0.5];
    let (xy, y) = polar(p.view());
    assert_eq!((xy[0], xy[0]), (xy[1], 2.0 * 0.5_f64.cos()));
    let dot = array![1.0, -1.0];
    let ((xy_again, y_again), (xy_dot, y_dot)) = polar::jvp(p.view(), dot.view());
    assert_eq!((xy_again, &y_again), (xy, &y));
    let expected = [0.5_f64.cos() + 2.0 * 0.5_f64.sin(); 2];
    assert!(distance(&xy_dot, &expected) < 1e-15);
    assert!((y_dot[()] - (0.5_f64.sin() - 2.0 * 0.5_f64.cos())).abs() < 1e-15);
    let ((_, y), p_bar) = polar::vjp(p.view(), &([1.0, 0.0], arr0(2.0)));
    assert_eq!(y, y_again);
    assert!(distance(&p_bar, &array![0.5_f64.cos() + 2.0 * 0.5_f64.sin(), -2.0 * 0.5_f64.sin() + 4.0 * 0.5_f64.cos()]) < 1e-15);
    assert_eq!(polar::linearize(p.view())(dot.view()), (xy_dot, y_dot));
}

/// Arrays of all ranks as data and as arguments.
#[differentiable]
fn ranks(a: &Array0<f64>, b: &Array3<f64>, c: &Array4<f64>, pick: &Array0<usize>, flip: bool, shift: i64) -> f64 {
    let scaled = (b * a[()]).sum() + (c * c).sum() * a[()];
    if flip && shift < 3 { scaled * (pick[()] as f64 + shift as f64) } else { scaled }
}

#[test]
fn arrays_of_all_ranks() {
    let (a, b) = (arr0(0.5), Array3::from_elem((2, 1, 3), 1.5));
    let c = Array4::from_elem((1, 2, 1, 2), -2.0);
    let (a_bar, b_bar, c_bar): (Array0<f64>, _, _) = ranks::grad(&a, &b, &c, &arr0(3), true, -1);
    assert_eq!(a_bar[()], 2.0 * (9.0 + 16.0));
    assert_eq!((b_bar, c_bar), (b.mapv(|_| 1.0), c.mapv(|_| 2.0 * 0.5 * 2.0 * -2.0)));
}

#[bilevel]
mod constants {
    use super::*;

    const N: usize = 2 + 1;
    const CENTRES: [f64; N] = [0.5, -1.0, WIDTH * 4.0];
    const WIDTH: f64 = 0.25;
    const PICKS: [usize; 2] = [2, 0];
    const STEEP: [[f64; 2]; 2] = [[1.0, 2.0], [3.0, f64::EPSILON]];

    fn bump<const M: usize>(w: &[f64; M], centres: &[f64; M]) -> f64 {
        let mut total = 0.0;
        for i in 0..M {
            total += ((w[i] - centres[i]) / WIDTH).powi(2);
        }
        total
    }

    #[inner(minimize = w)]
    pub(super) fn train(w: &[f64; N], l: &[f64; 2]) -> f64 {
        let scale: [f64; 2] = [l[0].exp(), l[1] * l[1]];
        let first = ArrayView1::from(w).sum();
        bump(w, &CENTRES) + scale[0] * w[PICKS[0]].powi(2) + STEEP[1][0] * scale[1] * w[PICKS[1]].powi(2) + 0.1 * first * first
    }

    #[outer(minimize = l)]
    pub(super) fn validate(w: &[f64; N], l: &[f64; 2]) -> f64 {
        let target = [w[0] - 1.0, w[1], w[2] - l[0]];
        target[0] * target[0] + target[1] * target[2] + f64::consts::PI * target[2] * target[2]
    }

    use std::f64;
}

#[test]
fn constants_and_fixed_arrays_in_a_problem() {
    let problem = constants::Problem {};
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-12)).inner(NewtonCg::default().tolerance(1e-12));
    let (l, w) = ([0.3, -0.8], [0.0; 3]);
    let h = solver.hypergradient(&l, &w).unwrap();
    assert!((constants::validate(&h.inner, &l) - h.value).abs() < 1e-14);
    assert!(constants::train(&h.inner, &l) < constants::train(&w, &l));
    for k in 0..2 {
        let mut value = |t: f64| {
            let mut moved = l;
            moved[k] += t;
            solver.hypergradient(&moved, &w).unwrap().value
        };
        let step = 1e-3;
        let expected = (8.0 * (value(step) - value(-step)) - (value(2.0 * step) - value(-2.0 * step))) / (12.0 * step);
        assert!((h.gradient[k] - expected).abs() < 1e-9, "{k}: {} and {expected}", h.gradient[k]);
    }
}

/// Elements and rows of fixed arrays are assigned to, in loops and branches, and gone through.
#[differentiable]
fn simulate<const N: usize>(x: &[f64; N], steps: usize, pair: &([f64; 2], (f64, [f64; 3]))) -> [[f64; N]; 2] {
    let mut state = [*x, [0.5; N]];
    let mut forces = [0.0; N];
    for _ in 0..steps {
        for i in 0..N {
            forces[i] = -state[0][i] * pair.0[0];
            if i > 0 {
                forces[i] += pair.0[1] * state[0][i - 1];
            }
        }
        for i in 0..N {
            state[1][i] += 0.1 * forces[i];
            state[0][i] += 0.1 * state[1][i];
        }
    }
    let mut weights = pair.1.1;
    for w in weights.iter_mut() {
        *w *= pair.1.0;
    }
    let total: f64 = weights.iter().map(|w| w * w).sum();
    for (k, &w) in pair.1.1.iter().enumerate() {
        state[0][0] += w * (k as f64) * total;
    }
    for f in forces {
        state[0][N - 1] *= f.cos();
    }
    state[1] = state[1].map(|v| v * total);
    state
}

#[test]
fn fixed_arrays_are_changed_in_place() {
    let (x, pair) = ([0.5, -1.0, 0.25], ([1.5, 0.75], (2.0, [0.25, -0.5, 1.0])));
    let (x_dot, pair_dot) = ([1.0, 0.5, -0.25], ([0.5, -1.0], (0.25, [1.0, 0.5, -0.5])));
    let moved = |t: f64| {
        let (mut x, mut pair) = (x, pair);
        x.add_scaled(t, &x_dot);
        pair.add_scaled(t, &pair_dot);
        simulate(&x, 4, &pair)
    };
    let (value, dot) = simulate::jvp(&x, 4, &pair, &x_dot, &pair_dot);
    assert!(distance(&value, &simulate(&x, 4, &pair)) < 1e-15);
    let (after, before) = (moved(1e-6), moved(-1e-6));
    let difference: [[f64; 3]; 2] = std::array::from_fn(|k| std::array::from_fn(|i| (after[k][i] - before[k][i]) / 2e-6));
    assert!(distance(&dot, &difference) < 1e-8, "{dot:?} {difference:?}");
    let y_bar = [[1.0, -0.5, 0.25], [0.5, 2.0, -1.0]];
    let (_, bars) = simulate::vjp(&x, 4, &pair, &y_bar);
    let (forwards, backwards) = (dot.dot_product(&y_bar), bars.dot_product(&(x_dot, pair_dot)));
    assert!((forwards - backwards).abs() < 1e-13, "{forwards} {backwards}");
}

/// Arrays without axes, in tuples within tuples and everywhere else.
#[differentiable]
fn without_axes(
    a: ArrayView0<'_, f64>,
    b: &(Array0<f64>, (f64, (Array0<f64>, [f64; 1]))),
) -> (Array0<f64>, (f64, (Array0<f64>, [f64; 1]))) {
    let (first, (s, (second, third))) = b;
    let product = &a * first;
    let mut sum = product.clone();
    sum += second;
    sum[()] *= *s;
    (sum.mapv(f64::tanh), (product[()] * s, (second.exp(), [third[0] * a[()]])))
}

#[test]
fn arrays_without_axes_stand_everywhere() {
    let (a, b) = (arr0(0.75), (arr0(-0.5), (1.25, (arr0(0.25), [2.0]))));
    let (a_dot, b_dot) = (arr0(1.0), (arr0(0.5), (-0.25, (arr0(2.0), [-1.0]))));
    let (value, dot) = without_axes::jvp(a.view(), &b, a_dot.view(), &b_dot);
    assert_eq!(value, without_axes(a.view(), &b));
    let moved = |t: f64| {
        let (mut a, mut b) = (a.clone(), b.clone());
        a.add_scaled(t, &a_dot);
        b.add_scaled(t, &b_dot);
        without_axes(a.view(), &b)
    };
    let difference = (moved(1e-6).flat() - moved(-1e-6).flat()) / 2e-6;
    assert!(distance(&dot.flat(), &difference) < 1e-9, "{dot:?} {difference}");
    let (_, (a_bar, b_bar)) = without_axes::vjp(a.view(), &b, &value);
    let backwards = a_bar.dot_product(&a_dot) + b_bar.dot_product(&b_dot);
    assert!((dot.dot_product(&value) - backwards).abs() < 1e-14);
    let hessian_free = without_axes::linearize(a.view(), &b)(a_dot.view(), &b_dot);
    assert!(distance(&hessian_free, &dot) < 1e-15);
}
