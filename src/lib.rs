//! A differentiation compiler for Rust: exact gradients of training problems that sit inside other training problems.
//!
//! A bilevel problem has an inner loss, minimized over some variables, and an outer loss at the inner solution, minimized over others: the
//! hyperparameters of a training run and its validation loss, a learned initialisation and the tasks that start from it. `bilevel` compiles both
//! losses, ordinary Rust functions over [`ndarray`], to derivatives of any order, and from these makes the exact gradient of the outer
//! problem, the hypergradient.
//!
//! ```
//! use bilevel::prelude::*;
//!
//! #[bilevel]
//! pub mod ridge {
//!     use super::*;
//!
//!     /// Training loss: squared error with its own penalty on every feature.
//!     #[inner(minimize = w)]
//!     pub fn train(w: &Array1<f64>, log_l2: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
//!         mse(&x.dot(w), y) + (log_l2.exp() * w * w).sum()
//!     }
//!
//!     /// Validation loss.
//!     #[outer(minimize = log_l2)]
//!     pub fn validate(w: &Array1<f64>, x_val: &Array2<f64>, y_val: &Array1<f64>) -> f64 {
//!         mse(&x_val.dot(w), y_val)
//!     }
//! }
//! # fn main() -> Result<(), bilevel::Error> {
//! let x = array![[1.0, 0.2], [0.3, -1.0], [0.5, 0.5], [-1.2, 0.4]];
//! let y = array![1.1, 0.1, 0.7, -1.0];
//! let problem = ridge::Problem { x: &x, y: &y, x_val: &array![[0.9, 0.1], [-0.4, 1.0]], y_val: &array![1.0, -0.5] };
//!
//! let mut solver = problem.solver(Implicit::cg().tolerance(1e-10)).inner(Lbfgs::default().tolerance(1e-9));
//! let log_l2 = array![-1.0, -1.0];
//! let h = solver.hypergradient(&log_l2, &Array1::zeros(2))?;
//! assert_eq!(h.gradient.len(), 2);
//!
//! let tuned = solver.minimize(&log_l2, &h.inner, Adam::new(0.1), 50)?;
//! assert!(tuned.value < h.value);
//!
//! // The functions are what they were: plain Rust.
//! let again = ridge::validate(&tuned.inner, problem.x_val, problem.y_val);
//! assert!((again - tuned.value).abs() < 1e-12);
//! # Ok(())
//! # }
//! ```
//!
//! # Where things are
//!
//! - [`macro@bilevel`] turns a module into a problem, [`macro@differentiable`] gives one function its derivatives.
//! - [`prelude`] has everything that a program with a problem needs.
//! - [`functions`] has the functions that the compiler knows beside those of the standard library and `ndarray`.
//! - [`ProblemExt`], on every generated `Problem`, makes a [`Solver`](solver::Solver) from a [method](methods) and an [optimiser](solve).
//!
//! # Features
//!
//! - `linalg`, on by default: factorisations by faer, in [`linalg`] and for direct solvers.
//! - `serde`: `Serialize` and `Deserialize` of arrays, for structs that derive them.
//! - `plots`: `Tuned::trace_svg`, the trace of a minimisation as a drawing.
//! - `progress`: `Solver::progress`, a progress bar on the terminal.
//!
//! # What it does not know
//!
//! The crate is only a facade. The compiler is `bilevel-compiler` and knows nothing of the runtime; the runtime is `bilevel-runtime` and knows
//! nothing of the compiler. Generated code is all that stands between them, and it names only `bilevel::rt`.

pub use bilevel_macros::{Params, bilevel, derivative, differentiable, grad, hvp, jvp, value_and_grad};
pub use bilevel_runtime::{BilevelProblem, Error, Float, LossesReadOuter, Params, ProblemExt, Report, StepProblem};
pub use bilevel_runtime::{Compared, Comparison, Reference, Row, compare};
pub use bilevel_runtime::{condition, functions, linalg, linear, meta, methods, ndarray, params, report, solve, solver, updates, vector};

pub use bilevel_runtime::functions::{
    argmax, argmax_axis, argmin, argmin_axis, batched_dot, cross_entropy, cumsum, gather, log_sum_exp, max_axis, min_axis, mse, norm,
    outer, scatter_add, select, softmax, stop_gradient,
};

pub use bilevel_runtime::functions::{attention, batch_norm, causal_attention, embedding, layer_norm, log_softmax};
pub use bilevel_runtime::functions::{avg_pool2d, conv2d, dilated_conv2d, masked_attention, max_pool2d, one_hot};

#[doc(hidden)]
pub use bilevel_macros::__resume;
#[doc(hidden)]
pub use bilevel_runtime::rt;

/// Everything that a program with a problem needs: `use bilevel::prelude::*;`.
pub mod prelude {
    pub use bilevel_macros::{Params, bilevel, derivative, differentiable, grad, hvp, jvp, value_and_grad};

    pub use bilevel_runtime::functions::{
        ArrayFunctions, ScalarFunctions, argmax, argmax_axis, argmin, argmin_axis, batched_dot, cross_entropy, cumsum, gather, log_sum_exp,
        max_axis, min_axis, mse, norm, outer, scatter_add, select, softmax, stop_gradient,
    };
    pub use bilevel_runtime::functions::{attention, batch_norm, causal_attention, embedding, layer_norm, log_softmax};
    pub use bilevel_runtime::functions::{avg_pool2d, conv2d, dilated_conv2d, masked_attention, max_pool2d, one_hot};
    pub use bilevel_runtime::linear::Preconditioner;
    pub use bilevel_runtime::methods::{
        Batches, Checkpoints, Differences, EvoGrad, FineTuning, FiniteDifferences, Implicit, Noise, OwnStep, Phantom, TwoStage, Unrolled,
    };
    pub use bilevel_runtime::solve::{Adam, AdamW, GradientDescent, Hyper, Lbfgs, Momentum, Nesterov, NewtonCg, RmsProp};
    pub use bilevel_runtime::solve::{Anderson, Broyden, Picard, Projected, Reparametrized, SignDescent};
    pub use bilevel_runtime::solver::{Start, Tolerances};
    pub use bilevel_runtime::{BilevelProblem, Float, LossesReadOuter, Params, ProblemExt, Report, StepProblem, compare, linalg};

    pub use bilevel_runtime::ndarray::{
        self, Array, Array0, Array1, Array2, Array3, Array4, ArrayView0, ArrayView1, ArrayView2, ArrayView3,
    };
    pub use bilevel_runtime::ndarray::{ArrayView4, Axis, Zip, array, azip, concatenate, s, stack};
}
