//! Iterators that give some of the items of another, and those over windows and chunks.

use crate::common::{Argument, Outcome, matrix, vector};
use crate::positive;
use bilevel::prelude::*;

agree! {
    #[scalar]
    some_items: (&vector(7), &positive(7), 2_usize), (&vector(7).cos(), &vector(7)), 0.8, 1e-13, {
        fn f(x: &Array1<f64>, y: &Array1<f64>, k: usize) -> f64 {
            let backwards = x.iter().rev().zip(y.iter()).map(|(a, b)| a * b.ln()).sum::<f64>();
            let steps = x.iter().skip(1).zip(y.iter().take(6)).map(|(a, b)| (a - b).sin()).sum::<f64>();
            let rest = y.iter().skip(k).map(|v| v.sqrt()).product::<f64>() + y.iter().skip(9).sum::<f64>();
            let first = x.iter().take(k + 1).enumerate().map(|(i, v)| v.exp() * i as f64).sum::<f64>() + x.iter().take(20).sum::<f64>();
            let every_other = x.iter().step_by(2).fold(1.0, |a, v| a * v.cos());
            let positions = (0..x.len()).skip(1).zip(0..x.len() - 1).len() as f64;
            let counted = x.iter().enumerate().skip(2).step_by(3).map(|(i, v)| v * i as f64).sum::<f64>();
            let turned = x.iter().rev().enumerate().map(|(i, v)| v * i as f64).sum::<f64>();
            backwards * steps + rest + first * every_other + positions + counted * turned
        }
    }
    #[scalar]
    some_rows: (&matrix(5, 3), &vector(3)), (&matrix(5, 3).cos(), &vector(3).sin()), 0.8, 1e-13, {
        fn f(x: &Array2<f64>, w: &Array1<f64>) -> f64 {
            let rows = x.rows().into_iter().skip(1).map(|row| row.dot(w)).sum::<f64>();
            let last = x.outer_iter().rev().take(2).map(|row| row.mapv(f64::exp).sum()).product::<f64>();
            let flat = x.iter().skip(4).step_by(3).map(|v| v * v * v).sum::<f64>();
            let mut total: f64 = 1.0;
            for (k, row) in x.rows().into_iter().rev().enumerate() {
                total += row.dot(w) * k as f64;
                for v in row.iter().skip(1) {
                    total = total * 0.5 + v.sin();
                }
            }
            for (i, j) in (0..x.nrows()).skip(2).zip((0..x.ncols()).rev()) {
                total += x[[i, j]] * w[j];
            }
            rows * last + flat + total
        }
    }
    #[scalar]
    windows: (&vector(7), &matrix(4, 5)), (&vector(7).cos(), &matrix(4, 5).sin()), 0.8, 1e-13, {
        fn f(x: &Array1<f64>, y: &Array2<f64>) -> f64 {
            let mut total: f64 = 0.3;
            for w in x.windows(3) {
                total += w[0] * w[2].sin() - w.sum() * w[1];
            }
            for w in y.windows((2, 3)) {
                total = total.cos() + w[[0, 2]] * w[[1, 0]].exp();
            }
            let along = y.axis_windows(Axis(1), 2).into_iter().map(|w| w.product()).sum::<f64>();
            let none = x.windows(9).into_iter().map(|w| w.sum()).sum::<f64>();
            total * along + none
        }
    }
    #[scalar]
    chunks: (&vector(7), &matrix(4, 6)), (&vector(7).cos(), &matrix(4, 6).sin()), 0.8, 1e-13, {
        fn f(x: &Array1<f64>, y: &Array2<f64>) -> f64 {
            let pairs = x.exact_chunks(2).into_iter().map(|c| c[0] * c[1].exp()).sum::<f64>();
            let mut total: f64 = 0.1;
            for c in y.exact_chunks((3, 2)) {
                total = total.sin() + c.row(0).dot(&c.row(2));
            }
            for (k, c) in y.axis_chunks_iter(Axis(1), 3).enumerate() {
                total += c.mapv(|v| v * v).sum() * (k as f64 + 0.5);
            }
            pairs * total
        }
    }
    #[scalar]
    filters: (&vector(7), &matrix(3, 4), &array![2_usize, 0, 3]), (&vector(7).cos(), &matrix(3, 4).sin()), 0.8, 1e-13, {
        fn f(x: &Array1<f64>, y: &Array2<f64>, idx: &Array1<usize>) -> f64 {
            let logs = x.iter().filter(|v| **v > 0.05).map(|v| v.ln()).sum::<f64>();
            let roots = x.iter().copied().filter(|&v| v < 0.2).filter(|v| v.sin() > -0.9).map(|v| (0.2 - v).sqrt()).product::<f64>();
            let n = y.iter().filter(|&&v| v > 0.05).count() as f64 + idx.iter().filter(|&&i| i > 0).sum::<usize>() as f64;
            let total = x.iter().zip(x.iter()).filter(|(a, _)| **a > 0.0).fold(1.0, |total, (a, b)| total * a.cos() + b);
            let all = x.iter().filter(|v| **v > 0.5).all(|v| *v > 0.4) && !x.iter().filter(|v| **v > 0.5).any(|v| *v < 0.4);
            let rows = y.rows().into_iter().filter(|row| row.sum() > 0.0).map(|row| row.dot(&row)).sum::<f64>();
            let mut steps = if all { 1.0 } else { 2.0 };
            for (i, &v) in x.iter().enumerate().filter(|&(i, _)| i % 2 == 0).map(|(i, v)| (i + 1, v)) {
                if v > 0.8 {
                    continue;
                }
                steps = f64::sin(steps) + v * i as f64;
            }
            logs * roots + n * total + rows * steps
        }
    }
    changed_as_wholes: (&matrix(3, 4), &matrix(3, 3)), (&matrix(3, 4).cos(), &matrix(3, 3).sin()), &(matrix(4, 3), matrix(3, 3), vector(3)), 1e-13, {
        fn f(x: &Array2<f64>, m: &Array2<f64>) -> (Array2<f64>, Array2<f64>, Array1<f64>) {
            let mut y = x.exp();
            y.swap_axes(0, 1);
            y.invert_axis(Axis(0));
            let mut z = m.clone();
            z.diag_mut().assign(&m.row(1));
            z.diag_mut()[1] += m[[0, 2]] * 2.0;
            z.diag_mut().scaled_add(0.5, &m.column(0));
            z.diag_mut().mapv_inplace(|v| v.sin());
            for (k, v) in z.diag_mut().iter_mut().enumerate() {
                *v *= m[[k, 0]];
            }
            let (top, bottom) = m.view().split_at(Axis(0), 1);
            let d = z.diag().to_owned() * top.row(0) + bottom.sum_axis(Axis(0));
            (y, z, d)
        }
    }
    accumulated: (&vector(5), &matrix(3, 4)), (&vector(5).cos(), &matrix(3, 4).sin()), &(vector(5), matrix(3, 4), matrix(3, 4)), 1e-13, {
        fn f(x: &Array1<f64>, m: &Array2<f64>) -> (Array1<f64>, Array2<f64>, Array2<f64>) {
            let mut sums = x.clone();
            sums.accumulate_axis_inplace(Axis(0), |&before, v| *v += before);
            let mut products = m.clone();
            products.accumulate_axis_inplace(Axis(1), |before, v| *v = v.sin() * before);
            let mut placed = m.clone();
            azip!((index (i, j), p in &mut placed, &b in &products) *p += b * (i + 2 * j) as f64);
            Zip::indexed(&mut placed).and(m).for_each(|(i, _), p, &b| *p *= b + i as f64);
            let mut z = placed.slice(s![.., ..;-1]).to_owned();
            z.slice_mut(s![-1, 1..]).assign(&x.slice(s![..3]));
            z.slice_mut(s![..2, ..;2]).mapv_inplace(|v| v.cos());
            (sums, products, z)
        }
    }
}

#[test]
fn chunks_that_do_not_fill_the_axis_are_refused_when_the_function_runs() {
    #[differentiable]
    fn f(x: &Array1<f64>) -> f64 {
        x.axis_chunks_iter(Axis(0), 2).map(|c| c.product()).sum()
    }
    assert_eq!(f::grad(&array![1.0, 2.0, 3.0, 5.0]), array![2.0, 1.0, 5.0, 3.0]);
    let refused = std::panic::catch_unwind(|| f::grad(&array![1.0, 2.0, 3.0]));
    let message = refused.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("no multiple of 2"), "{message}");
}
