//! Gradient descent with momentum: of Polyak and of Nesterov.

use super::driver::Rule;
use super::dual::Number;
use super::hyper::{Hyper, Range, Setting};
use super::update;
use crate::Error;

/// Gradient descent with momentum: `v⁺ = β v + g`, `w⁺ = w − α v⁺`.
///
/// Polyak, *Some methods of speeding up the convergence of iteration methods* (1964). One buffer.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Momentum {
    learning_rate: Hyper,
    momentum: Hyper,
}

impl Momentum {
    /// With learning rate `α` and momentum `β`.
    pub fn new(learning_rate: impl Into<Hyper>, momentum: impl Into<Hyper>) -> Self {
        Momentum { learning_rate: learning_rate.into(), momentum: momentum.into() }
    }

    fn all_settings(&self) -> Result<Vec<Setting>, Error> {
        Ok(vec![
            Setting { name: "Momentum::new (learning rate)", hyper: self.learning_rate, range: Range::Positive },
            Setting { name: "Momentum::new (momentum)", hyper: self.momentum, range: Range::Fraction },
        ])
    }
}

/// Nesterov's momentum: `v⁺ = β v + g`, `w⁺ = w − α (g + β v⁺)`.
///
/// Nesterov, *A method for solving the convex programming problem with convergence rate O(1/k²)* (1983), in the form of Sutskever et al. (2013).
/// One buffer.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Nesterov {
    learning_rate: Hyper,
    momentum: Hyper,
}

impl Nesterov {
    /// With learning rate `α` and momentum `β`.
    pub fn new(learning_rate: impl Into<Hyper>, momentum: impl Into<Hyper>) -> Self {
        Nesterov { learning_rate: learning_rate.into(), momentum: momentum.into() }
    }

    fn all_settings(&self) -> Result<Vec<Setting>, Error> {
        Ok(vec![
            Setting { name: "Nesterov::new (learning rate)", hyper: self.learning_rate, range: Range::Positive },
            Setting { name: "Nesterov::new (momentum)", hyper: self.momentum, range: Range::Fraction },
        ])
    }
}

struct Polyak;

impl Rule<1, 2, 0> for Polyak {
    fn derived<N: Number>(_: &[N; 2], _: i32) -> [N; 0] {
        []
    }

    #[inline(always)]
    fn apply<N: Number>(w: N, g: N, [v]: [N; 1], &[rate, momentum]: &[N; 2], _: &[N; 0]) -> (N, [N; 1]) {
        let v = momentum * v + g;
        (w - rate * v, [v])
    }
}

struct LookAhead;

impl Rule<1, 2, 0> for LookAhead {
    fn derived<N: Number>(_: &[N; 2], _: i32) -> [N; 0] {
        []
    }

    #[inline(always)]
    fn apply<N: Number>(w: N, g: N, [v]: [N; 1], &[rate, momentum]: &[N; 2], _: &[N; 0]) -> (N, [N; 1]) {
        let v = momentum * v + g;
        (w - rate * (g + momentum * v), [v])
    }
}

update!(Momentum, Polyak, buffers: 1, hypers: 2, derived: 0);
update!(Nesterov, LookAhead, buffers: 1, hypers: 2, derived: 0);
