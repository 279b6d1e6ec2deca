//! The runtime as generated code and users see it, on problems written by hand.

mod certificate;
mod compare;
mod driver;
mod first_order;
mod fixed_point;
mod forward;
mod hypergradient;
mod implicit;
mod minimize;
mod problems;
mod solvers;
mod unrolled;
