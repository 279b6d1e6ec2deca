//! Layers of networks: normalisation, embedding, attention.
//!
//! The compiler knows each as the composition that its formula says, so that its derivatives of any order are derived and not written by hand. The cost of a
//! gradient is about three times that of the value.

use ndarray::{Array, ArrayRef, Axis, Dimension, Ix1, Ix2, IxDyn, RemoveAxis, Zip};

use super::rows::{LastAxis, log_sum_exp_of};
use crate::Float;
use crate::kernels::elements;

/// `x_j − ln Σ_k exp(x_k)` along the last axis: the logarithm of [`softmax`](super::softmax), exact where that underflows. The shape stays.
///
/// One exponential for each element.
///
/// ```
/// use bilevel_runtime::functions::log_softmax;
/// assert_eq!(log_softmax(&ndarray::array![0.0, -1000.0]), ndarray::array![0.0, -1000.0]);
/// ```
pub fn log_softmax<T: Float, D: LastAxis<T>>(x: &ArrayRef<T, D>) -> Array<T, D> {
    let mut y = x.to_owned();
    for mut row in y.lanes_mut(Axis(x.ndim() - 1)) {
        let total = log_sum_exp_of(&row.view());
        row.mapv_inplace(|v| v - total);
    }
    y
}

/// Layer normalisation: each row along the last axis with mean zero and variance one, times `gamma` plus `beta`: `(x − μ) / √(σ² + eps) · γ + β`, where
/// `σ²` is the mean of the squared distances from the mean `μ` of the row (Ba, Kiros and Hinton, "Layer normalization", 2016). Shapes: `x` of `(.., n)`, `gamma` and `beta`
/// of `(n)`; the result has the shape of `x`. Three passes over `x`.
///
/// # Panics
/// If `gamma` or `beta` have another length than the last axis.
///
/// ```
/// use bilevel_runtime::functions::layer_norm;
/// use ndarray::array;
/// let y = layer_norm(&array![[1.0, 3.0]], &array![1.0, 2.0], &array![0.0, 0.5], 0.0);
/// assert_eq!(y, array![[-1.0, 2.5]]);
/// ```
pub fn layer_norm<T: Float, D: Dimension>(x: &ArrayRef<T, D>, gamma: &ArrayRef<T, Ix1>, beta: &ArrayRef<T, Ix1>, eps: T) -> Array<T, D> {
    let last = x.ndim().checked_sub(1).expect("layer_norm: the operand is a number");
    check_channels("layer_norm", x.shape(), last, gamma, beta);
    let mut y = x.to_owned();
    for mut row in y.lanes_mut(Axis(last)) {
        let (mean, scale) = moments(row.iter().copied(), row.len(), eps);
        Zip::from(&mut row).and(gamma).and(beta).for_each(|y, &gamma, &beta| *y = (*y - mean) * scale * gamma + beta);
    }
    y
}

/// Batch normalisation with the statistics of the batch itself: each channel, a position on axis 1, with mean zero and variance one over all other axes, times
/// `gamma` plus `beta`: `(x − μ) / √(σ² + eps) · γ + β`, where `σ²` is the mean of the squared distances from the mean `μ` of the channel (Ioffe and Szegedy, "Batch normalization", 2015, without its
/// moving averages). Shapes: `x` of `(n, c, ..)`, `gamma` and `beta` of `(c)`; the result has the shape of `x`. Three passes over `x`. The derivative goes
/// through the statistics, so that the examples of a batch depend on each other.
///
/// # Panics
/// If `x` has fewer than two axes, or `gamma` or `beta` have another length than its axis 1.
///
/// ```
/// use bilevel_runtime::functions::batch_norm;
/// use ndarray::array;
/// let y = batch_norm(&array![[1.0], [3.0]], &array![2.0], &array![0.5], 0.0);
/// assert_eq!(y, array![[-1.5], [2.5]]);
/// ```
pub fn batch_norm<T: Float, D: RemoveAxis>(x: &ArrayRef<T, D>, gamma: &ArrayRef<T, Ix1>, beta: &ArrayRef<T, Ix1>, eps: T) -> Array<T, D> {
    assert!(x.ndim() > 1, "batch_norm: there is no axis 1 in an array of the shape {:?}", x.shape());
    check_channels("batch_norm", x.shape(), 1, gamma, beta);
    let mut y = x.to_owned();
    for ((mut channel, &gamma), &beta) in y.axis_iter_mut(Axis(1)).zip(gamma).zip(beta) {
        let (mean, scale) = moments(channel.iter().copied(), channel.len(), eps);
        channel.mapv_inplace(|v| (v - mean) * scale * gamma + beta);
    }
    y
}

/// The mean, and one over the square root of the variance plus `eps`.
fn moments<T: Float>(values: impl Iterator<Item = T> + Clone, n: usize, eps: T) -> (T, T) {
    let n = T::from_f64(n as f64);
    let mean = values.clone().sum::<T>() / n;
    let variance = values.map(|v| (v - mean) * (v - mean)).sum::<T>() / n;
    (mean, (variance + eps).sqrt().recip())
}

