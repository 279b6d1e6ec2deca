//! Where the extremes along an axis are.

/// Which of two numbers is further in the direction that is looked for.
pub trait Extreme: Copy {
    /// Whether `a` is beyond `b`.
    fn is_beyond<T: PartialOrd>(self, a: T, b: T) -> bool;
}

/// The largest.
#[derive(Clone, Copy, Debug)]
pub struct Largest;

/// The smallest.
#[derive(Clone, Copy, Debug)]
pub struct Smallest;

impl Extreme for Largest {
    fn is_beyond<T: PartialOrd>(self, a: T, b: T) -> bool {
        a > b
    }
}

impl Extreme for Smallest {
    fn is_beyond<T: PartialOrd>(self, a: T, b: T) -> bool {
        a < b
    }
}

/// `out[o, i]` is the first position `l` of the extreme of `x[o, l, i]`, or of the first NaN, for `x` of shape `[outer, len, inner]`.
///
/// # Panics
/// If the axis is empty and there is something to write, or the lengths of the slices do not fit.
pub fn extreme_positions<'a, T: Copy + PartialOrd>(extreme: impl Extreme, out: &'a mut [usize], x: &[T], shape: [usize; 3]) -> &'a [usize] {
    let [outer, len, inner] = shape;
    assert!(out.len() == outer * inner && x.len() == outer * len * inner, "lengths of {shape:?}");
    assert!(len > 0 || out.is_empty(), "an axis without elements has no largest or smallest one");
    let is_nan = |x: T| x.partial_cmp(&x).is_none();
    for (k, out) in out.iter_mut().enumerate() {
        let at = |l: usize| x[(k / inner * len + l) * inner + k % inner];
        let mut best = 0;
        for l in 1..len {
            let (new, old) = (at(l), at(best));
            if !is_nan(old) && (is_nan(new) || extreme.is_beyond(new, old)) {
                best = l;
            }
        }
        *out = best;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_and_the_first_nan() {
        let x = [1.0, 3.0, 3.0, f64::NAN, 2.0, -1.0];
        let mut out = [9];
        assert_eq!(extreme_positions(Largest, &mut out, &x[..3], [1, 3, 1]), [1]);
        assert_eq!(extreme_positions(Smallest, &mut out, &x[..3], [1, 3, 1]), [0]);
        assert_eq!(extreme_positions(Largest, &mut out, &x, [1, 6, 1]), [3]);
        assert_eq!(extreme_positions(Smallest, &mut out, &x, [1, 6, 1]), [3]);
        let mut out = [9; 4];
        let x = [5, 1, 3, 4, 0, 8, 7, 2];
        assert_eq!(extreme_positions(Largest, &mut out, &x, [2, 2, 2]), [0, 1, 1, 0]);
    }

    #[test]
    #[should_panic(expected = "an axis without elements")]
    fn an_empty_axis_has_none() {
        extreme_positions(Largest, &mut [0; 2], &[0.0; 0], [2, 0, 1]);
    }
}
