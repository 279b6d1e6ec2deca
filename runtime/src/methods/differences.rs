//! Central differences of the re-solved problem: the check of every other method.
//!
//! Along a direction `d`, the differences `(Φ(λ + hd) − Φ(λ − hd)) / 2h` of the outer loss at the inner solution, `Φ(λ) = g(w(λ), λ)`, are
//! taken for steps `h` that halve each time and extrapolated to `h = 0` (Richardson's method in Neville's table). As in Ridders' method,
//! the entry of the table that agrees best with its neighbours is the result, and how well it agrees is its uncertainty: the choice does
//! not look at the hypergradient that is checked.

use std::fmt;

use crate::random::SplitMix;
use crate::{Error, Float};

/// Steps per direction; each halves the one before.
const N_STEPS: usize = 4;

/// Settings of a check by central differences.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Differences {
    n_directions: usize,
    step: f64,
    seed: u64,
}

impl Default for Differences {
    fn default() -> Self {
        Differences { n_directions: 4, step: 0.02, seed: 0 }
    }
}

impl Differences {
    /// The number of directions; each costs eight solves of the inner problem. Default: 4. With no more outer variables than that, the
    /// directions are the coordinates; otherwise each moves all variables at once, with random signs.
    pub fn directions(mut self, n_directions: usize) -> Self {
        self.n_directions = n_directions;
        self
    }

    /// The first and largest step, for a variable of size one or more; smaller variables move by that fraction of themselves. Default:
    /// 0.02.
    pub fn step(mut self, step: f64) -> Self {
        self.step = step;
        self
    }

    /// The seed of the random signs. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Compares a hypergradient at `outer` with differences of `value`.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`], and those of `value`.
    pub fn check<T: Float>(&self, outer: &[T], gradient: &[T], mut value: impl FnMut(&[T]) -> Result<T, Error>) -> Result<Check, Error> {
        if self.n_directions == 0 {
            return Err(Error::InvalidSetting { setting: "Differences::directions", value: 0.0, requirement: "at least 1" });
        }
        if !(self.step.is_finite() && self.step > 0.0) {
            return Err(Error::InvalidSetting { setting: "Differences::step", value: self.step, requirement: "finite and positive" });
        }
        let scales = scales(outer);
        let mut signs = SplitMix::new(self.seed);
        let mut directions = Vec::new();
        let mut shifted = outer.to_vec();
        for k in 0..self.n_directions.min(outer.len()) {
            let direction: Vec<f64> = if outer.len() <= self.n_directions {
                scales.iter().enumerate().map(|(i, &scale)| if i == k { scale } else { 0.0 }).collect()
            } else {
                scales.iter().map(|scale| scale * signs.sign()).collect()
            };
            let mut at = |step: f64| {
                for ((shifted, &outer), &direction) in shifted.iter_mut().zip(outer).zip(&direction) {
                    *shifted = outer + T::from_f64(step * direction);
                }
                value(&shifted).map(Float::to_f64)
            };
            let mut differences = Vec::with_capacity(N_STEPS);
            let mut step = self.step;
            for _ in 0..N_STEPS {
                differences.push((step, (at(step)? - at(-step)?) / (2.0 * step)));
                step /= 2.0;
            }
            let (difference, uncertainty) = extrapolate(&differences);
            let hypergradient = gradient.iter().zip(&direction).map(|(&g, d)| Float::to_f64(g) * d).sum();
            directions.push(CheckedDirection { hypergradient, difference, uncertainty, differences });
        }
        let size = directions.iter().fold(0.0_f64, |size, d| size.max(d.difference.abs()).max(d.hypergradient.abs()));
        let error = directions.iter().fold(0.0_f64, |error, d| error.max((d.hypergradient - d.difference).abs()));
        let uncertainty = directions.iter().fold(0.0_f64, |uncertainty, d| uncertainty.max(d.uncertainty));
        let relative = |x: f64| if size > 0.0 { x / size } else { 0.0 };
        Ok(Check { max_relative_error: relative(error), relative_uncertainty: relative(uncertainty), directions })
    }
}

