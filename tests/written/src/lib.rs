//! What the files that the test `random` writes have in common: how arrays are made and numbers compared.

use bilevel::ndarray::{Array, Dim, Dimension, IntoDimension};

/// An array of the elements in row-major order.
///
/// # Panics
/// If there are not as many as the shape has.
pub fn array<T, const R: usize>(shape: [usize; R], elements: Vec<T>) -> Array<T, Dim<[usize; R]>>
where
    [usize; R]: IntoDimension<Dim = Dim<[usize; R]>>,
    Dim<[usize; R]>: Dimension,
{
    Array::from_shape_vec(shape, elements).expect("as many elements as the shape has")
}

/// A result of a function, as the evaluator gives it.
pub trait Numbers {
    /// Its elements, leaf after leaf.
    fn numbers(&self) -> Vec<f64>;
}

macro_rules! numbers {
    ($($T:ident)*) => { $(
        impl Numbers for $T {
            fn numbers(&self) -> Vec<f64> {
                vec![*self as f64]
            }
        }
    )* };
}
numbers!(f64 f32 usize i64);

impl Numbers for bool {
    fn numbers(&self) -> Vec<f64> {
        vec![f64::from(u8::from(*self))]
    }
}

impl<T: Numbers, D: Dimension> Numbers for Array<T, D> {
    fn numbers(&self) -> Vec<f64> {
        self.iter().flat_map(T::numbers).collect()
    }
}

macro_rules! tuples {
    ($($A:ident $k:tt),*) => {
        impl<$($A: Numbers),*> Numbers for ($($A,)*) {
            fn numbers(&self) -> Vec<f64> {
                [$(self.$k.numbers()),*].concat()
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);

/// Compares a result with what is expected, relative to the largest element; a tolerance of zero asks for the same bits.
///
/// # Panics
/// If they differ.
pub fn check(what: &str, found: &impl Numbers, expected: &[f64], tolerance: f64) {
    let found = found.numbers();
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
    let fine = found.iter().zip(expected).all(|(f, e)| (f - e).abs() <= tolerance * largest);
    assert!(fine, "{what}: found {found:?}, expected {expected:?}, to {tolerance:e}");
}
