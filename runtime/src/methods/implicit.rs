//! Implicit differentiation: the hypergradient at a stationary point, without its history.
//!
//! `∇_w f(w*(λ), λ) = 0` gives `H dw*/dλ = −M` with `H = ∇²_ww f` and `M = ∂(∇_w f)/∂λ`, so that with `H q = ∂_w g` the hypergradient is
//! `dg/dλ = ∂_λ g − Mᵀq`. Only `H` and `Mᵀ` as products are needed, and one pass gives both: the product that recomputes the residual of
//! the solution also gives `Mᵀq`.

use super::{Kernels, Method, Point};
use crate::linear::{Cg, LinearOutcome, LinearSolver, LinearStop};
use crate::solve::{InnerOutcome, InnerSolver};
use crate::{BilevelProblem, Error, Float, Report, vector};

/// No hypergradient is given where `‖∇_w f‖` exceeds this times `1 + ‖w‖` and the tolerance of the inner solver.
const STATIONARITY_LIMIT: f64 = 1e-3;
/// No hypergradient is given where `w` is certainly farther from the minimum than this times `1 + ‖w‖`.
const DISTANCE_LIMIT: f64 = 1e-2;
/// No hypergradient is given where the linear solver ends by itself with a larger relative residual.
const RESIDUAL_LIMIT: f64 = 1e-3;

/// The implicit hypergradient `∂_λ g − Mᵀ H⁻¹ ∂_w g` at the inner solution.
///
/// It needs a strict minimum: `H` positive definite. Settings of the inner solver have no influence on it, as long as that finds the
/// minimum. What the solvers leave is in the [`Report`], and these are errors:
/// - an inner solver that did not meet its tolerance, where `‖∇_w f‖ > 10⁻³ (1 + ‖w‖)`;
/// - whatever the tolerance was, `‖∇_w f‖ > 10⁻² L (1 + ‖w‖)` for the largest curvature `L` seen: the minimum is at least `‖∇_w f‖ / L`
///   away. This catches tolerances that are too large for the scale of the loss;
/// - a linear system with a relative residual above 10⁻³, unless the iterations were limited on purpose with
///   [`max_iterations`](Implicit::max_iterations);
/// - any direction of zero or negative curvature.
///
/// Memory: three vectors of the size of `w`, one of the size of `λ`, and those of the linear solver.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Implicit<L = Cg> {
    linear: L,
}

/// Vectors of an implicit hypergradient.
#[derive(Debug, Clone)]
pub struct ImplicitMemory<T, M> {
    inner_bar: Vec<T>,
    solution: Vec<T>,
    mixed: Vec<T>,
    linear: M,
}

impl Implicit<Cg> {
    /// Solves `H q = ∂_w g` by conjugate gradients. Costs a curvature product per iteration and one more.
    pub fn cg() -> Self {
        Implicit { linear: Cg::default() }
    }

    /// The relative residual to reach; see [`Cg::tolerance`].
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.linear = self.linear.tolerance(tolerance);
        self
    }

    /// The most iterations of conjugate gradients; a solve that ends there gives its iterate. Default: see [`Cg::max_iterations`].
    pub fn max_iterations(mut self, max_iterations: usize) -> Self {
        self.linear = self.linear.max_iterations(max_iterations);
        self
    }
}

impl<P: BilevelProblem, L: LinearSolver<P::Float>> Method<P> for Implicit<L> {
    type Memory = ImplicitMemory<P::Float, L::Memory>;

    fn memory(&self, n_inner: usize, n_outer: usize) -> Result<Self::Memory, Error> {
        Ok(ImplicitMemory {
            inner_bar: vector::zeros(n_inner),
            solution: vector::zeros(n_inner),
            mixed: vector::zeros(n_outer),
            linear: self.linear.memory(n_inner)?,
        })
    }

    fn value<I: InnerSolver<P::Float>>(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: (&I, &mut I::Memory),
        point: Point<'_, P::Float>,
    ) -> Result<P::Float, Error> {
        let Point { outer, inner } = point;
        solve_inner(kernels, inner_solver, outer, inner)?;
        let value = kernels.outer_value_and_grad(inner, outer, &mut memory.inner_bar, &mut memory.mixed);
        check_finite("the outer loss", &[value]).map(|()| value)
    }

