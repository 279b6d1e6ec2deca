//! Few-shot classification of handwritten characters: learns a start from which one step on five images makes a classifier of five characters.
//!
//! The data are Omniglot (see `README.md` beside this file). A task shows some images of a few characters and asks about others; the characters of the test are held
//! out. What is learned is where the training of a task begins, by MAML to second or first order, Meta-SGD, ANIL, Reptile or iMAML.
//!
//! Networks normalise by the statistics of the batch, in tests too, so that the queries of a task know of each other: accuracies are transductive.

#[path = "../common/mod.rs"]
mod common;
mod episodes;
mod networks;
mod picture;
mod training;

use std::path::PathBuf;
use std::process::ExitCode;

use bilevel::meta::{Anil, IMaml, Maml, MetaAlgorithm, MetaSgd, Reptile};
use bilevel::prelude::*;
use bilevel::solve::OuterOptimizer;
use clap::Parser;
use common::arguments::{self, Common, at_least_one, positive};
use common::random::Random;
use episodes::{HeldOut, Omniglot, Sizes};
use networks::{Network, convolutions, dense};
use training::{Algorithms, Data, Decay, Outcome, Plan};

/// Tasks a second of the reference run in JAX on two cores.
const REFERENCE_TASKS_PER_SECOND: f64 = 28.0;

/// A way to learn the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    /// The exact derivative of the query loss after the inner steps
    Maml,
    /// MAML without second derivatives
    FirstOrder,
    /// MAML that learns an inner rate for every weight
    MetaSgd,
    /// MAML whose inner steps move the last layer only
    Anil,
    /// The way that a run on a task goes
    Reptile,
    /// The derivative through the minimum near the start
    Imaml,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Net {
    /// Four blocks of 3 × 3 kernels with stride 2
    Conv,
    /// 784 - 256 - 64
    Dense,
}

/// Learns to tell handwritten characters apart from a few images of each.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The folder of omniglot28.bin and omniglot28.json [default: the variable BILEVEL_DATA]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Method::Maml)]
    method: Method,
    #[arg(long, value_enum, default_value_t = Net::Conv)]
    network: Net,
    /// Kernels of a block
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = at_least_one)]
    filters: usize,
    /// Classes of a task
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    ways: usize,
    /// Images of each class to learn from
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    shots: usize,
    /// The same in training [default: shots; for Reptile, which learns from these alone, 10]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    training_shots: Option<usize>,
    /// Images of each class that are asked about in training
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    queries: usize,
    /// The same in tests
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = at_least_one)]
    test_queries: usize,
    /// Which characters are held out
    #[arg(long, value_enum, default_value_t = HeldOut::Alphabets)]
    held_out: HeldOut,
    /// Learn from upright characters only, and not also from turned ones as classes of their own
    #[arg(long)]
    upright: bool,
    /// Tasks of an outer step
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = at_least_one)]
    tasks: usize,
    /// Outer steps
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one)]
    steps: usize,
    /// End training after so many minutes if that comes first; the decay then follows the clock, and results depend on it
    #[arg(long, value_name = "X", value_parser = positive)]
    minutes: Option<f64>,
    /// The outer rate: of Adam, for Reptile the share of the way [default: 0.002; for Reptile 1]
    #[arg(long, value_name = "X", value_parser = positive)]
    rate: Option<f64>,
    /// How the outer rate changes
    #[arg(long, value_enum, default_value_t = Decay::Cosine)]
    decay: Decay,
    /// The inner rate [default: 0.4; for Reptile, whose inner steps are Adam's, 0.001; for iMAML 0.1]
    #[arg(long, value_name = "X", value_parser = positive)]
    inner_rate: Option<f64>,
    /// Inner steps [default: 1; for Reptile 5; for iMAML 16]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    inner_steps: Option<usize>,
    /// Inner steps in tests [default: as in training; for Reptile 50]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    test_steps: Option<usize>,
    /// The proximal weight of iMAML
    #[arg(long, value_name = "X", default_value_t = 2.0, value_parser = positive)]
    rho: f64,
    /// Iterations of conjugate gradients of iMAML
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    iterations: usize,
    /// Held-out tasks of the test
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = at_least_one)]
    test_tasks: usize,
    /// Outer steps between two reports
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = at_least_one)]
    report_every: usize,
    /// Held-out tasks of a report
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least_one)]
    report_tasks: usize,
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    arguments::exit_code(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let folder = arguments.data.clone().or_else(|| std::env::var_os("BILEVEL_DATA").map(PathBuf::from));
    let folder = folder.ok_or("say with `--data DIR` or BILEVEL_DATA where omniglot28.bin is; see examples/few_shot/README.md")?;
    let omniglot = Omniglot::read(&folder)?;
    let mut random = Random::new(arguments.common.seed, "held-out characters");
    let [known, held_out] = omniglot.classes(arguments.held_out, !arguments.upright, &mut random);
    let data = Data { omniglot, known, held_out };
    let plan = arguments.plan();
    plan.training.check(&data.known)?;
    plan.test.check(&data.held_out)?;
    println!(
        "{} classes to learn from, {} held out; {}-way {}-shot, {} tasks an outer step",
        data.known.len(),
        data.held_out.len(),
        arguments.ways,
        arguments.shots,
        arguments.tasks
    );
    let outcome = match arguments.network {
        Net::Conv => arguments.learn::<convolutions::Net>(&data, &plan)?,
        Net::Dense => arguments.learn::<dense::Net>(&data, &plan)?,
    };
    let n_tasks = outcome.steps * plan.tasks;
    let tasks_per_second = n_tasks as f64 / outcome.training_seconds;
    println!();
    println!(
        "{} tasks in {:.0} s, {tasks_per_second:.0} a second on {} threads ({:.1} times the {REFERENCE_TASKS_PER_SECOND} of a run in JAX on two cores)",
        n_tasks,
        outcome.seconds,
        rayon::current_num_threads(),
        tasks_per_second / REFERENCE_TASKS_PER_SECOND
    );
    println!(
        "accuracy on {} held-out tasks: {:.2} ± {:.2} %  (95 % interval; transductive: the statistics of the batch are those of the queries)",
        plan.test_tasks,
        100.0 * outcome.accuracy.mean,
        100.0 * outcome.accuracy.half_interval
    );
    picture::draw(&arguments.common.svg, &outcome.reports)?;
    if arguments.common.json {
        let line = serde_json::json!({
            "method": format!("{:?}", arguments.method),
            "network": format!("{:?}", arguments.network),
            "ways": arguments.ways,
            "shots": arguments.shots,
            "seed": arguments.common.seed,
            "steps": outcome.steps,
            "tasks": n_tasks,
            "seconds": outcome.seconds,
            "tasks_per_second": tasks_per_second,
            "test_tasks": plan.test_tasks,
            "accuracy": outcome.accuracy.mean,
            "half_interval_95": outcome.accuracy.half_interval,
            "transductive": true,
        });
        println!("{line}");
    }
    Ok(())
}

