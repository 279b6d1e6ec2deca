//! What a hypergradient needs, and the errors where it is missing.

use crate::linear::{LinearOutcome, LinearStop};
use crate::solve::InnerOutcome;
use crate::{Error, Float, vector};

/// No hypergradient is given where `‖∇_w f‖` exceeds this times `1 + ‖w‖` and the tolerance of the inner solver.
pub(super) const STATIONARITY_LIMIT: f64 = 1e-3;
/// No hypergradient is given where `w` is certainly farther from the minimum than this times `1 + ‖w‖`.
pub(in crate::methods) const DISTANCE_LIMIT: f64 = 1e-2;
/// No hypergradient is given where the linear solver ends by itself with a larger relative residual.
const RESIDUAL_LIMIT: f64 = 1e-3;

/// Fails where the gradient at the inner solution exceeds the limit times `1 + ‖w‖`.
pub(in crate::methods) fn check_stationary<T: Float>(outcome: &InnerOutcome, relative_limit: f64, inner: &[T]) -> Result<(), Error> {
    let limit = relative_limit * (1.0 + vector::norm(inner).to_f64());
    if outcome.gradient_norm <= limit {
        return Ok(());
    }
    let &InnerOutcome { gradient_norm, n_iterations: iterations, stop, .. } = outcome;
    Err(Error::InnerNotConverged { gradient_norm, limit, iterations, reason: stop.as_str() })
}

/// Fails where the linear system has no solution that is worth its name.
pub(in crate::methods) fn check_linear(outcome: &LinearOutcome) -> Result<(), Error> {
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

/// Fails where a curvature is below what no eigenvalue is below.
pub(super) fn check_convexity(mu: Option<f64>, outcome: &LinearOutcome, damping: f64) -> Result<(), Error> {
    match (mu, outcome.smallest_curvature) {
        (Some(mu), Some(smallest)) if smallest - damping < mu * (1.0 - 1e-6) => {
            Err(Error::NotStronglyConvex { mu, curvature: smallest - damping })
        }
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

pub(crate) fn check_finite<T: Float>(quantity: &'static str, values: &[T]) -> Result<(), Error> {
    match values.iter().find(|value| !value.is_finite()) {
        None => Ok(()),
        Some(&value) => Err(Error::NonFinite { quantity, step: None, value: value.to_f64() }),
    }
}
