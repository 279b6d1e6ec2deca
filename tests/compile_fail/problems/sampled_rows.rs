use bilevel::prelude::*;

#[bilevel]
mod one_of_two {
    use super::*;

    #[inner(minimize = w, sample(x))]
    fn train(w: &Array1<f64>, log_l2: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&x.dot(w), y) + log_l2.exp() * w.dot(w)
    }

    #[outer(minimize = log_l2)]
    fn validate(w: &Array1<f64>) -> f64 {
        w.sum()
    }
}

#[bilevel]
mod weights {
    use super::*;

    #[inner(minimize = w, sample(x, y))]
    fn train(w: &Array1<f64>, weight: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        let residual = x.dot(w) - y;
        (weight * &residual * &residual).sum()
    }

    #[outer(minimize = weight)]
    fn validate(w: &Array1<f64>) -> f64 {
        w.sum()
    }
}

#[bilevel]
mod variable {
    use super::*;

    #[inner(minimize = w, sample(x, log_l2))]
    fn train(w: &Array1<f64>, log_l2: &f64, x: &Array2<f64>) -> f64 {
        x.dot(w).sum() * log_l2.exp()
    }

    #[outer(minimize = log_l2)]
    fn validate(w: &Array1<f64>) -> f64 {
        w.sum()
    }
}

fn main() {}
