//! Products whose elements stand anywhere, tile by tile.
//!
//! Of the two operands one is the *packed* one: its rows are taken in panels, as many as lanes of two registers, and copied so that the rows of a panel stand
//! side by side for each term. Of the other operand every element is spread over a register where it stands, and nothing is copied. A tile is the product of
//! a panel with some columns, all sums in registers. The packed operand is the one with which the product takes less time: the smaller one, unless its
//! rows leave many lanes idle.
//!
//! So windows on an image are multiplied with the kernels of a convolution without copying the image, whose elements each stand in up to as many windows as
//! a kernel has elements.
//!
//! Every element is a chain of fused multiply-adds over at most [`MAX_TERMS`] terms in their order, and the sum of such, whatever the width of registers.
//! CPUs without fused multiply-add do without tiles.

use super::contract::Axis;
use super::variant::Variant;

/// A product of two operands: see [`contract`](super::contract()).
pub struct Contraction<'a, T> {
    pub(super) out: *mut T,
    pub(super) operands: [*const T; 2],
    /// Kept axes of both operands.
    pub(super) both: &'a [Axis],
    /// Kept axes of each operand alone.
    pub(super) own: [&'a [Axis]; 2],
    pub(super) sums: &'a [Axis],
    /// Whether the product is added to the result.
    pub(super) adds: bool,
}

