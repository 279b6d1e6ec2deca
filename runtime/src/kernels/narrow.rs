//! Products with few columns, `C ← A B` for `B` of 2 to [`MAX_COLUMNS`] columns, row after row in memory.
//!
//! There is no packing and no allocation. `A` of rows takes tiles of some rows and all columns, one vector of columns next to the other: each
//! element of `A` is spread over a vector and multiplied with a row of `B`. If `A` is a transpose, vectors run along the rows of `C` instead, which
//! are contiguous in `A`, so that no lane is wasted on columns that do not exist; blocks of [`DEPTH`] terms keep what is read of `A` in the
//! first cache for all columns.
//!
//! On 1200 × 64 elements with 10 columns (one core with AVX-512, minimum of many runs) `A B` takes 31 µs in `f64` and 20 in `f32`, where
//! the general product takes 57 and 34; `Aᵀ B` takes 23 and 11, where it takes 58 and 30.
//!
//! Every element is one chain of fused multiply-adds over the terms in their order, whatever the width of vectors. CPUs without fused multiply-add
//! take the general product.

use super::matrix::Matrix;
use super::variant::Variant;

/// The most columns that are few.
const MAX_COLUMNS: usize = 16;

/// Computes `C ← A B` row after row into `out`, which is not read, if the product is one of few columns and the CPU has fused multiply-add. False if
/// nothing was done.
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn product<T: Narrow>(variant: Variant, out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) -> bool {
    let ([m, k], [b_rows, n]) = (a.shape(), b.shape());
    assert!(k == b_rows && out.len() == m * n, "a product of {m} × {k} and {b_rows} × {n} into {} elements", out.len());
    if !(2..=MAX_COLUMNS).contains(&n) || m == 0 || k == 0 || b.strided().col != 1 {
        return false;
    }
    // SAFETY: just checked.
    unsafe { T::narrow(variant, out, a, b) }
}

/// The element types that have such products.
pub trait Narrow: Copy + Default {
    /// See [`product`].
    ///
    /// # Safety
    /// The shapes fit, nothing is empty, `B` has 2 to [`MAX_COLUMNS`] columns and its rows stand one after the other.
    unsafe fn narrow(variant: Variant, out: &mut [Self], a: Matrix<'_, Self>, b: Matrix<'_, Self>) -> bool;
}

