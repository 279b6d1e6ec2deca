//! Linear systems and factorisations, as a user calls them in plain Rust: `linalg::solve(&a, &b)`.
//!
//! The compiler knows each function by its path and differentiates it by an exact rule; factorisations are shared between a function, its tangents
//! and its adjoints. They run on `faer`, on one thread, and need the feature `linalg`, which is on by default. Matrices come by reference, in `f64` or
//! `f32`, owned or as views.
//!
//! Like `ndarray`, the functions panic with a clear message on shapes that do not fit and on matrices that have no result, and so do companion functions. The
//! solvers of a problem give an error that names the matrix.

use ndarray::{Array, Array1, Array2, ArrayRef, Dimension, Ix1, Ix2};

pub use crate::kernels::Real;
use crate::kernels::{self, Buffer};

/// Which part of a matrix [`solve_triangular`] reads. The rest does not count, whatever is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Triangle {
    /// The diagonal and what is below it.
    Lower,
    /// The diagonal and what is above it.
    Upper,
    /// What is below the diagonal, which is taken as ones.
    UnitLower,
    /// What is above the diagonal, which is taken as ones.
    UnitUpper,
}

/// The solution `x` of `a x = b`, for a vector or a matrix `b`, by elimination with row exchanges.
///
/// The derivative is that of the solution: `ẋ = a⁻¹ (ḃ − ȧ x)`, with the factors that the solution itself was computed from. For `n` unknowns and `k`
/// right sides the cost is about `2/3 n³ + 2 k n²` operations, and `2 k n²` more for each tangent or adjoint.
///
/// # Panics
/// If `a` is not square, `b` has another number of rows, or `a` is singular.
///
/// ```
/// use bilevel_runtime::linalg;
/// use ndarray::array;
/// let x = linalg::solve(&array![[2.0, 0.0], [0.0, 4.0]], &array![2.0, 2.0]);
/// assert_eq!(x, array![1.0, 0.5]);
/// ```
pub fn solve<T: Real, D: RightSide>(a: &ArrayRef<T, Ix2>, b: &ArrayRef<T, D>) -> Array<T, D> {
    let n = square("solve", a);
    let columns = right_side("solve", n, b);
    let (factors, pivots) = factors(a);
    if let Some(k) = (0..n).find(|k| factors[k * (n + 1)] == T::zero()) {
        panic!("solve: the matrix is singular: there is no pivot for column {k} of {n}");
    }
    let mut x = Buffer::default();
    kernels::lu_solve(x.fit(b.len()), &factors, &pivots, &kernels::elements(b), [1, n, columns], false);
    x.into_array(b.raw_dim())
}

/// The inverse of a matrix, by elimination with row exchanges. [`solve`] is faster and more accurate where the inverse is only multiplied with something.
///
/// The derivative is `−a⁻¹ ȧ a⁻¹`. The cost is about `8/3 n³` operations.
///
/// # Panics
/// If `a` is not square or singular.
///
/// ```
/// use ndarray::array;
/// assert_eq!(bilevel_runtime::linalg::inverse(&array![[2.0, 0.0], [0.0, 4.0]]), array![[0.5, 0.0], [0.0, 0.25]]);
/// ```
pub fn inverse<T: Real>(a: &ArrayRef<T, Ix2>) -> Array2<T> {
    let n = square("inverse", a);
    let (factors, pivots) = factors(a);
    if let Some(k) = (0..n).find(|k| factors[k * (n + 1)] == T::zero()) {
        panic!("inverse: the matrix is singular: there is no pivot for column {k} of {n}");
    }
    let mut x = Buffer::default();
    kernels::lu_solve(x.fit(n * n), &factors, &pivots, &kernels::elements(&Array2::eye(n)), [1, n, n], false);
    x.into_array(a.raw_dim())
}

