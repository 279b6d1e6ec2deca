//! Anderson's acceleration.

use super::{Iterates, Iteration, Limits, iterate};
use crate::linear::dense;
use crate::solve::{InnerOutcome, InnerSolver, Objective};
use crate::{Error, Float, vector};

/// Anderson's acceleration of `w ← w − τ F(w)`.
///
/// The next iterate is the plain step from the combination of the last iterates, with weights that sum to one, whose residuals combine to the least norm:
/// `γ = argmin ‖F − ΔF γ‖² + reg ‖γ‖²` over the differences of the last `m` pairs, each of length one, and `w⁺ = (w − ΔW γ) − τ (F − ΔF γ)`. On a linear `F` it is as fast as
/// [`Gmres`](crate::linear::Gmres), so that it needs no contraction.
///
/// One evaluation of `F` an iteration; `2 m + 5` vectors of memory. Anderson, *Iterative procedures for nonlinear integral equations* (1965).
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Anderson {
    limits: Limits,
    memory: usize,
    regularization: f64,
}

/// Vectors of a solve by [`Anderson`].
#[derive(Debug, Clone)]
pub struct AndersonMemory<T> {
    iterates: Iterates<T>,
    history: History<T>,
}

impl Default for Anderson {
    fn default() -> Self {
        let limits = Limits { tolerance: None, max_iterations: 1000, damping: 1.0 };
        Anderson { limits, memory: 6, regularization: 1e-10 }
    }
}

impl Anderson {
    /// The norm `‖F‖₂` to reach. Default: the square root of the machine epsilon, 1.5·10⁻⁸ in `f64` and 3.5·10⁻⁴ in `f32`.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.limits.tolerance = Some(tolerance);
        self
    }

    /// The most iterations. Default: 1000.
    pub fn max_iterations(mut self, max_iterations: usize) -> Self {
        self.limits.max_iterations = max_iterations;
        self
    }

    /// The number `m` of earlier iterates that are combined. Default: 6.
    pub fn memory(mut self, memory: usize) -> Self {
        self.memory = memory;
        self
    }

    /// The factor `τ` of each step. Default: 1.
    pub fn damping(mut self, damping: f64) -> Self {
        self.limits.damping = damping;
        self
    }

    /// `reg`, for differences of length one, so that it vanishes with the residual and has no influence on the solution; larger values combine more cautiously. Default:
    /// 10⁻¹⁰, in `f32` at least 10⁻⁶.
    pub fn regularization(mut self, regularization: f64) -> Self {
        self.regularization = regularization;
        self
    }
}

/// The last differences of iterates and residuals.
#[derive(Debug, Clone)]
struct History<T> {
    n: usize,
    memory: usize,
    /// Differences, one after the other, the oldest of which is replaced.
    steps: Vec<T>,
    changes: Vec<T>,
    n_kept: usize,
    next: usize,
    /// Whether there is a last iterate, it, and its residual.
    has_last: bool,
    last_iterate: Vec<T>,
    last_residual: Vec<T>,
    combined: Vec<T>,
    products: Vec<T>,
    exchanges: Vec<usize>,
    weights: Vec<T>,
}

impl<T: Float> History<T> {
    fn new(n: usize, memory: usize) -> Self {
        History {
            n,
            memory,
            steps: vector::zeros(n * memory),
            changes: vector::zeros(n * memory),
            n_kept: 0,
            next: 0,
            has_last: false,
            last_iterate: vector::zeros(n),
            last_residual: vector::zeros(n),
            combined: vector::zeros(n),
            products: vector::zeros(memory * memory),
            exchanges: vec![0; memory],
            weights: vector::zeros(memory),
        }
    }

    fn forget(&mut self) {
        (self.n_kept, self.next, self.has_last) = (0, 0, false);
    }

