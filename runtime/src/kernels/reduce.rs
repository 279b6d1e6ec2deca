//! Reductions of element-wise expressions.
//!
//! Sums are accurate and reproducible: items are gathered in blocks, each block is folded in a fixed tree into [`LANES`] partial results, which
//! accumulate block by block and are combined in a fixed tree at the end. The rounding error of a sum of `n` terms grows like
//! `n / BLOCK`, and no variant of the CPU changes the order.

use super::math;
use super::operand::{Operand, Row, next_row};
use super::variant::{Kernel, run};
use crate::Float;

/// Items that are computed together before they are combined.
const BLOCK: usize = 64;
/// Partial results kept side by side.
const LANES: usize = 8;

/// How items of type `T` are combined. The operation is associative and commutative up to rounding.
pub trait Reduction<T>: Copy {
    /// What combining with changes nothing.
    fn identity(self) -> T;

    /// Both combined.
    fn combine(self, a: T, b: T) -> T;
}

/// Addition; zero if there is nothing to add.
#[derive(Clone, Copy, Debug)]
pub struct Sum;

/// Multiplication; one if there is nothing to multiply.
#[derive(Clone, Copy, Debug)]
pub struct Prod;

/// The largest, or NaN if there is one; `-inf` (or the least integer) if there is nothing.
#[derive(Clone, Copy, Debug)]
pub struct Max;

/// The smallest, or NaN if there is one; `inf` (or the largest integer) if there is nothing.
#[derive(Clone, Copy, Debug)]
pub struct Min;

macro_rules! reductions {
    ($([$($generics:tt)*] $T:ident: $zero:expr, $one:expr, $least:expr, $largest:expr, |$x:ident| $is_nan:expr;)*) => { $(
        impl $($generics)* Reduction<$T> for Sum {
            #[inline(always)]
            fn identity(self) -> $T {
                $zero
            }

            #[inline(always)]
            fn combine(self, a: $T, b: $T) -> $T {
                a + b
            }
        }

        impl $($generics)* Reduction<$T> for Prod {
            #[inline(always)]
            fn identity(self) -> $T {
                $one
            }

            #[inline(always)]
            fn combine(self, a: $T, b: $T) -> $T {
                a * b
            }
        }

        impl $($generics)* Reduction<$T> for Max {
            #[inline(always)]
            fn identity(self) -> $T {
                $least
            }

            #[inline(always)]
            fn combine(self, a: $T, b: $T) -> $T {
                let $x = a;
                if a > b || $is_nan { a } else { b }
            }
        }

        impl $($generics)* Reduction<$T> for Min {
            #[inline(always)]
            fn identity(self) -> $T {
                $largest
            }

            #[inline(always)]
            fn combine(self, a: $T, b: $T) -> $T {
                let $x = a;
                if a < b || $is_nan { a } else { b }
            }
        }
    )* };
}
reductions! {
    [<T: Float>] T: T::zero(), T::one(), T::neg_infinity(), T::infinity(), |x| x.is_nan();
    [] usize: 0, 1, usize::MIN, usize::MAX, |_x| false;
    [] i64: 0, 1, i64::MIN, i64::MAX, |_x| false;
}

/// All items `f(operands at i)` of the iteration space combined.
///
/// # Panics
/// If an operand does not cover the space.
#[inline(always)]
pub fn reduce_all<const R: usize, T: Copy, O: Operand<R>>(
    reduction: impl Reduction<T>,
    shape: [usize; R],
    operands: O,
    f: impl Fn(O::Item) -> T,
) -> T {
    let mut out = [reduction.identity()];
    run(ReduceLast { reduction, out: &mut out, shape, n_kept: 0, operands, f });
    out[0]
}

/// The first `n_kept` axes of the space are kept, the others reduced: `out[k] = combination over l of f(operands at (k, l))`.
///
/// # Panics
/// If `out` has not as many elements as the kept axes, or an operand does not cover the space.
#[inline(always)]
pub fn reduce_last<const R: usize, T: Copy, O: Operand<R>>(
    reduction: impl Reduction<T>,
    out: &mut [T],
    shape: [usize; R],
    n_kept: usize,
    operands: O,
    f: impl Fn(O::Item) -> T,
) -> &[T] {
    run(ReduceLast { reduction, out: &mut *out, shape, n_kept, operands, f });
    out
}

