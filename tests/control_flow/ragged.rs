//! Loops whose inner length depends on the turn of the outer one, or on data.

use bilevel::prelude::*;

use crate::common::{Argument, Outcome, matrix, vector};

agree! {
    #[scalar]
    triangular: (&matrix(5, 5), &vector(5)), (&matrix(5, 5).sin(), &vector(5).cos()), 0.8, 1e-12, {
        fn f(a: &Array2<f64>, x: &Array1<f64>) -> f64 {
            let mut s = 0.1;
            for i in 0..x.len() {
                let mut p = 1.0;
                for j in 0..i {
                    p = (p * a[[i, j]] + x[j]).sin();
                    for k in j..i {
                        p += a[[j, k]] * p * x[k];
                    }
                }
                s = s * 0.5 + p * x[i];
            }
            s
        }
    }
    #[scalar]
    lengths_from_data: (&vector(6), &array![3_usize, 0, 5, 1]), (&vector(6).cos()), 1.2, 1e-12, {
        fn f(x: &Array1<f64>, counts: &Array1<usize>) -> f64 {
            let mut s = 0.4_f64;
            for i in 0..counts.len() {
                for j in 0..counts[i] {
                    s = s.sin() + x[j] * s;
                }
            }
            s
        }
    }
    forward_substitution: (&(matrix(4, 4) + Array2::<f64>::eye(4) * 3.0), &vector(4)), (&matrix(4, 4).sin(), &vector(4).cos()), &vector(4).exp(), 1e-12, {
        fn f(l: &Array2<f64>, b: &Array1<f64>) -> Array1<f64> {
            let mut y = b.clone();
            for i in 0..b.len() {
                let mut s = b[i];
                for j in 0..i {
                    s -= l[[i, j]] * y[j];
                }
                y[i] = s / l[[i, i]];
            }
            y
        }
    }
    nothing_to_do: (&vector(3), 0_usize), (&vector(3).cos()), &vector(3).exp(), 1e-12, {
        fn f(x: &Array1<f64>, n: usize) -> Array1<f64> {
            let mut y = x.clone();
            for i in 0..n {
                for j in 0..i {
                    y[j] = y[j] * y[i];
                }
            }
            y * 2.0
        }
    }
    cholesky: (&(matrix(4, 4).dot(&matrix(4, 4).t()) + Array2::<f64>::eye(4) * 2.0)), (&matrix(4, 4)), &matrix(4, 4).exp(), 1e-11, {
        fn f(a: &Array2<f64>) -> Array2<f64> {
            let n = a.nrows();
            let mut l = Array2::zeros((n, n));
            for j in 0..n {
                let mut d = a[[j, j]];
                for k in 0..j {
                    d -= l[[j, k]] * l[[j, k]];
                }
                l[[j, j]] = d.sqrt();
                for i in j + 1..n {
                    let mut s = a[[i, j]];
                    for k in 0..j {
                        s -= l[[i, k]] * l[[j, k]];
                    }
                    l[[i, j]] = s / l[[j, j]];
                }
            }
            l
        }
    }
}
