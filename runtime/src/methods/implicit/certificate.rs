//! How far an implicit hypergradient is from the exact one.
//!
//! The hypergradient `F(w, q) = ∂_λ g(w) − M(w)ᵀ q` was made at a point `w` near the stationary point `w*`, with a `q` near the solution of
//! `H(w) q = ∂_w g(w)`. Both errors are estimated by one correction each. With `δw` from `H δw = −∇_w f`, the point `w⁺ = w + δw` is
//! much nearer to `w*`, and `F(w⁺, q) − F(w, q)` is what the error of `w` did. At `w⁺` the residual `r = ∂_w g − H q` of the same `q` holds both what
//! the linear solver left and what the change of `w` asks for; with `δq` from `H δq = r`, `M(w⁺)ᵀ δq` is what the error of `q` did. As
//! both errors become small, the two differences become the error itself.
//!
//! The corrections need not be solved well. What a rough solution `x` of `H x* = b` leaves is `‖x* − x‖_H ≤ ‖b − Hx‖ / √μ` for the smallest eigenvalue `μ`,
//! which the linear solve has measured as the smallest curvature that it has met, and what `x` does is `‖x‖_H`, so that the whole is at most
//! `1 + ‖b − Hx‖ / (√μ ‖x‖_H)` times as large in this norm. What is measured of a correction grows by that factor. So a few iterations give a bound, which more of them make
//! sharper, and by default both corrections together cost about a tenth of the hypergradient.
//!
//! With a lower bound `μ` on the eigenvalues of `H`, given or shown by a factorisation, the corrections are solved to a hundredth, and what they leave is bounded: a residual `s` of the
//! second leaves at most `‖M‖ ‖s‖ / μ`, and `w⁺` is at most `‖∇_w f(w⁺)‖ / μ` from `w*`. The norm of `M` and the Lipschitz constants that this takes are measured: the one along
//! random directions, the other as the difference quotients of the first correction.

use super::super::Kernels;
use crate::linear::{Effort, LinearSolver, LinearStop, Operator};
use crate::random::SplitMix;
use crate::report::{Basis, ErrorBound};
use crate::solve::Objective;
use crate::{BilevelProblem, Float, vector};

/// The relative residual at which a correction ends, where what it leaves is accounted for by the curvature measured.
const ROUGH: f64 = 0.1;
/// The same where that is not known, or where the rest is to be bounded.
const CLOSE: f64 = 0.01;
/// A correction may cost this part of what the hypergradient has cost,
const SHARE: usize = 20;
/// and always so many products.
const LEAST: usize = 4;
/// where the linear system was solved to this relative residual: a rougher solve has not met the small curvatures.
const SEEN_BELOW: f64 = 1e-3;
/// An estimate is multiplied by this for what it is not known to hold.
const SAFETY: f64 = 2.0;
/// The same where the corrections were cut short: in norms, not along what is asked for, they are known to be no larger.
const SAFETY_CUT_SHORT: f64 = 3.0;
/// Random directions for the norm of `M`.
const N_PROBES: usize = 3;

/// What was computed, and where.
pub(super) struct Made<'a, T> {
    pub(super) outer: &'a [T],
    pub(super) inner: &'a [T],
    /// `∂_w g`
    pub(super) inner_bar: &'a [T],
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
    /// The relative residual of a linear solver that went on until it met its tolerance.
    pub(super) converged_to: Option<f64>,
    /// The gradients and products that the hypergradient has cost.
    pub(super) cost: usize,
}

impl<T: Float> Made<'_, T> {
    /// The smallest eigenvalue as far as the linear solver has seen it, where the error bound stands on that.
    fn measured_curvature(&self) -> Option<T> {
        self.curvatures.map(|(smallest, _)| smallest).filter(|smallest| self.mu.is_none() && *smallest > T::zero())
    }

    fn effort(&self) -> Effort<T> {
        let measured = self.measured_curvature().is_some();
        let tolerance = T::from_f64(if measured { ROUGH } else { CLOSE });
        let has_seen_enough = measured && self.converged_to.is_some_and(|residual| residual <= SEEN_BELOW);
        let max_products = has_seen_enough.then(|| LEAST.max(self.cost / SHARE));
        Effort { tolerance, max_products }
    }
}