/// The first `n_reduced` axes of the space are reduced, the others kept: `out[k] = combination over l of f(operands at (l, k))`.
///
/// # Panics
/// If `out` has not as many elements as the kept axes, or an operand does not cover the space.
#[inline(always)]
pub fn reduce_first<const R: usize, T: Copy, O: Operand<R>>(
    reduction: impl Reduction<T>,
    out: &mut [T],
    shape: [usize; R],
    n_reduced: usize,
    operands: O,
    f: impl Fn(O::Item) -> T,
) -> &[T] {
    run(ReduceFirst { reduction, out: &mut *out, shape, n_reduced, operands, f });
    out
}

/// `out[o, i] = ln(sum over l of exp(x[o, l, i]))` without overflow, for `x` of shape `[outer, len, inner]`.
///
/// # Panics
/// If the lengths of `out` and `x` do not fit.
pub fn log_sum_exp<'a, T: Float>(out: &'a mut [T], x: &[T], shape: [usize; 3]) -> &'a [T] {
    run(LogSumExp { out: &mut *out, x, shape });
    out
}

struct ReduceLast<'a, const R: usize, M, T, O, F> {
    reduction: M,
    out: &'a mut [T],
    shape: [usize; R],
    n_kept: usize,
    operands: O,
    f: F,
}

impl<const R: usize, M: Reduction<T>, T: Copy, O: Operand<R>, F: Fn(O::Item) -> T> Kernel for ReduceLast<'_, R, M, T, O, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let ReduceLast { reduction, out, shape, n_kept, operands, f } = self;
        let n = shape[R - 1];
        let (kept, reduced) = shape.split_at(n_kept);
        assert!(out.len() == kept.iter().product::<usize>(), "a destination of {} elements for kept axes {kept:?}", out.len());
        operands.check(&shape);
        if reduced.contains(&0) {
            out.fill(reduction.identity());
            return;
        }
        let n_rows: usize = reduced[..reduced.len() - 1].iter().product();
        let mut at = [0; R];
        for out in out {
            let mut lanes = [reduction.identity(); LANES];
            for _ in 0..n_rows {
                // SAFETY: `check` accepted the shape, `at` is inside of it, and `n` is the length of its last axis.
                unsafe { fold_row(reduction, &mut lanes, operands.row(&at), n, &f) };
                next_row(&mut at, &shape);
            }
            *out = fold_lanes(reduction, lanes);
        }
    }
}

/// Combines the `n` items of a row into `lanes`.
///
/// # Safety
/// The row may be read at every position below `n`.
#[inline(always)]
unsafe fn fold_row<M: Reduction<T>, T: Copy, W: Row>(reduction: M, lanes: &mut [T; LANES], row: W, n: usize, f: &impl Fn(W::Item) -> T) {
    let mut start = 0;
    if n >= BLOCK {
        let mut items = [reduction.identity(); BLOCK];
        while n - start >= BLOCK {
            for (j, item) in items.iter_mut().enumerate() {
                // SAFETY: `start + j` is below `n`.
                *item = f(unsafe { row.get(start + j) });
            }
            // The two halves, then their halves, until a lane's worth is left.
            let mut half = BLOCK / 2;
            while half >= LANES {
                let (low, high) = items[..2 * half].split_at_mut(half);
                for (a, b) in low.iter_mut().zip(high) {
                    *a = reduction.combine(*a, *b);
                }
                half /= 2;
            }
            for (lane, item) in lanes.iter_mut().zip(&items) {
                *lane = reduction.combine(*lane, *item);
            }
            start += BLOCK;
        }
    }
    // Too few for a block: lane by lane. The last lanes overlap those before, and what is counted already is left out, so that a short row needs no
    // loop of its own for what is left.
    while start < n {
        let first = start.min(n.saturating_sub(LANES));
        if first + LANES <= n {
            let items: [T; LANES] = std::array::from_fn(|l| {
                // SAFETY: `first + l` is below `n`.
                let item = f(unsafe { row.get(first + l) });
                if first + l < start { reduction.identity() } else { item }
            });
            for (lane, item) in lanes.iter_mut().zip(items) {
                *lane = reduction.combine(*lane, item);
            }
        } else {
            for (l, lane) in lanes[..n].iter_mut().enumerate() {
                // SAFETY: `l` is below `n`.
                *lane = reduction.combine(*lane, f(unsafe { row.get(l) }));
            }
        }
        start += LANES;
    }
}

