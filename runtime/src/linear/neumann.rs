//! The Neumann series `H⁻¹ ≈ α Σₖ (I − αH)ᵏ`, cut short.

use super::krylov::{default_max_iterations, default_tolerance};
use super::{
    CgMemory, Effort, Gmres, GmresCycle, KrylovMemory, LinearOutcome, LinearSolver, LinearStop, Operator, Seen, bytes_of, check_tolerance,
    truncated_cg, unit_rhs,
};
use crate::{Error, Float, vector};

/// Products with which the largest curvature is found, for a step that the user has not set.
const N_POWER_ITERATIONS: usize = 10;
/// How often a step of our own choice is halved.
const MAX_HALVINGS: usize = 10;

/// The Neumann series: with `v₀ = b` and `vₖ₊₁ = vₖ − α H vₖ`, the solution is `α (v₀ + … + v_K)`.
///
/// `K` terms beyond the first cost `K` products, and one more for the true residual, which in exact arithmetic is `v_{K+1}`. They are what `K + 1` steps
/// of gradient descent of size `α` from the solution give when they are differentiated. The series converges for `0 < α < 2/L` with the largest
/// eigenvalue `L`, by the factor `1 − αμ` a term, and a finite `K` acts like damping by about `1/(αK)`. With no terms it is the first one alone, `αb`.
///
/// On a singular operator the series acts as the pseudo-inverse on the range, and what `b` has outside of it grows as `α (K + 1)`. Terms that grow three
/// times running, and a direction of negative curvature, end the solve.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[must_use]
pub struct Neumann {
    terms: Option<usize>,
    step: Option<f64>,
    tolerance: Option<f64>,
}

/// Vectors of a solve by [`Neumann`].
#[derive(Debug, Clone)]
pub struct NeumannMemory<T> {
    rhs: Vec<T>,
    term: Vec<T>,
    product: Vec<T>,
    /// Of corrections, for symmetric operators and for others; made when the first is asked for.
    cg: Option<CgMemory<T>>,
    gmres: Option<KrylovMemory<T, GmresCycle<T>>>,
}

impl Neumann {
    /// The first term alone, `αb`, with `α` of one until [`step`](Self::step) says otherwise.
    pub fn one_step() -> Self {
        Neumann { terms: Some(0), step: Some(1.0), tolerance: None }
    }

    /// The number `K` of terms beyond the first. Default: as many as reach the tolerance, at most ten times the number of unknowns and at least 1000.
    pub fn terms(mut self, terms: usize) -> Self {
        self.terms = Some(terms);
        self
    }

    /// The step size `α`, for example the learning rate of the inner solver. Default: the reciprocal of the largest curvature, found by ten products more,
    /// and halved where the terms grow nevertheless.
    pub fn step(mut self, step: f64) -> Self {
        self.step = Some(step);
        self
    }

    /// The relative residual at which the series ends, where no number of terms is set. Default: the machine epsilon to the power ⅔.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = Some(tolerance);
        self
    }
}

impl<T: Float> NeumannMemory<T> {
    /// The sum of the terms, not yet times the step.
    fn series(
        &mut self,
        operator: &mut impl Operator<T>,
        sum: &mut [T],
        step: T,
        terms: Option<usize>,
        tolerance: T,
        seen: &mut Seen<T>,
    ) -> LinearStop {
        let max_terms = terms.unwrap_or_else(|| default_max_iterations(sum.len()));
        let NeumannMemory { rhs, term, product, .. } = self;
        term.copy_from_slice(rhs);
        sum.copy_from_slice(rhs);
        let mut norm = vector::norm(term);
        let mut n_growing = 0;
        seen.n_iterations = 0;
        while seen.n_iterations < max_terms {
            if terms.is_none() && norm <= tolerance {
                return LinearStop::Converged;
            }
            if norm == T::zero() {
                return LinearStop::Converged;
            }
            operator.apply(term, product);
            // The terms become small; their curvature is that of their direction.
            let curvature = vector::dot(term, product) / norm / norm;
            if !seen.curvature(curvature) {
                return LinearStop::NonFinite;
            }
            // Of an operator that is not symmetric it says nothing on the eigenvalues.
            if operator.is_symmetric() && curvature < -seen.rounding() {
                return LinearStop::NegativeCurvature;
            }
            vector::axpy(-step, product, term);
            let new_norm = vector::norm(term);
            n_growing = if new_norm > norm { n_growing + 1 } else { 0 };
            if n_growing == 3 {
                return LinearStop::Diverged;
            }
            norm = new_norm;
            vector::axpy(T::one(), term, sum);
            seen.n_iterations += 1;
        }
        if terms.is_some() { LinearStop::Truncated } else { LinearStop::MaxIterations }
    }

