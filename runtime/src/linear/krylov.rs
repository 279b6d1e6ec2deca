//! What the Krylov solvers share: rounds of an iteration, each from the true residual.
//!
//! The iterations work on a residual that they update, not recompute, and which drifts from the true one by rounding. When it meets the tolerance,
//! the true residual is computed, and if that does not meet it another round starts from there, as long as rounds make progress.

use super::{Effort, LinearOutcome, LinearSolver, LinearStop, Operator, Seen, bytes_of, check_at_least_one, check_tolerance, unit_rhs};
use crate::{Error, Float, vector};

/// The settings that all Krylov solvers have.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    pub(super) tolerance: Option<f64>,
    pub(super) max_iterations: Option<usize>,
}

impl Limits {
    pub(super) fn check(&self, tolerance: &'static str, max_iterations: &'static str) -> Result<(), Error> {
        check_tolerance(tolerance, self.tolerance)?;
        check_at_least_one(max_iterations, self.max_iterations)
    }

    /// The tolerance in use for a float type.
    pub(super) fn tolerance_for<T: Float>(&self) -> T {
        self.tolerance.map_or_else(default_tolerance, T::from_f64)
    }
}

/// The machine epsilon to the power ⅔.
pub(super) fn default_tolerance<T: Float>() -> T {
    T::EPSILON.powf(T::from_f64(2.0 / 3.0))
}

/// The iterations allowed where the user has set no number.
pub(super) fn default_max_iterations(n: usize) -> usize {
    (10 * n).max(1000)
}

/// How far a round may go.
#[derive(Debug, Clone, Copy)]
pub struct Until<T> {
    /// On the norm of the updated residual.
    pub(super) tolerance: T,
    /// All rounds together.
    pub(super) max_iterations: usize,
}

/// One iteration of Krylov type, with its vectors.
pub trait Cycle<T: Float> {
    /// Adds to `x`, whose residual is given, until the updated residual meets the tolerance. Residual and product are scratch at the end.
    fn run(
        &mut self,
        operator: &mut impl Operator<T>,
        x: &mut [T],
        residual: &mut [T],
        product: &mut [T],
        until: Until<T>,
        seen: &mut Seen<T>,
    ) -> LinearStop;

    /// Makes what the iteration needs to know of the operator beforehand.
    fn prepare(&mut self, operator: &mut impl Operator<T>, scratch: &mut [T], seen: &mut Seen<T>) {
        let _ = (operator, scratch, seen);
    }

    /// Forgets what [`prepare`](Self::prepare) has made.
    fn forget(&mut self) {}

    /// The bytes of its vectors.
    fn bytes(&self) -> usize;
}

/// A solver that is rounds of a cycle.
pub trait KrylovSolver: Clone + std::fmt::Debug {
    /// As [`LinearSolver::NEEDS_SYMMETRY`].
    const NEEDS_SYMMETRY: Option<&'static str> = None;

    /// Its iteration.
    type Cycle<T: Float>: Cycle<T>;

    /// The products with the operator that an iteration makes.
    const PRODUCTS_PER_ITERATION: usize = 1;

    /// Checks the settings, and makes the iteration for `n` unknowns.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`]
    fn cycle<T: Float>(&self, n: usize) -> Result<Self::Cycle<T>, Error>;

    /// Tolerance and most iterations.
    fn limits(&self) -> Limits;

    /// The same solver with others.
    #[must_use]
    fn with_limits(&self, limits: Limits) -> Self;
}

/// Vectors of a solve by a Krylov solver.
#[derive(Debug, Clone)]
pub struct KrylovMemory<T, C> {
    rhs: Vec<T>,
    residual: Vec<T>,
    product: Vec<T>,
    cycle: C,
}

impl<T: Float, C: Cycle<T>> KrylovMemory<T, C> {
    pub(super) fn with_cycle(n: usize, cycle: C) -> Self {
        KrylovMemory { rhs: vector::zeros(n), residual: vector::zeros(n), product: vector::zeros(n), cycle }
    }

    /// Starts from where `x` is, if that is better than zero, and else from zero. Gives the norm of the residual.
    fn start(&mut self, operator: &mut impl Operator<T>, x: &mut [T]) -> T {
        if x.iter().any(|x| *x != T::zero()) && vector::all_finite(x) {
            let norm = self.true_residual(operator, x);
            if norm < T::one() {
                return norm;
            }
        }
        x.fill(T::zero());
        self.residual.copy_from_slice(&self.rhs);
        T::one()
    }

