//! The surroundings of these functions are as unhelpful as they can be: the crate is renamed, nothing is in scope that is not imported, names of types, of the
//! crate's functions, and of what the macros generate are taken, and every warning is an error. The derivatives must be right all the same.

#![no_implicit_prelude]
#![deny(warnings)]
#![deny(clippy::all)]

extern crate std;

/// What would be taken for the prelude's, if generated code named it without its path.
#[allow(dead_code, non_camel_case_types, reason = "only the names matter")]
mod decoys {
    pub(crate) struct Vec;
    pub(crate) struct Option;
    pub(crate) struct Box;
    pub(crate) struct String;
    pub(crate) struct Result;
    pub(crate) struct Default;
    pub(crate) struct Clone;
    pub(crate) struct Some;
    pub(crate) struct Ok;
    // With braces, so that they are types only and variables may have their names.
    pub(crate) struct core {}
    pub(crate) struct std {}
    pub(crate) struct rt {}
    pub(crate) struct bilevel {}
    pub(crate) struct ndarray {}
}

/// Functions by themselves.
pub mod functions {
    #[allow(unused_imports, reason = "that they are there is the test")]
    use crate::decoys::{Box, Clone, Default, Ok, Option, Result, Some, String, Vec, bilevel, core, ndarray, rt, std};
    use ::renamed::ndarray::{Array1, Array2, s};
    use ::renamed::{Params, differentiable, grad};

    /// Variables called like types, like generated variables, and like the crate's functions.
    #[must_use]
    #[differentiable(crate = ::renamed)]
    pub fn taken_names(w: &Array1<f64>, x_dot: f64) -> f64 {
        let f64 = w * x_dot;
        let w_bar = &f64 * 2.0;
        let rt = w_bar.sum();
        let b = rt * rt;
        let y_bar = b + x_dot;
        let softmax = y_bar * 0.5;
        softmax * x_dot
    }

    /// Parameters called like what generated functions add to them.
    #[must_use]
    #[differentiable(crate = ::renamed)]
    pub fn suffixes(x: f64, x_bar: f64, x_dot: f64, x_dot_dot: f64) -> f64 {
        let y = x * x_bar;
        let y_dot = x_dot * x_dot_dot;
        y * y_dot + x * x_dot
    }

    /// Raw identifiers.
    #[must_use]
    #[differentiable(crate = ::renamed)]
    pub fn r#match(r#type: f64, r#fn: &Array1<f64>) -> f64 {
        let r#let = r#fn * r#type;
        r#let.dot(r#fn)
    }

    /// A name of a buffer, a length and a kernel.
    #[must_use]
    #[differentiable(crate = ::renamed)]
    pub fn lengths(x: &Array1<f64>, buffers: &Array1<f64>, x_len: f64) -> f64 {
        let n = x.dot(buffers);
        let map = n * x_len;
        let product = x * map;
        product.sum()
    }

    /// Everything that is generated on request.
    #[must_use]
    #[differentiable(crate = ::renamed, jacobian, hessian, jvp_many, hvp_many, batched(w))]
    pub fn requests(w: &Array1<f64>, scale: f64) -> f64 {
        w.dot(w) * w.sum() * scale
    }

    /// Loops, branches, parts of arrays, and a derivative of another function.
    #[must_use]
    #[differentiable(crate = ::renamed)]
    pub fn statements(x: &Array1<f64>, w: &Array2<f64>, n: usize) -> Array1<f64> {
        let mut out = Array1::<f64>::zeros(x.len());
        for i in 0..x.len() {
            let row = w.row(i).dot(&w.slice(s![0, ..]));
            out[i] += if row > 0.0 { row * x[i] } else { x[i] };
        }
        let mut turns = 0.0;
        #[bound(n)]
        while turns < 2.0 {
            turns += 1.0;
            out.mapv_inplace(|v| v * 0.5);
        }
        out + grad!(conditional(x[0]), x)
    }

    /// A value of several arrays.
    #[derive(::std::clone::Clone, Params)]
    #[params(crate = ::renamed)]
    pub struct Fields {
        /// Called like a method.
        pub len: Array1<f64>,
        /// Called like a buffer.
        pub buffers: f64,
        /// No float.
        pub rt: usize,
    }

    /// A function of a struct.
    #[must_use]
    #[differentiable(crate = ::renamed)]
    pub fn fields(f: &Fields) -> f64 {
        f.len.dot(&f.len) * f.buffers
    }

    /// A function that is there under a condition.
    #[cfg(not(any()))]
    #[must_use]
    #[differentiable(crate = ::renamed)]
    pub fn conditional(x: f64) -> f64 {
        x * x
    }

    /// And its other version, which is not.
    #[cfg(any())]
    #[differentiable(crate = ::renamed)]
    pub fn conditional(x: f64) -> f64 {
        x.not_a_method()
    }
}

/// A problem.
#[::renamed::bilevel(crate = ::renamed)]
pub mod problem {
    use ::renamed::ndarray::Array1;

