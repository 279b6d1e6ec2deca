//! A million outer variables: a network of 784 - 1024 - 256 - 10 units on Fashion-MNIST, and a penalty on each of its 1,068,810 weights and biases.
//!
//! Training goes on while the penalties are learned: each outer step is a few steps of training, from where the last one ended, then a hypergradient by a few terms
//! of the Neumann series, and a step of Adam. The run reports what an outer step costs in plain steps of training, and the most memory that the process had.

#[path = "../common/mod.rs"]
mod common;
#[allow(unreachable_pub)] // Problems are written as users write them.
mod network;

use std::path::PathBuf;
use std::process::ExitCode;

use bilevel::prelude::*;
use clap::Parser;
use common::arguments::{self, Common, at_least_one, positive};
use common::fashion::FashionMnist;
use common::plot::{self, Curve};
use common::random::Random;
use network::{Method, Problem, Settings, fresh, network_accuracy, trained, uniform};
use serde_json::json;

/// Learns a penalty for each weight of a network with a million of them.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Folder with the four .gz files of Fashion-MNIST
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// Way to the hypergradient
    #[arg(long, value_name = "NAME", value_enum, default_value = "neumann")]
    method: Method,
    /// Images for training, and as many for validation
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = at_least_one)]
    images: usize,
    /// Outer steps
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = at_least_one)]
    steps: usize,
    /// Steps of training in each outer step
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least_one)]
    inner_steps: usize,
    /// Terms of the Neumann series beyond the first
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = at_least_one)]
    terms: usize,
    /// Iterations of L-BFGS before the first outer step, and in training anew
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least_one)]
    warm_up: usize,
    /// Learning rate of the training
    #[arg(long, value_name = "X", default_value_t = 0.1, value_parser = positive)]
    inner_rate: f64,
    /// Step size of Adam on the log-penalties
    #[arg(long, value_name = "X", default_value_t = 0.3, value_parser = positive)]
    rate: f64,
    /// What is added to the diagonal of the Hessian, which need not be positive while training goes on
    #[arg(long, value_name = "X", default_value_t = 0.1, value_parser = positive)]
    damping: f64,
    #[command(flatten)]
    common: Common,
}

/// The log-penalty of all weights before they are learned.
const LOG_L2: f32 = -9.0;

fn main() -> ExitCode {
    arguments::exit_code(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { method, images, steps, inner_steps, terms, warm_up, inner_rate, rate, damping, ref common, .. } = *arguments;
    let (train, validation, test) = {
        let all = FashionMnist::load(&arguments.data)?;
        if 2 * images > all.train.len() {
            return Err(format!("`--images` is {images}, but there are {} images for training and validation", all.train.len()).into());
        }
        let chosen = Random::new(common.seed, "examples").choose(2 * images, all.train.len());
        let (train, validation) = chosen.split_at(images);
        let tests: Vec<usize> = (0..all.test.len()).collect();
        (all.train.rows(train), all.train.rows(validation), all.test.rows(&tests))
    };
    let problem = Problem { x: &train.0, y: &train.1, x_val: &validation.0, y_val: &validation.1 };
    let settings = Settings { n_steps: steps, n_inner: inner_steps, n_terms: terms, inner_rate, rate, damping };

    let start = fresh(common::fashion::N_PIXELS, [1024, 256], common.seed);
    let before = uniform(&start, LOG_L2);
    println!("{} weights, as many penalties; {images} images for training and for validation", start.n_elements());
    let uniformly = trained(&problem, &before, &start, warm_up)?;
    let seconds_of_step = settings.seconds_of_step(&problem, &before, &uniformly)?;

    let began = std::time::Instant::now();
    let tuned = settings.learn(&problem, method, (&before, &uniformly), !common.json)?;
    let seconds = began.elapsed().as_secs_f64();

    let retrained = trained(&problem, &tuned.outer, &start, warm_up)?;
    let loss = |net| network::millions::validate(net, problem.x_val, problem.y_val);
    let tests = |net| 100.0 * network_accuracy(net, &test.0, &test.1);
    println!();
    println!("                                             validation loss  test accuracy");
    println!("uniform penalty                              {:>15.4}  {:>11.2} %", loss(&uniformly), tests(&uniformly));
    println!("learned penalties, as they were learned      {:>15.4}  {:>11.2} %", tuned.value, tests(&tuned.inner));
    println!("learned penalties, trained anew              {:>15.4}  {:>11.2} %", loss(&retrained), tests(&retrained));
    println!();
    let of_outer_step = seconds / steps as f64;
    let in_steps = of_outer_step / seconds_of_step;
    println!("a step of training: {:.1} ms", 1000.0 * seconds_of_step);
    println!(
        "an outer step, of {inner_steps} steps of training, a hypergradient and a step of Adam: {:.1} ms, as long as {in_steps:.1} steps of training",
        1000.0 * of_outer_step
    );
    let peak = peak_bytes();
    if let Some(peak) = peak {
        println!("most memory of the process: {:.0} MiB", peak as f64 / f64::from(1 << 20));
    }

    let losses = tuned.trace.iter().map(|step| f64::from(step.value)).chain([f64::from(tuned.value)]);
    plot::save(&common.svg, (1000, 460), |root| {
        plot::curves(root, "validation loss", "outer step", &[Curve::new("validation loss", losses)])
    })?;
    if common.json {
        let line = json!({
            "n_weights": start.n_elements(),
            "val_loss_uniform": loss(&uniformly),
            "val_loss_learned": tuned.value,
            "val_loss_retrained": loss(&retrained),
            "test_accuracy_uniform": tests(&uniformly),
            "test_accuracy_learned": tests(&tuned.inner),
            "test_accuracy_retrained": tests(&retrained),
            "seconds_of_step": seconds_of_step,
            "outer_step_in_steps": in_steps,
            "peak_bytes": peak,
        });
        println!("{line}");
    }
    Ok(())
}

/// The most memory that the process had so far, where the system says it.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?;
    kibibytes.trim().parse::<u64>().ok().map(|n| 1024 * n)
}
