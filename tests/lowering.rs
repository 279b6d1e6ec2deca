//! Lowering means what Rust means: each function here is compiled by rustc and called, and its tokens are lowered and run by the reference
//! evaluator; both must agree.

#![allow(
    clippy::manual_checked_ops,
    clippy::needless_return,
    clippy::neg_cmp_op_on_partial_ord,
    clippy::type_complexity,
    reason = "the spellings are what is tested"
)]

mod common;

use bilevel::prelude::*;
use bilevel_compiler::diagnostics::Diagnostics;
use bilevel_compiler::ir::eval::{Tensor, eval};
use bilevel_compiler::ir::verify::verify;
use bilevel_compiler::lower::lower;
use bilevel_compiler::syntax::signature::{Use, parse_signature};
use bilevel_compiler::syntax::{Items, Place, TypeNames};
use common::{Argument, Outcome, matrix, vector};

/// Lowers the last function of the source and runs it.
fn run(source: &str, args: &[Tensor]) -> Vec<f64> {
    let file: syn::File = syn::parse_str(source).unwrap_or_else(|e| panic!("{e}: {source}"));
    let items = Items::of(&file.items);
    let Some(syn::Item::Fn(f)) = file.items.last() else { panic!("the last item is the function: {source}") };
    let mut diags = Diagnostics::new();
    let names = TypeNames::new(&items, Place::HERE);
    let signature = parse_signature(f, Use::Differentiated, &names, &mut diags);
    let lowered = signature.and_then(|signature| lower(f, signature, &items, &mut diags));
    let errors = diags.texts().join("\n");
    assert!(diags.finish().is_ok(), "{errors}\n{source}");
    let lowered = lowered.expect("no errors, so a result");
    if let Err(violations) = verify(&lowered.func) {
        panic!("{violations:?}\n{}", lowered.func);
    }
    let results = eval(&lowered.func, args).unwrap_or_else(|e| panic!("{e:?}\n{}", lowered.func));
    results.iter().flat_map(Tensor::to_f64).collect()
}

#[track_caller]
fn compare(expected: &[f64], found: &[f64], tolerance: f64, source: &str) {
    assert_eq!(expected.len(), found.len(), "{source}");
    for (&e, &f) in expected.iter().zip(found) {
        let close = e == f || (e.is_nan() && f.is_nan()) || (e - f).abs() <= tolerance * (1.0 + e.abs());
        assert!(close, "expected {expected:?}\nfound    {found:?}\n{source}");
    }
}

/// `name: call(args) of { items }`: the items are Rust and are lowered; the call must give the same both ways.
macro_rules! agree {
    ($($name:ident: $f:ident($($arg:expr),* $(,)?) of { $($items:item)* })*) => { $(
        #[test]
        fn $name() {
            $($items)*
            let source = concat!($(stringify!($items), "\n"),*);
            let args: Vec<Tensor> = [$(Argument::tensors(&$arg)),*].concat();
            let expected = Outcome::numbers(&$f($($arg),*));
            assert!(!expected.is_empty() && expected.iter().any(|v| *v != 0.0), "the test shows something");
            compare(&expected, &run(source, &args), TOLERANCE, source);
        }
    )* };
}

/// The evaluator sums in another order than `ndarray`.
const TOLERANCE: f64 = 1e-14;

fn positive(n: usize) -> Array1<f64> {
    vector(n).mapv(|v| v * v + 0.2)
}

