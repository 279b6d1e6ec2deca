//! All methods that lower: one line each.

use super::compositions as c;
use super::methods::Call;
use super::spellings::{Binary, Category as Of, Compute, Meaning, Method, On, Unary};
use super::value::Value;
use super::{Lowering, compositions::Composer};
use crate::ir::{Elementwise as E, ValueId};

type Composition = fn(&mut Composer<'_>, ValueId) -> ValueId;
type OfTwo = fn(&mut Composer<'_>, ValueId, ValueId) -> ValueId;

/// One operation on each element of numbers and arrays.
const fn op(name: &'static str, op: E, safe: Option<f64>) -> Method {
    let unary = Unary { compute: Compute::Op(op), safe, is_own: false };
    Method { name, on: On::Both, category: Of::Elementwise, n_args: 0, meaning: Meaning::Unary(unary), words: "" }
}

/// The same for a function that is a method of this crate.
const fn own(name: &'static str, op: E) -> Method {
    let unary = Unary { compute: Compute::Op(op), safe: None, is_own: true };
    Method { name, on: On::Both, category: Of::Elementwise, n_args: 0, meaning: Meaning::Unary(unary), words: "" }
}

/// A composition of operations on each element that is a method of this crate.
const fn own_composed(name: &'static str, f: Composition, words: &'static str) -> Method {
    let unary = Unary { compute: Compute::Composed(f), safe: None, is_own: true };
    Method { name, on: On::Both, category: Of::Elementwise, n_args: 0, meaning: Meaning::Unary(unary), words }
}

/// A composition of operations on each element.
const fn composed(name: &'static str, on: On, category: Of, f: Composition, safe: Option<f64>, words: &'static str) -> Method {
    let unary = Unary { compute: Compute::Composed(f), safe, is_own: false };
    Method { name, on, category, n_args: 0, meaning: Meaning::Unary(unary), words }
}

/// A function of two floats.
const fn two(name: &'static str, on: On, f: OfTwo, safe: Option<[f64; 2]>, words: &'static str) -> Method {
    let binary = Binary { compute: f, integers: false, floats: true, safe };
    Method { name, on, category: Of::Numbers, n_args: 1, meaning: Meaning::Binary(binary), words }
}

/// A function of two numbers of any type.
const fn two_of_any(name: &'static str, f: OfTwo, safe: Option<[f64; 2]>, words: &'static str) -> Method {
    let binary = Binary { compute: f, integers: true, floats: true, safe };
    Method { name, on: On::Numbers, category: Of::Numbers, n_args: 1, meaning: Meaning::Binary(binary), words }
}

/// A function of two integers.
const fn two_integers(name: &'static str, f: OfTwo, words: &'static str) -> Method {
    let binary = Binary { compute: f, integers: true, floats: false, safe: None };
    Method { name, on: On::Numbers, category: Of::Numbers, n_args: 1, meaning: Meaning::Binary(binary), words }
}

const fn of_array(
    name: &'static str,
    category: Of,
    n_args: usize,
    f: fn(&mut Lowering<'_>, Call<'_>, ValueId) -> Value,
    words: &'static str,
) -> Method {
    Method { name, on: On::Arrays, category, n_args, meaning: Meaning::Array(f), words }
}

const fn of_iterator(
    name: &'static str,
    n_args: usize,
    f: fn(&mut Lowering<'_>, Call<'_>, super::iterators::Iter) -> Value,
    words: &'static str,
) -> Method {
    Method { name, on: On::Iterators, category: Of::Iterators, n_args, meaning: Meaning::Iter(f), words }
}

const fn of_value(
    name: &'static str,
    category: Of,
    n_args: usize,
    f: fn(&mut Lowering<'_>, Call<'_>, Value) -> Value,
    words: &'static str,
) -> Method {
    Method { name, on: On::Anything, category, n_args, meaning: Meaning::Value(f), words }
}

/// Its receiver.
const fn same(name: &'static str) -> Method {
    of_value(name, Of::Copies, 0, |_, _, x| x, "its receiver")
}

/// All methods.
pub(super) const METHODS: &[Method] = &[
    op("exp", E::Exp, Some(0.0)),
    op("exp_m1", E::ExpM1, Some(0.0)),
    op("ln", E::Ln, Some(1.0)),
    op("ln_1p", E::Ln1p, Some(0.0)),
    op("sqrt", E::Sqrt, Some(1.0)),
    op("sin", E::Sin, Some(0.0)),
    op("cos", E::Cos, Some(0.0)),
    op("tan", E::Tan, Some(0.0)),
    op("asin", E::Asin, Some(0.0)),
    op("acos", E::Acos, Some(0.0)),
    op("atan", E::Atan, None),
    op("sinh", E::Sinh, Some(0.0)),
    op("cosh", E::Cosh, Some(0.0)),
    op("tanh", E::Tanh, None),
    own("sigmoid", E::Sigmoid),
    own("softplus", E::Softplus),
    own("relu", E::Relu),
    Method { on: On::Arrays, ..own("erf", E::Erf) },
    own_composed("gelu", c::gelu, "`x (1 + erf(x / √2)) / 2`"),
    own_composed("gelu_tanh", c::gelu_tanh, "`x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`"),
    op("abs", E::Abs, None),
    op("floor", E::Floor, None),
    composed("ceil", On::Both, Of::Elementwise, c::ceil, None, "`-floor(-x)`, derivative zero"),
    composed("trunc", On::Both, Of::Elementwise, c::trunc, None, "`floor` or `ceil`, derivative zero"),
    composed("round", On::Both, Of::Elementwise, c::round, None, "`trunc` and a comparison, derivative zero"),
    composed("fract", On::Both, Of::Elementwise, c::fract, None, "`x - trunc(x)`, derivative one"),
    composed("exp2", On::Both, Of::Elementwise, c::exp2, Some(0.0), "`exp(x ln 2)`"),
    composed("log2", On::Both, Of::Elementwise, c::log2, Some(1.0), "`ln(x) / ln 2`"),
    composed("log10", On::Both, Of::Elementwise, c::log10, Some(1.0), "`ln(x) / ln 10`"),
    composed("recip", On::Both, Of::Elementwise, c::recip, Some(1.0), "`1 / x`"),
    composed("cbrt", On::Both, Of::Elementwise, c::cbrt, None, "`sign(x) |x|^(1/3)`; the derivative at zero is taken as zero"),
    composed("asinh", On::Both, Of::Elementwise, c::asinh, None, "logarithms, one formula near zero and one elsewhere"),
    composed("acosh", On::Both, Of::Elementwise, c::acosh, Some(2.0), "`ln_1p` of roots; the derivative at one is taken as zero"),
    composed("atanh", On::Both, Of::Elementwise, c::atanh, Some(0.0), "`(ln(1 + x) - ln(1 - x)) / 2`"),
    composed("signum", On::Both, Of::Elementwise, c::signum, None, "comparisons with zero, derivative zero"),
    composed("pow2", On::Arrays, Of::Elementwise, c::square, None, "`x * x`"),
    composed("to_radians", On::Both, Of::Elementwise, c::to_radians, None, "`x * (π / 180)`"),
    composed("to_degrees", On::Both, Of::Elementwise, c::to_degrees, None, "`x * (180 / π)`"),
    composed("is_nan", On::Both, Of::Tests, c::is_nan, None, "`x != x`"),
    composed("is_infinite", On::Both, Of::Tests, c::is_infinite, None, "`|x| == ∞`"),
    composed("is_finite", On::Numbers, Of::Tests, c::is_finite, None, "`|x| < ∞`"),
    two("powf", On::Both, |c, x, y| c.op(E::Powf, &[x, y]), Some([1.0, 1.0]), "`powf`"),
    two("log", On::Both, c::log, Some([1.0, 2.0]), "`ln(x) / ln(base)`"),
    two("hypot", On::Both, c::hypot, None, "`sqrt(x² + y²)`, scaled by a power of two where the squares would leave the range"),
    two("abs_sub", On::Both, c::abs_sub, None, "`relu(x - y)`"),
    two("atan2", On::Numbers, |c, x, y| c.op(E::Atan2, &[x, y]), Some([1.0, 1.0]), "`atan2`"),
    two("copysign", On::Numbers, c::copysign, None, "`|x| signum(y)`"),
    two_of_any("max", |c, x, y| c.op(E::Max, &[x, y]), None, "`max`; at a tie each operand gets half of the derivative"),
    two_of_any("min", |c, x, y| c.op(E::Min, &[x, y]), None, "`min`; at a tie each operand gets half of the derivative"),
    two_of_any("rem_euclid", c::rem_euclid, Some([1.0, 1.0]), "`rem`, and the divisor added where that is negative"),
    two_integers("saturating_sub", c::saturating_sub, "`max(x, y) - y`"),
    two_integers("abs_diff", c::abs_diff, "`max(x, y) - min(x, y)`"),
    Method {
        name: "mul_add",
        on: On::Numbers,
        category: Of::Numbers,
        n_args: 2,
        meaning: Meaning::Ternary(c::mul_add),
        words: "`x * a + b`",
    },
    Method {
        name: "clamp",
        on: On::Both,
        category: Of::Numbers,
        n_args: 2,
        meaning: Meaning::Ternary(c::clamp),
        words: "`min(max(x, low), high)`; a NaN stays one",
    },
    Method {
        name: "powi",
        on: On::Both,
        category: Of::Numbers,
        n_args: 1,
        meaning: Meaning::Value(|l, call, x| l.powi(call, x)),
        words: "`powi`, the exponent known when the program is compiled",
    },
    Method {
        name: "to_f64",
        on: On::Numbers,
        category: Of::Numbers,
        n_args: 0,
        meaning: Meaning::Value(|l, call, x| l.widened(call, x)),
        words: "`cast`, a method of `Float`",
    },
    of_array("sum", Of::Reductions, 0, |l, call, x| l.sum_method(call, x), "`reduce_sum` over all axes"),
    of_array("product", Of::Reductions, 0, |l, call, x| l.product_method(call, x), "`reduce_prod` over all axes"),
    of_array("mean", Of::Reductions, 0, |l, call, x| l.mean_method(call, x), "the sum times `1 / n`"),
    of_array("var", Of::Reductions, 1, |l, call, x| l.var_method(call, x), "the sum of `(x - mean)²` over `n - ddof`"),
    of_array(
        "std",
        Of::Reductions,
        1,
        |l, call, x| l.std_method(call, x),
        "`sqrt` of the variance; its derivative at zero is taken as zero",
    ),
    of_array("sum_axis", Of::Reductions, 1, |l, call, x| l.sum_axis(call, x), "`reduce_sum` over the axis"),
    of_array("product_axis", Of::Reductions, 1, |l, call, x| l.product_axis(call, x), "`reduce_prod` over the axis"),
    of_array("mean_axis", Of::Reductions, 1, |l, call, x| l.mean_axis(call, x), "the sum over the axis times `1 / n`"),
    of_array("var_axis", Of::Reductions, 2, |l, call, x| l.var_axis(call, x), "as `var`, over the axis"),
    of_array("std_axis", Of::Reductions, 2, |l, call, x| l.std_axis(call, x), "as `std`, over the axis"),
    of_array(
        "fold",
        Of::Reductions,
        2,
        |l, call, x| l.fold_elements(call, x),
        "a reduction if it is a sum, a product or an extreme, else a loop",
    ),
    of_array(
        "fold_axis",
        Of::Reductions,
        3,
        |l, call, x| l.fold_axis(call, x),
        "a reduction over the axis if it is a sum, a product or an extreme, else a loop",
    ),
    of_array("is_any_nan", Of::Tests, 0, |l, call, x| l.any_of(call, x, c::is_nan, true), "whether any `x != x`"),
    of_array("is_all_nan", Of::Tests, 0, |l, call, x| l.any_of(call, x, c::is_nan, false), "as ndarray: whether no `x != x`"),
    of_array("is_any_infinite", Of::Tests, 0, |l, call, x| l.any_of(call, x, c::is_infinite, true), "whether any `|x| == ∞`"),
    of_array("is_all_infinite", Of::Tests, 0, |l, call, x| l.any_of(call, x, c::is_infinite, false), "as ndarray: whether no `|x| == ∞`"),
    of_array("dot", Of::Products, 1, |l, call, x| l.dot(call, x), "`einsum` over the last axis and the first"),
    of_array("t", Of::Axes, 0, |l, call, x| l.reversed_axes(call, x), "`permute`"),
    of_array("reversed_axes", Of::Axes, 0, |l, call, x| l.reversed_axes(call, x), "`permute`"),
    of_array("permuted_axes", Of::Axes, 1, |l, call, x| l.permuted_axes(call, x), "`permute`"),
    of_array("insert_axis", Of::Axes, 1, |l, call, x| l.insert_axis(call, x), "`reshape` with a new axis of length one"),
    of_array("remove_axis", Of::Axes, 1, |l, call, x| l.remove_axis(call, x), "the part at position 0 of the axis"),
    of_array("broadcast", Of::Axes, 1, |l, call, x| l.broadcast_method(call, x), "`broadcast`"),
    of_array("slice", Of::Parts, 1, |l, call, x| l.slice(call, x), "`read` of a window: ranges, steps, negative positions, `NewAxis`"),
    of_array(
        "split_at",
        Of::Parts,
        2,
        |l, call, x| l.split_at(call, x),
        "two `read`s: what is before a position of the axis, and the rest",
    ),
    of_array("slice_move", Of::Parts, 1, |l, call, x| l.slice(call, x), "as `slice`"),
    of_array("select", Of::Parts, 2, |l, call, x| l.select_positions(call, x), "`gather`"),
    of_array("to_shape", Of::Axes, 1, |l, call, x| l.reshaped(call, x), "`reshape`"),
    of_array("into_shape_with_order", Of::Axes, 1, |l, call, x| l.reshaped(call, x), "`reshape`"),
    of_array("into_shape_clone", Of::Axes, 1, |l, call, x| l.reshaped(call, x), "`reshape`"),
    of_array("flatten", Of::Axes, 0, |l, call, x| l.flattened(call, x), "`reshape` to one axis"),
    of_array("into_flat", Of::Axes, 0, |l, call, x| l.flattened(call, x), "`reshape` to one axis"),
    of_array("index_axis", Of::Parts, 2, |l, call, x| l.index_axis(call, x), "the part at a position of the axis"),
    of_array("index_axis_move", Of::Parts, 2, |l, call, x| l.index_axis(call, x), "the part at a position of the axis"),
    of_array("row", Of::Parts, 1, |l, call, x| l.row(call, x, 0), "the part at a position of the first axis"),
    of_array("column", Of::Parts, 1, |l, call, x| l.row(call, x, 1), "the part at a position of the second axis"),
    of_array("diag", Of::Parts, 0, |l, call, x| l.diag(call, x), "`take_along` of the elements whose positions are equal"),
    of_array("into_diag", Of::Parts, 0, |l, call, x| l.diag(call, x), "`take_along` of the elements whose positions are equal"),
    of_array("len", Of::Lengths, 0, |l, call, x| l.len(call, x), "the product of all lengths"),
    of_array("nrows", Of::Lengths, 0, |l, call, x| l.rows_or_columns(call, x, 0), "`dim_size`"),
    of_array("ncols", Of::Lengths, 0, |l, call, x| l.rows_or_columns(call, x, 1), "`dim_size`"),
    of_array("len_of", Of::Lengths, 1, |l, call, x| l.len_of(call, x), "`dim_size`"),
    of_array("ndim", Of::Lengths, 0, |l, _, x| l.ndim(x), "a number known when the program is compiled"),
    of_array("shape", Of::Lengths, 0, |l, _, x| l.shape(x), "all lengths"),
    of_array("raw_dim", Of::Lengths, 0, |l, _, x| l.shape(x), "all lengths"),
    of_array("dim", Of::Lengths, 0, |l, call, x| l.dim_tuple(call, x), "all lengths, as a tuple"),
    of_array("mapv", Of::Closures, 1, |l, call, x| l.mapv(call, x), "the operations of the closure on all elements at once"),
    of_array("mapv_into", Of::Closures, 1, |l, call, x| l.mapv(call, x), "as `mapv`"),
    of_array("map", Of::Closures, 1, |l, call, x| l.mapv(call, x), "as `mapv`"),
    of_array("map_axis", Of::Closures, 2, |l, call, x| l.map_axis(call, x), "a loop over the other axes, what it gives stacked"),
    of_array("iter", Of::Iterators, 0, |l, _, x| l.iter(x), "the elements, in the order of positions"),
    of_array("into_iter", Of::Iterators, 0, |l, _, x| l.iter(x), "as `iter`"),
    of_array("indexed_iter", Of::Iterators, 0, |l, _, x| l.indexed_iter(x), "positions and elements"),
    of_array("rows", Of::Iterators, 0, |l, _, x| l.lanes_along(x, usize::MAX), "the parts along the last axis"),
    of_array("columns", Of::Iterators, 0, |l, _, x| l.lanes_along(x, 0), "the parts along the first axis"),
    of_array("lanes", Of::Iterators, 1, |l, call, x| l.lanes(call, x), "the parts along an axis"),
    of_array("outer_iter", Of::Iterators, 0, |l, _, x| l.parts(x, 0), "the parts at each position of the first axis"),
    of_array("axis_iter", Of::Iterators, 1, |l, call, x| l.axis_iter(call, x), "the parts at each position of an axis"),
    of_array("windows", Of::Iterators, 1, |l, call, x| l.windows_of(call, x), "the windows of a shape, in the order of positions"),
    of_array("axis_windows", Of::Iterators, 2, |l, call, x| l.axis_windows(call, x), "the windows along an axis"),
    of_array(
        "exact_chunks",
        Of::Iterators,
        1,
        |l, call, x| l.exact_chunks(call, x),
        "the chunks of a shape, without what is left at the end",
    ),
    of_array(
        "axis_chunks_iter",
        Of::Iterators,
        2,
        |l, call, x| l.axis_chunks(call, x),
        "the chunks along an axis, whose length is a multiple of theirs",
    ),
    of_iterator("filter", 1, |l, call, _| l.filter_alone(call), "an `if` in the reduction or loop that follows"),
    of_iterator("rev", 0, |l, call, i| l.reversed_items(call, i), "the items from the last on"),
    of_iterator("skip", 1, |l, call, i| l.skipped_items(call, i), "`read` of the rest"),
    of_iterator("take", 1, |l, call, i| l.taken_items(call, i), "`read` of the first"),
    of_iterator("step_by", 1, |l, call, i| l.stepped_items(call, i), "`read` at equal distances"),
    of_iterator("iter", 0, |_, _, i| i.into(), "its receiver"),
    of_iterator("into_iter", 0, |_, _, i| i.into(), "its receiver"),
    of_iterator("by_ref", 0, |_, _, i| i.into(), "its receiver"),
    of_iterator("copied", 0, |_, _, i| i.into(), "its receiver"),
    of_iterator("cloned", 0, |_, _, i| i.into(), "its receiver"),
    of_iterator("map", 1, |l, call, i| l.map_items(call, i), "the operations of the closure on all elements at once, or in a loop"),
    of_iterator("zip", 1, |l, call, i| l.zip_items(call, i), "both items; the lengths must be equal"),
    of_iterator("enumerate", 0, |l, call, i| l.enumerate_items(call, i), "`iota` beside the items"),
    of_iterator("sum", 0, |l, call, i| l.sum_items(call, i), "`reduce_sum`"),
    of_iterator("product", 0, |l, call, i| l.product_items(call, i), "`reduce_prod`"),
    of_iterator("fold", 2, |l, call, i| l.fold_items(call, i), "a reduction if it is a sum, a product or an extreme, else a loop"),
    of_iterator("count", 0, |l, call, i| l.count_items(call, i), "the product of the lengths"),
    of_iterator("len", 0, |l, call, i| l.count_items(call, i), "the product of the lengths"),
    of_iterator("all", 1, |l, call, i| l.all_items(call, i), "whether none is false"),
    of_iterator("any", 1, |l, call, i| l.any_items(call, i), "whether one is true"),
    of_iterator("collect", 0, |l, call, i| l.collect_items(call, i), "an array of one axis"),
    of_iterator("and", 1, |l, call, i| l.zip_and(call, i, false), "one more array of the shape of the others"),
    of_iterator("and_broadcast", 1, |l, call, i| l.zip_and(call, i, true), "one more array, broadcast"),
    of_iterator(
        "map_collect",
        1,
        |l, call, i| l.map_collect(call, i),
        "the operations of the closure on all elements at once, or in a loop",
    ),
    of_value("unwrap", Of::Copies, 0, |l, call, x| l.unwrap(call, x), "what the `Option` or `Result` holds"),
    of_value("expect", Of::Copies, 1, |l, call, x| l.unwrap(call, x), "what the `Option` or `Result` holds"),
    same("view"),
    same("clone"),
    same("to_owned"),
    same("into_owned"),
    same("into"),
    same("into_scalar"),
    same("to_shared"),
    same("into_shared"),
    same("reborrow"),
    same("as_standard_layout"),
];
