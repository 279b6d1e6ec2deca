//! Factorisations and linear systems, matrix after matrix of a batch.
//!
//! A matrix without a factorisation gives infinities or NaN, as the arithmetic has it: generated code reports non-finite results where it reports
//! those of any other operation.

use crate::Float;

/// The triangle of a matrix that is read; the rest does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Triangle {
    /// The lower or the upper one.
    pub lower: bool,
    /// Whether the matrix is then transposed.
    pub transposed: bool,
    /// Whether the diagonal is taken as ones, and not read.
    pub unit: bool,
}

/// Element types with factorisations: every [`Float`], with the feature `linalg`.
pub trait Real: Float + Factor {}
impl<T: Float + Factor> Real for T {}

/// The kernels of [`Real`] for one matrix of `n × n` elements in row-major order.
#[diagnostic::on_unimplemented(
    message = "factorisations of `{Self}` are not available",
    label = "needs `f64` or `f32`, and the feature `linalg` of the crate `bilevel`",
    note = "the feature is on by default; without default features write `bilevel = {{ version = \"…\", features = [\"linalg\"] }}` in Cargo.toml"
)]
pub trait Factor: Sized {
    /// `p a = l u` in place, and for each row the row with which it is exchanged.
    #[doc(hidden)]
    fn factor_lu(a: &mut [Self], pivots: &mut [usize], n: usize);

    /// `t x = b` in place, for `columns` right sides.
    #[doc(hidden)]
    fn solve_triangle(t: &[Self], b: &mut [Self], n: usize, columns: usize, triangle: Triangle);

    /// The lower triangular factor of a symmetric matrix, of which the lower triangle is read, in its place. The rest becomes zero. Says whether there is one.
    #[doc(hidden)]
    fn factor_cholesky(a: &mut [Self], n: usize) -> bool;

    /// `p a pᵀ = l b lᵀ` of a symmetric matrix, of which the lower triangle is read, by the pivoting of Bunch and Kaufman: `l` below its diagonal of ones in
    /// place, the diagonal of `b` and what is beside it, and the order of the rows with its inverse.
    #[doc(hidden)]
    fn factor_symmetric(a: &mut [Self], diagonal: &mut [Self], beside: &mut [Self], order: &mut [usize], inverse: &mut [usize], n: usize);

    /// `a x = b` in place, from what [`factor_symmetric`](Self::factor_symmetric) gives.
    #[doc(hidden)]
    fn solve_symmetric(factor: &[Self], diagonal: &[Self], beside: &[Self], order: &[usize], inverse: &[usize], x: &mut [Self]);

    /// Eigenvalues, ascending, and eigenvectors as columns, of `(a + aᵀ) / 2`. Says whether they were found.
    #[doc(hidden)]
    fn eigen(a: &[Self], values: &mut [Self], vectors: &mut [Self], n: usize) -> bool;
}

/// What every float type has: with the feature `linalg` its factorisations, without it nothing.
#[cfg(feature = "linalg")]
pub(crate) use Factor as Factored;

/// What every float type has: with the feature `linalg` its factorisations, without it nothing.
#[cfg(not(feature = "linalg"))]
pub trait Factored {}
#[cfg(not(feature = "linalg"))]
impl<T> Factored for T {}

/// `p a = l u` for each matrix: the factors, `l` below its diagonal of ones, in `out`, and the row exchanges in `pivots`.
///
/// # Panics
/// If the lengths do not fit.
pub fn lu<'a, T: Real>(out: &'a mut [T], pivots: &'a mut [usize], a: &[T], [batch, n]: [usize; 2]) -> (&'a [T], &'a [usize]) {
    assert!(a.len() == batch * n * n && pivots.len() == batch * n, "{batch} matrices of {n} × {n}");
    out.copy_from_slice(a);
    if n > 0 {
        for (a, pivots) in out.chunks_exact_mut(n * n).zip(pivots.chunks_exact_mut(n)) {
            T::factor_lu(a, pivots, n);
        }
    }
    (out, pivots)
}

