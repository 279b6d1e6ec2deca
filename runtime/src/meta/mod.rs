//! Meta-learning: many tasks that share where their training starts.
//!
//! A task is a problem without an outer variable: `#[outer]` without `minimize`. Its inner loss is that of its support set, its outer loss that of its query
//! set. What is learned is the start `θ` of the inner runs: `min over θ of the mean over tasks of g_i(w_i(θ))`, where `w_i(θ)` is what a few steps on
//! `f_i` from `θ` give, or a minimum near `θ`.
//!
//! Tasks are computed in parallel, and their results added in their order, so that they do not depend on the number of threads.

mod anil;
mod imaml;
mod maml;
mod meta_sgd;
mod reptile;

pub use anil::Anil;
pub use imaml::IMaml;
pub use maml::Maml;
pub use meta_sgd::MetaSgd;
pub use reptile::Reptile;

use rayon::prelude::*;

use crate::condition::Gradient;
use crate::methods::{Kernels, check_finite};
use crate::params::NoOuter;
use crate::solve::OuterOptimizer;
use crate::{BilevelProblem, Error, Float, Params, vector};

/// A problem without an outer variable.
pub trait Task: BilevelProblem<Outer = NoOuter<<Self as BilevelProblem>::Float>, Condition = Gradient, Inner: Send + Sync> + Sync {}

impl<T: Float, P: BilevelProblem<Float = T, Outer = NoOuter<T>, Condition = Gradient, Inner: Send + Sync> + Sync> Task for P {}

/// A way to the gradient of what is learned, one task at a time.
pub trait MetaAlgorithm<P: Task>: Sync {
    /// What is learned: the start of the inner runs, and maybe more.
    type Learned: Params<Float = P::Float> + Sync;

    /// The start of the inner runs.
    fn start<'a>(&self, learned: &'a Self::Learned) -> &'a P::Inner;

    /// The query loss of a task after adaptation, and its gradient in what is learned, added to `gradient` in the order of its leaves.
    ///
    /// # Errors
    /// Settings that make no sense, and runs that are not finite.
    fn task(&self, kernels: &mut Kernels<'_, P>, learned: &Self::Learned, gradient: &mut [P::Float]) -> Result<P::Float, Error>;

    /// The inner variable of a task after adaptation, in the place of its start.
    ///
    /// # Errors
    /// As [`task`](Self::task).
    fn adapt(&self, kernels: &mut Kernels<'_, P>, learned: &Self::Learned, inner: &mut [P::Float]) -> Result<(), Error>;
}

/// The mean over tasks.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MetaGradient<T, L> {
    /// The mean of the query losses.
    pub value: T,
    /// The mean of their gradients.
    pub gradient: L,
    /// The query loss of each task.
    pub values: Vec<T>,
}

/// The query loss of a task and its gradient.
type OfTask<T> = Result<(T, Vec<T>), Error>;

/// The mean query loss after adaptation and its gradient.
///
/// Memory: the gradient of every task, and what the algorithm needs for as many tasks as there are threads.
///
/// # Errors
/// [`Error::Task`] with the task and what failed in it: the first in the order of tasks. [`Error::InvalidSetting`] without tasks.
pub fn meta_gradient<P: Task, A: MetaAlgorithm<P>>(
    algorithm: &A,
    tasks: &[P],
    learned: &A::Learned,
) -> Result<MetaGradient<P::Float, A::Learned>, Error> {
    let n = learned.n_elements();
    let results: Vec<OfTask<P::Float>> = tasks
        .par_iter()
        .map(|task| {
            let mut kernels = Kernels::new(task, algorithm.start(learned), &NoOuter::default())?;
            let mut gradient = vector::zeros(n);
            let value = algorithm.task(&mut kernels, learned, &mut gradient);
            kernels.take_failed_check()?;
            let value = value?;
            check_finite("the gradient of the query loss", &gradient)?;
            Ok((value, gradient))
        })
        .collect();
    let scale = P::Float::from_f64(1.0 / some(tasks)? as f64);
    let mut values = Vec::with_capacity(tasks.len());
    let mut sum = vector::zeros(n);
    for (task, result) in results.into_iter().enumerate() {
        let (value, gradient) = result.map_err(in_task(task))?;
        vector::axpy(scale, &gradient, &mut sum);
        values.push(value);
    }
    let value = values.iter().map(|&value| value * scale).sum();
    Ok(MetaGradient { value, gradient: learned.with_elements(&sum), values })
}