#[cfg(not(target_arch = "x86_64"))]
macro_rules! narrow {
    ($($T:ident)*) => { $(
        impl Narrow for $T {
            unsafe fn narrow(_: Variant, _: &mut [Self], _: Matrix<'_, Self>, _: Matrix<'_, Self>) -> bool {
                false
            }
        }
    )* };
}
#[cfg(not(target_arch = "x86_64"))]
narrow!(f32 f64);

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};

    use super::super::vector::Vector;
    use super::{MAX_COLUMNS, Matrix, Narrow, Variant};
    use crate::float::Strided;

    /// Terms that are summed for one set of columns before the next set reads the same part of `A`.
    const DEPTH: usize = 64;
    /// With fewer terms, moving the sums from columns to rows at the end costs more than vectors along the rows of `C` gain.
    const MIN_TERMS: usize = 16;
    /// The most columns whose sums are in registers at once where vectors run along rows.
    const COLUMNS_AT_ONCE: usize = 6;
    /// The most elements in the vectors that run along rows: four of 16 lanes.
    const MAX_LANES: usize = 64;

    /// The matrices of one product.
    #[derive(Clone, Copy)]
    struct Operands<T> {
        m: usize,
        k: usize,
        n: usize,
        a: Strided<*const T>,
        b: *const T,
        c: *mut T,
    }

    /// What the tiles may use: `avx512` has 32 registers, `avx2` has 16. Tiles leave room for what is multiplied.
    macro_rules! narrow {
        ($T:ident, $avx512:ident, $avx2:ident, $V512:ident, $V256:ident) => {
            impl Narrow for $T {
                unsafe fn narrow(variant: Variant, out: &mut [Self], a: Matrix<'_, Self>, b: Matrix<'_, Self>) -> bool {
                    let ([m, k], [_, n]) = (a.shape(), b.shape());
                    let operands = Operands { m, k, n, a: a.strided(), b: b.strided().start, c: out.as_mut_ptr() };
                    // SAFETY of both calls: the variant comes from what was found on this CPU; the caller vouches for the shapes.
                    match variant {
                        Variant::Avx512 => unsafe { $avx512(operands) },
                        Variant::Avx2 if is_x86_feature_detected!("fma") => unsafe { $avx2(operands) },
                        Variant::Avx2 | Variant::Baseline => return false,
                    }
                    true
                }
            }

            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
            unsafe fn $avx512(operands: Operands<$T>) {
                // SAFETY: passed on.
                unsafe {
                    let from = along_rows::<$T, $V512, 4>(operands);
                    match operands.n.div_ceil($V512::LANES) {
                        1 => rows::<$T, $V512, 1, 12>(operands, from),
                        2 => rows::<$T, $V512, 2, 10>(operands, from),
                        vectors => unreachable!("{vectors} vectors for {} columns", operands.n),
                    }
                }
            }

            #[target_feature(enable = "avx2,fma")]
            unsafe fn $avx2(operands: Operands<$T>) {
                // SAFETY: passed on.
                unsafe {
                    let from = along_rows::<$T, $V256, 2>(operands);
                    match operands.n.div_ceil($V256::LANES) {
                        1 => rows::<$T, $V256, 1, 10>(operands, from),
                        2 => rows::<$T, $V256, 2, 6>(operands, from),
                        3 => rows::<$T, $V256, 3, 4>(operands, from),
                        4 => rows::<$T, $V256, 4, 2>(operands, from),
                        vectors => unreachable!("{vectors} vectors for {} columns", operands.n),
                    }
                }
            }
        };
    }
    narrow!(f64, avx512_f64, avx2_f64, __m512d, __m256d);
    narrow!(f32, avx512_f32, avx2_f32, __m512, __m256);

    /// The rows of `C` from `from` on, in tiles of `ROWS` rows and `W` vectors of columns.
    ///
    /// Vectors reach beyond the last column: what they read of `B` there are elements of the next rows, and what they write to `C` there is
    /// overwritten by the next rows. At the end of both, where there are no next rows, a copy is read and written instead.
    #[inline(always)]
    unsafe fn rows<T: Copy + Default, V: Vector<T>, const W: usize, const ROWS: usize>(operands: Operands<T>, from: usize) {
        let Operands { m, k, n, b, .. } = operands;
        let width = W * V::LANES;
        let n_direct = if k * n >= width { ((k * n - width) / n + 1).min(k) } else { 0 };
        // At most width / n rows of this width, each of at least two columns.
        let mut last = [T::default(); MAX_COLUMNS / 2 * MAX_COLUMNS];
        for (l, last) in (n_direct..k).zip(last.chunks_exact_mut(width)) {
            // SAFETY: `l` is a row of `B`, and the width is at least `n`.
            unsafe { std::ptr::copy_nonoverlapping(b.add(l * n), last.as_mut_ptr(), n) };
        }
        let mut i = from;
        // SAFETY: the rows of each tile are rows of `C`.
        unsafe {
            while i + ROWS <= m {
                tile::<T, V, W, ROWS>(operands, i, n_direct, &last);
                i += ROWS;
            }
            while i + 4 <= m {
                tile::<T, V, W, 4>(operands, i, n_direct, &last);
                i += 4;
            }
            while i < m {
                tile::<T, V, W, 1>(operands, i, n_direct, &last);
                i += 1;
            }
        }
    }

    /// The rows of `C` from `i` to `i + ROWS`. The first `n_direct` rows of `B` may be read over a tile's width, the others are in `last`.
    #[inline(always)]
    unsafe fn tile<T: Copy + Default, V: Vector<T>, const W: usize, const ROWS: usize>(
        Operands { m, k, n, a, b, c }: Operands<T>,
        i: usize,
        n_direct: usize,
        last: &[T],
    ) {
        let width = W * V::LANES;
        let mut sums = [[V::zero(); W]; ROWS];
        for l in 0..n_direct {
            // SAFETY: below `n_direct`, the row of `B` may be read over the width.
            unsafe { add_term(&mut sums, a, i, l, b.add(l * n)) };
        }
        for (l, last) in (n_direct..k).zip(last.chunks_exact(width)) {
            // SAFETY: the copy of the row is as long as the width.
            unsafe { add_term(&mut sums, a, i, l, last.as_ptr()) };
        }
        for (r, sums) in sums.iter().enumerate() {
            let first = (i + r) * n;
            let mut copy = [T::default(); MAX_COLUMNS];
            let direct = first + width <= m * n;
            // SAFETY: either all of the width is inside of `C`, or all of it is inside of the copy, whose first `n` elements are a row of `C`.
            unsafe {
                let to = if direct { c.add(first) } else { copy.as_mut_ptr() };
                for (w, sums) in sums.iter().enumerate() {
                    sums.store(to.add(w * V::LANES));
                }
                if !direct {
                    std::ptr::copy_nonoverlapping(copy.as_ptr(), c.add(first), n);
                }
            }
        }
    }

    /// Adds column `l` of `A`, at the rows from `i` on, times the row of `B` at `b`. This must not become a closure: unless it is inlined, every
    /// intrinsic in it is a call, and the product takes 70 times as long.
    #[inline(always)]
    unsafe fn add_term<T, V: Vector<T>, const W: usize, const ROWS: usize>(
        sums: &mut [[V; W]; ROWS],
        a: Strided<*const T>,
        i: usize,
        l: usize,
        b: *const T,
    ) {
        let mut row = [V::zero(); W];
        for (w, row) in row.iter_mut().enumerate() {
            // SAFETY: the caller lets the row of `B` be read over the width.
            *row = unsafe { V::load(b.add(w * V::LANES)) };
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: row `i + r` and column `l` are inside of `A`.
            let a = unsafe { V::splat(a.start.offset((i + r) as isize * a.row + l as isize * a.col)) };
            for w in 0..W {
                sums[w] = a.mul_add(row[w], sums[w]);
            }
        }
    }

    /// Vectors along the rows of `C`, `U` at once, if those are contiguous in `A` and there are enough terms. Gives the number of rows that it computed.
    #[inline(always)]
    unsafe fn along_rows<T: Copy + Default, V: Vector<T>, const U: usize>(operands: Operands<T>) -> usize {
        let mut i = 0;
        if operands.a.row == 1 && operands.k >= MIN_TERMS {
            // SAFETY: the rows of each strip are rows of `C`.
            unsafe {
                while i + U * V::LANES <= operands.m {
                    strip::<T, V, U>(operands, i);
                    i += U * V::LANES;
                }
                while i + V::LANES <= operands.m {
                    strip::<T, V, 1>(operands, i);
                    i += V::LANES;
                }
            }
        }
        i
    }

    /// The rows of `C` from `i` on, as many as `U` vectors hold.
    #[inline(always)]
    unsafe fn strip<T: Copy + Default, V: Vector<T>, const U: usize>(operands: Operands<T>, i: usize) {
        let Operands { k, n, c, .. } = operands;
        let n_lanes = U * V::LANES;
        // Columns one after the other, each of `n_lanes` elements.
        let mut columns = [T::default(); MAX_COLUMNS * MAX_LANES];
        let n_sets = n.div_ceil(COLUMNS_AT_ONCE);
        for first in (0..k).step_by(DEPTH) {
            let terms = first..k.min(first + DEPTH);
            for set in 0..n_sets {
                let (j, end) = (set * n / n_sets, (set + 1) * n / n_sets);
                let sums = columns[j * n_lanes..end * n_lanes].as_mut_ptr();
                // SAFETY: `sums` has room for the columns from `j` to `end`; rows, columns and terms are inside of the matrices.
                unsafe {
                    match end - j {
                        1 => add_terms::<T, V, U, 1>(operands, i, j, terms.clone(), sums),
                        2 => add_terms::<T, V, U, 2>(operands, i, j, terms.clone(), sums),
                        3 => add_terms::<T, V, U, 3>(operands, i, j, terms.clone(), sums),
                        4 => add_terms::<T, V, U, 4>(operands, i, j, terms.clone(), sums),
                        5 => add_terms::<T, V, U, 5>(operands, i, j, terms.clone(), sums),
                        COLUMNS_AT_ONCE => add_terms::<T, V, U, COLUMNS_AT_ONCE>(operands, i, j, terms.clone(), sums),
                        columns => unreachable!("{columns} columns at once"),
                    }
                }
            }
        }
        for r in 0..n_lanes {
            for j in 0..n {
                // SAFETY: row `i + r` and column `j` are inside of `C`.
                unsafe { *c.add((i + r) * n + j) = columns[j * n_lanes + r] };
            }
        }
    }

    /// Adds some terms to `N` columns from `j` on of the rows from `i` on. The sums stand in `sums`, column after column.
    #[inline(always)]
    unsafe fn add_terms<T, V: Vector<T>, const U: usize, const N: usize>(
        Operands { n, a, b, .. }: Operands<T>,
        i: usize,
        j: usize,
        terms: std::ops::Range<usize>,
        to: *mut T,
    ) {
        let mut sums = [[V::zero(); U]; N];
        // SAFETY: the caller vouches for `N` columns of `U` vectors each in `to`, and for rows, columns and terms.
        unsafe {
            for (column, sums) in sums.iter_mut().enumerate() {
                for (u, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(to.add((column * U + u) * V::LANES));
                }
            }
            for l in terms {
                let mut rows = [V::zero(); U];
                for (u, rows) in rows.iter_mut().enumerate() {
                    *rows = V::load(a.start.offset(l as isize * a.col).add(i + u * V::LANES));
                }
                for (column, sums) in sums.iter_mut().enumerate() {
                    let factor = V::splat(b.add(l * n + j + column));
                    for u in 0..U {
                        sums[u] = factor.mul_add(rows[u], sums[u]);
                    }
                }
            }
            for (column, sums) in sums.iter().enumerate() {
                for (u, sum) in sums.iter().enumerate() {
                    sum.store(to.add((column * U + u) * V::LANES));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::matrix::matrix;
    use super::*;
    use crate::Float;

    fn entries<T: Float>(n: usize, seed: usize) -> Vec<T> {
        (0..n).map(|i| T::from_f64((((i + seed) * 7919) % 1009) as f64 / 1009.0 - 0.5)).collect()
    }

    /// Both transpositions of `m × k` times `k × n` on every variant, against sums one by one.
    fn check<T: Float>(m: usize, k: usize, n: usize) {
        let (a_data, b_data) = (entries::<T>(m * k, 3), entries::<T>(k * n, 5));
        let b = matrix(&b_data, [k, n]);
        for (a, strides) in [(matrix(&a_data, [m, k]), [k, 1]), (matrix(&a_data, [k, m]).t(), [1, m])] {
            let mut results = Vec::new();
            for &variant in Variant::available() {
                // What follows the destination stays as it is.
                let mut out = vec![T::nan(); m * n + 20];
                let done = product(variant, &mut out[..m * n], a, b);
                assert!(out.drain(m * n..).all(|x| x.is_nan()), "{m}x{k}x{n} on {variant:?}");
                if !done {
                    assert!(out.iter().all(|x| x.is_nan()), "{m}x{k}x{n} on {variant:?}");
                    continue;
                }
                for i in 0..m {
                    for j in 0..n {
                        let term = |l: usize| a_data[i * strides[0] + l * strides[1]].to_f64() * b_data[l * n + j].to_f64();
                        let want: f64 = (0..k).map(term).sum();
                        let got = out[i * n + j].to_f64();
                        let allowed = T::EPSILON.to_f64() * (k as f64 + 1.0);
                        assert!((got - want).abs() <= allowed, "{m}x{k}x{n} at {i},{j} on {variant:?}: {got} for {want}");
                    }
                }
                results.push(out);
            }
            assert!(results.windows(2).all(|r| r[0] == r[1]), "variants differ for {m}x{k}x{n}");
            #[cfg(target_arch = "x86_64")]
            if (2..=MAX_COLUMNS).contains(&n) && m > 0 && k > 0 && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                assert!(!results.is_empty(), "{m}x{k}x{n} was left to the general product");
            }
        }
    }

    #[test]
    fn small_products() {
        for m in 0..=20 {
            for k in 0..=20 {
                for n in 0..=20 {
                    check::<f64>(m, k, n);
                    check::<f32>(m, k, n);
                }
            }
        }
    }

    #[test]
    fn larger_products() {
        for (m, k, n) in [(33, 70, 10), (100, 200, 16), (77, 130, 13), (17, 600, 7), (1, 100, 10), (130, 15, 9), (71, 16, 2)] {
            check::<f64>(m, k, n);
            check::<f32>(m, k, n);
        }
    }
}
