//! Products of two tensors that are no matrix product, sums of windows among them.
//!
//! The axes fall into four groups: those of both operands that are kept, those of one operand alone, and those that are summed. So every such product
//! is a stack of matrix products whose rows, columns and terms stand anywhere: where they stand, [`Walk`] says, and [`tiles`](super::tiles) multiplies.

use super::tiles;
use super::variant::Variant;
use crate::Float;

/// More axes than this in one product are walked through one by one.
pub(super) const MAX_AXES: usize = 12;

/// With fewer multiplications, preparing for tiles takes longer than the product.
const SMALL: usize = 256;

/// `out[o] = sum over s of lhs[o, s] * rhs[o, s]`, where `o` runs over the space `out_shape` and `s` over `sum_shape`. The strides say where each
/// operand's element for `(o, s)` stands: first one per axis of `out_shape`, then one per axis of `sum_shape`; zero where an operand lacks an axis.
///
/// Without axes to sum over there is one term.
///
/// # Panics
/// If `out` has not as many elements as `out_shape`, or an operand does not cover the space.
pub fn contract<'a, T: Float, const O: usize, const S: usize, const R: usize>(
    out: &'a mut [T],
    out_shape: [usize; O],
    sum_shape: [usize; S],
    lhs: &[T],
    lhs_strides: [usize; R],
    rhs: &[T],
    rhs_strides: [usize; R],
) -> &'a [T] {
    assert!(out.len() == out_shape.iter().product::<usize>(), "a destination of {} elements for {out_shape:?}", out.len());
    let mut out_strides = [1; O];
    for k in (1..O).rev() {
        out_strides[k - 1] = out_strides[k] * out_shape[k];
    }
    if sum_shape.contains(&0) {
        out.fill(T::zero());
    } else if !out.is_empty() {
        let axes = axes::<O, S, R>(out_shape, sum_shape, [lhs_strides, rhs_strides], out_strides);
        multiply(&mut *out, [lhs, rhs], &axes, false);
    }
    out
}

/// [`contract`] into windows that may overlap: `out`, zero at first, gets every element of the product added where `out_strides` say, one for each axis of
/// `out_shape`.
///
/// # Panics
/// If `out` or an operand does not cover the space.
pub fn contract_windows<'a, T: Float, const O: usize, const S: usize, const R: usize>(
    out: &'a mut [T],
    out_shape: [usize; O],
    out_strides: [usize; O],
    sum_shape: [usize; S],
    lhs: &[T],
    lhs_strides: [usize; R],
    rhs: &[T],
    rhs_strides: [usize; R],
) -> &'a [T] {
    out.fill(T::zero());
    if !out_shape.contains(&0) && !sum_shape.contains(&0) {
        let axes = axes::<O, S, R>(out_shape, sum_shape, [lhs_strides, rhs_strides], out_strides);
        multiply(&mut *out, [lhs, rhs], &axes, true);
    }
    out
}

/// An axis of the product: its length, and the distance between neighbours in the left operand, the right one and the result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    len: usize,
    steps: [usize; 3],
}

fn axes<const O: usize, const S: usize, const R: usize>(
    out_shape: [usize; O],
    sum_shape: [usize; S],
    [lhs, rhs]: [[usize; R]; 2],
    out_strides: [usize; O],
) -> [Axis; R] {
    const { assert!(O + S == R, "one stride per axis") };
    std::array::from_fn(|k| match k.checked_sub(O) {
        None => Axis { len: out_shape[k], steps: [lhs[k], rhs[k], out_strides[k]] },
        Some(s) => Axis { len: sum_shape[s], steps: [lhs[k], rhs[k], 0] },
    })
}

/// The axes in groups; those that stand one behind the other in all operands are one.
pub(super) struct Groups<const R: usize> {
    /// Kept, of both operands.
    pub(super) both: Group<R>,
    /// Kept, of the left and of the right operand alone.
    pub(super) own: [Group<R>; 2],
    pub(super) sums: Group<R>,
}

#[derive(Clone, Copy)]
pub(super) struct Group<const R: usize> {
    axes: [Axis; R],
    n: usize,
}

impl<const R: usize> Group<R> {
    fn new() -> Self {
        Group { axes: [Axis { len: 1, steps: [0; 3] }; R], n: 0 }
    }