#[inline(always)]
fn fold_lanes<M: Reduction<T>, T: Copy>(reduction: M, lanes: [T; LANES]) -> T {
    let [a, b, c, d, e, f, g, h] = lanes;
    let combine = |a, b| reduction.combine(a, b);
    combine(combine(combine(a, e), combine(c, g)), combine(combine(b, f), combine(d, h)))
}

struct ReduceFirst<'a, const R: usize, M, T, O, F> {
    reduction: M,
    out: &'a mut [T],
    shape: [usize; R],
    n_reduced: usize,
    operands: O,
    f: F,
}

impl<const R: usize, M: Reduction<T>, T: Copy, O: Operand<R>, F: Fn(O::Item) -> T> Kernel for ReduceFirst<'_, R, M, T, O, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let ReduceFirst { reduction, out, shape, n_reduced, operands, f } = self;
        let n = shape[R - 1];
        let (reduced, kept) = shape.split_at(n_reduced);
        assert!(out.len() == kept.iter().product::<usize>(), "a destination of {} elements for kept axes {kept:?}", out.len());
        operands.check(&shape);
        out.fill(reduction.identity());
        if out.is_empty() {
            return;
        }
        let mut at = [0; R];
        for _ in 0..reduced.iter().product() {
            for out in out.chunks_exact_mut(n) {
                let row = operands.row(&at);
                for (j, out) in out.iter_mut().enumerate() {
                    // SAFETY: `check` accepted the shape, `at` is inside of it, and `j` is below the length of the last axis.
                    *out = reduction.combine(*out, f(unsafe { row.get(j) }));
                }
                next_row(&mut at, &shape);
            }
        }
    }
}

struct LogSumExp<'a, T> {
    out: &'a mut [T],
    x: &'a [T],
    shape: [usize; 3],
}

impl<T: Float> Kernel for LogSumExp<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let LogSumExp { out, x, shape: [outer, len, inner] } = self;
        assert!(x.len() == outer * len * inner && out.len() == outer * inner, "log-sum-exp along the middle of {:?}", self.shape);
        if len == 0 {
            out.fill(T::neg_infinity());
        } else if inner == 1 {
            let rows_at_once = (BLOCK / len).max(1);
            for (out, x) in out.chunks_mut(rows_at_once).zip(x.chunks(rows_at_once * len)) {
                log_sum_exp_of_rows(out, x, len);
            }
        } else if inner > 1 {
            for (out, x) in out.chunks_exact_mut(inner).zip(x.chunks_exact(len * inner)) {
                for (i, out) in out.iter_mut().enumerate() {
                    let along = (0..len).map(|l| x[l * inner + i]);
                    let largest = along.clone().fold(T::neg_infinity(), larger);
                    let sum = along.fold(T::zero(), |sum, x| sum + math::exp(x - largest));
                    *out = if largest.is_finite() { largest + math::ln(sum) } else { largest };
                }
            }
        }
    }
}

