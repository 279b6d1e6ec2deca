//! Reading and writing at positions that are data.
//!
//! A shape `[outer, len, inner]` is that of a tensor whose axes are grouped into those before, at and after the axis in question.

use super::operand::next_row;
use super::variant::{Kernel, run};
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

/// `out[o, k, i] = x[o, positions[k], i]` for `x` of shape `[outer, len, inner]`.
///
/// # Panics
/// If a position is not below `len`, or the lengths of the slices do not fit.
pub fn gather<'a, T: Copy>(out: &'a mut [T], x: &[T], positions: &[usize], shape: [usize; 3]) -> &'a [T] {
    let [outer, len, inner] = shape;
    assert!(out.len() == outer * positions.len() * inner && x.len() == outer * len * inner, "lengths of {shape:?}");
    for o in 0..outer {
        for (k, &position) in positions.iter().enumerate() {
            let from = (o * len + at(position, len)) * inner;
            out[(o * positions.len() + k) * inner..][..inner].copy_from_slice(&x[from..from + inner]);
        }
    }
    out
}

/// `x[o, positions[k], i] += v[o, k, i]` for `x` of shape `[outer, len, inner]`, one `k` after the other.
///
/// # Panics
/// If a position is not below `len`, or the lengths of the slices do not fit.
pub fn scatter_add<T: Float>(x: &mut [T], positions: &[usize], v: &[T], shape: [usize; 3]) {
    let [outer, len, inner] = shape;
    assert!(v.len() == outer * positions.len() * inner && x.len() == outer * len * inner, "lengths of {shape:?}");
    for o in 0..outer {
        for (k, &position) in positions.iter().enumerate() {
            let to = (o * len + at(position, len)) * inner;
            for (x, v) in x[to..to + inner].iter_mut().zip(&v[(o * positions.len() + k) * inner..]) {
                *x += *v;
            }
        }
    }
}

/// A position on an axis of length `n`.
///
/// # Panics
/// If it is not below `n`.
#[inline(always)]
pub fn at(i: usize, n: usize) -> usize {
    assert!(i < n, "position {i} along an axis of length {n}");
    i
}

/// The first of `len` positions that are `step` apart, on an axis of length `n`.
///
/// # Panics
/// If one of them is not below `n`; if there are none, `i` may be `n`.
#[inline]
pub fn first(i: usize, step: isize, len: usize, n: usize) -> usize {
    let fits = match len.checked_sub(1) {
        None => i <= n,
        Some(steps) => i < n && i.checked_add_signed(step * steps as isize).is_some_and(|last| last < n),
    };
    assert!(fits, "{len} positions from {i} by {step} along an axis of length {n}");
    i
}

/// The `len` elements from `start` on. No elements lie anywhere: the positions along the axes have been checked before.
///
/// # Panics
/// If there are not so many.
#[inline]
pub fn part<T>(x: &[T], start: usize, len: usize) -> &[T] {
    if len == 0 { &[] } else { &x[start..start + len] }
}

/// The elements from `start` on. An array without elements has none from anywhere: the positions along the axes have been checked before.
///
/// # Panics
/// If `start` is beyond the end of an array that has elements.
#[inline]
pub fn from<T>(x: &[T], start: usize) -> &[T] {
    if x.is_empty() { x } else { &x[start..] }
}

/// Calls `visit` for each row of a part of an array, with its number and the place in the array of its first element. The part has its first element at
/// `start`, and `strides` are the distances between neighbours along its axes; the last axis is the row.
///
/// # Panics
/// If an element of the part is outside of an array of `len` elements.
#[inline]
fn for_rows<const R: usize>(len: usize, start: usize, shape: [usize; R], strides: [isize; R], mut visit: impl FnMut(usize, usize)) {
    if shape.contains(&0) {
        return;
    }
    let (mut lowest, mut highest) = (start as isize, start as isize);
    for (&n, &stride) in shape.iter().zip(&strides) {
        let way = (n - 1) as isize * stride;
        lowest += way.min(0);
        highest += way.max(0);
    }
    assert!(lowest >= 0 && (highest as usize) < len, "a part of shape {shape:?} from {start} by {strides:?} of {len} elements");
    let mut at = [0; R];
    for row in 0.. {
        let place = at.iter().zip(&strides).fold(start as isize, |place, (&i, stride)| place + i as isize * stride);
        visit(row, place as usize);
        if !next_row(&mut at, &shape) {
            return;
        }
    }
}

