//! Matrix products, straight into their destination.
//!
//! The general product is that of `matrixmultiply`. Where that is slow there are paths of our own: vectors, and matrices of few columns or rows
//! ([`narrow`](super::narrow)).

use super::narrow::{MAX_COLS, Narrow};
use super::variant::{Kernel, Variant};
use crate::Float;
use crate::float::Strided;

/// A matrix over contiguous elements, or the transpose of one.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
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

impl<'a, T> Matrix<'a, T> {
    /// The transpose; nothing is moved.
    #[must_use]
    #[inline]
    pub fn t(self) -> Matrix<'a, T> {
        Matrix { data: self.data, rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride }
    }

    /// The first element and the strides.
    pub(super) fn strided(&self) -> Strided<*const T> {
        Strided { start: self.data.as_ptr(), row: self.row_stride as isize, col: self.col_stride as isize }
    }
}

/// `C ← A B`, row after row into `out`, which is not read.
///
/// # Panics
/// If the shapes do not fit.
pub fn product<'a, T: Float>(out: &'a mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) -> &'a [T] {
    product_with(Variant::detect(), out, a, b);
    out
}

fn product_with<T: Float>(variant: Variant, out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) {
    let (m, k, n) = (a.rows, a.cols, b.cols);
    assert!(b.rows == k, "a product of {m} × {k} and {} × {n}", b.rows);
    assert!(out.len() == m * n, "a destination of {} elements for a product of {m} × {n}", out.len());
    if k == 0 {
        out.fill(T::zero());
    } else if out.is_empty() {
        // There is nothing to compute.
    } else if n == 1 {
        variant.run(MatrixVector { out, a, x: b.data });
    } else if m == 1 {
        variant.run(MatrixVector { out, a: b.t(), x: a.data });
    } else if n <= MAX_COLS {
        let c = Strided { start: out.as_mut_ptr(), row: n as isize, col: 1 };
        // SAFETY: the matrices were checked by `matrix`, and `out` has the m × n elements that `c` describes.
        variant.run(unsafe { Narrow::new([m, k, n], a.strided(), b.strided(), c) });
    } else if m <= MAX_COLS {
        let c = Strided { start: out.as_mut_ptr(), row: 1, col: n as isize };
        // SAFETY: as above, for the transposed product.
        variant.run(unsafe { Narrow::new([n, k, m], b.t().strided(), a.t().strided(), c) });
    } else {
        let c = Strided { start: out.as_mut_ptr(), row: n as isize, col: 1 };
        // SAFETY: `matrix` found all elements of `a` and `b` inside their slices, `out` has m × n elements, and being a mutable reference it
        // overlaps neither of them.
        unsafe { T::gemm(m, k, n, a.strided(), b.strided(), c) };
    }
}

/// `out ← A x`
struct MatrixVector<'a, T> {
    out: &'a mut [T],
    a: Matrix<'a, T>,
    x: &'a [T],
}

/// Partial sums kept side by side in an inner product.
const LANES: usize = 32;

impl<T: Float> Kernel for MatrixVector<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let MatrixVector { out, a, x } = self;
        if a.col_stride == 1 {
            for (out, row) in out.iter_mut().zip(a.data.chunks_exact(a.cols)) {
                *out = inner_product(row, x);
            }
        } else {
            // The columns of `a` are contiguous: a combination of columns, four at a time so that `out` is read and written less often.
            out.fill(T::zero());
            let (quads, rest) = x.as_chunks::<4>();
            let (mut columns, n) = (a.data, a.rows);
            for [x0, x1, x2, x3] in quads {
                let (four, later) = columns.split_at(4 * n);
                let ((c0, c1), (c2, c3)) = (four[..2 * n].split_at(n), four[2 * n..].split_at(n));
                for ((((out, c0), c1), c2), c3) in out.iter_mut().zip(c0).zip(c1).zip(c2).zip(c3) {
                    *out += (*c0 * *x0 + *c1 * *x1) + (*c2 * *x2 + *c3 * *x3);
                }
                columns = later;
            }
            for (column, x) in columns.chunks_exact(n).zip(rest) {
                for (out, c) in out.iter_mut().zip(column) {
                    *out += *c * *x;
                }
            }
        }
    }
}

#[inline(always)]
fn inner_product<T: Float>(x: &[T], y: &[T]) -> T {
    let mut lanes = [T::zero(); LANES];
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in x.iter().zip(y) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += *x * *y;
        }
    }
    for ((lane, x), y) in lanes.iter_mut().zip(x_rest).zip(y_rest) {
        *lane += *x * *y;
    }
    let mut half = LANES / 2;
    while half > 0 {
        let (low, high) = lanes[..2 * half].split_at_mut(half);
        for (a, b) in low.iter_mut().zip(high) {
            *a += *b;
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(n: usize, seed: usize) -> Vec<f64> {
        (0..n).map(|i| (((i + seed) * 7919) % 1009) as f64 / 1009.0 - 0.5).collect()
    }

    /// All four transpositions of `m × k` times `k × n` on every variant, against sums one by one.
    fn check<T: Float>(m: usize, k: usize, n: usize) {
        let (x, y) = (entries(m * k, 3), entries(k * n, 5));
        let at = |data: &[f64], shape: [usize; 2], transposed: bool, i: usize, j: usize| {
            if transposed { data[j * shape[1] + i] } else { data[i * shape[1] + j] }
        };
        for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
            let a_shape = if ta { [k, m] } else { [m, k] };
            let b_shape = if tb { [n, k] } else { [k, n] };
            let (a_data, b_data): (Vec<T>, Vec<T>) =
                (x.iter().map(|&v| T::from_f64(v)).collect(), y.iter().map(|&v| T::from_f64(v)).collect());
            let (a, b) = (matrix(&a_data, a_shape), matrix(&b_data, b_shape));
            let (a, b) = (if ta { a.t() } else { a }, if tb { b.t() } else { b });
            let results: Vec<Vec<T>> = Variant::available()
                .iter()
                .map(|&variant| {
                    let mut out = vec![T::nan(); m * n];
                    product_with(variant, &mut out, a, b);
                    out
                })
                .collect();
            assert!(results.iter().all(|r| *r == results[0]), "variants differ for {m}x{k}x{n}, transposed {ta} {tb}");
            for i in 0..m {
                for j in 0..n {
                    let want: f64 = (0..k).map(|l| at(&x, a_shape, ta, i, l) * at(&y, b_shape, tb, l, j)).sum();
                    let got = results[0][i * n + j].to_f64();
                    let allowed = T::EPSILON.to_f64() * (k as f64 + 1.0);
                    assert!((got - want).abs() <= allowed, "{m}x{k}x{n} at {i},{j}, transposed {ta} {tb}: {got} for {want}");
                }
            }
        }
    }

    #[test]
    fn small_products() {
        for m in 0..12 {
            for k in 0..12 {
                for n in 0..12 {
                    check::<f64>(m, k, n);
                }
            }
        }
    }

    #[test]
    fn larger_products() {
        for (m, k, n) in [(33, 70, 10), (10, 300, 33), (1, 100, 40), (40, 100, 1), (17, 600, 16), (31, 1, 31), (40, 50, 60), (20, 520, 3)] {
            check::<f64>(m, k, n);
            check::<f32>(m, k, n);
        }
    }

    #[test]
    #[should_panic(expected = "a product of 2 × 3 and 4 × 5")]
    fn shapes_are_checked() {
        product(&mut [0.0; 10], matrix(&[0.0; 6], [2, 3]), matrix(&[0.0; 20], [4, 5]));
    }
}