/// The element types that have tiles.
pub trait Tiles: Copy {
    /// Computes a product; false if nothing was done.
    ///
    /// # Safety
    /// No axis is empty, every element of the operands is readable, every element of the result is writable, and the result overlaps neither
    /// operand. If it overlaps itself, the product is added.
    unsafe fn contract(variant: Variant, product: &Contraction<'_, Self>) -> bool;
}

#[cfg(not(target_arch = "x86_64"))]
macro_rules! tiles {
    ($($T:ident)*) => { $(
        impl Tiles for $T {
            unsafe fn contract(_: Variant, _: &Contraction<'_, Self>) -> bool {
                false
            }
        }
    )* };
}
#[cfg(not(target_arch = "x86_64"))]
tiles!(f32 f64);

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};
    use std::mem::MaybeUninit;

    use super::super::contract::{MAX_AXES, Walk, count};
    use super::super::vector::Vector;
    use super::{Contraction, Tiles, Variant};

    /// The most terms that are summed before the sums go to memory.
    const MAX_TERMS: usize = 320;
    /// The most rows of a panel: two registers of 16 lanes.
    const MAX_ROWS: usize = 32;
    /// The most columns of a tile.
    const MAX_COLUMNS: usize = 8;
    /// What packing one element takes, in multiplications of whole registers.
    const PACKING: usize = 3;

    macro_rules! tiles {
        ($T:ident, $avx512:ident, $avx2:ident, $V512:ident, $V256:ident) => {
            impl Tiles for $T {
                unsafe fn contract(variant: Variant, product: &Contraction<'_, Self>) -> bool {
                    // SAFETY of both calls: the variant comes from what was found on this CPU; the caller vouches for the operands.
                    match variant {
                        Variant::Avx512 => unsafe { $avx512(product) },
                        Variant::Avx2 if is_x86_feature_detected!("fma") => unsafe { $avx2(product) },
                        Variant::Avx2 | Variant::Baseline => return false,
                    }
                    true
                }
            }

            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
            unsafe fn $avx512(product: &Contraction<'_, $T>) {
                // SAFETY: passed on.
                unsafe { panels::<$T, $V512, 8>(product) }
            }

            #[target_feature(enable = "avx2,fma")]
            unsafe fn $avx2(product: &Contraction<'_, $T>) {
                // SAFETY: passed on.
                unsafe { panels::<$T, $V256, 4>(product) }
            }
        };
    }
    tiles!(f64, avx512_f64, avx2_f64, __m512d, __m256d);
    tiles!(f32, avx512_f32, avx2_f32, __m512, __m256);

    /// Which operand is packed.
    fn packed<T>(product: &Contraction<'_, T>, lanes: usize) -> usize {
        let n_terms = count(product.sums);
        let cost = |side: usize| {
            let (rows, columns) = (count(product.own[side]), count(product.own[1 - side]));
            (rows.div_ceil(lanes) * columns + PACKING * rows).saturating_mul(n_terms)
        };
        usize::from(cost(1) < cost(0))
    }

    /// Room for the panel and what belongs to it.
    struct Panel<T> {
        elements: [MaybeUninit<T>; MAX_TERMS * MAX_ROWS],
        /// For each term, where it is in the packed and in the other operand.
        terms: [[usize; 2]; MAX_TERMS],
        /// For each row, where it is in the packed operand and in the result.
        rows: [[usize; 2]; MAX_ROWS],
    }

    /// The product, in panels of two registers and tiles of up to `C` columns.
    #[inline(always)]
    unsafe fn panels<T: Sum, V: Vector<T>, const C: usize>(product: &Contraction<'_, T>) {
        let side = packed(product, V::LANES);
        let (row_axes, column_axes, out) = (product.own[side], product.own[1 - side], product.out);
        let (n_rows, n_columns, n_terms) = (count(row_axes), count(column_axes), count(product.sums));
        // Parts of about equal length.
        let part = n_terms.div_ceil(n_terms.div_ceil(MAX_TERMS));
        let width = if n_rows <= V::LANES { V::LANES } else { 2 * V::LANES };
        let mut panel =
            Panel { elements: [MaybeUninit::uninit(); MAX_TERMS * MAX_ROWS], terms: [[0; 2]; MAX_TERMS], rows: [[0; 2]; MAX_ROWS] };
        let (mut at_stack, mut at_rows, mut at_terms, mut at_columns) = ([0; MAX_AXES], [0; MAX_AXES], [0; MAX_AXES], [0; MAX_AXES]);
        let mut stack = Walk::new(product.both, [0; 3], &mut at_stack);
        for _ in 0..count(product.both) {
            let start = stack.next();
            let mut rows = Walk::new(row_axes, start, &mut at_rows);
            for first_row in (0..n_rows).step_by(width) {
                let n_lanes = width.min(n_rows - first_row);
                for row in &mut panel.rows[..n_lanes] {
                    let place = rows.next();
                    *row = [place[side], place[2]];
                }
                let mut terms = Walk::new(product.sums, [0; 3], &mut at_terms);
                for first_term in (0..n_terms).step_by(part) {
                    let n = part.min(n_terms - first_term);
                    for term in &mut panel.terms[..n] {
                        let place = terms.next();
                        *term = [place[side], place[1 - side]];
                    }
                    // SAFETY: the rows and terms are elements of the packed operand.
                    unsafe { panel.pack(product.operands[side], n, n_lanes, width) };
                    let adds = product.adds || first_term > 0;
                    let mut columns = Walk::new(column_axes, [start[0], start[1], 0], &mut at_columns);
                    let mut next = 0;
                    while next < n_columns {
                        let n_here = C.min(n_columns - next);
                        let mut places = [[0; 2]; MAX_COLUMNS];
                        for place in &mut places[..n_here] {
                            let column = columns.next();
                            *place = [column[1 - side], column[2]];
                        }
                        // Columns that do not exist are computed like the last one, and not stored.
                        let last = places[n_here - 1];
                        places[n_here..].fill(last);
                        let mut sums = [MaybeUninit::<T>::uninit(); MAX_COLUMNS * MAX_ROWS];
                        // SAFETY: the terms of the columns are elements of the other operand, the panel has `n` terms of `width` rows, and `sums` has room for
                        // all columns of a tile.
                        unsafe {
                            let other = product.operands[1 - side];
                            let to = sums.as_mut_ptr().cast::<T>();
                            match (n_lanes <= V::LANES, n_here) {
                                (false, 5..) => tile::<T, V, 2, C>(&panel, n, width, other, &places, to),
                                (false, 3..) => tile::<T, V, 2, 4>(&panel, n, width, other, &places, to),
                                (false, _) => tile::<T, V, 2, 2>(&panel, n, width, other, &places, to),
                                (true, 5..) => tile::<T, V, 1, C>(&panel, n, width, other, &places, to),
                                (true, 3..) => tile::<T, V, 1, 4>(&panel, n, width, other, &places, to),
                                (true, _) => tile::<T, V, 1, 2>(&panel, n, width, other, &places, to),
                            }
                            store(out, to, width, &panel.rows[..n_lanes], &places[..n_here], adds);
                        }
                        next += n_here;
                    }
                }
            }
        }
    }

    impl<T: Copy> Panel<T> {
        /// Copies some rows of the packed operand side by side, for `n` terms.
        #[inline(always)]
        unsafe fn pack(&mut self, from: *const T, n: usize, n_lanes: usize, width: usize)
        where
            T: Sum,
        {
            let together = self.rows[..n_lanes].windows(2).all(|pair| pair[1][0] == pair[0][0] + 1);
            for (row, [start, _]) in self.rows[..n_lanes].iter().enumerate() {
                if together {
                    break;
                }
                for (k, [term, _]) in self.terms[..n].iter().enumerate() {
                    // SAFETY: the caller vouches for the element, and the panel has `n` times `width` elements.
                    unsafe { self.elements.get_unchecked_mut(k * width + row).write(*from.add(start + term)) };
                }
            }
            for (k, [term, _]) in self.terms[..n].iter().enumerate() {
                let panel = &mut self.elements[k * width..][..width];
                if together {
                    // SAFETY: as above; the elements stand together.
                    let row = unsafe { std::slice::from_raw_parts(from.add(self.rows[0][0] + term), n_lanes) };
                    for (to, &x) in panel.iter_mut().zip(row) {
                        to.write(x);
                    }
                }
                for idle in &mut panel[n_lanes..] {
                    idle.write(T::ZERO);
                }
            }
        }
    }

    /// The sums of `C` columns for the rows of a panel, one column after the other in `to`.
    #[inline(always)]
    unsafe fn tile<T: Copy, V: Vector<T>, const U: usize, const C: usize>(
        panel: &Panel<T>,
        n: usize,
        width: usize,
        other: *const T,
        places: &[[usize; 2]; MAX_COLUMNS],
        to: *mut T,
    ) {
        let mut columns = [other; C];
        for (column, place) in columns.iter_mut().zip(places) {
            // SAFETY: the place of a column is inside of the operand.
            *column = unsafe { column.add(place[0]) };
        }
        let mut sums = [[V::zero(); U]; C];
        let mut rows = panel.elements.as_ptr().cast::<T>();
        for [_, term] in &panel.terms[..n] {
            let mut row = [V::zero(); U];
            // SAFETY: the panel has `n` times `width` elements, and each term of each column is an element of the operand.
            unsafe {
                for (u, row) in row.iter_mut().enumerate() {
                    *row = V::load(rows.add(u * V::LANES));
                }
                rows = rows.add(width);
                for (column, sums) in columns.iter().zip(&mut sums) {
                    let x = V::splat(column.add(*term));
                    for (row, sum) in row.iter().zip(sums) {
                        *sum = x.mul_add(*row, *sum);
                    }
                }
            }
        }
        for (c, sums) in sums.iter().enumerate() {
            for (u, sum) in sums.iter().enumerate() {
                // SAFETY: the caller has room for `C` columns.
                unsafe { sum.store(to.add(c * width + u * V::LANES)) };
            }
        }
    }

    /// Writes the sums of a tile where they belong.
    #[inline(always)]
    unsafe fn store<T: Sum>(out: *mut T, sums: *const T, width: usize, rows: &[[usize; 2]], columns: &[[usize; 2]], adds: bool) {
        for (r, [_, row]) in rows.iter().enumerate() {
            for (c, [_, column]) in columns.iter().enumerate() {
                // SAFETY: rows and columns are elements of the result, and of the sums.
                unsafe {
                    let (to, sum) = (out.add(row + column), *sums.add(c * width + r));
                    *to = if adds { T::add(*to, sum) } else { sum };
                }
            }
        }
    }

    /// What a panel and a result need of numbers.
    trait Sum: Copy {
        const ZERO: Self;

        fn add(self, other: Self) -> Self;
    }

    impl Sum for f64 {
        const ZERO: f64 = 0.0;

        #[inline(always)]
        fn add(self, other: f64) -> f64 {
            self + other
        }
    }

    impl Sum for f32 {
        const ZERO: f32 = 0.0;

        #[inline(always)]
        fn add(self, other: f32) -> f32 {
            self + other
        }
    }
}
