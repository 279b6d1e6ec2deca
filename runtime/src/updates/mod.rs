//! Updates of a variable by its gradient: the steps that unrolled methods differentiate, and that outer optimisers make.
//!
//! An update is a rule for one coordinate, written once (`driver::Rule`); its tangents and cotangents, those of its hyperparameters included,
//! are derived from it by dual numbers. The conventions are those of the papers: momentum without dampening, Adam with bias correction.

mod adam;
mod driver;
mod dual;
mod hyper;
mod momentum;
mod plain;
mod rms_prop;

pub use adam::{Adam, AdamW};
pub use driver::At;
pub use hyper::{Hyper, Range, Setting};
pub use momentum::{Momentum, Nesterov};
pub use rms_prop::RmsProp;

pub(crate) use hyper::Bound;

use std::fmt;

use crate::solve::OuterOptimizer;
use crate::{Error, Float, vector};

/// A step `(w, b) ← Φ(w, b, ∇f(w))` of a first-order optimiser with its buffers `b`, coordinate by coordinate.
///
/// States are the variable and then the buffers, `1 + N_STATE` vectors in one slice.
pub trait Update: Copy + fmt::Debug {
    /// The number of buffers, each of the size of the variable. All are zero before the first step.
    const N_STATE: usize;

    /// The hyperparameters in the order of the rule.
    ///
    /// # Errors
    /// [`Error::MissingSetting`]
    fn settings(&self) -> Result<Vec<Setting>, Error>;

    /// `s ← Φ(s, g)`
    fn update<T: Float>(&self, at: At<'_, T>, state: &mut [T], g: &[T]);

    /// Tangents at the state `before` a step: `dot` from before to after it, for a tangent of the gradient and one of the outer variable.
    fn jvp<T: Float>(&self, at: At<'_, T>, before: &[T], g: &[T], dot: &mut [T], g_dot: &[T], outer_dot: &[T]);

    /// Cotangents at the state `before` a step: `bar` from after to before it, without what comes through the gradient, whose cotangent is written to
    /// `g_bar`; that of the hyperparameters is added to `outer_bar`.
    fn vjp<T: Float>(&self, at: At<'_, T>, before: &[T], g: &[T], bar: &mut [T], g_bar: &mut [T], outer_bar: &mut [T]);
}

/// Implements [`Update`] for an optimiser by its rule with `S` buffers, `H` hyperparameters and `C` derived numbers.
macro_rules! update {
    ($Optimizer:ident, $rule:ident, buffers: $S:literal, hypers: $H:literal, derived: $C:literal) => {
        impl $crate::updates::Update for $Optimizer {
            const N_STATE: usize = $S;

            fn settings(&self) -> Result<Vec<$crate::updates::Setting>, $crate::Error> {
                self.all_settings()
            }

            fn update<T: $crate::Float>(&self, at: $crate::updates::At<'_, T>, state: &mut [T], g: &[T]) {
                $crate::updates::driver::step::<$rule, T, $S, $H, $C>(at, state, g);
            }

            fn jvp<T: $crate::Float>(
                &self,
                at: $crate::updates::At<'_, T>,
                before: &[T],
                g: &[T],
                dot: &mut [T],
                g_dot: &[T],
                outer_dot: &[T],
            ) {
                $crate::updates::driver::jvp::<$rule, T, $S, $H, $C>(at, before, g, dot, g_dot, outer_dot);
            }

            fn vjp<T: $crate::Float>(
                &self,
                at: $crate::updates::At<'_, T>,
                before: &[T],
                g: &[T],
                bar: &mut [T],
                g_bar: &mut [T],
                outer_bar: &mut [T],
            ) {
                // Directions of constant hyperparameters would be computed for nothing.
                if at.has_constant_hypers() {
                    $crate::updates::driver::vjp::<$rule, T, $S, $H, $C, { 2 + $S }>(at, before, g, bar, g_bar, outer_bar);
                } else {
                    $crate::updates::driver::vjp::<$rule, T, $S, $H, $C, { 2 + $S + $H }>(at, before, g, bar, g_bar, outer_bar);
                }
            }
        }
    };
}
pub(crate) use update;

/// What an update carries as an outer optimiser.
#[derive(Debug, Clone)]
pub struct UpdateState<T> {
    hypers: Vec<Bound>,
    state: Vec<T>,
    step: usize,
}

impl<T: Float, U: Update> OuterOptimizer<T> for U {
    type State = UpdateState<T>;

    fn state(&self, n: usize) -> Result<UpdateState<T>, Error> {
        let hypers = constants(&self.settings()?, "an outer optimiser")?;
        Ok(UpdateState { hypers, state: vector::zeros((1 + U::N_STATE) * n), step: 0 })
    }

    fn step(&self, state: &mut UpdateState<T>, gradient: &[T], variable: &mut [T]) {
        let UpdateState { hypers, state, step } = state;
        let n = variable.len();
        state[..n].copy_from_slice(variable);
        let at = At { step: *step, leaves: &[n], hypers, outer: &[] };
        self.update(at, state, gradient);
        variable.copy_from_slice(&state[..n]);
        *step += 1;
    }

    fn save(&self, state: &UpdateState<T>) -> Vec<f64> {
        [state.step as f64].into_iter().chain(state.state.iter().map(|&x| Float::to_f64(x))).collect()
    }

    fn restore(&self, state: &mut UpdateState<T>, saved: &[f64]) -> bool {
        if saved.len() != state.state.len() + 1 {
            return false;
        }
        state.step = saved[0] as usize;
        for (x, &s) in state.state.iter_mut().zip(&saved[1..]) {
            *x = T::from_f64(s);
        }
        true
    }
}

/// Hyperparameters where only constants make sense.
pub(crate) fn constants(settings: &[Setting], what: &'static str) -> Result<Vec<Bound>, Error> {
    let constant = |setting: &Setting| {
        setting.check()?;
        setting.hyper.constant().map(Bound::Constant).ok_or(Error::HyperparameterNotConstant { setting: setting.name, what })
    };
    settings.iter().map(constant).collect()
}

#[cfg(test)]
mod tests;
