use bilevel::prelude::*;

#[bilevel(hypergradient = implicit(neumann, terms = 10, tolerance = 1e-8))]
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

#[bilevel(hypergradient = unrolled(mode = mixed, steps = 100, memory = "1 MiB", checkpoint = sqrt), inner = momentum(0.1, 0.9))]
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

#[bilevel(hypergradient = unrolled(mode = mixed, steps = 100, until = 1e-3, checkpoint = every(10)), inner = momentum(0.1, 0.9))]
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
