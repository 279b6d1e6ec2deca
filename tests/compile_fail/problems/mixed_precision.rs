use bilevel::prelude::*;

#[bilevel]
mod problem {
    use super::*;

    #[inner(minimize = w)]
    fn train(w: &Array1<f64>, penalty: &f32) -> f64 {
        (w * w).sum() * *penalty as f64
    }

    #[outer(minimize = penalty)]
    fn validate(w: &Array1<f64>) -> f64 {
        w.sum()
    }
}

fn main() {}