/// Several short rows, or one long row. The exponentials of short rows are computed together, so that they vectorise.
#[inline(always)]
fn log_sum_exp_of_rows<T: Float>(out: &mut [T], x: &[T], len: usize) {
    let mut items = [T::zero(); BLOCK];
    for (out, row) in out.iter_mut().zip(x.chunks_exact(len)) {
        *out = largest(row);
    }
    if len <= BLOCK {
        let items = &mut items[..x.len()];
        for ((items, row), largest) in items.chunks_exact_mut(len).zip(x.chunks_exact(len)).zip(&*out) {
            for (item, x) in items.iter_mut().zip(row) {
                *item = *x - *largest;
            }
        }
        for item in &mut *items {
            *item = math::exp(*item);
        }
        for (out, row) in out.iter_mut().zip(items.chunks_exact(len)) {
            let sum = row.iter().fold(T::zero(), |a, &b| a + b);
            *out = if out.is_finite() { *out + math::ln(sum) } else { *out };
        }
    } else {
        for (out, row) in out.iter_mut().zip(x.chunks_exact(len)) {
            let mut sum = T::zero();
            for row in row.chunks(BLOCK) {
                for (item, x) in items.iter_mut().zip(row) {
                    *item = math::exp(*x - *out);
                }
                sum += items[..row.len()].iter().fold(T::zero(), |a, &b| a + b);
            }
            *out = if out.is_finite() { *out + math::ln(sum) } else { *out };
        }
    }
}

/// The largest, or NaN if there is one. Two chains of comparisons, so that one need not wait for the other.
#[inline(always)]
fn largest<T: Float>(row: &[T]) -> T {
    let (pairs, rest) = row.as_chunks::<2>();
    let mut largest = [T::neg_infinity(); 2];
    for pair in pairs {
        for (a, &b) in largest.iter_mut().zip(pair) {
            *a = larger(*a, b);
        }
    }
    let [a, b] = largest;
    rest.iter().fold(larger(a, b), |a, &b| larger(a, b))
}

