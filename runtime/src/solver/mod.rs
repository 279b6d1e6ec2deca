//! What users call: one problem with a method and an inner solver.

mod outer_loop;

use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::methods::{Check, DefaultInner, Differences, Kernels, Method, Point, Sizes};
use crate::params::check_finite_leaves;
use crate::solve::InnerOutcome;
use crate::{BilevelProblem, Error, Float, Params, Report, trace, vector};

/// Gives every problem its solvers.
pub trait ProblemExt: BilevelProblem + Sized {
    /// A solver that makes hypergradients by `method`. What solves the inner problem is that of [`DefaultInner`], for implicit methods
    /// [`Lbfgs`](crate::solve::Lbfgs), until [`Solver::inner`] chooses another.
    fn solver<M: DefaultInner + Method<Self, M::Inner>>(&self, method: M) -> Solver<'_, Self, M, M::Inner> {
        Solver {
            problem: self,
            method,
            inner_solver: M::Inner::default(),
            start: Start::WarmFull,
            tolerances: None,
            on_step: None,
            held_out: None,
            checkpoint: None,
            session: None,
        }
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
    start: Start,
    tolerances: Option<Tolerances>,
    on_step: Option<OnStep<'p, P>>,
    held_out: Option<HeldOut<'p, P>>,
    checkpoint: Option<(PathBuf, usize)>,
    session: Option<Session<'p, P, M::Memory>>,
}

/// A loss on held-out data, and how many steps may pass without a new lowest one.
struct HeldOut<'p, P: BilevelProblem> {
    loss: HeldOutLoss<'p, P>,
    patience: usize,
}

type HeldOutLoss<'p, P> = Box<dyn FnMut(&<P as BilevelProblem>::Outer, &<P as BilevelProblem>::Inner) -> f64 + 'p>;

type OnStep<'p, P> = Box<dyn FnMut(&Step<'_, P>) -> ControlFlow<()> + 'p>;

/// Where the inner solve of each outer step starts, in [`Solver::minimize`].
///
/// Where the inner problem has one minimum for each `λ`, both lead to the same result, and a warm start is faster. Where it has several,
/// they can differ: a warm start stays near the minimum that it followed, and carries what it learnt from earlier outer variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Start {
    /// From the result of the step before, solved as the inner solver is told to.
    #[default]
    WarmFull,
    /// From the result of the step before, with at most so many iterations of the inner solver, which need not reach a stationary point: the hypergradient is then
    /// that of the point that was reached. For methods with an inner solver.
    WarmPartial(usize),
    /// From the inner variable given to [`Solver::minimize`], at every step.
    Cold,
}

#[allow(non_upper_case_globals)]
impl Start {
    /// The same as [`Start::WarmFull`].
    pub const Warm: Start = Start::WarmFull;
}

/// The tolerance of each outer step, for the inner solver and for the linear one (Pedregosa, 2016): early steps need not be exact.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Tolerances {
    first: f64,
    fall: Fall,
    least: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fall {
    Geometric(f64),
    Power(f64),
}

impl Default for Tolerances {
    /// From 10⁻³, a tenth less at every step.
    fn default() -> Self {
        Tolerances::geometric(1e-3, 0.9)
    }
}

impl Tolerances {
    /// `first`, and at every step `factor` times that of the step before.
    pub fn geometric(first: f64, factor: f64) -> Self {
        Tolerances { first, fall: Fall::Geometric(factor), least: 0.0 }
    }

    /// `first / (k + 1)^exponent` at step `k`. The theory asks for exponents above 1.
    pub fn power(first: f64, exponent: f64) -> Self {
        Tolerances { first, fall: Fall::Power(exponent), least: 0.0 }
    }

    /// No tolerance below this. Default: 0, for as much as rounding allows.
    pub fn least(mut self, least: f64) -> Self {
        self.least = least;
        self
    }

    fn at(&self, step: usize) -> f64 {
        let tolerance = match self.fall {
            Fall::Geometric(factor) => self.first * factor.powf(step as f64),
            Fall::Power(exponent) => self.first / (step as f64 + 1.0).powf(exponent),
        };
        tolerance.max(self.least)
    }

    fn check(&self) -> Result<(), Error> {
        let fall = match self.fall {
            Fall::Geometric(factor) if factor > 0.0 && factor <= 1.0 => Ok(()),
            Fall::Geometric(factor) => Err(("Tolerances::geometric", factor, "above 0 and at most 1")),
            Fall::Power(exponent) if exponent.is_finite() && exponent >= 0.0 => Ok(()),
            Fall::Power(exponent) => Err(("Tolerances::power", exponent, "finite and not negative")),
        };
        let sizes = [("the first of Tolerances", self.first), ("Tolerances::least", self.least)];
        let sizes = sizes.into_iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0));
        let wrong = fall.err().or(sizes.map(|(setting, value)| (setting, value, "finite and not negative")));
        wrong.map_or(Ok(()), |(setting, value, requirement)| Err(Error::InvalidSetting { setting, value, requirement }))
    }
}

