//! Emitted code means what the IR means: each function here is differentiated by the macro, compiled and run, and its tokens are differentiated and
//! run by the reference evaluator; all derivatives must agree.

#![allow(clippy::type_complexity, clippy::op_ref, reason = "the spellings are what is tested")]

mod common;
#[macro_use]
#[path = "common/harness.rs"]
mod harness;

use bilevel::prelude::*;
use common::{Argument, Outcome, matrix, vector};

fn positive(n: usize) -> Array1<f64> {
    vector(n).mapv(|v| v * v + 0.2)
}

fn single(n: usize, m: usize) -> Array2<f32> {
    matrix(n, m).mapv(|v| v as f32)
}

agree! {
    #[scalar]
    softmax_regression: (&matrix(3, 4), &matrix(3, 4).sin(), &matrix(6, 3), &array![0_usize, 3, 1, 1, 2, 0]), (&matrix(3, 4).cos(), &matrix(3, 4), &matrix(6, 3).exp()), 0.7, 1e-13, {
        fn f(w: &Array2<f64>, log_l2: &Array2<f64>, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
            cross_entropy(&x.dot(w), y) + 0.5 * (log_l2.exp() * w * w).sum()
        }
    }
    #[scalar]
    two_layers: (&matrix(4, 5), &vector(5), &vector(5).cos(), &matrix(6, 4), &vector(6)), (&matrix(4, 5).sin(), &vector(5).exp(), &vector(5), &matrix(6, 4).cos(), &vector(6).sin()), -1.2, 1e-13, {
        fn f(w1: &Array2<f64>, b1: &Array1<f64>, w2: &Array1<f64>, x: &Array2<f64>, t: &Array1<f64>) -> f64 {
            let hidden = (x.dot(w1) + b1).tanh();
            mse(&hidden.dot(w2), t) + 0.01 * (w1.powi(2).sum() + w2.dot(w2))
        }
    }
    products_of_every_rank_pair: (&matrix(3, 4), &vector(4), &vector(3), &matrix(4, 2)), (&matrix(3, 4).sin(), &vector(4).exp(), &vector(3).cos(), &matrix(4, 2).sin()), &(matrix(3, 2), -0.3, vector(2)), 1e-13, {
        fn f(a: &Array2<f64>, x: &Array1<f64>, y: &Array1<f64>, b: &Array2<f64>) -> (Array2<f64>, f64, Array1<f64>) {
            let s = y.dot(&a.dot(x)) + y.dot(a).dot(x) * a.sum();
            (a.dot(b), s, x.dot(b))
        }
    }
    transposes: (&matrix(3, 4), &matrix(4, 3)), (&matrix(3, 4).sin(), &matrix(4, 3).cos()), &matrix(4, 4).sin(), 1e-13, {
        fn f(a: &Array2<f64>, b: &Array2<f64>) -> Array2<f64> {
            a.t().dot(a) + b.dot(&b.t()) * (a.t().to_owned() + b).sum() + (a.t().exp() * b).dot(a)
        }
    }
    inputs_of_other_layouts: (&matrix(4, 3).reversed_axes(), matrix(8, 4).slice(s![..;2, 1..]), 2.0), (&matrix(3, 4), matrix(4, 6).slice(s![.., ..;2]), 0.5), &matrix(3, 3), 1e-13, {
        fn f(a: &Array2<f64>, b: ArrayView2<'_, f64>, s: f64) -> Array2<f64> { (a * s).dot(&b) / (s + 3.0) }
    }
    broadcasting: (&matrix(3, 4), &vector(4), &vector(3), 0.5), (&matrix(3, 4).sin(), &vector(4).exp(), &vector(3).cos(), -0.3), &matrix(3, 4).cos(), 1e-13, {
        fn f(a: &Array2<f64>, x: &Array1<f64>, r: &Array1<f64>, s: f64) -> Array2<f64> {
            let r = r.view().insert_axis(Axis(1));
            (1.5 * a * x - x / (2.0 + s)).exp() + s * a * &r + (a - s) / (&r * &r + 1.0)
        }
    }
    reductions: (&matrix(3, 4)), (&matrix(3, 4).sin()), &(vector(4), vector(3), 1.5), 1e-13, {
        fn f(a: &Array2<f64>) -> (Array1<f64>, Array1<f64>, f64) {
            let b = a.exp();
            (b.sum_axis(Axis(0)) * a.mean_axis(Axis(0)).unwrap(), (a * &b).mean_axis(Axis(1)).unwrap(), b.sum() - a.mean().unwrap() * a.sum())
        }
    }
    log_sum_exp_and_softmax: (&matrix(4, 3), &vector(5)), (&matrix(4, 3).sin(), &vector(5).cos()), &(matrix(4, 3).exp(), vector(4), 0.4), 1e-13, {
        fn f(z: &Array2<f64>, v: &Array1<f64>) -> (Array2<f64>, Array1<f64>, f64) {
            (softmax(z), log_sum_exp(z) * z.sum(), log_sum_exp(v) + softmax(v)[1])
        }
    }
    unary_functions: (&positive(5)), (&vector(5).cos()), &vector(5).sin(), 1e-13, {
        fn f(x: &Array1<f64>) -> Array1<f64> {
            let y = x.exp() + x.exp_m1() * x.ln() + x.ln_1p() / x.sqrt() + x.recip() + x.tanh() * x.sinh() + x.cosh();
            let z = x.sin() * x.cos() + x.tan() + x.abs() + x.sigmoid() * x.softplus() + x.relu() + x.powi(-2) + x.powf(1.5);
            y * z + x.tanh().asin() + x.tanh().acos() + x.atan() + x.floor()
        }
    }
    #[scalar]
    numbers: (0.8, 1.7, 3_usize), (0.3, -0.4), 1.1, 1e-13, {
        fn f(a: f64, b: f64, n: usize) -> f64 {
            a.max(b) * a.min(b) + a.powf(b) + a.atan2(b) + a.tanh() * (n * n - 1) as f64 + b.ln().sigmoid() - a.softplus() / b.sqrt()
        }
    }
    choices_of_elements: (&vector(6), 0.3), (&vector(6).cos(), 0.2), &vector(6).sin(), 1e-13, {
        fn f(x: &Array1<f64>, t: f64) -> Array1<f64> {
            x.mapv(|v| if v > t && v < 0.9 { t * v.exp() } else if v <= 0.0 { v * v } else { (-v).sin() })
        }
    }
    a_loop_over_elements: (&vector(5), 0.6), (&vector(5).cos(), -0.2), 0.9, 1e-13, {
        fn f(x: &Array1<f64>, decay: f64) -> f64 {
            let mut state = 1.0;
            let mut total = 0.0;
            for i in (0..x.len()).rev() {
                state = (decay * state + x[i]).tanh();
                total += state * i as f64;
            }
            total * state
        }
    }
    #[scalar]
    a_recurrent_network: (&matrix(3, 3), &matrix(5, 3), &vector(3)), (&matrix(3, 3).sin(), &matrix(5, 3).cos(), &vector(3).exp()), 1.0, 1e-13, {
        fn f(w: &Array2<f64>, x: &Array2<f64>, start: &Array1<f64>) -> f64 {
            let mut h = start.clone();
            let mut total = 0.0;
            for t in 0..x.nrows() {
                let pre = w.dot(&h) + x.row(t);
                h = if pre.sum() > 0.2 { pre.tanh() } else { pre * 0.5 };
                total += h.dot(&h) / (1 + t) as f64;
            }
            total
        }
    }
    nested_loops: (&matrix(3, 4), &vector(4)), (&matrix(3, 4).sin(), &vector(4).cos()), &(vector(4).exp(), 0.3), 1e-13, {
        fn f(a: &Array2<f64>, x: &Array1<f64>) -> (Array1<f64>, f64) {
            let mut v = x.clone();
            let mut s = 0.0;
            for i in 0..a.nrows() {
                let mut p = 1.0;
                for j in 0..a.ncols() {
                    if a[[i, j]] > v[j] { p *= a[[i, j]] + v[j]; } else { p += v[j] * x[j]; }
                }
                v = &v * p.sin() + a.row(i);
                s += p * a.column(0)[i];
            }
            (v, s)
        }
    }
    values_that_change_places: (&vector(3), &vector(3).exp(), 4_usize), (&vector(3).cos(), &vector(3).sin()), &(vector(3), vector(3).cos()), 1e-13, {
        fn f(a: &Array1<f64>, b: &Array1<f64>, n: usize) -> (Array1<f64>, Array1<f64>) {
            let mut p = a.clone();
            let mut q = b.clone();
            for i in 0..n {
                let next = &p * &q + i as f64;
                p = q;
                q = next.sin();
            }
            (p, q)
        }
    }
    loops_that_do_not_turn: (&vector(3), 0_usize), (&vector(3).cos()), &vector(3), 1e-13, {
        fn f(a: &Array1<f64>, n: usize) -> Array1<f64> {
            let mut p = a.exp();
            for _ in 0..n { p = p.sin(); }
            p
        }
    }
    the_same_result_twice: (&vector(3)), (&vector(3).cos()), &(vector(3), vector(3).sin(), vector(3).exp()), 1e-13, {
        fn f(a: &Array1<f64>) -> (Array1<f64>, Array1<f64>, Array1<f64>) {
            let b = a.exp();
            (b.clone(), b, a.clone())
        }
    }
    many_operands_in_one_loop: (&matrix(2, 7), &vector(7)), (&matrix(2, 7).cos(), &vector(7).sin()), &vector(7), 1e-13, {
        fn f(a: &Array2<f64>, x: &Array1<f64>) -> Array1<f64> {
            let (p, q) = (a.row(0), a.row(1));
            let (b, c, d, e) = (x.sin(), x.cos(), x.exp(), x.tanh());
            let s = b.sum() + c.sum() * d.sum() + e.sum();
            &p * &q + x * &b + &c * &d * s + &e * &p + &b * &c + &q * &d + x * &e
        }
    }
    #[scalar]
    integers_as_data: (&array![3_usize, 1, 2], -4_i64, &vector(3), true), (&vector(3).cos()), 0.5, 1e-13, {
        fn f(counts: &Array1<usize>, shift: i64, x: &Array1<f64>, flag: bool) -> f64 {
            let weights = counts.mapv(|c| c as f64) * shift as f64;
            let scale = if flag { (shift * shift - 1) as f64 } else { 1.0 };
            (weights * x * x).sum() * scale + x[counts[1] % 3]
        }
    }
    single_precision: (&single(3, 4), &single(4, 2), 0.7_f32), (&single(3, 4).cos(), &single(4, 2).sin(), -0.1_f32), &single(3, 2), 1e-6, {
        fn f(a: &Array2<f32>, b: &Array2<f32>, s: f32) -> Array2<f32> {
            let c = (a.dot(b) * s).tanh() + 0.5;
            c.exp() / (2.0 + s.sin())
        }
    }
}
