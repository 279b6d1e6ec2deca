use bilevel::prelude::*;

#[bilevel(hypergradient = implicit(cg, tolerance = 1))]
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

#[bilevel(hypergradient = unrolled(mode = mixed, steps = 100, memory = "256 mb"), inner = momentum(0.1, 0.9))]
mod problem1 {
    #[inner(minimize = w)]
    fn train(w: &f64, log_rate: &f64) -> f64 {
        (w - log_rate).powi(2)
    }

    #[outer(minimize = log_rate)]
    fn validate(w: &f64) -> f64 {
        (w - 1.0).powi(2)
    }
}

#[bilevel(hypergradient = unrolled(mode = mixed, steps = -1), inner = momentum(log_rate.sqrt(), 0.9))]
mod problem2 {
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
