use bilevel::prelude::*;

mod settings {
    use bilevel::prelude::*;

    pub const RATE: f64 = 0.5;

    #[differentiable]
    pub const SCALE: f64 = 2.0;
}

const OWN: f64 = 3.0;

#[differentiable]
fn f(x: f64) -> f64 {
    settings::RATE * settings::SCALE * x + OWN
}

fn main() {}
