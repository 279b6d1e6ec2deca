//! Several values of a struct, as generated code sees them: arrays with a leading axis, one for each leaf; and derivatives by the elements of a struct, as
//! arrays with one axis for all of them.

use std::borrow::Cow;

use ndarray::{Array, ArrayRef, ArrayViewD, Axis, Dimension, IxDyn, RemoveAxis};

use crate::kernels::{FromElements, elements, to_fixed};

/// The elements of one leaf of all values, one value after the other.
pub fn stacked<S, T: Copy>(values: &[S], leaf: impl Fn(&S) -> Cow<'_, [T]>) -> Vec<T> {
    values.iter().flat_map(|value| leaf(value).into_owned()).collect()
}

/// The shape of one leaf of all values: their number, then the shape that they have in common.
///
/// # Panics
/// If there is no value, or if the shapes differ.
pub fn stacked_shape<S>(name: &'static str, values: &[S], shape: impl Fn(&S) -> Vec<usize>) -> Vec<usize> {
    let first = values.first().map(&shape);
    let Some(first) = first else { panic!("`{name}`: there must be at least one value") };
    for (k, value) in values.iter().enumerate() {
        let other = shape(value);
        assert!(other == first, "`{name}`: value 0 has the shape {first:?} and value {k} has {other:?}");
    }
    [&[values.len()], &first[..]].concat()
}

/// `n` values.
pub fn values<S>(n: usize, value: impl Fn(usize) -> S) -> Vec<S> {
    (0..n).map(value).collect()
}

/// Of arrays along a leading axis, the one at `k`.
pub fn array_at<T: Clone, D: RemoveAxis>(arrays: &ArrayRef<T, D>, k: usize) -> Array<T, D::Smaller> {
    arrays.index_axis(Axis(0), k).to_owned()
}

/// Of fixed arrays along a leading axis, the one at `k`.
pub fn fixed_at<T: Copy, D: RemoveAxis, A: FromElements<T>>(arrays: &ArrayRef<T, D>, k: usize) -> A {
    to_fixed(&elements(&arrays.index_axis(Axis(0), k)))
}

/// Arrays that agree in the first `n_axes` axes, side by side: of each, the other axes become part of one, which is the last of the result.
///
/// # Panics
/// If there are none, or if `D` has another number of axes.
pub fn columns<T: Copy, D: Dimension>(n_axes: usize, parts: &[ArrayViewD<'_, T>]) -> Array<T, D> {
    let outer = &parts[0].shape()[..n_axes];
    let widths: Vec<usize> = parts.iter().map(|part| part.shape()[n_axes..].iter().product()).collect();
    let flat: Vec<Cow<'_, [T]>> = parts.iter().map(|part| elements(part)).collect();
    let mut joined = Vec::new();
    for row in 0..outer.iter().product() {
        for (part, &width) in flat.iter().zip(&widths) {
            joined.extend_from_slice(&part[row * width..(row + 1) * width]);
        }
    }
    shaped(&[outer, &[widths.iter().sum()]].concat(), joined)
}

/// Arrays of which the first axes, as many as stand beside each, become part of one, which is the first of the result; they agree in the others.
///
/// # Panics
/// As [`columns`].
pub fn rows<T: Copy, D: Dimension>(parts: &[(usize, ArrayViewD<'_, T>)]) -> Array<T, D> {
    let n_rows = parts.iter().map(|(n_axes, part)| part.shape()[..*n_axes].iter().product::<usize>()).sum();
    let (n_axes, first) = &parts[0];
    let joined = parts.iter().flat_map(|(_, part)| elements(part).into_owned()).collect();
    shaped(&[&[n_rows], &first.shape()[*n_axes..]].concat(), joined)
}

fn shaped<T, D: Dimension>(shape: &[usize], elements: Vec<T>) -> Array<T, D> {
    let array = Array::from_shape_vec(IxDyn(shape), elements).expect("an element for every place");
    array.into_dimensionality().expect("generated code knows the number of axes")
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn leaves_are_stacked_and_taken_apart() {
        let values = [array![1.0, 2.0], array![3.0, 4.0]];
        assert_eq!(stacked(&values, |v| elements(v)), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(stacked_shape("x", &values, |v| v.shape().to_vec()), [2, 2]);
        let whole = array![[1.0, 2.0], [3.0, 4.0]];
        assert_eq!(array_at(&whole, 1), values[1]);
        assert_eq!(fixed_at::<_, _, [f64; 2]>(&whole, 0), [1.0, 2.0]);
    }

    #[test]
    fn other_axes_become_one() {
        let (a, b) = (array![[1.0, 2.0], [3.0, 4.0]], array![5.0, 6.0]);
        let joined: Array2<f64> = columns(1, &[a.view().into_dyn(), b.view().into_dyn()]);
        assert_eq!(joined, array![[1.0, 2.0, 5.0], [3.0, 4.0, 6.0]]);
        let joined: Array2<f64> = rows(&[(1, a.view().into_dyn()), (0, b.view().into_dyn())]);
        assert_eq!(joined, array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    }

    #[test]
    #[should_panic(expected = "value 0 has the shape [2] and value 1 has [1]")]
    fn values_have_one_shape() {
        stacked_shape("net_dots.w", &[array![1.0, 2.0], array![3.0]], |v| v.shape().to_vec());
    }
}
