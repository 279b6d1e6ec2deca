//! Inputs of element-wise loops: how each is read over the axes of the iteration space.
//!
//! An iteration space is a list of lengths, `[usize; R]`; loops go over it in row-major order, row after row of its last axis. An operand
//! says by its strides which element it gives at which position; a stride of zero repeats elements. The stride along the last axis decides how
//! fast a loop is, so it is part of the operand's type: [`lane`] (one), [`splat`] (zero), [`strided`] (any). A plain slice is an operand
//! whose elements stand in the order of the loop.

/// An input of a loop over a space with `R` axes. Tuples of operands are operands.
///
/// # Safety
/// If [`check`](Operand::check) accepts a shape, then for every `at` inside of it, [`row`](Operand::row) gives a row that may be read at every
/// position below the length of the last axis.
pub unsafe trait Operand<const R: usize>: Copy {
    /// What it gives at each position.
    type Item: Copy;
    /// One row of the space.
    type Row: Row<Item = Self::Item>;

    /// Panics if a position of the space is outside of the data.
    fn check(&self, shape: &[usize; R]);

    /// The row at the position `at`, whose last coordinate is zero.
    fn row(&self, at: &[usize; R]) -> Self::Row;
}

/// One row of an operand.
pub trait Row: Copy {
    /// What it gives at each position.
    type Item: Copy;

    /// The item at position `j`.
    ///
    /// # Safety
    /// `j` is below the length of the row.
    unsafe fn get(&self, j: usize) -> Self::Item;
}

/// See [`lane`].
#[derive(Clone, Copy, Debug)]
pub struct Lane<'a, T, const R: usize> {
    data: &'a [T],
    strides: [usize; R],
}

/// See [`splat`].
#[derive(Clone, Copy, Debug)]
pub struct Splat<'a, T, const R: usize> {
    data: &'a [T],
    strides: [usize; R],
}

/// See [`strided`].
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a, T, const R: usize> {
    data: &'a [T],
    strides: [usize; R],
}

/// See [`position`].
#[derive(Clone, Copy, Debug)]
pub struct Position {
    axis: usize,
}

/// An operand whose stride along the last axis is one.
#[inline(always)]
pub fn lane<T: Copy, const R: usize>(data: &[T], strides: [usize; R]) -> Lane<'_, T, R> {
    assert!(strides[R - 1] == 1, "the last stride of a lane is one");
    Lane { data, strides }
}

/// An operand that gives one element throughout a row: its stride along the last axis is zero.
#[inline(always)]
pub fn splat<T: Copy, const R: usize>(data: &[T], strides: [usize; R]) -> Splat<'_, T, R> {
    assert!(strides[R - 1] == 0, "the last stride of a splat is zero");
    Splat { data, strides }
}

/// An operand with any strides.
#[inline(always)]
pub fn strided<T: Copy, const R: usize>(data: &[T], strides: [usize; R]) -> Strided<'_, T, R> {
    Strided { data, strides }
}

/// The coordinate along one axis of the iteration space.
#[inline(always)]
pub fn position(axis: usize) -> Position {
    Position { axis }
}

/// A row of consecutive elements.
#[derive(Clone, Copy, Debug)]
pub struct LaneRow<T>(*const T);

/// A row of one repeated element.
#[derive(Clone, Copy, Debug)]
pub struct SplatRow<T>(*const T);

/// A row of elements at equal distances.
#[derive(Clone, Copy, Debug)]
pub struct StridedRow<T> {
    start: *const T,
    stride: usize,
}

/// A row of coordinates: all equal, or counting upwards.
#[derive(Clone, Copy, Debug)]
pub struct PositionRow {
    start: usize,
    step: usize,
}

impl<T: Copy> Row for LaneRow<T> {
    type Item = T;

    #[inline(always)]
    unsafe fn get(&self, j: usize) -> T {
        // SAFETY: the caller keeps `j` inside the row, whose elements `check` found inside the data.
        unsafe { *self.0.add(j) }
    }
}

impl<T: Copy> Row for SplatRow<T> {
    type Item = T;

    #[inline(always)]
    unsafe fn get(&self, _j: usize) -> T {
        // SAFETY: a row that is read at any position has its one element inside the data.
        unsafe { *self.0 }
    }
}

impl<T: Copy> Row for StridedRow<T> {
    type Item = T;

    #[inline(always)]
    unsafe fn get(&self, j: usize) -> T {
        // SAFETY: the caller keeps `j` inside the row, whose elements `check` found inside the data.
        unsafe { *self.start.add(j * self.stride) }
    }
}

impl Row for PositionRow {
    type Item = usize;

    #[inline(always)]
    unsafe fn get(&self, j: usize) -> usize {
        self.start + j * self.step
    }
}

