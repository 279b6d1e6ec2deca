use bilevel::prelude::*;

#[bilevel]
mod problem {
    fn power(x: f64, n: usize) -> f64 {
        if n == 0 { 1.0 } else { x * power(x, n - 1) }
    }

    #[inner(minimize = w)]
    fn train(w: &f64, penalty: &f64) -> f64 {
        penalty * power(*w, 3)
    }

    #[outer(minimize = penalty)]
    fn validate(w: &f64) -> f64 {
        w - 1.0
    }
}

fn main() {}
