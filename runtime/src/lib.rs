//! Kernels, solvers and hypergradient methods that generated code runs on.

mod float;

pub use float::Float;
