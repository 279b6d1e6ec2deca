//! What users call: one problem with a method and an inner solver.

use std::ops::ControlFlow;
use std::time::Instant;

use crate::methods::{Check, DefaultInner, Differences, Kernels, Method, Point, Sizes};
use crate::params::check_finite_leaves;
use crate::solve::{InnerOutcome, OuterOptimizer};
use crate::{BilevelProblem, Error, Float, Params, Report, vector};

/// Gives every problem its solvers.
pub trait ProblemExt: BilevelProblem + Sized {
    /// A solver that makes hypergradients by `method`. What solves the inner problem is that of [`DefaultInner`], for implicit methods
    /// [`Lbfgs`](crate::solve::Lbfgs), until [`Solver::inner`] chooses another.
    fn solver<M: DefaultInner + Method<Self, M::Inner>>(&self, method: M) -> Solver<'_, Self, M, M::Inner> {
        Solver { problem: self, method, inner_solver: M::Inner::default(), start: Start::Warm, on_step: None, session: None }
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
    on_step: Option<OnStep<'p, P>>,
    session: Option<Session<'p, P, M::Memory>>,
}

type OnStep<'p, P> = Box<dyn FnMut(&Step<'_, P>) -> ControlFlow<()> + 'p>;

/// Where the inner solve of each outer step starts, in [`Solver::minimize`].
///
/// Where the inner problem has one minimum for each `λ`, both lead to the same result, and a warm start is faster. Where it has several,
/// they can differ: a warm start stays near the minimum that it followed, and carries what it learnt from earlier outer variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Start {
    /// From the result of the step before.
    #[default]
    Warm,
    /// From the inner variable given to [`Solver::minimize`], at every step.
    Cold,
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
    /// Every step that was made.
    pub trace: Vec<TraceEntry<T>>,
}

/// One step of an outer minimisation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TraceEntry<T> {
    /// The outer loss before the step.
    pub value: T,
    /// `‖h‖₂` of the hypergradient `h` before the step.
    pub gradient_norm: T,
    /// Time since the minimisation began.
    pub seconds: f64,
    /// How well everything was solved, and what it cost.
    pub report: Report,
}

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
        let Solver { problem, method, start, on_step, .. } = self;
        Solver { problem, method, inner_solver, start, on_step, session: None }
    }

    /// Chooses where the inner solves of [`minimize`](Self::minimize) start. Default: [`Start::Warm`].
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Calls `f` in every step of [`minimize`](Self::minimize), after the hypergradient and before the outer variable moves. Where it
    /// breaks, the minimisation ends with the best result so far.
    #[must_use]
    pub fn on_step(mut self, f: impl FnMut(&Step<'_, P>) -> ControlFlow<()> + 'p) -> Self {
        self.on_step = Some(Box::new(f));
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

    /// Minimises the outer loss over the outer variable by `n_steps` steps of `optimizer`, from `outer`; the first inner solve starts from
    /// `inner`. The result is the point with the lowest outer loss among the start and the ends of all steps.
    ///
    /// # Errors
    /// [`Error::OuterStep`] with the step and what failed in it: see [`hypergradient`](Self::hypergradient). [`Error::InvalidSetting`] of
    /// the optimiser.
    pub fn minimize(
        &mut self,
        outer: &P::Outer,
        inner: &P::Inner,
        optimizer: impl OuterOptimizer<P::Float>,
        n_steps: usize,
    ) -> Result<TunedOf<P>, Error> {
        let Solver { problem, method, inner_solver, start, on_step, session } = self;
        let session = Session::open(session, problem, method, inner_solver, outer, inner)?;
        let mut state = optimizer.state(session.outer.len())?;
        let first_inner = session.inner.clone();
        let mut best = Best::new(&session.outer, &first_inner);
        let mut trace = Vec::with_capacity(n_steps);
        let began = Instant::now();
        for index in 0..n_steps {
            if *start == Start::Cold {
                session.inner.copy_from_slice(&first_inner);
            }
            let (value, report) = session.hypergradient(method, inner_solver).map_err(in_step(index))?;
            best.offer(value, index, session);
            let gradient_norm = vector::norm(&session.gradient);
            trace.push(TraceEntry { value, gradient_norm, seconds: began.elapsed().as_secs_f64(), report });
            if let (Some(on_step), Some(entry)) = (on_step.as_mut(), trace.last()) {
                let variables = (&session.outer[..], &session.inner[..]);
                if on_step(&Step { index, n_steps, entry, variables, forms: (outer, inner) }).is_break() {
                    return Ok(best.tuned(outer, inner, trace));
                }
            }
            optimizer.step(&mut state, &session.gradient, &mut session.outer);
            check_finite_leaves(P::OUTER_NAMES, &session.outer_shapes, &session.outer).map_err(in_step(index))?;
        }
        if *start == Start::Cold {
            session.inner.copy_from_slice(&first_inner);
        }
        let value = session.value(method, inner_solver).map_err(in_step(n_steps))?;
        best.offer(value, n_steps, session);
        Ok(best.tuned(outer, inner, trace))
    }
}

fn in_step(step: usize) -> impl FnOnce(Error) -> Error {
    move |source| Error::OuterStep { step, source: Box::new(source) }
}

/// The best point of an outer minimisation so far.
struct Best<T> {
    value: T,
    step: usize,
    outer: Vec<T>,
    inner: Vec<T>,
}

impl<T: Float> Best<T> {
    fn new(outer: &[T], inner: &[T]) -> Self {
        Best { value: T::infinity(), step: 0, outer: outer.to_vec(), inner: inner.to_vec() }
    }

    fn offer<P: BilevelProblem<Float = T>, M>(&mut self, value: T, step: usize, at: &Session<'_, P, M>) {
        if value < self.value {
            self.value = value;
            self.step = step;
            self.outer.copy_from_slice(&at.outer);
            self.inner.copy_from_slice(&at.inner);
        }
    }

    fn tuned<O: Params<Float = T>, W: Params<Float = T>>(self, outer: &O, inner: &W, trace: Vec<TraceEntry<T>>) -> Tuned<T, O, W> {
        Tuned {
            outer: outer.with_elements(&self.outer),
            inner: inner.with_elements(&self.inner),
            value: self.value,
            best_step: self.step,
            trace,
        }
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
