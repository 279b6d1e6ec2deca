//! Matrices as the operands of products: elements with a shape, nothing copied.

use crate::float::Strided;

/// A matrix over contiguous elements, or the transpose of one.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T> {
    pub(super) data: &'a [T],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
}

/// The elements as a matrix, row after row.
///
/// # Panics
/// If there are not as many as the shape says.
#[inline]
pub fn matrix<T>(data: &[T], [rows, cols]: [usize; 2]) -> Matrix<'_, T> {
    assert!(data.len() == rows * cols, "{} elements as a matrix of {rows} × {cols}", data.len());
    Matrix { data, rows, cols, row_stride: cols, col_stride: 1 }
}

/// The elements as a matrix of one column.
#[inline]
pub fn column<T>(data: &[T]) -> Matrix<'_, T> {
    matrix(data, [data.len(), 1])
}

impl<'a, T> Matrix<'a, T> {
    /// The transpose; nothing is moved.
    #[must_use]
    #[inline]
    pub fn t(self) -> Matrix<'a, T> {
        Matrix { data: self.data, rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride }
    }

    /// Rows and columns.
    pub(super) fn shape(&self) -> [usize; 2] {
        [self.rows, self.cols]
    }

    /// The first element and the strides.
    pub(super) fn strided(&self) -> Strided<*const T> {
        Strided { start: self.data.as_ptr(), row: self.row_stride as isize, col: self.col_stride as isize }
    }
}
