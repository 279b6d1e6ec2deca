//! Products of two tensors that are no matrix product.

use super::variant::{Kernel, run};
use crate::Float;

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
    const { assert!(O + S == R, "one stride per axis") };
    run(Contract { out: &mut *out, out_shape, sum_shape, operands: [(lhs, lhs_strides), (rhs, rhs_strides)] });
    out
}

struct Contract<'a, T, const O: usize, const S: usize, const R: usize> {
    out: &'a mut [T],
    out_shape: [usize; O],
    sum_shape: [usize; S],
    operands: [(&'a [T], [usize; R]); 2],
}

impl<T: Float, const O: usize, const S: usize, const R: usize> Kernel for Contract<'_, T, O, S, R> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Contract { out, out_shape, sum_shape, operands: [(lhs, lhs_strides), (rhs, rhs_strides)] } = self;
        assert!(out.len() == out_shape.iter().product::<usize>(), "a destination of {} elements for {out_shape:?}", out.len());
        if out.is_empty() || sum_shape.contains(&0) {
            out.fill(T::zero());
            return;
        }
        let (lhs_out, lhs_sum) = lhs_strides.split_at(O);
        let (rhs_out, rhs_sum) = rhs_strides.split_at(O);
        let n_terms: usize = sum_shape.iter().product();
        let mut o = [0; O];
        let mut starts = [0, 0];
        for out in out {
            let mut s = [0; S];
            let [mut l, mut r] = starts;
            let mut sum = T::zero();
            for _ in 0..n_terms {
                sum += lhs[l] * rhs[r];
                step(&mut s, &sum_shape, [(&mut l, lhs_sum), (&mut r, rhs_sum)]);
            }
            *out = sum;
            let [l, r] = &mut starts;
            step(&mut o, &out_shape, [(l, lhs_out), (r, rhs_out)]);
        }
    }
}

/// Moves `at` to the next position of the space, and each offset along.
#[inline(always)]
fn step<const N: usize>(at: &mut [usize; N], shape: &[usize; N], offsets: [(&mut usize, &[usize]); 2]) {
    let [(l, l_strides), (r, r_strides)] = offsets;
    for k in (0..N).rev() {
        at[k] += 1;
        *l += l_strides[k];
        *r += r_strides[k];
        if at[k] < shape[k] {
            return;
        }
        at[k] = 0;
        *l -= shape[k] * l_strides[k];
        *r -= shape[k] * r_strides[k];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A product of two stacks of matrices, `bij,bjk->bki`.
    #[test]
    fn batched_products() {
        for (b, i, j, k) in [(1, 1, 1, 1), (2, 3, 4, 5), (3, 2, 0, 2), (0, 2, 2, 2), (2, 1, 7, 3)] {
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
}
