//! What the tests of the passes share: text in, text out, and the same values.

use crate::ir::eval::{Data, Tensor, eval};
use crate::ir::text::{parse, same};
use crate::ir::verify::verify;
use crate::ir::{Dim, DimId, Elem, Func};

fn read(text: &str) -> Func {
    let f = parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    verify(&f).unwrap_or_else(|v| panic!("{v:#?}\n{f}"));
    f
}

/// How alike the values of a function and of what a pass makes of it have to be.
#[derive(Clone, Copy)]
pub(super) enum Alike {
    /// Bit for bit, but for the payloads of NaNs.
    Bits,
    /// Up to rounding and the sign of zero, for rules under a licence.
    Rounding,
    /// Up to rounding, and infinities and NaNs count as alike: for rules that take a common factor out of a sum.
    Finite,
}

impl Alike {
    fn holds(self, elem: Elem, x: f64, y: f64) -> bool {
        let tolerance = if elem == Elem::F32 { 1e-6 } else { 1e-14 };
        let same_bits = x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
        match self {
            Alike::Bits => same_bits,
            Alike::Rounding => same_bits || x == y || (x - y).abs() <= tolerance * (1.0 + x.abs()),
            Alike::Finite => Alike::Rounding.holds(elem, x, y) || !(x.is_finite() || y.is_finite()),
        }
    }
}

/// Asserts that the pass makes `expected` of `input`, and that both evaluate to the same bits.
pub(super) fn check(pass: fn(&Func) -> Func, input: &str, expected: &str) {
    check_alike(Alike::Bits, pass, input, expected);
}

/// Asserts that the pass makes `expected` of `input`, and that both evaluate alike.
pub(super) fn check_alike(alike: Alike, pass: fn(&Func) -> Func, input: &str, expected: &str) {
    let (input, expected) = (read(input), read(expected));
    let output = pass(&input);
    verify(&output).unwrap_or_else(|v| panic!("{v:#?}\n{output}"));
    assert!(same(&output, &expected), "the pass gave\n{output}\ninstead of\n{expected}");
    assert_same_values(&input, &output, alike);
}

/// Asserts that the pass leaves `text` as it is.
pub(super) fn unchanged(pass: fn(&Func) -> Func, text: &str) {
    check(pass, text, text);
}

/// Asserts that two functions give the same results on pseudo-random arguments, some of them special values.
fn assert_same_values(a: &Func, b: &Func, alike: Alike) {
    let mut evaluated = 0;
    for seed in 0..48 {
        let args = arguments(a, seed);
        // A pass may remove a failure, but never bring one in.
        let Ok(of_a) = eval(a, &args) else { continue };
        let of_b = eval(b, &args).unwrap_or_else(|e| panic!("{e}\n{b}"));
        evaluated += 1;
        for (x, y) in of_a.iter().zip(&of_b) {
            let all_alike = x.to_f64().iter().zip(y.to_f64()).all(|(&x_k, y_k)| alike.holds(x.elem(), x_k, y_k));
            assert!(x.shape == y.shape && all_alike, "{x:?}\n{y:?}\nof {args:?}\n{a}\n{b}");
        }
    }
    assert!(evaluated > 0, "no arguments could be evaluated\n{a}");
}

/// Arguments for `f`: lengths from 1 to 4, small positive integers, and floats of both signs; zeros and infinities for every third seed.
fn arguments(f: &Func, seed: u64) -> Vec<Tensor> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 40
    };
    let lens: Vec<usize> = f.dims.iter().map(|_| 1 + random() as usize % 4).collect();
    let mut float = |special: bool| match random() % 12 {
        0 if special => f64::INFINITY,
        1 if special => f64::NEG_INFINITY,
        2 | 3 if special => 0.0,
        4 | 5 if special => -0.0,
        _ => (random() % 2001) as f64 / 500.0 - 2.0,
    };
    let mut tensor = |elem: Elem, shape: Vec<usize>| {
        let n = shape.iter().product();
        let mut floats = (0..n).map(|_| float(seed % 3 == 2));
        let data = match elem {
            // A generic function runs in the wide type.
            Elem::F64 | Elem::Generic(_) => Data::F64(floats.collect()),
            Elem::F32 => Data::F32(floats.map(|x| x as f32).collect()),
            Elem::Usize | Elem::I64 => Data::Int(elem, floats.map(|x| if x > 1.0 { 2 } else { i64::from(x > 0.0) }).collect()),
            Elem::Bool => Data::Bool(floats.by_ref().map(|x| x > 0.0).collect()),
        };
        Tensor { shape, data }
    };
    let len = |dim: &Dim| match *dim {
        Dim::Const(n) => n as usize,
        Dim::Sym(DimId(d)) => lens[d as usize],
    };
    f.param_types().map(|ty| tensor(ty.elem, ty.dims.iter().map(len).collect())).collect()
}