/// `a x = b`, or `aᵀ x = b`, from what [`lu`] gives; each `b` is a matrix of `n × columns`. With fewer matrices than right sides, those are taken in turn.
///
/// # Panics
/// If the lengths do not fit.
pub fn lu_solve<'a, T: Real>(
    out: &'a mut [T],
    factors: &[T],
    pivots: &[usize],
    b: &[T],
    [batch, n, columns]: [usize; 3],
    transposed: bool,
) -> &'a [T] {
    assert!(b.len() == batch * n * columns && factors.len() == pivots.len() * n, "{batch} systems of {n} × {n}");
    out.copy_from_slice(b);
    if out.is_empty() {
        return out;
    }
    assert!(pivots.len().is_multiple_of(n) && batch.is_multiple_of(pivots.len() / n), "{batch} systems and {} pivots", pivots.len());
    let lower = Triangle { lower: true, transposed, unit: true };
    let upper = Triangle { lower: false, transposed, unit: false };
    let matrices = factors.chunks_exact(n * n).zip(pivots.chunks_exact(n)).cycle();
    for (x, (factors, pivots)) in out.chunks_exact_mut(n * columns).zip(matrices) {
        if transposed {
            // `aᵀ = uᵀ lᵀ p`
            T::solve_triangle(factors, x, n, columns, upper);
            T::solve_triangle(factors, x, n, columns, lower);
            for (i, &pivot) in pivots.iter().enumerate().rev() {
                exchange(x, columns, i, pivot);
            }
        } else {
            for (i, &pivot) in pivots.iter().enumerate() {
                exchange(x, columns, i, pivot);
            }
            T::solve_triangle(factors, x, n, columns, lower);
            T::solve_triangle(factors, x, n, columns, upper);
        }
    }
    out
}

/// Exchanges two rows.
fn exchange<T>(x: &mut [T], columns: usize, i: usize, j: usize) {
    if i != j {
        let (first, second) = x.split_at_mut(i.max(j) * columns);
        first[i.min(j) * columns..][..columns].swap_with_slice(&mut second[..columns]);
    }
}

/// `ln |det a|` of each matrix, from what [`lu`] gives.
///
/// # Panics
/// If the lengths do not fit.
pub fn log_det<'a, T: Real>(out: &'a mut [T], factors: &[T], [batch, n]: [usize; 2]) -> &'a [T] {
    assert!(factors.len() == batch * n * n && out.len() == batch, "{batch} matrices of {n} × {n}");
    for (k, out) in out.iter_mut().enumerate() {
        *out = (0..n).map(|i| factors[k * n * n + i * (n + 1)].abs().ln()).sum();
    }
    out
}

/// `l` with `l lᵀ = (a + aᵀ) / 2` for each matrix; NaN where that is not positive definite.
///
/// # Panics
/// If the lengths do not fit.
pub fn cholesky<'a, T: Real>(out: &'a mut [T], a: &[T], [batch, n]: [usize; 2]) -> &'a [T] {
    assert!(a.len() == batch * n * n && out.len() == a.len(), "{batch} matrices of {n} × {n}");
    if n > 0 {
        let half = T::from_f64(0.5);
        for (l, a) in out.chunks_exact_mut(n * n).zip(a.chunks_exact(n * n)) {
            for i in 0..n {
                for j in 0..=i {
                    l[i * n + j] = half * (a[i * n + j] + a[j * n + i]);
                }
            }
            if !T::factor_cholesky(l, n) {
                l.fill(T::nan());
            }
        }
    }
    out
}

/// `t x = b`, where `t` is the triangle that is said; each `b` is a matrix of `n × columns`. With fewer matrices than right sides, those are taken in turn.
///
/// # Panics
/// If the lengths do not fit.
pub fn solve_triangular<'a, T: Real>(out: &'a mut [T], t: &[T], b: &[T], [batch, n, columns]: [usize; 3], triangle: Triangle) -> &'a [T] {
    assert!(b.len() == batch * n * columns, "{batch} systems of {n} × {n}");
    out.copy_from_slice(b);
    if !out.is_empty() {
        assert!(
            t.len().is_multiple_of(n * n) && batch.is_multiple_of(t.len() / (n * n)),
            "{batch} systems and {} elements of matrices",
            t.len()
        );
        for (x, t) in out.chunks_exact_mut(n * columns).zip(t.chunks_exact(n * n).cycle()) {
            T::solve_triangle(t, x, n, columns, triangle);
        }
    }
    out
}

/// Eigenvalues, ascending, and eigenvectors, as columns, of `(a + aᵀ) / 2` for each matrix. In each vector the first element that is at least 0.6 times as
/// large as the largest is positive.
///
/// # Panics
/// If the lengths do not fit.
pub fn eigh<'a, T: Real>(values: &'a mut [T], vectors: &'a mut [T], a: &[T], [batch, n]: [usize; 2]) -> (&'a [T], &'a [T]) {
    assert!(a.len() == batch * n * n && vectors.len() == a.len() && values.len() == batch * n, "{batch} matrices of {n} × {n}");
    if n > 0 {
        for ((values, vectors), a) in values.chunks_exact_mut(n).zip(vectors.chunks_exact_mut(n * n)).zip(a.chunks_exact(n * n)) {
            if a.iter().all(|x| x.is_finite()) && T::eigen(a, values, vectors, n) {
                fix_signs(vectors, n);
            } else {
                values.fill(T::nan());
                vectors.fill(T::nan());
            }
        }
    }
    (values, vectors)
}

