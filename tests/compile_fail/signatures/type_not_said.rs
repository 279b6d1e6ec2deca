use bilevel::prelude::*;

#[bilevel]
mod problem {
    use super::*;

    fn scale<F: Float>(n: usize) -> F {
        F::from(n).unwrap()
    }

    #[inner(minimize = w)]
    pub fn train(w: &f64, l: &f64) -> f64 {
        let s: f64 = scale(3);
        s * w * w * l
    }

    #[outer(minimize = l)]
    pub fn validate(w: &f64) -> f64 {
        *w
    }
}

fn main() {}
