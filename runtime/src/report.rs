//! The certificate that comes with every hypergradient.

use std::fmt;

use crate::linear::LinearOutcome;
use crate::methods::{EvoGradOutcome, PhantomOutcome, UnrolledOutcome};
use crate::solve::InnerOutcome;

/// How well the inner problem and the linear system behind a hypergradient were solved, how far the result is from the exact one, and what it
/// cost.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The inner solve.
    pub inner: InnerOutcome,
    /// The linear solve, for methods that make one.
    pub linear: Option<LinearOutcome>,
    /// The way through the steps of the inner run, for unrolled methods.
    pub unrolled: Option<UnrolledOutcome>,
    /// What the hypergradient was cut short to, for [`Phantom`](crate::methods::Phantom).
    pub phantom: Option<PhantomOutcome>,
    /// How the copies compared, for [`EvoGrad`](crate::methods::EvoGrad).
    pub evograd: Option<EvoGradOutcome>,
    /// What was added to the diagonal of the Hessian on purpose.
    pub damping: f64,
    /// How far the hypergradient is from the exact one, for methods that can say it.
    pub error_bound: Option<ErrorBound>,
    /// Bytes of all vectors of the method and of the buffers of the kernels, which hold the activations of the losses and what their derivatives keep of them;
    /// without those of the inner solver.
    pub peak_bytes: usize,
    /// Gradients of the inner loss computed, without those of the error bound.
    pub n_gradients: usize,
    /// Curvature products computed, without those of the error bound.
    pub n_products: usize,
}

impl Report {
    pub(crate) fn new(inner: InnerOutcome, n_gradients: usize, n_products: usize) -> Self {
        Report {
            inner,
            linear: None,
            unrolled: None,
            phantom: None,
            evograd: None,
            damping: 0.0,
            error_bound: None,
            peak_bytes: 0,
            n_gradients,
            n_products,
        }
    }

    /// Whether the linear solver has seen a direction of negative curvature: the inner variable is a stationary point, but no minimum.
    #[must_use]
    pub fn is_indefinite(&self) -> bool {
        self.linear.as_ref().and_then(|linear| linear.smallest_curvature).is_some_and(|curvature| curvature - self.damping < 0.0)
    }
}

/// A bound on the error `‖ĥ − h‖₂` of a hypergradient `ĥ` against the exact one, `h`, at the exact inner solution.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ErrorBound {
    /// The bound; infinite where there is none.
    pub value: f64,
    /// The same divided by `‖ĥ‖₂`.
    pub relative: f64,
    /// What it stands on.
    pub basis: Basis,
    /// Gradients of the inner loss computed for it.
    pub n_gradients: usize,
    /// Curvature products computed for it.
    pub n_products: usize,
}

/// What an [`ErrorBound`] stands on.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Basis {
    /// One Newton correction of the inner solution and one of the solution of the linear system, each solved to a hundredth: what they change in the
    /// hypergradient becomes its error as both errors become small. The bound is twice that.
    Estimate,
    /// The same corrections, solved by a few iterations, and the smallest curvature that the linear solver has met, by which what they have found is
    /// increased for what they have not. The bound is three times that, and twice where they were not cut short.
    Curvature {
        /// The smallest curvature, without damping.
        smallest: f64,
    },
    /// The same corrections, solved to a hundredth, and a lower bound `μ` on the eigenvalues of the Hessian, given by the user or shown by a factorisation, which bounds what
    /// the corrections leave. The norm of the mixed derivative is measured along random directions, and the Lipschitz constants by the first
    /// correction.
    StrongConvexity {
        /// The lower bound.
        mu: f64,
    },
    /// There is no bound.
    Unknown {
        /// Why.
        reason: &'static str,
    },
}

impl fmt::Display for ErrorBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ErrorBound { value, relative, basis, n_gradients, n_products } = self;
        match basis {
            Basis::Estimate => write!(f, "{value:.1e} ({relative:.1e} relative), estimated by a Newton correction"),
            Basis::Curvature { smallest } => {
                write!(
                    f,
                    "{value:.1e} ({relative:.1e} relative), estimated by a Newton correction and a smallest curvature of {smallest:.1e}"
                )
            }
            Basis::StrongConvexity { mu } => {
                write!(f, "{value:.1e} ({relative:.1e} relative), by a Newton correction and curvature of at least {mu:.1e}")
            }
            Basis::Unknown { reason } => write!(f, "no bound, as {reason}"),
        }?;
        write!(f, "; for {n_gradients} gradients and {n_products} products more")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { inner, linear, unrolled, phantom, evograd, damping, error_bound, peak_bytes, n_gradients, n_products } = self;
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
            if let Some(condition) = linear.condition {
                write!(f, ", condition of the columns {condition:.1e}")?;
            }
            if let Some(step) = linear.series_step {
                write!(f, ", a series of step {step}")?;
            }
            if *damping > 0.0 {
                write!(f, ", damped by {damping:.1e}")?;
            }
            if self.is_indefinite() {
                f.write_str(", not a minimum")?;
            }
            writeln!(f)?;
        }
        if let Some(phantom) = phantom {
            writeln!(f, "phantom gradient, biased on purpose: {} steps of damping {}", phantom.n_steps, phantom.damping)?;
        }
        if let Some(unrolled) = unrolled {
            writeln!(f, "{unrolled}")?;
        }
        if let Some(evograd) = evograd {
            writeln!(f, "virtual evolutionary step: {evograd}")?;
        }
        if let Some(error_bound) = error_bound {
            writeln!(f, "error bound: {error_bound}")?;
        }
        write!(f, "cost: {n_gradients} gradients, {n_products} curvature products")?;
        if *peak_bytes > 0 { write!(f, ", {peak_bytes} bytes of vectors") } else { Ok(()) }
    }
}