/// Vectors of the certificate.
#[derive(Debug, Clone)]
pub(super) struct CertificateMemory<T> {
    point: Vec<T>,
    residual: Vec<T>,
    correction: Vec<T>,
    left: Vec<T>,
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
            left: vector::zeros(n_inner),
            rhs: vector::zeros(n_inner),
            direct: vector::zeros(n_outer),
            mixed: vector::zeros(n_outer),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        (5 * self.point.len() + 2 * self.direct.len()) * size_of::<T>()
    }
}

/// The parts of the error, as far as they could be found.
struct Parts<T> {
    /// What the correction of `w` changed, its length, and how much larger both may be.
    from_inner: T,
    step_norm: T,
    inner_growth: T,
    /// The gradient that is left after it.
    gradient_left: T,
    /// `‖r‖`, the part of it that is from the correction of `w`, what the correction of `q` changed, how much larger that may be, and the residual that it left.
    residual_norm: T,
    inner_share: T,
    from_linear: T,
    linear_growth: T,
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
    let Parts { from_inner, step_norm, gradient_left, residual_norm, from_linear, residual_left, mixed_norm, .. } = *parts;
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
            let linear_growth = parts.linear_growth * (T::one() + (parts.inner_growth - T::one()) * parts.inner_share);
            let value = from_inner * parts.inner_growth + from_linear * linear_growth;
            let safety = if made.effort().max_products.is_some() { SAFETY_CUT_SHORT } else { SAFETY };
            let basis = match made.measured_curvature() {
                Some(smallest) => Basis::Curvature { smallest: smallest.to_f64() },
                None => Basis::Estimate,
            };
            (T::from_f64(safety) * value + rounding, basis)
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

/// Solves `H x = b / ‖b‖` roughly; leaves `b / ‖b‖ − H x` in `left`, and `Mᵀx` where the operator has it. Gives the norm of the one, and how much larger the whole solution may be
/// than `x`, for the smallest curvature where that is known.
fn correct<T: Float, L: LinearSolver<T>>(
    (linear, linear_memory): (&L, &mut L::Memory),
    operator: &mut impl Operator<T>,
    b: &[T],
    (x, left): (&mut [T], &mut [T]),
    (effort, smallest): (Effort<T>, Option<T>),
) -> Result<(T, T), &'static str> {
    understood(linear.correct(operator, b, x, linear_memory, effort), effort)?;
    operator.apply_to_solution(x, left);
    let along = vector::dot(x, left);
    let smallest = smallest.map(|smallest| smallest.min(along / vector::dot(x, x)));
    vector::xpby(b, -vector::norm(b), left);
    vector::scale(vector::norm(b).recip(), left);
    let norm = vector::norm(left);
    let growth = smallest.map_or(T::one(), |smallest| T::one() + norm / (smallest * along).sqrt());
    if growth.is_finite() { Ok((norm, growth)) } else { Err("the Hessian without damping is not positive definite") }
}

