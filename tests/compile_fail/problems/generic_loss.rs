use bilevel::prelude::*;

#[bilevel]
pub mod problem {
    #[inner(minimize = w)]
    pub fn train<const N: usize>(w: &[f64; N], log_l2: &f64) -> f64 {
        w[0] * w[0] * log_l2.exp()
    }

    #[outer(minimize = log_l2)]
    pub fn validate<const N: usize>(w: &[f64; N]) -> f64 {
        w[0]
    }
}

fn main() {}