fn check_channels<T>(function: &str, shape: &[usize], axis: usize, gamma: &ArrayRef<T, Ix1>, beta: &ArrayRef<T, Ix1>) {
    let n = shape[axis];
    assert!(
        gamma.len() == n && beta.len() == n,
        "{function}: axis {axis} of the shape {shape:?} has the length {n}, but gamma has {} elements and beta {}",
        gamma.len(),
        beta.len()
    );
}

/// The rows of a table at given positions: `y[.., k] = table[ids[..], k]`. A row that is asked for several times gets the sum of their derivatives.
/// Shapes: `table` of `(rows, columns)`, `ids` of any; the result has the axes of `ids`, then `columns`. The cost is that of copying the rows.
///
/// # Panics
/// If a position is not below the number of rows.
///
/// ```
/// use bilevel_runtime::functions::embedding;
/// use ndarray::array;
/// assert_eq!(embedding(&array![[1.0, 2.0], [3.0, 4.0]], &array![1, 1]), array![[3.0, 4.0], [3.0, 4.0]]);
/// ```
pub fn embedding<T: Float, D: Dimension>(table: &ArrayRef<T, Ix2>, ids: &ArrayRef<usize, D>) -> Array<T, D::Larger> {
    let (rows, columns) = table.dim();
    let mut data = Vec::with_capacity(ids.len() * columns);
    for &id in ids {
        assert!(id < rows, "embedding: position {id} is not below the number of rows of the table, {rows}");
        data.extend(table.row(id));
    }
    let shape = [ids.shape(), &[columns]].concat();
    let array = Array::from_shape_vec(IxDyn(&shape), data).and_then(|array| array.into_dimensionality());
    array.unwrap_or_else(|error| panic!("embedding: {error}"))
}

/// Scaled dot-product attention `softmax(q kᵀ / √d) v`: for each query, a row of `q`, the mean of the rows of `v`, weighted by how well the rows of `k`
/// fit. Shapes: `q` of `(.., n, d)`, `k` of `(.., m, d)`, `v` of `(.., m, e)`; the result has `(.., n, e)`. Axes before the last two (batch, heads) are the same in all.
/// (Vaswani et al., "Attention is all you need", 2017, section 3.2.1.) The cost is `2 n m (d + e)` operations and `n m` exponentials for each batch and head, and all
/// `n m` weights are kept for the derivative.
///
/// # Panics
/// If the shapes do not fit.
///
/// ```
/// use bilevel_runtime::functions::attention;
/// use ndarray::array;
/// let y = attention(&array![[0.0]], &array![[1.0], [5.0]], &array![[2.0], [4.0]]);
/// assert_eq!(y, array![[3.0]]);
/// ```
pub fn attention<T: Float, D: Dimension>(q: &ArrayRef<T, D>, k: &ArrayRef<T, D>, v: &ArrayRef<T, D>) -> Array<T, D> {
    attend("attention", q, k, v, |_, _| true)
}

/// [`attention`] in which query `i` sees only the rows up to `i` of `k` and `v`.
///
/// # Panics
/// If the shapes do not fit.
///
/// ```
/// use bilevel_runtime::functions::causal_attention;
/// use ndarray::array;
/// let x = array![[0.0], [0.0]];
/// assert_eq!(causal_attention(&x, &x, &array![[2.0], [4.0]]), array![[2.0], [3.0]]);
/// ```
pub fn causal_attention<T: Float, D: Dimension>(q: &ArrayRef<T, D>, k: &ArrayRef<T, D>, v: &ArrayRef<T, D>) -> Array<T, D> {
    attend("causal_attention", q, k, v, |i, j| j <= i)
}

/// [`attention`] in which query `i` sees only the rows `j` of `k` and `v` where `mask[[i, j]]` is true. The mask, of `(n, m)`, is the same for all batches and heads.
///
/// # Panics
/// If the shapes do not fit, or a query sees nothing.
///
/// ```
/// use bilevel_runtime::functions::masked_attention;
/// use ndarray::array;
/// let x = array![[0.0], [0.0]];
/// let mask = array![[false, true], [true, true]];
/// assert_eq!(masked_attention(&x, &x, &array![[2.0], [4.0]], &mask), array![[4.0], [3.0]]);
/// ```
pub fn masked_attention<T: Float, D: Dimension>(
    q: &ArrayRef<T, D>,
    k: &ArrayRef<T, D>,
    v: &ArrayRef<T, D>,
    mask: &ArrayRef<bool, Ix2>,
) -> Array<T, D> {
    let lens = |x: &ArrayRef<T, D>| x.shape().len().checked_sub(2).map(|axis| x.shape()[axis]);
    let fits = lens(q) == Some(mask.nrows()) && lens(k) == Some(mask.ncols());
    assert!(fits, "masked_attention: a mask of {:?} for q of {:?} and k of {:?}", mask.shape(), q.shape(), k.shape());
    if let Some(i) = mask.rows().into_iter().position(|row| !row.iter().any(|&seen| seen)) {
        panic!("masked_attention: the mask lets query {i} see nothing");
    }
    attend("masked_attention", q, k, v, |i, j| mask[[i, j]])
}