    fn hypergradient<I: InnerSolver<P::Float>>(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: (&I, &mut I::Memory),
        point: Point<'_, P::Float>,
        gradient: &mut [P::Float],
    ) -> Result<(P::Float, Report), Error> {
        let Point { outer, inner } = point;
        let ImplicitMemory { inner_bar, solution, mixed, linear: linear_memory } = memory;
        kernels.take_counts();
        let inner_outcome = solve_inner(kernels, inner_solver, outer, inner)?;

        let value = kernels.outer_value_and_grad(inner, outer, inner_bar, gradient);
        check_finite("the outer loss", &[value])?;
        check_finite("the gradient of the outer loss", inner_bar)?;
        check_finite("the gradient of the outer loss", gradient)?;

        // Without a right-hand side there is no product, and the hypergradient is the direct term.
        mixed.fill(P::Float::default());
        let mut hessian = kernels.hessian(inner, outer, mixed);
        let linear = self.linear.solve(&mut hessian, inner_bar, solution, linear_memory);
        check_linear(&linear)?;
        if let Some(largest_curvature) = linear.largest_curvature {
            check_stationary(&inner_outcome, DISTANCE_LIMIT * largest_curvature, inner)?;
        }
        vector::axpy(-P::Float::from_f64(linear.rhs_norm), mixed, gradient);
        check_finite("the hypergradient", gradient)?;

        let (n_gradients, n_products) = kernels.take_counts();
        Ok((value, Report { inner: inner_outcome, linear: Some(linear), n_gradients, n_products }))
    }
}

/// Solves the inner problem well enough for a hypergradient, or fails.
fn solve_inner<P: BilevelProblem, I: InnerSolver<P::Float>>(
    kernels: &mut Kernels<'_, P>,
    (inner_solver, inner_memory): (&I, &mut I::Memory),
    outer: &[P::Float],
    inner: &mut [P::Float],
) -> Result<InnerOutcome, Error> {
    let outcome = inner_solver.minimize(&mut kernels.inner_loss(outer), inner, inner_memory)?;
    if !outcome.is_converged() {
        check_stationary(&outcome, STATIONARITY_LIMIT, inner)?;
    }
    Ok(outcome)
}

/// Fails where the gradient at the inner solution exceeds the limit times `1 + ‖w‖`.
fn check_stationary<T: Float>(outcome: &InnerOutcome, relative_limit: f64, inner: &[T]) -> Result<(), Error> {
    let limit = relative_limit * (1.0 + vector::norm(inner).to_f64());
    if outcome.gradient_norm <= limit {
        return Ok(());
    }
    let &InnerOutcome { gradient_norm, n_iterations: iterations, stop, .. } = outcome;
    Err(Error::InnerNotConverged { gradient_norm, limit, iterations, reason: stop.as_str() })
}

fn check_linear(outcome: &LinearOutcome) -> Result<(), Error> {
    match outcome.stop {
        LinearStop::Converged | LinearStop::Truncated => Ok(()),
        LinearStop::MaxIterations | LinearStop::Stagnated if outcome.relative_residual <= RESIDUAL_LIMIT => Ok(()),
        LinearStop::MaxIterations | LinearStop::Stagnated => Err(Error::LinearSolverNotConverged {
            residual: outcome.relative_residual,
            limit: RESIDUAL_LIMIT,
            iterations: outcome.n_iterations,
        }),
        LinearStop::NegativeCurvature => {
            Err(Error::NotPositiveDefinite { curvature: outcome.smallest_curvature.unwrap_or(f64::NAN), iteration: outcome.n_iterations })
        }
        LinearStop::NonFinite => {
            Err(Error::NonFinite { quantity: "a product with the Hessian of the inner loss", step: None, value: outcome.relative_residual })
        }
    }
}

fn check_finite<T: Float>(quantity: &'static str, values: &[T]) -> Result<(), Error> {
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(&value) => Err(Error::NonFinite { quantity, step: None, value: value.to_f64() }),
    }
}
