use bilevel::prelude::*;

#[bilevel(hypergradient = implicit(cg))]
mod problem {
    #[inner(minimize = w)]
    pub fn train(w: &f64, log_l2: &f64) -> f64 {
        (w - 1.0).powi(2) + log_l2.exp() * w * w
    }

    #[outer(minimize = log_l2, optimizer(log_rate: f64))]
    pub fn validate(w: &f64) -> f64 {
        (w - 0.5).powi(2)
    }
}

fn main() {}
