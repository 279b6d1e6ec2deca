//! Ways to a hypergradient, on the kernels of a problem.

mod differences;
mod implicit;
mod kernels;

pub use differences::{Check, CheckedDirection, Differences};
pub use implicit::{Implicit, ImplicitMemory};
pub use kernels::{InnerLoss, Kernels};

use crate::solve::InnerSolver;
use crate::{BilevelProblem, Error, Report};

/// The outer variable, and where the inner one starts and ends.
pub struct Point<'a, T> {
    /// `λ`
    pub outer: &'a [T],
    /// `w`: the start of the inner solve, replaced by its result.
    pub inner: &'a mut [T],
}

/// A way to a hypergradient `dg(w(λ), λ) / dλ`.
pub trait Method<P: BilevelProblem> {
    /// Vectors that one hypergradient needs, kept from one to the next.
    type Memory;

    /// Checks the settings and makes the memory for inner and outer variables of these lengths.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`]
    fn memory(&self, n_inner: usize, n_outer: usize) -> Result<Self::Memory, Error>;

    /// Solves the inner problem and gives the outer loss there, what [`hypergradient`](Self::hypergradient) is the derivative of.
    ///
    /// # Errors
    /// As [`hypergradient`](Self::hypergradient).
    fn value<I: InnerSolver<P::Float>>(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: (&I, &mut I::Memory),
        point: Point<'_, P::Float>,
    ) -> Result<P::Float, Error>;

    /// Solves the inner problem, gives the outer loss there and writes the hypergradient to `gradient`, which holds nothing of use after an
    /// error.
    ///
    /// # Errors
    /// Whatever makes the hypergradient unreliable; see the method.
    fn hypergradient<I: InnerSolver<P::Float>>(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: (&I, &mut I::Memory),
        point: Point<'_, P::Float>,
        gradient: &mut [P::Float],
    ) -> Result<(P::Float, Report), Error>;
}