/// A hypergradient, the point it belongs to, and how far it can be trusted.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Hypergradient<T, Outer, Inner> {
    /// The outer loss at the inner solution.
    pub value: T,
    /// Its derivative with respect to the outer variable.
    pub gradient: Outer,
    /// The inner solution.
    pub inner: Inner,
    /// How well everything was solved.
    pub report: Report,
}

/// The hypergradient of a problem.
pub type HypergradientOf<P> = Hypergradient<<P as BilevelProblem>::Float, <P as BilevelProblem>::Outer, <P as BilevelProblem>::Inner>;

/// The result of the outer minimisation of a problem.
pub type TunedOf<P> = Tuned<<P as BilevelProblem>::Float, <P as BilevelProblem>::Outer, <P as BilevelProblem>::Inner>;

/// An inner solution.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Solved<Inner> {
    /// The inner variable.
    pub inner: Inner,
    /// How the solve went.
    pub outcome: InnerOutcome,
}

/// The result of an outer minimisation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Tuned<T, Outer, Inner> {
    /// The outer variable with the lowest outer loss of all that were visited.
    pub outer: Outer,
    /// The inner solution there.
    pub inner: Inner,
    /// The outer loss there.
    pub value: T,
    /// The number of steps after which it was visited.
    pub best_step: usize,
    /// The loss on held-out data there, where there is [one](Solver::early_stopping).
    pub held_out: Option<f64>,
    /// The number of steps that were made before the first of the trace: those of a run that was interrupted.
    pub first_step: usize,
    /// Every step that was made.
    pub trace: Vec<TraceEntry<T>>,
}

impl<T: Float, Outer, Inner> Tuned<T, Outer, Inner> {
    /// The trace as comma-separated values: a line of names, and one for every step. What a step does not have is empty.
    #[must_use]
    pub fn trace_csv(&self) -> String {
        trace::csv(self.first_step, &self.trace)
    }

    /// The trace as JSON: an array with an object for every step. What a step does not have is `null`.
    #[must_use]
    pub fn trace_json(&self) -> String {
        trace::json(self.first_step, &self.trace)
    }
}

/// What an outer variable is worth for an inner problem that is solved anew.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Retrained<T, Inner> {
    /// The outer loss at the new inner solution.
    pub value: T,
    /// The new inner solution.
    pub inner: Inner,
    /// The new outer loss less the tuned one: what a warm start has hidden, if anything.
    pub gap: T,
}

pub use crate::trace::TraceEntry;

/// What the function given to [`Solver::on_step`] sees.
pub struct Step<'a, P: BilevelProblem> {
    /// Counts from 0.
    pub index: usize,
    /// The number of steps asked for.
    pub n_steps: usize,
    /// Value, gradient norm, time and report of this step.
    pub entry: &'a TraceEntry<P::Float>,
    variables: (&'a [P::Float], &'a [P::Float]),
    forms: (&'a P::Outer, &'a P::Inner),
}

impl<P: BilevelProblem> Step<'_, P> {
    /// The outer variable at which the hypergradient was made.
    #[must_use]
    pub fn outer(&self) -> P::Outer {
        self.forms.0.with_elements(self.variables.0)
    }

    /// The inner solution there.
    #[must_use]
    pub fn inner(&self) -> P::Inner {
        self.forms.1.with_elements(self.variables.1)
    }
}

impl<'p, P: BilevelProblem, M: Method<P, I>, I> Solver<'p, P, M, I> {
    /// Solves the inner problem by `inner_solver`.
    #[must_use]
    pub fn inner<J>(self, inner_solver: J) -> Solver<'p, P, M, J>
    where
        M: Method<P, J>,
    {
        let Solver { problem, method, start, tolerances, on_step, held_out, checkpoint, .. } = self;
        Solver { problem, method, inner_solver, start, tolerances, on_step, held_out, checkpoint, session: None }
    }

    /// Chooses where the inner solves of [`minimize`](Self::minimize) start. Default: [`Start::WarmFull`].
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Solves inner problem and linear system of each step of [`minimize`](Self::minimize) to a tolerance of its own, in the place of those of the method and of the
    /// inner solver. For methods with an inner solver.
    #[must_use]
    pub fn tolerances(mut self, tolerances: Tolerances) -> Self {
        self.tolerances = Some(tolerances);
        self
    }

