//! Products of two stacks of matrices, one matrix after the other.
//!
//! Each product is that of [`product`], if its operands stand row after row or column after column, and the general one otherwise. Very small ones, for which
//! even finding the right kernel takes longer than the product, are done in a loop of their own, compiled for all of the stack.

use super::matrix::{Matrix, matrix};
use super::product::product;
use super::variant::{Kernel, run};
use crate::Float;
use crate::float::Strided;

/// Products of up to so many multiplications are done in the loop for small ones.
const SMALL: usize = 128;

/// The matrices that are an operand of [`products`]: elements, and how far apart they stand along the axes of the stack, from row to row, and from column to
/// column.
#[derive(Clone, Copy, Debug)]
pub struct Stack<'a, T, const N: usize> {
    data: &'a [T],
    steps: [usize; N],
    row: usize,
    col: usize,
}

/// The elements as a stack of matrices. Where a step is zero, the same matrices are used all along an axis.
#[inline]
pub fn stack<T, const N: usize>(data: &[T], steps: [usize; N], [row, col]: [usize; 2]) -> Stack<'_, T, N> {
    Stack { data, steps, row, col }
}

impl<'a, T: Copy, const N: usize> Stack<'a, T, N> {
    /// Whether all elements of the stack are there.
    fn covers(&self, lens: &[usize; N], rows: usize, cols: usize) -> bool {
        let last: usize = self.steps.iter().zip(lens).map(|(step, len)| step * (len - 1)).sum();
        last + self.row * (rows - 1) + self.col * (cols - 1) < self.data.len()
    }

    /// The matrix that starts at an element, if it stands row after row or column after column.
    fn dense(&self, start: usize, rows: usize, cols: usize) -> Option<Matrix<'a, T>> {
        let by_rows = (self.col == 1 || cols == 1) && (self.row == cols || rows == 1);
        let by_columns = (self.row == 1 || rows == 1) && (self.col == rows || cols == 1);
        let all = || &self.data[start..][..rows * cols];
        match (by_rows, by_columns) {
            (true, _) => Some(matrix(all(), [rows, cols])),
            (false, true) => Some(matrix(all(), [cols, rows]).t()),
            (false, false) => None,
        }
    }
}

/// `C[s] ← A[s] B[s]` for every position `s` of the stack, which has the shape `lens`; `A[s]` has `m × k` elements, `B[s]` has `k × n`. The results stand in
/// `out` one after the other, each row after row; `out` is not read.
///
/// # Panics
/// If `out` has not as many elements, or an operand lacks some.
pub fn products<'a, T: Float, const N: usize>(
    out: &'a mut [T],
    lens: [usize; N],
    [m, k, n]: [usize; 3],
    a: Stack<'_, T, N>,
    b: Stack<'_, T, N>,
) -> &'a [T] {
    let n_products: usize = lens.iter().product();
    assert!(out.len() == n_products * m * n, "a destination of {} elements for {n_products} products of {m} × {n}", out.len());
    if out.is_empty() || k == 0 {
        out.fill(T::zero());
        return out;
    }
    assert!(a.covers(&lens, m, k), "{} elements for a stack of {lens:?} matrices of {m} × {k}", a.data.len());
    assert!(b.covers(&lens, k, n), "{} elements for a stack of {lens:?} matrices of {k} × {n}", b.data.len());
    if m * k * n <= SMALL {
        run(SmallProducts { out: &mut *out, lens, sizes: [m, k, n], a, b });
        return out;
    }
    let mut at = Position::new();
    for c in out.chunks_exact_mut(m * n) {
        let [start_a, start_b] = at.starts;
        match (a.dense(start_a, m, k), b.dense(start_b, k, n)) {
            (Some(a), Some(b)) => {
                product(c, a, b);
            }
            (_, _) => {
                let strided = |x: &Stack<'_, T, N>, start: usize| Strided {
                    start: x.data[start..].as_ptr(),
                    row: x.row as isize,
                    col: x.col as isize,
                };
                let c = Strided { start: c.as_mut_ptr(), row: n as isize, col: 1 };
                // SAFETY: `covers` found the last element of each operand, and so all of them, inside its slice; `c` has m × n elements, and being a
                // mutable reference it overlaps neither of them.
                unsafe { T::gemm(m, k, n, strided(&a, start_a), strided(&b, start_b), c) };
            }
        }
        at.step(&lens, [&a.steps, &b.steps]);
    }
    out
}

/// A position of the stack, and where the matrices of both operands start there.
struct Position<const N: usize> {
    at: [usize; N],
    starts: [usize; 2],
}

impl<const N: usize> Position<N> {
    #[inline(always)]
    fn new() -> Self {
        Position { at: [0; N], starts: [0; 2] }
    }

    /// Goes to the next one.
    #[inline(always)]
    fn step(&mut self, lens: &[usize; N], steps: [&[usize; N]; 2]) {
        for axis in (0..N).rev() {
            self.at[axis] += 1;
            for (start, steps) in self.starts.iter_mut().zip(steps) {
                *start += steps[axis];
            }
            if self.at[axis] < lens[axis] {
                return;
            }
            self.at[axis] = 0;
            for (start, steps) in self.starts.iter_mut().zip(steps) {
                *start -= lens[axis] * steps[axis];
            }
        }
    }
}

