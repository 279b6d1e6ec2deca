//! Losses: means over rows.

use ndarray::{ArrayRef, Dimension, Ix1, Ix2};

use super::rows::log_sum_exp_of;
use crate::Float;

/// Mean cross-entropy of softmax predictions: `1/n Σ_i (ln Σ_k exp(z_ik) − z_{i,y_i})` for logits `z` of shape `(n, k)` and labels `y` of
/// shape `(n,)`, each below `k`.
///
/// # Panics
/// If there are no rows, the numbers of rows differ, or a label is not below `k`.
///
/// ```
/// use bilevel_runtime::functions::cross_entropy;
/// let loss = cross_entropy(&ndarray::array![[0.0, 0.0], [0.0, 0.0]], &ndarray::array![0, 1]);
/// assert_eq!(loss, 2.0_f64.ln());
/// ```
pub fn cross_entropy<T: Float>(logits: &ArrayRef<T, Ix2>, labels: &ArrayRef<usize, Ix1>) -> T {
    let (n, k) = logits.dim();
    assert!(n == labels.len(), "cross_entropy: logits have {n} rows (shape [{n}, {k}]), but there are {} labels", labels.len());
    assert!(n > 0, "cross_entropy: there are no rows, so that there is no mean");
    let mut total = T::zero();
    for (i, (row, &label)) in logits.rows().into_iter().zip(labels).enumerate() {
        assert!(label < k, "cross_entropy: label {label} at row {i} is not below the number of columns of the logits, {k}");
        total += log_sum_exp_of(&row) - row[label];
    }
    total / T::from_f64(n as f64)
}

/// Mean squared error `1/N Σ (a − b)²` over all `N` elements of two arrays of one shape: the mean over rows, and over columns where there are
/// several.
///
/// # Panics
/// If the shapes differ or there are no elements.
///
/// ```
/// use bilevel_runtime::functions::mse;
/// assert_eq!(mse(&ndarray::array![1.0, 2.0], &ndarray::array![1.0, 4.0]), 2.0);
/// ```
pub fn mse<T: Float, D: Dimension>(prediction: &ArrayRef<T, D>, target: &ArrayRef<T, D>) -> T {
    assert!(prediction.shape() == target.shape(), "mse: the shapes differ: {:?} and {:?}", prediction.shape(), target.shape());
    assert!(!prediction.is_empty(), "mse: there are no elements (shape {:?}), so that there is no mean", prediction.shape());
    let total = prediction.iter().zip(target.iter()).map(|(&a, &b)| (a - b) * (a - b)).sum::<T>();
    total / T::from_f64(prediction.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn cross_entropy_of_a_confident_and_right_prediction_is_zero() {
        let logits = array![[1000.0, 0.0], [0.0, 1000.0]];
        assert_eq!(cross_entropy(&logits, &array![0, 1]), 0.0);
        assert_eq!(cross_entropy(&logits, &array![1, 0]), 1000.0);
    }

    #[test]
    #[should_panic(expected = "label 2 at row 1 is not below the number of columns")]
    fn a_label_out_of_range_is_named() {
        let _ = cross_entropy(&Array2::<f64>::zeros((2, 2)), &array![0, 2]);
    }

    #[test]
    #[should_panic(expected = "the shapes differ: [2] and [3]")]
    fn shapes_that_differ_are_named() {
        let _ = mse(&array![1.0, 2.0], &array![1.0, 2.0, 3.0]);
    }
}