    /// Replaces the updated residual by the true one, and gives its norm.
    fn true_residual(&mut self, operator: &mut impl Operator<T>, x: &[T]) -> T {
        operator.apply_to_solution(x, &mut self.product);
        vector::add_scaled(&self.rhs, -T::one(), &self.product, &mut self.residual);
        vector::norm(&self.residual)
    }

    /// One round from zero, without the true residual.
    pub(super) fn rough(
        &mut self,
        operator: &mut impl Operator<T>,
        b: &[T],
        x: &mut [T],
        effort: Effort<T>,
        products_per_iteration: usize,
    ) -> LinearStop {
        let max_iterations = effort.max_products.map_or_else(|| default_max_iterations(b.len()), |n| n.div_ceil(products_per_iteration));
        let until = Until { tolerance: effort.tolerance.max(T::EPSILON), max_iterations };
        if let Err(outcome) = unit_rhs(b, &mut self.rhs, x) {
            return outcome.stop;
        }
        x.fill(T::zero());
        self.residual.copy_from_slice(&self.rhs);
        self.cycle.run(operator, x, &mut self.residual, &mut self.product, until, &mut Seen::new())
    }

    fn rounds(&mut self, operator: &mut impl Operator<T>, b: &[T], x: &mut [T], limits: Limits) -> LinearOutcome {
        let rhs_norm = match unit_rhs(b, &mut self.rhs, x) {
            Ok(norm) => norm,
            Err(outcome) => return outcome,
        };
        let mut seen = Seen::new();
        let tolerance = limits.tolerance_for::<T>();
        let start = self.start(operator, x);
        if start < T::one() && start <= tolerance {
            return seen.outcome(LinearStop::Converged, rhs_norm, start);
        }
        self.cycle.prepare(operator, &mut self.product, &mut seen);
        // Below the machine epsilon the updated residual says nothing about the true one.
        let max_iterations = limits.max_iterations.unwrap_or_else(|| default_max_iterations(b.len()));
        let until = Until { tolerance: tolerance.max(T::EPSILON), max_iterations };
        let mut last_residual = T::infinity();
        loop {
            let stop = self.cycle.run(operator, x, &mut self.residual, &mut self.product, until, &mut seen);
            let residual = self.true_residual(operator, x);
            // A solution so large that rounding would excuse any residual is none.
            let rounding = (T::from_f64(8.0) * T::EPSILON * (T::one() + seen.scale() * vector::norm(x))).min(T::EPSILON.cbrt());
            let stop = match stop {
                _ if !residual.is_finite() => LinearStop::NonFinite,
                LinearStop::Converged if residual > tolerance.max(rounding) => {
                    if residual + residual < last_residual {
                        last_residual = residual;
                        continue;
                    }
                    LinearStop::Stagnated
                }
                LinearStop::Stagnated if residual <= tolerance.max(rounding) => LinearStop::Converged,
                LinearStop::MaxIterations if limits.max_iterations.is_some() => LinearStop::Truncated,
                stop => stop,
            };
            return seen.outcome(stop, rhs_norm, residual);
        }
    }
}

impl<T: Float, S: KrylovSolver> LinearSolver<T> for S {
    const NEEDS_SYMMETRY: Option<&'static str> = <S as KrylovSolver>::NEEDS_SYMMETRY;

    type Memory = KrylovMemory<T, S::Cycle<T>>;

    fn memory(&self, n: usize) -> Result<Self::Memory, Error> {
        Ok(KrylovMemory::with_cycle(n, self.cycle(n)?))
    }

    fn solve(&self, operator: &mut impl Operator<T>, b: &[T], unit_solution: &mut [T], memory: &mut Self::Memory) -> LinearOutcome {
        memory.rounds(operator, b, unit_solution, self.limits())
    }

    fn correct(
        &self,
        operator: &mut impl Operator<T>,
        b: &[T],
        unit_solution: &mut [T],
        memory: &mut Self::Memory,
        effort: Effort<T>,
    ) -> LinearStop {
        memory.rough(operator, b, unit_solution, effort, S::PRODUCTS_PER_ITERATION)
    }

    fn forget(&self, memory: &mut Self::Memory) {
        memory.cycle.forget();
    }

    fn at_tolerance(&self, tolerance: f64) -> Self {
        self.with_limits(Limits { tolerance: Some(tolerance), ..self.limits() })
    }

    fn bytes(memory: &Self::Memory) -> usize {
        bytes_of(&[&memory.rhs, &memory.residual, &memory.product]) + memory.cycle.bytes()
    }
}
