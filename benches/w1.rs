//! Workload W1: softmax regression on digits with one L2 penalty per weight (640 outer variables), in `f64` and `f32`, on one thread.
//!
//! It times the inner solve from zero by Newton-CG, and the implicit hypergradient by conjugate gradients at that solution, which includes one
//! evaluation of the inner gradient, the outer loss and gradient, and the recomputation of the true residual. Inputs are the same everywhere: the
//! first 1200 rows are for training, the other 597 for validation, and the log-penalties are `ln 10⁻³ + u / 2` with `u` in [-1, 1) from
//! a linear congruential generator of 64 bits, so that norms can be compared with other implementations digit by digit.
//!
//! Run it with `cargo bench --bench w1`, or `cargo bench --bench w1 -- REPETITIONS`.

#[allow(dead_code)]
#[path = "../examples/common/digits.rs"]
mod digits;

use std::time::Instant;

use bilevel::prelude::*;
use digits::Digits;

/// What one precision needs: a problem of its own, since element types are part of a problem.
macro_rules! workload {
    ($name:ident, $T:ident, inner_tolerance: $inner_tolerance:expr, linear_tolerance: $linear_tolerance:expr) => {
        #[doc = concat!("The problem in `", stringify!($T), "`.")]
        #[bilevel]
        pub mod $name {
            use super::*;

            /// Training loss: softmax regression with its own penalty on every weight.
            #[inner(minimize = w)]
            pub fn train(w: &Array2<$T>, log_l2: &Array2<$T>, x: &Array2<$T>, y: &Array1<usize>) -> $T {
                cross_entropy(&x.dot(w), y) + 0.5 * (log_l2.exp() * w * w).sum()
            }

            /// Validation loss.
            #[outer(minimize = log_l2)]
            pub fn validate(w: &Array2<$T>, x_val: &Array2<$T>, y_val: &Array1<usize>) -> $T {
                cross_entropy(&x_val.dot(w), y_val)
            }
        }

        impl Workload for $T {
            fn run(digits: &Digits, log_l2: &Array2<f64>, n_repetitions: usize) -> Result<(), bilevel::Error> {
                let cast = |a: &Array2<f64>| a.mapv(|v| v as $T);
                let ((x, y), (x_val, y_val)) = (digits.rows(0..1200), digits.rows(1200..1797));
                let (x, x_val, log_l2) = (cast(&x), cast(&x_val), cast(log_l2));
                let problem = $name::Problem { x: &x, y: &y, x_val: &x_val, y_val: &y_val };
                let mut solver = problem
                    .solver(Implicit::cg().tolerance($linear_tolerance).max_iterations(2000))
                    .inner(NewtonCg::default().tolerance($inner_tolerance));
                let zero = Array2::zeros(log_l2.dim());

                let (solved, times) = timed(n_repetitions, || solver.solve_inner(&log_l2, &zero))?;
                let outcome = solved.outcome;
                println!("{} inner solve:    {times}", stringify!($T));
                println!("    {} Newton steps, gradient norm {:.1e}", outcome.n_iterations, outcome.gradient_norm);

                let (hyper, times) = timed(n_repetitions, || solver.hypergradient(&log_l2, &solved.inner))?;
                let norm = hyper.gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
                println!("{} hypergradient:  {times}", stringify!($T));
                println!("    {} curvature products, norm {norm:.12e}", hyper.report.n_products);
                Ok(())
            }
        }
    };
}
workload!(w1_f64, f64, inner_tolerance: 1e-8, linear_tolerance: 1e-10);
workload!(w1_f32, f32, inner_tolerance: 2e-6, linear_tolerance: 1e-6);

trait Workload {
    /// Solves, differentiates, and prints what it took.
    fn run(digits: &Digits, log_l2: &Array2<f64>, n_repetitions: usize) -> Result<(), bilevel::Error>;
}

/// What the last of some calls gives, and the shortest and the median time, for people.
fn timed<R>(n_repetitions: usize, mut f: impl FnMut() -> Result<R, bilevel::Error>) -> Result<(R, String), bilevel::Error> {
    // The first call finds no memory allocated and is not counted.
    let mut result = f()?;
    let mut times = Vec::with_capacity(n_repetitions);
    for _ in 0..n_repetitions {
        let began = Instant::now();
        result = f()?;
        times.push(1e3 * began.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok((result, format!("{:7.2} ms at least, {:7.2} ms in the median of {n_repetitions}", times[0], times[n_repetitions / 2])))
}

/// Uniform numbers in [0, 1) from `s ← 6364136223846793005 s + 1442695040888963407`, of whose 64 bits the upper 53 count.
fn uniform(seed: u64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(seed), |s| Some(s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)))
        .skip(1)
        .map(|s| (s >> 11) as f64 / (1_u64 << 53) as f64)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Cargo hands its own flags (`--bench`) to a benchmark without harness; the one number is ours.
    let n_repetitions = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(20_usize).max(1);
    let digits = Digits::load()?;
    let log_l2: Vec<f64> = uniform(11).take(640).map(|u| 1e-3_f64.ln() + 0.5 * (2.0 * u - 1.0)).collect();
    let log_l2 = Array2::from_shape_vec((64, 10), log_l2)?;
    f64::run(&digits, &log_l2, n_repetitions)?;
    f32::run(&digits, &log_l2, n_repetitions)?;
    Ok(())
}
