//! Closures over elements, lanes and positions; iterators; `Zip`.

use crate::common::{Argument, Outcome, matrix, vector};
use crate::{cube, generic};
use bilevel::prelude::*;

agree! {
    maps: (&generic(3, 4), 0.3), (&matrix(3, 4).cos(), 0.2), &matrix(3, 4), 1e-13, {
        fn f(x: &Array2<f64>, s: f64) -> Array2<f64> {
            let squash = |v: f64| (v * s).tanh();
            let y = x.mapv(squash) + x.map(|v| v * v) * x.clone().mapv_into(f64::sin);
            let twice = |v: f64| squash(squash(v));
            y.mapv(|v| if v > s { twice(v) } else { v.abs() })
        }
    }
    maps_that_look_up: (&vector(4), &matrix(3, 4), &array![2_usize, 0, 1]), (&vector(4).cos(), &matrix(3, 4).sin()), &(vector(3), vector(4)), 1e-13, {
        fn f(w: &Array1<f64>, x: &Array2<f64>, idx: &Array1<usize>) -> (Array1<f64>, Array1<f64>) {
            let picked = idx.mapv(|i| w[i] * x[[i, 1]]);
            let sums = w.mapv(|v| {
                let mut total = 0.0;
                for i in 0..x.nrows() {
                    total += (v * x[[i, 0]]).sin();
                }
                total
            });
            (picked, sums)
        }
    }
    lanes: (&cube(2, 3, 4), &vector(4)), (&cube(2, 3, 4).cos(), &vector(4).sin()), &(matrix(2, 3), matrix(3, 4)), 1e-13, {
        fn f(x: &Array3<f64>, w: &Array1<f64>) -> (Array2<f64>, Array2<f64>) {
            (x.map_axis(Axis(2), |lane| lane.dot(w).tanh()), x.map_axis(Axis(0), |lane| lane.sum() * lane[1]))
        }
    }
    #[scalar]
    rows_and_columns: (&matrix(3, 4), &vector(4), &vector(3)), (&matrix(3, 4).cos(), &vector(4).sin(), &vector(3).exp()), 0.8, 1e-13, {
        fn f(x: &Array2<f64>, w: &Array1<f64>, y: &Array1<f64>) -> f64 {
            let a: f64 = x.rows().into_iter().zip(y.iter()).map(|(row, &t)| (row.dot(w) - t).powi(2)).sum();
            let b: f64 = x.outer_iter().map(|row| row.dot(&row).sqrt()).sum();
            let c: f64 = x.columns().into_iter().map(|column| column.dot(y).tanh()).product();
            let d = x.axis_iter(Axis(1)).enumerate().map(|(j, column)| column.sum() * w[j]).fold(0.0, |acc, v| acc + v);
            let e: f64 = x.lanes(Axis(0)).into_iter().map(|lane| lane.product()).sum();
            let g = x.rows().into_iter().fold(1.0, |acc, row| (acc + row.sum()).sin());
            let h: f64 = x.indexed_iter().map(|((i, j), &v)| v * (i + 2 * j) as f64).sum();
            a + b * c + d * e + g * h
        }
    }
    #[scalar]
    ranges: (&vector(5), &matrix(5, 5)), (&vector(5).cos(), &matrix(5, 5).sin()), 0.8, 1e-13, {
        fn f(x: &Array1<f64>, a: &Array2<f64>) -> f64 {
            let n = x.len();
            let s: f64 = (0..n).map(|i| x[i] * a[[i, i]]).sum();
            let t: f64 = (1..n).map(|i| (x[i] - x[i - 1]).powi(2)).sum();
            let u: f64 = (0..n).map(|i| (0..n).map(|j| a[[i, j]] * x[j]).sum::<f64>().tanh()).sum();
            let v = (0..n).fold(1.0, |acc, i| acc * x[i] + 0.5);
            s + t * u + v
        }
    }
    collections: (&vector(5)), (&vector(5).cos()), &(vector(5), 0.4), 1e-13, {
        fn f(x: &Array1<f64>) -> (Array1<f64>, f64) {
            let squares = x.iter().map(|v| v * v).collect::<Array1<f64>>();
            let steps: Array1<f64> = (1..x.len()).map(|i| x[i] - x[i - 1]).collect();
            let all: Vec<f64> = x.into_iter().map(|v| v.sin()).collect();
            (squares * all[1] + all.iter().by_ref().sum::<f64>() * all.len() as f64, steps.dot(&steps))
        }
    }
    zips: (&generic(3, 4), &generic(3, 4).exp(), &vector(4)), (&matrix(3, 4).cos(), &matrix(3, 4), &vector(4)), &(matrix(3, 4), matrix(3, 4), vector(3)), 1e-13, {
        fn f(a: &Array2<f64>, b: &Array2<f64>, w: &Array1<f64>) -> (Array2<f64>, Array2<f64>, Array1<f64>) {
            let p = Zip::from(a).and(b).map_collect(|&x, &y| if x > y { x * y } else { x.exp() });
            let q = Zip::indexed(a).and_broadcast(w).map_collect(|(i, j), &x, &v| x * v + (i * 3 + j) as f64 * x);
            let r = Zip::from(a.rows()).and(b.rows()).map_collect(|x, y| x.dot(&y) * w[0]);
            let s = Zip::from(a).and(b).fold(0.0, |acc, &x, &y| acc + x * y);
            let t = Zip::from(a).and(b).fold(0.3, |acc, &x, &y| (acc * x + y).sin());
            let inside = Zip::from(a).and(b).all(|&x, &y| x < y + 10.0);
            let scale = if inside && Zip::from(a).any(|&x| x > 0.5) { 2.0 } else { 1.0 };
            (p * s, q * t, r * scale)
        }
    }
}