/// The inner variable of every task after adaptation.
///
/// # Errors
/// As [`meta_gradient`].
pub fn adapt<P: Task, A: MetaAlgorithm<P>>(algorithm: &A, tasks: &[P], learned: &A::Learned) -> Result<Vec<P::Inner>, Error> {
    let results: Vec<Result<P::Inner, Error>> = tasks
        .par_iter()
        .map(|task| {
            let start = algorithm.start(learned);
            let mut kernels = Kernels::new(task, start, &NoOuter::default())?;
            let mut inner = start.flat().to_vec();
            let adapted = algorithm.adapt(&mut kernels, learned, &mut inner);
            kernels.take_failed_check().and(adapted)?;
            Ok(start.with_elements(&inner))
        })
        .collect();
    results.into_iter().enumerate().map(|(task, result)| result.map_err(in_task(task))).collect()
}

fn in_task(task: usize) -> impl FnOnce(Error) -> Error {
    move |source| Error::Task { task, source: Box::new(source) }
}

fn some<P>(tasks: &[P]) -> Result<usize, Error> {
    if tasks.is_empty() {
        return Err(Error::InvalidSetting { setting: "tasks", value: 0.0, requirement: "at least one task" });
    }
    Ok(tasks.len())
}

/// Learns by one batch of tasks after the other.
#[derive(Debug)]
pub struct MetaLearner<A, O, L, S> {
    algorithm: A,
    optimizer: O,
    learned: L,
    state: S,
    scale: f64,
}

impl<A, O, L: Params, S> MetaLearner<A, O, L, S>
where
    O: OuterOptimizer<L::Float, State = S>,
{
    /// Starts from `learned`.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] of the optimiser.
    pub fn new(algorithm: A, optimizer: O, learned: L) -> Result<Self, Error> {
        let state = optimizer.state(learned.n_elements())?;
        Ok(MetaLearner { algorithm, optimizer, learned, state, scale: 1.0 })
    }

    /// What the way of every step from now on is multiplied by, for schedules: `θ ← θ + factor · (step(θ) − θ)`. For every optimiser whose step is proportional to
    /// its learning rate, that is another learning rate. Default: 1.
    pub fn scale_steps(&mut self, factor: f64) {
        self.scale = factor;
    }

    /// What has been learned so far.
    #[must_use]
    pub fn learned(&self) -> &L {
        &self.learned
    }

    /// One step by the mean gradient over tasks. Gives their mean query loss before it.
    ///
    /// # Errors
    /// As [`meta_gradient`], and [`Error::InvalidSetting`] for a factor of [`scale_steps`](Self::scale_steps) that is negative or not finite; what has been learned
    /// stays as it was.
    pub fn step<P>(&mut self, tasks: &[P]) -> Result<L::Float, Error>
    where
        P: Task<Float = L::Float>,
        A: MetaAlgorithm<P, Learned = L>,
    {
        if !(self.scale.is_finite() && self.scale >= 0.0) {
            let (setting, requirement) = ("MetaLearner::scale_steps", "finite and not negative");
            return Err(Error::InvalidSetting { setting, value: self.scale, requirement });
        }
        let MetaGradient { value, gradient, .. } = meta_gradient(&self.algorithm, tasks, &self.learned)?;
        let before = self.learned.flat().to_vec();
        let (mut learned, gradient) = (before.clone(), gradient.flat().to_vec());
        self.optimizer.step(&mut self.state, &gradient, &mut learned);
        if self.scale != 1.0 {
            let scale = L::Float::from_f64(self.scale);
            for (learned, before) in learned.iter_mut().zip(before) {
                *learned = before + scale * (*learned - before);
            }
        }
        self.learned = self.learned.with_elements(&learned);
        Ok(value)
    }
}