    /// Inner loss.
    #[inner(minimize = w_bar)]
    #[must_use]
    pub fn train(w_bar: &Array1<f64>, rt: &f64, x_dot: &Array1<f64>) -> f64 {
        let f64 = w_bar - x_dot;
        f64.dot(&f64) + *rt * *rt * w_bar.dot(w_bar)
    }

    /// Outer loss.
    #[outer(minimize = rt)]
    #[must_use]
    pub fn validate(w_bar: &Array1<f64>, target: &Array1<f64>) -> f64 {
        let residual = w_bar - target;
        residual.dot(&residual)
    }
}

#[cfg(test)]
mod tests {
    use ::renamed::ndarray::{Array1, array};
    use ::std::prelude::rust_2024::*;
    use ::std::{assert, assert_eq};

    use super::functions::{Fields, conditional, fields, lengths, r#match, requests, statements, suffixes, taken_names};
    use super::problem;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-12 * (1.0 + expected.abs()), "found {found}, expected {expected}");
    }

    #[test]
    fn taken_names_are_only_names() {
        let (w, x) = (array![0.5, -1.0, 2.0], 0.7);
        // (4 x² s² + x) x / 2 with the sum s of w.
        let s: f64 = w.sum();
        let (value, (w_bar, x_bar)) = taken_names::value_and_grad(&w, x);
        close(value, 2.0 * x * x * x * s * s + 0.5 * x * x);
        close(x_bar, 6.0 * x * x * s * s + x);
        assert_eq!(w_bar.len(), 3);
        w_bar.iter().for_each(|&b| close(b, 4.0 * x * x * x * s));
        let (w_hvp, _) = taken_names::hvp(&w, x, &Array1::ones(3), 0.0);
        close(w_hvp[0], 12.0 * x * x * x);
    }

    #[test]
    fn suffixes_of_the_user_do_not_meet_generated_ones() {
        let (x, b, d, dd) = (0.3, 0.5, 0.7, 1.1);
        let (x_bar, b_bar, d_bar, dd_bar) = suffixes::grad(x, b, d, dd);
        close(x_bar, b * d * dd + d);
        close(b_bar, x * d * dd);
        close(d_bar, x * b * dd + x);
        close(dd_bar, x * b * d);
    }

    #[test]
    fn raw_identifiers_and_lengths() {
        let x = array![1.0, 2.0];
        let (t_bar, x_bar) = r#match::grad(0.5, &x);
        close(t_bar, 5.0);
        close(x_bar[1], 2.0);
        let (_, _, l_bar) = lengths::grad(&x, &x, 2.0);
        close(l_bar, 5.0 * 3.0);
        close(conditional::grad(3.0), 6.0);
    }

    #[test]
    fn requests_statements_and_structs() {
        let w = array![1.0, -2.0, 0.5];
        let (by_w, by_scale) = requests::jacobian(&w, 2.0);
        let (w_bar, scale_bar) = requests::grad(&w, 2.0);
        assert_eq!((&by_w, by_scale), (&w_bar, scale_bar));
        let ((hessian, _), _) = requests::hessian(&w, 2.0);
        let (product, _) = requests::hvp(&w, 2.0, &w, 0.0);
        hessian.dot(&w).iter().zip(&product).for_each(|(&a, &b)| close(a, b));

        let m = array![[1.0, 2.0], [0.5, -1.0]];
        let (x, x_dot) = (array![0.3, 0.7], array![1.0, -1.0]);
        let (y, y_dot) = statements::jvp(&x, &m, 3, &x_dot, &(&m * 0.0));
        // Row 0 is multiplied by 5, row 1 by 1, since its product with the first is negative; twice halved, and the slope of the square at x[0].
        close(y[0], 0.25 * 5.0 * 0.3 + 0.6);
        close(y[1], 0.25 * 0.7 + 0.6);
        close(y_dot[0], 0.25 * 5.0 + 2.0);
        close(y_dot[1], -0.25 + 2.0);

        let f = Fields { len: w, buffers: 3.0, rt: 7 };
        let f_bar = fields::grad(&f);
        close(f_bar.len[1], -12.0);
        close(f_bar.buffers, 5.25);
        assert_eq!(f_bar.rt, 7);
    }

    #[test]
    fn a_problem_in_such_a_place() {
        use ::renamed::prelude::*;
        let (x, target) = (array![1.0, -2.0], array![0.5, -1.0]);
        let p = problem::Problem { x_dot: &x, target: &target };
        let mut solver = p.solver(Implicit::cg().tolerance(1e-12)).inner(Lbfgs::default().tolerance(1e-12));
        let rt = 0.8_f64;
        let h = solver.hypergradient(&rt, &Array1::zeros(2)).unwrap();
        // The inner solution is x / (1 + rt²).
        let shrink = 1.0 / (1.0 + rt * rt);
        let value: f64 = (&x * shrink - &target).mapv(|r| r * r).sum();
        let slope: f64 = (&x * shrink - &target).dot(&x) * 2.0 * (-2.0 * rt * shrink * shrink);
        assert!((h.value - value).abs() < 1e-9 && (h.gradient - slope).abs() < 1e-8, "{} {} {slope}", h.value, h.gradient);
    }
}
