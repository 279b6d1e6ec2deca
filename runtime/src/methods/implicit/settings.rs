//! The linear solvers of an implicit hypergradient, and their settings.

use super::Implicit;
#[cfg(feature = "linalg")]
use crate::linear::Direct;
use crate::linear::{BiCgStab, Cg, Gmres, Minres, Neumann, Nystrom, Preconditioner};

impl<L> Implicit<L> {
    /// Solves `H q = ∂_w g` by a linear solver of your own.
    pub fn by(linear: L) -> Self {
        Implicit { linear, damping: 0.0, strong_convexity: None, error_bound: true, warm_start: true, unconverged: false }
    }

    /// Solves with `H + δI` in the place of `H`: a bias on purpose, of relative size about `δ / (μ + δ)` for the smallest eigenvalue `μ`. The report repeats
    /// it, and its error bound counts it as an error. Default: 0.
    pub fn damping(mut self, damping: f64) -> Self {
        self.damping = damping;
        self
    }

    /// A number that no eigenvalue of `H` is below, for example the weight of an L2 penalty of a convex loss. With it the error bound stands on more
    /// than an estimate, and costs two linear solves to a hundredth. A curvature below it is an error.
    pub fn strong_convexity(mut self, mu: f64) -> Self {
        self.strong_convexity = Some(mu);
        self
    }

    /// Whether to compute the error bound of the report. Default: yes. Where the linear solver has met its tolerance on a positive definite Hessian it costs about a tenth of the
    /// gradients and products of the hypergradient, and six more. Elsewhere, with [`strong_convexity`](Self::strong_convexity), and for series, columns and iterations cut short on purpose, it
    /// makes two more linear solves to a relative residual of a tenth or a hundredth.
    pub fn error_bound(mut self, wanted: bool) -> Self {
        self.error_bound = wanted;
        self
    }

    /// Whether to give a hypergradient also where the inner solver has ended far from a stationary point, for partial solves; the report says how far, and has an
    /// error bound only where that is near enough. Default: no.
    pub fn unconverged(mut self, wanted: bool) -> Self {
        self.unconverged = wanted;
        self
    }

    /// Whether the iterations of the linear solver start from the solution of the last outer step, in
    /// [`Solver::minimize`](crate::solver::Solver::minimize), or from zero. Default: yes.
    pub fn warm_start(mut self, wanted: bool) -> Self {
        self.warm_start = wanted;
        self
    }
}

/// What the Krylov solvers have in common.
macro_rules! krylov {
    ($Solver:ident) => {
        impl Implicit<$Solver> {
            #[doc = concat!("The relative residual to reach; see [`", stringify!($Solver), "::tolerance`].")]
            pub fn tolerance(mut self, tolerance: f64) -> Self {
                self.linear = self.linear.tolerance(tolerance);
                self
            }

            /// The most iterations; a solve that ends there gives its iterate. Default: that of the linear solver.
            pub fn max_iterations(mut self, max_iterations: usize) -> Self {
                self.linear = self.linear.max_iterations(max_iterations);
                self
            }
        }
    };
}
krylov!(Cg);
krylov!(Minres);
krylov!(Gmres);
krylov!(BiCgStab);

impl Implicit<Cg> {
    /// Solves `H q = ∂_w g` by conjugate gradients. Costs a curvature product per iteration and one more.
    pub fn cg() -> Self {
        Implicit::by(Cg::default())
    }

    /// Iterates in the metric of a preconditioner. Default: none.
    pub fn preconditioner(mut self, preconditioner: Preconditioner) -> Self {
        self.linear = self.linear.preconditioner(preconditioner);
        self
    }
}

impl Implicit<Minres> {
    /// Solves `H q = ∂_w g` by minimal residuals, also where `H` is indefinite: at a stationary point that is no minimum, which the report then says.
    pub fn minres() -> Self {
        Implicit::by(Minres::default())
    }
}

impl Implicit<Gmres> {
    /// Solves `H q = ∂_w g` by generalised minimal residuals, whatever `H` is.
    pub fn gmres() -> Self {
        Implicit::by(Gmres::default())
    }

    /// The number of iterations between restarts, each of which keeps a vector. Default: 30.
    pub fn restart(mut self, restart: usize) -> Self {
        self.linear = self.linear.restart(restart);
        self
    }
}

impl Implicit<BiCgStab> {
    /// Solves `H q = ∂_w g` by stabilised biconjugate gradients, whatever `H` is.
    pub fn bicgstab() -> Self {
        Implicit::by(BiCgStab::default())
    }
}

impl Implicit<Neumann> {
    /// Approximates `H⁻¹ ∂_w g` by the Neumann series `α Σₖ (I − αH)ᵏ ∂_w g`. Costs a curvature product per term and one more.
    pub fn neumann() -> Self {
        Implicit::by(Neumann::default())
    }

    /// Approximates `H⁻¹ ∂_w g` by `α ∂_w g` (T1–T2): one curvature product, for its mixed part. `α` is 1 until [`step`](Self::step) says otherwise.
    pub fn one_step() -> Self {
        Implicit::by(Neumann::one_step())
    }

    /// The number `K` of terms beyond the first. Default: as many as reach the tolerance.
    pub fn terms(mut self, terms: usize) -> Self {
        self.linear = self.linear.terms(terms);
        self
    }

    /// The step size `α`, for example the learning rate of the inner solver. Default: the reciprocal of the largest curvature; see [`Neumann::step`].
    pub fn step(mut self, step: f64) -> Self {
        self.linear = self.linear.step(step);
        self
    }

    /// The relative residual at which the series ends, where no number of terms is set; see [`Neumann::tolerance`].
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.linear = self.linear.tolerance(tolerance);
        self
    }
}

impl Implicit<Nystrom> {
    /// Approximates `H⁻¹ ∂_w g` from some columns of `H`, without iterations. Costs a curvature product per column and one more.
    pub fn nystrom() -> Self {
        Implicit::by(Nystrom::default())
    }

    /// The number of columns. Default: 5.
    pub fn rank(mut self, rank: usize) -> Self {
        self.linear = self.linear.rank(rank);
        self
    }

    /// What is added to the diagonal of the approximation. Default: 0.1.
    pub fn rho(mut self, rho: f64) -> Self {
        self.linear = self.linear.rho(rho);
        self
    }

    /// The seed with which the columns are drawn. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.linear = self.linear.seed(seed);
        self
    }
}

#[cfg(feature = "linalg")]
impl Implicit<Direct> {
    /// Solves `H q = ∂_w g` by Cholesky's factorisation of `H`, assembled from a product for every inner variable. For up to a few thousand of them.
    pub fn direct() -> Self {
        Implicit::by(Direct::default())
    }

    /// Solves with an indefinite `H` too, by Bunch and Kaufman's `L B Lᵀ`: at a stationary point that is no minimum, which the report then says.
    pub fn allow_indefinite(mut self) -> Self {
        self.linear = self.linear.allow_indefinite();
        self
    }

    /// Solves with a singular `H` by its pseudo-inverse; see [`Direct::pseudo_inverse`].
    pub fn pseudo_inverse(mut self, tolerance: f64) -> Self {
        self.linear = self.linear.pseudo_inverse(tolerance);
        self
    }
}
