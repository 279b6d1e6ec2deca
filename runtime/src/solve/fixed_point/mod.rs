//! Solvers for `F(w) = 0` that use no loss: for fixed points `F(w) = w − Φ(w)`, and for gradients.
//!
//! All of them give the iterate of the lowest residual `‖F‖₂` that they met, which need not be the last.

mod anderson;
mod broyden;
mod picard;

pub use anderson::{Anderson, AndersonMemory};
pub use broyden::{Broyden, BroydenMemory};
pub use picard::{Picard, PicardMemory};

use super::{InnerOutcome, InnerStop, Objective, check_tolerance, gradient_tolerance};
use crate::{Error, Float, vector};

/// A residual that has grown so often in a row, and to so many times the lowest one, will not come back.
const N_GROWING: usize = 10;
const GROWTH: f64 = 10.0;
/// Iterations without a visibly lower residual after which a solve ends.
const PATIENCE: usize = 50;

/// The settings that all of these solvers have.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Limits {
    tolerance: Option<f64>,
    max_iterations: usize,
    damping: f64,
}

impl Limits {
    fn check(&self, tolerance: &'static str, damping: &'static str) -> Result<(), Error> {
        check_tolerance(tolerance, self.tolerance)?;
        let value = self.damping;
        if value.is_finite() && value > 0.0 {
            Ok(())
        } else {
            Err(Error::InvalidSetting { setting: damping, value, requirement: "finite and positive" })
        }
    }
}

/// Vectors that every solve needs.
#[derive(Debug, Clone)]
struct Iterates<T> {
    /// `F(w)`
    residual: Vec<T>,
    /// The iterate of the lowest residual.
    best: Vec<T>,
}

impl<T: Float> Iterates<T> {
    fn new(n: usize) -> Self {
        Iterates { residual: vector::zeros(n), best: vector::zeros(n) }
    }
}

/// What an iteration does with an iterate `w` and its residual: replaces `w` by the next one.
trait Iteration<T> {
    fn advance(&mut self, w: &mut [T], residual: &[T]);

    /// Forgets the iterates before, whose differences have led away. Says whether there was anything to forget.
    fn restart(&mut self) -> bool;
}

/// Iterates from `w` until the residual meets the tolerance, and leaves the best iterate in `w`.
fn iterate<T: Float>(
    objective: &mut impl Objective<T>,
    w: &mut [T],
    Iterates { residual, best }: &mut Iterates<T>,
    limits: Limits,
    iteration: &mut impl Iteration<T>,
) -> Result<InnerOutcome, Error> {
    let tolerance = gradient_tolerance(limits.tolerance);
    let (mut best_norm, mut best_value) = (T::infinity(), T::infinity());
    let (mut last_norm, mut n_growing, mut n_without_progress) = (T::infinity(), 0, 0);
    let mut step = 0;
    let (mut n_evaluations, mut n_restarts) = (0, 0);
    let stop = loop {
        let value = objective.value_and_grad(w, residual);
        n_evaluations += 1;
        let norm = vector::norm(residual);
        if norm < best_norm {
            let is_visible = norm < T::from_f64(0.99) * best_norm;
            n_without_progress = if is_visible { 0 } else { n_without_progress + 1 };
            (best_norm, best_value) = (norm, value);
            best.copy_from_slice(w);
        } else {
            n_without_progress += 1;
        }
        if norm <= tolerance {
            break InnerStop::Converged;
        }
        n_growing = if norm > last_norm { n_growing + 1 } else { 0 };
        last_norm = norm;
        let has_left = n_growing >= N_GROWING && norm > T::from_f64(GROWTH) * best_norm;
        if has_left || !norm.is_finite() {
            // From the best iterate, without what led away from it; once more only where that has brought progress.
            if step == 0 || n_restarts > step / N_GROWING || !iteration.restart() {
                return Err(if norm.is_finite() {
                    Error::FixedPointDiverged { step, residual: norm.to_f64(), lowest: best_norm.to_f64() }
                } else {
                    Error::NonFinite { quantity: "the residual of the inner condition", step: Some(step), value: norm.to_f64() }
                });
            }
            n_restarts += 1;
            w.copy_from_slice(best);
            (last_norm, n_growing) = (T::infinity(), 0);
            continue;
        }
        if n_without_progress > PATIENCE {
            break InnerStop::NoProgress;
        }
        if step == limits.max_iterations {
            break InnerStop::MaxIterations;
        }
        iteration.advance(w, residual);
        step += 1;
    };
    w.copy_from_slice(best);
    Ok(InnerOutcome { stop, value: best_value.to_f64(), gradient_norm: best_norm.to_f64(), n_iterations: step, n_evaluations })
}
