/// A regression whose learning rate is tuned, on batches of two rows.
#[bilevel(hypergradient = unrolled(mode = mixed, steps = 10, batches = of(2, seed = 7)), inner = momentum(log_rate.exp(), momentum = 0.9))]
pub mod configured {
    use super::*;

    /// Training loss.
    #[inner(minimize = w, sample(x, y))]
    pub fn train(w: &Array1<f64>, log_rate: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&x.dot(w), y) + 0.01 * log_rate * w.sum()
    }

    /// Validation loss.
    #[outer(minimize = log_rate)]
    pub fn validate(w: &Array1<f64>) -> f64 {
        w.dot(w)
    }
}
