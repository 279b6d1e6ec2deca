//! Loops and statements that build arrays part by part.

use bilevel::prelude::*;
use ndarray::{Zip, azip, s};

use crate::common::{Argument, Outcome, matrix, vector};

agree! {
    elements: (&vector(5), &matrix(5, 3)), (&vector(5).sin(), &matrix(5, 3).cos()), &matrix(5, 3).exp(), 1e-13, {
        fn f(x: &Array1<f64>, a: &Array2<f64>) -> Array2<f64> {
            let mut y = Array2::zeros((x.len(), a.ncols()));
            for i in 0..x.len() {
                for j in 0..a.ncols() {
                    y[[i, j]] = a[[i, j]] * x[i].sin();
                    if j > 0 {
                        y[[i, j]] -= y[[i, j - 1]] * x[i];
                        y[(i, j)] *= 1.5;
                    }
                }
                y[[i, 0]] += x[i];
                y[[i, 0]] /= 1.0 + x[i] * x[i];
            }
            y
        }
    }
    recurrences: (&vector(6), 0.7), (&vector(6).cos(), 0.2), &vector(6).exp(), 1e-13, {
        fn f(x: &Array1<f64>, decay: f64) -> Array1<f64> {
            let mut y = x.clone();
            for i in 1..x.len() {
                y[i] = decay * y[i - 1] + x[i].sin();
            }
            let mut z = Array1::ones(x.len());
            for i in 0..x.len() {
                z[i] += y[x.len() - i - 1] * z[0];
            }
            z.swap(0, 2);
            z
        }
    }
    rows_columns_and_slices: (&matrix(4, 3), &vector(3), 0.6), (&matrix(4, 3).sin(), &vector(3).cos(), 1.2), &matrix(4, 3).cos(), 1e-13, {
        fn f(a: &Array2<f64>, x: &Array1<f64>, t: f64) -> Array2<f64> {
            let mut y = a.clone();
            y.row_mut(1).assign(x);
            y.column_mut(2).fill(t);
            y.row_mut(0).mapv_inplace(|v| v.sin() * t);
            for i in 2..a.nrows() {
                y.row_mut(i).scaled_add(t, x);
                y.row_mut(i)[0] *= 2.0;
            }
            y.slice_mut(s![1..4;2, 1..]).fill(t * t);
            y.slice_mut(s![..;-1, 0]).mapv_inplace(|v| v + t);
            y
        }
    }
    whole_arrays: (&matrix(3, 4), &matrix(3, 4).cos(), 0.6), (&matrix(3, 4).sin(), &matrix(3, 4), 1.2), &matrix(3, 4).exp(), 1e-13, {
        fn f(a: &Array2<f64>, b: &Array2<f64>, t: f64) -> Array2<f64> {
            let mut y = a.clone();
            y.assign(b);
            y.mapv_inplace(|v| v * v + t);
            y.scaled_add(t, a);
            y.zip_mut_with(b, |v, &w| *v = *v * w + t);
            azip!((v in &mut y, &w in a, &u in b) *v += w * u);
            azip!((v in &mut y, &w in a) { if w > 0.0 { *v *= w; } else { *v -= t; } });
            Zip::from(&mut y).and(a).for_each(|v, &w| *v = v.sin() + w);
            y.iter_mut().zip(b.iter()).for_each(|(v, &w)| *v += w);
            y.iter_mut().for_each(|v| *v *= 2.0);
            y.map_inplace(|v| *v = v.exp());
            y += a;
            y *= 0.5;
            let mut z = y.clone();
            z.fill(t);
            y + z
        }
    }
    mutable_iterators: (&matrix(3, 4), &vector(4)), (&matrix(3, 4).sin(), &vector(4).cos()), &matrix(3, 4).exp(), 1e-13, {
        fn f(a: &Array2<f64>, x: &Array1<f64>) -> Array2<f64> {
            let mut y = a.clone();
            for mut row in y.rows_mut() {
                row += x;
                row[1] *= 3.0;
                for j in 1..x.len() {
                    row[j] = row[j - 1] * 0.5 + row[j];
                }
            }
            for v in y.iter_mut() {
                *v = v.sin();
            }
            for (i, mut row) in y.outer_iter_mut().enumerate() {
                row *= i as f64 + 0.5;
            }
            for (mut column, &v) in y.columns_mut().into_iter().zip(x.iter()) {
                column *= v;
            }
            for (v, &w) in y.iter_mut().zip(a.iter()) {
                if w > 0.0 {
                    *v += w * *v;
                }
            }
            for v in &mut y {
                *v -= 0.1;
            }
            y
        }
    }
    named_views: (&matrix(3, 4), &vector(4)), (&matrix(3, 4).sin(), &vector(4).cos()), &matrix(3, 4).exp(), 1e-13, {
        fn f(a: &Array2<f64>, x: &Array1<f64>) -> Array2<f64> {
            let mut y = a.clone();
            let mut first = y.row_mut(0);
            first.assign(x);
            first[2] += 1.0;
            let before = y.row(0).to_owned();
            {
                let mut last = y.slice_mut(s![1.., ..2]);
                last[[0, 1]] *= 4.0;
                last.fill(0.5);
                last[[1, 0]] = x[3];
            }
            let mut rest = y.slice_mut(s![-1, ..]);
            for j in 0..4 {
                rest[j] += x[j] * before[j];
            }
            y
        }
    }
    arrays_of_integers_and_tuples: (&vector(5), &array![2_usize, 0, 1, 2, 1]), (&vector(5).cos()), &vector(3).exp(), 1e-13, {
        fn f(x: &Array1<f64>, labels: &Array1<usize>) -> Array1<f64> {
            let mut sums = Array1::zeros(3);
            let mut both = (Array1::<f64>::zeros(3), 0.5);
            for i in 0..x.len() {
                sums[labels[i]] += x[i] * x[i];
                both.0[labels[i]] += 1.0;
                both.1 += x[i];
            }
            sums / both.0 * both.1
        }
    }
    every_other_view: (&matrix(3, 4)), (&matrix(3, 4).sin()), &matrix(3, 4).cos(), 1e-13, {
        fn f(x: &Array2<f64>) -> Array2<f64> {
            let mut y = x.sin();
            y.view_mut().mapv_inplace(|v| v * (1.0 + v));
            y.index_axis_mut(Axis(1), 2).assign(&x.column(0));
            for ((i, j), v) in y.indexed_iter_mut() {
                *v *= x[[i, j]] + i as f64;
            }
            for (mut column, row) in y.axis_iter_mut(Axis(0)).zip(x.rows()) {
                column[1] += row.dot(&row);
            }
            y
        }
    }
}