/// Copies a part of an array: its first element is at `start`, and `strides` are the distances between neighbours along its axes.
///
/// # Panics
/// If the part is not inside of `x`, or `out` has not as many elements as it.
pub fn read<'a, T: Copy, const R: usize>(out: &'a mut [T], x: &[T], start: usize, shape: [usize; R], strides: [isize; R]) -> &'a [T] {
    assert!(out.len() == shape.iter().product::<usize>(), "a destination of {} elements for {shape:?}", out.len());
    let (n, step) = (shape[R - 1], strides[R - 1]);
    for_rows(x.len(), start, shape, strides, |row, place| {
        let out = &mut out[row * n..][..n];
        if step == 1 {
            out.copy_from_slice(&x[place..place + n]);
        } else {
            for (j, out) in out.iter_mut().enumerate() {
                *out = x[place.wrapping_add_signed(j as isize * step)];
            }
        }
    });
    out
}

/// `x = v` for a part of `x`, which is given as in [`read`].
///
/// # Panics
/// If the part is not inside of `x`, or `v` has not as many elements as it.
pub fn write<T: Copy, const R: usize>(x: &mut [T], start: usize, shape: [usize; R], strides: [isize; R], v: &[T]) {
    change(x, start, shape, strides, v, |x, v| *x = v);
}

/// `x += v` for a part of `x`, which is given as in [`read`].
///
/// # Panics
/// If the part is not inside of `x`, or `v` has not as many elements as it.
pub fn add<T: Float, const R: usize>(x: &mut [T], start: usize, shape: [usize; R], strides: [isize; R], v: &[T]) {
    change(x, start, shape, strides, v, |x, v| *x += v);
}

#[inline(always)]
fn change<T: Copy, const R: usize>(x: &mut [T], start: usize, shape: [usize; R], strides: [isize; R], v: &[T], f: impl Fn(&mut T, T)) {
    assert!(v.len() == shape.iter().product::<usize>(), "{} elements for {shape:?}", v.len());
    let (n, step) = (shape[R - 1], strides[R - 1]);
    for_rows(x.len(), start, shape, strides, |row, place| {
        let v = &v[row * n..][..n];
        if step == 1 {
            for (x, &v) in x[place..place + n].iter_mut().zip(v) {
                f(x, v);
            }
        } else {
            for (j, &v) in v.iter().enumerate() {
                f(&mut x[place.wrapping_add_signed(j as isize * step)], v);
            }
        }
    });
}

/// The operands, each with its length along the axis, one after the other: `out` has the shape `[outer, len, inner]`.
///
/// # Panics
/// If the lengths do not add up to `len`, or a slice has not as many elements as its shape says.
pub fn concat<'a, T: Copy>(out: &'a mut [T], shape: [usize; 3], operands: &[(&[T], usize)]) -> &'a [T] {
    let [outer, len, inner] = shape;
    let sum: usize = operands.iter().map(|&(_, n)| n).sum();
    assert!(sum == len, "operands with {sum} positions along an axis of length {len}");
    assert!(out.len() == outer * len * inner, "a destination of {} elements for {shape:?}", out.len());
    let mut start = 0;
    for &(x, n) in operands {
        assert!(x.len() == outer * n * inner, "{} elements for the shape {:?}", x.len(), [outer, n, inner]);
        let block = n * inner;
        for o in 0..outer {
            out[o * len * inner + start..][..block].copy_from_slice(&x[o * block..][..block]);
        }
        start += block;
    }
    out
}

