//! The kernels of generated problems: every derivative against differences, in all forms of variables and data, and every check at the entry.

#![deny(warnings)]

use bilevel::prelude::*;
use bilevel::{Error, Params};

/// All kernels of a problem at a point against differences of the two losses, which are given as functions of the flat variables.
fn check<P: BilevelProblem<Float = f64>>(
    problem: &P,
    inner: &P::Inner,
    outer: &P::Outer,
    inner_loss: impl Fn(&P::Inner, &P::Outer) -> f64,
    outer_loss: impl Fn(&P::Inner, &P::Outer) -> f64,
) {
    let elements = |n: usize, write: &dyn Fn(&mut [f64])| {
        let mut out = vec![0.0; n];
        write(&mut out);
        out
    };
    let (n, m) = (inner.n_elements(), outer.n_elements());
    let (w, lambda) = (elements(n, &|out| inner.write_to(out)), elements(m, &|out| outer.write_to(out)));
    let f = |w: &[f64], l: &[f64]| inner_loss(&inner.with_elements(w), &outer.with_elements(l));
    let g = |w: &[f64], l: &[f64]| outer_loss(&inner.with_elements(w), &outer.with_elements(l));
    let mut workspace = problem.workspace(inner, outer).unwrap();

    // Two rounds, since the second finds what the first left in the buffers.
    for round in 0..2 {
        let mut w_bar = vec![f64::NAN; n];
        let value = problem.inner_value_and_grad(&mut workspace, &w, &lambda, &mut w_bar);
        close(&[value], &[f(&w, &lambda)], 1e-13, "inner loss");
        close(&w_bar, &differences(&w, |w| f(w, &lambda)), 1e-8, "inner gradient");

        let mut lambda_bar = vec![f64::NAN; m];
        let value = problem.inner_value_and_outer_grad(&mut workspace, &w, &lambda, &mut lambda_bar);
        close(&[value], &[f(&w, &lambda)], 1e-13, "inner loss");
        close(&lambda_bar, &differences(&lambda, |l| f(&w, l)), 1e-8, "inner gradient in the outer variable");

        let (mut outer_w, mut outer_l) = (vec![f64::NAN; n], vec![f64::NAN; m]);
        let value = problem.outer_value_and_grad(&mut workspace, &w, &lambda, &mut outer_w, &mut outer_l);
        close(&[value], &[g(&w, &lambda)], 1e-13, "outer loss");
        close(&outer_w, &differences(&w, |w| g(w, &lambda)), 1e-8, "outer gradient in the inner variable");
        close(&outer_l, &differences(&lambda, |l| g(&w, l)), 1e-8, "outer gradient in the outer variable");

        problem.inner_curvature(&mut workspace, &w, &lambda);
        for k in 0..3 {
            let v: Vec<f64> = (0..n).map(|i| ((i + k) as f64 * 1.3 + 0.2 + round as f64).sin()).collect();
            let (mut alone, mut hessian, mut mixed) = (vec![f64::NAN; n], vec![f64::NAN; n], vec![f64::NAN; m]);
            problem.curvature_apply(&mut workspace, &v, &mut alone, None);
            problem.curvature_apply(&mut workspace, &v, &mut hessian, Some(&mut mixed));
            assert_eq!(alone, hessian);
            // The products are the derivatives along `v` of the gradients, which are differences of the loss themselves.
            let along = |t: f64| w.iter().zip(&v).map(|(w, v)| w + t * v).collect::<Vec<f64>>();
            let mut gradient = |w: &[f64]| {
                let mut w_bar = vec![0.0; n];
                problem.inner_value_and_grad(&mut workspace, w, &lambda, &mut w_bar);
                w_bar
            };
            let h = 1e-4;
            let expected: Vec<f64> = gradient(&along(h)).iter().zip(gradient(&along(-h))).map(|(a, b)| (a - b) / (2.0 * h)).collect();
            close(&hessian, &expected, 1e-6, "Hessian product");
            let slope = |l: &[f64]| (f(&along(h), l) - f(&along(-h), l)) / (2.0 * h);
            close(&mixed, &differences(&lambda, slope), 1e-5, "mixed product");
            problem.inner_curvature(&mut workspace, &w, &lambda);
        }
    }
}

/// Central differences in every coordinate.
fn differences(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let h = 1e-4;
    let shifted = |i: usize, t: f64| {
        let mut x = x.to_vec();
        x[i] += t;
        f(&x)
    };
    (0..x.len()).map(|i| (8.0 * (shifted(i, h) - shifted(i, -h)) - (shifted(i, 2.0 * h) - shifted(i, -2.0 * h))) / (12.0 * h)).collect()
}

