//! The plain iteration.

use super::{Iterates, Iteration, Limits, iterate};
use crate::solve::{InnerOutcome, InnerSolver, Objective};
use crate::{Error, Float, vector};

/// The plain iteration `w ← w − τ F(w)`, for a fixed point `w = Φ(w)` the same as `w ← (1 − τ) w + τ Φ(w)`.
///
/// It converges where the spectral radius of `I − τ F_w` is below 1, about by this factor an iteration. Where it is not, the residual grows, and the
/// solve ends with [`Error::FixedPointDiverged`], which names the step; [`Anderson`](super::Anderson) and [`Broyden`](super::Broyden) do not need it. One evaluation
/// of `F` an iteration; two vectors of memory.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Picard {
    limits: Limits,
}

/// Vectors of a solve by [`Picard`].
#[derive(Debug, Clone)]
pub struct PicardMemory<T>(Iterates<T>);

impl Default for Picard {
    fn default() -> Self {
        Picard { limits: Limits { tolerance: None, max_iterations: 10_000, damping: 1.0 } }
    }
}

impl Picard {
    /// The norm `‖F‖₂` to reach. Default: the square root of the machine epsilon, 1.5·10⁻⁸ in `f64` and 3.5·10⁻⁴ in `f32`.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.limits.tolerance = Some(tolerance);
        self
    }

    /// The most iterations. Default: 10 000.
    pub fn max_iterations(mut self, max_iterations: usize) -> Self {
        self.limits.max_iterations = max_iterations;
        self
    }

    /// The factor `τ` of each step. Default: 1.
    pub fn damping(mut self, damping: f64) -> Self {
        self.limits.damping = damping;
        self
    }
}

/// The step.
struct Plain<T> {
    damping: T,
}

impl<T: Float> Iteration<T> for Plain<T> {
    fn advance(&mut self, w: &mut [T], residual: &[T]) {
        vector::axpy(-self.damping, residual, w);
    }

    fn restart(&mut self) -> bool {
        false
    }
}

impl<T: Float> InnerSolver<T> for Picard {
    type Memory = PicardMemory<T>;

    fn memory(&self, n: usize) -> Result<PicardMemory<T>, Error> {
        self.limits.check("Picard::tolerance", "Picard::damping")?;
        Ok(PicardMemory(Iterates::new(n)))
    }

    fn minimize(&self, objective: &mut impl Objective<T>, w: &mut [T], memory: &mut PicardMemory<T>) -> Result<InnerOutcome, Error> {
        iterate(objective, w, &mut memory.0, self.limits, &mut Plain { damping: T::from_f64(self.limits.damping) })
    }

    fn at_tolerance(&self, tolerance: f64) -> Self {
        self.tolerance(tolerance)
    }

    fn limited(&self, max_iterations: usize) -> Self {
        self.max_iterations(max_iterations)
    }
}