/// The array, whose axis of length `n` has room for all windows: `counts` are their number and length, `steps` the distances between
/// neighbouring windows and in a window.
///
/// # Panics
/// If it has not.
#[inline]
pub fn windows<T>(x: &[T], n: usize, counts: [usize; 2], steps: [usize; 2]) -> &[T] {
    check_windows(n, counts, steps);
    x
}

/// Panics if an axis of length `n` has no room for all windows, given as in [`windows`].
pub fn check_windows(n: usize, counts: [usize; 2], steps: [usize; 2]) {
    let [out, len] = counts;
    let fits = out == 0 || len == 0 || (out - 1) * steps[0] + (len - 1) * steps[1] < n;
    assert!(fits, "{out} windows of {len} positions, {} and {} apart, along an axis of length {n}", steps[0], steps[1]);
}

/// The sum of windows: `out[o, w * steps[0] + k * steps[1], i] += x[o, w, k, i]` from zero, where `out` has the given shape and `counts` are the number of
/// windows and their length.
///
/// # Panics
/// If a window is not inside of the axis, or the lengths of the slices do not fit.
pub fn fold<'a, T: Float>(out: &'a mut [T], x: &[T], shape: [usize; 3], counts: [usize; 2], steps: [usize; 2]) -> &'a [T] {
    let ([outer, len, inner], [n_windows, window]) = (shape, counts);
    check_windows(len, counts, steps);
    assert!(out.len() == outer * len * inner && x.len() == outer * n_windows * window * inner, "lengths of {shape:?}");
    out.fill(T::zero());
    if inner == 1 {
        run(FoldNumbers { out: &mut *out, x, len, counts, steps });
    } else if inner > 0 {
        for (row, x) in x.chunks_exact(inner).enumerate() {
            let (o, w, k) = (row / (n_windows * window), row / window % n_windows, row % window);
            let to = (o * len + w * steps[0] + k * steps[1]) * inner;
            for (out, x) in out[to..to + inner].iter_mut().zip(x) {
                *out += *x;
            }
        }
    }
    out
}

/// [`fold`] along the last axis, into zeros.
struct FoldNumbers<'a, T> {
    out: &'a mut [T],
    x: &'a [T],
    len: usize,
    counts: [usize; 2],
    steps: [usize; 2],
}

impl<T: Float> Kernel for FoldNumbers<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let FoldNumbers { out, x, len, counts: [n_windows, window], steps: [step, dilation] } = self;
        if n_windows * window == 0 {
            return;
        }
        for (out, x) in out.chunks_exact_mut(len).zip(x.chunks_exact(n_windows * window)) {
            for (w, x) in x.chunks_exact(window).enumerate() {
                for (out, x) in out[w * step..].iter_mut().step_by(dilation).zip(x) {
                    *out += *x;
                }
            }
        }
    }
}