/// The larger of two, or NaN if one is.
#[inline(always)]
fn larger<T: Float>(a: T, b: T) -> T {
    if a > b || a.is_nan() { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::super::operand::lane;
    use super::super::variant::Variant;
    use super::*;

    /// Numbers of mixed size and sign, the same for the same seed.
    fn numbers(n: usize, seed: u64) -> Vec<f64> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed + 1);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..n).map(|_| 4.0 * next() - 2.0).collect()
    }

    fn reduce_last_with(variant: Variant, x: &[f64], n: usize, m: usize) -> Vec<f64> {
        let mut out = vec![f64::NAN; n];
        variant.run(ReduceLast { reduction: Sum, out: &mut out, shape: [n, m], n_kept: 1, operands: lane(x, [m, 1]), f: |x: f64| x * x });
        out
    }

    fn reduce_first_with(variant: Variant, x: &[f64], n: usize, m: usize) -> Vec<f64> {
        let mut out = vec![f64::NAN; m];
        variant.run(ReduceFirst {
            reduction: Sum,
            out: &mut out,
            shape: [n, m],
            n_reduced: 1,
            operands: lane(x, [m, 1]),
            f: |x: f64| x * x,
        });
        out
    }

    #[test]
    fn sums_over_rows_and_columns() {
        for (n, m) in (0..12).flat_map(|n| (0..12).map(move |m| (n, m))).chain([(3, 63), (3, 64), (3, 65), (2, 200), (200, 2)]) {
            let x = numbers(n * m, (n * 1000 + m) as u64);
            let rows = reduce_last_with(Variant::Baseline, &x, n, m);
            let cols = reduce_first_with(Variant::Baseline, &x, n, m);
            for i in 0..n {
                let want: f64 = (0..m).map(|j| x[i * m + j] * x[i * m + j]).sum();
                assert!((rows[i] - want).abs() <= 1e-14 * want, "row {i} of {n}x{m}");
            }
            for j in 0..m {
                let want: f64 = (0..n).map(|i| x[i * m + j] * x[i * m + j]).sum();
                assert!((cols[j] - want).abs() <= 1e-14 * want, "column {j} of {n}x{m}");
            }
            for &variant in Variant::available() {
                assert_eq!(reduce_last_with(variant, &x, n, m), rows, "{variant:?}");
                assert_eq!(reduce_first_with(variant, &x, n, m), cols, "{variant:?}");
            }
        }
    }

    #[test]
    fn long_sums_are_accurate() {
        let x = numbers(1_000_000, 7);
        let got = reduce_all(Sum, [x.len()], &x[..], |x| x);
        // Neumaier's compensated sum.
        let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
        for &x in &x {
            let next = sum + x;
            lost += if sum.abs() >= x.abs() { (sum - next) + x } else { (x - next) + sum };
            sum = next;
        }
        let magnitude: f64 = x.iter().map(|x| x.abs()).sum();
        assert!((got - (sum + lost)).abs() < 1e-16 * magnitude, "off by {:e} of {magnitude:e}", got - (sum + lost));
    }

    #[test]
    fn extremes_propagate_nan() {
        for n in 1..70 {
            let mut x = numbers(n, 3);
            let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let smallest = x.iter().copied().fold(f64::INFINITY, f64::min);
            assert_eq!(reduce_all(Max, [n], &x[..], |x| x), largest);
            assert_eq!(reduce_all(Min, [n], &x[..], |x| x), smallest);
            x[n / 2] = f64::NAN;
            assert!(reduce_all(Max, [n], &x[..], |x| x).is_nan());
            assert!(reduce_all(Min, [n], &x[..], |x| x).is_nan());
        }
        assert_eq!(reduce_all(Max, [0], &[][..], |x: f64| x), f64::NEG_INFINITY);
        assert_eq!(reduce_all(Sum, [3], &[2_usize, 3, 4][..], |x| x), 9);
    }

    #[test]
    fn reductions_keep_and_drop_several_axes() {
        let x = numbers(2 * 3 * 4, 5);
        let mut out = vec![0.0; 2];
        reduce_last(Sum, &mut out, [2, 3, 4], 1, lane(&x, [12, 4, 1]), |x| x);
        assert!((out[1] - x[12..].iter().sum::<f64>()).abs() < 1e-14);
        let mut out = vec![0.0; 12];
        reduce_first(Sum, &mut out, [2, 3, 4], 1, lane(&x, [12, 4, 1]), |x| x);
        assert!((0..12).all(|k| out[k] == x[k] + x[12 + k]));
        let mut out = vec![0.0; 4];
        reduce_first(Sum, &mut out, [2, 3, 4], 2, lane(&x, [12, 4, 1]), |x| x);
        assert!((0..4).all(|k| (out[k] - (0..6).map(|l| x[4 * l + k]).sum::<f64>()).abs() < 1e-14));
    }

    #[test]
    fn log_sum_exp_along_every_axis() {
        for shape in [
            [1, 1, 1],
            [2, 3, 1],
            [2, 10, 1],
            [3, 17, 1],
            [200, 10, 1],
            [3, 64, 1],
            [3, 65, 1],
            [2, 500, 1],
            [2, 3, 4],
            [0, 3, 1],
            [2, 5, 0],
        ] {
            let [outer, len, inner] = shape;
            let x = numbers(outer * len * inner, 11);
            let mut out = vec![f64::NAN; outer * inner];
            log_sum_exp(&mut out, &x, shape);
            for o in 0..outer {
                for i in 0..inner {
                    let want = (0..len).map(|l| x[(o * len + l) * inner + i].exp()).sum::<f64>().ln();
                    assert!((out[o * inner + i] - want).abs() < 4e-15 * (1.0 + want.abs()), "{shape:?}");
                }
            }
        }
        let mut out = [0.0];
        assert_eq!(log_sum_exp(&mut out, &[1000.0, 1000.0], [1, 2, 1])[0], 1000.0 + std::f64::consts::LN_2);
        assert_eq!(log_sum_exp(&mut out, &[f64::NEG_INFINITY; 2], [1, 2, 1])[0], f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&mut out, &[f64::INFINITY, 0.0], [1, 2, 1])[0], f64::INFINITY);
        assert!(log_sum_exp(&mut out, &[f64::NAN, f64::NAN], [1, 2, 1])[0].is_nan());
    }
}
