//! The table from Rust spellings to operations.
//!
//! Adding a spelling is one line here if it is one operation or a composition of one operand, and a case in `methods` if it is more.

use super::Lowering;
use crate::ir::{Elem, Elementwise as E, Literal, Op, Shape, ValueId};

/// What a method is called on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum On {
    /// Arrays only.
    Arrays,
    /// Numbers and arrays.
    Both,
}

/// A method without arguments that works on each element.
#[derive(Clone, Copy)]
pub(super) struct Unary {
    /// Its name in Rust.
    pub(super) name: &'static str,
    /// What it is a method of.
    pub(super) on: On,
    /// What it computes.
    pub(super) meaning: Meaning,
    /// An operand at which value and derivative are finite, for the elements of an `if` in a closure that do not take the branch; `None` if they are
    /// finite everywhere.
    pub(super) safe: Option<f64>,
}

/// What a method computes.
#[derive(Clone, Copy)]
pub(super) enum Meaning {
    /// One operation.
    Op(E),
    /// A composition, given the operand.
    Composed(fn(&mut Composer<'_, '_>, ValueId) -> ValueId),
}

/// Builds compositions of float operations, all operands of the shape and type of the first.
pub(super) struct Composer<'a, 'b> {
    pub(super) lowering: &'a mut Lowering<'b>,
}

impl Composer<'_, '_> {
    pub(super) fn op(&mut self, op: E, args: &[ValueId]) -> ValueId {
        self.lowering.b.op(op, args)
    }

    /// A constant of the shape and type of `like`, rounded once from its value in either width.
    pub(super) fn constant(&mut self, like: ValueId, wide: f64, narrow: f32) -> ValueId {
        let ty = self.lowering.b.ty(like).clone();
        let literal = Literal::Float(if ty.elem == Elem::F32 { f64::from(narrow) } else { wide });
        let scalar = self.lowering.b.op(Op::Const(ty.elem, literal), &[]);
        if ty.dims.is_empty() {
            return scalar;
        }
        self.lowering.b.op(Shape::Broadcast { axes: Vec::new(), dims: ty.dims }, &[scalar])
    }
}

const fn op(name: &'static str, on: On, op: E, safe: Option<f64>) -> Unary {
    Unary { name, on, meaning: Meaning::Op(op), safe }
}

const fn composed(name: &'static str, on: On, f: fn(&mut Composer<'_, '_>, ValueId) -> ValueId, safe: Option<f64>) -> Unary {
    Unary { name, on, meaning: Meaning::Composed(f), safe }
}

/// All methods of floats, and of arrays of floats, that take no arguments and work on each element.
pub(super) const UNARY: &[Unary] = &[
    op("exp", On::Both, E::Exp, Some(0.0)),
    op("exp_m1", On::Both, E::ExpM1, Some(0.0)),
    op("ln", On::Both, E::Ln, Some(1.0)),
    op("ln_1p", On::Both, E::Ln1p, Some(0.0)),
    op("sqrt", On::Both, E::Sqrt, Some(1.0)),
    op("sin", On::Both, E::Sin, Some(0.0)),
    op("cos", On::Both, E::Cos, Some(0.0)),
    op("tan", On::Both, E::Tan, Some(0.0)),
    op("asin", On::Both, E::Asin, Some(0.0)),
    op("acos", On::Both, E::Acos, Some(0.0)),
    op("atan", On::Both, E::Atan, None),
    op("sinh", On::Both, E::Sinh, Some(0.0)),
    op("cosh", On::Both, E::Cosh, Some(0.0)),
    op("tanh", On::Both, E::Tanh, None),
    op("sigmoid", On::Both, E::Sigmoid, None),
    op("softplus", On::Both, E::Softplus, None),
    op("relu", On::Both, E::Relu, None),
    op("abs", On::Both, E::Abs, None),
    op("floor", On::Both, E::Floor, None),
    composed("ceil", On::Both, ceil, None),
    composed("exp2", On::Both, exp2, Some(0.0)),
    composed("log2", On::Both, log2, Some(1.0)),
    composed("log10", On::Both, log10, Some(1.0)),
    composed("recip", On::Both, recip, Some(1.0)),
    composed("atanh", On::Both, atanh, Some(0.0)),
    composed("signum", On::Both, signum, None),
    composed("pow2", On::Arrays, |c, x| c.op(E::Mul, &[x, x]), None),
    composed("to_radians", On::Both, to_radians, None),
    composed("to_degrees", On::Both, to_degrees, None),
];