    fn push(&mut self, axis: Axis) {
        if axis.len == 1 {
            return;
        }
        if let Some(last) = self.axes[..self.n].last_mut()
            && (0..3).all(|k| last.steps[k] == axis.steps[k] * axis.len)
        {
            *last = Axis { len: last.len * axis.len, steps: axis.steps };
            return;
        }
        self.axes[self.n] = axis;
        self.n += 1;
    }

    pub(super) fn axes(&self) -> &[Axis] {
        &self.axes[..self.n]
    }
}

impl<const R: usize> Groups<R> {
    fn of(axes: &[Axis; R]) -> Self {
        let mut groups = Groups { both: Group::new(), own: [Group::new(); 2], sums: Group::new() };
        for &axis in axes {
            match axis.steps {
                [_, _, 0] => groups.sums.push(axis),
                [0, _, _] => groups.own[1].push(axis),
                [_, 0, _] => groups.own[0].push(axis),
                [..] => groups.both.push(axis),
            }
        }
        groups
    }
}

/// The number of positions of some axes.
pub(super) fn count(axes: &[Axis]) -> usize {
    axes.iter().map(|axis| axis.len).product()
}

/// All positions of some axes in order: where they are in the left operand, in the right one and in the result.
///
/// Most steps are along the innermost axis, and are made in registers; the counts of the others are the caller's, so that they stand apart from what is.
pub(super) struct Walk<'a> {
    outer: &'a [Axis],
    inner: Axis,
    /// Positions left along the innermost axis, the present one included.
    left: usize,
    at: &'a mut [usize; MAX_AXES],
    place: [usize; 3],
}

impl<'a> Walk<'a> {
    /// From the first position on, which is at `place`.
    #[inline(always)]
    pub(super) fn new(axes: &'a [Axis], place: [usize; 3], at: &'a mut [usize; MAX_AXES]) -> Self {
        let (inner, outer) = match axes.split_last() {
            Some((&inner, outer)) => (inner, outer),
            None => (Axis { len: 1, steps: [0; 3] }, axes),
        };
        at[..outer.len()].fill(0);
        Walk { outer, inner, left: inner.len, at, place }
    }

    /// The present position; goes to the next one, and behind the last to the first.
    #[inline(always)]
    pub(super) fn next(&mut self) -> [usize; 3] {
        let place = self.place;
        let steps = self.inner.steps;
        if self.left > 1 {
            self.left -= 1;
            self.place = [place[0] + steps[0], place[1] + steps[1], place[2] + steps[2]];
        } else {
            self.left = self.inner.len;
            let back = self.inner.len - 1;
            let start = [place[0] - back * steps[0], place[1] - back * steps[1], place[2] - back * steps[2]];
            self.place = next_outer(self.outer, self.at, start);
        }
        place
    }
}

/// The next position along axes, from the present one at `place`.
fn next_outer(axes: &[Axis], at: &mut [usize; MAX_AXES], mut place: [usize; 3]) -> [usize; 3] {
    step(&mut at[..axes.len()], axes, &mut place);
    place
}

/// The product of operands that have elements, added to `out` if `adds`.
fn multiply<T: Float, const R: usize>(out: &mut [T], [lhs, rhs]: [&[T]; 2], axes: &[Axis; R], adds: bool) {
    for (k, (what, len)) in
        [("a left operand", lhs.len()), ("a right operand", rhs.len()), ("a destination", out.len())].into_iter().enumerate()
    {
        let last: usize = axes.iter().map(|axis| (axis.len - 1) * axis.steps[k]).sum();
        assert!(last < len, "{what} of {len} elements for a product over {axes:?}");
    }
    let groups = Groups::of(axes);
    let small = axes.iter().map(|axis| axis.len).product::<usize>() < SMALL;
    if R <= MAX_AXES && !small {
        let product = tiles::Contraction {
            out: out.as_mut_ptr(),
            operands: [lhs.as_ptr(), rhs.as_ptr()],
            both: groups.both.axes(),
            own: [groups.own[0].axes(), groups.own[1].axes()],
            sums: groups.sums.axes(),
            adds,
        };
        // SAFETY: the last element of each operand and of the result was just found inside of its slice, `out` is a mutable reference and so
        // overlaps neither operand, and no axis is empty.
        if unsafe { T::contract(Variant::detect(), &product) } {
            return;
        }
    }
    if adds {
        one_by_one(out, [lhs, rhs], axes, |out, sum| *out += sum);
    } else {
        one_by_one(out, [lhs, rhs], axes, |out, sum| *out = sum);
    }
}

