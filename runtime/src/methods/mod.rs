//! Ways to a hypergradient, on the kernels of a problem.

mod differences;
mod evograd;
mod finite_differences;
mod implicit;
mod kernels;
mod phantom;
mod unrolled;

pub use crate::memory_size::MemorySize;
pub use differences::{Check, CheckedDirection, Differences};
pub use evograd::{EvoGrad, EvoGradMemory, EvoGradOutcome, Noise};
pub use finite_differences::{FiniteDifferences, FiniteDifferencesMemory};
pub(crate) use implicit::check_finite;
pub use implicit::{FineTuning, Implicit, ImplicitMemory, TwoStage, TwoStageMemory};
pub use kernels::{InnerLoss, Kernels};
pub use phantom::{Phantom, PhantomMemory, PhantomOutcome};
pub use unrolled::{Checkpoints, Dynamics, MemoryFit, OwnStep, Sharing, Unrolled, UnrolledMemory, UnrolledOutcome};
pub(crate) use unrolled::{Start, check_finite_at};

pub use crate::sampling::Batches;

use crate::solve::{InnerOutcome, InnerSolver};
use crate::{BilevelProblem, Error, Float, Report};

/// The outer variable, and where the inner one starts and ends.
pub struct Point<'a, T> {
    /// `λ`
    pub outer: &'a [T],
    /// `w`: the start of the inner solve, replaced by its result.
    pub inner: &'a mut [T],
}

/// Sizes and names of the variables of a problem, leaf after leaf.
#[derive(Debug, Clone, Copy)]
pub struct Sizes<'a> {
    /// The number of elements of each leaf of the inner variable.
    pub inner: &'a [usize],
    /// The number of elements of each leaf of the outer variable.
    pub outer: &'a [usize],
    /// The names of the leaves of the outer variable; the last stands for all further leaves.
    pub outer_names: &'static [&'static str],
}

impl Sizes<'_> {
    /// The number of elements of the inner variable.
    #[must_use]
    pub fn n_inner(&self) -> usize {
        self.inner.iter().sum()
    }

    /// The number of elements of the outer variable.
    #[must_use]
    pub fn n_outer(&self) -> usize {
        self.outer.iter().sum()
    }
}

/// What an outer step changes in the settings of a method and its inner solver.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Adapted {
    /// The tolerance of the inner solver and of the linear one.
    pub tolerance: Option<f64>,
    /// The most iterations of the inner solver, which then need not reach a stationary point.
    pub inner_iterations: Option<usize>,
}

impl Adapted {
    /// The inner solver with these settings.
    fn inner<T: Float, I: InnerSolver<T>>(&self, inner_solver: &I) -> I {
        let adapted = self.tolerance.map_or_else(|| inner_solver.clone(), |tolerance| inner_solver.at_tolerance(tolerance));
        self.inner_iterations.map_or_else(|| adapted.clone(), |n| adapted.limited(n))
    }
}

/// A way to a hypergradient `dg(w(λ), λ) / dλ`, where `I` is what makes `w(λ)`: an [`InnerSolver`] for methods that
/// need a stationary point.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot make a hypergradient of this problem together with `{I}`",
    label = "this method and this inner solver do not fit",
    note = "implicit methods take a solver that finds a stationary point: `Lbfgs`, `NewtonCg` or `GradientDescent`, and for fixed points `Anderson`, `Broyden` or `Picard`",
    note = "unrolled methods take an update: `GradientDescent`, `Momentum`, `Nesterov`, `RmsProp`, `Adam` or `AdamW`, and `OwnStep::default()` for the `#[step]` of the problem"
)]
pub trait Method<P: BilevelProblem, I> {
    /// Vectors that one hypergradient needs, kept from one to the next.
    type Memory;

    /// Checks the settings of the method and of the inner solver, and makes the memory.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`], [`Error::MissingSetting`]
    fn memory(&self, inner_solver: &I, kernels: &Kernels<'_, P>, sizes: &Sizes<'_>) -> Result<Self::Memory, Error>;

    /// Makes `w(λ)` in the place of its start.
    ///
    /// # Errors
    /// Losses that are not finite or unbounded below.
    fn solve_inner(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        point: Point<'_, P::Float>,
    ) -> Result<InnerOutcome, Error>;

    /// Solves the inner problem and gives the outer loss there, what [`hypergradient`](Self::hypergradient) is the derivative of.
    ///
    /// # Errors
    /// As [`hypergradient`](Self::hypergradient).
    fn value(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        point: Point<'_, P::Float>,
    ) -> Result<P::Float, Error>;

    /// The same as exactly as rounding allows, for differences. `point` starts at the solution of a neighbouring outer variable where that is of use, and
    /// else where [`hypergradient`](Self::hypergradient) started.
    ///
    /// # Errors
    /// As [`hypergradient`](Self::hypergradient).
    fn exact_value(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        point: Point<'_, P::Float>,
    ) -> Result<P::Float, Error>;

    /// Whether [`exact_value`](Self::exact_value) is to start at the inner solution: `w(λ)` does not depend on where the solve starts.
    const FORGETS_ITS_START: bool;

    /// Solves the inner problem, gives the outer loss there and writes the hypergradient to `gradient`, which holds nothing of use after an
    /// error.
    ///
    /// # Errors
    /// Whatever makes the hypergradient unreliable; see the method.
    fn hypergradient(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        point: Point<'_, P::Float>,
        gradient: &mut [P::Float],
    ) -> Result<(P::Float, Report), Error>;

    /// All settings of the method and of the inner solver in words, by which files know the runs that they belong to.
    fn settings(&self, inner_solver: &I) -> (String, String);

    /// The method and the inner solver with settings for one outer step; none where they have no such settings.
    fn adapted(&self, inner_solver: &I, settings: Adapted) -> Option<(Self, I)>
    where
        Self: Sized,
    {
        let _ = (inner_solver, settings);
        None
    }

    /// All numbers that later hypergradients depend on, for a file.
    fn save(&self, memory: &Self::Memory) -> Vec<f64> {
        let _ = memory;
        vec![]
    }

    /// Puts what [`save`](Self::save) gave into the memory, and forgets all else that earlier hypergradients have left. Says whether it fits.
    fn restore(&self, memory: &mut Self::Memory, saved: &[f64]) -> bool {
        self.forget(memory);
        saved.is_empty()
    }

    /// Forgets what earlier hypergradients have left in the memory for later ones to start from.
    fn forget(&self, memory: &mut Self::Memory) {
        let _ = memory;
    }
}

/// What makes `w(λ)`, for the inner condition `K`, where the user has not chosen it by [`Solver::inner`](crate::solver::Solver::inner).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used for a `#[fixed_point]` problem",
    label = "needs an inner loss",
    note = "hypergradients of fixed points are made by `Implicit::gmres()`, `bicgstab()` or `neumann()`, by `Phantom`, or by `Unrolled::reverse()` with `GradientDescent::new(τ)`",
    note = "in generic code, `P: BilevelProblem<Condition = Gradient>` says that there is an inner loss"
)]
pub trait DefaultInner<K> {
    /// It.
    type Inner: Default;
}