    /// Calls `f` in every step of [`minimize`](Self::minimize), after the hypergradient and before the outer variable moves. Where it
    /// breaks, the minimisation ends with the best result so far.
    #[must_use]
    pub fn on_step(mut self, f: impl FnMut(&Step<'_, P>) -> ControlFlow<()> + 'p) -> Self {
        self.on_step = Some(Box::new(f));
        self
    }

    /// Judges the steps of [`minimize`](Self::minimize) by a loss on held-out data, which plays no part in the hypergradients: the result is the point where it is
    /// lowest, and after `patience` steps in a row without a new lowest loss the minimisation ends. A loss that is not a number is no new lowest one.
    #[must_use]
    pub fn early_stopping(mut self, patience: usize, loss: impl FnMut(&P::Outer, &P::Inner) -> f64 + 'p) -> Self {
        self.held_out = Some(HeldOut { loss: Box::new(loss), patience });
        self
    }

    /// Writes the state of [`minimize`](Self::minimize) to a file after every `every` steps, in one piece. [`resume`](Self::resume) goes on from it.
    #[must_use]
    pub fn checkpoint(mut self, path: impl Into<PathBuf>, every: usize) -> Self {
        self.checkpoint = Some((path.into(), every));
        self
    }

    /// Solves the inner problem from `inner` for the outer variable `outer`.
    ///
    /// # Errors
    /// Variables or data that do not fit or are not finite; an inner loss that is not finite or unbounded below. A solver that ran out of
    /// iterations is not an error here: see [`InnerOutcome::stop`].
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

/// Kernels and vectors for variables of the same shapes, kept between calls.
struct Session<'p, P: BilevelProblem, M> {
    inner_shapes: Vec<Vec<usize>>,
    outer_shapes: Vec<Vec<usize>>,
    kernels: Kernels<'p, P>,
    method_memory: M,
    inner: Vec<P::Float>,
    outer: Vec<P::Float>,
    gradient: Vec<P::Float>,
}

impl<'p, P: BilevelProblem, M> Session<'p, P, M> {
    /// The session in the slot, or a new one where the shapes have changed, with the elements of these variables.
    fn open<'s, I>(
        slot: &'s mut Option<Self>,
        problem: &'p P,
        method: &impl Method<P, I, Memory = M>,
        inner_solver: &I,
        outer: &P::Outer,
        inner: &P::Inner,
    ) -> Result<&'s mut Self, Error> {
        let (inner_shapes, outer_shapes) = (inner.shapes(), outer.shapes());
        let kept = slot.take().filter(|kept| kept.inner_shapes == inner_shapes && kept.outer_shapes == outer_shapes);
        let session = match kept {
            Some(session) => session,
            None => {
                let sizes = Sizes { inner: &inner.lengths(), outer: &outer.lengths(), outer_names: P::OUTER_NAMES };
                Session {
                    inner_shapes,
                    outer_shapes,
                    kernels: Kernels::new(problem, inner, outer)?,
                    method_memory: method.memory(inner_solver, &sizes)?,
                    inner: vector::zeros(sizes.n_inner()),
                    outer: vector::zeros(sizes.n_outer()),
                    gradient: vector::zeros(sizes.n_outer()),
                }
            }
        };
        let session = slot.insert(session);
        method.forget(&mut session.method_memory);
        inner.write_to(&mut session.inner);
        outer.write_to(&mut session.outer);
        check_finite_leaves(P::INNER_NAMES, &session.inner_shapes, &session.inner)?;
        check_finite_leaves(P::OUTER_NAMES, &session.outer_shapes, &session.outer)?;
        Ok(session)
    }

    fn hypergradient<I>(&mut self, method: &impl Method<P, I, Memory = M>, inner_solver: &I) -> Result<(P::Float, Report), Error> {
        self.run(|kernels, memory, point, gradient| method.hypergradient(kernels, memory, inner_solver, point, gradient))
    }

    fn value<I>(&mut self, method: &impl Method<P, I, Memory = M>, inner_solver: &I) -> Result<P::Float, Error> {
        self.run(|kernels, memory, point, _| method.value(kernels, memory, inner_solver, point))
    }

    /// Runs a function of the method at the variables of the session.
    fn run<R>(
        &mut self,
        f: impl FnOnce(&mut Kernels<'p, P>, &mut M, Point<'_, P::Float>, &mut [P::Float]) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let point = Point { outer: &self.outer, inner: &mut self.inner };
        let result = f(&mut self.kernels, &mut self.method_memory, point, &mut self.gradient);
        // What else went wrong followed from a check that did not hold.
        self.kernels.take_failed_check().and(result)
    }
}
