//! How far an implicit hypergradient is from the exact one.
//!
//! The hypergradient `F(w, q) = ∂_λ g(w) − M(w)ᵀ q` was made at a point `w` near the stationary point `w*`, with a `q` near the solution of
//! `H(w) q = ∂_w g(w)`. Both errors are estimated by one correction each. With `δw` from `H δw = −∇_w f`, solved roughly, the point `w⁺ = w + δw` is
//! much nearer to `w*`, and `F(w⁺, q) − F(w, q)` is what the error of `w` did. At `w⁺` the residual `r = ∂_w g − H q` of the same `q` holds both what
//! the linear solver left and what the change of `w` asks for; with `δq` from `H δq = r`, again solved roughly, `M(w⁺)ᵀ δq` is what the error of `q` did. As
//! both errors become small, the two differences become the error itself.
//!
//! With a lower bound `μ` on the eigenvalues of `H`, what the rough solves leave is bounded too: a residual `s` of the second leaves at most
//! `‖M‖ ‖s‖ / μ`, and `w⁺` is at most `‖∇_w f(w⁺)‖ / μ` from `w*`. The norm of `M` and the Lipschitz constants that this takes are measured: the one along
//! random directions, the other as the difference quotients of the first correction.

use super::super::Kernels;
use crate::linear::{LinearSolver, LinearStop, Operator};
use crate::random::SplitMix;
use crate::report::{Basis, ErrorBound};
use crate::solve::Objective;
use crate::{BilevelProblem, Float, vector};

/// The relative residual to which corrections are solved.
const ROUGH: f64 = 0.01;
/// An estimate is multiplied by this for what the rough solves leave.
const SAFETY: f64 = 2.0;
/// Random directions for the norm of `M`.
const N_PROBES: usize = 3;

/// What was computed, and where.
pub(super) struct Made<'a, T> {
    pub(super) outer: &'a [T],
    pub(super) inner: &'a [T],
    /// The hypergradient.
    pub(super) gradient: &'a [T],
    /// The solution of the linear system divided by the norm of its right-hand side, and that norm.
    pub(super) unit_solution: &'a [T],
    pub(super) rhs_norm: T,
    /// `‖Mᵀq‖`
    pub(super) mixed_norm: T,
    /// The smallest and the largest curvature that the linear solver has seen.
    pub(super) curvatures: Option<(T, T)>,
    /// A lower bound on the eigenvalues of `H`.
    pub(super) mu: Option<T>,
}

/// Vectors of the certificate.
#[derive(Debug, Clone)]
pub(super) struct CertificateMemory<T> {
    point: Vec<T>,
    residual: Vec<T>,
    correction: Vec<T>,
    rhs: Vec<T>,
    direct: Vec<T>,
    mixed: Vec<T>,
}

impl<T: Float> CertificateMemory<T> {
    pub(super) fn new(n_inner: usize, n_outer: usize) -> Self {
        CertificateMemory {
            point: vector::zeros(n_inner),
            residual: vector::zeros(n_inner),
            correction: vector::zeros(n_inner),
            rhs: vector::zeros(n_inner),
            direct: vector::zeros(n_outer),
            mixed: vector::zeros(n_outer),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        (4 * self.point.len() + 2 * self.direct.len()) * size_of::<T>()
    }
}

/// The parts of the error, as far as they could be found.
struct Parts<T> {
    /// What the correction of `w` changed, and its length.
    from_inner: T,
    step_norm: T,
    /// The gradient that is left after it, and the part of the gradient before.
    gradient_left: T,
    contraction: T,
    /// `‖r‖`, what the correction of `q` changed, and the residual that it left.
    residual_norm: T,
    from_linear: T,
    residual_left: T,
    /// The norm of `M`, from below.
    mixed_norm: T,
}

/// Bounds the error of a hypergradient. The kernels are linearized at the inner solution.
pub(super) fn error_bound<P: BilevelProblem, L: LinearSolver<P::Float>>(
    kernels: &mut Kernels<'_, P>,
    (linear, linear_memory): (&L, &mut L::Memory),
    memory: &mut CertificateMemory<P::Float>,
    made: &Made<'_, P::Float>,
) -> ErrorBound {
    let (value, basis) = match parts(kernels, (linear, linear_memory), memory, made) {
        Ok(parts) => bound(&parts, made),
        Err(reason) => (f64::INFINITY, Basis::Unknown { reason }),
    };
    let norm = vector::norm(made.gradient).to_f64();
    let relative = if value == 0.0 { 0.0 } else { value / norm };
    let (n_gradients, n_products) = kernels.take_counts();
    ErrorBound { value, relative, basis, n_gradients, n_products }
}

fn bound<T: Float>(parts: &Parts<T>, made: &Made<'_, T>) -> (f64, Basis) {
    let Parts { from_inner, step_norm, gradient_left, contraction, residual_norm, from_linear, residual_left, mixed_norm } = *parts;
    // Every term is known to rounding only, and the solution to rounding times the condition of the system.
    let condition = match (made.mu, made.curvatures) {
        (Some(mu), Some((_, largest))) => largest / mu,
        (None, Some((smallest, largest))) if smallest > T::zero() => largest / smallest,
        (Some(_) | None, Some(_) | None) => T::one(),
    };
    let size = vector::norm(made.gradient) + made.mixed_norm;
    let rounding = T::from_f64(8.0) * T::EPSILON * size * (T::one() + condition.abs());
    let (value, basis) = match made.mu {
        None => {
            let inner = from_inner / (T::one() - contraction);
            (T::from_f64(SAFETY) * (inner + from_linear) + rounding, Basis::Estimate)
        }
        Some(mu) => {
            let (by_step, residual_by_step) =
                if step_norm > T::zero() { (from_inner / step_norm, residual_norm / step_norm) } else { (T::zero(), T::zero()) };
            let inner_left = (by_step + mixed_norm * residual_by_step / mu) * (gradient_left / mu);
            let linear_left = mixed_norm * residual_left / mu;
            (from_inner + from_linear + inner_left + linear_left + rounding, Basis::StrongConvexity { mu: mu.to_f64() })
        }
    };
    (value.to_f64(), basis)
}

fn parts<T: Float, P: BilevelProblem<Float = T>, L: LinearSolver<T>>(
    kernels: &mut Kernels<'_, P>,
    (linear, linear_memory): (&L, &mut L::Memory),
    memory: &mut CertificateMemory<T>,
    made: &Made<'_, T>,
) -> Result<Parts<T>, &'static str> {
    let CertificateMemory { point, residual, correction, rhs, direct, mixed } = memory;
    let (zero, one) = (T::zero(), T::one());
    let rough = T::from_f64(ROUGH);
    let largest = made.curvatures.map_or(one, |(_, largest)| largest);

