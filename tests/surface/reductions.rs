//! Sums, means, variances, products, extremes, folds.

use crate::common::{Argument, Outcome, matrix, vector};
use crate::{cube, generic};
use bilevel::prelude::*;

agree! {
    #[scalar]
    whole_arrays: (&cube(2, 3, 2)), (&cube(3, 2, 2).into_shape_with_order((2, 3, 2)).unwrap().cos()), 0.8, 1e-13, {
        fn f(x: &Array3<f64>) -> f64 {
            x.sum() * x.mean().unwrap() + x.product() * 10.0 + x.var(1.0) * x.std(0.0) + x.t().sum_axis(Axis(1)).product()
        }
    }
    along_axes: (&cube(2, 3, 4)), (&cube(2, 3, 4).cos()), &(matrix(3, 4), matrix(2, 4), matrix(2, 3)), 1e-13, {
        fn f(x: &Array3<f64>) -> (Array2<f64>, Array2<f64>, Array2<f64>) {
            let a = x.sum_axis(Axis(0)) * x.mean_axis(Axis(0)).unwrap() + x.var_axis(Axis(0), 1.0);
            let b = x.product_axis(Axis(1)) + x.std_axis(Axis(1), 0.0) * x.sum_axis(Axis(1));
            let c = x.mean_axis(Axis(2)).expect("elements") * x.product_axis(Axis(2)) + x.var_axis(Axis(2), 0.0) + x.std_axis(Axis(2), 1.0);
            (a, b, c)
        }
    }
    vectors_along_their_axis: (&vector(5)), (&vector(5).cos()), 0.8, 1e-13, {
        fn f(x: &Array1<f64>) -> f64 {
            let s = x.sum_axis(Axis(0)) * x.product_axis(Axis(0)) + x.mean_axis(Axis(0)).unwrap();
            s.into_scalar() + x.std_axis(Axis(0), 1.0).into_scalar()
        }
    }
    #[scalar]
    products_with_zeros: (&array![[0.5, 0.0, -1.5], [0.0, 0.0, 2.0], [0.7, 1.2, 0.9]]), (&matrix(3, 3)), 0.9, 1e-13, {
        fn f(x: &Array2<f64>) -> f64 { x.product_axis(Axis(1)).sum() + x.product_axis(Axis(0)).dot(&x.row(0)) + (x + 1.0).product() }
    }
    #[scalar]
    folds_that_are_reductions: (&matrix(3, 4), 0.4), (&matrix(3, 4).cos(), 0.3), 0.9, 1e-13, {
        fn f(x: &Array2<f64>, s: f64) -> f64 {
            let sum = x.fold(0.0, |acc, &v| acc + v * v) * x.fold(s, |acc, v| v.sin() + acc) + x.fold(s, |acc, v| acc - v.exp());
            let product = x.fold(1.0, |acc, &v| acc * (v + s)) + x.fold(s, |a, v| v * a);
            let largest = x.iter().cloned().fold(f64::NEG_INFINITY, f64::max) * x.iter().copied().fold(f64::INFINITY, f64::min);
            let bounded = x.fold(f64::NEG_INFINITY, |a, &b| a.max(b * b)) + x.iter().fold(s, |a, &b| f64::min(b, a)) + x.fold(0.0, |a, &b| b.max(a));
            sum + product * largest + bounded
        }
    }
    #[scalar]
    folds_that_are_loops: (&matrix(3, 4), 0.4), (&matrix(3, 4).cos(), 0.3), 0.9, 1e-13, {
        fn f(x: &Array2<f64>, s: f64) -> f64 {
            let state = x.fold(s, |acc, &v| (acc * 0.7 + v).tanh());
            let (p, q) = x.iter().fold((1.0, s), |(p, q), &v| (p * q + v, (q - v * p).sin()));
            state + p * q
        }
    }
    folds_along_axes: (&matrix(3, 4), 0.4), (&matrix(3, 4).cos(), 0.3), &(vector(4), vector(3), vector(4)), 1e-13, {
        fn f(x: &Array2<f64>, s: f64) -> (Array1<f64>, Array1<f64>, Array1<f64>) {
            let a = x.fold_axis(Axis(0), 0.0, |&acc, &v| acc + v * v);
            let b = x.fold_axis(Axis(1), s, |acc, v| acc.max(*v));
            let c = x.fold_axis(Axis(0), s, |&acc, &v| (acc * v + s).sin());
            (a, b, c)
        }
    }
    #[scalar]
    sums_of_iterators: (&vector(6), &vector(6).exp()), (&vector(6).cos(), &vector(6).sin()), 0.9, 1e-13, {
        fn f(x: &Array1<f64>, y: &Array1<f64>) -> f64 {
            let a = x.iter().sum::<f64>() * x.iter().map(|v| v * v).sum::<f64>();
            let b: f64 = x.iter().zip(y.iter()).map(|(&a, &b)| (a * b).sin()).sum();
            let c: f64 = x.iter().zip(y).map(|(a, b)| a - b).map(f64::abs).sum();
            let d = y.iter().map(|v| v + 1.0).product::<f64>() / x.iter().count() as f64;
            let e: f64 = x.iter().enumerate().map(|(i, v)| v * i as f64).sum::<f64>() * x.iter().len() as f64;
            let n = if x.iter().any(|&v| v > 0.5) && y.iter().all(|&v| v > 0.0) { 2.0 } else { 3.0 };
            a + b * c + d + e * n
        }
    }
    #[scalar]
    positions_of_extremes: (&vector(5).sin(), &matrix(3, 4).sin()), (&vector(5).cos(), &matrix(3, 4).cos()), 0.9, 1e-13, {
        fn f(x: &Array1<f64>, a: &Array2<f64>) -> f64 {
            let (i, j) = (argmax(x), argmin(&x.mapv(|v| v * v)));
            let best = argmax_axis(a, Axis(1));
            let worst = argmin_axis(&a.t(), Axis(0));
            let picked: f64 = (0..a.nrows()).map(|k| a[[k, best[k]]] * a[[k, worst[k]]]).sum();
            x[i] * x[j] + picked + max_axis(a, Axis(0)).dot(&min_axis(a, Axis(0)))
        }
    }
    #[scalar]
    cumulative_sums: (&vector(5), &matrix(3, 4), &cube(2, 3, 2)), (&vector(5).cos(), &matrix(3, 4).sin(), &cube(2, 3, 2).cos()), 0.9, 1e-13, {
        fn f(x: &Array1<f64>, a: &Array2<f64>, b: &Array3<f64>) -> f64 {
            let s = cumsum(&x.exp(), Axis(0)).sin().sum();
            let t = (cumsum(a, Axis(0)) * cumsum(a, Axis(1))).sum();
            s * t + norm(&cumsum(b, Axis(1))) + norm(x)
        }
    }
    choices_and_products: (&generic(3, 4), &matrix(3, 4).sin(), &cube(2, 3, 4), &cube(4, 2, 2)), (&matrix(3, 4).cos(), &matrix(3, 4), &cube(2, 3, 4).cos(), &cube(4, 2, 2).sin()), &(matrix(3, 4), matrix(4, 4), cube(2, 3, 2)), 1e-13, {
        fn f(a: &Array2<f64>, b: &Array2<f64>, c: &Array3<f64>, d: &Array3<f64>) -> (Array2<f64>, Array2<f64>, Array3<f64>) {
            let chosen = select(&a.mapv(|v| v > 0.0), &a.exp(), &(a * b));
            let product = outer(&a.row(0), &b.row(1));
            (chosen, product, batched_dot(c, &d.view().permuted_axes([1, 0, 2])))
        }
    }
    empty_axes: (&Array2::<f64>::zeros((0, 3)), 0.4), (&Array2::<f64>::zeros((0, 3)), 0.3), &(vector(3), 0.7), 1e-13, {
        fn f(x: &Array2<f64>, s: f64) -> (Array1<f64>, f64) {
            let total = x.sum_axis(Axis(0)) + x.product_axis(Axis(0)) * s;
            (total, x.sum() + x.product() * s * s + x.iter().map(|v| v * s).sum::<f64>() + x.fold(s, |a, &b| (a * b).sin()))
        }
    }
}
