use bilevel::prelude::*;

#[bilevel(hypergradient = implicit)]
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

#[bilevel(hypergradient = unrolled(steps = 100), inner = momentum(0.1, 0.9))]
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

#[bilevel(hypergradient = unrolled(mode = truncated), inner = momentum(0.1))]
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

#[bilevel(hypergradient = unrolled(mode = mixed, steps = 100))]
mod problem3 {
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
