//! Learns how to train: the learning rate of each of 100 steps, the momentum of each layer, and a penalty on each of 9,610 weights, together, by differentiating
//! through the training of a network of 64 - 128 - 10 units on digits.
//!
//! First it makes the same hypergradient in several ways, which differ in time and memory only. Each outer step trains a network that starts anew, so that what is learned
//! is not fitted to one start. The 297 images of the test set play no part in the learning, nor do the starts on which the result is tested.

#[path = "../common/mod.rs"]
mod common;
mod picture;
#[allow(unreachable_pub)] // Problems are written as users write them.
mod schedule;

use std::process::ExitCode;
use std::time::Instant;

use bilevel::prelude::*;
use clap::{Parser, ValueEnum};
use common::arguments::{self, Common, at_least_one, positive};
use common::digits::Digits;
use schedule::{Method, Problem, constant, fresh, hypergradient, learn, network_accuracy, train};
use serde_json::json;

/// Learns rates, momentum and penalties of a training run by differentiating through it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Way to the hypergradient
    #[arg(long, value_name = "NAME", value_enum, default_value = "mixed")]
    method: Method,
    /// Outer steps
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = at_least_one)]
    steps: usize,
    /// Step size of Adam
    #[arg(long, value_name = "X", default_value_t = 0.05, value_parser = positive)]
    rate: f64,
    /// Steps of the training that is learned
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least_one)]
    inner_steps: usize,
    #[command(flatten)]
    common: Common,
}

/// Constant rates of which the best is the start.
const GRID: [f64; 5] = [0.03, 0.1, 0.3, 1.0, 3.0];
/// Fresh starts on which the result is tested.
const N_TESTS: usize = 10;
/// Hypergradients of which the fastest counts.
const N_REPETITIONS: usize = 3;

fn main() -> ExitCode {
    arguments::exit_code(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { method, steps, rate, inner_steps, ref common } = *arguments;
    let digits = Digits::load()?;
    let (x, y) = digits.rows(0..900);
    let (x_val, y_val) = digits.rows(900..1500);
    let (x_test, y_test) = digits.rows(1500..digits.labels.len());
    let problem = Problem { x: &x, y: &y, x_val: &x_val, y_val: &y_val };
    let start = |stream: &str, number| fresh(128, common.seed, stream, number);
    let first = start("learning", 0);

    // The best constant rate.
    let mut best = (f64::INFINITY, 0.0);
    for rate in GRID {
        let net = train(&problem, &constant(&first, inner_steps, rate), &first)?;
        let loss = schedule::learned_schedule::validate(&net, &x_val, &y_val);
        if loss < best.0 {
            best = (loss, rate);
        }
    }
    let (_, constant_rate) = best;
    let before = constant(&first, inner_steps, constant_rate);
    println!("best constant rate: {constant_rate}, of {GRID:?}");

    // One hypergradient, in several ways.
    println!();
    println!("one hypergradient    seconds        bytes  steps made again  difference");
    let mut expected: Option<Array1<f64>> = None;
    let mut ways = vec![];
    for &way in Method::value_variants() {
        let (h, seconds) = hypergradient(&problem, way, &before, &first, N_REPETITIONS)?;
        let gradient = h.gradient.flat();
        let expected = expected.get_or_insert_with(|| gradient.clone());
        let difference = norm(&(&gradient - &*expected)) / norm(expected);
        let name = way.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let n_remade = h.report.unrolled.as_ref().map_or(0, |unrolled| unrolled.n_remade);
        println!("{name:<18} {seconds:>9.4}  {:>11}  {n_remade:>16}  {difference:>10.1e}", h.report.peak_bytes);
        ways.push(
            json!({ "method": name, "seconds": seconds, "bytes": h.report.peak_bytes, "n_remade": n_remade, "difference": difference }),
        );
    }
    println!();

    let bar = common.progress(steps, "validation loss");
    let began = Instant::now();
    let (learned, losses) = learn(
        &problem,
        method,
        &before,
        |step| start("learning", step),
        (steps, rate),
        |loss| {
            bar.inc(1);
            bar.set_message(format!("{loss:.5}"));
        },
    )?;
    let seconds = began.elapsed().as_secs_f64();
    bar.finish_and_clear();

    // Tested from starts that played no part.
    let mut tests = Array3::zeros((2, 2, N_TESTS));
    for k in 0..N_TESTS {
        let start = start("test", k);
        for (i, schedule) in [&before, &learned].into_iter().enumerate() {
            let net = train(&problem, schedule, &start)?;
            tests[[0, i, k]] = schedule::learned_schedule::validate(&net, &x_val, &y_val);
            tests[[1, i, k]] = network_accuracy(&net, &x_test, &y_test);
        }
    }
    let mean = |what: usize, schedule: usize| tests.slice(s![what, schedule, ..]).mean().unwrap_or(f64::NAN);
    println!("means over {N_TESTS} fresh starts   constant   learned");
    println!("validation loss               {:>8.4}  {:>8.4}", mean(0, 0), mean(0, 1));
    println!("test accuracy                 {:>6.2} %  {:>6.2} %", 100.0 * mean(1, 0), 100.0 * mean(1, 1));
    let layers = learned.2.mapv(|m| 1.0 / (1.0 + (-m).exp()));
    println!("momentum: {layers:.3} (hidden layer, its biases, output layer, its biases), from 0.9");
    println!("outer steps: {steps}, each through {inner_steps} steps of training; {seconds:.2} s");

    picture::draw(&common.svg, losses, &before, &learned)?;
    if common.json {
        let line = json!({
            "ways": ways,
            "val_loss_before": mean(0, 0),
            "val_loss_after": mean(0, 1),
            "test_accuracy_before": mean(1, 0),
            "test_accuracy_after": mean(1, 1),
            "seconds": seconds,
        });
        println!("{line}");
    }
    Ok(())
}
