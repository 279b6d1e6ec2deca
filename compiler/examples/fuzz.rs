//! Fuzzing of the macros: items that go through, broken at random, until one makes the compiler panic.
//!
//! ```sh
//! cargo run --release -p bilevel-compiler --example fuzz -- tests/many_functions/main.rs 1
//! ```
//!
//! The arguments are a file with annotated items and the first seed. Each seed is one item; a failure names it and gives the smallest item that
//! still fails. What it finds belongs into `tests/any_tokens.rs`, whose seeded corpus every run of the tests goes through.

use std::process::ExitCode;

use bilevel_compiler::testing::Random;
use bilevel_compiler::testing::tokens::{annotated, expansion, mutate, pool, shrink};
use proc_macro2::TokenStream;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(path), first) = (args.next(), args.next().and_then(|n| n.parse().ok()).unwrap_or(0)) else {
        eprintln!("a file with annotated items, and the first seed");
        return ExitCode::FAILURE;
    };
    let corpus = match std::fs::read_to_string(&path) {
        Ok(text) => annotated(&text),
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    if corpus.is_empty() {
        eprintln!("{path} has no item with an attribute of this crate");
        return ExitCode::FAILURE;
    }
    // The compiler catches its panics and reports them; their messages would hide everything else.
    std::panic::set_hook(Box::new(|_| {}));
    let pool = pool();
    for seed in first.. {
        let mut random = Random::new(seed);
        let (problem, item) = random.pick(&corpus).clone();
        let item = (0..1 + random.below(4)).fold(item, |item, _| mutate(item, &pool, &mut random));
        let fails = |item: &TokenStream| expansion(problem, &TokenStream::new(), item).is_err();
        if fails(&item) {
            println!("seed {seed}:\n{}", shrink(&item, &fails));
            return ExitCode::FAILURE;
        }
        if seed % 10_000 == 0 {
            println!("seed {seed}");
        }
    }
    ExitCode::SUCCESS
}
