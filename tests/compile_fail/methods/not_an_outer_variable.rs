use bilevel::prelude::*;

#[bilevel(hypergradient = unrolled(mode = mixed, steps = 100), inner = momentum(rate = log_rates.exp(), momentum = 0.9))]
mod problem0 {
    #[inner(minimize = w)]
    fn train(w: &f64, log_rate: &f64) -> f64 {
        (w - log_rate).powi(2)
    }

    #[outer(minimize = log_rate)]
    fn validate(w: &f64) -> f64 {
        (w - 1.0).powi(2)
    }
}

fn main() {}
