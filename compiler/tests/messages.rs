//! Every message of the table is given by a program that deserves it, and by that program only once.

use std::collections::BTreeSet;

use bilevel_compiler::diagnostics::messages;
use proc_macro2::TokenStream;

/// The code, the attribute's arguments, and the item.
const CASES: &[(&str, &str, &str)] = &[
    ("B0101", "", "struct S;"),
    ("B0102", "with(a)", "fn f(a: f64) -> f64 { a }"),
    ("B0104", "wrt(a + 1)", "fn f(a: f64) -> f64 { a }"),
    ("B0105", "", "fn f(a: f64, a: f64) -> f64 { a }"),
    ("B0105", "wrt(a, a)", "fn f(a: f64) -> f64 { a }"),
    ("B0107", "wrt(b)", "fn f(a: f64) -> f64 { a }"),
    ("B0108", "wrt(n)", "fn f(a: f64, n: usize) -> f64 { a }"),
    ("B0109", "", "fn f(n: usize) -> f64 { n as f64 }"),
    ("B0116", "wrt(a.w)", "fn f(a: f64) -> f64 { a }"),
    ("B0116", "wrt(a.2)", "fn f(a: (f64, f64)) -> f64 { a.0 * a.1 }"),
    ("B0105", "wrt(a, a.0)", "fn f(a: (f64, f64)) -> f64 { a.0 * a.1 }"),
    ("B0108", "wrt(a.1)", "fn f(a: (f64, usize)) -> f64 { a.0 }"),
    ("B0107", "batched(b)", "fn f(a: f64) -> f64 { a }"),
    ("B0112", "hessian", "fn f(a: &Array1<f64>) -> Array1<f64> { a.exp() }"),
    ("B0112", "hvp_many", "fn f(a: f64) -> (f64, f64) { (a, a) }"),
    ("B0113", "jacobian", "fn f(a: f64) -> (f64, f64) { (a, a) }"),
    ("B0114", "hessian", "fn f(a: &Array4<f64>) -> f64 { a.sum() }"),
    ("B0114", "jacobian", "fn f(a: &Array4<f64>) -> Array3<f64> { a.sum_axis(Axis(0)) }"),
    ("B0201", "", "fn f(a: Vec<f64>) -> f64 { 1.0 }"),
    ("B0202", "", "fn f(a: &ArrayD<f64>) -> f64 { 1.0 }"),
    ("B0202", "", "fn f(a: &Array<f64, IxDyn>) -> f64 { 1.0 }"),
    ("B0203", "", "fn f(a: &mut f64) -> f64 { 1.0 }"),
    ("B0203", "", "fn f(a: ArrayViewMut1<'_, f64>) -> f64 { 1.0 }"),
    ("B0204", "", "fn f((a, b): (f64, f64)) -> f64 { 1.0 }"),
    ("B0205", "", "fn f(&self, a: f64) -> f64 { 1.0 }"),
    ("B0206", "", "fn f<T>(a: T) -> f64 { 1.0 }"),
    ("B0206", "", "fn f<T: Display>(a: &Array1<T>) -> f64 { 1.0 }"),
    ("B0223", "", "fn f<T: Float>(a: f64) -> f64 { a }"),
    ("B0412", "", "fn f<F: Float>(a: F) -> F { F::from_f64(a as f64) }"),
    ("B0412", "", "fn f<F: Float>(a: F, n: usize) -> F { a * (n as F) }"),
    ("B0413", "", "fn f<F: Float>(a: F) -> F { 2.0 * a }"),
    ("B0413", "", "fn f<F: Float>(a: F) -> F { let mut s = 0.0; for i in 0..3 { s += a; } s }"),
    ("B0618", "", "fn f<F: Float>(a: F, b: f64) -> F { a + b }"),
    ("B0606", "", "fn f<F: Float>(a: F, b: f64) -> F { b }"),
    ("B0207", "", "async fn f(a: f64) -> f64 { a }"),
    ("B0207", "", "extern \"C\" fn f(a: f64) -> f64 { a }"),
    ("B0208", "", "fn f(a: f64) {}"),
    ("B0208", "", "fn f(a: f64) -> () {}"),
    ("B0209", "", "fn f(a: &f64) -> &f64 { a }"),
    ("B0210", "", "fn f(a: ArrayView1<'_, f64>) -> ArrayView1<'_, f64> { a }"),
    ("B0211", "", "fn f(a: f64) -> (usize, bool) { (1, true) }"),
    ("B0212", "", "fn f(a: f64) -> f64 where f64: Copy { a }"),
    ("B0213", "", "fn f(#[shape(n + 1)] a: &Array1<f64>) -> f64 { a.sum() }"),
    ("B0214", "", "fn f(#[shape(n, m)] a: &Array1<f64>) -> f64 { a.sum() }"),
    ("B0602", "", "fn f(#[shape(n)] a: &Array1<f64>, #[shape(m)] b: &Array1<f64>) -> f64 { (a * b).sum() }"),
    ("B0219", "", "fn f(a: &[f64; WIDTH]) -> f64 { a[0] }"),
    ("B0220", "", "fn f<const N: usize>(a: f64) -> f64 { a * N as f64 }"),
    ("B0401", "", "fn f(a: f64) -> f64 { if let x = a { x } else { a } }"),
    ("B0402", "", "fn f(a: f64) -> f64 { struct S; a }"),
    ("B0402", "", "fn f(a: f64) -> f64 { let mut s = a; let add = |v: f64| { s += v; s }; add(a) }"),
    ("B0403", "", "fn f(a: f64) -> f64 { let x @ y = a; a }"),
    ("B0404", "", "fn f(a: f64) -> f64 { println!(\"{a}\"); a }"),
    ("B0405", "", "fn f(a: f64) -> f64 { let b: f64; b = a; b }"),
    ("B0406", "", "fn f(a: &Array2<f64>) -> f64 { let mut b = a.clone(); b.view_mut().reversed_axes().fill(1.0); b.sum() }"),
    ("B0407", "", "fn f(a: f64) -> f64 { let c = 'c'; a }"),
    ("B0408", "", "fn f(a: f64, n: usize) -> f64 { a * (n ^ 1) as f64 }"),
    ("B0409", "", "fn f(a: f64) -> f64 { a as u8 }"),
    ("B0411", "", "fn f(a: f64) -> f64 { #[cfg(test)] let a = 2.0 * a; a }"),
    ("B0501", "", "fn f(a: f64) -> f64 { a.gamma() }"),
    ("B0502", "", "fn f(a: f64) -> f64 { Special::gamma(a) }"),
    ("B0502", "", "fn f(a: f64) -> f64 { <Special as Functions>::gamma(a) }"),
    ("B0503", "", "fn f(a: f64) -> f64 { a * b }"),
    ("B0504", "", "fn f(a: f64) -> f64 { a * f(a - 1.0) }"),
    ("B0504", "", "fn f(a: f64) -> f64 { a * self::f(a - 1.0) }"),
    ("B0505", "", "fn f(a: f64) -> f64 { a.exp(1.0) }"),
    ("B0506", "", "fn f(a: f64) -> f64 { a.sum() }"),
    ("B0510", "", "fn f(a: f64) -> f64 { grad!(a + 1.0, a) }"),
    ("B0510", "", "fn f(a: f64) -> f64 { jvp!(g, a) }"),
    ("B0501", "", "fn f(a: &[f64; 3]) -> f64 { a.sum() }"),
    ("B0508", "", "fn f(a: f64) -> f64 { let s = Special::Pair { a, b: a }; s.a }"),
    ("B0601", "", "fn f(a: &Array2<f64>, b: &Array3<f64>) -> f64 { a.dot(b).sum() }"),
    ("B0602", "", "fn f(a: f64) -> f64 { (Array1::from_elem(3, a) + Array1::from_elem(4, a)).sum() }"),
    ("B0603", "", "fn f(a: f64, b: f32) -> f64 { a + b }"),
    ("B0604", "", "fn f(a: f64) -> f64 { a + (a, a) }"),
    ("B0604", "", "fn f(a: &[f64; 3]) -> f64 { let b = 2.0 * a; b[0] }"),
    ("B0604", "", "fn f(x: &Array4<f64>, k: &Array4<f64>, s: usize) -> f64 { conv2d(x, k, s, 0).sum() }"),
    ("B0604", "", "fn f(x: &Array4<f64>, k: &Array4<f64>) -> f64 { conv2d(x, k, [1, 0], 0).sum() }"),
    ("B0604", "", "fn f(x: &Array3<f64>, k: &Array4<f64>) -> f64 { conv2d(x, k, 1, 0).sum() }"),
    ("B0604", "", "fn f(#[shape(_, _, 4, 4)] x: &Array4<f64>, #[shape(_, _, 7, 7)] k: &Array4<f64>) -> f64 { conv2d(x, k, 1, 1).sum() }"),
    ("B0604", "", "fn f(x: &Array4<f64>) -> f64 { max_pool2d(x, 0).sum() }"),
    ("B0604", "", "fn f(x: &Array2<f64>, y: &Array1<f64>) -> f64 { (x * one_hot(y, 3)).sum() }"),
    ("B0604", "", "fn f(x: &Array2<f64>) -> f64 { masked_attention(x, x, x, x).sum() }"),
    ("B0606", "", "fn f(a: f64) -> [f64; 3] { [a; 2] }"),
    ("B0605", "", "fn f(a: &Array1<f64>) -> f64 { let b: Array2<f64> = a.clone(); b.sum() }"),
    ("B0606", "", "fn f(a: &Array1<f64>) -> f64 { a.exp() }"),
    ("B0607", "", "fn f(a: &Array1<f64>) -> f64 { a.mean() * 2.0 }"),
    ("B0608", "", "fn f(a: &Array1<f64>, k: usize) -> f64 { a.sum_axis(Axis(k)).sum() }"),
    ("B0609", "", "fn f(a: &Array1<f64>) -> f64 { a.sum_axis(Axis(1)).sum() }"),
    ("B0610", "", "fn f(a: f64, k: usize) -> f64 { a.powi(k) }"),
    (
        "B0611",
        "",
        "fn f(x: f64, k: usize) -> f64 { let a = if x > 1.0 { Array1::from_elem(k % 3, x) } else { Array1::from_elem(k % 2, x) }; a.sum() }",
    ),
    ("B0612", "", "fn f(a: f64) -> f64 { a.powi(99999999999) }"),
    ("B0613", "", "fn f(a: f64) -> f64 { let mut k = 0; for i in 0..3 { k += 1; } a * k as f64 }"),
    ("B0615", "", "fn f(a: f64) -> f64 { let mut s = 0.0; for i in 0..3 { s += a * (i - 1) as f64; } s }"),
    ("B0615", "", "fn f(a: f64) -> f64 { let mut s = 0.0; for i in 0..3 { for j in 0..3 { s += a * (2 * i - j) as f64; } } s }"),
    ("B0402", "", "fn f(a: f64) -> f64 { use other::E; a * E }"),
    ("B0402", "", "fn f(a: &Array1<f64>) -> f64 { let Some(m) = a.mean() else { return 0.0 }; m }"),
    ("B0701", "", "fn f(a: f64) -> f64 { for i in 0..3 { if a > 0.0 { return a; } } a * a }"),
    ("B0702", "", "fn f(a: f64) -> f64 { 'all: for i in 0..3 { break 'all; } a }"),
    ("B0702", "", "fn f(a: f64) -> f64 { let b = loop { break a; }; b }"),
    ("B0703", "", "fn f(a: f64) -> f64 { loop { } a }"),
    ("B0619", "", "fn f(a: f32) -> f64 { let b = 0.1; (a * b) as f64 + b as f64 }"),
    ("B0619", "", "fn f(a: f64) -> f64 { let b = 0.1; if b + 0.2 > 0.3 { a } else { 2.0 * a } }"),
    ("B0401", "", "fn f(a: f64) -> f64 { a * usize::MAX as f64 }"),
    ("B0501", "", "fn f(a: &Array1<f64>) -> f64 { a.iter().filter(|v| **v > 0.0).rev().sum() }"),
    ("B0604", "", "fn f(a: &Array2<f64>, n: usize) -> f64 { a.axis_windows(Axis(0), n).into_iter().map(|w| w.sum()).sum() }"),
    ("B0704", "", "fn f(a: f64) -> f64 { for i in 0.. { } a }"),
    ("B0705", "", "fn f(a: &Array1<f64>) -> f64 { let mut s = 0.0; for i in 0..3 { s = a * s; } a.sum() }"),
    ("B0706", "", "fn f(a: f64) -> f64 { if a { a } else { 0.0 } }"),
    ("B0707", "", "fn f(a: &Array1<f64>) -> f64 { let b = if a[0] > 0.0 { a.sum() } else { a.clone() }; b }"),
    ("B0708", "", "fn f(a: f64) -> f64 { if a > 0.0 { a } }"),
    ("B0709", "", "fn f(a: &Array2<f64>) -> f64 { a.fold_axis(Axis(0), 1.0, |&p, &v| { for i in 0..3 { } p * v }).sum() }"),
    ("B0710", "", "fn f(a: &Array1<f64>) -> f64 { a.mapv(|v| v * a).sum() }"),
    ("B0711", "", "fn f(a: f64) -> f64 { let mut s = a; while { s += 1.0; s < 3.0 } { s += 1.0; } s }"),
    ("B0712", "", "fn f(a: f64) -> f64 { #[bound(3)] for i in 0..3 { } a }"),
];

