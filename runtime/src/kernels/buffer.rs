//! Memory of generated code.

use std::borrow::Cow;

use ndarray::{Array, ArrayRef, ArrayView, Dimension, IntoDimension};

use super::store;
use crate::Float;

/// Memory for the elements of one array, kept from call to call so that only the first allocates. Large memory comes from what the thread has kept, and goes there.
#[derive(Clone, Debug)]
pub struct Buffer<T> {
    memory: Vec<T>,
    /// Where the memory goes in the end; known as soon as there is some. (A bound on the type in its place would be one on generated structs.)
    keep: Option<fn(Vec<T>)>,
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Buffer { memory: Vec::new(), keep: None }
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        if let Some(keep) = self.keep {
            keep(std::mem::take(&mut self.memory));
        }
    }
}

impl<T: Copy + Default + 'static> Buffer<T> {
    /// The memory with the given length. What is in it is left from before; the caller overwrites all of it.
    #[inline]
    pub fn fit(&mut self, len: usize) -> &mut [T] {
        if self.memory.len() != len {
            self.change(len);
        }
        &mut self.memory
    }

    #[cold]
    fn change(&mut self, len: usize) {
        self.keep = Some(store::keep);
        match store::take(len) {
            Some(memory) => store::keep(std::mem::replace(&mut self.memory, memory)),
            None => {
                self.memory.clear();
                self.memory.resize(len, T::default());
            }
        }
    }

    /// The elements.
    #[inline]
    pub fn all(&self) -> &[T] {
        &self.memory
    }

    /// The bytes of the memory that it has.
    #[inline]
    pub fn n_bytes(&self) -> usize {
        self.memory.capacity() * size_of::<T>()
    }

    /// The elements as an array.
    ///
    /// # Panics
    /// If their number is not that of the shape.
    pub fn into_array<Sh: IntoDimension>(mut self, shape: Sh) -> Array<T, Sh::Dim> {
        match Array::from_shape_vec(shape.into_dimension(), std::mem::take(&mut self.memory)) {
            Ok(array) => array,
            Err(error) => panic!("a buffer holds all elements of its array: {error}"),
        }
    }
}

impl<T> std::ops::Deref for Buffer<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.memory
    }
}

impl<T> std::ops::DerefMut for Buffer<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory
    }
}

/// The elements of an array in row-major order: its own memory where they stand so, a copy otherwise.
pub fn elements<T: Copy, D: Dimension>(array: &ArrayRef<T, D>) -> Cow<'_, [T]> {
    match array.as_slice() {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(array.iter().copied().collect()),
    }
}

/// [`elements`] of a view, for as long as what it views.
pub fn view_elements<T: Copy, D: Dimension>(view: ArrayView<'_, T, D>) -> Cow<'_, [T]> {
    match view.to_slice() {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(view.iter().copied().collect()),
    }
}

/// The elements as an array of their own.
///
/// # Panics
/// If their number is not that of the shape.
pub fn to_array<T: Copy + Default + 'static, Sh: IntoDimension>(elements: &[T], shape: Sh) -> Array<T, Sh::Dim> {
    Buffer { memory: elements.to_vec(), keep: None }.into_array(shape)
}

/// The elements as a fixed array, or one of such arrays.
///
/// # Panics
/// If their number is not that of the type.
pub fn to_fixed<T: Copy, A: FromElements<T>>(elements: &[T]) -> A {
    let mut rest = elements;
    let value = A::take(&mut rest);
    assert!(rest.is_empty(), "a place for every element");
    value
}

/// Numbers, and arrays of them nested at will, made of elements in row-major order.
pub trait FromElements<T>: Sized {
    /// A value from the front of the elements, which keep the rest.
    ///
    /// # Panics
    /// If there are too few elements.
    fn take(elements: &mut &[T]) -> Self;
}

macro_rules! one_element {
    ($([$($generics:tt)*] $T:ident),*) => { $(
        impl $($generics)* FromElements<$T> for $T {
            fn take(elements: &mut &[$T]) -> $T {
                *elements.split_off_first().expect("an element for every place")
            }
        }
    )* };
}
one_element!([<T: Float>] T, [] usize, [] i64, [] bool);

impl<T, A: FromElements<T>, const N: usize> FromElements<T> for [A; N] {
    fn take(elements: &mut &[T]) -> Self {
        std::array::from_fn(|_| A::take(elements))
    }
}

/// `out[i] = from[i]`
///
/// # Panics
/// If the lengths differ.
#[inline]
pub fn copy<'a, T: Copy>(out: &'a mut [T], from: &[T]) -> &'a [T] {
    out.copy_from_slice(from);
    out
}

/// `out[i] = x`
#[inline]
pub fn fill<T: Copy>(out: &mut [T], x: T) -> &[T] {
    out.fill(x);
    out
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_buffer_keeps_its_memory() {
        let mut buffer = Buffer::<f64>::default();
        let first = buffer.fit(100).as_ptr();
        buffer.fit(10);
        assert_eq!(buffer.fit(100).as_ptr(), first);
    }

    #[test]
    fn fixed_arrays_are_row_major() {
        assert_eq!(to_fixed::<f64, [[f64; 3]; 2]>(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(to_fixed::<usize, [usize; 0]>(&[]), []);
    }

    #[test]
    #[should_panic(expected = "a place for every element")]
    fn a_fixed_array_has_a_place_for_every_element() {
        let _: [f64; 2] = to_fixed(&[1.0, 2.0, 3.0]);
    }

    #[test]
    fn elements_are_row_major_whatever_the_layout() {
        let a = array![[1, 2, 3], [4, 5, 6]];
        assert!(matches!(elements(&a), Cow::Borrowed(&[1, 2, 3, 4, 5, 6])));
        assert_eq!(elements(&a.t())[..], [1, 4, 2, 5, 3, 6]);
        assert_eq!(elements(&a.slice(ndarray::s![.., ..;2]))[..], [1, 3, 4, 6]);
    }
}
