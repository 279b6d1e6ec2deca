//! Linear solvers: `H x = b` for an operator that is known through its products with vectors.

mod cg;

pub(crate) use cg::truncated_cg;
pub use cg::{Cg, CgMemory};

use std::fmt;

use crate::{Error, Float};

/// The linear map `v ↦ H v`.
pub trait Operator<T: Float> {
    /// `product ← H v`
    fn apply(&mut self, v: &[T], product: &mut [T]);

    /// `product ← H x` for a solution `x`, from which its residual is recomputed. Every solver ends with this product, so that an
    /// operator that can give more in the same pass gives it here.
    fn apply_to_solution(&mut self, x: &[T], product: &mut [T]) {
        self.apply(x, product);
    }
}

impl<T: Float, F: FnMut(&[T], &mut [T])> Operator<T> for F {
    fn apply(&mut self, v: &[T], product: &mut [T]) {
        self(v, product);
    }
}

/// A way to solve `H x = b`.
pub trait LinearSolver<T: Float> {
    /// Vectors that one solve needs, kept from one solve to the next.
    type Memory;

    /// Checks the settings and makes the memory for systems of `n` unknowns.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`]
    fn memory(&self, n: usize) -> Result<Self::Memory, Error>;

    /// Solves `H x̂ = b / ‖b‖`, whatever the scale of `b`, starting from zero; what `x` holds is not read. The last product before the
    /// return is [`Operator::apply_to_solution`] with `x̂`, except for `b = 0`, where no product is made and `x̂ = 0`.
    fn solve(&self, operator: &mut impl Operator<T>, b: &[T], unit_solution: &mut [T], memory: &mut Self::Memory) -> LinearOutcome;
}

/// How a linear solve went.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LinearOutcome {
    /// Why the solver stopped.
    pub stop: LinearStop,
    /// Iterations made.
    pub n_iterations: usize,
    /// `‖b‖₂`. The solution of the system is this times the unit solution.
    pub rhs_norm: f64,
    /// `‖b − H x‖₂`, recomputed from the solution by a product of its own.
    pub residual: f64,
    /// The same divided by `‖b‖₂`; 0 for `b = 0`.
    pub relative_residual: f64,
    /// The smallest `pᵀHp / pᵀp` over all directions; none without a product.
    pub smallest_curvature: Option<f64>,
    /// The largest `pᵀHp / pᵀp` over all directions, a lower bound on the largest eigenvalue.
    pub largest_curvature: Option<f64>,
}

/// Why a linear solver stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinearStop {
    /// The recomputed residual is within the tolerance, or as small as rounding allows.
    Converged,
    /// The iterations that the user allowed were made.
    Truncated,
    /// The iterations allowed where the user set no number were made.
    MaxIterations,
    /// Rounding keeps the recomputed residual above the tolerance.
    Stagnated,
    /// A direction `p` with `pᵀHp ≤ 0`, up to rounding, was met. The solution is the iterate before it.
    NegativeCurvature,
    /// The right-hand side or a product was NaN or infinite.
    NonFinite,
}

impl fmt::Display for LinearStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LinearStop::Converged => "converged",
            LinearStop::Truncated => "truncated",
            LinearStop::MaxIterations => "all iterations used",
            LinearStop::Stagnated => "stagnated",
            LinearStop::NegativeCurvature => "negative curvature",
            LinearStop::NonFinite => "not finite",
        })
    }
}
