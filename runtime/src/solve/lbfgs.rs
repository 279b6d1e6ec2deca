//! Limited-memory BFGS.

use super::{InnerOutcome, InnerSolver, InnerStop, Objective, Watch, check_tolerance, gradient_tolerance, line_search};
use crate::{Error, Float, vector};
use line_search::{Line, Search};

/// Limited-memory BFGS with a line search for the strong Wolfe conditions: the inner solver for most problems.
///
/// One evaluation of the gradient in most iterations, `2m + 4` vectors of memory.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Lbfgs {
    tolerance: Option<f64>,
    max_iterations: usize,
    memory: usize,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Lbfgs { tolerance: None, max_iterations: 10_000, memory: 10 }
    }
}

/// Vectors of a solve by [`Lbfgs`].
#[derive(Debug, Clone)]
pub struct LbfgsMemory<T> {
    gradient: Vec<T>,
    direction: Vec<T>,
    trial: Vec<T>,
    trial_gradient: Vec<T>,
    history: History<T>,
}

impl Lbfgs {
    /// The norm `‖∇f‖₂` to reach. Default: the square root of the machine epsilon, 1.5·10⁻⁸ in `f64` and 3.5·10⁻⁴ in `f32`.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// The most iterations. Default: 10 000.
    pub fn max_iterations(mut self, max_iterations: usize) -> Self {
        self.max_iterations = max_iterations;
        self
    }

    /// The number `m` of past steps that model the curvature. Default: 10.
    pub fn memory(mut self, n_steps: usize) -> Self {
        self.memory = n_steps;
        self
    }
}

impl Lbfgs {
    pub(super) fn history<T: Float>(&self, n: usize) -> Result<History<T>, Error> {
        check_tolerance("Lbfgs::tolerance", self.tolerance)?;
        if self.memory == 0 {
            return Err(Error::InvalidSetting { setting: "Lbfgs::memory", value: 0.0, requirement: "at least 1" });
        }
        Ok(History::new(self.memory, n))
    }
}

impl<T: Float> InnerSolver<T> for Lbfgs {
    type Memory = LbfgsMemory<T>;

    fn memory(&self, n: usize) -> Result<LbfgsMemory<T>, Error> {
        Ok(LbfgsMemory {
            gradient: vector::zeros(n),
            direction: vector::zeros(n),
            trial: vector::zeros(n),
            trial_gradient: vector::zeros(n),
            history: self.history(n)?,
        })
    }

    fn at_tolerance(&self, tolerance: f64) -> Self {
        self.tolerance(tolerance)
    }

    fn limited(&self, max_iterations: usize) -> Self {
        self.max_iterations(max_iterations)
    }

    fn minimize(&self, objective: &mut impl Objective<T>, w: &mut [T], memory: &mut LbfgsMemory<T>) -> Result<InnerOutcome, Error> {
        let LbfgsMemory { gradient, direction, trial, trial_gradient, history } = memory;
        history.clear();
        let mut value = objective.value_and_grad(w, gradient);
        let tolerance = gradient_tolerance(self.tolerance);
        let mut watch = Watch::new(tolerance, self.max_iterations, 200, w, value, gradient)?;
        loop {
            let gradient_norm = vector::norm(gradient);
            if let Some(outcome) = watch.end(w, value, gradient_norm)? {
                return Ok(outcome);
            }
            history.descent_direction(gradient, direction);
            let mut slope = vector::dot(gradient, direction);
            // Rounding can spoil the model of the curvature: start it anew.
            if !(slope < T::zero() && slope.is_finite()) {
                history.clear();
                history.descent_direction(gradient, direction);
                slope = -gradient_norm * gradient_norm;
            }
            // Without a model the gradient says nothing about the length of the step.
            let first = if history.is_empty() { T::one().min(gradient_norm.recip()) } else { T::one() };
            let line = Line { start: w, direction, value, slope, trial, gradient: trial_gradient };
            match line_search::search(objective, line, first, &mut watch.n_evaluations) {
                Search::Found(point) => {
                    history.push(w, trial, gradient, trial_gradient);
                    w.copy_from_slice(trial);
                    std::mem::swap(gradient, trial_gradient);
                    value = point.value;
                    watch.n_iterations += 1;
                }
                Search::Unbounded(point) => return Err(watch.unbounded(point.value, vector::norm(trial))),
                Search::Failed(_) if !history.is_empty() => history.clear(),
                Search::Failed(last_value) => {
                    watch.check_finite(last_value, gradient_norm)?;
                    return Ok(watch.outcome(InnerStop::NoProgress, value, gradient_norm));
                }
            }
        }
    }
}

