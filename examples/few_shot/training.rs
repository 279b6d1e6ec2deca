//! Learning from tasks, and testing on held-out ones.

use std::time::Instant;

use bilevel::meta::{MetaAlgorithm, MetaLearner, adapt};
use bilevel::prelude::*;
use bilevel::solve::OuterOptimizer;
use rayon::prelude::*;

use crate::common::random::Random;
use crate::episodes::{Classes, Episode, Omniglot, Sizes};
use crate::networks::Network;

/// Tasks that are adapted to together in tests.
const TESTED_TOGETHER: usize = 50;

/// The data with what is held out.
pub(crate) struct Data {
    pub(crate) omniglot: Omniglot,
    pub(crate) known: Classes,
    pub(crate) held_out: Classes,
}

/// How the length of outer steps changes from the beginning to the end of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Decay {
    /// It does not
    Constant,
    /// To zero, linearly
    Linear,
    /// To zero, along half a period of the cosine
    Cosine,
}

impl Decay {
    /// The factor when a share of the training is done.
    pub(crate) fn factor(self, done: f64) -> f64 {
        let left = 1.0 - done.clamp(0.0, 1.0);
        match self {
            Decay::Constant => 1.0,
            Decay::Linear => left,
            Decay::Cosine => 0.5 - 0.5 * (std::f64::consts::PI * left).cos(),
        }
    }
}

/// What a run does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Of the tasks that are learned from.
    pub(crate) training: Sizes,
    /// Of the tasks that are tested on.
    pub(crate) test: Sizes,
    /// Tasks of an outer step.
    pub(crate) tasks: usize,
    pub(crate) steps: usize,
    /// Training ends before `steps` when so much time is over, and the decay follows whichever is nearer to its end.
    pub(crate) seconds: Option<f64>,
    pub(crate) decay: Decay,
    /// Steps between two reports.
    pub(crate) report_every: usize,
    /// Held-out tasks of a report; those of the test are others.
    pub(crate) report_tasks: usize,
    pub(crate) test_tasks: usize,
}

/// How well a network does after adaptation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accuracy {
    /// The mean over tasks of the share of queries that are answered right.
    pub(crate) mean: f64,
    /// Half of the 95 % interval of the mean.
    pub(crate) half_interval: f64,
}

/// The state of a run at a report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    pub(crate) step: usize,
    pub(crate) tasks: usize,
    pub(crate) seconds: f64,
    /// The mean query loss over the training tasks since the last report.
    pub(crate) loss: f64,
    pub(crate) accuracy: Accuracy,
}

/// A run and its test.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) reports: Vec<Report>,
    pub(crate) steps: usize,
    /// Of training, without reports.
    pub(crate) training_seconds: f64,
    /// Of training, with reports.
    pub(crate) seconds: f64,
    pub(crate) accuracy: Accuracy,
}

/// The algorithm of training, and that of tests, which may make more steps.
pub(crate) struct Algorithms<A> {
    pub(crate) training: A,
    pub(crate) test: A,
}

/// Learns from `start` on, then tests. `show` is called with every report.
pub(crate) fn run<N, A, O, L>(
    data: &Data,
    plan: &Plan,
    algorithms: Algorithms<A>,
    optimizer: O,
    start: L,
    mut show: impl FnMut(&Report),
) -> Result<Outcome, bilevel::Error>
where
    N: Network,
    A: for<'a> MetaAlgorithm<N::Problem<'a>, Learned = L>,
    O: OuterOptimizer<f32>,
    L: Params<Float = f32> + Sync,
{
    let mut learner = MetaLearner::new(algorithms.training, optimizer, start)?;
    let progress = plan.test.draw_many(plan.report_tasks, &data.omniglot, &data.held_out, Random::new(plan.seed, "tasks of reports"));
    let began = Instant::now();
    let (mut reports, mut training_seconds) = (Vec::new(), 0.0);
    let (mut losses, mut n_losses) = (0.0, 0);
    let mut step: usize = 0;
    loop {
        let done_in_time = plan.seconds.map_or(0.0, |seconds| began.elapsed().as_secs_f64() / seconds);
        let done = done_in_time.max(step as f64 / plan.steps as f64);
        if done >= 1.0 || step.is_multiple_of(plan.report_every) {
            let accuracy = test::<N, A, L>(&algorithms.test, learner.learned(), &progress)?;
            let loss = if n_losses == 0 { f64::NAN } else { losses / f64::from(n_losses) };
            let report = Report { step, tasks: step * plan.tasks, seconds: began.elapsed().as_secs_f64(), loss, accuracy };
            show(&report);
            reports.push(report);
            (losses, n_losses) = (0.0, 0);
        }
        if done >= 1.0 {
            break;
        }
        let step_began = Instant::now();
        let episodes =
            plan.training.draw_many(plan.tasks, &data.omniglot, &data.known, Random::new(plan.seed, &format!("tasks of step {step}")));
        let problems: Vec<N::Problem<'_>> = episodes.iter().map(N::problem).collect();
        learner.scale_steps(plan.decay.factor(done));
        losses += f64::from(learner.step(&problems)?);
        n_losses += 1;
        step += 1;
        training_seconds += step_began.elapsed().as_secs_f64();
    }
    let seconds = began.elapsed().as_secs_f64();
    let episodes = plan.test.draw_many(plan.test_tasks, &data.omniglot, &data.held_out, Random::new(plan.seed, "tasks of the test"));
    let accuracy = test::<N, A, L>(&algorithms.test, learner.learned(), &episodes)?;
    Ok(Outcome { reports, steps: step, training_seconds, seconds, accuracy })
}

/// The accuracy on the queries of tasks after adaptation to their support sets. All queries of a task are answered together, so that the statistics of the batch
/// are those of the whole query set: the result is transductive.
pub(crate) fn test<N, A, L>(algorithm: &A, learned: &L, episodes: &[Episode]) -> Result<Accuracy, bilevel::Error>
where
    N: Network,
    A: for<'a> MetaAlgorithm<N::Problem<'a>, Learned = L>,
    L: Params<Float = f32> + Sync,
{
    let mut shares = Vec::with_capacity(episodes.len());
    for episodes in episodes.chunks(TESTED_TOGETHER) {
        let problems: Vec<N::Problem<'_>> = episodes.iter().map(N::problem).collect();
        let adapted = adapt(algorithm, &problems, learned)?;
        shares.par_extend(adapted.par_iter().zip(episodes).map(|(network, Episode { query, .. })| {
            let answers = argmax_axis(&network.logits(&query.images), Axis(1));
            let n_right = answers.iter().zip(&query.labels).filter(|(answer, label)| answer == label).count();
            n_right as f64 / query.labels.len() as f64
        }));
    }
    let n = shares.len() as f64;
    let mean = shares.iter().sum::<f64>() / n;
    let variance = shares.iter().map(|share| (share - mean) * (share - mean)).sum::<f64>() / (n - 1.0).max(1.0);
    Ok(Accuracy { mean, half_interval: 1.96 * (variance / n).sqrt() })
}
