//! The outer loop: a hypergradient, a step, and again.

use std::any::type_name;
use std::path::Path;
use std::time::Instant;

use super::{Method, Session, Solver, Start, Step, Tolerances, Tuned, TunedOf};
use crate::checkpoint::{self, Identity};
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
    /// results have. Every number is to the bit what it would be in a run with the same checkpoints that was not interrupted, as long as the data and all settings are
    /// the same; the trace begins where the file was written.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where there is no file, or one of another problem, of other shapes, methods or optimisers, or of another version, and
    /// [`Error::MissingSetting`] without [`checkpoint`](Self::checkpoint); otherwise as [`minimize`](Self::minimize).
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
        let Solver { problem, method, inner_solver, start, tolerances, on_step, held_out, checkpoint, session } = self;
        let file = match checkpoint.as_ref() {
            Some((_, 0)) => return Err(Error::InvalidSetting { setting: "Solver::checkpoint", value: 0.0, requirement: "at least 1" }),
            Some((path, every)) => Some((path.as_path(), *every)),
            None if resumed => return Err(Error::MissingSetting { setting: "Solver::checkpoint", reason: "to resume needs a file" }),
            None => None,
        };
        if let Some(tolerances) = tolerances {
            tolerances.check()?;
        }
        let session = Session::open(session, problem, method, inner_solver, outer, inner)?;
        let identity = identity::<P, M, I, O>(session, *start);
        let mut state = optimizer.state(session.outer.len())?;
        let mut progress =
            Progress { step: 0, seconds: 0.0, first_inner: session.inner.clone(), best: Best::new(&session.outer, &session.inner) };
        if let Some((path, _)) = file.filter(|_| resumed) {
            progress = restore(path, &identity, (optimizer, &mut state), method, session)?;
        }
        let (first_step, seconds_before) = (progress.step, progress.seconds);
        let mut trace = Vec::with_capacity(n_steps.saturating_sub(first_step));
        let began = Instant::now();
        let patience = held_out.as_ref().map(|held_out| held_out.patience);
        let mut score = |value: P::Float, session: &Session<'_, P, M::Memory>| {
            let loss = held_out.as_mut().map(|held_out| &mut held_out.loss);
            let held_out = loss.map(|loss| loss(&outer.with_elements(&session.outer), &inner.with_elements(&session.inner)));
            (held_out.unwrap_or(value.to_f64()), held_out)
        };
        for index in first_step..n_steps {
            if *start == Start::Cold {
                session.inner.copy_from_slice(&progress.first_inner);
            }
            let (value, report) = match adapted(method, inner_solver, *start, *tolerances, index)? {
                Some((method, inner_solver)) => session.hypergradient(&method, &inner_solver),
                None => session.hypergradient(method, inner_solver),
            }
            .map_err(in_step(index))?;
            let (own_score, held_out_loss) = score(value, session);
            progress.best.offer(own_score, held_out_loss, value, index, session);
            let gradient_norm = vector::norm(&session.gradient);
            let seconds = seconds_before + began.elapsed().as_secs_f64();
            trace.push(TraceEntry { value, gradient_norm, held_out: held_out_loss, seconds, report });
            if let (Some(on_step), Some(entry)) = (on_step.as_mut(), trace.last()) {
                let variables = (&session.outer[..], &session.inner[..]);
                if on_step(&Step { index, n_steps, entry, variables, forms: (outer, inner) }).is_break() {
                    return Ok(progress.best.tuned(outer, inner, first_step, trace));
                }
            }
            if let Some(patience) = patience
                && index - progress.best.step > patience
            {
                return Ok(progress.best.tuned(outer, inner, first_step, trace));
            }
            optimizer.step(&mut state, &session.gradient, &mut session.outer);
            check_finite_leaves(P::OUTER_NAMES, &session.outer_shapes, &session.outer).map_err(in_step(index))?;
            if let Some((path, _)) = file.filter(|(_, every)| (index + 1).is_multiple_of(*every)) {
                (progress.step, progress.seconds) = (index + 1, seconds_before + began.elapsed().as_secs_f64());
                save(path, &identity, &progress, (optimizer, &state), method, session)?;
            }
        }
        if *start == Start::Cold {
            session.inner.copy_from_slice(&progress.first_inner);
        }
        let value = match adapted(method, inner_solver, *start, *tolerances, n_steps)? {
            Some((method, inner_solver)) => session.value(&method, &inner_solver),
            None => session.value(method, inner_solver),
        }
        .map_err(in_step(n_steps))?;
        let (own_score, held_out_loss) = score(value, session);
        progress.best.offer(own_score, held_out_loss, value, n_steps, session);
        Ok(progress.best.tuned(outer, inner, first_step, trace))
    }
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
struct Progress<T> {
    /// Steps that were made.
    step: usize,
    seconds: f64,
    first_inner: Vec<T>,
    best: Best<T>,
}

/// The best point of an outer minimisation so far.
struct Best<T> {
    /// By which it is the best: the loss on held-out data, or the outer loss.
    score: f64,
    held_out: Option<f64>,
    value: T,
    step: usize,
    outer: Vec<T>,
    inner: Vec<T>,
}