/// A problem that has nothing wrong with it.
const ONE_NUMBER: &str =
    "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }";

/// One with a variable that only the optimiser reads.
const WITH_A_RATE: &str = "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l, optimizer(log_rate: f64))] fn g(w: &f64) -> f64 { *w }";

/// One with a variable that only its step reads.
const WITH_A_STEP: &str =
    "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize(l, rate))] fn g(w: &f64) -> f64 { *w }
                           #[step] fn s(w: &f64, l: &f64, rate: &f64) -> f64 { w - rate * grad!(f, w) }";

/// The code, the attribute's arguments, and the items of the module.
const PROBLEMS: &[(&str, &str, &str)] = &[
    ("B0103", "", "#[inner] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }"),
    ("B0106", "hypergradient = implcit(cg)", ONE_NUMBER),
    ("B0106", "hypergradient = 3", ONE_NUMBER),
    ("B0106", "hypergradient = implicit(lu)", ONE_NUMBER),
    ("B0106", "hypergradient = implicit(tolerance = 1e-8)", ONE_NUMBER),
    ("B0106", "hypergradient = unrolled(mode = backwards, steps = 10), inner = momentum(0.1, 0.9)", ONE_NUMBER),
    ("B0106", "hypergradient = unrolled(mode = mixed, steps = 10, checkpoint = roots), inner = momentum(0.1, 0.9)", ONE_NUMBER),
    ("B0106", "hypergradient = implicit(cg), inner = bfgs", ONE_NUMBER),
    ("B0117", "hypergradient = implicit(cg, tolerence = 1e-8)", ONE_NUMBER),
    ("B0117", "hypergradient = implicit(cg, restart = 10)", ONE_NUMBER),
    ("B0117", "hypergradient = unrolled(mode = forward, steps = 10, memory = 10), inner = momentum(0.1, 0.9)", ONE_NUMBER),
    ("B0117", "hypergradient = unrolled(mode = mixed, steps = 10), inner = momentum(0.1, 0.9, 0.3)", ONE_NUMBER),
    ("B0118", "hypergradient = implicit(cg, tolerance = 1e-8, tolerance = 1e-9)", ONE_NUMBER),
    ("B0118", "hypergradient = implicit(cg), hypergradient = implicit(gmres)", ONE_NUMBER),
    ("B0118", "hypergradient = unrolled(mode = mixed, mode = forward, steps = 10), inner = momentum(0.1, 0.9)", ONE_NUMBER),
    ("B0118", "hypergradient = unrolled(mode = mixed, steps = 10), inner = momentum(0.1, rate = 0.1, momentum = 0.9)", ONE_NUMBER),
    ("B0119", "hypergradient = implicit", ONE_NUMBER),
    ("B0119", "hypergradient = unrolled(steps = 10), inner = momentum(0.1, 0.9)", ONE_NUMBER),
    ("B0119", "hypergradient = unrolled(mode = mixed), inner = momentum(0.1, 0.9)", ONE_NUMBER),
    ("B0119", "hypergradient = unrolled(mode = truncated, steps = 10), inner = momentum(0.1, 0.9)", ONE_NUMBER),
    ("B0119", "hypergradient = unrolled(mode = mixed, steps = 10), inner = momentum(0.1)", ONE_NUMBER),
    ("B0119", "hypergradient = unrolled(mode = mixed, steps = 10), inner = gradient_descent", ONE_NUMBER),
    ("B0119", "hypergradient = unrolled(mode = mixed, steps = 10)", ONE_NUMBER),
    ("B0120", "hypergradient = implicit(cg, tolerance = 1)", ONE_NUMBER),
    ("B0120", "hypergradient = implicit(cg, error_bound = 1)", ONE_NUMBER),
    ("B0120", "hypergradient = unrolled(mode = mixed, steps = 10, memory = \"256 mib\"), inner = momentum(0.1, 0.9)", ONE_NUMBER),
    ("B0120", "hypergradient = unrolled(mode = mixed, steps = -10), inner = momentum(0.1, 0.9)", ONE_NUMBER),
    ("B0120", "hypergradient = unrolled(mode = mixed, steps = 10), inner = momentum(l.exp().sigmoid(), 0.9)", ONE_NUMBER),
    ("B0120", "hypergradient = unrolled(mode = mixed, steps = 10), inner = momentum(l.sqrt(), 0.9)", ONE_NUMBER),
    ("B0121", "hypergradient = implicit(direct, allow_indefinite, pseudo_inverse = 1e-8)", ONE_NUMBER),
    ("B0121", "hypergradient = implicit(neumann, terms = 10, tolerance = 1e-8)", ONE_NUMBER),
    (
        "B0121",
        "hypergradient = unrolled(mode = mixed, steps = 10, memory = \"1 MiB\", checkpoint = sqrt), inner = momentum(0.1, 0.9)",
        ONE_NUMBER,
    ),
    (
        "B0121",
        "hypergradient = unrolled(mode = mixed, steps = 10, until = 1e-3, checkpoint = binomial(3)), inner = momentum(0.1, 0.9)",
        ONE_NUMBER,
    ),
    ("B0122", "hypergradient = implicit(cg), inner = momentum(0.1, 0.9)", ONE_NUMBER),
    ("B0122", "hypergradient = unrolled(mode = mixed, steps = 10), inner = lbfgs", ONE_NUMBER),
    ("B0123", "inner = lbfgs(tolerance = 1e-8)", ONE_NUMBER),
    ("B0125", "hypergradient = unrolled(mode = mixed, steps = 10), inner = momentum(log_rate.exp(), 0.9)", ONE_NUMBER),
    ("B0126", "hypergradient = implicit(cg), inner = gradient_descent(l)", ONE_NUMBER),
    ("B0128", "hypergradient = unrolled(mode = mixed, steps = 10), inner = own_step", ONE_NUMBER),
    (
        "B0129",
        "hypergradient = implicit(cg)",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l, optimizer(rate: f64))] fn g(w: &f64) -> f64 { *w }",
    ),
    ("B0130", "hypergradient = unrolled(mode = mixed, steps = 10), inner = momentum(0.1, 0.9)", WITH_A_RATE),
    ("B0130", "hypergradient = unrolled(mode = mixed, steps = 10), inner = momentum(0.1, 0.9)", WITH_A_STEP),
    (
        "B0325",
        "",
        "#[inner(minimize = w, sample(z))] fn f(w: &Array1<f64>, l: &f64, x: &Array2<f64>) -> f64 { x.dot(w).sum() * l } #[outer(minimize = l)] fn g(w: &Array1<f64>) -> f64 { w.sum() }",
    ),
    (
        "B0325",
        "",
        "#[inner(minimize = w, sample(w))] fn f(w: &Array1<f64>, l: &f64, x: &Array2<f64>) -> f64 { x.dot(w).sum() * l } #[outer(minimize = l)] fn g(w: &Array1<f64>) -> f64 { w.sum() }",
    ),
    (
        "B0325",
        "",
        "#[inner(minimize = w, sample(s))] fn f(w: &Array1<f64>, l: &f64, s: f64) -> f64 { w.sum() * s * l } #[outer(minimize = l)] fn g(w: &Array1<f64>) -> f64 { w.sum() }",
    ),
    (
        // The rows of `y` stay whole.
        "B0325",
        "",
        "#[inner(minimize = w, sample(x))] fn f(w: &Array1<f64>, l: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 { mse(&x.dot(w), y) * l } #[outer(minimize = l)] fn g(w: &Array1<f64>) -> f64 { w.sum() }",
    ),
    (
        // So do the outer variable's, also where only the outer loss says that they are as many.
        "B0325",
        "",
        "#[inner(minimize = w, sample(x))] fn f(w: &f64, l: &Array1<f64>, x: &Array1<f64>) -> f64 { (x * *w).sum() + l.sum() * w } #[outer(minimize = l)] fn g(w: &f64, l: &Array1<f64>, x: &Array1<f64>) -> f64 { (l * x).sum() * w }",
    ),
    (
        "B0325",
        "",
        "#[inner(minimize = w, sample(x))] fn f(w: &Array1<f64>, l: &f64, x: &Array2<f64>) -> f64 { x.row(3).dot(w) * l } #[outer(minimize = l)] fn g(w: &Array1<f64>) -> f64 { w.sum() }",
    ),
    (
        "B0325",
        "",
        "#[inner(minimize = w, sample(x))] fn f(w: &Array1<f64>, l: &f64, x: &Array2<f64>) -> f64 { x.slice(s![..2, ..]).dot(w).sum() * l } #[outer(minimize = l)] fn g(w: &Array1<f64>) -> f64 { w.sum() }",
    ),
    (
        // Positions of rows may be data.
        "B0325",
        "",
        "#[inner(minimize = w, sample(x))] fn f(w: &Array1<f64>, l: &f64, x: &Array2<f64>, k: usize) -> f64 { x.row(k).dot(w) * l } #[outer(minimize = l)] fn g(w: &Array1<f64>) -> f64 { w.sum() }",
    ),
    (
        "B0102",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l, sample(x))] fn g(w: &f64, x: &Array1<f64>) -> f64 { *w * x.sum() }",
    ),
    ("B0127", "hypergradient = unrolled(mode = mixed, steps = 10, batches = of(3)), inner = momentum(0.1, 0.9)", ONE_NUMBER),
    ("B0121", "hypergradient = unrolled(mode = forward, steps = 10, until = 0.1, batches = of(3)), inner = momentum(0.1, 0.9)", ONE_NUMBER),
    ("B0119", "hypergradient = unrolled(mode = forward, steps = 10, batches = of(seed = 3)), inner = momentum(0.1, 0.9)", ONE_NUMBER),
    (
        "B0124",
        "hypergradient = implicit(cg)",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l * stop_gradient(*w) } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }",
    ),
    (
        "B0124",
        "hypergradient = unrolled(mode = truncated, steps = 10, last = 3), inner = momentum(0.1, 0.9)",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l * stop_gradient(*w) } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }",
    ),
    (
        "B0111",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }
         #[differentiable] fn h(x: f64) -> f64 { x }",
    ),
    ("B0301", "", "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l }"),
    (
        "B0302",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[inner(minimize = w)] fn h(w: &f64, l: &f64) -> f64 { w * l }
         #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }",
    ),
    ("B0303", "", "#[inner(minimize = v)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }"),
    ("B0304", "", "#[inner(minimize = w)] fn f(w: &f64) -> f64 { *w } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }"),
    ("B0305", "", "#[inner(minimize = w)] fn f(w: &f64) -> f64 { *w } #[outer(minimize = l)] fn g(w: &f64, l: &f64) -> f64 { w * l }"),
    ("B0306", "", "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(l: &f64) -> f64 { *l }"),
    ("B0307", "", "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { *l } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }"),
    ("B0308", "", "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { *w } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }"),
    // A comparison is no path for a derivative.
    (
        "B0308",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { if *l > 0.0 { *w } else { -w } } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }",
    ),
    (
        "B0309",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64, x: f64) -> f64 { w * l * x } #[outer(minimize = l)] fn g(w: &f64, x: usize) -> f64 { *w }",
    ),
    (
        "B0310",
        "",
        "#[inner(minimize = w)] fn f(w: &usize, l: &f64) -> f64 { *w as f64 * l } #[outer(minimize = l)] fn g(w: &usize) -> f64 { *w as f64 }",
    ),
    ("B0311", "", "#[inner(minimize = w)] fn f(w: f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(w: f64) -> f64 { w }"),
    (
        "B0312",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &Array1<f64>) -> Array1<f64> { l * *w } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }",
    ),
    (
        "B0323",
        "",
        "#[fixed_point(solve = z)] fn f(z: &Array1<f64>, l: &f64) -> f64 { z.sum() * l } #[outer(minimize = l)] fn g(z: &Array1<f64>) -> f64 { z.sum() }",
    ),
    (
        "B0324",
        "",
        "#[fixed_point(solve = z)] fn f(z: &Array1<f64>, l: &f64) -> Array1<f64> { z.slice(s![1..]).to_owned() * *l } #[outer(minimize = l)] fn g(z: &Array1<f64>) -> f64 { z.sum() }",
    ),
    ("B0313", "", "#[inner(minimize = w)] fn f(w: &f64) -> f64 { *w } #[outer(minimize = w)] fn g(w: &f64) -> f64 { *w }"),
    (
        "B0314",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f32) -> f64 { w * *l as f64 } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }",
    ),
    (
        "B0315",
        "",
        "#[inner(minimize = w)] #[outer(minimize = l)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }",
    ),
    (
        "B0802",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { let mut s = *w; while s < 3.0 { s = s * 2.0 + l; } s }
         #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }",
    ),
    (
        "B0511",
        "",
        "fn h(x: f64) -> f64 { x } #[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l * grad!(h, x) } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }",
    ),
    (
        "B0215",
        "",
        "struct S { a: f64 } #[inner(minimize = w)] fn f(w: &S, l: &f64) -> f64 { w.a * l } #[outer(minimize = l)] fn g(l: &f64) -> f64 { *l }",
    ),
    (
        "B0216",
        "",
        "#[derive(Params)] struct S { a: f64, s: S }
         #[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(w: &f64, s: &S) -> f64 { *w }",
    ),
    (
        "B0218",
        "",
        "#[derive(Params)] struct S<'a> { a: ArrayView1<'a, f64> }
         #[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(w: &f64, s: &S) -> f64 { *w }",
    ),
    (
        "B0102",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l, optimizer(rate))] fn g(w: &f64) -> f64 { *w }",
    ),
    (
        "B0102",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }
         #[step(t)] fn s(w: &f64, l: &f64) -> f64 { w - l * grad!(f, w) }",
    ),
    (
        "B0105",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l }
         #[outer(minimize = l, optimizer(rate: f64, rate: f64))] fn g(w: &f64) -> f64 { *w }",
    ),
    (
        "B0302",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }
         #[step] fn s(w: &f64, l: &f64) -> f64 { w - grad!(f, w) } #[step] fn r(w: &f64, l: &f64) -> f64 { w - grad!(f, w) }",
    ),
    (
        "B0308",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize(l, rate))] fn g(w: &f64) -> f64 { *w }
         #[step] fn s(w: &f64, l: &f64, rate: &f64) -> f64 { w - grad!(f, w) }",
    ),
    (
        "B0310",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l, optimizer(n: usize))] fn g(w: &f64) -> f64 { *w }",
    ),
    (
        "B0318",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }
         #[step] fn s(v: &f64, l: &f64) -> f64 { v - grad!(f(v, l), w) }",
    ),
    (
        "B0319",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }
         #[step] fn s(w: &f64, l: &f64, t: i64) -> f64 { w - grad!(f, w) }",
    ),
    (
        "B0320",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }
         #[step] fn s(w: &f64, m: &f64, l: &f64) -> f64 { w - m * grad!(f, w) }",
    ),
    (
        "B0321",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }
         #[step] fn s(w: &f64, m: &Array1<f64>, l: &f64) -> (f64, Array1<f64>) { (w - m.sum() * grad!(f, w), 0.5 * m) }",
    ),
    (
        "B0321",
        "",
        "#[inner(minimize = w)] fn f(w: &Array1<f64>, l: &f64) -> f64 { w.sum() * l } #[outer(minimize = l)] fn g(w: &Array1<f64>) -> f64 { w.sum() }
         #[step] fn s(w: &Array1<f64>, m: &Array1<f64>, l: &f64) -> (Array1<f64>, Array1<f64>) {
             (w + m - grad!(f, w), Array1::from_elem(w.len() + 1, 0.5 * m.sum()))
         }",
    ),
    (
        "B0322",
        "",
        "#[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l } #[outer(optimizer(l: f64))] fn g(w: &f64) -> f64 { *w }",
    ),
    (
        "B0316",
        "",
        "#[derive(Params)] pub struct S { a: f64, n: usize }
         #[inner(minimize = w)] fn f(w: &S, l: &f64) -> f64 { w.a * l * w.n as f64 } #[outer(minimize = l)] fn g(w: &S) -> f64 { w.a }",
    ),
    (
        "B0317",
        "",
        "#[inner(minimize = w)] fn f<const N: usize>(w: &[f64; N], l: &f64) -> f64 { w[0] * l } #[outer(minimize = l)] fn g(l: &f64) -> f64 { *l }",
    ),
    (
        "B0617",
        "",
        "fn h<F: Float>(n: usize) -> F { F::one() }
         #[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { w * l * h(3) } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }",
    ),
    (
        "B0616",
        "",
        "#[derive(Params)] pub struct S { a: f64 }
         #[inner(minimize = w)] fn f(w: &S, l: &f64) -> f64 { w.b * l } #[outer(minimize = l)] fn g(w: &S) -> f64 { w.a }",
    ),
    (
        "B0515",
        "",
        "fn s(x: f64) -> f64 { x } #[derivative(of = s)] fn r(x: f64, x_dot: f64) -> f64 { x_dot }
         #[inner(minimize = w)] fn f(w: &Array1<f64>, l: &f64) -> f64 { w.mapv(|v| if v > 0.0 { s(v) } else { v }).sum() * l }
         #[outer(minimize = l)] fn g(w: &Array1<f64>) -> f64 { w.sum() }",
    ),
    (
        "B0504",
        "",
        "fn a(x: f64) -> f64 { b(x) } fn b(x: f64) -> f64 { a(x) }
         #[inner(minimize = w)] fn f(w: &f64, l: &f64) -> f64 { a(*w) * l } #[outer(minimize = l)] fn g(w: &f64) -> f64 { *w }",
    ),
];

