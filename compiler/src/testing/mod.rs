//! What the tests of several crates share: seeded random numbers, and random programs with arguments for them.
//!
//! Not part of the interface.

pub mod program;
pub mod random;

pub use program::{Limits, Program, program};
pub use random::Random;