/// `ln |det a|`: the logarithm of the absolute value of the determinant, `-∞` for a singular matrix. It neither overflows nor underflows where the
/// determinant would.
///
/// The derivative is the trace of `a⁻¹ ȧ`. The cost is about `2/3 n³` operations, and `2 n³` more for the derivative.
///
/// # Panics
/// If `a` is not square.
///
/// ```
/// use ndarray::array;
/// assert_eq!(bilevel_runtime::linalg::log_det(&array![[0.0, 2.0], [1.0, 0.0]]), 2.0_f64.ln());
/// ```
pub fn log_det<T: Real>(a: &ArrayRef<T, Ix2>) -> T {
    let n = square("log_det", a);
    let (factors, _) = factors(a);
    kernels::log_det(&mut [T::zero()], &factors, [1, n])[0]
}

/// The Cholesky factor: `l`, lower triangular with a positive diagonal, and `l lᵀ = (a + aᵀ) / 2`.
///
/// The symmetric part of `a` counts, so that the function and its derivative are defined for every matrix near `a`, symmetric or not; for a symmetric matrix
/// this is the usual factor, and the gradient is a symmetric matrix. The cost is about `1/3 n³` operations.
///
/// # Panics
/// If `a` is not square, or its symmetric part is not positive definite.
///
/// ```
/// use ndarray::array;
/// assert_eq!(bilevel_runtime::linalg::cholesky(&array![[4.0, 2.0], [2.0, 5.0]]), array![[2.0, 0.0], [1.0, 2.0]]);
/// ```
pub fn cholesky<T: Real>(a: &ArrayRef<T, Ix2>) -> Array2<T> {
    let n = square("cholesky", a);
    let mut l = Buffer::default();
    let found = kernels::cholesky(l.fit(n * n), &kernels::elements(a), [1, n]);
    assert!(found.iter().all(|x| x.is_finite()), "cholesky: the symmetric part of the matrix of {n} × {n} is not positive definite");
    l.into_array(a.raw_dim())
}

/// The solution `x` of `t x = b`, for a vector or a matrix `b`, where `t` is one triangle of a matrix: by substitution.
///
/// The transposed system is `solve_triangular(&t.t(), &b, ..)` with the other triangle. For `n` unknowns and `k` right sides the cost is about `k n²` operations.
///
/// # Panics
/// If the matrix is not square, `b` has another number of rows, or there is a zero on the diagonal that is divided by.
///
/// ```
/// use bilevel_runtime::linalg::{self, Triangle};
/// use ndarray::array;
/// let x = linalg::solve_triangular(&array![[2.0, 9.0], [1.0, 1.0]], &array![2.0, 3.0], Triangle::Lower);
/// assert_eq!(x, array![1.0, 2.0]);
/// ```
pub fn solve_triangular<T: Real, D: RightSide>(t: &ArrayRef<T, Ix2>, b: &ArrayRef<T, D>, triangle: Triangle) -> Array<T, D> {
    let n = square("solve_triangular", t);
    let columns = right_side("solve_triangular", n, b);
    let (lower, unit) = match triangle {
        Triangle::Lower => (true, false),
        Triangle::Upper => (false, false),
        Triangle::UnitLower => (true, true),
        Triangle::UnitUpper => (false, true),
    };
    if let Some(k) = t.diag().iter().position(|&x| x == T::zero()).filter(|_| !unit) {
        panic!("solve_triangular: the matrix is singular: element [{k}, {k}] is zero");
    }
    let mut x = Buffer::default();
    let triangle = kernels::Triangle { lower, transposed: false, unit };
    kernels::solve_triangular(x.fit(b.len()), &kernels::elements(t), &kernels::elements(b), [1, n, columns], triangle);
    x.into_array(b.raw_dim())
}

