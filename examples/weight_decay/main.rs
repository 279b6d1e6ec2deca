//! Tunes one L2 penalty for every weight of a digits classifier: 640 outer variables, on real data.
//!
//! The inner problem is softmax regression on 1200 images; the outer loss is the cross-entropy on 300 others. The run starts from the best
//! uniform penalty, so that what it gains is what tuning every weight's own penalty adds. The first hypergradient is checked against
//! differences of the re-solved problem. The 297 images left over are the test set and play no part in the tuning.

#[path = "../common/mod.rs"]
mod common;
mod plot;

use std::process::ExitCode;
use std::time::Instant;

use bilevel::prelude::*;
use clap::Parser;
use common::arguments::{self, Common, at_least_one, positive};
use common::digits::{Digits, accuracy};

/// The problem: softmax regression, one penalty per weight.
#[bilevel]
pub mod weight_decay {
    use super::*;

    /// Training loss: softmax regression with its own L2 penalty on every weight.
    #[inner(minimize = w)]
    pub fn train(w: &Array2<f64>, log_l2: &Array2<f64>, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        let penalty = 0.5 * (log_l2.exp() * w * w).sum();
        cross_entropy(&x.dot(w), y) + penalty
    }

    /// Validation loss.
    #[outer(minimize = log_l2)]
    pub fn validate(w: &Array2<f64>, x_val: &Array2<f64>, y_val: &Array1<usize>) -> f64 {
        cross_entropy(&x_val.dot(w), y_val)
    }
}

/// The logarithms of the uniform penalties from which the best is the start.
const GRID: [f64; 12] = [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0, -7.0, -8.0, -9.0, -10.0, -11.0, -12.0];

/// Tunes one L2 penalty for every weight of a digits classifier.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Outer steps
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = at_least_one)]
    steps: usize,
    /// Step size of Adam on the log-penalties
    #[arg(long, value_name = "X", default_value_t = 0.1, value_parser = positive)]
    rate: f64,
    /// The inner problem is solved until its gradient's norm is below this
    #[arg(long, value_name = "X", default_value_t = 1e-7, value_parser = positive)]
    inner_tolerance: f64,
    /// The linear system of each hypergradient is solved to this relative residual
    #[arg(long, value_name = "X", default_value_t = 1e-6, value_parser = positive)]
    linear_tolerance: f64,
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    arguments::exit_code(run(&Arguments::parse()))
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let digits = Digits::load()?;
    let (x, y) = digits.rows(0..1200);
    let (x_val, y_val) = digits.rows(1200..1500);
    let (x_test, y_test) = digits.rows(1500..digits.labels.len());
    let began = Instant::now();

    let problem = weight_decay::Problem { x: &x, y: &y, x_val: &x_val, y_val: &y_val };
    let w0 = Array2::zeros((64, 10));

    // The best uniform penalty, each solved from the weights of the one before.
    let mut solver = problem
        .solver(Implicit::cg().tolerance(arguments.linear_tolerance))
        .inner(NewtonCg::default().tolerance(arguments.inner_tolerance));
    let (mut best, mut w) = ((f64::INFINITY, 0.0, w0.clone()), w0.clone());
    for log_l2 in GRID {
        w = solver.solve_inner(&Array2::from_elem(w0.dim(), log_l2), &w)?.inner;
        let loss = weight_decay::validate(&w, &x_val, &y_val);
        if loss < best.0 {
            best = (loss, log_l2, w.clone());
        }
    }
    let (val_loss_before, uniform, w_before) = best;
    let start = Array2::from_elem(w0.dim(), uniform);
    println!("best uniform log-penalty: {uniform}, of {} between {} and {}", GRID.len(), GRID[GRID.len() - 1], GRID[0]);

    // The first hypergradient against differences of the re-solved problem, everything solved tightly.
    let mut tight = problem.solver(Implicit::cg().tolerance(1e-12)).inner(NewtonCg::default().tolerance(1e-11));
    let check = tight.check_with(&start, &w_before, &Differences::default().seed(arguments.common.seed))?;
    println!("hypergradient against differences along {} random directions: {:.1e}", check.directions.len(), check.max_relative_error);

    // The tuning itself.
    let mut solver = solver.progress(!arguments.common.json);
    let tuned = solver.minimize(&start, &w_before, Adam::new(arguments.rate), arguments.steps)?;
    let seconds = began.elapsed().as_secs_f64();

    let n_products: usize = tuned.trace.iter().map(|step| step.report.n_products).sum();
    let test_accuracy_before = accuracy(&x_test.dot(&w_before), &y_test);
    let test_accuracy_after = accuracy(&x_test.dot(&tuned.inner), &y_test);
    println!();
    println!("                    before     after");
    println!("validation loss   {val_loss_before:>8.4}  {:>8.4}", tuned.value);
    println!("test accuracy     {:>7.1}%  {:>7.1}%", 100.0 * test_accuracy_before, 100.0 * test_accuracy_after);
    println!();
    println!("outer steps: {}, with {n_products} curvature products; {seconds:.2} s with grid and check", tuned.trace.len());

    let losses: Vec<f64> = tuned.trace.iter().map(|step| step.value).chain([tuned.value]).collect();
    plot::draw(&arguments.common.svg, losses, &tuned.outer)?;

    if arguments.common.json {
        let line = serde_json::json!({
            "check_rel_error": check.max_relative_error,
            "val_loss_before": val_loss_before,
            "val_loss_after": tuned.value,
            "test_accuracy_before": test_accuracy_before,
            "test_accuracy_after": test_accuracy_after,
            "seconds": seconds,
        });
        println!("{line}");
    }
    Ok(())
}
