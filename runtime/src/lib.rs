//! Kernels, solvers and hypergradient methods that generated code runs on.

pub mod error;
mod float;
pub mod functions;
mod kernels;
pub mod linear;
pub mod params;
pub mod problem;
#[doc(hidden)]
pub mod rt;
pub mod solve;
pub mod vector;

pub use error::Error;
pub use float::Float;
pub use params::Params;
pub use problem::BilevelProblem;
