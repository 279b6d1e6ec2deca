use bilevel::prelude::*;

#[bilevel]
mod problem {}

fn main() {}