/// Panics if arrays of these shapes have different numbers of elements.
pub fn check_reshape(from: &[usize], to: &[usize]) {
    let [n, m]: [usize; 2] = [from, to].map(|shape| shape.iter().product());
    assert!(n == m, "an array of shape {from:?} cannot be reshaped to {to:?}");
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

    /// All shapes with lengths from 0 to 3, against the definition.
    #[test]
    fn positions_along_an_axis() {
        for outer in 0..4 {
            for len in 1..4 {
                for inner in 0..4 {
                    let shape = [outer, len, inner];
                    let x: Vec<f64> = (0..outer * len * inner).map(|i| i as f64 + 1.0).collect();
                    let positions: Vec<usize> = (0..outer * inner).map(|k| (7 * k + 3) % len).collect();
                    let mut taken = vec![f64::NAN; outer * inner];
                    take_along(&mut taken, &x, &positions, shape);
                    let idx = [len - 1, 0, len - 1];
                    let mut gathered = vec![f64::NAN; outer * 3 * inner];
                    gather(&mut gathered, &x, &idx, shape);
                    let mut added = x.clone();
                    scatter_add(&mut added, &idx, &gathered, shape);
                    for o in 0..outer {
                        for i in 0..inner {
                            let k = o * inner + i;
                            assert_eq!(taken[k], x[(o * len + positions[k]) * inner + i]);
                            for (k, &position) in idx.iter().enumerate() {
                                assert_eq!(gathered[(o * 3 + k) * inner + i], x[(o * len + position) * inner + i]);
                            }
                            for l in 0..len {
                                let here = (o * len + l) * inner + i;
                                let times = 1 + idx.iter().filter(|&&position| position == l).count();
                                assert_eq!(added[here], x[here] * times as f64);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Parts of a matrix: all starts, steps and lengths on both axes.
    #[test]
    fn parts() {
        let (rows, cols) = (4, 5);
        let x: Vec<f64> = (0..20).map(f64::from).collect();
        let picks = |n: usize| {
            let starts = (0..n).flat_map(|i| [-2_isize, -1, 1, 2, 3].map(|step| (i, step)));
            let fits =
                move |i: usize, step: isize, len: usize| (0..len).all(|k| (0..n as isize).contains(&(i as isize + k as isize * step)));
            starts
                .flat_map(move |(i, step)| (0..4).filter(move |&len| fits(i, step, len)).map(move |len| (i, step, len)))
                .collect::<Vec<_>>()
        };
        for &(i, row_step, n) in &picks(rows) {
            for &(j, col_step, m) in &picks(cols) {
                let start = first(i, row_step, n, rows) * cols + first(j, col_step, m, cols);
                let (shape, strides) = ([n, m], [row_step * cols as isize, col_step]);
                let mut out = vec![f64::NAN; n * m];
                read(&mut out, &x, start, shape, strides);
                let mut written = x.clone();
                write(&mut written, start, shape, strides, &vec![-1.0; n * m]);
                let mut added = x.clone();
                add(&mut added, start, shape, strides, &out);
                let mut untouched = x.clone();
                for r in 0..n {
                    for c in 0..m {
                        let place = (i as isize + r as isize * row_step) as usize * cols + (j as isize + c as isize * col_step) as usize;
                        assert_eq!(out[r * m + c], x[place]);
                        assert_eq!((written[place], added[place]), (-1.0, 2.0 * x[place]));
                        (written[place], added[place], untouched[place]) = (0.0, 0.0, 0.0);
                    }
                }
                assert_eq!((&written, &added), (&untouched, &untouched), "nothing else changes");
            }
        }
    }

    #[test]
    #[should_panic(expected = "position 3 along an axis of length 3")]
    fn positions_are_checked() {
        take_along(&mut [0.0; 2], &[0.0; 6], &[0, 3], [2, 3, 1]);
    }

    #[test]
    #[should_panic(expected = "3 positions from 1 by -1 along an axis of length 4")]
    fn slices_are_checked() {
        first(1, -1, 3, 4);
    }

    #[test]
    fn windows_that_overlap_add_up() {
        // Windows 0 1 2 and 2 3 4 of five positions, two elements each.
        let x: Vec<f64> = (0..12).map(|i| f64::from(i) + 1.0).collect();
        let mut out = [f64::NAN; 12];
        fold(&mut out, &x, [1, 6, 2], [2, 3], [2, 1]);
        assert_eq!(out, [1.0, 2.0, 3.0, 4.0, 5.0 + 7.0, 6.0 + 8.0, 9.0, 10.0, 11.0, 12.0, 0.0, 0.0]);
    }

    #[test]
    #[should_panic(expected = "2 windows of 3 positions, 2 and 1 apart, along an axis of length 4")]
    fn windows_are_checked() {
        windows(&[0.0; 4], 4, [2, 3], [2, 1]);
    }

    #[test]
    fn operands_stand_one_after_the_other() {
        let mut out = [0; 10];
        concat(&mut out, [2, 5, 1], &[(&[1, 2, 6, 7], 2), (&[], 0), (&[3, 4, 5, 8, 9, 10], 3)]);
        assert_eq!(out, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn empty_slices_may_start_at_the_end() {
        assert_eq!(first(4, 1, 0, 4), 4);
        assert!(part(&[0.0; 4], first(4, 1, 0, 4), 0).is_empty());
    }
}
