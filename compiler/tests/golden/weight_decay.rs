/// Weight decay for every weight of a softmax regression.
#[bilevel]
pub mod weight_decay {
    use super::*;

    /// Training loss: softmax regression with its own L2 penalty on every weight.
    #[inner(minimize = w)]
    pub fn train(w: &Array2<f64>, log_l2: &Array2<f64>, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        let penalty = 0.5 * (log_l2.exp() * w * w).sum();
        cross_entropy(&x.dot(w), y) + penalty
    }

    /// Validation loss.
    #[outer(minimize = log_l2)]
    pub fn validate(w: &Array2<f64>, x_val: &Array2<f64>, y_val: &Array1<usize>) -> f64 {
        cross_entropy(&x_val.dot(w), y_val)
    }
}
