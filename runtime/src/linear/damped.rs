//! Damping: an operator plus a multiple of the identity.

use super::Operator;
use crate::{Float, vector};

/// The operator `H + δI`.
pub struct Damped<'a, T, O> {
    operator: &'a mut O,
    damping: T,
}

impl<'a, T: Float, O: Operator<T>> Damped<'a, T, O> {
    /// Adds `damping` times the identity.
    pub fn new(operator: &'a mut O, damping: T) -> Self {
        Damped { operator, damping }
    }
}

impl<T: Float, O: Operator<T>> Operator<T> for Damped<'_, T, O> {
    fn apply(&mut self, v: &[T], product: &mut [T]) {
        self.operator.apply(v, product);
        // With no damping the products are those of the operator to the bit.
        if self.damping != T::zero() {
            vector::axpy(self.damping, v, product);
        }
    }

    fn is_symmetric(&self) -> bool {
        self.operator.is_symmetric()
    }

    fn apply_to_solution(&mut self, x: &[T], product: &mut [T]) {
        self.operator.apply_to_solution(x, product);
        if self.damping != T::zero() {
            vector::axpy(self.damping, x, product);
        }
    }
}