agree! {
    products_of_every_rank_pair: f(&matrix(3, 4), &vector(4), &vector(3), &matrix(4, 2)) of {
        fn f(a: &Array2<f64>, x: &Array1<f64>, y: &Array1<f64>, b: &Array2<f64>) -> (Array2<f64>, (f64, Array1<f64>)) {
            let s = y.dot(&a.dot(x)) + y.dot(a).dot(x);
            (a.dot(b), (s, x.dot(b)))
        }
    }
    transposes: f(&matrix(3, 4)) of {
        fn f(a: &Array2<f64>) -> Array2<f64> { a.t().dot(a) + a.clone().reversed_axes().dot(&a.view()) }
    }
    broadcasting_aligns_trailing_axes: f(&matrix(3, 4), &vector(4), 0.5) of {
        fn f(a: &Array2<f64>, x: &Array1<f64>, s: f64) -> Array2<f64> { 1.5 * a * x - x / 2.0 + s * a + (a - s) / 3.0 }
    }
    an_inserted_axis_is_stretched: f(&matrix(3, 4), &vector(3), &vector(4)) of {
        fn f(a: &Array2<f64>, row: &Array1<f64>, column: &Array1<f64>) -> Array2<f64> {
            let column = column.view().insert_axis(Axis(0));
            a - &row.clone().insert_axis(Axis(1)) + &row.view().insert_axis(Axis(1)) * &column
        }
    }
    reductions: f(&matrix(3, 4)) of {
        fn f(a: &Array2<f64>) -> (Array1<f64>, (Array1<f64>, f64)) {
            (a.sum_axis(Axis(0)) + a.mean_axis(Axis(0)).unwrap(), (a.mean_axis(Axis(1)).expect("rows"), a.sum() - a.mean().unwrap()))
        }
    }
    unary_methods_of_arrays: f(&positive(5)) of {
        fn f(x: &Array1<f64>) -> Array1<f64> {
            x.exp() + x.exp2() + x.exp_m1() + x.ln() + x.ln_1p() + x.log2() + x.log10() + x.sqrt() + x.recip() + x.tanh() + x.sinh() + x.cosh()
                + x.sin() + x.cos() + x.tan() + x.abs() + x.signum() + x.floor() + x.ceil() + x.sigmoid() + x.softplus() + x.relu() + x.pow2()
                + x.to_radians() + x.to_degrees() + x.powi(-2) + x.powf(1.5) + x.log(3.0) + x.clamp(0.3, 0.6)
        }
    }
    inverse_functions_inside_their_domain: f(&vector(4)) of {
        fn f(x: &Array1<f64>) -> Array1<f64> {
            let y = x.tanh();
            y.asin() + y.acos() + y.atan() + y.atanh() - y.signum()
        }
    }
    methods_of_numbers: f(0.8, 1.7) of {
        fn f(a: f64, b: f64) -> f64 {
            a.max(b) - a.min(b) + a.powf(b) + a.atan2(b) + a.mul_add(b, 0.25) + a.clamp(0.1, 0.5) + a.log(b) + f64::powi(a, 3) + f64::exp(b) + a.relu()
        }
    }
    signum_of_zeros: f(&array![0.0, -0.0, -3.0, f64::NEG_INFINITY, f64::NAN]) of {
        fn f(x: &Array1<f64>) -> Array1<f64> { x.signum() }
    }
    closures_on_elements: f(&vector(6), 2.0) of {
        fn f(x: &Array1<f64>, scale: f64) -> Array1<f64> {
            let square = |v: f64| v * v;
            x.mapv(|v| scale * v + 1.0) + x.mapv(square) + x.map(|v| v.sin()) + x.mapv(f64::cos) + x.mapv(|_| scale)
        }
    }
    branches_on_elements: f(&vector(6)) of {
        fn f(x: &Array1<f64>) -> Array1<f64> {
            x.mapv(|v| {
                let mut scale = 1.0;
                if v > 0.1 && v < 0.9 { scale = 3.0 * v; } else if v <= 0.0 { scale += 1.0; }
                if v == 0.0 || !(v < 0.5) { scale * v } else { (-v).exp() / 2.0 }
            })
        }
    }
    integers_in_branches_on_elements: f(&array![0_usize, 1, 5]) of {
        fn f(counts: &Array1<usize>) -> Array1<f64> {
            counts.mapv(|k| {
                let before = if k > 0 { k - 1 } else { 7 };
                let share = if k == 0 { 0 } else { 12 / k };
                before as f64 + share as f64
            })
        }
    }
    shadowing_blocks_and_tuples: f(1.5, 2.5) of {
        fn f(x: f64, y: f64) -> (f64, f64) {
            let (x, y) = (y, x);
            let z = { let x = x * 2.0; let y = y + x; x * y };
            let x = x - z;
            let pair = (x, (y, z));
            (pair.0 + pair.1.1, pair.1.0)
        }
    }
    compound_assignment: f(&matrix(2, 3), &vector(3), 0.5) of {
        fn f(a: &Array2<f64>, x: &Array1<f64>, s: f64) -> Array2<f64> {
            let mut y = a.to_owned();
            y += x;
            y *= s;
            y -= &(a * 2.0);
            y /= 4.0;
            let mut c = 2.0;
            c *= 3.0;
            c -= s;
            y * c
        }
    }
    a_loop_carries_what_it_changes: f(&vector(5), 3_usize) of {
        fn f(x: &Array1<f64>, n: usize) -> (f64, Array1<f64>) {
            let mut total = 0.0;
            let mut state = x.clone();
            let mut last = 1.0;
            for i in 0..n {
                total += x[i] * last;
                last = state.sum();
                state = &state * 0.5 + x;
            }
            (total + last, state)
        }
    }
    ranges_of_every_kind: f(&vector(7), 2_usize, 5_usize) of {
        fn f(x: &Array1<f64>, a: usize, b: usize) -> f64 {
            let mut s = 0.0;
            for i in a..b { s = 0.5 * s + x[i]; }
            for i in (0..x.len()).rev() { s = 0.9 * s + x[i] * i as f64; }
            for i in 1..=a { s += x[i]; }
            for i in b..a { s += 100.0 * x[i]; }
            for _ in 0..3 { s *= 1.1; }
            for i in 2..4 { s += x[i]; }
            s
        }
    }
    nested_loops_read_elements_and_rows: f(&matrix(3, 4), &vector(4)) of {
        fn f(a: &Array2<f64>, x: &Array1<f64>) -> f64 {
            let (n, m) = a.dim();
            let mut s = 0.0;
            for i in 0..n {
                for j in 0..m {
                    if i + 1 < n && a[[i, j]] > a[[i + 1, j]] || j == 2 { s += a[(i, j)] * x[j]; }
                }
                s += a.row(i).dot(x) - a.column(0)[i] + a.index_axis(Axis(0), i).sum();
            }
            s
        }
    }
    branches_of_the_program: f(&vector(4), 0.3, true) of {
        fn f(x: &Array1<f64>, t: f64, flag: bool) -> (Array1<f64>, f64) {
            let mut steps = 0.0;
            let y = if x.sum() > t { steps += 1.0; x * 2.0 } else { x + t };
            if flag { steps *= 3.0; } else { steps -= 1.0; }
            let z = if t > 1.0 { 1.0 } else if !flag { 2.0 } else { y.sum() };
            (y, steps + z)
        }
    }
    a_condition_is_evaluated_only_where_it_counts: f(&vector(3)) of {
        fn f(x: &Array1<f64>) -> f64 {
            let mut s = 1.0;
            for i in 0..5 {
                if i < 3 && x[i] > -0.5 { s += x[i]; }
                if i >= 3 || x[i] < 0.0 { s *= 1.5; }
            }
            s
        }
    }
    helpers_and_constants: f(&vector(4), 2.0) of {
        const SCALE: f64 = 3.0 * HALF;
        const HALF: f64 = 0.5;
        fn twice(x: f64) -> f64 { let y = x * SCALE; return y + y; }
        fn norm(x: &Array1<f64>) -> f64 { x.dot(x).sqrt() }
        fn f(x: &Array1<f64>, s: f64) -> f64 { twice(s) + norm(&(x * twice(s))) + x.mapv(twice).sum() + std::f64::consts::PI }
    }
    own_functions: f(&matrix(4, 3), &array![2_usize, 0, 1, 1], &matrix(4, 3).exp(), &vector(3)) of {
        fn f(z: &Array2<f64>, y: &Array1<usize>, t: &Array2<f64>, v: &Array1<f64>) -> (f64, (Array2<f64>, (Array1<f64>, f64))) {
            (cross_entropy(z, y) + bilevel::mse(z, t), (softmax(z), (log_sum_exp(z), log_sum_exp(v) + softmax(v)[1])))
        }
    }
    lengths: f(&matrix(3, 4), &vector(4)) of {
        fn f(a: &Array2<f64>, x: &Array1<f64>) -> f64 {
            let (n, m) = a.dim();
            let k = a.shape()[1] * 10 + a.nrows();
            (a.len() + x.len() * 2) as f64 + n as f64 / m as f64 + k as f64 + a.len_of(Axis(1)) as f64 - a.ncols() as f64 + x.dim() as f64
        }
    }
    arrays_made_here: f(&matrix(3, 4), 2_usize) of {
        fn f(a: &Array2<f64>, n: usize) -> (Array2<f64>, Array1<f64>) {
            let (rows, cols) = a.dim();
            let ones: Array2<f64> = Array2::ones((rows, cols));
            let mut acc = Array2::<f64>::zeros(a.raw_dim());
            for _ in 0..n { acc += a; }
            let b = Array2::from_elem((cols, cols), 0.5) + Array2::<f64>::eye(a.ncols());
            (acc.dot(&b) + ones * 3.0, Array1::from_elem(n, 1.5))
        }
    }
    integers_as_data: f(&array![3_usize, 1, 2], -4_i64, true) of {
        fn f(counts: &Array1<usize>, shift: i64, flag: bool) -> Array1<f64> {
            let c = counts.mapv(|v| v as f64) * shift as f64;
            let total = counts.sum() as f64 + shift.abs() as f64 + (7 % 4) as f64;
            let on = if flag { 1.0 } else { 0.0 };
            c + total * on + counts[1] as f64 + (shift * 2 - 1) as f64
        }
    }
    references_and_parameter_forms: f(array![[1.0, 2.0], [3.0, 4.0]].view(), array![1.0, -1.0], &0.5, (0.25, &2.0)) of {
        fn f(a: ArrayView2<'_, f64>, x: Array1<f64>, s: &f64, p: (f64, &f64)) -> f64 {
            let y = &(&a.dot(&x) * *s);
            (*y).sum() + p.0 * *p.1 + (-*s)
        }
    }
}

