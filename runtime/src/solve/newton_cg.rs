//! Truncated Newton: conjugate gradients on the Newton system, as accurately as pays.

use super::{InnerOutcome, InnerSolver, InnerStop, Objective, Watch, check_tolerance, gradient_tolerance, line_search};
use crate::linear::{CgMemory, Effort, LinearStop, truncated_cg};
use crate::{Error, Float, vector};
use line_search::{Line, Search};

/// Newton's method with the step `−H⁻¹∇f` by conjugate gradients and a line search for the strong Wolfe conditions.
///
/// For ill-conditioned problems, and for very small tolerances: it converges superlinearly. Each linear system is solved to a relative
/// residual of `0.9 (‖∇f‖ / ‖∇f at the iterate before‖)^1.618`, at most ½ (the second choice of Eisenstat and Walker). On negative
/// curvature it descends along the iterate before it. An iteration costs one linearisation, a curvature product per iteration of conjugate
/// gradients, and one evaluation in most cases; nine vectors of memory.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct NewtonCg {
    tolerance: Option<f64>,
    max_iterations: usize,
}

impl Default for NewtonCg {
    fn default() -> Self {
        NewtonCg { tolerance: None, max_iterations: 1000 }
    }
}

/// Vectors of a solve by [`NewtonCg`].
#[derive(Debug, Clone)]
pub struct NewtonCgMemory<T> {
    gradient: Vec<T>,
    direction: Vec<T>,
    trial: Vec<T>,
    trial_gradient: Vec<T>,
    cg: CgMemory<T>,
}

impl NewtonCg {
    /// The norm `‖∇f‖₂` to reach. Default: the square root of the machine epsilon, 1.5·10⁻⁸ in `f64` and 3.5·10⁻⁴ in `f32`.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// The most Newton steps. Default: 1000.
    pub fn max_iterations(mut self, max_iterations: usize) -> Self {
        self.max_iterations = max_iterations;
        self
    }
}

impl<T: Float> InnerSolver<T> for NewtonCg {
    type Memory = NewtonCgMemory<T>;

    fn memory(&self, n: usize) -> Result<NewtonCgMemory<T>, Error> {
        check_tolerance("NewtonCg::tolerance", self.tolerance)?;
        Ok(NewtonCgMemory {
            gradient: vector::zeros(n),
            direction: vector::zeros(n),
            trial: vector::zeros(n),
            trial_gradient: vector::zeros(n),
            cg: CgMemory::new(n),
        })
    }

    fn at_tolerance(&self, tolerance: f64) -> Self {
        self.tolerance(tolerance)
    }

    fn limited(&self, max_iterations: usize) -> Self {
        self.max_iterations(max_iterations)
    }

    fn minimize(&self, objective: &mut impl Objective<T>, w: &mut [T], memory: &mut Self::Memory) -> Result<InnerOutcome, Error> {
        let NewtonCgMemory { gradient, direction, trial, trial_gradient, cg } = memory;
        let mut value = objective.value_and_grad(w, gradient);
        let tolerance = gradient_tolerance(self.tolerance);
        // Steps that converge superlinearly and then stop progressing have met rounding.
        let mut watch = Watch::new(tolerance, self.max_iterations, 1, w, value, gradient)?;
        let mut forcing = Forcing::new();
        loop {
            let gradient_norm = vector::norm(gradient);
            if let Some(outcome) = watch.end(w, value, gradient_norm)? {
                return Ok(outcome);
            }
            objective.curvature(w);
            let mut hessian = |v: &[T], product: &mut [T]| objective.curvature_apply(v, product);
            let effort = Effort { tolerance: forcing.next(gradient_norm, tolerance), max_products: Some((10 * w.len()).max(100)) };
            let stop = truncated_cg(&mut hessian, gradient, direction, cg, effort);
            vector::scale(-gradient_norm, direction);
            let mut first = T::one();
            let mut slope = vector::dot(gradient, direction);
            if !(slope < T::zero() && slope.is_finite()) {
                // Negative curvature along the gradient itself, or a product that is not finite.
                for (direction, &gradient) in direction.iter_mut().zip(gradient.iter()) {
                    *direction = -gradient;
                }
                slope = -gradient_norm * gradient_norm;
                first = T::one().min(gradient_norm.recip());
            }
            let line = Line { start: w, direction, value, slope, trial, gradient: trial_gradient };
            match line_search::search(objective, line, first, &mut watch.n_evaluations) {
                Search::Found(point) => {
                    w.copy_from_slice(trial);
                    std::mem::swap(gradient, trial_gradient);
                    value = point.value;
                    watch.n_iterations += 1;
                }
                Search::Unbounded(point) => return Err(watch.unbounded(point.value, vector::norm(trial))),
                Search::Failed(last_value) => {
                    watch.check_finite(last_value, gradient_norm)?;
                    if stop == LinearStop::NonFinite {
                        let quantity = "a product with the Hessian of the inner loss";
                        return Err(Error::NonFinite { quantity, step: Some(watch.n_iterations), value: f64::NAN });
                    }
                    return Ok(watch.outcome(InnerStop::NoProgress, value, gradient_norm));
                }
            }
        }
    }
}

/// The relative residual to which each Newton system is solved.
struct Forcing<T> {
    last: T,
    last_norm: T,
}

impl<T: Float> Forcing<T> {
    fn new() -> Self {
        Forcing { last: T::from_f64(0.1), last_norm: T::infinity() }
    }

    fn next(&mut self, gradient_norm: T, tolerance: T) -> T {
        let power = T::from_f64(1.618);
        let factor = T::from_f64(0.9);
        if self.last_norm.is_finite() {
            let contraction = factor * (gradient_norm / self.last_norm).powf(power);
            // Without this a lucky step would be followed by one that is solved needlessly well.
            let memory = factor * self.last.powf(power);
            let next = if memory > T::from_f64(0.1) { contraction.max(memory) } else { contraction };
            self.last = next.min(T::from_f64(0.5));
        }
        self.last_norm = gradient_norm;
        // No need to go far below the tolerance of the solve.
        self.last.max(T::from_f64(0.1) * tolerance / gradient_norm)
    }
}