/// Each element of the result by itself.
fn one_by_one<T: Float, const R: usize>(out: &mut [T], [lhs, rhs]: [&[T]; 2], axes: &[Axis; R], store: impl Fn(&mut T, T)) {
    let n_kept = axes.iter().position(|axis| axis.steps[2] == 0 && axis.len > 1).unwrap_or(R);
    let (kept, sums) = axes.split_at(n_kept);
    let (mut at_kept, mut place) = ([0; R], [0; 3]);
    for _ in 0..count(kept) {
        let (mut at_sum, mut term) = ([0; R], place);
        let mut sum = T::zero();
        for _ in 0..count(sums) {
            sum += lhs[term[0]] * rhs[term[1]];
            step(&mut at_sum, sums, &mut term);
        }
        store(&mut out[place[2]], sum);
        step(&mut at_kept, kept, &mut place);
    }
}

/// Moves `at` to the next position of the axes, and the places along.
fn step(at: &mut [usize], axes: &[Axis], place: &mut [usize; 3]) {
    for (at, axis) in at.iter_mut().zip(axes).rev() {
        *at += 1;
        for (place, step) in place.iter_mut().zip(axis.steps) {
            *place += step;
        }
        if *at < axis.len {
            return;
        }
        *at = 0;
        for (place, step) in place.iter_mut().zip(axis.steps) {
            *place -= axis.len * step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A product of two stacks of matrices, `bij,bjk->bki`.
    #[test]
    fn batched_products() {
        for (b, i, j, k) in [(1, 1, 1, 1), (2, 3, 4, 5), (3, 2, 0, 2), (0, 2, 2, 2), (2, 1, 7, 3), (3, 20, 11, 9), (2, 40, 33, 7)] {
            let x: Vec<f64> = (0..b * i * j).map(|n| 1.0 + n as f64).collect();
            let y: Vec<f64> = (0..b * j * k).map(|n| 3.0 - n as f64).collect();
            let mut out = vec![f64::NAN; b * k * i];
            contract(&mut out, [b, k, i], [j], &x, [i * j, 0, j, 1], &y, [j * k, 1, 0, k]);
            for b in 0..b {
                for p in 0..k {
                    for q in 0..i {
                        let want: f64 = (0..j).map(|l| x[(b * i + q) * j + l] * y[(b * j + l) * k + p]).sum();
                        assert_eq!(out[(b * k + p) * i + q], want);
                    }
                }
            }
        }
    }

    #[test]
    fn sums_over_two_axes() {
        let x: Vec<f32> = (0..24).map(|n| n as f32).collect();
        let y: Vec<f32> = (0..24).map(|n| 2.0 - n as f32).collect();
        let mut out = [0.0; 2];
        contract(&mut out, [2], [3, 4], &x, [12, 4, 1], &y, [1, 8, 2]);
        for (o, out) in out.iter().enumerate() {
            let want: f32 =
                (0..3).flat_map(|a| (0..4).map(move |b| (a, b))).map(|(a, b)| x[12 * o + 4 * a + b] * y[o + 8 * a + 2 * b]).sum();
            assert_eq!(*out, want);
        }
    }

    fn entries<T: Float>(n: usize, seed: usize) -> Vec<T> {
        (0..n).map(|i| T::from_f64((((i + seed) * 7919) % 1009) as f64 / 1009.0 - 0.5)).collect()
    }

    /// Tiles on every variant against each element by itself, for a convolution `(n, c, i, p, j, q), (o, c, p, q) -> (n, o, i, j)` and for the
    /// products that its derivatives are made of, which differ in what is summed.
    fn check<T: Float>(sizes: [usize; 7], step: usize) {
        let [n, c, i, p, j, q, o] = sizes;
        let (h, w) = ((i - 1) * step + p, (j - 1) * step + q);
        // Strides along n, c, i, p, j, q, o.
        let image = [c * h * w, h * w, step * w, w, step, 1, 0];
        let kernel = [0, p * q, 0, q, 0, 1, c * p * q];
        let result = [o * i * j, 0, j, 0, 1, 0, i * j];
        let lens = [n * c * h * w, o * c * p * q, n * o * i * j];
        for [lhs, rhs, out] in [[0, 1, 2], [1, 0, 2], [2, 0, 1], [0, 2, 1], [1, 2, 0], [2, 1, 0]] {
            let strides = [image, kernel, result];
            let (kept, sums): (Vec<usize>, Vec<usize>) = (0..7).partition(|&k| strides[out][k] > 0);
            let axes: [Axis; 7] = std::array::from_fn(|k| {
                let axis = *kept.iter().chain(&sums).nth(k).unwrap();
                Axis { len: sizes[axis], steps: [strides[lhs][axis], strides[rhs][axis], strides[out][axis]] }
            });
            let (x, y) = (entries::<T>(lens[lhs], 3), entries::<T>(lens[rhs], 5));
            for adds in [out == 0, true] {
                let before = entries::<T>(lens[out], 7);
                let mut expected = before.clone();
                if adds {
                    one_by_one(&mut expected, [&x, &y], &axes, |out, sum| *out += sum);
                } else {
                    one_by_one(&mut expected, [&x, &y], &axes, |out, sum| *out = sum);
                }
                let mut results = vec![];
                for &variant in Variant::available() {
                    let groups = Groups::of(&axes);
                    let mut found = before.clone();
                    let product = tiles::Contraction {
                        out: found.as_mut_ptr(),
                        operands: [x.as_ptr(), y.as_ptr()],
                        both: groups.both.axes(),
                        own: [groups.own[0].axes(), groups.own[1].axes()],
                        sums: groups.sums.axes(),
                        adds,
                    };
                    // SAFETY: the operands and the result were made for these axes.
                    if unsafe { T::contract(variant, &product) } {
                        let n_terms = count(groups.sums.axes()) as f64 * p as f64 * q as f64;
                        for (found, expected) in found.iter().zip(&expected) {
                            let allowed = T::EPSILON.to_f64() * (n_terms + 2.0);
                            let off = (Float::to_f64(*found) - Float::to_f64(*expected)).abs();
                            assert!(off <= allowed, "{sizes:?} {step} {variant:?}: {found} for {expected}");
                        }
                        results.push(found);
                    }
                }
                assert!(out == 0 || results.windows(2).all(|pair| pair[0] == pair[1]), "variants differ for {sizes:?}");
                #[cfg(target_arch = "x86_64")]
                assert!(!results.is_empty() || !is_x86_feature_detected!("fma"));
            }
        }
    }

    #[test]
    fn tiles_of_windows() {
        for sizes in
            [[1; 7], [2, 3, 4, 3, 5, 2, 7], [3, 2, 5, 3, 6, 3, 17], [1, 40, 3, 3, 3, 3, 33], [9, 1, 8, 2, 7, 1, 70], [2, 37, 2, 3, 2, 3, 5]]
        {
            for step in 1..3 {
                check::<f64>(sizes, step);
                check::<f32>(sizes, step);
            }
        }
    }

    /// The public functions on the same product: windows that overlap add up.
    #[test]
    fn overlapping_windows() {
        let (x, y) = (entries::<f64>(12 * 9, 3), entries::<f64>(9 * 4, 5));
        let mut windows = [f64::NAN; 12 * 4];
        contract(&mut windows, [12, 4], [9], &x, [9, 0, 1], &y, [0, 1, 4]);
        let mut out = [f64::NAN; 12 + 3];
        contract_windows(&mut out, [12, 4], [1, 1], [9], &x, [9, 0, 1], &y, [0, 1, 4]);
        for (k, out) in out.iter().enumerate() {
            let want: f64 =
                (0..12).flat_map(|w| (0..4).map(move |p| (w, p))).filter(|(w, p)| w + p == k).map(|(w, p)| windows[4 * w + p]).sum();
            assert!((out - want).abs() < 1e-14);
        }
    }

    #[test]
    #[should_panic(expected = "a right operand of 3 elements")]
    fn operands_are_checked() {
        contract(&mut [0.0; 2], [2], [2], &[0.0; 4], [2, 1], &[0.0; 3], [2, 1]);
    }
}
