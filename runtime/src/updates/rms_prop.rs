//! RMSProp.

use super::driver::Rule;
use super::dual::Number;
use super::hyper::{Hyper, Range, Setting};
use super::update;
use crate::Error;

/// RMSProp: `s⁺ = ρ s + (1 − ρ) g²`, `w⁺ = w − α g / (√s⁺ + ε)`.
///
/// Tieleman and Hinton, *Lecture 6.5* (2012). One buffer. Where `s⁺` is exactly zero the derivative of its root, a pole, counts as zero.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct RmsProp {
    learning_rate: Hyper,
    decay: Hyper,
    epsilon: Hyper,
}

impl RmsProp {
    /// With learning rate `α`.
    pub fn new(learning_rate: impl Into<Hyper>) -> Self {
        RmsProp { learning_rate: learning_rate.into(), decay: 0.99.into(), epsilon: 1e-8.into() }
    }

    /// The decay `ρ` of the mean of squares. Default: 0.99.
    pub fn decay(mut self, decay: impl Into<Hyper>) -> Self {
        self.decay = decay.into();
        self
    }

    /// What is added to the root of the mean of squares. Default: 10⁻⁸.
    pub fn epsilon(mut self, epsilon: impl Into<Hyper>) -> Self {
        self.epsilon = epsilon.into();
        self
    }

    fn all_settings(&self) -> Result<Vec<Setting>, Error> {
        Ok(vec![
            Setting { name: "RmsProp::new", hyper: self.learning_rate, range: Range::Positive },
            Setting { name: "RmsProp::decay", hyper: self.decay, range: Range::Fraction },
            Setting { name: "RmsProp::epsilon", hyper: self.epsilon, range: Range::Positive },
        ])
    }
}

struct Scaled;

impl Rule<1, 3, 0> for Scaled {
    fn derived<N: Number>(_: &[N; 3], _: i32) -> [N; 0] {
        []
    }

    #[inline(always)]
    fn apply<N: Number>(w: N, g: N, [s]: [N; 1], &[rate, decay, epsilon]: &[N; 3], _: &[N; 0]) -> (N, [N; 1]) {
        let s = decay * s + (N::constant(1.0) - decay) * g * g;
        (w - rate * g / (s.root() + epsilon), [s])
    }
}

update!(RmsProp, Scaled, buffers: 1, hypers: 3, derived: 0);
