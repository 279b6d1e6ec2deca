//! Axes, lengths, parts, constructors, products.

use crate::common::{Argument, Outcome, matrix, vector};
use crate::cube;
use bilevel::prelude::*;

agree! {
    slices: (&matrix(3, 4)), (&matrix(3, 4).cos()), &matrix(2, 2), 1e-13, {
        fn f(x: &Array2<f64>) -> Array2<f64> {
            x.slice(s![1.., ..;2]).mapv(f64::exp) * x.slice(s![..-1, ..=-2;2])
        }
    }
    orders_of_axes: (&cube(2, 3, 4)), (&cube(2, 3, 4).cos()), &(cube(4, 2, 3), cube(4, 3, 2)), 1e-13, {
        fn f(x: &Array3<f64>) -> (Array3<f64>, Array3<f64>) {
            let y = x.clone().permuted_axes([2, 0, 1]).exp() * x.view().permuted_axes((2, 0, 1));
            (y, x.t().to_owned() * x.to_owned().reversed_axes() + x.sum())
        }
    }
    new_and_old_axes: (&vector(3), &vector(4)), (&vector(3).cos(), &vector(4).sin()), &(matrix(3, 4), cube(2, 3, 4)), 1e-13, {
        fn f(a: &Array1<f64>, b: &Array1<f64>) -> (Array2<f64>, Array3<f64>) {
            let outer = &a.view().insert_axis(Axis(1)) * b;
            let tall = b.view().insert_axis(Axis(0)).remove_axis(Axis(0)).exp();
            let wide = outer.broadcast((2, a.len(), b.len())).unwrap();
            (&outer * &tall, &wide * &wide + outer.sum())
        }
    }
    shapes_of_others: (&vector(4), &matrix(3, 4)), (&vector(4).cos(), &matrix(3, 4).sin()), &matrix(3, 4), 1e-13, {
        fn f(v: &Array1<f64>, x: &Array2<f64>) -> Array2<f64> {
            let wide = v.broadcast(x.raw_dim()).unwrap().to_owned();
            let again = v.broadcast(x.dim()).unwrap().into_owned();
            let (n, m) = x.dim();
            let scale = (n * x.ncols() + m * x.nrows() + x.len() + x.shape()[1] + x.len_of(Axis(0)) + x.ndim()) as f64;
            wide * x * scale + again.exp()
        }
    }
    parts: (&cube(3, 4, 2), 1_usize), (&cube(3, 4, 2).cos()), &(matrix(4, 2), vector(2), vector(4)), 1e-13, {
        fn f(x: &Array3<f64>, i: usize) -> (Array2<f64>, Array1<f64>, Array1<f64>) {
            let a = x.index_axis(Axis(0), i).exp() + x.index_axis(Axis(0), 2);
            let b = x.index_axis(Axis(1), 3).row(i + 1).to_owned() * a.row(0);
            let c = x.clone().index_axis_move(Axis(2), 0).row(0).to_owned() + &a.column(i) * x[[0, 1, i]];
            (a, b, c)
        }
    }
    diagonals: (&matrix(3, 3), &vector(3)), (&matrix(3, 3).cos(), &vector(3).sin()), &(vector(3), matrix(3, 3)), 1e-13, {
        fn f(x: &Array2<f64>, v: &Array1<f64>) -> (Array1<f64>, Array2<f64>) {
            let y = x.exp();
            (x.diag().to_owned() * v + y.into_diag(), Array2::from_diag(&(v * v)) * x + Array2::from_diag_elem(3, v.sum()).dot(x))
        }
    }
    constructors: (&vector(4), 0.7, 1_usize), (&vector(4).cos(), -0.2), &(vector(4), matrix(4, 4)), 1e-13, {
        fn f(x: &Array1<f64>, s: f64, k: usize) -> (Array1<f64>, Array2<f64>) {
            let n = x.len();
            let y = Array1::<f64>::zeros(x.len()) + Array1::<f64>::ones(x.raw_dim()) * x + Array1::from_elem(4, s * s);
            let grid = Array1::linspace(s, 2.0, x.len()) * x + Array::linspace(0.0, 1.0, 4);
            let table = Array2::from_shape_fn((n, n), |(i, j)| (s * i as f64).sin() + (j as f64) * s);
            let looked_up = Array2::from_shape_fn((n, n), |(i, j)| x[i] * x[k] + x[j]);
            let ramp = Array1::from_shape_fn(n, |i| i as f64 * s);
            let squares = Array1::from_iter(x.iter().map(|v| v * v));
            (y + grid * squares, (Array2::<f64>::eye(n) + table) * looked_up + ramp)
        }
    }
    copies: (&vector(4)), (&vector(4).cos()), &vector(4), 1e-13, {
        fn f(x: &Array1<f64>) -> Array1<f64> {
            let y: Array1<f64> = x.view().reborrow().to_owned().clone().into();
            let z = x.as_standard_layout().into_owned().into_shared().to_shared();
            y * z.to_owned() + x.sum_axis(Axis(0)).into_scalar()
        }
    }
    products: (&matrix(3, 4), &vector(4), &vector(3)), (&matrix(3, 4).cos(), &vector(4).sin(), &vector(3).exp()), &(matrix(3, 3), 0.4), 1e-13, {
        fn f(a: &Array2<f64>, x: &Array1<f64>, y: &Array1<f64>) -> (Array2<f64>, f64) {
            (a.dot(&a.t()), y.dot(&a.dot(x)) + y.dot(a).dot(x) + x.dot(x))
        }
    }
    #[scalar]
    functions_of_this_crate: (&matrix(4, 3), &matrix(4, 3).sin(), &array![0_usize, 2, 1, 2], 0.3_f32), (&matrix(4, 3).cos(), &matrix(4, 3), 0.1_f32), 0.7, 1e-6, {
        fn f(z: &Array2<f64>, t: &Array2<f64>, y: &Array1<usize>, s: f32) -> f64 {
            let p = softmax(z);
            mse(&p, t) + cross_entropy(z, y) * log_sum_exp(t).sum() + f64::from(s) * z.sum()
        }
    }
    #[scalar]
    assertions: (&vector(3)), (&vector(3).cos()), 0.7, 1e-13, {
        fn f(x: &Array1<f64>) -> f64 {
            assert!(x.len() > 2, "too short");
            assert_eq!(x.len(), 3);
            assert_ne!(x.len(), 4);
            debug_assert!(x.len() > 2);
            debug_assert_eq!(x.len(), 3);
            debug_assert_ne!(x.len(), 4);
            x.exp().sum()
        }
    }
    operators: (&matrix(3, 4), &vector(4), 0.6), (&matrix(3, 4).cos(), &vector(4).sin(), 0.2), &matrix(3, 4), 1e-13, {
        fn f(a: &Array2<f64>, x: &Array1<f64>, s: f64) -> Array2<f64> {
            let mut y = 2.0 * a + x / 3.0 - s;
            y += x;
            y -= &(a * s);
            y *= &(x.exp() + 1.0);
            y /= 2.0 + s;
            y %= 1.7;
            y += s;
            -&y * 1.5 + (1.0 - &y) / (2.0 + &y * &y) + a * a
        }
    }
    the_same_array_twice: (&vector(3), &vector(3)), (&vector(3).cos(), &vector(3).sin()), &vector(3), 1e-13, {
        fn f(x: &Array1<f64>, y: &Array1<f64>) -> Array1<f64> {
            let z = x * y;
            &z * &z + Zip::from(x).and(x).and(&z).map_collect(|a, b, c| a * b * c)
        }
    }
}