fn parts<T: Float, P: BilevelProblem<Float = T>, L: LinearSolver<T>>(
    kernels: &mut Kernels<'_, P>,
    (linear, linear_memory): (&L, &mut L::Memory),
    memory: &mut CertificateMemory<T>,
    made: &Made<'_, T>,
) -> Result<Parts<T>, &'static str> {
    let CertificateMemory { point, residual, correction, left, rhs, direct, mixed } = memory;
    let (zero, one) = (T::zero(), T::one());
    let how = (made.effort(), made.measured_curvature());
    let largest = made.curvatures.map_or(one, |(_, largest)| largest);

    // The correction of the inner solution.
    kernels.inner_loss(made.outer).value_and_grad(made.inner, residual);
    let gradient_norm = vector::norm(residual);
    point.copy_from_slice(made.inner);
    let (mut step_norm, mut gradient_left, mut inner_growth) = (zero, zero, one);
    if gradient_norm > zero {
        // The residual of `q` at `w`, from which the one at `w⁺` will differ.
        kernels.hessian_again(mixed).apply(made.unit_solution, rhs);
        vector::xpby(made.inner_bar, -made.rhs_norm, rhs);
        let (_, growth) = if P::SYMMETRIC_HESSIAN {
            correct((linear, linear_memory), &mut kernels.hessian_again(mixed), residual, (correction, left), how)?
        } else {
            mixed.fill(zero);
            let mut jacobian = kernels.jacobian(made.inner, made.outer, mixed);
            correct((linear, linear_memory), &mut jacobian, residual, (correction, left), how)?
        };
        vector::axpy(-gradient_norm, correction, point);
        step_norm = gradient_norm * vector::norm(correction);
        kernels.inner_loss(made.outer).value_and_grad(point, residual);
        gradient_left = vector::norm(residual);
        // What is left beside the residual of the correction is not linear in it.
        vector::axpy(-gradient_norm, left, residual);
        let mut nonlinear = vector::norm(residual) / gradient_norm;
        let half = T::from_f64(0.5);
        if nonlinear.is_nan() {
            return Err("the inner loss is not finite near its solution");
        }
        if nonlinear > half {
            // A gradient that is made of rounding does not become smaller.
            let visible = T::EPSILON.sqrt() * largest * (one + vector::norm(made.inner));
            if gradient_norm > visible {
                return Err(
                    "the gradient changes otherwise than a Newton step expects: the inner solution is too far from a stationary point",
                );
            }
            nonlinear = half;
        }
        inner_growth = growth / (one - nonlinear);
    }

    // What it changes, with `q` as it is, and the residual of `q` there.
    kernels.outer_value_and_grad(point, made.outer, residual, direct);
    kernels.hessian(point, made.outer, mixed).apply_to_solution(made.unit_solution, left);
    let mut mixed_norm = vector::norm(mixed) / vector::norm(made.unit_solution);
    vector::axpy(-made.rhs_norm, mixed, direct);
    vector::axpy(-one, made.gradient, direct);
    let from_inner = vector::norm(direct);
    vector::axpy(-made.rhs_norm, left, residual);
    let residual_norm = vector::norm(residual);
    if !(from_inner.is_finite() && residual_norm.is_finite()) {
        return Err("the losses are not finite near the inner solution");
    }

    // The correction of the solution of the linear system.
    let (mut from_linear, mut linear_growth, mut inner_share, mut residual_left) = (zero, one, zero, zero);
    if residual_norm > zero {
        if step_norm > zero {
            vector::axpy(-one, residual, rhs);
            inner_share = (vector::norm(rhs) / residual_norm).min(one);
        }
        let (norm, growth) = correct((linear, linear_memory), &mut kernels.hessian_again(mixed), residual, (correction, left), how)?;
        let length = vector::norm(mixed);
        from_linear = residual_norm * length;
        linear_growth = growth;
        mixed_norm = nan_to_zero(mixed_norm).max(nan_to_zero(length / vector::norm(correction)));
        residual_left = residual_norm * norm;
    }
    if made.mu.is_some() {
        // `E ‖Mᵀz‖² = ‖M‖²` in the norm of Frobenius, over random signs `z`.
        let mut random = SplitMix::new(0);
        let mut square = zero;
        for _ in 0..N_PROBES {
            random.signs(point);
            kernels.hessian_again(mixed).apply_to_solution(point, left);
            square += vector::dot(mixed, mixed) / T::from_f64(N_PROBES as f64);
        }
        mixed_norm = nan_to_zero(mixed_norm).max(square.sqrt());
    }
    let parts = Parts {
        from_inner,
        step_norm,
        inner_growth,
        gradient_left,
        residual_norm,
        inner_share,
        from_linear,
        linear_growth,
        residual_left,
        mixed_norm: nan_to_zero(mixed_norm),
    };
    Ok(parts)
}

fn nan_to_zero<T: Float>(x: T) -> T {
    if x.is_nan() { T::zero() } else { x }
}

/// Whether a correction can be trusted.
fn understood<T>(stop: LinearStop, effort: Effort<T>) -> Result<(), &'static str> {
    match stop {
        LinearStop::Converged | LinearStop::Truncated => Ok(()),
        LinearStop::MaxIterations if effort.max_products.is_some() => Ok(()),
        LinearStop::MaxIterations | LinearStop::Stagnated | LinearStop::Diverged => {
            Err("a correction cannot be solved: the Hessian is nearly singular, or far from the matrix that was factorised")
        }
        LinearStop::NegativeCurvature => Err("the Hessian without damping is not positive definite"),
        LinearStop::Singular => Err("the Hessian is singular"),
        LinearStop::NonFinite => Err("a product with the Hessian is not finite"),
    }
}