/// A hypergradient compared with central differences.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Check {
    /// The largest difference between the two, divided by the largest derivative, over all directions.
    pub max_relative_error: f64,
    /// The largest uncertainty of the differences themselves, divided by the same. The error is not known better than this.
    pub relative_uncertainty: f64,
    /// Every direction.
    pub directions: Vec<CheckedDirection>,
}

/// The derivative along one direction, from both sides.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CheckedDirection {
    /// The scalar product of the hypergradient with the direction.
    pub hypergradient: f64,
    /// The differences, extrapolated to step zero.
    pub difference: f64,
    /// How far neighbouring extrapolations are apart.
    pub uncertainty: f64,
    /// Each step with its central difference.
    pub differences: Vec<(f64, f64)>,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>22} {:>22} {:>12}  differences by step", "hypergradient", "extrapolated", "uncertainty")?;
        for direction in &self.directions {
            let CheckedDirection { hypergradient, difference, uncertainty, differences } = direction;
            write!(f, "{hypergradient:>22.14e} {difference:>22.14e} {uncertainty:>12.1e} ")?;
            for (step, difference) in differences {
                write!(f, " {step:.1e}: {difference:.10e}")?;
            }
            writeln!(f)?;
        }
        write!(f, "largest relative error {:.1e}, known to within {:.1e}", self.max_relative_error, self.relative_uncertainty)
    }
}

/// How far each variable moves for a step of one: its own size, at most one; a zero moves like the largest of the others.
fn scales<T: Float>(outer: &[T]) -> Vec<f64> {
    let largest = outer.iter().fold(0.0_f64, |largest, &x| largest.max(x.abs().to_f64()));
    let zero = if largest == 0.0 { 1.0 } else { largest };
    outer.iter().map(|&x| if x == T::zero() { zero } else { x.abs().to_f64() }.min(1.0)).collect()
}

/// The limit of differences with errors in even powers of the step, and its uncertainty.
fn extrapolate(differences: &[(f64, f64)]) -> (f64, f64) {
    let mut best = (f64::NAN, f64::INFINITY);
    let mut last_row: Vec<f64> = Vec::new();
    for &(_, difference) in differences {
        let mut row = vec![difference];
        let mut factor = 1.0;
        for (order, &above) in last_row.iter().enumerate() {
            factor *= 4.0;
            let entry = row[order] + (row[order] - above) / (factor - 1.0);
            let uncertainty = (entry - row[order]).abs().max((entry - above).abs());
            if uncertainty < best.1 {
                best = (entry, uncertainty);
            }
            row.push(entry);
        }
        last_row = row;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_gradient_passes_and_a_wrong_one_does_not() {
        let value = |x: &[f64]| Ok(x[0].exp() * x[1].sin());
        let (x, y) = (0.3_f64, 1.1_f64);
        let gradient = [x.exp() * y.sin(), x.exp() * y.cos()];
        let check = Differences::default().check(&[x, y], &gradient, value).unwrap();
        assert!(check.max_relative_error < 1e-12 && check.relative_uncertainty < 1e-10, "{check}");
        let wrong = [gradient[0], gradient[1] * 1.001];
        let check = Differences::default().check(&[x, y], &wrong, value).unwrap();
        assert!(check.max_relative_error > 1e-4, "{check}");
    }

    #[test]
    fn random_directions_see_every_coordinate() {
        let outer: Vec<f64> = (0..50).map(|i| 0.1 * f64::from(i) - 2.0).collect();
        let value = |x: &[f64]| Ok(x.iter().map(|x| x.powi(3)).sum());
        let gradient: Vec<f64> = outer.iter().map(|x| 3.0 * x * x).collect();
        assert!(Differences::default().check(&outer, &gradient, value).unwrap().max_relative_error < 1e-11);
        for i in 0..50 {
            let mut wrong = gradient.clone();
            wrong[i] += 0.1;
            assert!(Differences::default().check(&outer, &wrong, value).unwrap().max_relative_error > 1e-5 || outer[i] == 0.0);
        }
    }
}
