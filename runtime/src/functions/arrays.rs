//! Functions of whole arrays: positions of extremes, cumulative sums, choices, products.

use ndarray::{Array, Array2, Array3, ArrayRef, Axis, Dimension, Ix1, Ix3, RemoveAxis, Zip};

use crate::Float;

/// The position of the largest element of a vector, the first of several; of the first NaN, if there is one.
///
/// # Panics
/// If the vector is empty.
///
/// ```
/// use bilevel_runtime::functions::argmax;
/// assert_eq!(argmax(&ndarray::array![1.0, 3.0, 3.0]), 1);
/// ```
pub fn argmax<T: Copy + PartialOrd>(x: &ArrayRef<T, Ix1>) -> usize {
    first_extreme(x.iter().copied(), |a, b| a > b)
}

/// The position of the smallest element of a vector, the first of several; of the first NaN, if there is one.
///
/// # Panics
/// If the vector is empty.
pub fn argmin<T: Copy + PartialOrd>(x: &ArrayRef<T, Ix1>) -> usize {
    first_extreme(x.iter().copied(), |a, b| a < b)
}

/// The position of the largest element along an axis, see [`argmax`].
///
/// # Panics
/// If there is no such axis, or it is empty.
///
/// ```
/// use bilevel_runtime::functions::argmax_axis;
/// use ndarray::{Axis, array};
/// assert_eq!(argmax_axis(&array![[1, 5, 2], [7, 0, 7]], Axis(1)), array![1, 0]);
/// ```
pub fn argmax_axis<T: Copy + PartialOrd, D: RemoveAxis>(x: &ArrayRef<T, D>, axis: Axis) -> Array<usize, D::Smaller> {
    x.map_axis(axis, |lane| first_extreme(lane.iter().copied(), |a, b| a > b))
}

/// The position of the smallest element along an axis, see [`argmin`].
///
/// # Panics
/// If there is no such axis, or it is empty.
pub fn argmin_axis<T: Copy + PartialOrd, D: RemoveAxis>(x: &ArrayRef<T, D>, axis: Axis) -> Array<usize, D::Smaller> {
    x.map_axis(axis, |lane| first_extreme(lane.iter().copied(), |a, b| a < b))
}

fn first_extreme<T: Copy + PartialOrd>(elements: impl Iterator<Item = T>, is_beyond: impl Fn(T, T) -> bool) -> usize {
    let is_nan = |x: T| x.partial_cmp(&x).is_none();
    let better = |old: (usize, T), new: (usize, T)| {
        if !is_nan(old.1) && (is_nan(new.1) || is_beyond(new.1, old.1)) { new } else { old }
    };
    elements.enumerate().reduce(better).expect("an array without elements has no largest or smallest one").0
}

/// The largest element along an axis; NaN where there is one. Its derivative goes to the largest elements in equal shares.
///
/// # Panics
/// If there is no such axis.
///
/// ```
/// use bilevel_runtime::functions::max_axis;
/// use ndarray::{Axis, array};
/// assert_eq!(max_axis(&array![[1.0, 5.0], [7.0, 0.0]], Axis(1)), array![5.0, 7.0]);
/// ```
pub fn max_axis<T: Float, D: RemoveAxis>(x: &ArrayRef<T, D>, axis: Axis) -> Array<T, D::Smaller> {
    x.fold_axis(axis, T::neg_infinity(), |&a, &b| if a > b || a.is_nan() { a } else { b })
}

/// The smallest element along an axis; NaN where there is one. Its derivative goes to the smallest elements in equal shares.
///
/// # Panics
/// If there is no such axis.
pub fn min_axis<T: Float, D: RemoveAxis>(x: &ArrayRef<T, D>, axis: Axis) -> Array<T, D::Smaller> {
    x.fold_axis(axis, T::infinity(), |&a, &b| if a < b || a.is_nan() { a } else { b })
}

/// The sums of all elements up to each one along an axis.
///
/// # Panics
/// If there is no such axis.
///
/// ```
/// use bilevel_runtime::functions::cumsum;
/// use ndarray::{Axis, array};
/// assert_eq!(cumsum(&array![1.0, 2.0, 4.0], Axis(0)), array![1.0, 3.0, 7.0]);
/// ```
pub fn cumsum<T: Float, D: RemoveAxis>(x: &ArrayRef<T, D>, axis: Axis) -> Array<T, D> {
    let mut sums = x.to_owned();
    sums.accumulate_axis_inplace(axis, |&so_far, element| *element += so_far);
    sums
}

