//! Random programs, compiled with their derivatives and run against the reference evaluator.
//!
//! The generated code goes into a file that `trybuild` compiles and runs; a failure names the seed. `BILEVEL_EMITTED_PROGRAMS=100..200` says which seeds
//! there are.

mod programs;
mod written;

use std::ops::Range;
use std::path::PathBuf;

/// The seeds that a variable of the environment names, or the usual ones.
fn seeds(variable: &str, usual: Range<u64>) -> Range<u64> {
    let Ok(range) = std::env::var(variable) else { return usual };
    let (first, end) = range.split_once("..").expect("a range of seeds");
    first.parse().expect("the first seed")..end.parse().expect("the end of the seeds")
}

#[test]
fn emitted_programs_agree_with_the_evaluator() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("random_programs.rs");
    std::fs::write(&path, programs::file(seeds("BILEVEL_EMITTED_PROGRAMS", 0..16))).expect("a writable directory");
    trybuild::TestCases::new().pass(path);
}