/// [`products`] of checked operands of at least one element, for small matrices.
struct SmallProducts<'a, T, const N: usize> {
    out: &'a mut [T],
    lens: [usize; N],
    sizes: [usize; 3],
    a: Stack<'a, T, N>,
    b: Stack<'a, T, N>,
}

impl<T: Float, const N: usize> Kernel for SmallProducts<'_, T, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let SmallProducts { out, lens, sizes: [m, k, n], a, b } = self;
        let mut at = Position::new();
        for c in out.chunks_exact_mut(m * n) {
            let [start_a, start_b] = at.starts;
            for (i, c) in c.chunks_exact_mut(n).enumerate() {
                c.fill(T::zero());
                for l in 0..k {
                    let x = a.data[start_a + i * a.row + l * a.col];
                    let row = &b.data[start_b + l * b.row..];
                    if b.col == 1 {
                        for (c, y) in c.iter_mut().zip(row) {
                            *c += x * *y;
                        }
                    } else {
                        for (c, y) in c.iter_mut().zip(row.iter().step_by(b.col.max(1))) {
                            *c += x * *y;
                        }
                    }
                }
            }
            at.step(&lens, [&a.steps, &b.steps]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::variant::Variant;
    use super::*;

    fn entries(n: usize, seed: usize) -> Vec<f64> {
        (0..n).map(|i| (((i + seed) * 7919) % 1009) as f64 / 1009.0 - 0.5).collect()
    }

    /// Operands in every order of the axes stack, rows and columns, and one that is the same all along the stack.
    #[test]
    fn all_layouts() {
        let layouts = |s: usize, r: usize, c: usize| {
            [[r * c, c, 1], [r * c, 1, r], [c, s * c, 1], [1, s * c, s], [r, 1, s * r], [1, s, s * r], [0, c, 1], [0, 1, r]]
        };
        for (s, m, k, n) in [
            (1, 1, 1, 1),
            (3, 2, 4, 3),
            (2, 3, 5, 1),
            (4, 1, 7, 6),
            (2, 6, 7, 9),
            (3, 17, 5, 20),
            (2, 33, 9, 4),
            (5, 8, 1, 8),
            (2, 12, 30, 1),
        ] {
            for a_steps in layouts(s, m, k) {
                for b_steps in layouts(s, k, n) {
                    let (x, y) = (entries(s * m * k, 3), entries(s * k * n, 5));
                    let mut out = vec![f64::NAN; s * m * n];
                    let (a, b) = (stack(&x, [a_steps[0]], [a_steps[1], a_steps[2]]), stack(&y, [b_steps[0]], [b_steps[1], b_steps[2]]));
                    products(&mut out, [s], [m, k, n], a, b);
                    for (place, got) in out.iter().enumerate() {
                        let (e, i, j) = (place / (m * n), place / n % m, place % n);
                        let at = |steps: [usize; 3], e: usize, i: usize, j: usize| e * steps[0] + i * steps[1] + j * steps[2];
                        let want: f64 = (0..k).map(|l| x[at(a_steps, e, i, l)] * y[at(b_steps, e, l, j)]).sum();
                        assert!(
                            (got - want).abs() <= 1e-14 * (k as f64 + 1.0),
                            "{s} of {m} × {k} × {n}, {a_steps:?} {b_steps:?}: {got} for {want}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn stacks_of_two_axes() {
        let (x, y) = (entries(24, 3), entries(18, 5));
        let mut out = [0.0; 12];
        // The left operand varies along both axes, the right one along the second only.
        products(&mut out, [2, 3], [1, 2, 2], stack(&x, [12, 4], [2, 1]), stack(&y, [0, 4], [2, 1]));
        for (place, got) in out.iter().enumerate() {
            let (p, q, j) = (place / 6, place / 2 % 3, place % 2);
            let want = x[12 * p + 4 * q] * y[4 * q + j] + x[12 * p + 4 * q + 1] * y[4 * q + 2 + j];
            assert!((got - want).abs() < 1e-15);
        }
    }

    #[test]
    fn nothing_to_compute() {
        let mut out = [f64::NAN; 4];
        products(&mut out, [2], [1, 0, 2], stack(&[], [0], [0, 1]), stack(&[], [0], [2, 1]));
        assert_eq!(out, [0.0; 4]);
        products::<f64, 1>(&mut [], [0], [3, 2, 2], stack(&[], [6], [2, 1]), stack(&[], [4], [2, 1]));
    }

    #[test]
    #[should_panic(expected = "7 elements for a stack of [2] matrices of 2 × 2")]
    fn operands_are_checked() {
        products(&mut [0.0; 8], [2], [2, 2, 2], stack(&[0.0; 7], [4], [2, 1]), stack(&[0.0; 8], [4], [2, 1]));
    }

    #[test]
    fn variants_agree_bit_for_bit() {
        for (s, m, k, n) in [(3, 2, 3, 4), (2, 4, 4, 5), (5, 1, 9, 3)] {
            let (x, y) = (entries(s * m * k, 3), entries(s * k * n, 5));
            let on = |variant: Variant| {
                let mut out = vec![f64::NAN; s * m * n];
                let (a, b) = (stack(&x, [m * k], [k, 1]), stack(&y, [k * n], [n, 1]));
                variant.run(SmallProducts { out: &mut out, lens: [s], sizes: [m, k, n], a, b });
                out
            };
            assert!(Variant::available().iter().all(|&v| on(v) == on(Variant::Baseline)));
        }
    }
}
