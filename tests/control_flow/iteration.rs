//! Loops over more than ranges of `usize`.

use bilevel::prelude::*;

use crate::common::{Argument, Outcome, matrix, vector};

agree! {
    #[scalar]
    elements_and_zips: (&vector(5), &vector(5).cos(), &matrix(5, 2)), (&vector(5).sin(), &vector(5), &matrix(5, 2).cos()), 0.7, 1e-13, {
        fn f(x: &Array1<f64>, y: &Array1<f64>, a: &Array2<f64>) -> f64 {
            let mut s = 0.3_f64;
            for v in x {
                s = s * v.sin() + v;
            }
            for &v in x.iter() {
                s += v * v;
            }
            for (i, (v, &w)) in x.iter().zip(y.iter()).enumerate() {
                s += v * w * (i as f64 + 0.5) * s;
            }
            for ((v, w), row) in x.iter().zip(y).zip(a.rows()) {
                s += v * row.sum() - w * row[1];
            }
            for v in a {
                s += v.cos() * s;
            }
            for ((i, j), v) in a.indexed_iter() {
                s += v * (i + 2 * j) as f64;
            }
            s
        }
    }
    #[scalar]
    rows_columns_and_axes: (&matrix(3, 4), &vector(4)), (&matrix(3, 4).sin(), &vector(4).cos()), 1.3, 1e-13, {
        fn f(a: &Array2<f64>, x: &Array1<f64>) -> f64 {
            let mut s = 1.0_f64;
            for row in a.rows() {
                s = s + row.dot(x) * s.sin();
            }
            for (j, column) in a.columns().into_iter().enumerate() {
                s += column.dot(&column) * x[j];
            }
            for row in a.outer_iter() {
                s *= 1.0 + 0.1 * row[0];
            }
            for (column, v) in a.axis_iter(Axis(1)).zip(x.iter()) {
                s -= column.sum() * v;
            }
            let mut last = x.clone();
            for row in a.rows().into_iter().rev() {
                last = last * 0.5 + row;
            }
            s * last.sum()
        }
    }
    #[scalar]
    ranges_of_every_kind: (&vector(9), 3_usize, -2_i64), (&vector(9).sin()), 0.9, 1e-13, {
        fn f(x: &Array1<f64>, n: usize, low: i64) -> f64 {
            let mut s = 0.2_f64;
            for i in (0..x.len()).step_by(2) {
                s += x[i] * (i as f64 + s);
            }
            for i in (1..8).step_by(3) {
                s = s * 0.9 + x[i];
            }
            for i in (n..x.len()).rev().step_by(n) {
                s = s * 0.5 + x[i].sin();
            }
            for i in (0..x.len()).rev() {
                s = s * 0.7 + x[i];
            }
            for i in n..=5 {
                s += x[i] * s;
            }
            for k in low..3 {
                s += k as f64 * s.cos();
            }
            for _ in 4..2 {
                s = 100.0;
            }
            for _ in n..n {
                s = 100.0;
            }
            s
        }
    }
    #[scalar]
    breaks_out_of_iterators: (&matrix(3, 3), 0.4), (&matrix(3, 3).cos(), 0.8), 1.1, 1e-13, {
        fn f(a: &Array2<f64>, t: f64) -> f64 {
            let mut s = t;
            for &v in a {
                if v > 0.25 {
                    break;
                }
                s += v * v * t;
            }
            for row in a.rows() {
                if row[0] > t {
                    continue;
                }
                for &v in row.iter() {
                    s = s * 1.1 + v;
                }
            }
            s
        }
    }
}
