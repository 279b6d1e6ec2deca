use bilevel::prelude::*;

#[bilevel]
mod problem {
    use super::*;

    #[inner(minimize = w)]
    fn train(w: &Array1<f64>, penalty: &Array1<f64>) -> Array1<f64> {
        penalty * w * w
    }

    #[outer(minimize = penalty)]
    fn validate(w: &Array1<f64>) -> f64 {
        w.sum()
    }
}

fn main() {}
