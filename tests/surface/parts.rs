//! Slices, selections, arrays put together, the same elements in another shape.

use crate::common::{Argument, Outcome, matrix, vector};
use crate::cube;
use bilevel::prelude::*;
use ndarray::{NewAxis, arr1, arr2};

agree! {
    #[scalar]
    slices_of_vectors: (&vector(7), 2_usize), (&vector(7).cos()), 0.8, 1e-13, {
        fn f(x: &Array1<f64>, i: usize) -> f64 {
            let steps = &x.slice(s![1..]) - &x.slice(s![..-1]);
            let second = &x.slice(s![2..]) - &(2.0 * &x.slice(s![1..-1])) + x.slice(s![..-2]);
            let backwards = x.slice(s![..;-1]).dot(x);
            let every_other = x.slice(s![..;2]).to_owned().exp().sum() + x.slice(s![1..;2]).iter().map(|v| v * v).sum::<f64>();
            let window = x.slice(s![i..i + 3]).dot(&x.slice(s![-3..]));
            let fixed = x.slice(s![1..=3]).dot(&array![0.5, -1.0, 2.0]) + x.slice(s![-5..-1;-2]).sum();
            steps.dot(&steps) + second.sin().sum() * backwards + every_other * window + fixed + x.slice(s![..i]).product() + x.slice(s![i..]).sum()
        }
    }
    slices_of_matrices: (&matrix(4, 5), 1_usize), (&matrix(4, 5).cos()), &(vector(5), matrix(2, 3), cube(4, 1, 5)), 1e-13, {
        fn f(x: &Array2<f64>, i: usize) -> (Array1<f64>, Array2<f64>, Array3<f64>) {
            let row = x.slice(s![-1, ..]).exp() * x.slice(s![i, ..]);
            let block = x.slice(s![i..i + 2, 1..4]).to_owned() * x.clone().slice_move(s![..2, ..3]);
            let tall = x.slice(s![.., NewAxis, ..;-1]).exp();
            (row, block, tall)
        }
    }
    selections: (&matrix(4, 3), &vector(4), &array![2_usize, 0, 2, 3]), (&matrix(4, 3).cos(), &vector(4).sin()), &(matrix(4, 3), matrix(4, 3), vector(4)), 1e-13, {
        fn f(x: &Array2<f64>, v: &Array1<f64>, idx: &Array1<usize>) -> (Array2<f64>, Array2<f64>, Array1<f64>) {
            let picked = gather(&x.exp(), Axis(0), idx) + x.select(Axis(0), &[0, 1, 1, 2]);
            let sums = scatter_add(x, Axis(0), idx, &(&picked * &picked));
            (picked.sin(), sums, gather(v, Axis(0), idx).exp() * v)
        }
    }
    shapes: (&matrix(4, 6)), (&matrix(4, 6).cos()), &(cube(4, 2, 3), vector(24)), 1e-13, {
        fn f(x: &Array2<f64>) -> (Array3<f64>, Array1<f64>) {
            let a = x.exp().into_shape_with_order((4, 2, 3)).unwrap();
            let b = x.sin().into_shape_clone((4, 2, 3)).unwrap() * x.to_shape((4, 2, 3)).unwrap();
            let c = x.clone().into_shape_with_order(24).unwrap();
            (a * b, c.cos() + x.flatten().len() as f64 * c)
        }
    }
    #[scalar]
    flat: (&matrix(3, 4), &matrix(3, 4).sin()), (&matrix(3, 4).cos(), &matrix(3, 4)), 0.8, 1e-13, {
        fn f(x: &Array2<f64>, y: &Array2<f64>) -> f64 {
            let a = x.flatten().to_owned().exp();
            let b = y.exp().into_flat();
            a.sum() * b.product() + a[1] * b[5]
        }
    }
    #[scalar]
    joined: (&matrix(3, 4), &matrix(2, 4), &vector(4)), (&matrix(3, 4).cos(), &matrix(2, 4).sin(), &vector(4)), 0.8, 1e-13, {
        fn f(x: &Array2<f64>, y: &Array2<f64>, v: &Array1<f64>) -> f64 {
            let tall = concatenate![Axis(0), *x, *y];
            let wide = concatenate(Axis(1), &[x.view(), x.view()]).unwrap();
            let rows = stack![Axis(0), *v, x.row(1)];
            let columns = ndarray::stack(Axis(1), &[v.view(), v.view()]).unwrap();
            tall.exp().dot(v).sum() * wide.sin().sum() + rows.dot(&columns).sum()
        }
    }
    literals: (0.7, -0.4, &vector(3)), (0.3, 0.2, &vector(3).cos()), &(vector(3), matrix(2, 2), vector(3)), 1e-13, {
        fn f(a: f64, b: f64, x: &Array1<f64>) -> (Array1<f64>, Array2<f64>, Array1<f64>) {
            let v = array![a, b * a, 1.0] * x;
            let m = arr2(&[[a.cos(), -a.sin()], [a.sin(), a.cos()]]).dot(&array![[b, 2.0], [a, x[1]]]);
            (v + arr1(&[1.0, a, b]), m, Array1::from_vec(vec![a, x[0], b]) * x)
        }
    }
}
