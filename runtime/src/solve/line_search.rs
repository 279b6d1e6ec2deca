//! Line search for the strong Wolfe conditions, that keeps working where rounding hides the decrease.
//!
//! With `φ(α) = f(w + αd)`, a step is accepted when `φ(α) ≤ φ(0) + c₁ α φ'(0)` and `|φ'(α)| ≤ c₂ |φ'(0)|`. Close to a minimum, differences
//! of `φ` drown in rounding long before its slope does; where they have, the first condition is replaced by `φ'(α) ≤ (2c₁ − 1) φ'(0)`,
//! which is the same on a parabola (the approximate Wolfe condition of Hager and Zhang).
//!
//! The search keeps an interval whose lower end satisfies the first condition and descends towards the other end. Until there is another
//! end the step grows; a function that still descends at [`unreachable_norm`](super::unreachable_norm) is unbounded below. Trial points are
//! minimisers of the cubic through both ends, kept away from the ends.

use super::{Objective, noise, unreachable_norm};
use crate::{Float, vector};

const SUFFICIENT_DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;
const MAX_TRIALS: usize = 40;

/// One point on the line: the step, the value and the slope there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point<T> {
    pub(super) step: T,
    pub(super) value: T,
    pub(super) slope: T,
}

/// How a search ended.
pub(super) enum Search<T> {
    /// `trial` and `gradient` hold an accepted point.
    Found(Point<T>),
    /// The function descends without end.
    Unbounded(Point<T>),
    /// No step decreases the function. With the last value that was not finite, if there was one, else the value at the start.
    Failed(T),
}

/// The line and where its points are evaluated.
pub(super) struct Line<'a, T> {
    /// `w`
    pub(super) start: &'a [T],
    /// `d`
    pub(super) direction: &'a [T],
    /// `f(w)`
    pub(super) value: T,
    /// `dᵀ∇f(w)`, which is negative.
    pub(super) slope: T,
    /// Filled with the point tried last.
    pub(super) trial: &'a mut [T],
    /// Filled with the gradient there.
    pub(super) gradient: &'a mut [T],
}

/// Searches from the step `first`. Adds the evaluations made to `n_evaluations`.
pub(super) fn search<T: Float>(objective: &mut impl Objective<T>, mut line: Line<'_, T>, first: T, n_evaluations: &mut usize) -> Search<T> {
    let zero = Point { step: T::zero(), value: line.value, slope: line.slope };
    let direction_norm = vector::norm(line.direction);
    let longest = unreachable_norm(vector::norm(line.start)) / direction_norm;
    let rounding = noise::<T>() * line.value.abs();

    let mut low = zero;
    let mut high: Option<Point<T>> = None;
    let mut step = first.min(longest);
    let mut last = zero;
    let mut barrier = zero.value;
    for trial in 0..MAX_TRIALS {
        last = line.evaluate(objective, step);
        *n_evaluations += 1;
        if last.value == T::neg_infinity() {
            return Search::Unbounded(last);
        }
        if !last.value.is_finite() {
            barrier = last.value;
        }
        let bound = if !decreases_enough(last, zero, rounding) || last.value > low.value + rounding {
            last
        } else if last.slope.abs() <= T::from_f64(CURVATURE) * zero.slope.abs() {
            return Search::Found(last);
        } else {
            // The minimum lies on the side to which the slope descends.
            let previous = std::mem::replace(&mut low, last);
            let descends_forward = last.slope < T::zero();
            match high {
                Some(high) if descends_forward == (high.step > last.step) => high,
                None if descends_forward => {
                    if step >= longest {
                        return Search::Unbounded(last);
                    }
                    step = grow(previous, last).min(longest);
                    continue;
                }
                Some(_) | None => previous,
            }
        };
        high = Some(bound);
        // Every third trial halves the interval, so that it shrinks whatever the function.
        step = if trial % 3 == 2 { (low.step + bound.step) / T::from_f64(2.0) } else { interpolate(low, bound, rounding) };
        // An interval of rounding width holds no other point.
        if step == low.step || step == bound.step {
            break;
        }
    }
    // The best step found may still be good enough to go on from.
    if low.value >= zero.value && low.slope.abs() >= zero.slope.abs() {
        return Search::Failed(barrier);
    }
    if low.step != last.step {
        low = line.evaluate(objective, low.step);
        *n_evaluations += 1;
    }
    Search::Found(low)
}

impl<T: Float> Line<'_, T> {
    fn evaluate(&mut self, objective: &mut impl Objective<T>, step: T) -> Point<T> {
        vector::add_scaled(self.start, step, self.direction, self.trial);
        let value = objective.value_and_grad(self.trial, self.gradient);
        Point { step, value, slope: vector::dot(self.direction, self.gradient) }
    }
}

/// The first Wolfe condition, or its replacement within `rounding`. False for values and slopes that are not finite.
fn decreases_enough<T: Float>(point: Point<T>, zero: Point<T>, rounding: T) -> bool {
    let c = T::from_f64(SUFFICIENT_DECREASE);
    let wolfe = point.value <= zero.value + c * point.step * zero.slope;
    let approximate = point.value <= zero.value + rounding && point.slope <= (c + c - T::one()) * zero.slope;
    (wolfe || approximate) && point.slope.is_finite()
}

/// A longer step: to where the slope vanishes by extrapolation, and between 1.5 and 10 times as long.
fn grow<T: Float>(previous: Point<T>, last: Point<T>) -> T {
    let secant = last.step - last.slope * (last.step - previous.step) / (last.slope - previous.slope);
    let longest = T::from_f64(10.0) * last.step;
    if secant > last.step { secant.max(T::from_f64(1.5) * last.step).min(longest) } else { longest }
}

/// A point between the ends: the minimiser of the cubic through their values and slopes or, where rounding blurs the values, of the
/// parabola through their slopes.
fn interpolate<T: Float>(low: Point<T>, high: Point<T>, rounding: T) -> T {
    let width = high.step - low.step;
    // Beyond an end that is not finite nothing is known: come back quickly.
    if !high.value.is_finite() || !high.slope.is_finite() {
        return low.step + T::from_f64(0.1) * width;
    }
    let difference = high.value - low.value;
    let fraction = if difference.abs() <= rounding {
        low.slope / (low.slope - high.slope)
    } else {
        let mean = low.slope + high.slope - T::from_f64(3.0) * difference / width;
        let root = (mean * mean - low.slope * high.slope).sqrt() * width.signum();
        T::one() - (high.slope + root - mean) / (high.slope - low.slope + root + root)
    };
    let margin = T::from_f64(0.1);
    let fraction = if fraction.is_finite() { fraction.max(margin).min(T::one() - margin) } else { T::from_f64(0.5) };
    low.step + fraction * width
}
