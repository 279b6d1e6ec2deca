use bilevel::prelude::*;

mod settings {
    use bilevel::prelude::*;

    #[differentiable]
    pub(crate) const RATE: f64 = 0.5;
}

use settings::*;

const RATE: f64 = 2.0;

#[differentiable]
fn f(x: f64) -> f64 {
    RATE * x
}

fn main() {}
