//! Implicit differentiation: the hypergradient at a stationary point, without its history.
//!
//! `∇_w f(w*(λ), λ) = 0` gives `H dw*/dλ = −M` with `H = ∇²_ww f` and `M = ∂(∇_w f)/∂λ`, so that with `H q = ∂_w g` the hypergradient is
//! `dg/dλ = ∂_λ g − Mᵀq`. The same holds for any condition `F(w*(λ), λ) = 0`, with `Hᵀ q = ∂_w g` for `H = F_w`: `H` stands for `F_wᵀ` below where it is not symmetric. Only `H` and `Mᵀ` as products are needed, and one pass gives both: the product that recomputes the residual of
//! the solution also gives `Mᵀq`.

mod certificate;
mod checks;
mod settings;
mod two_stage;

use super::{Adapted, DefaultInner, Kernels, Method, Point, Sizes};
use crate::condition::{Condition, FixedPoint, Gradient, Suits};
use crate::linear::{Cg, Damped, LinearSolver, LinearStop};
use crate::solve::{Anderson, InnerOutcome, InnerSolver, Lbfgs};
use crate::{BilevelProblem, Error, Float, LossesReadOuter, Report, vector};
use certificate::{CertificateMemory, Made, error_bound};
pub(crate) use checks::check_finite;
pub(super) use checks::{DISTANCE_LIMIT, check_linear, check_stationary};
use checks::{STATIONARITY_LIMIT, check_convexity};
pub use two_stage::{FineTuning, TwoStage, TwoStageMemory};

/// The implicit hypergradient `∂_λ g − Mᵀ H⁻¹ ∂_w g` at the inner solution.
///
/// Settings of the inner solver have no influence on it, as long as that finds a stationary point. What the solvers leave is in the [`Report`],
/// with a bound on the error of the hypergradient, and these are errors:
/// - an inner solver that did not meet its tolerance, where `‖∇_w f‖ > 10⁻³ (1 + ‖w‖)`;
/// - whatever the tolerance was, `‖∇_w f‖ > 10⁻² L (1 + ‖w‖)` for the largest curvature `L` seen: the minimum is at least `‖∇_w f‖ / L`
///   away. This catches tolerances that are too large for the scale of the loss;
/// - a linear system with a relative residual above 10⁻³, unless the iterations, terms or columns were limited on purpose, and a series that diverges;
/// - a singular `H`, and any direction of zero or negative curvature, where the linear solver needs a strict minimum. [`minres`](Self::minres),
///   [`gmres`](Self::gmres), [`bicgstab`](Self::bicgstab) and `direct().allow_indefinite()` do not: the hypergradient is then that of the stationary point
///   that was found, and the report says that it is no minimum.
///
/// | method | linear solver | for |
/// | --- | --- | --- |
/// | [`cg`](Self::cg) | conjugate gradients, with or without a [preconditioner](Self::preconditioner) | most problems |
/// | `direct` | Cholesky, with the feature `linalg` | up to a few thousand inner variables |
/// | [`minres`](Self::minres), [`gmres`](Self::gmres), [`bicgstab`](Self::bicgstab) | minimal residuals and others | stationary points that are no minima |
/// | [`neumann`](Self::neumann), [`one_step`](Self::one_step) | a series cut short | very large problems, as a cheap approximation |
/// | [`nystrom`](Self::nystrom) | a low-rank approximation | the same |
///
/// Memory: three vectors of the size of `w`, one of the size of `λ`, and those of the linear solver; with the error bound five and two more.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Implicit<L = Cg> {
    linear: L,
    damping: f64,
    strong_convexity: Option<f64>,
    error_bound: bool,
    warm_start: bool,
    unconverged: bool,
}

/// Vectors of an implicit hypergradient.
#[derive(Debug, Clone)]
pub struct ImplicitMemory<T, L, I, E> {
    inner_bar: Vec<T>,
    /// The solution of the last linear system, divided by the norm of its right-hand side, and that norm; 0 where there is none.
    solution: Vec<T>,
    rhs_norm: T,
    mixed: Vec<T>,
    certificate: Option<CertificateMemory<T>>,
    linear: L,
    inner: I,
    /// Of the solver behind [`Method::exact_value`], once that has been asked for.
    exact: Option<E>,
}

