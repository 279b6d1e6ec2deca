use bilevel::prelude::*;

#[bilevel(hypergradient = unrolled(mode = mixed, steps = 100), inner = momentum(0.1, 0.9))]
mod not_named {
    #[inner(minimize = w)]
    fn train(w: &f64, log_l2: &f64) -> f64 {
        (w - 1.0).powi(2) + log_l2.exp() * w * w
    }

    #[outer(minimize = log_l2, optimizer(log_rate: f64))]
    fn validate(w: &f64) -> f64 {
        (w - 1.0).powi(2)
    }
}

fn main() {}