/// Makes the sign of each column that of the convention.
fn fix_signs<T: Float>(vectors: &mut [T], n: usize) {
    for j in 0..n {
        let column = || (0..n).map(|i| vectors[i * n + j]);
        let largest = column().fold(T::zero(), |m, x| if x.abs() > m { x.abs() } else { m });
        let negative = column().find(|x| x.abs() >= T::from_f64(0.6) * largest).is_some_and(|x| x < T::zero());
        if negative {
            (0..n).for_each(|i| vectors[i * n + j] = -vectors[i * n + j]);
        }
    }
}

#[cfg(all(test, feature = "linalg"))]
mod tests {
    use super::*;

    /// Elements without a pattern, with a diagonal that keeps the matrix far from singular.
    fn matrix(n: usize, seed: usize) -> Vec<f64> {
        let noise = |k: usize| (((k + seed) * 7919) % 1009) as f64 / 1009.0 - 0.5;
        (0..n * n).map(|k| noise(k) + if k % (n + 1) == 0 { if k % 2 == 0 { 3.0 } else { -3.0 } } else { 0.0 }).collect()
    }

    fn times(a: &[f64], transposed: bool, x: &[f64], n: usize, columns: usize) -> Vec<f64> {
        let at = |i: usize, j: usize| if transposed { a[j * n + i] } else { a[i * n + j] };
        let element = |i: usize, k: usize| (0..n).map(|j| at(i, j) * x[j * columns + k]).sum();
        (0..n * columns).map(|p| element(p / columns, p % columns)).collect()
    }

