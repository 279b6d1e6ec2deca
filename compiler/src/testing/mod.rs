//! What the tests of several crates share: seeded random numbers, random programs with arguments for them, and comparisons with differences.
//!
//! Not part of the interface.

pub mod check;
pub mod examples;
pub mod program;
pub mod random;

pub use program::{Limits, Program, program};
pub use random::Random;
