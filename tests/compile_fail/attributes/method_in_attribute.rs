use bilevel::prelude::*;

#[bilevel(hypergradient = implicit(cg, tolerance = 1e-10))]
mod problem {
    #[inner(minimize = w)]
    fn train(w: &f64, penalty: &f64) -> f64 {
        penalty * w * w
    }

    #[outer(minimize = penalty)]
    fn validate(w: &f64) -> f64 {
        (w - 1.0).powi(2)
    }
}

fn main() {}