/// The methods of this crate; all others are of the standard library or of `ndarray`.
pub(super) const OWN_METHODS: &[&str] = &["sigmoid", "softplus", "relu"];

/// `-floor(-x)`
fn ceil(c: &mut Composer<'_, '_>, x: ValueId) -> ValueId {
    let minus = c.op(E::Neg, &[x]);
    let floor = c.op(E::Floor, &[minus]);
    c.op(E::Neg, &[floor])
}

/// `exp(x ln 2)`
fn exp2(c: &mut Composer<'_, '_>, x: ValueId) -> ValueId {
    let ln_2 = c.constant(x, std::f64::consts::LN_2, std::f32::consts::LN_2);
    let scaled = c.op(E::Mul, &[x, ln_2]);
    c.op(E::Exp, &[scaled])
}

/// `ln(x) / ln 2`
fn log2(c: &mut Composer<'_, '_>, x: ValueId) -> ValueId {
    let ln = c.op(E::Ln, &[x]);
    let base = c.constant(x, std::f64::consts::LN_2, std::f32::consts::LN_2);
    c.op(E::Div, &[ln, base])
}

/// `ln(x) / ln 10`
fn log10(c: &mut Composer<'_, '_>, x: ValueId) -> ValueId {
    let ln = c.op(E::Ln, &[x]);
    let base = c.constant(x, std::f64::consts::LN_10, std::f32::consts::LN_10);
    c.op(E::Div, &[ln, base])
}

/// `1 / x`
fn recip(c: &mut Composer<'_, '_>, x: ValueId) -> ValueId {
    let one = c.constant(x, 1.0, 1.0);
    c.op(E::Div, &[one, x])
}

/// `(ln(1 + x) - ln(1 - x)) / 2`
fn atanh(c: &mut Composer<'_, '_>, x: ValueId) -> ValueId {
    let minus = c.op(E::Neg, &[x]);
    let (a, b) = (c.op(E::Ln1p, &[x]), c.op(E::Ln1p, &[minus]));
    let difference = c.op(E::Sub, &[a, b]);
    let half = c.constant(x, 0.5, 0.5);
    c.op(E::Mul, &[half, difference])
}

/// Rust's `signum`, which unlike [`E::Sign`] is `1` at `0.0`, `-1` at `-0.0` and NaN at NaN. It is constant wherever it is differentiable.
fn signum(c: &mut Composer<'_, '_>, x: ValueId) -> ValueId {
    let (zero, one, minus_one) = (c.constant(x, 0.0, 0.0), c.constant(x, 1.0, 1.0), c.constant(x, -1.0, -1.0));
    // Only the reciprocal tells `-0.0` from `0.0`.
    let reciprocal = c.op(E::Div, &[one, x]);
    let (below, below_zero) = (c.op(E::Lt, &[x, zero]), c.op(E::Lt, &[reciprocal, zero]));
    let negative = c.op(E::Or, &[below, below_zero]);
    let sign = c.op(E::Select, &[negative, minus_one, one]);
    let is_nan = c.op(E::Ne, &[x, x]);
    c.op(E::Select, &[is_nan, x, sign])
}

/// `x π / 180`
fn to_radians(c: &mut Composer<'_, '_>, x: ValueId) -> ValueId {
    let factor = c.constant(x, std::f64::consts::PI / 180.0, std::f32::consts::PI / 180.0);
    c.op(E::Mul, &[x, factor])
}

