//! Implicit MAML.

use super::{MetaAlgorithm, Task};
use crate::linear::{Cg, LinearSolver, LinearStop};
use crate::methods::{Kernels, check_finite, check_finite_at};
use crate::updates::{At, Bound, Update};
use crate::{Error, Float, Params, vector};

/// iMAML: the derivative of the query loss at `φ(θ) = argmin L(φ) + ρ/2 ‖φ − θ‖²`, for the support loss `L`, with respect to `θ`:
/// `d` from `(I + ∇²L(φ)/ρ) d = ∇g(φ)`.
///
/// The minimum is approached by steps of `update`, and the system solved by conjugate gradients, so that neither memory nor the quality of the derivative
/// depends on the path. It needs `ρ > −λ_min(∇²L)`. A task costs a gradient a step and a curvature product an iteration.
///
/// Rajeswaran, Finn, Kakade and Levine, *Meta-learning with implicit gradients* (2019). Settings of its Omniglot experiment: `ρ = 2`, 16 steps of 0.1, five
/// iterations. The code released with the paper solves `(2 I + ∇²L/(ρ + 10)) d = ∇g` instead: [`damped_compat`](Self::damped_compat).
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct IMaml<U> {
    update: U,
    n_steps: usize,
    rho: f64,
    cg: Cg,
    truncates: bool,
    damped_compat: bool,
}

impl<U: Update> IMaml<U> {
    /// `n_steps` steps of `update` towards the minimum with the proximal weight `ρ`.
    pub fn new(update: U, n_steps: usize, rho: f64) -> Self {
        IMaml { update, n_steps, rho, cg: Cg::default(), truncates: false, damped_compat: false }
    }

    /// The most iterations of conjugate gradients. Default: until they converge.
    pub fn max_iterations(mut self, max_iterations: usize) -> Self {
        self.cg = self.cg.max_iterations(max_iterations);
        self
    }

    /// The relative residual at which conjugate gradients end. Default: see [`Cg::tolerance`].
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.cg = self.cg.tolerance(tolerance);
        self
    }

    /// Where conjugate gradients meet a direction of negative curvature, so that `ρ` is too small for a minimum near the start, takes what they have found before
    /// it (before any step, the gradient of the query loss), as truncated Newton methods do. By default that is an error. The result is a direction along which
    /// the query loss falls, and not its derivative.
    ///
    /// Steihaug, *The conjugate gradient method and trust regions in large scale optimization* (1983).
    pub fn truncate_at_negative_curvature(mut self) -> Self {
        self.truncates = true;
        self
    }

    /// Solves the system of the code released with the paper, which is not that of the paper and gives another direction.
    pub fn damped_compat(mut self) -> Self {
        self.damped_compat = true;
        self
    }

    fn check(&self) -> Result<Vec<Bound>, Error> {
        if !(self.rho.is_finite() && self.rho > 0.0) {
            return Err(Error::InvalidSetting { setting: "IMaml::new (rho)", value: self.rho, requirement: "finite and positive" });
        }
        if self.n_steps == 0 {
            return Err(Error::InvalidSetting { setting: "IMaml::new (steps)", value: 0.0, requirement: "at least 1" });
        }
        crate::updates::constants(&self.update.settings()?, "implicit MAML")
    }
}

impl<P: Task, U: Update + Sync> MetaAlgorithm<P> for IMaml<U> {
    type Learned = P::Inner;

    fn start<'a>(&self, learned: &'a P::Inner) -> &'a P::Inner {
        learned
    }

    fn task(&self, kernels: &mut Kernels<'_, P>, learned: &P::Inner, gradient: &mut [P::Float]) -> Result<P::Float, Error> {
        let mut phi = learned.flat().to_vec();
        self.adapt(kernels, learned, &mut phi)?;
        let mut rhs = vector::zeros(phi.len());
        let value = kernels.outer_value_and_grad(&phi, &[], &mut rhs, &mut []);
        check_finite("the query loss", &[value])?;
        check_finite("the gradient of the query loss", &rhs)?;
        let (own, scale) = if self.damped_compat { (2.0, 1.0 / (self.rho + 10.0)) } else { (1.0, 1.0 / self.rho) };
        let (own, scale) = (P::Float::from_f64(own), P::Float::from_f64(scale));
        kernels.inner_curvature(&phi, &[]);
        let mut operator = |v: &[P::Float], product: &mut [P::Float]| {
            kernels.curvature_apply(v, product, None);
            for (product, &v) in product.iter_mut().zip(v) {
                *product = own * v + scale * *product;
            }
        };
        let mut memory = LinearSolver::<P::Float>::memory(&self.cg, phi.len())?;
        gradient.fill(P::Float::from_f64(0.0));
        let outcome = self.cg.solve(&mut operator, &rhs, gradient, &mut memory);
        if outcome.stop == LinearStop::NegativeCurvature && self.truncates {
            if outcome.n_iterations == 0 {
                gradient.copy_from_slice(&rhs);
                return Ok(value);
            }
        } else if outcome.stop == LinearStop::NegativeCurvature {
            let curvature = outcome.smallest_curvature.unwrap_or(f64::NAN);
            return Err(Error::NotPositiveDefinite { curvature, iteration: outcome.n_iterations });
        }
        vector::scale(P::Float::from_f64(outcome.rhs_norm), gradient);
        Ok(value)
    }

    fn adapt(&self, kernels: &mut Kernels<'_, P>, learned: &P::Inner, inner: &mut [P::Float]) -> Result<(), Error> {
        let hypers = self.check()?;
        let (theta, leaves, n) = (learned.flat().to_vec(), learned.lengths(), inner.len());
        let mut state = vector::zeros((1 + U::N_STATE) * n);
        state[..n].copy_from_slice(inner);
        let mut gradient = vector::zeros(n);
        let rho = P::Float::from_f64(self.rho);
        for step in 0..self.n_steps {
            kernels.inner_gradient(&state[..n], &[], &mut gradient);
            for ((gradient, &phi), &theta) in gradient.iter_mut().zip(&state[..n]).zip(&theta) {
                *gradient += rho * (phi - theta);
            }
            check_finite_at("the gradient of the support loss", step, &gradient)?;
            self.update.update(At { step, leaves: &leaves, hypers: &hypers, outer: &[] }, &mut state, &gradient);
        }
        inner.copy_from_slice(&state[..n]);
        Ok(())
    }
}
