use bilevel::prelude::*;

#[bilevel]
mod problem {
    use super::*;

    #[inner(minimize = weights)]
    fn train(w: &Array1<f64>, penalty: &Array1<f64>, t: &Array1<f64>) -> f64 {
        mse(w, t) + (penalty * w * w).sum()
    }

    #[outer(minimize = penalty)]
    fn validate(w: &Array1<f64>, t: &Array1<f64>) -> f64 {
        mse(w, t)
    }
}

fn main() {}