/// Structs under `#[derive(Params)]`.
const STRUCTS: &[(&str, &str)] = &[
    ("B0101", "enum Choice { A, B }"),
    ("B0102", "#[params(name = a)] struct S { a: f64 }"),
    ("B0201", "struct S { a: Vec<f64>, b: f64 }"),
    ("B0201", "struct S { a: [Layer; 3], b: f64 }"),
    ("B0202", "struct S { a: ArrayD<f64> }"),
    ("B0217", "struct S<T> { a: Array1<T> }"),
    ("B0224", "struct S<const N: usize> { a: [f64; N] }"),
    ("B0218", "struct S { a: ArrayView1<'static, f64> }"),
    ("B0218", "struct S { a: &'static Array1<f64> }"),
    ("B0221", "struct S { n: usize, labels: Array1<usize> }"),
    ("B0222", "struct S { a: f64, b: (usize, Array1<f32>) }"),
];

/// Messages that no short program gives: nesting of any depth has a test of its own, the others stand behind checks that come first.
const ELSEWHERE: &[&str] = &["B0110", "B0115", "B0410", "B0507", "B0512", "B0513", "B0514", "B0516", "B0614", "B0801", "B0901"];

fn tokens(source: &str) -> TokenStream {
    source.parse().unwrap_or_else(|e| panic!("{e}: {source}"))
}

