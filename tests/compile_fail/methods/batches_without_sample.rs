use bilevel::prelude::*;

#[bilevel(hypergradient = unrolled(mode = mixed, steps = 100, batches = of(32, seed = 7)), inner = momentum(0.1, 0.9))]
mod problem {
    use super::*;

    #[inner(minimize = w)]
    fn train(w: &Array1<f64>, log_l2: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&x.dot(w), y) + log_l2.exp() * w.dot(w)
    }

    #[outer(minimize = log_l2)]
    fn validate(w: &Array1<f64>) -> f64 {
        w.sum()
    }
}

fn main() {}