/// For each element that of `a` where the condition holds, else that of `b`.
///
/// # Panics
/// If the shapes differ.
///
/// ```
/// use bilevel_runtime::functions::select;
/// use ndarray::array;
/// assert_eq!(select(&array![true, false], &array![1.0, 2.0], &array![3.0, 4.0]), array![1.0, 4.0]);
/// ```
pub fn select<T: Copy, D: Dimension>(condition: &ArrayRef<bool, D>, a: &ArrayRef<T, D>, b: &ArrayRef<T, D>) -> Array<T, D> {
    let shapes = [condition.shape(), a.shape(), b.shape()];
    assert!(shapes[0] == shapes[1] && shapes[0] == shapes[2], "select: the shapes differ: {shapes:?}");
    Zip::from(condition).and(a).and(b).map_collect(|&c, &a, &b| if c { a } else { b })
}

/// The products of all elements of one vector with all of another: `a[i] * b[j]`.
///
/// ```
/// use bilevel_runtime::functions::outer;
/// use ndarray::array;
/// assert_eq!(outer(&array![1.0, 2.0], &array![3.0, 4.0]), array![[3.0, 4.0], [6.0, 8.0]]);
/// ```
pub fn outer<T: Float>(a: &ArrayRef<T, Ix1>, b: &ArrayRef<T, Ix1>) -> Array2<T> {
    Array2::from_shape_fn((a.len(), b.len()), |(i, j)| a[i] * b[j])
}

/// The products of the matrices of two stacks: `a[k].dot(&b[k])` for each position `k` of the first axis.
///
/// # Panics
/// If the shapes do not fit.
///
/// ```
/// use bilevel_runtime::functions::batched_dot;
/// use ndarray::array;
/// assert_eq!(batched_dot(&array![[[2.0]], [[3.0]]], &array![[[5.0]], [[7.0]]]), array![[[10.0]], [[21.0]]]);
/// ```
pub fn batched_dot<T: Float>(a: &ArrayRef<T, Ix3>, b: &ArrayRef<T, Ix3>) -> Array3<T> {
    let ((n, rows, len), (n_b, len_b, columns)) = (a.dim(), b.dim());
    assert!(n == n_b && len == len_b, "batched_dot: the shapes {:?} and {:?} do not fit", a.shape(), b.shape());
    let mut products = Array3::from_elem((n, rows, columns), T::zero());
    for ((a, b), mut product) in a.outer_iter().zip(b.outer_iter()).zip(products.outer_iter_mut()) {
        product.assign(&a.dot(&b));
    }
    products
}

/// The Euclidean norm of all elements: the root of the sum of their squares. Its derivative at zero is taken as zero.
///
/// ```
/// use bilevel_runtime::functions::norm;
/// assert_eq!(norm(&ndarray::array![3.0, 4.0]), 5.0);
/// ```
pub fn norm<T: Float, D: Dimension>(x: &ArrayRef<T, D>) -> T {
    x.iter().map(|&v| v * v).sum::<T>().sqrt()
}

/// The parts of an array at positions of an axis, as `x.select(axis, positions)`.
///
/// # Panics
/// If there is no such axis, or a position is not on it.
///
/// ```
/// use bilevel_runtime::functions::gather;
/// use ndarray::{Axis, array};
/// assert_eq!(gather(&array![1.0, 2.0, 4.0], Axis(0), &array![2, 0, 2]), array![4.0, 1.0, 4.0]);
/// ```
pub fn gather<T: Float, D: RemoveAxis>(x: &ArrayRef<T, D>, axis: Axis, positions: &ArrayRef<usize, Ix1>) -> Array<T, D> {
    x.select(axis, &positions.to_vec())
}

/// `x` with the parts of `v` added at positions of an axis; what has the same position adds up.
///
/// # Panics
/// If there is no such axis, a position is not on it, or `v` has not the shape of what [`gather`] gives.
///
/// ```
/// use bilevel_runtime::functions::scatter_add;
/// use ndarray::{Axis, array};
/// assert_eq!(scatter_add(&array![1.0, 2.0], Axis(0), &array![1, 1, 0], &array![1.0, 2.0, 4.0]), array![5.0, 5.0]);
/// ```
pub fn scatter_add<T: Float, D: RemoveAxis>(
    x: &ArrayRef<T, D>,
    axis: Axis,
    positions: &ArrayRef<usize, Ix1>,
    v: &ArrayRef<T, D>,
) -> Array<T, D> {
    assert!(v.len_of(axis) == positions.len(), "scatter_add: {} parts for {} positions", v.len_of(axis), positions.len());
    let mut sums = x.to_owned();
    for (&position, part) in positions.iter().zip(v.axis_iter(axis)) {
        let mut sum = sums.index_axis_mut(axis, position);
        assert!(sum.shape() == part.shape(), "scatter_add: parts of shape {:?} for {:?}", part.shape(), sum.shape());
        sum.zip_mut_with(&part, |a, &b| *a += b);
    }
    sums
}
