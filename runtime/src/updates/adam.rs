//! Adam, and Adam with decoupled weight decay.

use super::driver::Rule;
use super::dual::Number;
use super::hyper::{Hyper, Range, Setting};
use super::update;
use crate::Error;

/// Adam: `m⁺ = β₁ m + (1 − β₁) g`, `s⁺ = β₂ s + (1 − β₂) g²`, `w⁺ = w − α m̂ / (√ŝ + ε)` with the bias corrections `m̂ = m⁺ / (1 − β₁ᵏ)` and
/// `ŝ = s⁺ / (1 − β₂ᵏ)` of step `k = 1, 2, …`.
///
/// The length of a step does not depend on the scale of the gradient. As an outer optimiser it is usually `Adam::new(0.05)`. Two buffers. Where `s⁺`
/// is exactly zero the derivative of its root, a pole, counts as zero.
///
/// Kingma and Ba, *Adam: a method for stochastic optimization* (2015).
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Adam {
    learning_rate: Hyper,
    beta1: Hyper,
    beta2: Hyper,
    epsilon: Hyper,
}

impl Adam {
    /// With learning rate `α`, the length of the first step in each coordinate.
    pub fn new(learning_rate: impl Into<Hyper>) -> Self {
        Adam { learning_rate: learning_rate.into(), beta1: 0.9.into(), beta2: 0.999.into(), epsilon: 1e-8.into() }
    }

    /// The decay `β₁` of the mean of gradients. Default: 0.9.
    pub fn beta1(mut self, beta1: impl Into<Hyper>) -> Self {
        self.beta1 = beta1.into();
        self
    }

    /// The decay `β₂` of the mean of squares. Default: 0.999.
    pub fn beta2(mut self, beta2: impl Into<Hyper>) -> Self {
        self.beta2 = beta2.into();
        self
    }

    /// What is added to the root of the mean of squares. Default: 10⁻⁸.
    pub fn epsilon(mut self, epsilon: impl Into<Hyper>) -> Self {
        self.epsilon = epsilon.into();
        self
    }

    fn all_settings(&self) -> Result<Vec<Setting>, Error> {
        Ok(vec![
            Setting { name: "Adam::new", hyper: self.learning_rate, range: Range::Positive },
            Setting { name: "Adam::beta1", hyper: self.beta1, range: Range::Fraction },
            Setting { name: "Adam::beta2", hyper: self.beta2, range: Range::Fraction },
            Setting { name: "Adam::epsilon", hyper: self.epsilon, range: Range::Positive },
        ])
    }
}

/// [`Adam`] with weight decay that does not go through the moments: `w⁺ = (1 − α ω) w − α m̂ / (√ŝ + ε)`.
///
/// Loshchilov and Hutter, *Decoupled weight decay regularization* (2019). Two buffers.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct AdamW {
    adam: Adam,
    weight_decay: Hyper,
}

impl AdamW {
    /// With learning rate `α` and weight decay `ω`.
    pub fn new(learning_rate: impl Into<Hyper>, weight_decay: impl Into<Hyper>) -> Self {
        AdamW { adam: Adam::new(learning_rate), weight_decay: weight_decay.into() }
    }

    /// The decay `β₁` of the mean of gradients. Default: 0.9.
    pub fn beta1(mut self, beta1: impl Into<Hyper>) -> Self {
        self.adam = self.adam.beta1(beta1);
        self
    }

    /// The decay `β₂` of the mean of squares. Default: 0.999.
    pub fn beta2(mut self, beta2: impl Into<Hyper>) -> Self {
        self.adam = self.adam.beta2(beta2);
        self
    }

    /// What is added to the root of the mean of squares. Default: 10⁻⁸.
    pub fn epsilon(mut self, epsilon: impl Into<Hyper>) -> Self {
        self.adam = self.adam.epsilon(epsilon);
        self
    }

    fn all_settings(&self) -> Result<Vec<Setting>, Error> {
        let Adam { learning_rate, beta1, beta2, epsilon } = self.adam;
        Ok(vec![
            Setting { name: "AdamW::new (learning rate)", hyper: learning_rate, range: Range::Positive },
            Setting { name: "AdamW::beta1", hyper: beta1, range: Range::Fraction },
            Setting { name: "AdamW::beta2", hyper: beta2, range: Range::Fraction },
            Setting { name: "AdamW::epsilon", hyper: epsilon, range: Range::Positive },
            Setting { name: "AdamW::new (weight decay)", hyper: self.weight_decay, range: Range::NotNegative },
        ])
    }
}

/// The moments after the step, and `α m̂ / (√ŝ + ε)`.
#[inline(always)]
fn moments<N: Number>(g: N, [m, s]: [N; 2], [rate, beta1, beta2, epsilon]: [N; 4], &[c1, c2]: &[N; 2]) -> (N, [N; 2]) {
    let one = N::constant(1.0);
    let m = beta1 * m + (one - beta1) * g;
    let s = beta2 * s + (one - beta2) * g * g;
    (rate * m / (c1 * ((s / c2).root() + epsilon)), [m, s])
}

/// `1 − β₁ᵏ` and `1 − β₂ᵏ`
fn corrections<N: Number>(beta1: N, beta2: N, k: i32) -> [N; 2] {
    [N::constant(1.0) - beta1.power(k), N::constant(1.0) - beta2.power(k)]
}

struct Moments;

impl Rule<2, 4, 2> for Moments {
    fn derived<N: Number>(&[_, beta1, beta2, _]: &[N; 4], k: i32) -> [N; 2] {
        corrections(beta1, beta2, k)
    }

    #[inline(always)]
    fn apply<N: Number>(w: N, g: N, state: [N; 2], hyper: &[N; 4], derived: &[N; 2]) -> (N, [N; 2]) {
        let (step, state) = moments(g, state, *hyper, derived);
        (w - step, state)
    }
}

struct DecayedMoments;

impl Rule<2, 5, 2> for DecayedMoments {
    fn derived<N: Number>(&[_, beta1, beta2, _, _]: &[N; 5], k: i32) -> [N; 2] {
        corrections(beta1, beta2, k)
    }

    #[inline(always)]
    fn apply<N: Number>(w: N, g: N, state: [N; 2], &[rate, beta1, beta2, epsilon, decay]: &[N; 5], derived: &[N; 2]) -> (N, [N; 2]) {
        let (step, state) = moments(g, state, [rate, beta1, beta2, epsilon], derived);
        ((N::constant(1.0) - rate * decay) * w - step, state)
    }
}

update!(Adam, Moments, buffers: 2, hypers: 4, derived: 2);
update!(AdamW, DecayedMoments, buffers: 2, hypers: 5, derived: 2);