/// Panics if the element farthest from the start is outside of the data.
#[inline(always)]
fn check_strides<const R: usize>(len: usize, strides: &[usize; R], shape: &[usize; R]) {
    if shape.contains(&0) {
        return;
    }
    let mut last = 0_usize;
    for (n, stride) in shape.iter().zip(strides) {
        last += (n - 1) * stride;
    }
    assert!(last < len, "an operand of {len} elements with strides {strides:?} does not cover the space {shape:?}");
}

/// Distance of the row at `at` from the first element.
#[inline(always)]
fn offset<const R: usize>(strides: &[usize; R], at: &[usize; R]) -> usize {
    let mut offset = 0;
    for (i, stride) in at.iter().zip(strides) {
        offset += i * stride;
    }
    offset
}

macro_rules! array_operand {
    ($Operand:ident, $Row:ident, |$this:ident, $start:ident| $row:expr) => {
        // SAFETY: `check` computes the farthest offset that any position of the space leads to.
        unsafe impl<T: Copy, const R: usize> Operand<R> for $Operand<'_, T, R> {
            type Item = T;
            type Row = $Row<T>;

            #[inline(always)]
            fn check(&self, shape: &[usize; R]) {
                check_strides(self.data.len(), &self.strides, shape);
            }

            #[inline(always)]
            fn row(&self, at: &[usize; R]) -> $Row<T> {
                let $this = self;
                let $start = self.data.as_ptr().wrapping_add(offset(&self.strides, at));
                $row
            }
        }
    };
}
array_operand!(Lane, LaneRow, |_this, start| LaneRow(start));
array_operand!(Splat, SplatRow, |_this, start| SplatRow(start));
array_operand!(Strided, StridedRow, |this, start| StridedRow { start, stride: this.strides[R - 1] });

// SAFETY: `check` demands exactly as many elements as the flat space has.
unsafe impl<T: Copy> Operand<1> for &[T] {
    type Item = T;
    type Row = LaneRow<T>;

    #[inline(always)]
    fn check(&self, shape: &[usize; 1]) {
        assert!(self.len() == shape[0], "an operand of {} elements in a loop over {}", self.len(), shape[0]);
    }

    #[inline(always)]
    fn row(&self, at: &[usize; 1]) -> LaneRow<T> {
        LaneRow(self.as_ptr().wrapping_add(at[0]))
    }
}

// SAFETY: nothing is read from memory.
unsafe impl<const R: usize> Operand<R> for Position {
    type Item = usize;
    type Row = PositionRow;

    #[inline(always)]
    fn check(&self, _shape: &[usize; R]) {
        assert!(self.axis < R, "an axis of the iteration space");
    }

    #[inline(always)]
    fn row(&self, at: &[usize; R]) -> PositionRow {
        PositionRow { start: at[self.axis], step: usize::from(self.axis + 1 == R) }
    }
}

macro_rules! tuple_operand {
    ($($Operand:ident $k:tt),*) => {
        // SAFETY: a position is inside a tuple if it is inside each of its operands.
        #[allow(unused_variables, unused_unsafe, clippy::unused_unit)]
        unsafe impl<const R: usize, $($Operand: Operand<R>),*> Operand<R> for ($($Operand,)*) {
            type Item = ($($Operand::Item,)*);
            type Row = ($($Operand::Row,)*);

            #[inline(always)]
            fn check(&self, shape: &[usize; R]) {
                $(self.$k.check(shape);)*
            }

            #[inline(always)]
            fn row(&self, at: &[usize; R]) -> Self::Row {
                ($(self.$k.row(at),)*)
            }
        }

        #[allow(unused_variables, unused_unsafe, clippy::unused_unit)]
        impl<$($Operand: Row),*> Row for ($($Operand,)*) {
            type Item = ($($Operand::Item,)*);

            #[inline(always)]
            unsafe fn get(&self, j: usize) -> Self::Item {
                // SAFETY: the caller keeps `j` inside the row.
                unsafe { ($(self.$k.get(j),)*) }
            }
        }
    };
}
tuple_operand!();
tuple_operand!(A 0);
tuple_operand!(A 0, B 1);
tuple_operand!(A 0, B 1, C 2);
tuple_operand!(A 0, B 1, C 2, D 3);
tuple_operand!(A 0, B 1, C 2, D 3, E 4);
tuple_operand!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple_operand!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple_operand!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuple_operand!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuple_operand!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuple_operand!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuple_operand!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);

/// Moves `at` to the next row of the space; its last coordinate stays zero. False after the last row.
#[inline(always)]
pub(super) fn next_row<const R: usize>(at: &mut [usize; R], shape: &[usize; R]) -> bool {
    for k in (0..R - 1).rev() {
        at[k] += 1;
        if at[k] < shape[k] {
            return true;
        }
        at[k] = 0;
    }
    false
}