#[track_caller]
fn close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
    let fine = found.iter().zip(expected).all(|(f, e)| (f - e).abs() <= tolerance * largest);
    assert!(fine, "{what}: found {found:?}, expected {expected:?}");
}

fn vector(n: usize) -> Array1<f64> {
    Array1::from_iter((0..n).map(|i| (1.7 * i as f64 + 0.3).sin()))
}

fn matrix(n: usize, m: usize) -> Array2<f64> {
    Array2::from_shape_fn((n, m), |(i, j)| (0.9 * i as f64 - 1.3 * j as f64 + 0.2).cos())
}

#[bilevel]
mod weight_decay {
    use super::*;

    #[inner(minimize = w)]
    pub(super) fn train(w: &Array2<f64>, log_l2: &Array2<f64>, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        let penalty = 0.5 * (log_l2.exp() * w * w).sum();
        cross_entropy(&x.dot(w), y) + penalty
    }

    #[outer(minimize = log_l2)]
    pub(super) fn validate(w: &Array2<f64>, x_val: &Array2<f64>, y_val: &Array1<usize>) -> f64 {
        cross_entropy(&x_val.dot(w), y_val)
    }
}

#[test]
fn one_array_each() {
    let (x, y, x_val, y_val) = (matrix(7, 4), array![0, 2, 1, 2, 0, 1, 1], matrix(5, 4), array![2, 1, 0, 1, 2]);
    let problem = weight_decay::Problem { x: &x, y: &y, x_val: &x_val, y_val: &y_val };
    let (w, l) = (matrix(4, 3), matrix(4, 3).sin());
    check(&problem, &w, &l, |w, l| weight_decay::train(w, l, &x, &y), |w, _| weight_decay::validate(w, &x_val, &y_val));
}

#[test]
fn data_of_another_layout_is_the_same_data() {
    let (x, y, x_val, y_val) = (matrix(7, 4), array![0, 2, 1, 2, 0, 1, 1], matrix(5, 4), array![2, 1, 0, 1, 2]);
    let turned = x.t().as_standard_layout().into_owned().reversed_axes();
    assert!(turned.as_slice().is_none() && turned == x);
    let (w, l) = (matrix(4, 3), matrix(4, 3).sin());
    let gradient = |x: &Array2<f64>| {
        let problem = weight_decay::Problem { x, y: &y, x_val: &x_val, y_val: &y_val };
        let mut workspace = problem.workspace(&w, &l).unwrap();
        let mut w_bar = vec![0.0; 12];
        problem.inner_value_and_grad(&mut workspace, w.as_slice().unwrap(), l.as_slice().unwrap(), &mut w_bar);
        w_bar
    };
    assert_eq!(gradient(&x), gradient(&turned));
}

/// Several variables on both sides, numbers among them, data by value and as views, and an outer loss that takes some variables only.
#[bilevel]
mod several {
    use super::*;

    #[inner(minimize(w, b, v))]
    pub(super) fn train(
        w: &Array1<f64>,
        b: &f64,
        v: &Array2<f64>,
        log_scale: &f64,
        shift: &Array1<f64>,
        x: ArrayView2<'_, f64>,
        t: &Array1<f64>,
        weight: f64,
        power: usize,
    ) -> f64 {
        let hidden = (x.dot(v) + *b).tanh();
        let mut total = 0.0;
        for k in 0..power {
            total += (w * &(shift - w)).sum() * weight / (1 + k) as f64;
        }
        mse(&hidden.dot(w), t) * log_scale.exp() + 0.3 * (v * v).sum() + b * b - total
    }

    #[outer(minimize(shift, log_scale))]
    pub(super) fn validate(v: &Array2<f64>, w: &Array1<f64>, shift: &Array1<f64>, x: ArrayView2<'_, f64>) -> f64 {
        (x.dot(v).dot(w) * 0.5).sum() + (shift * shift).sum()
    }
}

#[test]
fn several_variables() {
    let (x, t) = (matrix(3, 6), vector(6));
    let problem = several::Problem { x: x.t(), t: &t, weight: 0.7, power: 3 };
    let (inner, outer) = ((vector(2), 0.4, matrix(3, 2)), (vector(2).cos(), -0.3));
    check(
        &problem,
        &inner,
        &outer,
        |(w, b, v), (shift, log_scale)| several::train(w, b, v, log_scale, shift, x.t(), &t, 0.7, 3),
        |(w, _, v), (shift, _)| several::validate(v, w, shift, x.t()),
    );
}

/// No data, and both variables are numbers.
#[bilevel]
mod numbers {
    #[inner(minimize = z)]
    pub(super) fn inner(z: &f64, lambda: &f64) -> f64 {
        if *lambda > 0.0 { (z - lambda).powi(2) * lambda.exp() + z.powi(4) } else { z * z * lambda }
    }