/// `x 180 / π`
fn to_degrees(c: &mut Composer<'_, '_>, x: ValueId) -> ValueId {
    let factor = c.constant(x, 180.0 / std::f64::consts::PI, (180.0 / std::f64::consts::PI) as f32);
    c.op(E::Mul, &[x, factor])
}

/// The entry of a name in [`UNARY`].
pub(super) fn unary(name: &str) -> Option<&'static Unary> {
    UNARY.iter().find(|u| u.name == name)
}

/// Methods of arrays and numbers that are more than one operation on each element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Method {
    /// Gives its receiver: views, copies, conversions between owned and borrowed.
    Same,
    /// `x.dot(&y)`
    Dot,
    /// Axes in reverse order.
    T,
    /// Sum over all axes.
    Sum,
    /// Mean over all axes, an `Option`.
    Mean,
    /// Sum over one axis.
    SumAxis,
    /// Mean over one axis, an `Option`.
    MeanAxis,
    /// Number of elements.
    Len,
    /// Length of the first axis.
    Nrows,
    /// Length of the second axis.
    Ncols,
    /// Length of an axis.
    LenOf,
    /// Number of axes.
    Ndim,
    /// All lengths as a slice.
    Shape,
    /// All lengths as a tuple.
    Dim,
    /// A new axis of length one.
    InsertAxis,
    /// An axis of the constant length one, or any at a position, removed.
    IndexAxis,
    /// A row of a matrix.
    Row,
    /// A column of a matrix.
    Column,
    /// A function on each element.
    Map,
    /// The value of an `Option`.
    Unwrap,
    /// Constant integer power.
    Powi,
    /// Float power.
    Powf,
    /// Logarithm to a base.
    Log,
    /// The larger of two numbers.
    Max,
    /// The smaller of two numbers.
    Min,
    /// Between two bounds.
    Clamp,
    /// `x * a + b`
    MulAdd,
    /// Angle of a point.
    Atan2,
}

/// The names of [`Method`], with how many arguments each takes.
pub(super) const METHODS: &[(&str, Method, usize)] = &[
    ("view", Method::Same, 0),
    ("clone", Method::Same, 0),
    ("to_owned", Method::Same, 0),
    ("into_owned", Method::Same, 0),
    ("into", Method::Same, 0),
    ("into_scalar", Method::Same, 0),
    ("as_standard_layout", Method::Same, 0),
    ("dot", Method::Dot, 1),
    ("t", Method::T, 0),
    ("reversed_axes", Method::T, 0),
    ("sum", Method::Sum, 0),
    ("mean", Method::Mean, 0),
    ("sum_axis", Method::SumAxis, 1),
    ("mean_axis", Method::MeanAxis, 1),
    ("len", Method::Len, 0),
    ("nrows", Method::Nrows, 0),
    ("ncols", Method::Ncols, 0),
    ("len_of", Method::LenOf, 1),
    ("ndim", Method::Ndim, 0),
    ("shape", Method::Shape, 0),
    ("raw_dim", Method::Shape, 0),
    ("dim", Method::Dim, 0),
    ("insert_axis", Method::InsertAxis, 1),
    ("index_axis", Method::IndexAxis, 2),
    ("row", Method::Row, 1),
    ("column", Method::Column, 1),
    ("mapv", Method::Map, 1),
    ("mapv_into", Method::Map, 1),
    ("map", Method::Map, 1),
    ("unwrap", Method::Unwrap, 0),
    ("expect", Method::Unwrap, 1),
    ("powi", Method::Powi, 1),
    ("powf", Method::Powf, 1),
    ("log", Method::Log, 1),
    ("max", Method::Max, 1),
    ("min", Method::Min, 1),
    ("clamp", Method::Clamp, 2),
    ("mul_add", Method::MulAdd, 2),
    ("atan2", Method::Atan2, 1),
];

