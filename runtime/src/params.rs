//! Variables as the user writes them, and as the one flat vector that solvers work on.

use ndarray::{Array, Array1, ArrayRef, Dimension, Ix1};

use crate::kernels::elements;
use crate::{Error, Float, vector};

/// A value made of floats, all of one width: a scalar, an array, a fixed array, a tuple of such, or a struct of such by `#[derive(Params)]`.
///
/// It is a vector whose elements are those of its *leaves*, the scalars and arrays in it, one leaf after the other, each in row-major order whatever the
/// memory layout of the array. Solvers work on that vector. Fields of a struct that are no floats, such as a width of type `usize`, are no
/// part of it: they come along unchanged.
///
/// The names of the methods are none of `ndarray`'s, which would otherwise mean something else on arrays wherever the trait is imported.
pub trait Params: Clone {
    /// `f64` or `f32`.
    type Float: Float;

    /// Number of elements in all leaves.
    fn n_elements(&self) -> usize;

    /// The shape of each leaf in order; a scalar has the empty shape.
    fn shapes(&self) -> Vec<Vec<usize>>;

    /// Writes all elements into `out`, whose length is [`n_elements`](Self::n_elements).
    fn write_to(&self, out: &mut [Self::Float]);

    /// A value with the shapes of `self` and elements from `from`, whose length is [`n_elements`](Self::n_elements). Its arrays are in
    /// standard layout.
    #[must_use]
    fn with_elements(&self, from: &[Self::Float]) -> Self;

    /// Number of elements of each leaf in order.
    fn lengths(&self) -> Vec<usize> {
        self.shapes().iter().map(|shape| shape.iter().product()).collect()
    }

    /// All elements as one vector; [`with_elements`](Self::with_elements) is the way back.
    #[must_use]
    fn flat(&self) -> Array1<Self::Float> {
        let mut out = vector::zeros(self.n_elements());
        self.write_to(&mut out);
        out.into()
    }

    /// A value with the shapes of `self` and the elements of a vector such as [`flat`](Self::flat) gives.
    ///
    /// # Panics
    /// If there are not as many elements.
    #[must_use]
    fn unflatten(&self, flat: &ArrayRef<Self::Float, Ix1>) -> Self {
        assert_eq!(flat.len(), self.n_elements(), "the numbers of elements differ");
        self.with_elements(&elements(flat))
    }

    /// A value with the shapes of `self` and all elements zero.
    #[must_use]
    fn zeros_like(&self) -> Self {
        self.with_elements(&vector::zeros(self.n_elements()))
    }

    /// The sum of the products of corresponding elements.
    ///
    /// # Panics
    /// If the numbers of elements differ.
    #[must_use]
    fn dot_product(&self, other: &Self) -> Self::Float {
        let (x, y) = (self.flat(), other.flat());
        assert_eq!(x.len(), y.len(), "the numbers of elements differ");
        vector::dot(x.as_slice().unwrap_or_default(), y.as_slice().unwrap_or_default())
    }

    /// The square root of the sum of the squares of all elements, also where the squares over- or underflow.
    #[must_use]
    fn l2_norm(&self) -> Self::Float {
        vector::norm(self.flat().as_slice().unwrap_or_default())
    }

    /// The sum of the magnitudes of all elements.
    #[must_use]
    fn l1_norm(&self) -> Self::Float {
        sum_of_magnitudes(self.flat().as_slice().unwrap_or_default())
    }

    /// The largest magnitude of an element; zero if there is none, and NaN if one is.
    #[must_use]
    fn max_norm(&self) -> Self::Float {
        largest_magnitude(self.flat().as_slice().unwrap_or_default())
    }

    /// `self ← self + a · other`, element by element.
    ///
    /// # Panics
    /// If the numbers of elements differ.
    fn add_scaled(&mut self, a: Self::Float, other: &Self) {
        let (mut x, y) = (self.flat(), other.flat());
        assert_eq!(x.len(), y.len(), "the numbers of elements differ");
        x.scaled_add(a, &y);
        *self = self.with_elements(x.as_slice().unwrap_or_default());
    }
}

fn sum_of_magnitudes<T: Float>(x: &[T]) -> T {
    x.iter().map(|x| x.abs()).sum()
}

fn largest_magnitude<T: Float>(x: &[T]) -> T {
    x.iter().fold(T::zero(), |norm, x| if x.abs() > norm || x.is_nan() { x.abs() } else { norm })
}

impl<T: Float> Params for T {
    type Float = T;

    fn n_elements(&self) -> usize {
        1
    }

    fn shapes(&self) -> Vec<Vec<usize>> {
        vec![vec![]]
    }

    fn write_to(&self, out: &mut [T]) {
        out.copy_from_slice(&[*self]);
    }

    fn with_elements(&self, from: &[T]) -> Self {
        assert_eq!(from.len(), 1, "a scalar has one element");
        from[0]
    }
}