    fn assert_near(got: &[f64], want: &[f64], tolerance: f64, what: &str) {
        assert_eq!(got.len(), want.len());
        let worst = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst <= tolerance, "{what}: off by {worst}");
    }

    #[test]
    fn solutions_solve() {
        for n in [0, 1, 2, 3, 5, 8, 17, 40, 130] {
            for columns in [0, 1, 2, 7] {
                let a: Vec<f64> = [matrix(n, 1), matrix(n, 2)].concat();
                let b: Vec<f64> = (0..2 * n * columns).map(|k| (k as f64).sin()).collect();
                let (mut factors, mut pivots) = (vec![0.0; 2 * n * n], vec![0; 2 * n]);
                lu(&mut factors, &mut pivots, &a, [2, n]);
                for transposed in [false, true] {
                    let mut x = vec![f64::NAN; b.len()];
                    lu_solve(&mut x, &factors, &pivots, &b, [2, n, columns], transposed);
                    for k in 0..2 {
                        let (a, x, b) =
                            (&a[k * n * n..][..n * n], &x[k * n * columns..][..n * columns], &b[k * n * columns..][..n * columns]);
                        assert_near(&times(a, transposed, x, n, columns), b, 1e-12, &format!("{n}, {columns}, transposed: {transposed}"));
                    }
                }
            }
        }
    }

    #[test]
    fn few_matrices_for_many_right_sides() {
        let (n, columns) = (3, 2);
        let a: Vec<f64> = [matrix(n, 1), matrix(n, 2)].concat();
        let b: Vec<f64> = (0..4 * n * columns).map(|k| (k as f64).sin()).collect();
        let (mut factors, mut pivots) = (vec![0.0; 2 * n * n], vec![0; 2 * n]);
        lu(&mut factors, &mut pivots, &a, [2, n]);
        let mut x = vec![f64::NAN; b.len()];
        lu_solve(&mut x, &factors, &pivots, &b, [4, n, columns], false);
        let triangle = Triangle { lower: true, transposed: false, unit: false };
        let mut y = vec![f64::NAN; b.len()];
        solve_triangular(&mut y, &a, &b, [4, n, columns], triangle);
        for k in 0..4 {
            let part = k * n * columns..(k + 1) * n * columns;
            let a = &a[k % 2 * n * n..][..n * n];
            assert_near(&times(a, false, &x[part.clone()], n, columns), &b[part.clone()], 1e-13, "solutions");
            let mut one = vec![f64::NAN; n * columns];
            solve_triangular(&mut one, a, &b[part.clone()], [1, n, columns], triangle);
            assert_eq!(y[part], one);
        }
    }

    #[test]
    fn triangles() {
        for n in [1, 2, 3, 9, 33] {
            let t: Vec<f64> = matrix(n, 5).iter().enumerate().map(|(k, x)| if k % (n + 1) == 0 { *x } else { x / n as f64 }).collect();
            let b: Vec<f64> = (0..3 * n).map(|k| (k as f64).cos()).collect();
            for (lower, transposed, unit) in
                [false, true].map(|l| [false, true].map(|t| [false, true].map(|u| (l, t, u)))).concat().concat()
            {
                let read = |k: usize, x: f64| match (k / n).cmp(&(k % n)) {
                    std::cmp::Ordering::Equal => {
                        if unit {
                            1.0
                        } else {
                            x
                        }
                    }
                    order => {
                        if (order == std::cmp::Ordering::Greater) == lower {
                            x
                        } else {
                            0.0
                        }
                    }
                };
                let whole: Vec<f64> = t.iter().enumerate().map(|(k, &x)| read(k, x)).collect();
                let mut x = vec![f64::NAN; b.len()];
                solve_triangular(&mut x, &t, &b, [1, n, 3], Triangle { lower, transposed, unit });
                assert_near(&times(&whole, transposed, &x, n, 3), &b, 1e-11, &format!("{n}: {lower} {transposed} {unit}"));
            }
        }
    }

    #[test]
    fn cholesky_and_log_det() {
        for n in [1, 2, 4, 19, 70] {
            // Not symmetric: the symmetric part counts, which is dominated by its diagonal.
            let a: Vec<f64> =
                matrix(n, 3).iter().enumerate().map(|(k, x)| if k % (n + 1) == 0 { n as f64 + x.abs() } else { *x }).collect();
            let mut l = vec![f64::NAN; n * n];
            cholesky(&mut l, &a, [1, n]);
            assert!((0..n * n).all(|k| k % n <= k / n || l[k] == 0.0));
            let symmetric: Vec<f64> = (0..n * n).map(|k| 0.5 * (a[k] + a[k % n * n + k / n])).collect();
            let transposed: Vec<f64> = (0..n * n).map(|k| l[k % n * n + k / n]).collect();
            assert_near(&times(&l, false, &transposed, n, n), &symmetric, 1e-12 * n as f64, "l lᵀ");
            let (mut factors, mut pivots) = (vec![0.0; n * n], vec![0; n]);
            lu(&mut factors, &mut pivots, &symmetric, [1, n]);
            let twice: f64 = (0..n).map(|i| 2.0 * l[i * (n + 1)].ln()).sum();
            assert_near(log_det(&mut [0.0], &factors, [1, n]), &[twice], 1e-11, "ln |det|");
        }
    }

    #[test]
    fn eigenvectors() {
        for n in [1, 2, 3, 6, 24, 60] {
            let a = matrix(n, 8);
            let (mut w, mut v) = (vec![f64::NAN; n], vec![f64::NAN; n * n]);
            eigh(&mut w, &mut v, &a, [1, n]);
            assert!(w.is_sorted());
            let symmetric: Vec<f64> = (0..n * n).map(|k| 0.5 * (a[k] + a[k % n * n + k / n])).collect();
            let scaled: Vec<f64> = (0..n * n).map(|k| v[k] * w[k % n]).collect();
            assert_near(&times(&symmetric, false, &v, n, n), &scaled, 1e-12 * n as f64, "a v = v w");
            let identity: Vec<f64> = (0..n * n).map(|k| f64::from(u8::from(k % (n + 1) == 0))).collect();
            assert_near(&times(&v, true, &v, n, n), &identity, 1e-12, "vᵀ v");
        }
    }

    #[test]
    fn what_has_no_factorisation_is_not_finite() {
        let mut l = [0.0_f64; 4];
        assert!(cholesky(&mut l, &[1.0_f64, 2.0, 2.0, 1.0], [1, 2]).iter().all(|x| x.is_nan()));
        assert!(cholesky(&mut l, &[1.0, f64::NAN, 2.0, 1.0], [1, 2]).iter().all(|x| x.is_nan()));
        let (mut factors, mut pivots) = ([0.0; 4], [0; 2]);
        lu(&mut factors, &mut pivots, &[1.0, 2.0, 2.0, 4.0], [1, 2]);
        assert!(!lu_solve(&mut [0.0_f64; 2], &factors, &pivots, &[1.0_f64, 1.0], [1, 2, 1], false).iter().all(|x| x.is_finite()));
        assert_eq!(log_det(&mut [0.0], &factors, [1, 2]), [f64::NEG_INFINITY]);
        let (mut w, mut v) = ([0.0; 2], [0.0; 4]);
        assert!(eigh(&mut w, &mut v, &[1.0, f64::INFINITY, 0.0, 1.0], [1, 2]).0.iter().all(|x| x.is_nan()));
    }

    #[test]
    fn single_precision() {
        let a = [4.0_f32, 1.0, 1.0, 3.0];
        let mut l = [0.0; 4];
        cholesky(&mut l, &a, [1, 2]);
        assert!((l[3] - (11.0_f32 / 4.0).sqrt()).abs() < 1e-6);
        let (mut w, mut v) = ([0.0; 2], [0.0; 4]);
        eigh(&mut w, &mut v, &a, [1, 2]);
        assert!((w[1] - (3.5 + 5.0_f32.sqrt() / 2.0)).abs() < 1e-6);
    }
}