/// The codes in the texts of an expansion.
fn codes(expansion: &str) -> Vec<String> {
    let parts = expansion.split("[B").skip(1);
    parts.filter_map(|p| p.split_once(']')).filter(|(code, _)| code.len() == 4).map(|(code, _)| format!("B{code}")).collect()
}

#[test]
fn every_message_has_its_program() {
    let mut seen: BTreeSet<&str> = ELSEWHERE.iter().copied().collect();
    for &(code, attr, item) in CASES {
        let out = bilevel_compiler::differentiable(tokens(attr), tokens(item)).to_string();
        assert_eq!(codes(&out), [code], "{item}\n{out}");
        seen.insert(code);
    }
    for &(code, attr, items) in PROBLEMS {
        let out = bilevel_compiler::bilevel(tokens(attr), tokens(&format!("mod problem {{ {items} }}"))).to_string();
        assert_eq!(codes(&out), [code], "{items}\n{out}");
        seen.insert(code);
    }
    for &(code, item) in STRUCTS {
        let out = bilevel_compiler::derive_params(tokens(item)).to_string();
        assert_eq!(codes(&out), [code], "{item}\n{out}");
        seen.insert(code);
    }
    let table: BTreeSet<&str> = messages::ALL.iter().map(|m| m.code).collect();
    assert_eq!(table, seen);
}

