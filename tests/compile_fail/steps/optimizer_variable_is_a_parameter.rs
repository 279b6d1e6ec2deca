#![allow(unreachable_code, unused_variables)]

use bilevel::prelude::*;

#[bilevel]
mod problem {
    use super::*;

    #[inner(minimize = w)]
    pub fn train(w: &Array1<f64>, log_l2: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&x.dot(w), y) + log_l2.exp() * w.dot(w)
    }

    fn moved(w: &Array1<f64>, rate: f64, g: Array1<f64>) -> Array1<f64> {
        w - rate * g
    }

    #[step]
    pub fn descend(w: &Array1<f64>, rate: &f64, log_l2: &f64, x: &Array2<f64>, y: &Array1<f64>) -> Array1<f64> {
        moved(w, *rate, grad!(train, w))
    }

    #[outer(minimize = log_l2, optimizer(rate: f64))]
    pub fn validate(w: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&x.dot(w), y)
    }
}

fn main() {}
