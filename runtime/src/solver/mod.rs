//! What users call: one problem with a method and an inner solver.

mod outer_loop;
mod results;
mod saved;
mod session;
mod settings;

use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::methods::{Check, DefaultInner, Differences, Method};
use crate::{BilevelProblem, Error, Params};

pub use results::{Hypergradient, HypergradientOf, Retrained, Solved, Step, TraceEntry, Tuned, TunedOf};
use session::Session;
use settings::{Driver, HeldOut};
pub use settings::{Start, Tolerances};

/// Gives every problem its solvers.
pub trait ProblemExt: BilevelProblem + Sized {
    /// A solver that makes hypergradients by `method`. What solves the inner problem is that of [`DefaultInner`], for implicit methods
    /// [`Lbfgs`](crate::solve::Lbfgs), until [`Solver::inner`] chooses another.
    fn solver<M>(&self, method: M) -> Solver<'_, Self, M, <M as DefaultInner<Self::Condition>>::Inner>
    where
        M: DefaultInner<Self::Condition> + Method<Self, <M as DefaultInner<Self::Condition>>::Inner>,
    {
        Solver { problem: self, method, inner_solver: Default::default(), driver: Driver::default(), session: None }
    }
}

impl<P: BilevelProblem> ProblemExt for P {}

/// Solves one problem: hypergradients at a point, or the whole outer minimisation.
///
/// The workspace is made at the first call and kept, so that later calls with variables of the same shapes allocate only their results.
/// Every call starts from the variables given to it: results do not depend on the calls before.
pub struct Solver<'p, P: BilevelProblem, M: Method<P, I>, I> {
    problem: &'p P,
    method: M,
    inner_solver: I,
    driver: Driver<'p, P>,
    session: Option<Session<'p, P, M::Memory>>,
}

impl<'p, P: BilevelProblem, M: Method<P, I>, I> Solver<'p, P, M, I> {
    /// Solves the inner problem by `inner_solver`.
    #[must_use]
    pub fn inner<J>(self, inner_solver: J) -> Solver<'p, P, M, J>
    where
        M: Method<P, J>,
    {
        let Solver { problem, method, driver, .. } = self;
        Solver { problem, method, inner_solver, driver, session: None }
    }