impl Arguments {
    fn plan(&self) -> Plan {
        let sizes = |shots, queries| Sizes { ways: self.ways, shots, queries };
        let training_shots = match self.method {
            Method::Reptile => 10,
            Method::Maml | Method::FirstOrder | Method::MetaSgd | Method::Anil | Method::Imaml => self.shots,
        };
        Plan {
            seed: self.common.seed,
            training: sizes(self.training_shots.unwrap_or(training_shots), self.queries),
            test: sizes(self.shots, self.test_queries),
            tasks: self.tasks,
            steps: self.steps,
            seconds: self.minutes.map(|minutes| 60.0 * minutes),
            decay: self.decay,
            report_every: self.report_every,
            report_tasks: self.report_tasks,
            test_tasks: self.test_tasks,
        }
    }

    /// The run with the method that was asked for.
    fn learn<N: Network>(&self, data: &Data, plan: &Plan) -> Result<Outcome, bilevel::Error> {
        let start = N::start(&mut Random::new(self.common.seed, "start"), self.ways, self.filters);
        let adam = Adam::new(self.rate.unwrap_or(0.002));
        // The inner rate and the numbers of steps in training and in tests.
        let settings = |rate, training, test| {
            let training = self.inner_steps.unwrap_or(training);
            (self.inner_rate.unwrap_or(rate), training, self.test_steps.or(self.inner_steps).unwrap_or(test))
        };
        match self.method {
            Method::Maml => {
                let (rate, training, test) = settings(0.4, 1, 1);
                let of = |steps| Maml::new(GradientDescent::new(rate)).steps(steps);
                self.run::<N, _, _, _>(data, plan, Algorithms { training: of(training), test: of(test) }, adam, start)
            }
            Method::FirstOrder => {
                let (rate, training, test) = settings(0.4, 1, 1);
                let of = |steps| Maml::first_order(GradientDescent::new(rate)).steps(steps);
                self.run::<N, _, _, _>(data, plan, Algorithms { training: of(training), test: of(test) }, adam, start)
            }
            Method::MetaSgd => {
                let (rate, training, test) = settings(0.4, 1, 1);
                let of = |steps| MetaSgd::default().steps(steps);
                let rates = start.with_elements(&vec![rate as f32; start.n_elements()]);
                self.run::<N, _, _, _>(data, plan, Algorithms { training: of(training), test: of(test) }, adam, (start, rates))
            }
            Method::Anil => {
                let (rate, training, test) = settings(0.4, 1, 1);
                let of = |steps| Anil::new(rate, &["net.head", "net.bias"]).steps(steps);
                self.run::<N, _, _, _>(data, plan, Algorithms { training: of(training), test: of(test) }, adam, start)
            }
            Method::Reptile => {
                let (rate, training, test) = settings(0.001, 5, 50);
                let of = |steps| Reptile::new(Adam::new(rate).beta1(0.0), steps);
                let whole = GradientDescent::new(self.rate.unwrap_or(1.0));
                self.run::<N, _, _, _>(data, plan, Algorithms { training: of(training), test: of(test) }, whole, start)
            }
            Method::Imaml => {
                let (rate, training, test) = settings(0.1, 16, 16);
                // Networks of `relu` have saddles that the proximal weight of the paper does not fill.
                let imaml = |steps| IMaml::new(GradientDescent::new(rate), steps, self.rho).max_iterations(self.iterations);
                let of = |steps| imaml(steps).truncate_at_negative_curvature();
                self.run::<N, _, _, _>(data, plan, Algorithms { training: of(training), test: of(test) }, adam, start)
            }
        }
    }

    fn run<N, A, O, L>(
        &self,
        data: &Data,
        plan: &Plan,
        algorithms: Algorithms<A>,
        optimizer: O,
        start: L,
    ) -> Result<Outcome, bilevel::Error>
    where
        N: Network,
        A: for<'a> MetaAlgorithm<N::Problem<'a>, Learned = L>,
        O: OuterOptimizer<f32>,
        L: Params<Float = f32> + Sync,
    {
        training::run::<N, A, O, L>(data, plan, algorithms, optimizer, start, |report| {
            println!(
                "step {:>6}, {:>7} tasks, {:>5.0} s: query loss {:.4}, held-out accuracy {:.2} ± {:.2} %",
                report.step,
                report.tasks,
                report.seconds,
                report.loss,
                100.0 * report.accuracy.mean,
                100.0 * report.accuracy.half_interval
            );
        })
    }
}
