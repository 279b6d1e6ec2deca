use bilevel::prelude::*;

#[bilevel]
mod problem {
    use super::*;

    #[inner(minimize = w)]
    pub fn train(w: &Array1<f64>, log_l2: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&x.dot(w), y) + log_l2.exp() * w.dot(w)
    }

    #[step]
    pub fn descend(v: &Array1<f64>, log_l2: &f64, x: &Array2<f64>, y: &Array1<f64>) -> Array1<f64> {
        v - 0.1 * grad!(train(v, log_l2, x, y), w)
    }

    #[outer(minimize = log_l2)]
    pub fn validate(w: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&x.dot(w), y)
    }
}

fn main() {}
