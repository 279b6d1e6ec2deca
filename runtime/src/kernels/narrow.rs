//! The product with a matrix of few columns, such as the logits of a classifier with ten classes.
//!
//! Measured against `matrixmultiply` on one core with AVX-512, f64: see `benches`. The columns of `B`, padded to a whole number of vectors, are
//! packed once per block of its rows; a tile of rows of `C` then stays in registers while the block is summed.

use super::variant::Kernel;
use crate::Float;
use crate::float::Strided;

/// The most columns of `B` for which this path is taken.
pub(super) const MAX_COLS: usize = 16;
/// Rows of `B` that are packed at a time.
const DEPTH: usize = 256;
/// Rows of `C` that are computed at a time.
const TILE: usize = 4;

/// `C ← A B` for `A` of `m × k`, `B` of `k × n` and `C` of `m × n` elements, with `n <= MAX_COLS` and `k > 0`.
pub(super) struct Narrow<T> {
    shape: [usize; 3],
    a: Strided<*const T>,
    b: Strided<*const T>,
    c: Strided<*mut T>,
}

impl<T: Float> Narrow<T> {
    /// # Safety
    /// Every element of `a` and `b` is readable, every element of `c` is writable, and `c` overlaps neither itself nor the others.
    pub(super) unsafe fn new(shape: [usize; 3], a: Strided<*const T>, b: Strided<*const T>, c: Strided<*mut T>) -> Self {
        assert!(shape[2] <= MAX_COLS);
        Narrow { shape, a, b, c }
    }
}

impl<T: Float> Kernel for Narrow<T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        match self.shape[2] {
            0..=4 => run::<T, 4>(&self),
            5..=8 => run::<T, 8>(&self),
            9..=12 => run::<T, 12>(&self),
            _ => run::<T, 16>(&self),
        }
    }
}

#[inline(always)]
fn run<T: Float, const WIDTH: usize>(narrow: &Narrow<T>) {
    let Narrow { shape: [m, k, n], a, b, c } = *narrow;
    let mut packed = [[T::zero(); WIDTH]; DEPTH];
    for start in (0..k).step_by(DEPTH) {
        let depth = DEPTH.min(k - start);
        for (p, row) in packed[..depth].iter_mut().enumerate() {
            for (j, x) in row[..n].iter_mut().enumerate() {
                // SAFETY: `start + p < k` and `j < n`.
                *x = unsafe { *b.start.offset((start + p) as isize * b.row + j as isize * b.col) };
            }
        }
        let packed = &packed[..depth];
        let mut i = 0;
        while i < m {
            let rows = TILE.min(m - i);
            // SAFETY: rows `i..i + rows` are below `m`, and `start + depth <= k`.
            let tile = unsafe {
                let first = a.start.offset(i as isize * a.row + start as isize * a.col);
                if rows == TILE {
                    tile::<T, WIDTH, TILE>(first, a.row, a.col, packed)
                } else {
                    partial_tile(first, a.row, a.col, rows, packed)
                }
            };
            for (r, row) in tile[..rows].iter().enumerate() {
                for (j, &x) in row[..n].iter().enumerate() {
                    // SAFETY: `i + r < m` and `j < n`; what is read was written in the turn before.
                    unsafe {
                        let place = c.start.offset((i + r) as isize * c.row + j as isize * c.col);
                        *place = if start == 0 { x } else { *place + x };
                    }
                }
            }
            i += rows;
        }
    }
}

/// The products of `ROWS` rows of `A` with the packed rows of `B`.
///
/// # Safety
/// `packed.len()` elements of `ROWS` rows are readable from `a`.
#[inline(always)]
unsafe fn tile<T: Float, const WIDTH: usize, const ROWS: usize>(
    a: *const T,
    a_row: isize,
    a_col: isize,
    packed: &[[T; WIDTH]],
) -> [[T; WIDTH]; ROWS] {
    let mut sums = [[T::zero(); WIDTH]; ROWS];
    let mut column = a;
    for b in packed {
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the caller vouches for the rows and as many columns as there are packed rows.
            let x = unsafe { *column.offset(r as isize * a_row) };
            for (sum, &b) in sums.iter_mut().zip(b) {
                *sum += x * b;
            }
        }
        column = column.wrapping_offset(a_col);
    }
    sums
}

/// [`tile`] for the last rows, fewer than a whole tile.
///
/// # Safety
/// `packed.len()` elements of `rows` rows are readable from `a`.
#[inline(always)]
unsafe fn partial_tile<T: Float, const WIDTH: usize>(
    a: *const T,
    a_row: isize,
    a_col: isize,
    rows: usize,
    packed: &[[T; WIDTH]],
) -> [[T; WIDTH]; TILE] {
    let mut sums = [[T::zero(); WIDTH]; TILE];
    for (r, sums) in sums[..rows].iter_mut().enumerate() {
        // SAFETY: as the caller says.
        [*sums] = unsafe { tile::<T, WIDTH, 1>(a.offset(r as isize * a_row), a_row, a_col, packed) };
    }
    sums
}
