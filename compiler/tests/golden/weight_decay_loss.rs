/// Training loss: softmax regression with its own L2 penalty on every weight.
#[differentiable(wrt(w, log_l2))]
fn train(w: &Array2<f64>, log_l2: &Array2<f64>, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
    let penalty = 0.5 * (log_l2.exp() * w * w).sum();
    cross_entropy(&x.dot(w), y) + penalty
}
