//! The loops that generated code spends its time in.
//!
//! Every kernel works on slices of contiguous, row-major elements and writes all of a destination that the caller hands in, which it
//! gives back as a shared slice, so that generated code reads `let y = rt::map(buffer, …)`.
//!
//! Each loop is compiled once per CPU variant (see [`Variant`]); a variant only decides which instructions are used, never in which
//! order numbers are combined, so that results are equal bit for bit. The one exception are products of two matrices: the general one
//! is that of the `matrixmultiply` crate, and that with few columns uses fused multiply-add where the CPU has it.
//!
//! All `unsafe` code of the crate is in this module.

mod buffer;
mod contract;
mod entry;
mod erf;
mod extremes;
#[cfg(feature = "linalg")]
mod factor;
mod index;
mod linalg;
mod map;
mod math;
mod matrix;
mod narrow;
mod operand;
mod product;
mod products;
mod reduce;
mod rows;
mod store;
mod tiles;
mod variant;
#[cfg(target_arch = "x86_64")]
mod vector;

pub(crate) use buffer::FromElements;
pub use buffer::{Buffer, copy, elements, fill, to_array, to_fixed, view_elements};
pub use contract::{contract, contract_windows};
pub use entry::{ANY, FailedCheck, check_index, check_indices, check_nonempty, check_or_panic, check_turns, dims, dims_or_panic, fixed};
pub use erf::erf;
pub use extremes::{Largest, Smallest, extreme_positions};
pub use index::{
    add, at, check_reshape, check_windows, concat, first, fold, from, gather, part, read, row, row_mut, scatter_add, take_along, windows,
    write,
};
pub(crate) use linalg::Factored;
pub use linalg::{Real, Triangle, cholesky, eigh, log_det, lu, lu_solve, solve_triangular};
pub use map::map;
pub(crate) use math::Math;
pub use math::{
    abs, acos, asin, atan, atan2, cos, cosh, exp, exp_m1, floor, ln, ln_1p, max, min, powf, powi, relu, sigmoid, sign, sin, sinh, softplus,
    sqrt, tan, tanh,
};
pub use matrix::{Matrix, column, matrix};
pub(crate) use narrow::Narrow;
pub use operand::{lane, position, splat, strided};
pub use product::product;
pub use products::{Stack, products, stack};
pub use reduce::{Max, Min, Prod, Sum, log_sum_exp, reduce_all, reduce_first, reduce_last};
pub use rows::Rows;
pub(crate) use tiles::Tiles;
