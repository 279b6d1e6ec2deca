//! What the tests of several crates share: seeded random numbers, random programs with arguments for them, comparisons with differences, and a way to
//! make a failing program smaller.
//!
//! Not part of the interface.

pub mod check;
pub mod examples;
pub mod places;
pub mod program;
pub mod random;
pub mod regression;
pub mod shrink;
pub mod tokens;

pub use program::{Limits, Program, program};
pub use random::Random;
