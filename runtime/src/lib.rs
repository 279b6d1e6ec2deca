//! Kernels, solvers and hypergradient methods that generated code runs on.
