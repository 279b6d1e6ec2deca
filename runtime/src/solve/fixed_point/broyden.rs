//! Broyden's method with a limited memory.

use super::{Iterates, Iteration, Limits, iterate};
use crate::solve::{InnerOutcome, InnerSolver, Objective};
use crate::{Error, Float, vector};

/// Broyden's method: `w ← w − B F(w)`, with an approximation `B` of the inverse of `F_w` that starts as `τ I`.
///
/// Each step `s`, which changed the residual by `y`, adds the rank-one term that makes `B y = s` and changes `B` least (the first, or good, method): `B ← B + (s − B y) sᵀB / sᵀB y`. After as many
/// terms as the memory holds it starts anew from `τ I`. It needs no contraction.
///
/// One evaluation of `F` an iteration; `2 m + 6` vectors of memory. Broyden, *A class of methods for solving nonlinear simultaneous equations* (1965).
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Broyden {
    limits: Limits,
    memory: usize,
}

/// Vectors of a solve by [`Broyden`].
#[derive(Debug, Clone)]
pub struct BroydenMemory<T> {
    iterates: Iterates<T>,
    inverse: Inverse<T>,
}

impl Default for Broyden {
    fn default() -> Self {
        Broyden { limits: Limits { tolerance: None, max_iterations: 1000, damping: 1.0 }, memory: 30 }
    }
}

impl Broyden {
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

    /// The number `m` of rank-one terms that are kept. Default: 30.
    pub fn memory(mut self, memory: usize) -> Self {
        self.memory = memory;
        self
    }

    /// The factor `τ` of the first step. Default: 1.
    pub fn damping(mut self, damping: f64) -> Self {
        self.limits.damping = damping;
        self
    }
}

/// `B = τ I + Σ uᵢ vᵢᵀ`, and the last step and residual.
#[derive(Debug, Clone)]
struct Inverse<T> {
    n: usize,
    scale: T,
    n_terms: usize,
    columns: Vec<T>,
    rows: Vec<T>,
    /// The step that led to the iterate, as long as it has one, and the residual before it.
    step: Vec<T>,
    has_step: bool,
    last_residual: Vec<T>,
    change: Vec<T>,
    product: Vec<T>,
}

impl<T: Float> Inverse<T> {
    fn new(n: usize, memory: usize) -> Self {
        Inverse {
            n,
            scale: T::one(),
            n_terms: 0,
            columns: vector::zeros(n * memory),
            rows: vector::zeros(n * memory),
            step: vector::zeros(n),
            has_step: false,
            last_residual: vector::zeros(n),
            change: vector::zeros(n),
            product: vector::zeros(n),
        }
    }

    fn forget(&mut self) {
        (self.n_terms, self.has_step) = (0, false);
    }

    /// Learns from the last step.
    fn learn(&mut self, residual: &[T]) {
        let n = self.n;
        if self.n_terms * n == self.columns.len() {
            self.n_terms = 0;
        }
        vector::add_scaled(residual, -T::one(), &self.last_residual, &mut self.change);
        apply([&self.columns, &self.rows], (self.scale, self.n_terms), &self.change, &mut self.product);
        // `Bᵀ s`
        let at = self.n_terms * n;
        let (rows, row) = self.rows.split_at_mut(at);
        apply([rows, &self.columns], (self.scale, self.n_terms), &self.step, &mut row[..n]);
        let along = vector::dot(&self.step, &self.product);
        let size = vector::norm(&self.step) * vector::norm(&self.product);
        // Without a part along the step the term would be all rounding.
        if along.abs() <= T::EPSILON.sqrt() * size || !along.is_finite() {
            return;
        }
        let column = &mut self.columns[at..at + n];
        for ((column, &step), &product) in column.iter_mut().zip(&self.step).zip(&self.product) {
            *column = (step - product) / along;
        }
        self.n_terms += 1;
    }
}

/// `out ← scale x + Σ uᵢ (vᵢᵀ x)`
fn apply<T: Float>([columns, rows]: [&[T]; 2], (scale, n_terms): (T, usize), x: &[T], out: &mut [T]) {
    let n = x.len();
    for (out, &x) in out.iter_mut().zip(x) {
        *out = scale * x;
    }
    for (column, row) in columns.chunks_exact(n).zip(rows.chunks_exact(n)).take(n_terms) {
        vector::axpy(vector::dot(row, x), column, out);
    }
}

impl<T: Float> Iteration<T> for Inverse<T> {
    fn advance(&mut self, w: &mut [T], residual: &[T]) {
        if self.has_step {
            self.learn(residual);
        }
        self.last_residual.copy_from_slice(residual);
        apply([&self.columns, &self.rows], (self.scale, self.n_terms), residual, &mut self.step);
        vector::scale(-T::one(), &mut self.step);
        vector::axpy(T::one(), &self.step, w);
        self.has_step = true;
    }

    fn restart(&mut self) -> bool {
        let any = self.n_terms > 0;
        self.forget();
        any
    }
}

impl<T: Float> InnerSolver<T> for Broyden {
    type Memory = BroydenMemory<T>;

    fn memory(&self, n: usize) -> Result<BroydenMemory<T>, Error> {
        self.limits.check("Broyden::tolerance", "Broyden::damping")?;
        if self.memory == 0 {
            return Err(Error::InvalidSetting { setting: "Broyden::memory", value: 0.0, requirement: "at least 1" });
        }
        Ok(BroydenMemory { iterates: Iterates::new(n), inverse: Inverse::new(n, self.memory) })
    }

    fn minimize(&self, objective: &mut impl Objective<T>, w: &mut [T], memory: &mut BroydenMemory<T>) -> Result<InnerOutcome, Error> {
        let BroydenMemory { iterates, inverse } = memory;
        inverse.forget();
        inverse.scale = T::from_f64(self.limits.damping);
        iterate(objective, w, iterates, self.limits, inverse)
    }

    fn at_tolerance(&self, tolerance: f64) -> Self {
        self.tolerance(tolerance)
    }

    fn limited(&self, max_iterations: usize) -> Self {
        self.max_iterations(max_iterations)
    }
}
