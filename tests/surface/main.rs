//! The surface of `ndarray` and the standard library that lowers: every spelling of the table stands in a function here that is run as it is, as its
//! lowered form by the evaluator, and as emitted derivatives, which all must agree with each other and with differences.

#![allow(clippy::reversed_empty_ranges, reason = "positions counted from the end, as ndarray has them")]
#![allow(
    clippy::type_complexity,
    clippy::op_ref,
    clippy::map_clone,
    clippy::unnecessary_fold,
    clippy::useless_conversion,
    clippy::clone_on_copy,
    clippy::into_iter_on_ref,
    clippy::redundant_closure,
    deprecated,
    reason = "the spellings are what is tested"
)]

#[path = "../common/mod.rs"]
mod common;
#[macro_use]
#[path = "../common/harness.rs"]
mod harness;

mod axes;
mod closures;
mod elements;
mod generics;
mod iterators;
mod parts;
mod reductions;
mod table;

use bilevel::prelude::*;
use common::vector;

fn positive(n: usize) -> Array1<f64> {
    vector(n).mapv(|v| v * v + 0.23)
}

/// A matrix of numbers of both signs, none of them zero.
fn generic(n: usize, m: usize) -> Array2<f64> {
    common::matrix(n, m) + 0.0137
}

/// Three axes, of numbers of both signs.
fn cube(n: usize, m: usize, k: usize) -> Array3<f64> {
    Array3::from_shape_fn((n, m, k), |(i, j, l)| (1.3 * i as f64 - 0.7 * j as f64 + 0.45 * l as f64 + 0.2 * (i * j * l) as f64).sin() + 0.1)
}