/// The outer variable of a problem that has none: of `#[outer]` without `minimize`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoOuter<T>(std::marker::PhantomData<T>);

impl<T: Float> Params for NoOuter<T> {
    type Float = T;

    fn n_elements(&self) -> usize {
        0
    }

    fn shapes(&self) -> Vec<Vec<usize>> {
        vec![]
    }

    fn write_to(&self, _: &mut [T]) {}

    fn with_elements(&self, _: &[T]) -> Self {
        *self
    }
}

impl<T: Float, D: Dimension> Params for Array<T, D> {
    type Float = T;

    fn n_elements(&self) -> usize {
        self.len()
    }

    fn shapes(&self) -> Vec<Vec<usize>> {
        vec![self.shape().to_vec()]
    }

    fn write_to(&self, out: &mut [T]) {
        match self.as_slice() {
            Some(elements) => out.copy_from_slice(elements),
            None => {
                assert_eq!(out.len(), self.len(), "a place for every element");
                for (out, &x) in out.iter_mut().zip(self) {
                    *out = x;
                }
            }
        }
    }

    fn with_elements(&self, from: &[T]) -> Self {
        Array::from_shape_vec(self.raw_dim(), from.to_vec()).expect("an element for every place")
    }
}

// One leaf, however deeply the arrays are nested.
macro_rules! fixed {
    ($Nested:ty, [$($N:ident),+], $flat:ident => $elements:expr, $flat_mut:ident => $elements_mut:expr) => {
        impl<T: Float, $(const $N: usize),+> Params for $Nested {
            type Float = T;

            fn n_elements(&self) -> usize {
                1 $(* $N)+
            }

            fn shapes(&self) -> Vec<Vec<usize>> {
                vec![vec![$($N),+]]
            }

            fn write_to(&self, out: &mut [T]) {
                let $flat = self;
                out.copy_from_slice($elements);
            }

            fn with_elements(&self, from: &[T]) -> Self {
                let mut value = *self;
                let $flat_mut = &mut value;
                $elements_mut.copy_from_slice(from);
                value
            }
        }
    };
}
fixed!([T; N], [N], x => x, x => x);
fixed!([[T; N]; M], [M, N], x => x.as_flattened(), x => x.as_flattened_mut());
fixed!([[[T; N]; M]; L], [L, M, N], x => x.as_flattened().as_flattened(), x => x.as_flattened_mut().as_flattened_mut());
fixed!(
    [[[[T; N]; M]; L]; K], [K, L, M, N],
    x => x.as_flattened().as_flattened().as_flattened(),
    x => x.as_flattened_mut().as_flattened_mut().as_flattened_mut()
);

/// Writes a part of a value to the front of `out` and leaves the rest.
///
/// # Panics
/// If there are too few places.
pub fn write_leaf<P: Params>(part: &P, out: &mut &mut [P::Float]) {
    part.write_to(out.split_off_mut(..part.n_elements()).expect("a place for every element"));
}

/// A part of a value with elements from the front of `from`, which keeps the rest.
///
/// # Panics
/// If there are too few elements.
pub fn take_leaf<P: Params>(part: &P, from: &mut &[P::Float]) -> P {
    part.with_elements(from.split_off(..part.n_elements()).expect("an element for every place"))
}

macro_rules! tuple {
    ($First:ident 0 $(, $A:ident $position:tt)*) => {
        impl<$First: Params, $($A: Params<Float = $First::Float>),*> Params for ($First, $($A,)*) {
            type Float = $First::Float;

            fn n_elements(&self) -> usize {
                self.0.n_elements() $(+ self.$position.n_elements())*
            }

            fn shapes(&self) -> Vec<Vec<usize>> {
                [self.0.shapes(), $(self.$position.shapes()),*].concat()
            }

            fn write_to(&self, mut out: &mut [Self::Float]) {
                write_leaf(&self.0, &mut out);
                $(write_leaf(&self.$position, &mut out);)*
                assert!(out.is_empty(), "an element for every place");
            }

            fn with_elements(&self, mut from: &[Self::Float]) -> Self {
                let value = (take_leaf(&self.0, &mut from), $(take_leaf(&self.$position, &mut from),)*);
                assert!(from.is_empty(), "a place for every element");
                value
            }
        }
    };
}
tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);

/// A struct that derives `Params`, as generated code makes it: from the tuple of its fields, so that neither the fields' names nor the types of nested
/// structs have to be in sight.
pub trait Struct: Sized {
    /// The types of the fields in order.
    type Fields;

    /// The struct.
    fn from_fields(fields: Self::Fields) -> Self;
}

/// [`Struct::from_fields`], where what is expected says which struct it is.
pub fn from_fields<S: Struct>(fields: S::Fields) -> S {
    S::from_fields(fields)
}