    #[outer(minimize = lambda)]
    pub(super) fn outer(z: &f64, lambda: &f64) -> f64 {
        (z * lambda).sin()
    }
}

#[test]
fn numbers_without_data() {
    check(&numbers::Problem {}, &0.6, &0.8, numbers::inner, numbers::outer);
    check(&numbers::Problem {}, &0.6, &-0.8, numbers::inner, numbers::outer);
}

/// Names that generated code uses as well, and a position in the data.
#[bilevel]
mod awkward {
    use super::*;

    #[inner(minimize = inner)]
    pub(super) fn train(inner: &Array1<f64>, outer: &Array1<f64>, workspace: &Array2<f64>, buffers: usize, rest: &Array1<usize>) -> f64 {
        let mut mixed = 0.0;
        for i in 0..rest.len() {
            mixed += inner[rest[i]] * outer[rest[i]];
        }
        let residuals = workspace.dot(inner) - workspace.row(buffers).sum();
        (&residuals * &residuals).sum() + mixed + inner.powi(4).sum()
    }

    #[outer(minimize = outer)]
    pub(super) fn validate(inner: &Array1<f64>, outer: &Array1<f64>) -> f64 {
        inner.dot(outer)
    }
}

#[test]
fn names_of_generated_code_are_free_to_use() {
    let (a, rest) = (matrix(4, 3), array![0, 2, 2, 1]);
    let problem = awkward::Problem { workspace: &a, buffers: 2, rest: &rest };
    check(&problem, &vector(3), &vector(3).cos(), |w, l| awkward::train(w, l, &a, 2, &rest), awkward::validate);
}

#[test]
fn bad_input_is_an_error_that_names_it() {
    let (w, l) = (matrix(4, 3), matrix(4, 3));
    let (x, y, x_val, y_val) = (matrix(7, 4), array![0, 2, 1, 2, 0, 1, 1], matrix(5, 4), array![2, 1, 0, 1, 2]);
    let error = |x: &Array2<f64>, y: &Array1<usize>, x_val: &Array2<f64>, y_val: &Array1<usize>, w: &Array2<f64>, l: &Array2<f64>| {
        match (weight_decay::Problem { x, y, x_val, y_val }).workspace(w, l) {
            Ok(_) => panic!("an error was expected"),
            Err(error) => error,
        }
    };
    let named = |error: Error, parts: &[&str]| {
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    named(error(&matrix(7, 5), &y, &x_val, &y_val, &w, &l), &["`x` (shape [7, 5])", "`w` (shape [4, 3])"]);
    named(error(&x, &array![0, 1], &x_val, &y_val, &w, &l), &["`y` (shape [2])", "`x` (shape [7, 4])"]);
    named(error(&x, &y, &matrix(5, 3), &y_val, &w, &l), &["`x_val` (shape [5, 3])", "`w` (shape [4, 3])"]);
    named(error(&x, &y, &x_val, &y_val, &w, &matrix(3, 3)), &["`log_l2` (shape [3, 3])", "`w` (shape [4, 3])"]);
    named(error(&x, &y, &x_val, &array![2, 1, 0, 1, 3], &w, &l), &["`y_val` contains the index 3 at position 4", "0..3"]);
    named(error(&x, &array![0, 9, 1, 2, 0, 1, 1], &x_val, &y_val, &w, &l), &["`y` contains the index 9 at position 1", "0..3"]);
    let mut bad = x.clone();
    bad[[2, 1]] = f64::NAN;
    named(error(&bad, &y, &x_val, &y_val, &w, &l), &["`x` contains NaN at position 9"]);
    named(error(&matrix(0, 4), &Array1::zeros(0), &x_val, &y_val, &w, &l), &["`x` is empty (shape [0, 4])"]);

    let a = matrix(4, 3);
    let at = |buffers: usize, rest: Array1<usize>| match (awkward::Problem { workspace: &a, buffers, rest: &rest })
        .workspace(&vector(3), &vector(3))
    {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error,
    };
    named(at(4, array![0]), &["`buffers` is 4", "0..4"]);
    named(at(0, array![0, 3]), &["`rest` contains the index 3 at position 1", "0..3"]);

    let x = matrix(3, 6);
    let infinite = several::Problem { x: x.t(), t: &vector(6), weight: f64::INFINITY, power: 3 };
    let Err(error) = infinite.workspace(&(vector(2), 0.4, matrix(3, 2)), &(vector(2), 0.0)) else { panic!("an error was expected") };
    named(error, &["`weight` contains inf"]);
}