    /// Keeps the differences to the last iterate, of length one in the residual.
    fn keep(&mut self, w: &[T], residual: &[T]) {
        if std::mem::replace(&mut self.has_last, true) {
            let at = self.next * self.n..(self.next + 1) * self.n;
            let (step, change) = (&mut self.steps[at.clone()], &mut self.changes[at]);
            vector::add_scaled(w, -T::one(), &self.last_iterate, step);
            vector::add_scaled(residual, -T::one(), &self.last_residual, change);
            let scale = vector::norm(change).recip();
            if scale.is_finite() && scale > T::zero() {
                vector::scale(scale, step);
                vector::scale(scale, change);
                self.next = (self.next + 1) % self.memory;
                self.n_kept = (self.n_kept + 1).min(self.memory);
            }
        }
        self.last_iterate.copy_from_slice(w);
        self.last_residual.copy_from_slice(residual);
    }

    /// The weights of the differences that leave least of the residual.
    fn combine(&mut self, residual: &[T], regularization: T) {
        let (n, k) = (self.n, self.n_kept);
        let change = |i: usize| &self.changes[i * n..(i + 1) * n];
        for i in 0..k {
            self.weights[i] = vector::dot(change(i), residual);
            for j in 0..=i {
                let product = vector::dot(change(i), change(j));
                (self.products[i * k + j], self.products[j * k + i]) = (product, product);
            }
            self.products[i * (k + 1)] += regularization;
        }
        let (products, exchanges, weights) = (&mut self.products[..k * k], &mut self.exchanges[..k], &mut self.weights[..k]);
        if dense::factor(products, exchanges, k) {
            dense::solve(products, exchanges, weights);
        } else {
            weights.fill(T::zero());
        }
    }
}

/// The step.
struct Accelerated<'a, T> {
    history: &'a mut History<T>,
    damping: T,
    regularization: T,
}

impl<T: Float> Iteration<T> for Accelerated<'_, T> {
    fn advance(&mut self, w: &mut [T], residual: &[T]) {
        let Accelerated { history, damping, regularization } = self;
        history.keep(w, residual);
        history.combine(residual, *regularization);
        let History { n, steps, changes, combined, weights, n_kept, .. } = &mut **history;
        combined.copy_from_slice(residual);
        for ((&weight, step), change) in weights.iter().zip(steps.chunks_exact(*n)).zip(changes.chunks_exact(*n)).take(*n_kept) {
            vector::axpy(-weight, step, w);
            vector::axpy(-weight, change, combined);
        }
        vector::axpy(-*damping, combined, w);
    }

    fn restart(&mut self) -> bool {
        let any = self.history.n_kept > 0;
        self.history.forget();
        any
    }
}

impl<T: Float> InnerSolver<T> for Anderson {
    type Memory = AndersonMemory<T>;

    fn memory(&self, n: usize) -> Result<AndersonMemory<T>, Error> {
        self.limits.check("Anderson::tolerance", "Anderson::damping")?;
        if self.memory == 0 {
            return Err(Error::InvalidSetting { setting: "Anderson::memory", value: 0.0, requirement: "at least 1" });
        }
        let value = self.regularization;
        if !(value.is_finite() && value >= 0.0) {
            return Err(Error::InvalidSetting { setting: "Anderson::regularization", value, requirement: "finite and not negative" });
        }
        // More differences than unknowns depend on each other.
        Ok(AndersonMemory { iterates: Iterates::new(n), history: History::new(n, self.memory.min(n.max(1))) })
    }

    fn minimize(&self, objective: &mut impl Objective<T>, w: &mut [T], memory: &mut AndersonMemory<T>) -> Result<InnerOutcome, Error> {
        let AndersonMemory { iterates, history } = memory;
        history.forget();
        let least = T::from_f64(8.0) * T::EPSILON;
        let regularization = T::from_f64(self.regularization).max(least);
        let mut iteration = Accelerated { history, damping: T::from_f64(self.limits.damping), regularization };
        iterate(objective, w, iterates, self.limits, &mut iteration)
    }

    fn at_tolerance(&self, tolerance: f64) -> Self {
        self.tolerance(tolerance)
    }

    fn limited(&self, max_iterations: usize) -> Self {
        self.max_iterations(max_iterations)
    }
}