impl<T: Float> Best<T> {
    fn new(outer: &[T], inner: &[T]) -> Self {
        Best { score: f64::INFINITY, held_out: None, value: T::infinity(), step: 0, outer: outer.to_vec(), inner: inner.to_vec() }
    }

    fn offer<P: BilevelProblem<Float = T>, M>(&mut self, score: f64, held_out: Option<f64>, value: T, step: usize, at: &Session<'_, P, M>) {
        if score < self.score {
            (self.score, self.held_out, self.value, self.step) = (score, held_out, value, step);
            self.outer.copy_from_slice(&at.outer);
            self.inner.copy_from_slice(&at.inner);
        }
    }

    fn tuned<O: Params<Float = T>, W: Params<Float = T>>(
        self,
        outer: &O,
        inner: &W,
        first_step: usize,
        trace: Vec<TraceEntry<T>>,
    ) -> Tuned<T, O, W> {
        Tuned {
            outer: outer.with_elements(&self.outer),
            inner: inner.with_elements(&self.inner),
            value: self.value,
            best_step: self.step,
            held_out: self.held_out,
            first_step,
            trace,
        }
    }
}

/// What a file must agree with.
fn identity<P: BilevelProblem, M, I, O>(session: &Session<'_, P, impl Sized>, start: Start) -> Identity {
    vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("problem", type_name::<P>().to_owned()),
        ("inner variable", format!("{} {:?}", P::INNER_NAMES.join(", "), session.inner_shapes)),
        ("outer variable", format!("{} {:?}", P::OUTER_NAMES.join(", "), session.outer_shapes)),
        ("float type", type_name::<P::Float>().to_owned()),
        ("method", type_name::<M>().to_owned()),
        ("inner solver", type_name::<I>().to_owned()),
        ("outer optimiser", type_name::<O>().to_owned()),
        ("start", format!("{start:?}")),
    ]
}

const NUMBERS: [&str; 9] = ["progress", "outer", "inner", "first inner", "best", "best outer", "best inner", "outer optimiser", "method"];

fn exact<T: Float>(x: &[T]) -> Vec<f64> {
    x.iter().map(|&x| Float::to_f64(x)).collect()
}

fn save<P: BilevelProblem, M: Method<P, I>, I, O: OuterOptimizer<P::Float>>(
    path: &Path,
    identity: &Identity,
    progress: &Progress<P::Float>,
    (optimizer, state): (&O, &O::State),
    method: &M,
    session: &mut Session<'_, P, M::Memory>,
) -> Result<(), Error> {
    let Progress { step, seconds, first_inner, best } = progress;
    let Best { score, held_out, value, step: best_step, outer, inner } = best;
    let carried = method.save(&session.method_memory);
    let numbers = [
        vec![*step as f64, *seconds],
        exact(&session.outer),
        exact(&session.inner),
        exact(first_inner),
        vec![*score, held_out.unwrap_or(f64::NAN), value.to_f64(), *best_step as f64],
        exact(outer),
        exact(inner),
        optimizer.save(state),
        carried.clone(),
    ];
    let named: Vec<_> = NUMBERS.into_iter().zip(numbers).collect();
    checkpoint::write(path, identity, &named)?;
    // From here on both this run and one that goes on from the file know the same.
    method.restore(&mut session.method_memory, &carried);
    Ok(())
}

fn restore<P: BilevelProblem, M: Method<P, I>, I, O: OuterOptimizer<P::Float>>(
    path: &Path,
    identity: &Identity,
    (optimizer, state): (&O, &mut O::State),
    method: &M,
    session: &mut Session<'_, P, M::Memory>,
) -> Result<Progress<P::Float>, Error> {
    let numbers = checkpoint::read(path, identity, &NUMBERS)?;
    let damaged = || checkpoint::refused(path, "its numbers are not as many as the settings of this run require".to_owned());
    let Ok([progress, outer, inner, first_inner, best, best_outer, best_inner, optimiser, carried]) = <[Vec<f64>; 9]>::try_from(numbers)
    else {
        return Err(damaged());
    };
    let (n_outer, n_inner) = (session.outer.len(), session.inner.len());
    let fits = progress.len() == 2
        && best.len() == 4
        && [&outer, &best_outer].iter().all(|x| x.len() == n_outer)
        && [&inner, &first_inner, &best_inner].iter().all(|x| x.len() == n_inner)
        && optimizer.restore(state, &optimiser)
        && method.restore(&mut session.method_memory, &carried);
    if !fits {
        return Err(damaged());
    }
    let floats = |x: &[f64]| -> Vec<P::Float> { x.iter().map(|&x| P::Float::from_f64(x)).collect() };
    session.outer.copy_from_slice(&floats(&outer));
    session.inner.copy_from_slice(&floats(&inner));
    Ok(Progress {
        step: progress[0] as usize,
        seconds: progress[1],
        first_inner: floats(&first_inner),
        best: Best {
            score: best[0],
            held_out: Some(best[1]).filter(|x| !x.is_nan()),
            value: P::Float::from_f64(best[2]),
            step: best[3] as usize,
            outer: floats(&best_outer),
            inner: floats(&best_inner),
        },
    })
}
