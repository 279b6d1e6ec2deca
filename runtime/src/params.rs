//! Variables as the user writes them, and as the one flat vector that solvers work on.

use ndarray::{Array, Dimension};

use crate::{Error, Float};

/// A variable of a problem: a scalar, an array, or a tuple of such.
///
/// Solvers see its elements as one vector, leaf after leaf, each in row-major order, whatever the memory layout of the array.
pub trait Params<T: Float>: Clone {
    /// Number of elements in all leaves.
    fn n_elements(&self) -> usize;

    /// The shape of each leaf in order; a scalar has the empty shape.
    fn shapes(&self) -> Vec<Vec<usize>>;

    /// Writes all elements into `out`, whose length is [`n_elements`](Self::n_elements).
    fn write_to(&self, out: &mut [T]);

    /// A value with the shapes of `self` and elements from `from`, whose length is [`n_elements`](Self::n_elements). Its arrays are in
    /// standard layout.
    #[must_use]
    fn with_elements(&self, from: &[T]) -> Self;
}

macro_rules! scalar {
    ($T:ident) => {
        impl Params<$T> for $T {
            fn n_elements(&self) -> usize {
                1
            }

            fn shapes(&self) -> Vec<Vec<usize>> {
                vec![vec![]]
            }

            fn write_to(&self, out: &mut [$T]) {
                out.copy_from_slice(&[*self]);
            }

            fn with_elements(&self, from: &[$T]) -> Self {
                assert_eq!(from.len(), 1, "a scalar has one element");
                from[0]
            }
        }
    };
}
scalar!(f64);
scalar!(f32);

impl<T: Float, D: Dimension> Params<T> for Array<T, D> {
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

macro_rules! tuple {
    ($($A:ident $position:tt),+) => {
        impl<T: Float, $($A: Params<T>),+> Params<T> for ($($A,)+) {
            fn n_elements(&self) -> usize {
                0 $(+ self.$position.n_elements())+
            }

            fn shapes(&self) -> Vec<Vec<usize>> {
                [$(self.$position.shapes()),+].concat()
            }

            fn write_to(&self, mut out: &mut [T]) {
                $(self.$position.write_to(out.split_off_mut(..self.$position.n_elements()).expect("a place for every element"));)+
                assert!(out.is_empty(), "an element for every place");
            }

            fn with_elements(&self, mut from: &[T]) -> Self {
                let value = ($({
                    let elements = from.split_off(..self.$position.n_elements());
                    self.$position.with_elements(elements.expect("an element for every place"))
                },)+);
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

/// Fails with an error that names the variable if an element is NaN or infinite.
///
/// # Errors
/// [`Error::NonFiniteElement`] with the position of the first such element.
pub fn check_finite<T: Float>(name: &'static str, elements: &[T]) -> Result<(), Error> {
    match elements.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(position) => Err(Error::NonFiniteElement { name, position, value: elements[position].to_f64() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2, arr0, array};

    fn elements<T: Float>(x: &impl Params<T>) -> Vec<T> {
        let mut out = vec![T::zero(); x.n_elements()];
        x.write_to(&mut out);
        out
    }

    #[test]
    fn elements_are_row_major_whatever_the_layout() {
        let rows = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let columns = rows.clone().reversed_axes().as_standard_layout().into_owned().reversed_axes();
        assert!(!columns.is_standard_layout());
        assert_eq!(elements(&columns), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let back = columns.with_elements(&elements(&columns));
        assert_eq!(back, rows);
        assert!(back.is_standard_layout());
    }

    #[test]
    fn a_tuple_is_its_leaves_one_after_the_other() {
        let x: (f64, Array2<f64>, (Array1<f64>, ndarray::Array0<f64>)) = (7.0, array![[1.0, 2.0]], (array![], arr0(3.0)));
        assert_eq!(x.n_elements(), 4);
        assert_eq!(x.shapes(), [vec![], vec![1, 2], vec![0], vec![]]);
        assert_eq!(elements(&x), [7.0, 1.0, 2.0, 3.0]);
        assert_eq!(x.with_elements(&[4.0, 3.0, 2.0, 1.0]), (4.0, array![[3.0, 2.0]], (array![], arr0(1.0))));
        assert_eq!(elements(&(1_f32, 2_f32, 3_f32, 4_f32, 5_f32, 6_f32)), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn the_first_non_finite_element_is_named() {
        assert_eq!(check_finite("x", &[1.0, 2.0]), Ok(()));
        let error = check_finite("x", &[1.0, f64::INFINITY, f64::NAN]).unwrap_err();
        assert_eq!(error.to_string(), "`x` contains inf at position 1 (row-major): remove or replace non-finite values first");
    }
}
