//! Ten learned images that train a classifier of digits: the images are the outer variable, a network is trained on them, and its loss on 1,200 real images is
//! differentiated through the training.
//!
//! Images that are learned from one start of the network learn that start as well. So the test is always on networks that start anew: trained on nothing but the ten images,
//! they are tested on 597 real ones that played no part.

#[path = "../common/mod.rs"]
mod common;
#[allow(unreachable_pub)] // Problems are written as users write them.
mod distill;
mod picture;

use std::process::ExitCode;
use std::time::Instant;

use bilevel::ndarray::{Array1, Array2};
use clap::Parser;
use common::arguments::{self, Common, at_least_one, positive};
use common::digits::Digits;
use common::random::Random;
use distill::{Method, Problem, Training, distill, fresh, mean_images, real_images};
use serde_json::json;

/// Learns ten images that train a classifier of digits.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Way to the hypergradient
    #[arg(long, value_name = "NAME", value_enum, default_value = "mixed")]
    method: Method,
    /// Outer steps
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = at_least_one)]
    steps: usize,
    /// Step size of Adam on the pixels
    #[arg(long, value_name = "X", default_value_t = 0.02, value_parser = positive)]
    rate: f64,
    /// Steps of training on the images
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = at_least_one)]
    inner_steps: usize,
    /// Learning rate of the training on the images
    #[arg(long, value_name = "X", default_value_t = 0.1, value_parser = positive)]
    inner_rate: f64,
    #[command(flatten)]
    common: Common,
}

/// Fresh starts on which images are tested, and choices of ten real images.
const N_TESTS: usize = 20;

fn main() -> ExitCode {
    arguments::exit_code(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { method, steps, rate, inner_steps, inner_rate, ref common } = *arguments;
    let seed = common.seed;
    let digits = Digits::load()?;
    let (x, y) = digits.rows(0..1200);
    let (x_test, y_test) = digits.rows(1200..digits.labels.len());
    let labels = Array1::from_iter(0..10);
    let problem = Problem { labels: &labels, x: &x, y: &y };
    let training = Training { n_steps: inner_steps, rate: inner_rate };
    let tested =
        |images: &Array2<f64>| training.test_accuracy(&problem, images, (&x_test, &y_test), (0..N_TESTS).map(|k| fresh(seed, "test", k)));

    // Ten real images, chosen anew for every start.
    let mut random = Random::new(seed, "real images");
    let choices: Vec<Array2<f64>> = (0..N_TESTS).map(|_| real_images(&x, &y, &mut random)).collect();
    let mut real = Array1::zeros(N_TESTS);
    for (k, (images, accuracy)) in choices.iter().zip(&mut real).enumerate() {
        *accuracy = training.test_accuracy(&problem, images, (&x_test, &y_test), [fresh(seed, "test", k)])?.0;
    }
    let means = mean_images(&x, &y);

    // Learned, from one start and from another in each step; both from the same real images.
    let mut learned = vec![];
    let began = Instant::now();
    for one_start in [true, false] {
        let bar = common.progress(steps, "loss on real images");
        let start = |step| fresh(seed, "learning", if one_start { 0 } else { step });
        learned.push(distill(&problem, (method, training), &choices[0], start, (steps, rate), |loss| {
            bar.inc(1);
            bar.set_message(format!("{loss:.4}"));
        })?);
        bar.finish_and_clear();
    }
    let seconds = began.elapsed().as_secs_f64();
    let (from_one, from_many) = (&learned[0], &learned[1]);
    let own = training.test_accuracy(&problem, &from_one.0, (&x_test, &y_test), [fresh(seed, "learning", 0)])?.0;

    println!("test accuracy of networks trained on ten images, from {N_TESTS} fresh starts (mean and standard deviation)");
    let rows = [
        ("ten real images, chosen at random", (real.mean().unwrap_or(f64::NAN), real.std(0.0))),
        ("the mean image of each class", tested(&means)?),
        ("learned from one start", tested(&from_one.0)?),
        ("learned from a fresh start in each step", tested(&from_many.0)?),
    ];
    for (name, (mean, deviation)) in rows {
        println!("  {name:<40} {:>6.2} % ± {:.2}", 100.0 * mean, 100.0 * deviation);
    }
    println!("test accuracy of what was learned from one start, from that very start: {:.2} %", 100.0 * own);
    println!("outer steps: 2 x {steps}, each through {inner_steps} steps of training; {seconds:.2} s");

    picture::draw(&common.svg, [&from_one.1, &from_many.1], [&choices[0], &from_many.0])?;
    if common.json {
        let rows = rows.map(|(name, (mean, deviation))| json!({ "images": name, "test_accuracy": mean, "deviation": deviation }));
        println!("{}", json!({ "rows": rows, "own_start": own, "seconds": seconds }));
    }
    Ok(())
}
