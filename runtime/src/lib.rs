//! Kernels, solvers and hypergradient methods that generated code runs on.

mod checkpoint;
mod compare;
pub mod condition;
pub mod error;
mod fingerprint;
mod float;
pub mod functions;
mod kernels;
pub mod linalg;
pub mod linear;
mod memory_size;
pub mod meta;
pub mod methods;
pub mod params;
#[cfg(feature = "plots")]
mod plot;
pub mod problem;
mod progress;
mod random;
pub mod report;
#[doc(hidden)]
pub mod rt;
mod sampling;
mod several;
pub mod solve;
pub mod solver;
mod trace;
pub mod updates;
pub mod vector;

pub use compare::{Compared, Comparison, Reference, Row, compare};
pub use error::Error;
pub use float::Float;
pub use params::Params;
pub use problem::{BilevelProblem, LossesReadOuter, StepProblem};
pub use report::Report;
pub use solver::ProblemExt;

/// The `ndarray` that the crate was built with.
pub use ndarray;