/// Literals take their width from what they are combined with, and literal arithmetic is done in that width.
#[test]
fn single_precision_is_bit_for_bit() {
    fn f(x: &Array1<f32>, s: f32) -> Array1<f32> {
        let third = 1.0 / 3.0;
        let mut c = 0.1;
        c += 0.2;
        for _ in 0..3 {
            c *= 0.7;
        }
        x.mapv(|v| v * third + 0.1) * s * c + 1e-3
    }
    let source = "fn f(x: &Array1<f32>, s: f32) -> Array1<f32> {
        let third = 1.0 / 3.0;
        let mut c = 0.1;
        c += 0.2;
        for _ in 0..3 {
            c *= 0.7;
        }
        x.mapv(|v| v * third + 0.1) * s * c + 1e-3
    }";
    let x = Array1::from_iter((0..9).map(|i| 0.37_f32 * i as f32 - 1.0));
    let args = [x.tensors(), 0.3_f32.tensors()].concat();
    compare(&f(&x, 0.3).numbers(), &run(source, &args), 0.0, source);
}

/// Both widths in one function.
#[test]
fn casts_between_widths() {
    fn f(x: &Array1<f32>, y: f64) -> f64 {
        let wide = x.mapv(|v| v as f64 * 0.1);
        wide.sum() + y + f64::EPSILON + (y as f32 * 0.1) as f64
    }
    let source = "fn f(x: &Array1<f32>, y: f64) -> f64 {
        let wide = x.mapv(|v| v as f64 * 0.1);
        wide.sum() + y + f64::EPSILON + (y as f32 * 0.1) as f64
    }";
    let x = Array1::from_iter((0..4).map(|i| 0.37_f32 * i as f32 - 1.0));
    let args = [x.tensors(), 0.3_f64.tensors()].concat();
    compare(&f(&x, 0.3).numbers(), &run(source, &args), 1e-15, source);
}
