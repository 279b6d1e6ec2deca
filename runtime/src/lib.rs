//! Kernels, solvers and hypergradient methods that generated code runs on.

pub mod error;
mod float;

pub use error::Error;
pub use float::Float;
