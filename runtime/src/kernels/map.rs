//! Element-wise loops.

use super::operand::{Operand, Row, next_row};
use super::variant::{Kernel, run};

/// `out[i] = f(operands at i)` for every position `i` of the iteration space `shape`.
///
/// # Panics
/// If `out` does not have as many elements as the space, or an operand does not cover the space.
#[inline(always)]
pub fn map<const R: usize, T: Copy, O: Operand<R>>(out: &mut [T], shape: [usize; R], operands: O, f: impl Fn(O::Item) -> T) -> &[T] {
    run(Map { out: &mut *out, shape, operands, f });
    out
}

/// Items of a short row that are computed together.
const LANES: usize = 8;
/// Rows of fewer items are short.
const SHORT: usize = 64;

struct Map<'a, const R: usize, T, O, F> {
    out: &'a mut [T],
    shape: [usize; R],
    operands: O,
    f: F,
}

impl<const R: usize, T: Copy, O: Operand<R>, F: Fn(O::Item) -> T> Kernel for Map<'_, R, T, O, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Map { out, shape, operands, f } = self;
        let n = shape[R - 1];
        assert!(out.len() == shape.iter().product::<usize>(), "a destination of {} elements for the space {shape:?}", out.len());
        operands.check(&shape);
        if out.is_empty() {
            return;
        }
        let mut at = [0; R];
        for out in out.chunks_exact_mut(n) {
            let row = operands.row(&at);
            // SAFETY: `check` accepted the shape, `at` is inside of it, and `j` is below the length of the last axis.
            let item = |j: usize| f(unsafe { row.get(j) });
            if R > 1 && (LANES..SHORT).contains(&n) {
                // A loop of unknown length would take most of a short row one by one. The last lanes overlap those before.
                for start in (0..n - LANES).step_by(LANES).chain([n - LANES]) {
                    let items: [T; LANES] = std::array::from_fn(|l| item(start + l));
                    out[start..start + LANES].copy_from_slice(&items);
                }
            } else {
                for (j, out) in out.iter_mut().enumerate() {
                    *out = item(j);
                }
            }
            next_row(&mut at, &shape);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::operand::{lane, position, splat, strided};
    use super::super::variant::Variant;
    use super::*;

    /// Every kind of operand in one loop over every small space, against indices computed one by one, on every variant.
    #[test]
    fn operands_follow_their_strides() {
        for &variant in Variant::available() {
            for n in 0..12 {
                for m in 0..12 {
                    let a: Vec<f64> = (0..n * m).map(|i| i as f64).collect();
                    let rows: Vec<f64> = (0..n).map(|i| 1000.0 + i as f64).collect();
                    let cols: Vec<f64> = (0..m).map(|j| 0.5 * j as f64).collect();
                    let mut out = vec![f64::NAN; n * m];
                    let operands =
                        (lane(&a, [m, 1]), splat(&rows, [1, 0]), lane(&cols, [0, 1]), strided(&a, [1, n]), position(0), position(1));
                    let f = |(a, r, c, t, i, j)| a + 1e4 * r + c + 1e8 * t + 1e-3 * i as f64 + 1e-5 * j as f64;
                    variant.run(Map { out: &mut out, shape: [n, m], operands, f });
                    for i in 0..n {
                        for j in 0..m {
                            let want = a[i * m + j] + 1e4 * rows[i] + cols[j] + 1e8 * a[j * n + i] + 1e-3 * i as f64 + 1e-5 * j as f64;
                            assert_eq!(out[i * m + j], want, "{variant:?} {n}x{m} at {i},{j}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn three_axes() {
        let a: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let mut out = vec![0.0; 24];
        // The axes of a 4 × 3 × 2 array in reverse order.
        map(&mut out, [2, 3, 4], strided(&a, [1, 2, 6]), |x| x);
        for i in 0..2 {
            for j in 0..3 {
                for k in 0..4 {
                    assert_eq!(out[(i * 3 + j) * 4 + k], a[(k * 3 + j) * 2 + i]);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "does not cover the space [2, 3]")]
    fn short_operands_are_refused() {
        let mut out = [0.0; 6];
        map(&mut out, [2, 3], lane(&[0.0; 5], [3, 1]), |x| x);
    }

    #[test]
    #[should_panic(expected = "a destination of 5 elements")]
    fn short_destinations_are_refused() {
        let mut out = [0.0; 5];
        map(&mut out, [6], &[0.0; 6][..], |x| x);
    }
}
