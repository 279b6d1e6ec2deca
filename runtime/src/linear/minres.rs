//! The method of minimal residuals of Paige and Saunders, for a symmetric operator that may be indefinite.

use super::krylov::{Cycle, KrylovSolver, Limits, Until};
use super::ritz::Tridiagonal;
use super::{LinearStop, Operator, Seen, bytes_of};
use crate::{Error, Float, vector};

/// Minimal residuals, by a three-term recurrence.
///
/// One product with the operator per iteration, and one more at the end for the true residual; seven vectors of memory. Indefinite operators are
/// solved like others. A singular system is solved where its right-hand side lies in the range of the operator; otherwise the solve stagnates.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[must_use]
pub struct Minres {
    limits: Limits,
}

/// The iteration of [`Minres`].
#[derive(Debug, Clone)]
pub struct MinresCycle<T> {
    basis: Vec<T>,
    last_basis: Vec<T>,
    direction: Vec<T>,
    last_direction: Vec<T>,
    projected: Tridiagonal<T>,
}

impl Minres {
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
}

impl KrylovSolver for Minres {
    const NEEDS_SYMMETRY: Option<&'static str> = Some("Implicit::minres");

    type Cycle<T: Float> = MinresCycle<T>;

    fn cycle<T: Float>(&self, n: usize) -> Result<MinresCycle<T>, Error> {
        self.limits.check("Minres::tolerance", "Minres::max_iterations")?;
        Ok(MinresCycle {
            basis: vector::zeros(n),
            last_basis: vector::zeros(n),
            direction: vector::zeros(n),
            last_direction: vector::zeros(n),
            projected: Tridiagonal::new(),
        })
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn with_limits(&self, limits: Limits) -> Self {
        Minres { limits }
    }
}

impl<T: Float> MinresCycle<T> {
    fn iterate(
        &mut self,
        operator: &mut impl Operator<T>,
        x: &mut [T],
        residual: &mut [T],
        product: &mut [T],
        until: Until<T>,
        seen: &mut Seen<T>,
    ) -> LinearStop {
        let MinresCycle { basis, last_basis, direction, last_direction, projected } = self;
        // What is left of the norm of the residual, with its sign.
        let mut left = vector::norm(residual);
        if left <= until.tolerance {
            return LinearStop::Converged;
        }
        vector::divide(residual, left, basis);
        last_basis.fill(T::zero());
        direction.fill(T::zero());
        last_direction.fill(T::zero());
        // The tridiagonal matrix below the diagonal, and the last two rotations.
        let mut below = T::zero();
        let (mut cos, mut sin, mut last_cos, mut last_sin) = (T::one(), T::zero(), T::one(), T::zero());
        loop {
            if seen.n_iterations == until.max_iterations {
                return LinearStop::MaxIterations;
            }
            operator.apply(basis, product);
            let diagonal = vector::dot(basis, product);
            if !seen.curvature(diagonal) {
                return LinearStop::NonFinite;
            }
            projected.push(diagonal, below * below);
            vector::axpy(-diagonal, basis, product);
            vector::axpy(-below, last_basis, product);
            // Rounding leaves a part along the basis vector, which a second turn removes.
            let left_over = vector::dot(basis, product);
            vector::axpy(-left_over, basis, product);
            let next_below = vector::norm(product);
            if !next_below.is_finite() {
                return LinearStop::NonFinite;
            }
            let rotated = cos * diagonal - last_cos * sin * below;
            let upper = sin * diagonal + last_cos * cos * below;
            let top = last_sin * below;
            let pivot = rotated.hypot(next_below);
            let scale = seen.scale().max(next_below).max(below);
            // No direction is left in which the operator is not zero.
            if pivot <= T::from_f64(8.0) * T::EPSILON * scale {
                return LinearStop::Stagnated;
            }
            (last_cos, last_sin) = (cos, sin);
            (cos, sin) = (rotated / pivot, next_below / pivot);
            // `last_direction` becomes the new direction.
            for ((new, &direction), &basis) in last_direction.iter_mut().zip(direction.iter()).zip(basis.iter()) {
                *new = (basis - top * *new - upper * direction) / pivot;
            }
            std::mem::swap(direction, last_direction);
            vector::axpy(cos * left, direction, x);
            left *= -sin;
            seen.n_iterations += 1;
            if left.abs() <= until.tolerance || next_below <= T::EPSILON * scale {
                return LinearStop::Converged;
            }
            std::mem::swap(basis, last_basis);
            vector::divide(product, next_below, basis);
            below = next_below;
        }
    }
}

impl<T: Float> Cycle<T> for MinresCycle<T> {
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

    fn bytes(&self) -> usize {
        bytes_of(&[&self.basis, &self.last_basis, &self.direction, &self.last_direction]) + self.projected.bytes()
    }
}
