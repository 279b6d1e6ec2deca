use bilevel::prelude::*;

struct Model(f64);

impl Model {
    #[differentiable]
    fn loss(x: f64) -> f64 {
        x * x
    }

    #[differentiable]
    fn scaled(&self, x: f64) -> f64 {
        self.0 * x
    }
}

fn main() {}
