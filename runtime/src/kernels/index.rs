//! Reading and writing at positions that are data.
//!
//! A shape `[outer, len, inner]` is that of a tensor whose axes are grouped into those before, at and after the axis in question.

use crate::Float;

/// `out[o, i] = x[o, positions[o, i], i]` for `x` of shape `[outer, len, inner]`.
///
/// # Panics
/// If a position is not below `len`, or the lengths of the slices do not fit.
pub fn take_along<'a, T: Copy>(out: &'a mut [T], x: &[T], positions: &[usize], shape: [usize; 3]) -> &'a [T] {
    let [outer, len, inner] = shape;
    assert!(out.len() == outer * inner && positions.len() == out.len() && x.len() == outer * len * inner, "lengths of {shape:?}");
    for (k, (out, &position)) in out.iter_mut().zip(positions).enumerate() {
        assert!(position < len, "position {position} along an axis of length {len}");
        *out = x[(k / inner * len + position) * inner + k % inner];
    }
    out
}

/// `out[o, i] = x[o, position, i]` for `x` of shape `[outer, len, inner]`.
///
/// # Panics
/// If the position is not below `len`, or the lengths of the slices do not fit.
pub fn at<'a, T: Copy>(out: &'a mut [T], x: &[T], position: usize, shape: [usize; 3]) -> &'a [T] {
    let [outer, len, inner] = shape;
    assert!(out.len() == outer * inner && x.len() == outer * len * inner, "lengths of {shape:?}");
    assert!(position < len, "position {position} along an axis of length {len}");
    for o in 0..outer {
        out[o * inner..(o + 1) * inner].copy_from_slice(&x[(o * len + position) * inner..][..inner]);
    }
    out
}

/// `x[o, position, i] += v[o, i]` for `x` of shape `[outer, len, inner]`.
///
/// # Panics
/// If the position is not below `len`, or the lengths of the slices do not fit.
pub fn add_at<T: Float>(x: &mut [T], position: usize, v: &[T], shape: [usize; 3]) {
    let [outer, len, inner] = shape;
    assert!(v.len() == outer * inner && x.len() == outer * len * inner, "lengths of {shape:?}");
    assert!(position < len, "position {position} along an axis of length {len}");
    for o in 0..outer {
        for (x, v) in x[(o * len + position) * inner..][..inner].iter_mut().zip(&v[o * inner..]) {
            *x += *v;
        }
    }
}

/// Row `i` of rows of `len` elements each.
///
/// # Panics
/// If there is no such row.
pub fn row<T>(x: &[T], i: usize, len: usize) -> &[T] {
    &x[i * len..(i + 1) * len]
}

/// Row `i` of rows of `len` elements each, to be written.
///
/// # Panics
/// If there is no such row.
pub fn row_mut<T>(x: &mut [T], i: usize, len: usize) -> &mut [T] {
    &mut x[i * len..(i + 1) * len]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_along_every_axis() {
        for outer in 0..5 {
            for len in 1..5 {
                for inner in 0..5 {
                    let shape = [outer, len, inner];
                    let x: Vec<f64> = (0..outer * len * inner).map(|k| k as f64).collect();
                    let positions: Vec<usize> = (0..outer * inner).map(|k| (7 * k + 3) % len).collect();
                    let mut taken = vec![f64::NAN; outer * inner];
                    take_along(&mut taken, &x, &positions, shape);
                    let mut one = vec![f64::NAN; outer * inner];
                    at(&mut one, &x, len - 1, shape);
                    let mut added = x.clone();
                    add_at(&mut added, len - 1, &taken, shape);
                    for o in 0..outer {
                        for i in 0..inner {
                            let k = o * inner + i;
                            assert_eq!(taken[k], x[(o * len + positions[k]) * inner + i]);
                            assert_eq!(one[k], x[(o * len + len - 1) * inner + i]);
                            for l in 0..len {
                                let here = (o * len + l) * inner + i;
                                assert_eq!(added[here], x[here] + if l == len - 1 { taken[k] } else { 0.0 });
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "position 3 along an axis of length 3")]
    fn positions_are_checked() {
        take_along(&mut [0.0; 2], &[0.0; 6], &[0, 3], [2, 3, 1]);
    }
}
