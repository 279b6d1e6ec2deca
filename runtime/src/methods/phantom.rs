//! Phantom gradients of fixed points.

use super::implicit::{Implicit, solve_inner};
use super::unrolled::UnrolledMemory;
use super::{Adapted, DefaultInner, Dynamics, Kernels, Method, Point, Sizes, Unrolled};
use crate::condition::{FixedPoint, Gradient, Suits};
use crate::linear::Neumann;
use crate::solve::{Anderson, GradientDescent, InnerOutcome, InnerSolver, Lbfgs};
use crate::{Error, LossesReadOuter, Report, vector};

/// The phantom gradient of a fixed point, unrolled: `k` plain steps `w ← w − τ F(w, λ)` from a solution that counts as a constant, and their derivative.
///
/// It is biased on purpose, and cheap: `k` transposed products in the place of a linear solve. `k → ∞` gives the exact hypergradient where the spectral radius of `I − τ F_w` is below 1; `k = 1` with `τ = 1`
/// is the Jacobian-free gradient. The result of the steps is also the inner variable at which the outer loss is taken. At an exact solution it equals the
/// [Neumann form](Self::neumann), which makes no steps. The report has `k` and `τ`.
///
/// Geng et al., *On training implicit models* (2021).
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Phantom {
    n_steps: usize,
    damping: f64,
}

impl Phantom {
    /// `k` steps of damping `τ`.
    pub fn unrolled(k: usize, tau: f64) -> Self {
        Phantom { n_steps: k, damping: tau }
    }

    /// The Neumann form: `τ F_λᵀ Σ_{i<k} (I − τ F_wᵀ)ⁱ ∂_w g` at the solution, [`Implicit::neumann`] with `k − 1` terms beyond the first, of step `τ`. Without an error bound, which would count the bias at the cost of
    /// two linear solves; [`Implicit::error_bound`] asks for it.
    pub fn neumann(k: usize, tau: f64) -> Implicit<Neumann> {
        Implicit::neumann().terms(k.saturating_sub(1)).step(tau).error_bound(false)
    }

    fn unrolling(&self) -> (Unrolled, GradientDescent) {
        (Unrolled::reverse().steps(self.n_steps), GradientDescent::new(self.damping))
    }
}

/// What a phantom gradient was made of.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PhantomOutcome {
    /// The number `k` of steps that were differentiated.
    pub n_steps: usize,
    /// Their damping `τ`.
    pub damping: f64,
}

/// Vectors of a phantom gradient.
pub struct PhantomMemory<T, I, B> {
    inner: I,
    /// The solution that counts as a constant.
    detached: Vec<T>,
    unrolled: UnrolledMemory<T, B>,
}

impl DefaultInner<FixedPoint> for Phantom {
    type Inner = Anderson;
}

impl DefaultInner<Gradient> for Phantom {
    type Inner = Lbfgs;
}

impl<P: LossesReadOuter, I: InnerSolver<P::Float> + Suits<P::Condition>> Method<P, I> for Phantom {
    type Memory = PhantomMemory<P::Float, I::Memory, <GradientDescent as Dynamics<P>>::Bound>;

    const FORGETS_ITS_START: bool = false;

    fn memory(&self, inner_solver: &I, kernels: &Kernels<'_, P>, sizes: &Sizes<'_>) -> Result<Self::Memory, Error> {
        let (setting, value) = ("Phantom::unrolled", self.n_steps as f64);
        if self.n_steps == 0 {
            return Err(Error::InvalidSetting { setting, value, requirement: "at least 1 step" });
        }
        let value = self.damping;
        if !(value > 0.0 && value <= 1.0) {
            return Err(Error::InvalidSetting { setting, value, requirement: "a damping above 0 and at most 1" });
        }
        let (unrolled, descent) = self.unrolling();
        Ok(PhantomMemory {
            inner: inner_solver.memory(sizes.n_inner())?,
            detached: vector::zeros(sizes.n_inner()),
            unrolled: Method::<P, _>::memory(&unrolled, &descent, kernels, sizes)?,
        })
    }

    fn settings(&self, inner_solver: &I) -> (String, String) {
        (format!("{self:?}"), format!("{inner_solver:?}"))
    }

    fn adapted(&self, inner_solver: &I, settings: Adapted) -> Option<(Self, I)> {
        Some((*self, settings.inner(inner_solver)))
    }

    fn solve_inner(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        Point { outer, inner }: Point<'_, P::Float>,
    ) -> Result<InnerOutcome, Error> {
        inner_solver.minimize(&mut kernels.inner_loss(outer), inner, &mut memory.inner)
    }

    fn value(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        Point { outer, inner }: Point<'_, P::Float>,
    ) -> Result<P::Float, Error> {
        solve_inner(kernels, inner_solver, &mut memory.inner, (outer, inner), false)?;
        let (unrolled, descent) = self.unrolling();
        unrolled.value(kernels, &mut memory.unrolled, &descent, Point { outer, inner })
    }

    /// The steps from the solution of the last hypergradient, of which they are the derivative.
    fn exact_value(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        _: &I,
        Point { outer, inner }: Point<'_, P::Float>,
    ) -> Result<P::Float, Error> {
        inner.copy_from_slice(&memory.detached);
        let (unrolled, descent) = self.unrolling();
        unrolled.value(kernels, &mut memory.unrolled, &descent, Point { outer, inner })
    }

    fn hypergradient(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        Point { outer, inner }: Point<'_, P::Float>,
        gradient: &mut [P::Float],
    ) -> Result<(P::Float, Report), Error> {
        kernels.take_counts();
        let inner_outcome = solve_inner(kernels, inner_solver, &mut memory.inner, (outer, inner), false)?;
        let (n_gradients, n_products) = kernels.take_counts();
        memory.detached.copy_from_slice(inner);
        let (unrolled, descent) = self.unrolling();
        let (value, report) = unrolled.hypergradient(kernels, &mut memory.unrolled, &descent, Point { outer, inner }, gradient)?;
        let report = Report {
            inner: inner_outcome,
            phantom: Some(PhantomOutcome { n_steps: self.n_steps, damping: self.damping }),
            n_gradients: report.n_gradients + n_gradients,
            n_products: report.n_products + n_products,
            ..report
        };
        Ok((value, report))
    }
}
