//! The stabilised biconjugate gradients of van der Vorst, for any operator, in memory that does not grow with the iterations.

use super::gmres::{Gmres, GmresCycle};
use super::krylov::{Cycle, KrylovSolver, Limits, Until};
use super::{LinearStop, Operator, Seen, bytes_of};
use crate::{Error, Float, vector};

/// Stabilised biconjugate gradients.
///
/// The operator need not be symmetric. Two products per iteration, and one more at the end for the true residual; eight vectors of memory. Where
/// the iteration breaks down it starts anew from its iterate, once; where it breaks down again, [`Gmres`] goes on from there, and allocates
/// its vectors. A singular operator stagnates.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[must_use]
pub struct BiCgStab {
    limits: Limits,
}

/// The iteration of [`BiCgStab`].
#[derive(Debug, Clone)]
pub struct BiCgStabCycle<T> {
    shadow: Vec<T>,
    direction: Vec<T>,
    along: Vec<T>,
    stabiliser: Vec<T>,
    fallback: Option<GmresCycle<T>>,
}

impl BiCgStab {
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

impl KrylovSolver for BiCgStab {
    type Cycle<T: Float> = BiCgStabCycle<T>;

    const PRODUCTS_PER_ITERATION: usize = 2;

    fn cycle<T: Float>(&self, n: usize) -> Result<BiCgStabCycle<T>, Error> {
        self.limits.check("BiCgStab::tolerance", "BiCgStab::max_iterations")?;
        Ok(BiCgStabCycle {
            shadow: vector::zeros(n),
            direction: vector::zeros(n),
            along: vector::zeros(n),
            stabiliser: vector::zeros(n),
            fallback: None,
        })
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn with_limits(&self, limits: Limits) -> Self {
        BiCgStab { limits }
    }
}

/// How a run of iterations ended.
enum End {
    Stop(LinearStop),
    Breakdown,
}

impl<T: Float> BiCgStabCycle<T> {
    fn iterate(&mut self, operator: &mut impl Operator<T>, x: &mut [T], residual: &mut [T], until: Until<T>, seen: &mut Seen<T>) -> End {
        let BiCgStabCycle { shadow, direction, along, stabiliser, .. } = self;
        // Where a cosine is smaller than this, division by it loses most digits.
        let small = T::from_f64(0.1) * T::EPSILON.sqrt();
        shadow.copy_from_slice(residual);
        direction.copy_from_slice(residual);
        let shadow_norm = vector::norm(shadow);
        let mut rho = shadow_norm * shadow_norm;
        let mut best = shadow_norm;
        let mut n_without_progress = 0;
        loop {
            if vector::norm(residual) <= until.tolerance {
                return End::Stop(LinearStop::Converged);
            }
            if seen.n_iterations == until.max_iterations {
                return End::Stop(LinearStop::MaxIterations);
            }
            operator.apply(direction, along);
            if !seen.curvature(vector::dot(direction, along) / vector::dot(direction, direction)) {
                return End::Stop(LinearStop::NonFinite);
            }
            let projection = vector::dot(shadow, along);
            if projection.abs() <= small * shadow_norm * vector::norm(along) {
                return End::Breakdown;
            }
            let alpha = rho / projection;
            vector::axpy(-alpha, along, residual);
            operator.apply(residual, stabiliser);
            let stabiliser_norm = vector::norm(stabiliser);
            if !stabiliser_norm.is_finite() {
                return End::Stop(LinearStop::NonFinite);
            }
            vector::axpy(alpha, direction, x);
            seen.n_iterations += 1;
            let halfway = vector::norm(residual);
            if halfway <= until.tolerance {
                return End::Stop(LinearStop::Converged);
            }
            let cosine = vector::dot(stabiliser, residual) / (stabiliser_norm * halfway);
            if stabiliser_norm == T::zero() || cosine.abs() <= small {
                return End::Breakdown;
            }
            seen.curvature(cosine * stabiliser_norm / halfway);
            let omega = cosine * halfway / stabiliser_norm;
            vector::axpy(omega, residual, x);
            vector::axpy(-omega, stabiliser, residual);
            let norm = vector::norm(residual);
            let new_rho = vector::dot(shadow, residual);
            if norm > until.tolerance && new_rho.abs() <= small * shadow_norm * norm {
                return End::Breakdown;
            }
            // The iteration may wander for long; it is not trusted for longer than this.
            if norm < T::from_f64(0.9) * best {
                best = norm;
                n_without_progress = 0;
            } else {
                n_without_progress += 1;
                if n_without_progress > 200 {
                    return End::Breakdown;
                }
            }
            let beta = new_rho / rho * (alpha / omega);
            vector::axpy(-omega, along, direction);
            vector::xpby(residual, beta, direction);
            rho = new_rho;
        }
    }
}

impl<T: Float> Cycle<T> for BiCgStabCycle<T> {
    fn run(
        &mut self,
        operator: &mut impl Operator<T>,
        x: &mut [T],
        residual: &mut [T],
        product: &mut [T],
        until: Until<T>,
        seen: &mut Seen<T>,
    ) -> LinearStop {
        for _ in 0..2 {
            match self.iterate(operator, x, residual, until, seen) {
                End::Stop(stop) => return stop,
                End::Breakdown => {}
            }
        }
        let fallback = match self.fallback.take() {
            Some(fallback) => Ok(fallback),
            None => Gmres::default().cycle(x.len()),
        };
        match fallback {
            Ok(fallback) => self.fallback.insert(fallback).run(operator, x, residual, product, until, seen),
            // The default settings are in order.
            Err(_) => LinearStop::Stagnated,
        }
    }

    fn bytes(&self) -> usize {
        bytes_of(&[&self.shadow, &self.direction, &self.along, &self.stabiliser]) + self.fallback.as_ref().map_or(0, Cycle::bytes)
    }
}