    /// Chooses where the inner solves of [`minimize`](Self::minimize) start. Default: [`Start::WarmFull`].
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.driver.start = start;
        self
    }

    /// Solves inner problem and linear system of each step of [`minimize`](Self::minimize) to a tolerance of its own, in the place of those of the method and of the
    /// inner solver. For methods with an inner solver.
    #[must_use]
    pub fn tolerances(mut self, tolerances: Tolerances) -> Self {
        self.driver.tolerances = Some(tolerances);
        self
    }

    /// Calls `f` in every step of [`minimize`](Self::minimize), after the hypergradient and before the outer variable moves. Where it
    /// breaks, the minimisation ends with the best result so far.
    #[must_use]
    pub fn on_step(mut self, f: impl FnMut(&Step<'_, P>) -> ControlFlow<()> + 'p) -> Self {
        self.driver.on_step = Some(Box::new(f));
        self
    }

    /// Judges the steps of [`minimize`](Self::minimize) by a loss on held-out data, which plays no part in the hypergradients: the result is the point where it is
    /// lowest, and after `patience` steps in a row without a new lowest loss the minimisation ends. A loss that is not a number is no new lowest one.
    #[must_use]
    pub fn early_stopping(mut self, patience: usize, loss: impl FnMut(&P::Outer, &P::Inner) -> f64 + 'p) -> Self {
        self.driver.held_out = Some(HeldOut { loss: Box::new(loss), patience });
        self
    }

    /// Writes the state of [`minimize`](Self::minimize) to a file after every `every` steps, in one piece. [`resume`](Self::resume) goes on from it.
    #[must_use]
    pub fn checkpoint(mut self, path: impl Into<PathBuf>, every: usize) -> Self {
        self.driver.checkpoint = Some((path.into(), every));
        self
    }

    /// Has [`minimize`](Self::minimize) solve the inner problem of its result once more, from the inner variable that it began with:
    /// [`Tuned::cold_gap`] is what a warm start has hidden. [`retrain`](Self::retrain) does it from any start. Default: `false`.
    #[must_use]
    pub fn cold_gap(mut self, cold_gap: bool) -> Self {
        self.driver.cold_gap = cold_gap;
        self
    }

    /// Shows how far [`minimize`](Self::minimize) has come, with the outer loss and the norm of the hypergradient, on the standard error stream where that is a
    /// terminal, and nowhere else. Default: `false`. Needs the feature `progress`.
    #[cfg(feature = "progress")]
    #[must_use]
    pub fn progress(mut self, progress: bool) -> Self {
        self.driver.progress = crate::progress::Progress::new(progress);
        self
    }

    /// Solves the inner problem from `inner` for the outer variable `outer`.
    ///
    /// # Errors
    /// Variables or data that do not fit or are not finite; an inner loss that is not finite or unbounded below. A solver that ran out of
    /// iterations is not an error here: see [`InnerOutcome::stop`](crate::solve::InnerOutcome::stop).
    pub fn solve_inner(&mut self, outer: &P::Outer, inner: &P::Inner) -> Result<Solved<P::Inner>, Error> {
        let session = Session::open(&mut self.session, self.problem, &self.method, &self.inner_solver, outer, inner)?;
        let outcome = session.run(|kernels, memory, point, _| self.method.solve_inner(kernels, memory, &self.inner_solver, point))?;
        Ok(Solved { inner: inner.with_elements(&session.inner), outcome })
    }

    /// The outer loss at the inner solution for `outer`, and its gradient with respect to `outer`. The inner solve starts from `inner`.
    ///
    /// # Errors
    /// Variables or data that do not fit or are not finite, and whatever makes the hypergradient unreliable: see the method.
    pub fn hypergradient(&mut self, outer: &P::Outer, inner: &P::Inner) -> Result<HypergradientOf<P>, Error> {
        let session = Session::open(&mut self.session, self.problem, &self.method, &self.inner_solver, outer, inner)?;
        let (value, report) = session.hypergradient(&self.method, &self.inner_solver)?;
        Ok(Hypergradient { value, gradient: outer.with_elements(&session.gradient), inner: inner.with_elements(&session.inner), report })
    }

    /// The outer loss of a result for an inner problem that is solved anew, from `inner`. Where the inner problem has several minima, a warm start can have
    /// followed one that a new solve does not find; the value that counts is then this one.
    ///
    /// # Errors
    /// As [`hypergradient`](Self::hypergradient).
    pub fn retrain(&mut self, tuned: &TunedOf<P>, inner: &P::Inner) -> Result<Retrained<P::Float, P::Inner>, Error> {
        let session = Session::open(&mut self.session, self.problem, &self.method, &self.inner_solver, &tuned.outer, inner)?;
        let value = session.value(&self.method, &self.inner_solver)?;
        Ok(Retrained { value, inner: inner.with_elements(&session.inner), gap: value - tuned.value })
    }

    /// Compares the hypergradient with central differences of the re-solved problem, along four directions.
    ///
    /// # Errors
    /// As [`hypergradient`](Self::hypergradient).
    pub fn check(&mut self, outer: &P::Outer, inner: &P::Inner) -> Result<Check, Error> {
        self.check_with(outer, inner, &Differences::default())
    }

    /// Compares the hypergradient with central differences of the re-solved problem. For implicit methods each of them solves the inner problem by
    /// Newton's method, as exactly as rounding allows, from the solution at `outer`; others make the steps that they are the derivative of.
    ///
    /// # Errors
    /// As [`hypergradient`](Self::hypergradient), and [`Error::InvalidSetting`].
    pub fn check_with(&mut self, outer: &P::Outer, inner: &P::Inner, differences: &Differences) -> Result<Check, Error> {
        let Solver { problem, method, inner_solver, session, .. } = self;
        let session = Session::open(session, problem, method, inner_solver, outer, inner)?;
        session.hypergradient(method, inner_solver)?;
        let begin = if M::FORGETS_ITS_START { session.inner.clone() } else { inner.flat().to_vec() };
        let (at, gradient) = (session.outer.clone(), session.gradient.clone());
        differences.check(&at, &gradient, |outer| {
            session.outer.copy_from_slice(outer);
            session.inner.copy_from_slice(&begin);
            session.run(|kernels, memory, point, _| method.exact_value(kernels, memory, inner_solver, point))
        })
    }
}
