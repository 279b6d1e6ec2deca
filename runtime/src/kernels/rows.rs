//! Data of which the kernels may see some rows only.

use std::borrow::Cow;
use std::ops::Deref;

/// The elements of an array, or of some of its rows: kernels read what they are shown, wherever it stands.
#[derive(Clone, Debug)]
pub struct Rows<'a, T: Clone> {
    all: Cow<'a, [T]>,
    /// The rows shown, one after the other.
    some: Vec<T>,
    shows_all: bool,
}

impl<'a, T: Clone> Rows<'a, T> {
    /// All rows of an array.
    #[must_use]
    pub fn new(all: Cow<'a, [T]>) -> Self {
        Rows { all, some: Vec::new(), shows_all: true }
    }

    /// The number of all rows, each of `len` elements.
    #[must_use]
    pub fn n_rows(&self, len: usize) -> usize {
        self.all.len() / len.max(1)
    }

    /// Shows these rows, each of `len` elements, or all. Memory is kept from one choice to the next.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn show(&mut self, rows: Option<&[usize]>, len: usize) {
        self.shows_all = rows.is_none();
        self.some.clear();
        for &row in rows.unwrap_or_default() {
            self.some.extend_from_slice(&self.all[row * len..][..len]);
        }
    }
}

impl<T: Clone> Deref for Rows<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        if self.shows_all { &self.all } else { &self.some }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_shown_in_their_order_and_all_again() {
        let mut rows = Rows::new(Cow::Borrowed(&[1, 2, 3, 4, 5, 6]));
        assert_eq!(rows.n_rows(2), 3);
        rows.show(Some(&[2, 0, 2]), 2);
        assert_eq!(*rows, [5, 6, 1, 2, 5, 6]);
        rows.show(Some(&[1]), 2);
        assert_eq!(*rows, [3, 4]);
        rows.show(None, 2);
        assert_eq!(*rows, [1, 2, 3, 4, 5, 6]);
    }
}
