//! Functions along the last axis: one number, or one distribution, per row.

use ndarray::{Array, Array0, Array1, Array2, Array3, ArrayRef, ArrayView1, Axis, Ix1, Ix2, Ix3, Ix4, RemoveAxis};

use crate::Float;

/// Dimensions whose last axis can be reduced; says what is left.
pub trait LastAxis<T>: RemoveAxis {
    /// The array without its last axis; a number for one axis.
    type Reduced;

    /// Makes it from an array of one axis less.
    fn reduced(array: Array<T, Self::Smaller>) -> Self::Reduced;
}

impl<T> LastAxis<T> for Ix1 {
    type Reduced = T;

    fn reduced(array: Array0<T>) -> T {
        array.into_scalar()
    }
}

impl<T> LastAxis<T> for Ix2 {
    type Reduced = Array1<T>;

    fn reduced(array: Array1<T>) -> Array1<T> {
        array
    }
}

impl<T> LastAxis<T> for Ix3 {
    type Reduced = Array2<T>;

    fn reduced(array: Array2<T>) -> Array2<T> {
        array
    }
}

impl<T> LastAxis<T> for Ix4 {
    type Reduced = Array3<T>;

    fn reduced(array: Array3<T>) -> Array3<T> {
        array
    }
}

/// `ln Σ_j exp(x_j)` along the last axis: a number for `Array1`, one number per row for `Array2`.
///
/// The largest element is taken out of the sum first, so that nothing overflows. Over an empty axis the result is `-∞`.
///
/// ```
/// use bilevel_runtime::functions::log_sum_exp;
/// let x = ndarray::array![[0.0, 0.0], [1000.0, 1000.0]];
/// let y = log_sum_exp(&x);
/// assert_eq!(y, ndarray::array![2.0_f64.ln(), 1000.0 + 2.0_f64.ln()]);
/// ```
pub fn log_sum_exp<T: Float, D: LastAxis<T>>(x: &ArrayRef<T, D>) -> D::Reduced {
    D::reduced(x.map_axis(last(x), |row| log_sum_exp_of(&row)))
}

/// `exp(x_j) / Σ_k exp(x_k)` along the last axis: the shape stays, each row sums to one.
///
/// ```
/// use bilevel_runtime::functions::softmax;
/// assert_eq!(softmax(&ndarray::array![0.0, 0.0]), ndarray::array![0.5, 0.5]);
/// ```
pub fn softmax<T: Float, D: LastAxis<T>>(x: &ArrayRef<T, D>) -> Array<T, D> {
    let mut y = x.to_owned();
    for mut row in y.lanes_mut(last(x)) {
        let total = log_sum_exp_of(&row.view());
        row.mapv_inplace(|v| (v - total).exp());
    }
    y
}

fn last<T, D: RemoveAxis>(x: &ArrayRef<T, D>) -> Axis {
    Axis(x.ndim() - 1)
}

/// Log-sum-exp of one row.
pub(super) fn log_sum_exp_of<T: Float>(row: &ArrayView1<'_, T>) -> T {
    let largest = row.iter().copied().fold(T::neg_infinity(), |a, b| if b > a || b.is_nan() { b } else { a });
    if largest.is_infinite() {
        // Every element is -∞, or one is +∞: the differences below would be NaN.
        return largest;
    }
    largest + row.iter().map(|&v| (v - largest).exp()).sum::<T>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, array};

    #[test]
    fn log_sum_exp_of_extremes() {
        assert_eq!(log_sum_exp(&array![f64::NEG_INFINITY, f64::NEG_INFINITY]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&array![f64::INFINITY, 0.0]), f64::INFINITY);
        assert_eq!(log_sum_exp(&Array1::<f64>::zeros(0)), f64::NEG_INFINITY);
        assert!(log_sum_exp(&array![0.0, f64::NAN]).is_nan());
        assert!(log_sum_exp(&array![f64::NAN, 0.0]).is_nan());
    }

    #[test]
    fn softmax_rows_sum_to_one_and_are_unmoved_by_a_shift() {
        let x = array![[1.0, 2.0, -3.0], [700.0, 0.0, -700.0]];
        let y = softmax(&x);
        for row in y.rows() {
            assert!((row.sum() - 1.0_f64).abs() < 1e-15);
        }
        let shifted = softmax(&(&x + 5.0));
        assert!((&y - &shifted).iter().all(|d| d.abs() < 1e-15));
        assert_eq!(softmax(&x.t()).dim(), (3, 2));
    }

    #[test]
    fn three_axes_reduce_the_last() {
        let x = Array3::<f64>::zeros((2, 3, 4));
        assert_eq!(log_sum_exp(&x), Array2::from_elem((2, 3), 4.0_f64.ln()));
    }
}