/// Methods that people look for and that have another spelling here.
pub(super) const INSTEAD: &[(&str, &str)] = &[
    ("iter", "write whole-array operations, or `for i in 0..x.len()` with `x[i]`"),
    ("into_iter", "write whole-array operations, or `for i in 0..x.len()` with `x[i]`"),
    ("rows", "write `for i in 0..x.nrows()` with `x.row(i)`"),
    ("columns", "write `for j in 0..x.ncols()` with `x.column(j)`"),
    ("outer_iter", "write `for i in 0..x.nrows()` with `x.row(i)`"),
    ("axis_iter", "write `for i in 0..x.nrows()` with `x.row(i)`"),
    ("fold", "write `.sum()`, or a `for` loop that adds to a `let mut`"),
    ("product", "write `.ln().sum().exp()` for positive elements, or a `for` loop"),
    ("var", "write it with `mean`: `(&x - x.mean().unwrap()).pow2().mean().unwrap()`"),
    ("std", "write it with `mean`: `(&x - x.mean().unwrap()).pow2().mean().unwrap().sqrt()`"),
    ("mapv_inplace", "write `let y = x.mapv(..);`"),
    ("map_inplace", "write `let y = x.mapv(..);`"),
    ("assign", "write `let` with the new value"),
    ("fill", "write `Array1::from_elem(n, value)`"),
    ("slice", "slices are not available in this version: pass the part as a parameter, or read it by `x.row(i)` and `x[i]`"),
    ("cbrt", "write `.powf(1.0 / 3.0)`"),
    ("hypot", "write `(x * x + y * y).sqrt()`"),
    ("asinh", "write `(x + (x * x + 1.0).sqrt()).ln()`"),
    ("acosh", "write `(x + (x * x - 1.0).sqrt()).ln()`"),
    ("round", "write `(x + 0.5).floor()`; its derivative is zero"),
    ("trunc", "write `.floor()` for numbers that are not negative; its derivative is zero"),
    ("fract", "write `x - x.floor()`"),
    ("abs_sub", "write `(x - y).relu()`"),
    ("unwrap_or", "write `.unwrap()`: empty data is refused at the entry"),
    ("unwrap_or_default", "write `.unwrap()`: empty data is refused at the entry"),
    ("copysign", "write `x.abs() * y.signum()`"),
    ("rem_euclid", "write `x - (x / y).floor() * y`"),
    ("into_shape", "keep the rank that the parameter has"),
    ("to_shape", "keep the rank that the parameter has"),
    ("broadcast", "leave it out: operators broadcast by themselves"),
    ("select", "pass the selected part as a parameter"),
    ("inv", "solve the linear system outside and pass its result"),
];

/// The known method whose name is closest to one that is not known, if it is close; among equals one of the same length.
pub(super) fn closest<'n>(name: &str, candidates: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let limit = 1 + name.len() / 4;
    let measured = candidates.map(|c| (distance(name, c), c.len().abs_diff(name.len()), c));
    measured.filter(|&(d, ..)| d <= limit).min().map(|(.., c)| c)
}

/// The names of all methods.
pub(super) fn method_names() -> impl Iterator<Item = &'static str> {
    UNARY.iter().map(|u| u.name).chain(METHODS.iter().map(|m| m.0))
}

/// Number of insertions, deletions, substitutions and exchanges of neighbours between two names.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // The distances between all beginnings of the two.
    let mut d = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            d[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let substituted = d[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let changed = substituted.min(d[i - 1][j] + 1).min(d[i][j - 1] + 1);
                if exchanged { changed.min(d[i - 2][j - 2] + 1) } else { changed }
            };
        }
    }
    d[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_stands_once() {
        let names: Vec<&str> = method_names().chain(INSTEAD.iter().map(|i| i.0)).collect();
        for (k, name) in names.iter().enumerate() {
            assert!(!names[..k].contains(name), "`{name}` stands twice");
        }
    }

    #[test]
    fn suggestions_are_close() {
        assert_eq!(closest("tahn", method_names()), Some("tanh"));
        assert_eq!(closest("sum_axes", method_names()), Some("sum_axis"));
        assert_eq!(closest("reshape_with_order", method_names()), None);
    }
}
