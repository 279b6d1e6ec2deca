//! Vectors as slices: the few operations that solvers are made of.
//!
//! Sums are taken in lanes of a fixed number and order, so that they vectorise and give the same bits on every machine and with any
//! number of threads. Both slices of an operation have the same length.

use crate::Float;

/// Partial sums kept side by side.
const N_LANES: usize = 8;

/// `n` zeros
#[must_use]
pub fn zeros<T: Float>(n: usize) -> Vec<T> {
    vec![T::zero(); n]
}

/// `xᵀy`
#[must_use]
pub fn dot<T: Float>(x: &[T], y: &[T]) -> T {
    debug_assert_eq!(x.len(), y.len());
    let mut lanes = [T::zero(); N_LANES];
    let mut x_chunks = x.chunks_exact(N_LANES);
    let mut y_chunks = y.chunks_exact(N_LANES);
    for (x, y) in x_chunks.by_ref().zip(y_chunks.by_ref()) {
        for (lane, (&x, &y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += x * y;
        }
    }
    for (lane, (&x, &y)) in lanes.iter_mut().zip(x_chunks.remainder().iter().zip(y_chunks.remainder())) {
        *lane += x * y;
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// The largest absolute value; NaN if there is a NaN, 0 for an empty vector.
#[must_use]
pub fn max_abs<T: Float>(x: &[T]) -> T {
    let largest = x.iter().fold(T::zero(), |largest, &x| if x.abs() > largest { x.abs() } else { largest });
    // A comparison with NaN is false, so that the fold above passes over it.
    if x.iter().any(|x| x.is_nan()) { T::nan() } else { largest }
}

/// `‖x‖₂`, also where the squares over- or underflow.
#[must_use]
pub fn norm<T: Float>(x: &[T]) -> T {
    let square = dot(x, x);
    // Squares of subnormal size have lost digits; `x` is then scaled to a largest element of one.
    let safe = T::min_positive_value() / T::EPSILON / T::EPSILON;
    if square.is_finite() && square >= safe {
        return square.sqrt();
    }
    let scale = max_abs(x);
    if scale == T::zero() || !scale.is_finite() {
        return scale;
    }
    let square: T = x.iter().map(|&x| (x / scale) * (x / scale)).sum();
    scale * square.sqrt()
}

/// `y ← y + a x`
pub fn axpy<T: Float>(a: T, x: &[T], y: &mut [T]) {
    debug_assert_eq!(x.len(), y.len());
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// `y ← x + b y`
pub fn xpby<T: Float>(x: &[T], b: T, y: &mut [T]) {
    debug_assert_eq!(x.len(), y.len());
    for (y, &x) in y.iter_mut().zip(x) {
        *y = x + b * *y;
    }
}

/// `out ← x + a y`
pub fn add_scaled<T: Float>(x: &[T], a: T, y: &[T], out: &mut [T]) {
    debug_assert!(x.len() == y.len() && x.len() == out.len());
    for (out, (&x, &y)) in out.iter_mut().zip(x.iter().zip(y)) {
        *out = x + a * y;
    }
}

/// `x ← a x`
pub fn scale<T: Float>(a: T, x: &mut [T]) {
    for x in x {
        *x *= a;
    }
}

/// `out ← x / a`, also where the reciprocal of `a` overflows.
pub fn divide<T: Float>(x: &[T], a: T, out: &mut [T]) {
    debug_assert_eq!(x.len(), out.len());
    for (out, &x) in out.iter_mut().zip(x) {
        *out = x / a;
    }
}

/// Whether no element is NaN or infinite.
#[must_use]
pub fn all_finite<T: Float>(x: &[T]) -> bool {
    x.iter().fold(true, |all, x| all & x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_equals_the_plain_sum_for_every_length() {
        for n in 0..40_i32 {
            let x: Vec<f64> = (0..n).map(f64::from).collect();
            let expected = f64::from(n * (n - 1) * (2 * n - 1) / 6);
            assert_eq!(dot(&x, &x), expected);
        }
    }

    #[test]
    fn norm_neither_overflows_nor_underflows() {
        for scale in [1e-300, 1e-160, 1.0, 1e160, 1e300] {
            let relative = norm(&[3.0 * scale, -4.0 * scale]) / (5.0_f64 * scale);
            assert!((relative - 1.0_f64).abs() < 1e-15, "{scale:e}: {relative}");
        }
        assert!((norm(&[3e-30_f32, 4e-30]) / 5e-30 - 1.0).abs() < 1e-6);
        assert!((norm(&[3e30_f32, 4e30]) / 5e30 - 1.0).abs() < 1e-6);
        assert_eq!(norm::<f64>(&[]), 0.0);
        assert_eq!(norm(&[0.0_f64, -0.0]), 0.0);
    }

    #[test]
    fn norm_of_a_non_finite_vector_is_not_finite() {
        assert!(norm(&[1.0, f64::NAN, 2.0]).is_nan());
        assert_eq!(norm(&[1.0, f64::NEG_INFINITY]), f64::INFINITY);
        assert!(!all_finite(&[0.0, f64::INFINITY]));
        assert!(!all_finite(&[f64::NAN, 0.0]));
        assert!(all_finite(&[f64::MAX, f64::MAX, -0.0]));
    }
}