#[test]
fn a_module_of_another_file_is_refused() {
    let out = bilevel_compiler::bilevel(TokenStream::new(), tokens("mod problem;")).to_string();
    assert_eq!(codes(&out), ["B0110"], "{out}");
}

#[test]
fn independent_errors_appear_together_and_dependent_ones_not_at_all() {
    let item = "fn f(a: &Array1<f64>) -> f64 {
        let b = a.gamma();
        let c = b.exp() * a + b.whatever();
        let d = g(&c) + a.digamma();
        if d > 0.0 { c.sum() } else { unknown }
    }";
    let out = bilevel_compiler::differentiable(TokenStream::new(), tokens(item)).to_string();
    assert_eq!(codes(&out), ["B0501", "B0501", "B0503"], "{out}");
}

#[test]
fn names_in_a_pattern_that_is_not_understood_are_not_reported_again() {
    let item = "fn f(x: f64, k: usize) -> f64 { match k { Step::Pair { a, b } => a * b * x, n => n as f64 * x } }";
    let out = bilevel_compiler::differentiable(TokenStream::new(), tokens(item)).to_string();
    assert_eq!(codes(&out), ["B0403"], "{out}");
}

#[test]
fn a_derivative_outside_of_what_is_differentiated_is_refused() {
    let out = bilevel_compiler::derivative_outside("grad", tokens("f, x")).to_string();
    assert_eq!(codes(&out), ["B0512"], "{out}");
}

