//! The extreme eigenvalues of an operator as a Krylov iteration has seen them.

use super::{Seen, bytes_of};
use crate::Float;

/// The operator on the space of an iteration: a symmetric tridiagonal matrix, whose eigenvalues (Ritz values) converge to those of the operator from inside, the extreme ones
/// first.
#[derive(Debug, Clone)]
pub(super) struct Tridiagonal<T> {
    diagonal: Vec<T>,
    /// The squares of the elements to the left of the diagonal; 0 for the first.
    beside_squared: Vec<T>,
}

impl<T: Float> Tridiagonal<T> {
    pub(super) fn new() -> Self {
        Tridiagonal { diagonal: vec![], beside_squared: vec![] }
    }

    pub(super) fn clear(&mut self) {
        self.diagonal.clear();
        self.beside_squared.clear();
    }

    /// One row more, with what stands beside its diagonal to the left.
    pub(super) fn push(&mut self, diagonal: T, beside_squared: T) {
        self.diagonal.push(diagonal);
        self.beside_squared.push(beside_squared);
    }

    /// Takes note of its smallest eigenvalue, to a twentieth, which is what the curvatures of single directions tell worst.
    pub(super) fn see(&self, seen: &mut Seen<T>) {
        let Some(mut above) = self.diagonal.iter().copied().reduce(T::min) else { return };
        let mut below = if self.n_below(T::zero()) == 0 { T::zero() } else { self.left_end() };
        let (half, near) = (T::from_f64(0.5), T::from_f64(0.05));
        // Every turn halves the interval, and numbers have no more halves than this.
        for _ in 0..200 {
            if above - below <= near * above.abs() {
                break;
            }
            let middle = half * (above + below);
            if self.n_below(middle) == 0 {
                below = middle;
            } else {
                above = middle;
            }
        }
        seen.curvature(above);
    }

    /// The number of eigenvalues below `x`: of negative pivots of the matrix less `x` times the identity.
    fn n_below(&self, x: T) -> usize {
        // Nothing stands beside the first diagonal element, whose square is zero.
        let mut pivot = T::one();
        let mut n = 0;
        for (&diagonal, &beside_squared) in self.diagonal.iter().zip(&self.beside_squared) {
            pivot = diagonal - x - beside_squared / pivot;
            if pivot == T::zero() {
                pivot = T::min_positive_value();
            }
            if pivot < T::zero() {
                n += 1;
            }
        }
        n
    }

    /// A number that no eigenvalue is below, by Gershgorin.
    fn left_end(&self) -> T {
        let beside = |i: usize| self.beside_squared.get(i).map_or(T::zero(), |square| square.sqrt());
        (0..self.diagonal.len()).map(|i| self.diagonal[i] - beside(i) - beside(i + 1)).fold(T::infinity(), T::min)
    }

    pub(super) fn bytes(&self) -> usize {
        bytes_of(&[&self.diagonal, &self.beside_squared])
    }
}
