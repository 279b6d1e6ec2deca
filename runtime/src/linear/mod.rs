//! Linear solvers: `H x = b` for an operator that is known through its products with vectors.
//!
//! | solver | for | products | vectors of memory |
//! | --- | --- | --- | --- |
//! | [`Cg`] | positive definite | one an iteration | 4, with a preconditioner 5 and its own |
//! | [`Minres`] | symmetric, also indefinite | one an iteration | 7 |
//! | [`Gmres`] | any | one an iteration | restart + 4 |
//! | [`BiCgStab`] | any | two an iteration | 8 |
//! | [`Direct`] (feature `linalg`) | symmetric, of a few thousand unknowns | one an unknown | 2 n |
//! | [`Neumann`] | positive definite, as a series cut short | one a term | 3 |
//! | [`Nystrom`] | positive semidefinite, from some of its columns | one a column | rank + 3 |
//!
//! All of them work on the system divided by `‖b‖`, so that right-hand sides of any scale neither overflow nor underflow, and end with a product
//! from which the true residual is computed. What each does with an operator that it is not made for is in its documentation.

mod bicgstab;
mod cg;
mod damped;
pub(crate) mod dense;
#[cfg(feature = "linalg")]
mod direct;
mod gmres;
mod krylov;
mod minres;
mod neumann;
mod nystrom;
mod precondition;
mod ritz;
#[cfg(test)]
mod tests;

pub use bicgstab::{BiCgStab, BiCgStabCycle};
pub(crate) use cg::truncated_cg;
pub use cg::{Cg, CgCycle, CgMemory};
pub use damped::Damped;
#[cfg(feature = "linalg")]
pub use direct::{Direct, DirectMemory};
pub use gmres::{Gmres, GmresCycle};
pub use krylov::KrylovMemory;
pub use minres::{Minres, MinresCycle};
pub use neumann::{Neumann, NeumannMemory};
pub use nystrom::{Nystrom, NystromMemory};
pub use precondition::{Preconditioner, PreconditionerMemory};

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

    /// Whether it is certainly symmetric.
    fn is_symmetric(&self) -> bool {
        true
    }
}

impl<T: Float, F: FnMut(&[T], &mut [T])> Operator<T> for F {
    fn apply(&mut self, v: &[T], product: &mut [T]) {
        self(v, product);
    }
}

/// A way to solve `H x = b`.
pub trait LinearSolver<T: Float>: Clone + fmt::Debug {
    /// The method that it makes, where `H` has to be symmetric for it: for example `Implicit::cg`.
    const NEEDS_SYMMETRY: Option<&'static str> = None;

    /// Vectors that one solve needs, kept from one solve to the next.
    type Memory;

    /// Checks the settings and makes the memory for systems of `n` unknowns.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`], [`Error::MissingSetting`]
    fn memory(&self, n: usize) -> Result<Self::Memory, Error>;

    /// Solves `H x̂ = b / ‖b‖`, whatever the scale of `b`. Iterations start from what `unit_solution` holds, where that is finite and a better
    /// approximation than zero; solvers that are no iterations do not read it.
    ///
    /// The last product before the return is [`Operator::apply_to_solution`] with `x̂`, except where there is no solution to give: for `b = 0`,
    /// where no product is made and `x̂ = 0`, and where the outcome says that there is none.
    fn solve(&self, operator: &mut impl Operator<T>, b: &[T], unit_solution: &mut [T], memory: &mut Self::Memory) -> LinearOutcome;

    /// Solves the same system roughly, from zero, for a correction whose own error is accounted for: without the product for the true residual, and
    /// whatever limits the user has set for [`solve`](Self::solve).
    fn correct(
        &self,
        operator: &mut impl Operator<T>,
        b: &[T],
        unit_solution: &mut [T],
        memory: &mut Self::Memory,
        effort: Effort<T>,
    ) -> LinearStop;

    /// Forgets what earlier solves have left in the memory, so that the next one is as if it were the first.
    fn forget(&self, memory: &mut Self::Memory) {
        let _ = memory;
    }

    /// The same solver with another relative residual to reach; solvers that are no iterations stay as they are.
    #[must_use]
    fn at_tolerance(&self, tolerance: f64) -> Self;

    /// The bytes of all vectors in the memory.
    fn bytes(memory: &Self::Memory) -> usize;
}

/// How well a correction is to be solved for, and at what cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effort<T> {
    /// The relative residual at which it is good enough.
    pub tolerance: T,
    /// The most products, for iterations; a solver with a factorisation needs few.
    pub max_products: Option<usize>,
}