#[test]
fn rules_that_are_none_are_refused() {
    let cases = [
        ("B0102", "", "fn r(x: f64, x_dot: f64) -> f64 { x_dot }"),
        ("B0102", "f", "fn r(x: f64, x_dot: f64) -> f64 { x_dot }"),
        ("B0101", "of = f", "struct S;"),
        ("B0513", "of = f", "fn r(x: f64, y: f64) -> f64 { x * y }"),
        ("B0513", "of = f", "fn r(x: f64, y: f64, x_dot: f64) -> f64 { x_dot }"),
        ("B0513", "of = f", "fn r(x: &Array1<f64>, x_dot: &Array2<f64>) -> f64 { x_dot.sum() }"),
        ("B0513", "of = f", "fn r(x: f64, y: f64, z_bar: f64) -> f64 { z_bar }"),
        ("B0513", "of = f", "fn r(x: (f64, f64), x_dot: (f64, f64)) -> f64 { x_dot.0 }"),
        ("B0513", "of = f", "fn r(x: f64, x_dot: f64) -> (f64, f64) { (x_dot, x_dot) }"),
        // Nothing says how long the result is.
        ("B0513", "of = f", "fn r(x: f64, y_bar: &Array1<f64>) -> f64 { y_bar.sum() * x }"),
        ("B0514", "of = f", "fn r(x: f64, x_dot: f64) -> f64 { x_dot * x_dot }"),
        ("B0514", "of = f", "fn r(x: f64, x_dot: f64) -> f64 { x_dot + x }"),
        ("B0516", "of = f", "mod r { use super::*; fn t(x: f64, x_dot: f64) -> f64 { super::f(x) * x_dot } }"),
        ("B0516", "of = f", "mod r { const A: f64 = 2.0; fn t(x: f64, x_dot: f64) -> f64 { A * x_dot } }"),
        ("B0516", "of = f", "mod r { use crate::other::*; fn t(x: f64, x_dot: f64) -> f64 { x_dot } }"),
    ];
    for (code, attr, item) in cases {
        let out = bilevel_compiler::derivative(tokens(attr), tokens(item)).to_string();
        assert_eq!(codes(&out), [code], "{item}\n{out}");
    }
}
