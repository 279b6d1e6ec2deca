/// Mean squared error of a linear model with a penalty.
#[differentiable(wrt(w))]
pub fn ridge(w: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>, l2: f64) -> f64 {
    let residual = x.dot(w) - y;
    let penalty = l2 * (w * w).sum();
    (&residual * &residual).mean().unwrap() + penalty
}
