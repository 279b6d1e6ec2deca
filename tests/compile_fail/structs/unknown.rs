use bilevel::prelude::*;

mod model {
    pub enum Step {
        Pair { a: f64, b: f64 },
    }
}

#[differentiable]
fn f(x: f64) -> f64 {
    let _step = model::Step::Pair { a: x, b: 2.0 * x };
    x * x
}

fn main() {}
