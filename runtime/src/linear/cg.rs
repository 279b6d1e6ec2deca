//! Conjugate gradients, for a symmetric positive definite operator, with or without a preconditioner.

use super::krylov::{Cycle, KrylovMemory, KrylovSolver, Limits, Until};
use super::precondition::{Preconditioner, PreconditionerMemory};
use super::ritz::Tridiagonal;
use super::{Effort, LinearStop, Operator, Seen, bytes_of};
use crate::{Error, Float, vector};

/// Conjugate gradients.
///
/// One product with the operator per iteration, and one more at the end for the true residual; four vectors of memory. A direction of zero or
/// negative curvature, up to rounding, ends the solve. A singular system whose right-hand side lies in the range of the operator is solved, by
/// the solution of least norm if it starts from zero.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[must_use]
pub struct Cg {
    limits: Limits,
    preconditioner: Option<Preconditioner>,
}

/// Vectors of a solve by [`Cg`].
pub type CgMemory<T> = KrylovMemory<T, CgCycle<T>>;

/// The iteration of [`Cg`].
#[derive(Debug, Clone)]
pub struct CgCycle<T> {
    direction: Vec<T>,
    preconditioner: Option<PreconditionerMemory<T>>,
    /// The residual after the preconditioner; empty without one.
    preconditioned: Vec<T>,
    /// The operator on the directions of a run, without a preconditioner.
    projected: Tridiagonal<T>,
}

impl<T: Float> CgMemory<T> {
    /// Memory for systems of `n` unknowns, without a preconditioner.
    pub(crate) fn new(n: usize) -> Self {
        KrylovMemory::with_cycle(
            n,
            CgCycle { direction: vector::zeros(n), preconditioner: None, preconditioned: vec![], projected: Tridiagonal::new() },
        )
    }
}

impl Cg {
    /// The relative residual `‖b − Hx‖ / ‖b‖` to reach. Default: the machine epsilon to the power ⅔, 4·10⁻¹¹ in `f64` and 2·10⁻⁵ in `f32`.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.limits.tolerance = Some(tolerance);
        self
    }

    /// The most iterations; a solve that ends there gives its iterate. Default: ten times the number of unknowns, and at least 1000.
    pub fn max_iterations(mut self, max_iterations: usize) -> Self {
        self.limits.max_iterations = Some(max_iterations);
        self
    }

    /// Iterates in the metric of a preconditioner. Default: none.
    pub fn preconditioner(mut self, preconditioner: Preconditioner) -> Self {
        self.preconditioner = Some(preconditioner);
        self
    }
}

impl KrylovSolver for Cg {
    const NEEDS_SYMMETRY: Option<&'static str> = Some("Implicit::cg");

    type Cycle<T: Float> = CgCycle<T>;

    fn cycle<T: Float>(&self, n: usize) -> Result<CgCycle<T>, Error> {
        self.limits.check("Cg::tolerance", "Cg::max_iterations")?;
        let preconditioner = self.preconditioner.map(|p| p.memory(n)).transpose()?;
        let preconditioned = vector::zeros(if preconditioner.is_some() { n } else { 0 });
        Ok(CgCycle { direction: vector::zeros(n), preconditioner, preconditioned, projected: Tridiagonal::new() })
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn with_limits(&self, limits: Limits) -> Self {
        Cg { limits, ..*self }
    }
}

/// Solves `H x̂ = b / ‖b‖` roughly, for a direction of descent: without the true residual, which costs a product. The tolerance is on the
/// updated one.
pub(crate) fn truncated_cg<T: Float>(
    operator: &mut impl Operator<T>,
    b: &[T],
    unit_solution: &mut [T],
    memory: &mut CgMemory<T>,
    effort: Effort<T>,
) -> LinearStop {
    memory.rough(operator, b, unit_solution, effort, 1)
}

impl<T: Float> CgCycle<T> {
    fn iterate(
        &mut self,
        operator: &mut impl Operator<T>,
        x: &mut [T],
        residual: &mut [T],
        product: &mut [T],
        until: Until<T>,
        seen: &mut Seen<T>,
    ) -> LinearStop {
        let CgCycle { direction, preconditioner, preconditioned, projected } = self;
        // What the last iteration adds to the next row of the projected operator: `β/α`, and `β/α²` beside it.
        let (mut carried, mut beside_squared) = (T::zero(), T::zero());
        let mut square = vector::dot(residual, residual);
        // `rᵀP⁻¹r`, which without a preconditioner is the square of the residual.
        let mut metric = match preconditioner {
            None => {
                direction.copy_from_slice(residual);
                square
            }
            Some(preconditioner) => {
                preconditioner.apply(residual, direction);
                vector::dot(residual, direction)
            }
        };
        loop {
            if square.sqrt() <= until.tolerance {
                return LinearStop::Converged;
            }
            if seen.n_iterations == until.max_iterations {
                return LinearStop::MaxIterations;
            }
            operator.apply(direction, product);
            let along = vector::dot(direction, product);
            let curvature = along / vector::dot(direction, direction);
            if !seen.curvature(curvature) {
                return LinearStop::NonFinite;
            }
            if along <= T::zero() || curvature <= seen.rounding() {
                return LinearStop::NegativeCurvature;
            }
            let step = metric / along;
            vector::axpy(step, direction, x);
            vector::axpy(-step, product, residual);
            square = vector::dot(residual, residual);
            let new_metric = match preconditioner {
                None => {
                    let ratio = square / metric;
                    projected.push(step.recip() + carried, beside_squared);
                    (carried, beside_squared) = (ratio / step, ratio / step / step);
                    vector::xpby(residual, ratio, direction);
                    square
                }
                Some(preconditioner) => {
                    preconditioner.apply(residual, preconditioned);
                    let new_metric = vector::dot(residual, preconditioned);
                    vector::xpby(preconditioned, new_metric / metric, direction);
                    new_metric
                }
            };
            metric = new_metric;
            seen.n_iterations += 1;
        }
    }
}

impl<T: Float> Cycle<T> for CgCycle<T> {
    fn run(
        &mut self,
        operator: &mut impl Operator<T>,
        x: &mut [T],
        residual: &mut [T],
        product: &mut [T],
        until: Until<T>,
        seen: &mut Seen<T>,
    ) -> LinearStop {
        self.projected.clear();
        let stop = self.iterate(operator, x, residual, product, until, seen);
        self.projected.see(seen);
        stop
    }

    fn prepare(&mut self, operator: &mut impl Operator<T>, scratch: &mut [T], seen: &mut Seen<T>) {
        if let Some(preconditioner) = &mut self.preconditioner {
            preconditioner.prepare(operator, [scratch, &mut self.preconditioned], seen);
        }
    }

    fn forget(&mut self) {
        if let Some(preconditioner) = &mut self.preconditioner {
            preconditioner.forget();
        }
    }

    fn bytes(&self) -> usize {
        let own = bytes_of(&[&self.direction, &self.preconditioned]) + self.projected.bytes();
        own + self.preconditioner.as_ref().map_or(0, PreconditionerMemory::bytes)
    }
}
