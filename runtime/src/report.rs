//! The certificate that comes with every hypergradient.

use std::fmt;

use crate::linear::LinearOutcome;
use crate::methods::UnrolledOutcome;
use crate::solve::InnerOutcome;

/// How well the inner problem and the linear system behind a hypergradient were solved, and what it cost.
///
/// The error of an implicit hypergradient has two sources: that of the inner solution, about `‖∇_w f‖` divided by the smallest curvature, and
/// that of the linear system, at most `‖M‖` times its residual divided by the smallest curvature.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The inner solve.
    pub inner: InnerOutcome,
    /// The linear solve, for methods that make one.
    pub linear: Option<LinearOutcome>,
    /// The way through the steps of the inner run, for unrolled methods.
    pub unrolled: Option<UnrolledOutcome>,
    /// Gradients of the inner loss computed, all together.
    pub n_gradients: usize,
    /// Curvature products computed, all together.
    pub n_products: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { inner, linear, unrolled, n_gradients, n_products } = self;
        writeln!(f, "inner problem: {}, gradient norm {:.1e} after {} iterations", inner.stop, inner.gradient_norm, inner.n_iterations)?;
        if let Some(linear) = linear {
            write!(
                f,
                "linear system: {}, relative residual {:.1e} ({:.1e} absolute) after {} iterations",
                linear.stop, linear.relative_residual, linear.residual, linear.n_iterations
            )?;
            if let (Some(smallest), Some(largest)) = (linear.smallest_curvature, linear.largest_curvature) {
                write!(f, ", curvature from {smallest:.1e} to {largest:.1e}")?;
            }
            writeln!(f)?;
        }
        if let Some(unrolled) = unrolled {
            writeln!(f, "{unrolled}")?;
        }
        write!(f, "cost: {n_gradients} gradients, {n_products} curvature products")
    }
}