/// The last steps `s = w⁺ − w` with the changes `y = ∇f⁺ − ∇f` of the gradient, in rings.
#[derive(Debug, Clone)]
pub(super) struct History<T> {
    n: usize,
    steps: Vec<T>,
    changes: Vec<T>,
    /// `1 / yᵀs` of each pair.
    rho: Vec<T>,
    /// Scratch of the two loops.
    alpha: Vec<T>,
    n_pairs: usize,
    /// Where the next pair goes.
    next: usize,
    /// `yᵀs / yᵀy` of the last pair: the scale of the inverse Hessian.
    scale: T,
}

impl<T: Float> History<T> {
    fn new(capacity: usize, n: usize) -> Self {
        History {
            n,
            steps: vector::zeros(capacity * n),
            changes: vector::zeros(capacity * n),
            rho: vector::zeros(capacity),
            alpha: vector::zeros(capacity),
            n_pairs: 0,
            next: 0,
            scale: T::one(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.n_pairs = 0;
        self.next = 0;
        self.scale = T::one();
    }

    fn is_empty(&self) -> bool {
        self.n_pairs == 0
    }

    /// Adds all numbers to a list.
    pub(super) fn save(&self, out: &mut Vec<f64>) {
        out.extend([self.n_pairs as f64, self.next as f64, self.scale.to_f64()]);
        out.extend([&self.steps, &self.changes, &self.rho].into_iter().flatten().map(|&x| Float::to_f64(x)));
    }

    /// Takes all numbers from a list, if they are as many.
    pub(super) fn restore(&mut self, saved: &[f64]) -> bool {
        if saved.len() != 3 + self.steps.len() + self.changes.len() + self.rho.len() {
            return false;
        }
        (self.n_pairs, self.next, self.scale) = (saved[0] as usize, saved[1] as usize, T::from_f64(saved[2]));
        let places = [&mut self.steps, &mut self.changes, &mut self.rho].into_iter().flatten();
        for (x, &s) in places.zip(&saved[3..]) {
            *x = T::from_f64(s);
        }
        true
    }

    /// Where the `age`-th last pair is.
    fn slot(&self, age: usize) -> usize {
        let capacity = self.rho.len();
        (self.next + capacity - 1 - age) % capacity
    }

    /// Keeps a pair, unless rounding left no positive curvature in it.
    pub(super) fn push(&mut self, w: &[T], new_w: &[T], gradient: &[T], new_gradient: &[T]) {
        let place = self.next * self.n..(self.next + 1) * self.n;
        let (step, change) = (&mut self.steps[place.clone()], &mut self.changes[place]);
        vector::add_scaled(new_w, -T::one(), w, step);
        vector::add_scaled(new_gradient, -T::one(), gradient, change);
        let (along, square) = (vector::dot(step, change), vector::dot(change, change));
        if !(along > T::EPSILON * square && along.recip().is_finite()) {
            return;
        }
        self.rho[self.next] = along.recip();
        self.scale = along / square;
        self.next = (self.next + 1) % self.rho.len();
        self.n_pairs = (self.n_pairs + 1).min(self.rho.len());
    }

    /// `direction ← −B ∇f` for the inverse Hessian `B` that the pairs model, by the two loops.
    pub(super) fn descent_direction(&mut self, gradient: &[T], direction: &mut [T]) {
        for (direction, &gradient) in direction.iter_mut().zip(gradient) {
            *direction = -gradient;
        }
        for age in 0..self.n_pairs {
            let slot = self.slot(age);
            let place = slot * self.n..(slot + 1) * self.n;
            let alpha = self.rho[slot] * vector::dot(&self.steps[place.clone()], direction);
            self.alpha[slot] = alpha;
            vector::axpy(-alpha, &self.changes[place], direction);
        }
        vector::scale(self.scale, direction);
        for age in (0..self.n_pairs).rev() {
            let slot = self.slot(age);
            let place = slot * self.n..(slot + 1) * self.n;
            let beta = self.rho[slot] * vector::dot(&self.changes[place.clone()], direction);
            vector::axpy(self.alpha[slot] - beta, &self.steps[place], direction);
        }
    }
}
