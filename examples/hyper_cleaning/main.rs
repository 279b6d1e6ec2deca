//! Finds wrong labels: half of the labels of 5,000 images of Fashion-MNIST are changed, and every example's weight in the training loss is learned by what it does
//! to the loss on 5,000 other images whose labels are right.
//!
//! Every method is judged in the same way: a classifier is trained from zero with the learned weights and tested on 10,000 images that played no part. The
//! oracle is trained with the right labels, the baseline with half of them wrong.

#[allow(unreachable_pub)] // Problems are written as users write them.
mod cleaning;
#[path = "../common/mod.rs"]
mod common;
mod picture;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use cleaning::{Data, Method, Settings, clean};
use common::arguments::{self, Common, at_least_one, positive};
use common::fashion::FashionMnist;
use common::random::Random;
use serde_json::json;

/// Finds wrong labels by learning a weight for every training example.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Folder with the four .gz files of Fashion-MNIST
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// Ways to the hypergradient, separated by commas
    #[arg(long, value_name = "NAMES", value_enum, value_delimiter = ',', default_value = "cg")]
    method: Vec<Method>,
    /// Outer steps
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = at_least_one)]
    steps: usize,
    /// Step size of Adam
    #[arg(long, value_name = "X", default_value_t = 0.1, value_parser = positive)]
    rate: f64,
    /// The inner problem is solved until its gradient's norm is below this
    #[arg(long, value_name = "X", default_value_t = 0.01, value_parser = positive)]
    inner_tolerance: f64,
    /// Examples of a smaller weight count as having a wrong label
    #[arg(long, value_name = "X", default_value_t = 0.5, value_parser = positive)]
    threshold: f64,
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    arguments::exit_code(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { steps, rate, inner_tolerance, threshold, ref common, .. } = *arguments;
    let data = {
        let images = FashionMnist::load(&arguments.data)?;
        let chosen = Random::new(common.seed, "examples").choose(10_000, images.train.len());
        let (train, validation) = chosen.split_at(5_000);
        let all: Vec<usize> = (0..images.test.len()).collect();
        Data::new(images.train.rows(train), images.train.rows(validation), images.test.rows(&all), common.seed)
    };
    let (oracle, baseline) = (data.oracle()?, data.baseline()?);
    println!("accuracy on {} test images, trained on {} with", data.test.1.len(), data.changed.len());
    println!("  right labels (oracle)                         {:.2} %", 100.0 * oracle);
    println!("  half of the labels changed (baseline)         {:.2} %", 100.0 * baseline);
    println!("  half of the labels changed, without these     {:.2} %", 100.0 * data.without_changed()?);
    println!();
    println!("method       test accuracy  of the gap     F1   gradients  products  seconds");

    let settings = Settings { n_steps: steps, rate, inner_tolerance, seed: common.seed, progress: !common.json };
    let mut results = vec![];
    let mut rows = vec![];
    for &method in &arguments.method {
        let name = method.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let cleaned = match clean(&data, method, settings) {
            Ok(cleaned) => cleaned,
            Err(error) => {
                println!("{name:<12} {error}");
                rows.push(json!({ "method": name, "error": error.to_string() }));
                continue;
            }
        };
        let accuracy = data.test_accuracy(&cleaned.trust)?;
        let (recovered, f1) = ((accuracy - baseline) / (oracle - baseline), data.f1(&cleaned.trust, threshold));
        println!(
            "{name:<12} {:>11.2} %  {:>8.1} %  {f1:.3}  {:>9}  {:>8}  {:>7.2}",
            100.0 * accuracy,
            100.0 * recovered,
            cleaned.n_gradients,
            cleaned.n_products,
            cleaned.seconds
        );
        rows.push(json!({ "method": name, "test_accuracy": accuracy, "recovered": recovered, "f1": f1, "seconds": cleaned.seconds }));
        results.push((name, cleaned));
    }

    picture::draw(&common.svg, &results, &data)?;
    if common.json {
        println!("{}", json!({ "oracle": oracle, "baseline": baseline, "threshold": threshold, "methods": rows }));
    }
    Ok(())
}
