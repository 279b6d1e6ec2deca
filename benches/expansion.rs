//! How long the macro takes for a problem of forty lines: a network with two hidden layers, penalties on its layers as outer variables.
//!
//! ```sh
//! cargo bench --bench expansion
//! ```
//!
//! The compiler is built as a release build of the macros has it. The goal is 100 ms; in a debug build without `[profile.dev.build-override]
//! opt-level = 3` the same takes several times as long, in every build of the user's crate.

use std::time::{Duration, Instant};

/// The items of the module, forty lines.
const PROBLEM: &str = "
    use super::*;

    const N_CLASSES: f64 = 10.0;

    /// Two hidden layers and the logits.
    fn logits(x: &Array2<f64>, w1: &Array2<f64>, b1: &Array1<f64>, w2: &Array2<f64>, b2: &Array1<f64>, w3: &Array2<f64>) -> Array2<f64> {
        let first = (x.dot(w1) + b1).tanh();
        let second = (first.dot(w2) + b2).relu();
        let residual = &second + &first;
        residual.dot(w3)
    }

    /// Penalties, one for each layer.
    fn penalty(log_l2: &Array1<f64>, w1: &Array2<f64>, w2: &Array2<f64>, w3: &Array2<f64>) -> f64 {
        let l2 = log_l2.exp();
        0.5 * (l2[0] * (w1 * w1).sum() + l2[1] * (w2 * w2).sum() + l2[2] * (w3 * w3).sum())
    }

    /// Training loss: weighted cross-entropy with smoothed labels.
    #[inner(minimize(w1, b1, w2, b2, w3))]
    pub fn train(
        w1: &Array2<f64>, b1: &Array1<f64>, w2: &Array2<f64>, b2: &Array1<f64>, w3: &Array2<f64>,
        log_l2: &Array1<f64>, smoothing: &f64, x: &Array2<f64>, y: &Array1<usize>,
    ) -> f64 {
        let z = logits(x, w1, b1, w2, b2, w3);
        let hit = cross_entropy(&z, y);
        let spread = log_sum_exp(&z).mean().unwrap() - z.sum() / (N_CLASSES * x.nrows() as f64);
        let s = smoothing.sigmoid();
        (1.0 - s) * hit + s * spread + penalty(log_l2, w1, w2, w3)
    }

    /// Validation loss.
    #[outer(minimize(log_l2, smoothing))]
    pub fn validate(
        w1: &Array2<f64>, b1: &Array1<f64>, w2: &Array2<f64>, b2: &Array1<f64>, w3: &Array2<f64>,
        x_val: &Array2<f64>, y_val: &Array1<usize>,
    ) -> f64 {
        cross_entropy(&logits(x_val, w1, b1, w2, b2, w3), y_val)
    }
";

/// How often it is expanded; the first time warms up.
const N_RUNS: usize = 21;

fn main() {
    let item = format!("mod network {{ {PROBLEM} }}");
    let mut times: Vec<Duration> = Vec::new();
    let mut n_tokens = 0;
    for _ in 0..N_RUNS {
        let tokens = item.parse().expect("tokens");
        let start = Instant::now();
        let out = bilevel_compiler::bilevel(Default::default(), tokens);
        times.push(start.elapsed());
        let text = out.to_string();
        assert!(!text.contains("compile_error"), "{text}");
        n_tokens = text.split_whitespace().count();
    }
    let first = times.remove(0);
    times.sort();
    println!("expansion of {} lines to about {n_tokens} tokens", PROBLEM.trim().lines().count());
    println!("first {first:.1?}, then least {:.1?}, median {:.1?}", times[0], times[times.len() / 2]);
}