    /// About the largest eigenvalue, by power iteration from the right-hand side.
    fn largest_curvature(&mut self, operator: &mut impl Operator<T>, seen: &mut Seen<T>) -> T {
        self.term.copy_from_slice(&self.rhs);
        for _ in 0..N_POWER_ITERATIONS {
            operator.apply(&self.term, &mut self.product);
            let (curvature, norm) = (vector::dot(&self.term, &self.product), vector::norm(&self.product));
            if !seen.curvature(curvature) || norm == T::zero() {
                break;
            }
            vector::divide(&self.product, norm, &mut self.term);
        }
        seen.scale()
    }
}

impl<T: Float> LinearSolver<T> for Neumann {
    type Memory = NeumannMemory<T>;

    fn memory(&self, n: usize) -> Result<NeumannMemory<T>, Error> {
        check_tolerance("Neumann::tolerance", self.tolerance)?;
        if let Some(value) = self.step.filter(|step| !(step.is_finite() && *step > 0.0)) {
            return Err(Error::InvalidSetting { setting: "Neumann::step", value, requirement: "finite and positive" });
        }
        Ok(NeumannMemory { rhs: vector::zeros(n), term: vector::zeros(n), product: vector::zeros(n), cg: None, gmres: None })
    }

    fn solve(&self, operator: &mut impl Operator<T>, b: &[T], unit_solution: &mut [T], memory: &mut NeumannMemory<T>) -> LinearOutcome {
        let rhs_norm = match unit_rhs(b, &mut memory.rhs, unit_solution) {
            Ok(norm) => norm,
            Err(outcome) => return outcome,
        };
        let mut seen = Seen::new();
        let tolerance = self.tolerance.map_or_else(default_tolerance, T::from_f64);
        let mut step = match self.step {
            Some(step) => T::from_f64(step),
            None if operator.is_symmetric() => memory.largest_curvature(operator, &mut seen).recip(),
            None => T::one(),
        };
        let mut stop = LinearStop::NonFinite;
        for _ in 0..=MAX_HALVINGS {
            if !(step.is_finite() && step > T::zero()) {
                // The operator is zero along the right-hand side, or not finite.
                stop = if seen.scale() == T::zero() { LinearStop::NegativeCurvature } else { LinearStop::NonFinite };
                break;
            }
            stop = memory.series(operator, unit_solution, step, self.terms, tolerance, &mut seen);
            if self.step.is_some() || stop != LinearStop::Diverged {
                break;
            }
            step /= T::from_f64(2.0);
        }
        vector::scale(step, unit_solution);
        seen.series_step = Some(step);
        operator.apply_to_solution(unit_solution, &mut memory.product);
        vector::add_scaled(&memory.rhs, -T::one(), &memory.product, &mut memory.term);
        let residual = vector::norm(&memory.term);
        let stop = if residual.is_finite() { stop } else { LinearStop::NonFinite };
        seen.outcome(stop, rhs_norm, residual)
    }

    fn correct(
        &self,
        operator: &mut impl Operator<T>,
        b: &[T],
        unit_solution: &mut [T],
        memory: &mut NeumannMemory<T>,
        effort: Effort<T>,
    ) -> LinearStop {
        if operator.is_symmetric() {
            let cg = memory.cg.get_or_insert_with(|| CgMemory::new(b.len()));
            return truncated_cg(operator, b, unit_solution, cg, effort);
        }
        let gmres = Gmres::default();
        if memory.gmres.is_none() {
            // The default settings are in order.
            memory.gmres = LinearSolver::<T>::memory(&gmres, b.len()).ok();
        }
        match &mut memory.gmres {
            Some(memory) => gmres.correct(operator, b, unit_solution, memory, effort),
            None => LinearStop::Stagnated,
        }
    }

    fn at_tolerance(&self, tolerance: f64) -> Self {
        self.tolerance(tolerance)
    }

    fn bytes(memory: &NeumannMemory<T>) -> usize {
        let corrections = memory.cg.as_ref().map_or(0, <super::Cg as LinearSolver<T>>::bytes)
            + memory.gmres.as_ref().map_or(0, <Gmres as LinearSolver<T>>::bytes);
        bytes_of(&[&memory.rhs, &memory.term, &memory.product]) + corrections
    }
}
