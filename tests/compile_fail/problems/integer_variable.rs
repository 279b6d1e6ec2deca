use bilevel::prelude::*;

#[bilevel]
mod problem {
    #[inner(minimize = n)]
    fn train(n: &usize, penalty: &f64) -> f64 {
        penalty * *n as f64
    }

    #[outer(minimize = penalty)]
    fn validate(n: &usize) -> f64 {
        *n as f64
    }
}

fn main() {}