/// Fails with an error that names the array if an element is NaN or infinite.
///
/// # Errors
/// [`Error::NonFiniteElement`] with the position of the first such element.
pub fn check_finite<T: Float>(name: &'static str, elements: &[T]) -> Result<(), Error> {
    match elements.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(position) => Err(Error::NonFiniteElement { name, position, value: elements[position].to_f64() }),
    }
}

/// [`check_finite`] for the vector of all leaves of a variable, which have these names and shapes. The last name stands for all further leaves.
pub(crate) fn check_finite_leaves<T: Float>(names: &[&'static str], shapes: &[Vec<usize>], mut elements: &[T]) -> Result<(), Error> {
    let last = names.last().copied().unwrap_or("variable");
    for (k, shape) in shapes.iter().enumerate() {
        let (leaf, rest) = elements.split_at(shape.iter().product());
        check_finite(names.get(k).copied().unwrap_or(last), leaf)?;
        elements = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2, arr0, array};

    fn elements_of<P: Params>(x: &P) -> Vec<P::Float> {
        x.flat().to_vec()
    }

    #[test]
    fn elements_are_row_major_whatever_the_layout() {
        let rows = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let columns = rows.clone().reversed_axes().as_standard_layout().into_owned().reversed_axes();
        assert!(!columns.is_standard_layout());
        assert_eq!(elements_of(&columns), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let back = columns.with_elements(&elements_of(&columns));
        assert_eq!(back, rows);
        assert!(back.is_standard_layout());
    }

    #[test]
    fn a_tuple_is_its_leaves_one_after_the_other() {
        let x: (f64, Array2<f64>, (Array1<f64>, ndarray::Array0<f64>)) = (7.0, array![[1.0, 2.0]], (array![], arr0(3.0)));
        assert_eq!(x.n_elements(), 4);
        assert_eq!(x.shapes(), [vec![], vec![1, 2], vec![0], vec![]]);
        assert_eq!(elements_of(&x), [7.0, 1.0, 2.0, 3.0]);
        assert_eq!(x.with_elements(&[4.0, 3.0, 2.0, 1.0]), (4.0, array![[3.0, 2.0]], (array![], arr0(1.0))));
        assert_eq!(elements_of(&(1_f32, 2_f32, 3_f32, 4_f32, 5_f32, 6_f32)), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn a_fixed_array_is_one_leaf() {
        let x = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        assert_eq!((x.n_elements(), x.shapes()), (6, vec![vec![2, 3]]));
        assert_eq!(elements_of(&x), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(x.with_elements(&[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]), [[6.0, 5.0, 4.0], [3.0, 2.0, 1.0]]);
        assert_eq!([[[[1_f32; 2]; 3]; 1]; 2].shapes(), [[2, 1, 3, 2]]);
        assert_eq!(([1.5, 2.5], 3.0).flat(), array![1.5, 2.5, 3.0]);
    }

    #[test]
    fn a_value_is_a_vector() {
        let mut x = (array![3.0, 0.0], array![[4.0]]);
        assert_eq!(x.l2_norm(), 5.0);
        assert_eq!(x.dot_product(&(array![2.0, 7.0], array![[1.0]])), 10.0);
        assert_eq!((x.l1_norm(), x.max_norm()), (7.0, 4.0));
        assert!((1.0, f64::NAN, 2.0).max_norm().is_nan());
        assert_eq!(x.unflatten(&(x.flat() * 2.0)), (array![6.0, 0.0], array![[8.0]]));
        assert_eq!(x.unflatten(&array![1.0, 9.0, 2.0, 9.0, 3.0, 9.0].slice(ndarray::s![..;2])), (array![1.0, 2.0], array![[3.0]]));
        assert_eq!(x.lengths(), [2, 1]);
        assert_eq!(x.zeros_like(), (array![0.0, 0.0], array![[0.0]]));
        x.add_scaled(0.5, &(array![1.0, 2.0], array![[-8.0]]));
        assert_eq!(x, (array![3.5, 1.0], array![[0.0]]));
    }

    #[test]
    fn the_leaf_with_a_non_finite_element_is_named() {
        let check = |elements: &[f64]| check_finite_leaves(&["net.w", "net.b"], &[vec![2], vec![1, 2]], elements);
        assert_eq!(check(&[1.0, 2.0, 3.0, 4.0]), Ok(()));
        let error = check(&[1.0, 2.0, 3.0, f64::NAN]).unwrap_err();
        assert!(matches!(error, Error::NonFiniteElement { name: "net.b", position: 1, .. }), "{error}");
        assert!(matches!(check(&[1.0, f64::NAN, 3.0, 4.0]), Err(Error::NonFiniteElement { name: "net.w", position: 1, .. })));
    }

    #[test]
    fn the_first_non_finite_element_is_named() {
        assert_eq!(check_finite("x", &[1.0, 2.0]), Ok(()));
        let error = check_finite("x", &[1.0, f64::INFINITY, f64::NAN]).unwrap_err();
        assert_eq!(error.to_string(), "`x` contains inf at position 1 (row-major): remove or replace non-finite values first");
    }
}
