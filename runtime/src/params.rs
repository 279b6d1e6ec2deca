//! Variables as the user writes them, and as the one flat vector that solvers work on.

use crate::{Error, Float};

/// A variable of a problem: a scalar, an array, or a tuple of such.
///
/// Solvers see its elements as one vector, leaf after leaf, each in row-major order.
pub trait Params<T: Float>: Clone {
    /// Number of elements in all leaves.
    fn n_elements(&self) -> usize;

    /// The shape of each leaf in order; a scalar has the empty shape.
    fn shapes(&self) -> Vec<Vec<usize>>;

    /// Writes all elements into `out`, whose length is [`n_elements`](Self::n_elements).
    fn write_to(&self, out: &mut [T]);

    /// A value with the shapes of `self` and elements from `from`, whose length is [`n_elements`](Self::n_elements).
    #[must_use]
    fn with_elements(&self, from: &[T]) -> Self;
}

/// Fails with an error that names the variable if an element is NaN or infinite.
pub fn check_finite<T: Float>(_name: &'static str, _elements: &[T]) -> Result<(), Error> {
    todo!()
}