    // The correction of the inner solution.
    kernels.inner_loss(made.outer).value_and_grad(made.inner, residual);
    let gradient_norm = vector::norm(residual);
    point.copy_from_slice(made.inner);
    let (mut step_norm, mut gradient_left, mut contraction) = (zero, zero, zero);
    if gradient_norm > zero {
        understood(linear.correct(&mut kernels.hessian_again(mixed), residual, correction, linear_memory, rough))?;
        vector::axpy(-gradient_norm, correction, point);
        step_norm = gradient_norm * vector::norm(correction);
        kernels.inner_loss(made.outer).value_and_grad(point, residual);
        gradient_left = vector::norm(residual);
        contraction = gradient_left / gradient_norm;
        let half = T::from_f64(0.5);
        if contraction.is_nan() {
            return Err("the inner loss is not finite near its solution");
        }
        if contraction > half {
            // A gradient that is made of rounding does not become smaller.
            let visible = T::EPSILON.sqrt() * largest * (one + vector::norm(made.inner));
            if gradient_norm > visible {
                return Err("a Newton step does not halve the gradient: the inner solution is too far from a stationary point");
            }
            contraction = half;
        }
    }

    // What it changes, with `q` as it is, and the residual of `q` there.
    kernels.outer_value_and_grad(point, made.outer, rhs, direct);
    {
        let mut hessian = kernels.hessian(point, made.outer, mixed);
        hessian.apply_to_solution(made.unit_solution, residual);
    }
    let mut mixed_norm = vector::norm(mixed) / vector::norm(made.unit_solution);
    vector::axpy(-made.rhs_norm, mixed, direct);
    vector::axpy(-one, made.gradient, direct);
    let from_inner = vector::norm(direct);
    for (residual, &rhs) in residual.iter_mut().zip(rhs.iter()) {
        *residual = rhs - made.rhs_norm * *residual;
    }
    let residual_norm = vector::norm(residual);
    if !(from_inner.is_finite() && residual_norm.is_finite()) {
        return Err("the losses are not finite near the inner solution");
    }

    // The correction of the solution of the linear system.
    let (mut from_linear, mut residual_left) = (zero, zero);
    if residual_norm > zero {
        understood(linear.correct(&mut kernels.hessian_again(mixed), residual, correction, linear_memory, rough))?;
        kernels.hessian_again(mixed).apply_to_solution(correction, rhs);
        let length = vector::norm(mixed);
        from_linear = residual_norm * length;
        mixed_norm = nan_to_zero(mixed_norm).max(nan_to_zero(length / vector::norm(correction)));
        vector::axpy(-residual_norm.recip(), residual, rhs);
        residual_left = residual_norm * vector::norm(rhs);
    }
    if made.mu.is_some() {
        // `E ‖Mᵀz‖² = ‖M‖²` in the norm of Frobenius, over random signs `z`.
        let mut random = SplitMix::new(0);
        let mut square = zero;
        for _ in 0..N_PROBES {
            random.signs(point);
            kernels.hessian_again(mixed).apply_to_solution(point, rhs);
            square += vector::dot(mixed, mixed) / T::from_f64(N_PROBES as f64);
        }
        mixed_norm = nan_to_zero(mixed_norm).max(square.sqrt());
    }
    let parts = Parts {
        from_inner,
        step_norm,
        gradient_left,
        contraction,
        residual_norm,
        from_linear,
        residual_left,
        mixed_norm: nan_to_zero(mixed_norm),
    };
    Ok(parts)
}

fn nan_to_zero<T: Float>(x: T) -> T {
    if x.is_nan() { T::zero() } else { x }
}

/// Whether a correction can be trusted.
fn understood(stop: LinearStop) -> Result<(), &'static str> {
    match stop {
        LinearStop::Converged | LinearStop::Truncated => Ok(()),
        LinearStop::MaxIterations | LinearStop::Stagnated | LinearStop::Diverged => Err(
            "the linear system is not solved to a hundredth: the Hessian is nearly singular, or far from the matrix that was factorised",
        ),
        LinearStop::NegativeCurvature => Err("the Hessian without damping is not positive definite"),
        LinearStop::Singular => Err("the Hessian is singular"),
        LinearStop::NonFinite => Err("a product with the Hessian is not finite"),
    }
}
