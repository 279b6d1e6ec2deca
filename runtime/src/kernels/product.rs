//! Matrix products, straight into their destination.
//!
//! The general product is that of `matrixmultiply`. Products with a vector have paths of their own: on 1200 × 64 elements of `f64` they take 11 µs
//! where the general one takes 41 (one core with AVX-512). Products of a few columns are in `narrow`.

use super::matrix::Matrix;
use super::narrow;
use super::variant::{Kernel, Variant, run};
use crate::Float;
use crate::float::Strided;

/// `C ← A B`, row after row into `out`, which is not read.
///
/// # Panics
/// If the shapes do not fit.
pub fn product<'a, T: Float>(out: &'a mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>) -> &'a [T] {
    let (m, k, n) = (a.rows, a.cols, b.cols);
    assert!(b.rows == k, "a product of {m} × {k} and {} × {n}", b.rows);
    assert!(out.len() == m * n, "a destination of {} elements for a product of {m} × {n}", out.len());
    if k == 0 {
        out.fill(T::zero());
    } else if out.is_empty() {
        // There is nothing to compute.
    } else if n == 1 {
        run(MatrixVector { out: &mut *out, a, x: b.data });
    } else if m == 1 {
        run(MatrixVector { out: &mut *out, a: b.t(), x: a.data });
    } else if !narrow::product(Variant::detect(), out, a, b) {
        let c = Strided { start: out.as_mut_ptr(), row: n as isize, col: 1 };
        // SAFETY: `matrix` found all elements of `a` and `b` inside their slices, `out` has m × n elements, and being a mutable reference it
        // overlaps neither of them.
        unsafe { T::gemm(m, k, n, a.strided(), b.strided(), c) };
    }
    out
}

/// `out ← A x`
struct MatrixVector<'a, T> {
    out: &'a mut [T],
    a: Matrix<'a, T>,
    x: &'a [T],
}

/// Partial sums kept side by side in an inner product.
const LANES: usize = 8;

impl<T: Float> Kernel for MatrixVector<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let MatrixVector { out, a, x } = self;
        if a.col_stride == 1 {
            // Four rows at a time, so that `x` is read less often and the additions of one row need not wait for each other.
            let (quads, rest) = out.as_chunks_mut::<4>();
            let (four_each, one_each) = a.data.split_at(4 * quads.len() * a.cols);
            for (out, rows) in quads.iter_mut().zip(four_each.chunks_exact(4 * a.cols)) {
                *out = inner_products(rows, x);
            }
            for (out, row) in rest.iter_mut().zip(one_each.chunks_exact(a.cols)) {
                [*out] = inner_products(row, x);
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

/// The inner products of `ROWS` rows of `a` with `x`, side by side.
#[inline(always)]
fn inner_products<T: Float, const ROWS: usize>(a: &[T], x: &[T]) -> [T; ROWS] {
    let n = x.len();
    let mut lanes = [[T::zero(); LANES]; ROWS];
    let (x_chunks, x_rest) = x.as_chunks::<LANES>();
    for (c, x) in x_chunks.iter().enumerate() {
        for (r, lanes) in lanes.iter_mut().enumerate() {
            let row = &a[r * n + c * LANES..][..LANES];
            for l in 0..LANES {
                lanes[l] += row[l] * x[l];
            }
        }
    }
    std::array::from_fn(|r| {
        let mut lanes = lanes[r];
        for ((lane, a), x) in lanes.iter_mut().zip(&a[r * n + n - x_rest.len()..]).zip(x_rest) {
            *lane += *a * *x;
        }
        let [a, b, c, d, e, f, g, h] = lanes;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    })
}

#[cfg(test)]
mod tests {
    use super::super::matrix::matrix;
    use super::*;

    fn entries(n: usize, seed: usize) -> Vec<f64> {
        (0..n).map(|i| (((i + seed) * 7919) % 1009) as f64 / 1009.0 - 0.5).collect()
    }

    /// All four transpositions of `m × k` times `k × n`, against sums one by one.
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
            let mut out = vec![T::nan(); m * n];
            product(&mut out, a, b);
            for i in 0..m {
                for j in 0..n {
                    let want: f64 = (0..k).map(|l| at(&x, a_shape, ta, i, l) * at(&y, b_shape, tb, l, j)).sum();
                    let got = out[i * n + j].to_f64();
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
    fn variants_agree_bit_for_bit() {
        for (m, k) in (1..20).flat_map(|m| (1..20).map(move |k| (m, k))).chain([(7, 100), (100, 7), (33, 65)]) {
            let (data, x) = (entries(m * k, 3), entries(k, 5));
            for a in [matrix(&data, [m, k]), matrix(&data, [k, m]).t()] {
                let on = |variant: Variant| {
                    let mut out = vec![f64::NAN; m];
                    variant.run(MatrixVector { out: &mut out, a, x: &x });
                    out
                };
                assert!(Variant::available().iter().all(|&v| on(v) == on(Variant::Baseline)), "{m} × {k}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "a product of 2 × 3 and 4 × 5")]
    fn shapes_are_checked() {
        product(&mut [0.0; 10], matrix(&[0.0; 6], [2, 3]), matrix(&[0.0; 20], [4, 5]));
    }
}
