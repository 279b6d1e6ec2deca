//! Implicit differentiation: the hypergradient at a stationary point, without its history.
//!
//! `∇_w f(w*(λ), λ) = 0` gives `H dw*/dλ = −M` with `H = ∇²_ww f` and `M = ∂(∇_w f)/∂λ`, so that with `H q = ∂_w g` the hypergradient is
//! `dg/dλ = ∂_λ g − Mᵀq`. Only `H` and `Mᵀ` as products are needed, and one pass gives both: the product that recomputes the residual of
//! the solution also gives `Mᵀq`.

use super::{DefaultInner, Kernels, Method, Point, Sizes};
use crate::linear::{Cg, LinearOutcome, LinearSolver, LinearStop};
use crate::solve::{InnerOutcome, InnerSolver, Lbfgs, NewtonCg, NewtonCgMemory};
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
pub struct ImplicitMemory<T, L, I> {
    inner_bar: Vec<T>,
    solution: Vec<T>,
    mixed: Vec<T>,
    linear: L,
    inner: I,
    /// Of the solver behind [`Method::exact_value`], once that has been asked for.
    exact: Option<NewtonCgMemory<T>>,
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

impl<L> DefaultInner for Implicit<L> {
    type Inner = Lbfgs;
}

impl<P: BilevelProblem, L: LinearSolver<P::Float>, I: InnerSolver<P::Float>> Method<P, I> for Implicit<L> {
    type Memory = ImplicitMemory<P::Float, L::Memory, I::Memory>;

    const FORGETS_ITS_START: bool = true;

    fn memory(&self, inner_solver: &I, sizes: &Sizes<'_>) -> Result<Self::Memory, Error> {
        let n_inner = sizes.n_inner();
        Ok(ImplicitMemory {
            inner_bar: vector::zeros(n_inner),
            solution: vector::zeros(n_inner),
            mixed: vector::zeros(sizes.n_outer()),
            linear: self.linear.memory(n_inner)?,
            inner: inner_solver.memory(n_inner)?,
            exact: None,
        })
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
        solve_inner(kernels, inner_solver, &mut memory.inner, outer, inner)?;
        outer_loss(kernels, outer, inner, &mut memory.inner_bar, &mut memory.mixed)
    }

    fn exact_value(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        _: &I,
        Point { outer, inner }: Point<'_, P::Float>,
    ) -> Result<P::Float, Error> {
        let newton = NewtonCg::default().tolerance(0.0);
        let newton_memory = match &mut memory.exact {
            Some(kept) => kept,
            none => none.insert(InnerSolver::<P::Float>::memory(&newton, inner.len())?),
        };
        solve_inner(kernels, &newton, newton_memory, outer, inner)?;
        outer_loss(kernels, outer, inner, &mut memory.inner_bar, &mut memory.mixed)
    }

    fn hypergradient(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        Point { outer, inner }: Point<'_, P::Float>,
        gradient: &mut [P::Float],
    ) -> Result<(P::Float, Report), Error> {
        let ImplicitMemory { inner_bar, solution, mixed, linear: linear_memory, inner: inner_memory, .. } = memory;
        kernels.take_counts();
        let inner_outcome = solve_inner(kernels, inner_solver, inner_memory, outer, inner)?;

        let value = outer_loss(kernels, outer, inner, inner_bar, gradient)?;
        check_finite("the gradient of the outer loss", inner_bar)?;
        check_finite("the gradient of the outer loss", gradient)?;

        // Without a right-hand side there is no product, and the hypergradient is the direct term.
        mixed.fill(P::Float::default());
        solution.fill(P::Float::default());
        let mut hessian = kernels.hessian(inner, outer, mixed);
        let linear = self.linear.solve(&mut hessian, inner_bar, solution, linear_memory);
        check_linear(&linear)?;
        if let Some(largest_curvature) = linear.largest_curvature {
            check_stationary(&inner_outcome, DISTANCE_LIMIT * largest_curvature, inner)?;
        }
        vector::axpy(-P::Float::from_f64(linear.rhs_norm), mixed, gradient);
        check_finite("the hypergradient", gradient)?;

        let (n_gradients, n_products) = kernels.take_counts();
        Ok((value, Report { inner: inner_outcome, linear: Some(linear), unrolled: None, n_gradients, n_products }))
    }
}

/// Solves the inner problem well enough for a hypergradient, or fails.
fn solve_inner<P: BilevelProblem, I: InnerSolver<P::Float>>(
    kernels: &mut Kernels<'_, P>,
    inner_solver: &I,
    inner_memory: &mut I::Memory,
    outer: &[P::Float],
    inner: &mut [P::Float],
) -> Result<InnerOutcome, Error> {
    let outcome = inner_solver.minimize(&mut kernels.inner_loss(outer), inner, inner_memory)?;
    if !outcome.is_converged() {
        check_stationary(&outcome, STATIONARITY_LIMIT, inner)?;
    }
    Ok(outcome)
}

/// The outer loss, which has to be finite, and its gradients.
pub(super) fn outer_loss<P: BilevelProblem>(
    kernels: &mut Kernels<'_, P>,
    outer: &[P::Float],
    inner: &[P::Float],
    inner_bar: &mut [P::Float],
    outer_bar: &mut [P::Float],
) -> Result<P::Float, Error> {
    let value = kernels.outer_value_and_grad(inner, outer, inner_bar, outer_bar);
    check_finite("the outer loss", &[value]).map(|()| value)
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
        LinearStop::Diverged => Err(Error::LinearSolverDiverged { residual: outcome.relative_residual, iterations: outcome.n_iterations }),
        LinearStop::NegativeCurvature | LinearStop::Singular => {
            Err(Error::NotPositiveDefinite { curvature: outcome.smallest_curvature.unwrap_or(f64::NAN), iteration: outcome.n_iterations })
        }
        LinearStop::NonFinite => {
            Err(Error::NonFinite { quantity: "a product with the Hessian of the inner loss", step: None, value: outcome.relative_residual })
        }
    }
}

pub(super) fn check_finite<T: Float>(quantity: &'static str, values: &[T]) -> Result<(), Error> {
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(&value) => Err(Error::NonFinite { quantity, step: None, value: value.to_f64() }),
    }
}