/// The eigenvalues of `(a + aᵀ) / 2`, ascending, and normalised eigenvectors as columns, in the same order.
///
/// The symmetric part of `a` counts, so that the function and its derivative are defined for every matrix near `a`. An eigenvector is determined up to its sign; of each
/// the first element that is at least 0.6 times as large as the largest is positive.
///
/// With `s` the symmetric part of `ȧ`, the derivatives are `ẇᵢ = vᵢᵀ s vᵢ` and `v̇ⱼ = Σᵢ vᵢ (vᵢᵀ s vⱼ) / (wⱼ − wᵢ)`. Where two eigenvalues are
/// equal up to rounding (closer than `64 n ε` times the largest), the eigenvectors have no derivative: where it is asked for, companion functions panic and solvers
/// give an error. The first derivative of a function that reads the values alone does not need it, and is right if the function does not care about their
/// order. The cost is about `9 n³` operations.
///
/// # Panics
/// If `a` is not square, or has elements that are infinite or NaN.
///
/// ```
/// use ndarray::array;
/// let (values, vectors) = bilevel_runtime::linalg::eigh(&array![[0.0, 1.0], [1.0, 0.0]]);
/// assert!((values[0] + 1.0_f64).abs() < 1e-15 && (values[1] - 1.0).abs() < 1e-15);
/// assert!((vectors[[0, 0]] + vectors[[1, 0]]).abs() < 1e-15);
/// ```
pub fn eigh<T: Real>(a: &ArrayRef<T, Ix2>) -> (Array1<T>, Array2<T>) {
    let n = square("eigh", a);
    assert!(a.iter().all(|x| x.is_finite()), "eigh: the matrix of {n} × {n} has elements that are infinite or NaN");
    let (mut values, mut vectors) = (Buffer::default(), Buffer::default());
    kernels::eigh(values.fit(n), vectors.fit(n * n), &kernels::elements(a), [1, n]);
    (values.into_array(n), vectors.into_array(a.raw_dim()))
}

/// One right side, or several as columns of a matrix.
pub trait RightSide: Dimension {}

impl RightSide for Ix1 {}
impl RightSide for Ix2 {}

/// The number of rows, which is that of columns.
fn square<T>(function: &str, a: &ArrayRef<T, Ix2>) -> usize {
    let (m, n) = a.dim();
    assert!(m == n, "{function}: the matrix has the shape [{m}, {n}], and is not square");
    n
}

/// The number of right sides.
fn right_side<T, D: RightSide>(function: &str, n: usize, b: &ArrayRef<T, D>) -> usize {
    assert!(b.shape()[0] == n, "{function}: the matrix has {n} rows, but the right side has the shape {:?}", b.shape());
    b.shape()[1..].iter().product()
}

fn factors<T: Real>(a: &ArrayRef<T, Ix2>) -> (Vec<T>, Vec<usize>) {
    let n = a.nrows();
    let (mut factors, mut pivots) = (vec![T::zero(); n * n], vec![0; n]);
    kernels::lu(&mut factors, &mut pivots, &kernels::elements(a), [1, n]);
    (factors, pivots)
}

#[cfg(all(test, feature = "linalg"))]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn vectors_matrices_and_views() {
        let a = array![[0.0, 2.0], [4.0, 2.0]];
        assert_eq!(solve(&a, &array![2.0, 6.0]), array![1.0, 1.0]);
        assert_eq!(solve(&a.t(), &array![[4.0, 0.0], [4.0, 2.0]]), array![[1.0, 1.0], [1.0, 0.0]]);
        assert_eq!(solve(&a.mapv(|x| x as f32), &array![2.0_f32, 6.0]), array![1.0_f32, 1.0]);
        assert_eq!(inverse(&a).dot(&a), Array2::<f64>::eye(2));
    }

    #[test]
    #[should_panic(expected = "solve: the matrix is singular: there is no pivot for column 1 of 2")]
    fn a_singular_matrix_is_refused() {
        let _ = solve(&array![[1.0, 2.0], [2.0, 4.0]], &array![1.0, 1.0]);
    }

    #[test]
    #[should_panic(expected = "cholesky: the symmetric part of the matrix of 2 × 2 is not positive definite")]
    fn a_matrix_that_is_not_positive_definite_is_refused() {
        let _ = cholesky(&array![[1.0, 2.0], [2.0, 1.0]]);
    }

    #[test]
    #[should_panic(expected = "log_det: the matrix has the shape [2, 3], and is not square")]
    fn shapes_are_checked() {
        let _ = log_det(&Array2::<f64>::zeros((2, 3)));
    }

    #[test]
    #[should_panic(expected = "solve: the matrix has 2 rows, but the right side has the shape [3]")]
    fn right_sides_are_checked() {
        let _ = solve(&Array2::<f64>::eye(2), &Array1::zeros(3));
    }
}
