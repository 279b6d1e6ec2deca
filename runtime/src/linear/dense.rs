//! Small dense systems, by elimination with row exchanges.

use crate::Float;

/// `p a = l u` in place for a matrix of `n × n` elements in row-major order, with the row exchanged with each row. Says whether every pivot is above zero
/// in size.
pub(crate) fn factor<T: Float>(a: &mut [T], exchanges: &mut [usize], n: usize) -> bool {
    for k in 0..n {
        let pivot = (k..n).fold(k, |best, i| if a[i * n + k].abs() > a[best * n + k].abs() { i } else { best });
        exchanges[k] = pivot;
        if pivot != k {
            for j in 0..n {
                a.swap(k * n + j, pivot * n + j);
            }
        }
        let diagonal = a[k * n + k];
        if !(diagonal.abs() > T::zero() && diagonal.is_finite()) {
            return false;
        }
        for i in k + 1..n {
            let factor = a[i * n + k] / diagonal;
            a[i * n + k] = factor;
            for j in k + 1..n {
                let change = factor * a[k * n + j];
                a[i * n + j] -= change;
            }
        }
    }
    true
}

/// `a x = b` in place, from what [`factor`] gives.
pub(crate) fn solve<T: Float>(factors: &[T], exchanges: &[usize], x: &mut [T]) {
    let n = x.len();
    for (k, &pivot) in exchanges.iter().enumerate() {
        x.swap(k, pivot);
    }
    for i in 0..n {
        for j in 0..i {
            let change = factors[i * n + j] * x[j];
            x[i] -= change;
        }
    }
    for i in (0..n).rev() {
        for j in i + 1..n {
            let change = factors[i * n + j] * x[j];
            x[i] -= change;
        }
        x[i] /= factors[i * n + i];
    }
}

/// The largest sum of absolute values in a row of `a⁻¹`, from what [`factor`] gives, for a symmetric matrix. `scratch` has `n` elements.
pub(super) fn inverse_norm<T: Float>(factors: &[T], exchanges: &[usize], scratch: &mut [T]) -> T {
    let mut largest = T::zero();
    for k in 0..scratch.len() {
        scratch.fill(T::zero());
        scratch[k] = T::one();
        solve(factors, exchanges, scratch);
        largest = largest.max(scratch.iter().map(|x| x.abs()).sum());
    }
    largest
}

/// The eigenvalues, in no order, and eigenvectors, as columns, of a symmetric matrix of `n × n` elements, by Jacobi's rotations. The eigenvalues replace the diagonal.
pub(super) fn eigen<T: Float>(a: &mut [T], vectors: &mut [T], n: usize) {
    vectors.fill(T::zero());
    for i in 0..n {
        vectors[i * n + i] = T::one();
    }
    let square = |a: &[T], off: bool| -> T { (0..n * n).filter(|k| (k / n != k % n) == off).map(|k| a[k] * a[k]).sum() };
    for _sweep in 0..60 {
        if square(a, true) <= T::EPSILON * T::EPSILON * square(a, false) {
            return;
        }
        for p in 0..n {
            for q in p + 1..n {
                let off = a[p * n + q];
                if off == T::zero() {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (off + off);
                let t = theta.signum() / (theta.abs() + (theta * theta + T::one()).sqrt());
                let cos = (t * t + T::one()).sqrt().recip();
                let sin = t * cos;
                for k in 0..n {
                    let (x, y) = (a[k * n + p], a[k * n + q]);
                    (a[k * n + p], a[k * n + q]) = (cos * x - sin * y, sin * x + cos * y);
                }
                for k in 0..n {
                    let (x, y) = (a[p * n + k], a[q * n + k]);
                    (a[p * n + k], a[q * n + k]) = (cos * x - sin * y, sin * x + cos * y);
                }
                for k in 0..n {
                    let (x, y) = (vectors[k * n + p], vectors[k * n + q]);
                    (vectors[k * n + p], vectors[k * n + q]) = (cos * x - sin * y, sin * x + cos * y);
                }
            }
        }
    }
}
