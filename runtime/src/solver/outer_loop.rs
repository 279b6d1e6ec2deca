//! The outer loop: a hypergradient, a step, and again.

use std::time::Instant;

use super::settings::HeldOut;
use super::{Method, Session, Solver, Start, Step, Tolerances, Tuned, TunedOf, saved};
use crate::methods::Adapted;
use crate::params::check_finite_leaves;
use crate::solve::OuterOptimizer;
use crate::trace::TraceEntry;
use crate::{BilevelProblem, Error, Float, Params, vector};

impl<P: BilevelProblem, M: Method<P, I>, I> Solver<'_, P, M, I> {
    /// Minimises the outer loss over the outer variable by `n_steps` steps of `optimizer`, from `outer`; the first inner solve starts from
    /// `inner`. The result is the point with the lowest outer loss among the start and the ends of all steps, or with the lowest
    /// [held-out](Self::early_stopping) one.
    ///
    /// # Errors
    /// [`Error::OuterStep`] with the step and what failed in it: see [`hypergradient`](Self::hypergradient). [`Error::InvalidSetting`] of
    /// the optimiser. [`Error::Checkpoint`] where the file cannot be written.
    pub fn minimize(
        &mut self,
        outer: &P::Outer,
        inner: &P::Inner,
        optimizer: impl OuterOptimizer<P::Float>,
        n_steps: usize,
    ) -> Result<TunedOf<P>, Error> {
        self.run(outer, inner, &optimizer, n_steps, false)
    }

    /// Goes on with a minimisation from the file of [`checkpoint`](Self::checkpoint), up to `n_steps` steps in all. The variables that it began with say what form the
    /// results have. Every number is to the bit what it would be in a run with the same checkpoints that was not interrupted; the trace begins where the
    /// file was written. Functions given to [`on_step`](Self::on_step) and [`early_stopping`](Self::early_stopping) have to be the same: no file knows them.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where there is no file, or one of another problem, of other shapes or data, of another method, inner solver or optimiser or
    /// other settings of them, or of another version, and [`Error::MissingSetting`] without [`checkpoint`](Self::checkpoint); otherwise as [`minimize`](Self::minimize).
    pub fn resume(
        &mut self,
        outer: &P::Outer,
        inner: &P::Inner,
        optimizer: impl OuterOptimizer<P::Float>,
        n_steps: usize,
    ) -> Result<TunedOf<P>, Error> {
        self.run(outer, inner, &optimizer, n_steps, true)
    }

    fn run<O: OuterOptimizer<P::Float>>(
        &mut self,
        outer: &P::Outer,
        inner: &P::Inner,
        optimizer: &O,
        n_steps: usize,
        resumed: bool,
    ) -> Result<TunedOf<P>, Error> {
        let Solver { problem, method, inner_solver, driver, session } = self;
        let file = match driver.checkpoint.as_ref() {
            Some((_, 0)) => return Err(Error::InvalidSetting { setting: "Solver::checkpoint", value: 0.0, requirement: "at least 1" }),
            Some((path, every)) => Some((path.as_path(), *every)),
            None if resumed => return Err(Error::MissingSetting { setting: "Solver::checkpoint", reason: "to resume needs a file" }),
            None => None,
        };
        if let Some(tolerances) = driver.tolerances {
            tolerances.check()?;
        }
        let session = Session::open(session, problem, method, inner_solver, outer, inner)?;
        let identity = file.map(|_| saved::identity(session, driver, method.settings(inner_solver), format!("{optimizer:?}")));
        let file = file.zip(identity);
        let mut state = optimizer.state(session.outer.len())?;
        let mut progress =
            Progress { step: 0, seconds: 0.0, first_inner: session.inner.clone(), best: Best::new(&session.outer, &session.inner) };
        if let Some(((path, _), identity)) = file.as_ref().filter(|_| resumed) {
            progress = saved::restore(path, identity, (optimizer, &mut state), method, session)?;
        }
        let (first_step, seconds_before) = (progress.step, progress.seconds);
        let (start, tolerances) = (driver.start, driver.tolerances);
        let mut trace = Vec::with_capacity(n_steps.saturating_sub(first_step));
        let mut bar = driver.progress.begin(first_step, n_steps);
        let began = Instant::now();
        let mut is_over = false;
        for index in first_step..n_steps {
            if start == Start::Cold {
                session.inner.copy_from_slice(&progress.first_inner);
            }
            let (value, report) = match adapted(method, inner_solver, start, tolerances, index)? {
                Some((method, inner_solver)) => session.hypergradient(&method, &inner_solver),
                None => session.hypergradient(method, inner_solver),
            }
            .map_err(in_step(index))?;
            let held_out = held_out_loss(driver.held_out.as_mut(), (outer, inner), session);
            progress.best.offer(held_out, value, index, session);
            let gradient_norm = vector::norm(&session.gradient);
            let seconds = seconds_before + began.elapsed().as_secs_f64();
            bar.step(index, value.to_f64(), gradient_norm.to_f64());
            trace.push(TraceEntry { value, gradient_norm, held_out, seconds, report });
            if let (Some(on_step), Some(entry)) = (driver.on_step.as_mut(), trace.last()) {
                let variables = (&session.outer[..], &session.inner[..]);
                is_over |= on_step(&Step { index, n_steps, entry, variables, forms: (outer, inner) }).is_break();
            }
            is_over |= driver.held_out.as_ref().is_some_and(|held_out| index - progress.best.step > held_out.patience);
            if is_over {
                break;
            }
            optimizer.step(&mut state, &session.gradient, &mut session.outer);
            check_finite_leaves(P::OUTER_NAMES, &session.outer_shapes, &session.outer).map_err(in_step(index))?;
            if let Some(((path, _), identity)) = file.as_ref().filter(|((_, every), _)| (index + 1).is_multiple_of(*every)) {
                (progress.step, progress.seconds) = (index + 1, seconds_before + began.elapsed().as_secs_f64());
                saved::save(path, identity, &progress, (optimizer, &state), method, session)?;
            }
        }
        if !is_over {
            // Where the last step has led to.
            if start == Start::Cold {
                session.inner.copy_from_slice(&progress.first_inner);
            }
            let value = match adapted(method, inner_solver, start, tolerances, n_steps)? {
                Some((method, inner_solver)) => session.value(&method, &inner_solver),
                None => session.value(method, inner_solver),
            }
            .map_err(in_step(n_steps))?;
            let held_out = held_out_loss(driver.held_out.as_mut(), (outer, inner), session);
            progress.best.offer(held_out, value, n_steps, session);
        }
        bar.end();
        let Progress { best, first_inner, .. } = progress;
        let mut cold_gap = None;
        if driver.cold_gap {
            session.outer.copy_from_slice(&best.outer);
            session.inner.copy_from_slice(&first_inner);
            method.forget(&mut session.method_memory);
            cold_gap = Some(session.value(method, inner_solver)? - best.value);
        }
        Ok(Tuned {
            outer: outer.with_elements(&best.outer),
            inner: inner.with_elements(&best.inner),
            value: best.value,
            best_step: best.step,
            held_out: best.held_out,
            first_step,
            cold_gap,
            trace,
        })
    }
}