impl<L> DefaultInner<Gradient> for Implicit<L> {
    type Inner = Lbfgs;
}

impl<L> DefaultInner<FixedPoint> for Implicit<L> {
    type Inner = Anderson;
}

/// What solves the inner problem to rounding.
type Exact<P> = <<P as BilevelProblem>::Condition as Condition>::Exact<<P as BilevelProblem>::Float>;
/// Its vectors.
type ExactMemory<P> = <Exact<P> as InnerSolver<<P as BilevelProblem>::Float>>::Memory;

impl<P, L, I> Method<P, I> for Implicit<L>
where
    P: LossesReadOuter,
    L: LinearSolver<P::Float> + Suits<P::Condition>,
    I: InnerSolver<P::Float> + Suits<P::Condition>,
{
    type Memory = ImplicitMemory<P::Float, L::Memory, I::Memory, ExactMemory<P>>;

    const FORGETS_ITS_START: bool = true;

    fn memory(&self, inner_solver: &I, _: &Kernels<'_, P>, sizes: &Sizes<'_>) -> Result<Self::Memory, Error> {
        if let Some(method) = L::NEEDS_SYMMETRY.filter(|_| !P::SYMMETRIC_HESSIAN) {
            return Err(Error::AsymmetricHessian { method });
        }
        let (setting, value) = ("Implicit::damping", self.damping);
        if !(value.is_finite() && value >= 0.0) {
            return Err(Error::InvalidSetting { setting, value, requirement: "finite and not negative" });
        }
        let setting = "Implicit::strong_convexity";
        if let Some(value) = self.strong_convexity.filter(|mu| !(mu.is_finite() && *mu > 0.0)) {
            return Err(Error::InvalidSetting { setting, value, requirement: "finite and positive" });
        }
        let (n_inner, n_outer) = (sizes.n_inner(), sizes.n_outer());
        Ok(ImplicitMemory {
            inner_bar: vector::zeros(n_inner),
            solution: vector::zeros(n_inner),
            rhs_norm: P::Float::default(),
            mixed: vector::zeros(n_outer),
            certificate: self.error_bound.then(|| CertificateMemory::new(n_inner, n_outer)),
            linear: self.linear.memory(n_inner)?,
            inner: inner_solver.memory(n_inner)?,
            exact: None,
        })
    }

    fn settings(&self, inner_solver: &I) -> (String, String) {
        (format!("{self:?}"), format!("{inner_solver:?}"))
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
        solve_inner(kernels, inner_solver, &mut memory.inner, (outer, inner), self.unconverged)?;
        outer_loss(kernels, outer, inner, &mut memory.inner_bar, &mut memory.mixed)
    }

    fn exact_value(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        _: &I,
        Point { outer, inner }: Point<'_, P::Float>,
    ) -> Result<P::Float, Error> {
        let exact = Exact::<P>::default().at_tolerance(0.0);
        let exact_memory = match &mut memory.exact {
            Some(kept) => kept,
            none => none.insert(exact.memory(inner.len())?),
        };
        solve_inner(kernels, &exact, exact_memory, (outer, inner), self.unconverged)?;
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
        let ImplicitMemory { inner_bar, solution, rhs_norm, mixed, certificate, linear: linear_memory, inner: inner_memory, .. } = memory;
        kernels.take_counts();
        let inner_outcome = solve_inner(kernels, inner_solver, inner_memory, (outer, inner), self.unconverged)?;

        let value = outer_loss(kernels, outer, inner, inner_bar, gradient)?;
        check_finite("the gradient of the outer loss", inner_bar)?;
        check_finite("the gradient of the outer loss", gradient)?;

        // The last solution is that of `H q = b`, divided by the norm of the last `b`.
        let last_norm = std::mem::take(rhs_norm);
        if self.warm_start && last_norm > P::Float::default() {
            vector::scale(last_norm / vector::norm(inner_bar), solution);
        } else {
            solution.fill(P::Float::default());
        }
        // Without a right-hand side there is no product, and the hypergradient is the direct term.
        mixed.fill(P::Float::default());
        let mut hessian = kernels.hessian(inner, outer, mixed);
        let mut damped = Damped::new(&mut hessian, P::Float::from_f64(self.damping));
        let mut linear = self.linear.solve(&mut damped, inner_bar, solution, linear_memory);
        if !P::Condition::IS_GRADIENT {
            // Of a Jacobian that is no Hessian the curvatures say nothing on the eigenvalues, and there is no minimum.
            (linear.smallest_curvature, linear.largest_curvature) = (None, None);
        }
        check_linear(&linear)?;
        check_convexity(self.strong_convexity, &linear, self.damping)?;
        if let Some(largest_curvature) = linear.largest_curvature.filter(|_| !self.unconverged) {
            check_stationary(&inner_outcome, DISTANCE_LIMIT * largest_curvature, inner)?;
        }
        *rhs_norm = P::Float::from_f64(linear.rhs_norm);
        vector::axpy(-*rhs_norm, mixed, gradient);
        check_finite("the hypergradient", gradient)?;

        let peak_bytes = size_of::<P::Float>() * (inner_bar.len() + solution.len() + mixed.len())
            + certificate.as_ref().map_or(0, CertificateMemory::bytes);
        let proved = linear.eigenvalue_bound.map(|bound| bound - self.damping).filter(|bound| *bound > 0.0);
        let (n_gradients, n_products) = kernels.take_counts();
        let error_bound = certificate.as_mut().map(|certificate| {
            let made =
                Made {
                    outer,
                    inner,
                    inner_bar,
                    gradient,
                    unit_solution: solution,
                    rhs_norm: *rhs_norm,
                    mixed_norm: *rhs_norm * vector::norm(mixed),
                    curvatures: linear.smallest_curvature.zip(linear.largest_curvature).filter(|_| P::SYMMETRIC_HESSIAN).map(
                        |(smallest, largest)| (P::Float::from_f64(smallest - self.damping), P::Float::from_f64(largest - self.damping)),
                    ),
                    mu: self.strong_convexity.or(proved).map(P::Float::from_f64),
                    converged_to: (linear.stop == LinearStop::Converged).then_some(linear.relative_residual),
                    cost: n_gradients + n_products,
                };
            error_bound(kernels, (&self.linear, linear_memory), certificate, &made)
        });
        let report = Report {
            linear: Some(linear),
            damping: self.damping,
            error_bound,
            peak_bytes: peak_bytes + L::bytes(linear_memory),
            ..Report::new(inner_outcome, n_gradients, n_products)
        };
        Ok((value, report))
    }

    fn adapted(&self, inner_solver: &I, settings: Adapted) -> Option<(Self, I)> {
        let linear = settings.tolerance.map_or_else(|| self.linear.clone(), |tolerance| self.linear.at_tolerance(tolerance));
        let unconverged = self.unconverged || settings.inner_iterations.is_some();
        let Implicit { damping, strong_convexity, error_bound, warm_start, .. } = *self;
        let method = Implicit { linear, damping, strong_convexity, error_bound, warm_start, unconverged };
        Some((method, settings.inner(inner_solver)))
    }

    fn save(&self, memory: &Self::Memory) -> Vec<f64> {
        [memory.rhs_norm].iter().chain(&memory.solution).map(|x| x.to_f64()).collect()
    }

    fn restore(&self, memory: &mut Self::Memory, saved: &[f64]) -> bool {
        <Self as Method<P, I>>::forget(self, memory);
        if saved.len() != memory.solution.len() + 1 {
            return false;
        }
        memory.rhs_norm = P::Float::from_f64(saved[0]);
        for (x, &s) in memory.solution.iter_mut().zip(&saved[1..]) {
            *x = P::Float::from_f64(s);
        }
        true
    }

    fn forget(&self, memory: &mut Self::Memory) {
        memory.rhs_norm = P::Float::default();
        self.linear.forget(&mut memory.linear);
    }
}

/// Solves the inner problem well enough for a hypergradient, or fails, unless any point will do.
pub(super) fn solve_inner<P: BilevelProblem, I: InnerSolver<P::Float>>(
    kernels: &mut Kernels<'_, P>,
    inner_solver: &I,
    inner_memory: &mut I::Memory,
    (outer, inner): (&[P::Float], &mut [P::Float]),
    unconverged: bool,
) -> Result<InnerOutcome, Error> {
    let outcome = inner_solver.minimize(&mut kernels.inner_loss(outer), inner, inner_memory)?;
    if !outcome.is_converged() && !unconverged {
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