/// Rows of zeros with a one at a label: `y[.., k]` is one where `k` is the label and zero elsewhere.
///
/// Shapes: `labels` of any; the result has its axes, then one of `n_classes`. It has no derivative. A `let` with its type says of which
/// floats it is; in a differentiated function these are the floats of the signature.
///
/// # Panics
/// If a label is not below the number of classes.
///
/// ```
/// use bilevel_runtime::functions::one_hot;
/// use ndarray::{Array2, array};
/// let y: Array2<f64> = one_hot(&array![1, 0], 3);
/// assert_eq!(y, array![[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]);
/// ```
pub fn one_hot<T: Float, D: Dimension>(labels: &ArrayRef<usize, D>, n_classes: usize) -> Array<T, D::Larger> {
    let mut data = vec![T::zero(); labels.len() * n_classes];
    for (row, &label) in labels.iter().enumerate() {
        assert!(label < n_classes, "one_hot: label {label} is not below the number of classes, {n_classes}");
        data[row * n_classes + label] = T::one();
    }
    let shape = [labels.shape(), &[n_classes]].concat();
    let array = Array::from_shape_vec(IxDyn(&shape), data).and_then(|array| array.into_dimensionality());
    array.unwrap_or_else(|error| panic!("one_hot: {error}"))
}

fn attend<T: Float, D: Dimension>(
    function: &str,
    q: &ArrayRef<T, D>,
    k: &ArrayRef<T, D>,
    v: &ArrayRef<T, D>,
    sees: impl Fn(usize, usize) -> bool,
) -> Array<T, D> {
    let shapes = || format!("q of {:?}, k of {:?} and v of {:?}", q.shape(), k.shape(), v.shape());
    let (Some((batch, &[n, d])), Some((k_batch, &[m, k_d])), Some((v_batch, &[v_m, e]))) =
        (q.shape().split_last_chunk::<2>(), k.shape().split_last_chunk::<2>(), v.shape().split_last_chunk::<2>())
    else {
        panic!("{function}: takes arrays of two or more axes, found {}", shapes());
    };
    assert!(batch == k_batch && batch == v_batch && d == k_d && m == v_m, "{function}: the shapes do not fit: {}", shapes());
    let mut shape = q.raw_dim();
    shape.slice_mut()[batch.len() + 1] = e;
    let mut out = Array::zeros(shape);
    let (q, k, v) = (elements(q), elements(k), elements(v));
    let root = T::from_f64(d as f64).sqrt();
    let mut scores = vec![T::zero(); m];
    let results = out.as_slice_mut().expect("a new array is contiguous");
    for (row, result) in results.chunks_exact_mut(e.max(1)).enumerate() {
        let (b, i) = (row / n, row % n);
        let query = &q[row * d..][..d];
        for (j, score) in scores.iter_mut().enumerate() {
            let key = &k[(b * m + j) * d..][..d];
            *score = if sees(i, j) { query.iter().zip(key).map(|(&q, &k)| q * k).sum::<T>() / root } else { T::neg_infinity() };
        }
        let total = log_sum_exp_of(&ndarray::ArrayView1::from(&scores));
        for (j, &score) in scores.iter().enumerate() {
            let weight = (score - total).exp();
            for (y, &v) in result.iter_mut().zip(&v[(b * m + j) * e..]) {
                *y += weight * v;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Array3, array};

    #[test]
    fn rows_and_channels_are_normalised() {
        let x = Array3::from_shape_fn((2, 3, 4), |(i, j, k)| ((i * 7 + j * 5 + k * 3) % 11) as f64);
        let y = layer_norm(&x, &Array::ones(4), &Array::zeros(4), 0.0);
        for row in y.rows() {
            assert!(row.sum().abs() < 1e-14 && (row.dot(&row) - 4.0).abs() < 1e-13);
        }
        let z = batch_norm(&x, &Array::ones(3), &Array::zeros(3), 0.0);
        for channel in z.axis_iter(Axis(1)) {
            assert!(channel.sum().abs() < 1e-14 && (channel.mapv(|v| v * v).sum() - 8.0).abs() < 1e-13);
        }
    }

    #[test]
    #[should_panic(expected = "layer_norm: axis 1 of the shape [2, 3] has the length 3, but gamma has 2 elements and beta 3")]
    fn parameters_that_do_not_fit_are_named() {
        let _ = layer_norm(&Array2::<f64>::zeros((2, 3)), &Array::ones(2), &Array::zeros(3), 1e-5);
    }

    #[test]
    #[should_panic(expected = "embedding: position 2 is not below the number of rows of the table, 2")]
    fn positions_are_checked() {
        let _ = embedding(&Array2::<f64>::zeros((2, 3)), &array![0, 2]);
    }

    #[test]
    #[should_panic(expected = "attention: the shapes do not fit: q of [2, 3], k of [4, 2] and v of [4, 1]")]
    fn shapes_of_attention_are_checked() {
        let _ = attention(&Array2::<f64>::zeros((2, 3)), &Array2::zeros((4, 2)), &Array2::zeros((4, 1)));
    }
}