/// How a linear solve went.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LinearOutcome {
    /// Why the solver stopped.
    pub stop: LinearStop,
    /// Iterations made; for series and columns, their number.
    pub n_iterations: usize,
    /// `‖b‖₂`. The solution of the system is this times the unit solution.
    pub rhs_norm: f64,
    /// `‖b − H x‖₂`, recomputed from the solution by a product of its own.
    pub residual: f64,
    /// The same divided by `‖b‖₂`; 0 for `b = 0`.
    pub relative_residual: f64,
    /// The smallest `pᵀHp / pᵀp` over all directions seen, an upper bound on the smallest eigenvalue; none without a product.
    pub smallest_curvature: Option<f64>,
    /// The largest `pᵀHp / pᵀp` over all directions seen, a lower bound on the largest eigenvalue.
    pub largest_curvature: Option<f64>,
    /// A number that no eigenvalue is below, shown up to rounding by a factorisation of its own.
    pub eigenvalue_bound: Option<f64>,
    /// The condition number of the small matrix that [`Nystrom`] solves with.
    pub condition: Option<f64>,
    /// The step of the series of [`Neumann`].
    pub series_step: Option<f64>,
}

/// Why a linear solver stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinearStop {
    /// The recomputed residual is within the tolerance, or as small as rounding allows.
    Converged,
    /// The iterations, terms or columns that the user asked for were made.
    Truncated,
    /// The iterations allowed where the user set no number were made.
    MaxIterations,
    /// Rounding, or a singular operator, keeps the recomputed residual above the tolerance.
    Stagnated,
    /// The iterates grew three times running.
    Diverged,
    /// A direction `p` with `pᵀHp ≤ 0`, up to rounding, was met by a solver that needs a positive definite operator. The solution is the iterate
    /// before it, where there is one.
    NegativeCurvature,
    /// The operator has no inverse, up to rounding.
    Singular,
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
            LinearStop::Diverged => "diverged",
            LinearStop::NegativeCurvature => "negative curvature",
            LinearStop::Singular => "singular",
            LinearStop::NonFinite => "not finite",
        })
    }
}

/// What a solve has seen of the operator so far, over all its rounds.
#[derive(Debug, Clone)]
pub struct Seen<T> {
    n_iterations: usize,
    smallest_curvature: T,
    largest_curvature: T,
    eigenvalue_bound: Option<T>,
    condition: Option<T>,
    series_step: Option<T>,
}

impl<T: Float> Seen<T> {
    fn new() -> Self {
        Seen {
            n_iterations: 0,
            smallest_curvature: T::infinity(),
            largest_curvature: T::neg_infinity(),
            eigenvalue_bound: None,
            condition: None,
            series_step: None,
        }
    }

    /// Takes note of a curvature; says whether it is a number.
    fn curvature(&mut self, curvature: T) -> bool {
        self.smallest_curvature = self.smallest_curvature.min(curvature);
        self.largest_curvature = self.largest_curvature.max(curvature);
        curvature.is_finite()
    }

    /// The largest absolute curvature.
    fn scale(&self) -> T {
        if self.largest_curvature < self.smallest_curvature {
            return T::zero();
        }
        self.largest_curvature.abs().max(self.smallest_curvature.abs())
    }

    /// A curvature below this is made of rounding, whatever its sign.
    fn rounding(&self) -> T {
        T::from_f64(8.0) * T::EPSILON * self.scale()
    }

    fn outcome(&self, stop: LinearStop, rhs_norm: T, relative_residual: T) -> LinearOutcome {
        let any = self.largest_curvature >= self.smallest_curvature;
        LinearOutcome {
            stop,
            n_iterations: self.n_iterations,
            rhs_norm: rhs_norm.to_f64(),
            residual: (rhs_norm * relative_residual).to_f64(),
            relative_residual: relative_residual.to_f64(),
            smallest_curvature: any.then(|| self.smallest_curvature.to_f64()),
            largest_curvature: any.then(|| self.largest_curvature.to_f64()),
            eigenvalue_bound: self.eigenvalue_bound.map(Float::to_f64),
            condition: self.condition.map(Float::to_f64),
            series_step: self.series_step.map(Float::to_f64),
        }
    }
}

/// The scaled right-hand side, if it has a direction; the outcome of the solve otherwise.
fn unit_rhs<T: Float>(b: &[T], rhs: &mut [T], unit_solution: &mut [T]) -> Result<T, LinearOutcome> {
    let norm = crate::vector::norm(b);
    if norm == T::zero() || !norm.is_finite() {
        unit_solution.fill(T::zero());
        let (stop, residual) = if norm == T::zero() { (LinearStop::Converged, T::zero()) } else { (LinearStop::NonFinite, T::nan()) };
        return Err(Seen::new().outcome(stop, norm, residual));
    }
    crate::vector::divide(b, norm, rhs);
    Ok(norm)
}

/// The bytes of vectors.
fn bytes_of<T>(vectors: &[&[T]]) -> usize {
    vectors.iter().map(|vector| std::mem::size_of_val(*vector)).sum()
}

/// Fails where a tolerance is no tolerance.
fn check_tolerance(setting: &'static str, value: Option<f64>) -> Result<(), Error> {
    match value {
        Some(value) if !(value.is_finite() && value >= 0.0) => {
            Err(Error::InvalidSetting { setting, value, requirement: "finite and not negative" })
        }
        Some(_) | None => Ok(()),
    }
}

/// Fails where a number of things is zero.
fn check_at_least_one(setting: &'static str, n: Option<usize>) -> Result<(), Error> {
    if n == Some(0) { Err(Error::InvalidSetting { setting, value: 0.0, requirement: "at least 1" }) } else { Ok(()) }
}
