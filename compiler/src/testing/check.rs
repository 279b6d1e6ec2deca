//! Evaluation, inner products and differences, for tests of derivatives. All of them panic where something does not fit.

use crate::ir::Func;
use crate::ir::eval::{Tensor, eval};
use crate::ir::text::parse;
use crate::ir::verify::verify;

/// The function of a text, verified.
pub fn read(text: &str) -> Func {
    let f = parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    verify(&f).unwrap_or_else(|v| panic!("{v:?}\n{f}"));
    f
}

/// The results of a function that cannot fail.
pub fn run(f: &Func, args: &[Tensor]) -> Vec<Tensor> {
    eval(f, args).unwrap_or_else(|e| panic!("{e}\n{f}"))
}

/// The sum of the products of all elements.
pub fn inner(a: &[Tensor], b: &[Tensor]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.to_f64().iter().zip(b.to_f64()).map(|(x, y)| x * y).sum::<f64>()).sum()
}

/// The sum of the absolute values of all elements: what differences are measured by.
pub fn size(a: &[Tensor]) -> f64 {
    a.iter().flat_map(Tensor::to_f64).map(f64::abs).sum()
}

/// The sum of the absolute values of the differences of all elements.
pub fn distance(a: &[Tensor], b: &[Tensor]) -> f64 {
    assert_eq!(a.len(), b.len());
    let of = |(a, b): (&Tensor, &Tensor)| -> f64 {
        assert_eq!(a.shape, b.shape);
        a.to_f64().iter().zip(b.to_f64()).map(|(x, y)| (x - y).abs()).sum()
    };
    a.iter().zip(b).map(of).sum()
}

/// Asserts that `a` and `b` agree to `tolerance`, relative to their size where that is above one.
#[track_caller]
pub fn assert_near(a: &[Tensor], b: &[Tensor], tolerance: f64, what: &str) {
    let (d, s) = (distance(a, b), size(a).max(1.0));
    assert!(d <= tolerance * s, "{what}: differ by {d:e} of {s:e}\n{a:?}\n{b:?}");
}

/// The arguments, those at the positions `wrt` moved by `t` times the directions.
pub fn moved(args: &[Tensor], wrt: &[usize], dots: &[Tensor], t: f64) -> Vec<Tensor> {
    let mut args = args.to_vec();
    for (&k, dot) in wrt.iter().zip(dots) {
        let data = args[k].as_f64().iter().zip(dot.as_f64()).map(|(x, d)| x + t * d).collect();
        args[k] = Tensor::f64s(&args[k].shape, data);
    }
    args
}

/// The derivative of the float results along `dots` by central differences of sixth order, and whether two step sizes agree on it: they do not next
/// to a kink.
pub fn difference(f: &Func, args: &[Tensor], wrt: &[usize], dots: &[Tensor]) -> (Vec<Tensor>, bool) {
    let slope = |h: f64| -> Vec<Tensor> {
        let at = |t: f64| {
            let mut out = run(f, &moved(args, wrt, dots, t));
            out.retain(|t| t.elem().is_float());
            out
        };
        let points: Vec<(f64, Vec<Tensor>)> =
            [(45.0, 1.0), (-9.0, 2.0), (1.0, 3.0)].into_iter().flat_map(|(w, t)| [(w, at(t * h)), (-w, at(-t * h))]).collect();
        let combine = |k: usize| {
            let n = points[0].1[k].to_f64().len();
            let element = |j: usize| points.iter().map(|(w, out)| w * out[k].to_f64()[j]).sum::<f64>() / (60.0 * h);
            Tensor::f64s(&points[0].1[k].shape, (0..n).map(element).collect())
        };
        (0..points[0].1.len()).map(combine).collect()
    };
    let (coarse, fine) = (slope(1e-3), slope(5e-4));
    let agree = distance(&coarse, &fine) <= 2e-8 * size(&fine).max(1.0);
    (fine, agree)
}
