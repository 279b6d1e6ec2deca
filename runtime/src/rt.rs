//! Exactly what generated code names, and nothing else. Not for use by hand: it changes with the compiler.

pub use ndarray::{Array, Array0, Array1, Array2, Array3, Array4, Array5, Array6, arr0};
pub use ndarray::{ArrayView0, ArrayView1, ArrayView2, ArrayView3, ArrayView4, ArrayView5, ArrayView6};

pub use crate::condition::{FixedPoint, Gradient};
pub use crate::fingerprint::Fingerprint;
pub use crate::kernels::{
    ANY, Buffer, FailedCheck, Largest, Matrix, Max, Min, Prod, Smallest, Stack, Sum, abs, acos, add, asin, at, atan, atan2, check_index,
    check_indices, check_nonempty, check_or_panic, check_reshape, check_turns, check_windows, column, concat, contract, contract_windows,
    copy, cos, cosh, dims, dims_or_panic, elements, erf, exp, exp_m1, extreme_positions, fill, first, fixed, floor, fold, from, gather,
    lane, ln, ln_1p, log_sum_exp, map, matrix, max, min, part, position, powf, powi, product, products, read, reduce_all, reduce_first,
    reduce_last, relu, row, row_mut, scatter_add, sigmoid, sign, sin, sinh, softplus, splat, sqrt, stack, strided, take_along, tan, tanh,
    to_array, to_fixed, view_elements, windows, write,
};
pub use crate::kernels::{Rows, Triangle, cholesky, eigh, log_det, lu, lu_solve, solve_triangular};
pub use crate::params::NoOuter;
pub use std::borrow::Cow;
pub use std::mem::swap;
pub use std::vec::Vec;

pub use crate::float::{as_float, is_float, widths};
pub use crate::functions::witness::{
    Answered, Carried, CotangentRule, HasBound, HasTangents, OwnMethods, Same, Unavailable, UnboundedLoop, same_function,
};
pub use crate::several::{array_at, columns, fixed_at, rows, stacked, stacked_shape, values};
pub use ndarray::{Ix1, Ix2, Ix3, Ix4, Ix5, Ix6};

pub use crate::params::{Struct, check_finite, from_fields, take_leaf, write_leaf};
pub use crate::{BilevelProblem, Error, Float, LossesReadOuter, Params, StepProblem};

// What the method in the attribute is made of.
#[cfg(feature = "linalg")]
pub use crate::linear::Direct;
pub use crate::linear::{BiCgStab, Cg, Gmres, Minres, Neumann, Nystrom, Preconditioner};
pub use crate::methods::{Batches, Check, Checkpoints, DefaultInner, EvoGrad, FiniteDifferences, Implicit, Noise, OwnStep, Unrolled};
pub use crate::solve::{Adam, AdamW, GradientDescent, Hyper, Lbfgs, Momentum, Nesterov, NewtonCg, OuterOptimizer, RmsProp};
pub use crate::solver::{HypergradientOf, ProblemExt, Solved, Solver, TunedOf};