/// The loss on held-out data where the session stands, if there is one.
fn held_out_loss<P: BilevelProblem, M>(
    held_out: Option<&mut HeldOut<'_, P>>,
    (outer, inner): (&P::Outer, &P::Inner),
    session: &Session<'_, P, M>,
) -> Option<f64> {
    held_out.map(|held_out| (held_out.loss)(&outer.with_elements(&session.outer), &inner.with_elements(&session.inner)))
}

/// Method and inner solver as a step wants them, if that is not as they are.
fn adapted<P: BilevelProblem, M: Method<P, I>, I>(
    method: &M,
    inner_solver: &I,
    start: Start,
    tolerances: Option<Tolerances>,
    step: usize,
) -> Result<Option<(M, I)>, Error> {
    let inner_iterations = match start {
        Start::WarmPartial(n) => Some(n),
        Start::WarmFull | Start::Cold => None,
    };
    if inner_iterations.is_none() && tolerances.is_none() {
        return Ok(None);
    }
    let settings = Adapted { tolerance: tolerances.map(|tolerances| tolerances.at(step)), inner_iterations };
    let setting = if inner_iterations.is_some() { "Start::WarmPartial" } else { "Solver::tolerances" };
    let reason = "it is for methods with an inner solver, and unrolled ones make the steps that they are told";
    method.adapted(inner_solver, settings).ok_or(Error::NotApplicable { setting, reason }).map(Some)
}

fn in_step(step: usize) -> impl FnOnce(Error) -> Error {
    move |source| Error::OuterStep { step, source: Box::new(source) }
}

/// What a run carries from step to step beside the state of the optimiser and what stands in the session.
pub(super) struct Progress<T> {
    /// Steps that were made.
    pub(super) step: usize,
    pub(super) seconds: f64,
    pub(super) first_inner: Vec<T>,
    pub(super) best: Best<T>,
}

/// The best point of an outer minimisation so far.
pub(super) struct Best<T> {
    /// By which it is the best: the loss on held-out data, or the outer loss.
    pub(super) score: f64,
    pub(super) held_out: Option<f64>,
    pub(super) value: T,
    pub(super) step: usize,
    pub(super) outer: Vec<T>,
    pub(super) inner: Vec<T>,
}

impl<T: Float> Best<T> {
    fn new(outer: &[T], inner: &[T]) -> Self {
        Best { score: f64::INFINITY, held_out: None, value: T::infinity(), step: 0, outer: outer.to_vec(), inner: inner.to_vec() }
    }

    fn offer<P: BilevelProblem<Float = T>, M>(&mut self, held_out: Option<f64>, value: T, step: usize, at: &Session<'_, P, M>) {
        let score = held_out.unwrap_or(value.to_f64());
        if score < self.score {
            (self.score, self.held_out, self.value, self.step) = (score, held_out, value, step);
            self.outer.copy_from_slice(&at.outer);
            self.inner.copy_from_slice(&at.inner);
        }
    }
}
