//! Factorisation of the whole matrix, assembled from products.

use super::krylov::default_tolerance;
use super::{Effort, LinearOutcome, LinearSolver, LinearStop, Operator, Seen, bytes_of, unit_rhs};
use crate::kernels::{Real, Triangle};
use crate::random::SplitMix;
use crate::{Error, Float, vector};

/// Steps of inverse iteration towards the smallest eigenvalue, and of power iteration towards the largest.
const N_EIGEN_ITERATIONS: usize = 12;
/// Rounds of iterative refinement.
const MAX_REFINEMENTS: usize = 3;

/// A direct solve: the symmetric matrix is assembled from a product for every unknown, made symmetric, and factorised by Cholesky's method.
///
/// For up to a few thousand unknowns: `n + 2` products, `n³/3` operations for each of the factorisation and of the proof below, and two matrices of memory. Where
/// the product with a random vector is to the bit that of the last solve, the operator has not changed, and its factors are used again. What no eigenvalue is below is shown by factorising
/// the matrix less that number times the identity, and reported as [`LinearOutcome::eigenvalue_bound`].
///
/// A matrix that is not positive definite ends the solve with [`LinearStop::NegativeCurvature`] and its smallest eigenvalue, unless
/// [`allow_indefinite`](Self::allow_indefinite) or [`pseudo_inverse`](Self::pseudo_inverse) says what to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[must_use]
pub struct Direct {
    other: Other,
}

/// What to do with a matrix that is not positive definite.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Other {
    #[default]
    Refuse,
    /// `L B Lᵀ` with the pivoting of Bunch and Kaufman.
    Factorise,
    /// Eigenvalues below this times the largest count as zero, and have no part in the solution.
    Ignore { tolerance: f64 },
}

/// What is kept of the matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Factors {
    None,
    Cholesky,
    BunchKaufman,
    Eigen,
}

/// Matrices and vectors of a solve by [`Direct`].
#[derive(Debug, Clone)]
pub struct DirectMemory<T> {
    n: usize,
    factors: Factors,
    /// The product of the operator that the factors are of with the random vector.
    signature: Vec<T>,
    seen: Seen<T>,
    /// The matrix itself, and what it was factorised to.
    matrix: Vec<T>,
    factor: Vec<T>,
    /// The eigenvalues, or the diagonal of `B` and what is beside it.
    diagonal: Vec<T>,
    beside: Vec<T>,
    /// Where each row comes from, and the inverse.
    order: [Vec<usize>; 2],
    rhs: Vec<T>,
    residual: Vec<T>,
    product: Vec<T>,
}

impl Direct {
    /// Solves with an indefinite matrix too, by Bunch and Kaufman's `L B Lᵀ`; a singular one still has no solution.
    pub fn allow_indefinite(mut self) -> Self {
        self.other = Other::Factorise;
        self
    }

    /// Solves with a matrix that is not positive definite by its pseudo-inverse: eigenvalues whose size is at most `tolerance` times the largest count as
    /// zero, and have no part in the solution.
    pub fn pseudo_inverse(mut self, tolerance: f64) -> Self {
        self.other = Other::Ignore { tolerance };
        self
    }
}

impl<T: Real> DirectMemory<T> {
    /// Whether the operator is the one that was factorised: two operators that differ have different products with a random vector. Takes note of
    /// the product.
    fn is_known(&mut self, operator: &mut impl Operator<T>) -> bool {
        let mut random = SplitMix::new(0);
        for x in &mut self.residual {
            *x = T::from_f64(random.normal());
        }
        operator.apply(&self.residual, &mut self.product);
        let known = self.factors != Factors::None && self.product == self.signature;
        self.signature.copy_from_slice(&self.product);
        known
    }

    /// Assembles the matrix, symmetric to the bit. Says whether all of it is finite.
    fn assemble(&mut self, operator: &mut impl Operator<T>) -> bool {
        let n = self.n;
        self.residual.fill(T::zero());
        for i in 0..n {
            self.residual[i] = T::one();
            operator.apply(&self.residual, &mut self.matrix[i * n..(i + 1) * n]);
            self.residual[i] = T::zero();
        }
        let half = T::from_f64(0.5);
        for i in 0..n {
            for j in 0..i {
                let mean = half * (self.matrix[i * n + j] + self.matrix[j * n + i]);
                (self.matrix[i * n + j], self.matrix[j * n + i]) = (mean, mean);
            }
            self.seen.curvature(self.matrix[i * n + i]);
        }
        vector::all_finite(&self.matrix)
    }

    /// Whether the matrix less `shift` times the identity is positive definite; its factor is then in `self.factor`.
    fn cholesky(&mut self, shift: T) -> bool {
        self.factor.copy_from_slice(&self.matrix);
        if shift != T::zero() {
            for i in 0..self.n {
                self.factor[i * (self.n + 1)] -= shift;
            }
        }
        T::factor_cholesky(&mut self.factor, self.n)
    }

    /// Factorises, and learns of the eigenvalues.
    fn factorise(&mut self, operator: &mut impl Operator<T>, other: Other) -> Result<(), LinearStop> {
        self.factors = Factors::None;
        self.seen = Seen::new();
        if !self.assemble(operator) {
            return Err(LinearStop::NonFinite);
        }
        let n = self.n;
        if self.cholesky(T::zero()) {
            self.factors = Factors::Cholesky;
            let estimate = self.extreme_curvatures();
            let rounding = T::from_f64(n as f64) * T::EPSILON * self.seen.scale();
            if estimate <= rounding {
                return self.without_cholesky(other);
            }
            // The proof, for a little less than the estimate, and for less if that was too much.
            for fraction in [0.9, 0.5, 0.1, 0.01] {
                let bound = T::from_f64(fraction) * estimate;
                if self.cholesky(bound) {
                    self.seen.eigenvalue_bound = Some((bound - rounding).max(T::zero()));
                    break;
                }
            }
            self.cholesky(T::zero());
            return Ok(());
        }
        self.without_cholesky(other)
    }

    /// For a matrix that is not positive definite, up to rounding.
    fn without_cholesky(&mut self, other: Other) -> Result<(), LinearStop> {
        let n = self.n;
        self.factors = Factors::None;
        if !T::eigen(&self.matrix, &mut self.diagonal, &mut self.factor, n) {
            return Err(LinearStop::NonFinite);
        }
        for &eigenvalue in &self.diagonal {
            self.seen.curvature(eigenvalue);
        }
        let smallest = self.diagonal.iter().fold(T::infinity(), |smallest, x| smallest.min(x.abs()));
        let singular = smallest <= T::from_f64(n as f64) * T::EPSILON * self.seen.scale();
        match other {
            Other::Refuse if self.seen.smallest_curvature < -self.seen.rounding() => Err(LinearStop::NegativeCurvature),
            Other::Refuse | Other::Factorise if singular => Err(LinearStop::Singular),
            Other::Refuse => Err(LinearStop::NegativeCurvature),
            Other::Ignore { .. } => {
                self.factors = Factors::Eigen;
                Ok(())
            }
            Other::Factorise => {
                self.factor.copy_from_slice(&self.matrix);
                let [order, inverse] = &mut self.order;
                T::factor_symmetric(&mut self.factor, &mut self.diagonal, &mut self.beside, order, inverse, n);
                self.factors = Factors::BunchKaufman;
                Ok(())
            }
        }
    }

    /// Looks for the largest and the smallest eigenvalue from inside, and gives the smallest curvature found.
    fn extreme_curvatures(&mut self) -> T {
        let n = self.n;
        // A direction without a pattern, so that no eigenvector is missed.
        for inverse in [false, true] {
            for (i, x) in self.residual.iter_mut().enumerate() {
                *x = T::one() + T::from_f64(0.5) * T::from_f64((i as f64 * 12.9898).sin());
            }
            for _ in 0..N_EIGEN_ITERATIONS {
                let norm = vector::norm(&self.residual);
                vector::scale(norm.recip(), &mut self.residual);
                for (product, row) in self.product.iter_mut().zip(self.matrix.chunks_exact(n)) {
                    *product = vector::dot(row, &self.residual);
                }
                self.seen.curvature(vector::dot(&self.product, &self.residual));
                if inverse {
                    solve_cholesky(&self.factor, &mut self.residual, n);
                } else {
                    self.residual.copy_from_slice(&self.product);
                }
            }
        }
        self.seen.smallest_curvature
    }

    /// `x ← H⁻¹ x`
    fn apply_inverse(&mut self, x: &mut [T], tolerance: T) {
        let n = self.n;
        match self.factors {
            Factors::None => x.fill(T::zero()),
            Factors::Cholesky => solve_cholesky(&self.factor, x, n),
            Factors::BunchKaufman => {
                let [order, inverse] = &self.order;
                T::solve_symmetric(&self.factor, &self.diagonal, &self.beside, order, inverse, x);
            }
            Factors::Eigen => {
                let floor = tolerance * self.diagonal.iter().fold(T::zero(), |largest, x| largest.max(x.abs()));
                for (j, (out, &eigenvalue)) in self.beside.iter_mut().zip(&self.diagonal).enumerate() {
                    let along: T = (0..n).map(|i| self.factor[i * n + j] * x[i]).sum();
                    *out = if eigenvalue.abs() > floor { along / eigenvalue } else { T::zero() };
                }
                for (x, row) in x.iter_mut().zip(self.factor.chunks_exact(n)) {
                    *x = vector::dot(row, &self.beside);
                }
            }
        }
    }
}

fn solve_cholesky<T: Real>(factor: &[T], x: &mut [T], n: usize) {
    T::solve_triangle(factor, x, n, 1, Triangle { lower: true, transposed: false, unit: false });
    T::solve_triangle(factor, x, n, 1, Triangle { lower: true, transposed: true, unit: false });
}

impl Direct {
    fn pseudo_tolerance<T: Float>(&self) -> T {
        match self.other {
            Other::Ignore { tolerance } => T::from_f64(tolerance),
            Other::Refuse | Other::Factorise => T::zero(),
        }
    }
}

impl<T: Real> LinearSolver<T> for Direct {
    const NEEDS_SYMMETRY: Option<&'static str> = Some("Implicit::direct");

    type Memory = DirectMemory<T>;

    fn memory(&self, n: usize) -> Result<DirectMemory<T>, Error> {
        if let Other::Ignore { tolerance } = self.other
            && !(0.0..1.0).contains(&tolerance)
        {
            return Err(Error::InvalidSetting {
                setting: "Direct::pseudo_inverse",
                value: tolerance,
                requirement: "at least 0 and below 1",
            });
        }
        Ok(DirectMemory {
            n,
            factors: Factors::None,
            signature: vector::zeros(n),
            seen: Seen::new(),
            matrix: vector::zeros(n * n),
            factor: vector::zeros(n * n),
            diagonal: vector::zeros(n),
            beside: vector::zeros(n),
            order: [vec![0; n], vec![0; n]],
            rhs: vector::zeros(n),
            residual: vector::zeros(n),
            product: vector::zeros(n),
        })
    }

    fn solve(&self, operator: &mut impl Operator<T>, b: &[T], unit_solution: &mut [T], memory: &mut DirectMemory<T>) -> LinearOutcome {
        let rhs_norm = match unit_rhs(b, &mut memory.rhs, unit_solution) {
            Ok(norm) => norm,
            Err(outcome) => return outcome,
        };
        if !memory.is_known(operator)
            && let Err(stop) = memory.factorise(operator, self.other)
        {
            unit_solution.fill(T::zero());
            return memory.seen.outcome(stop, rhs_norm, if stop == LinearStop::NonFinite { T::nan() } else { T::one() });
        }
        let tolerance = self.pseudo_tolerance();
        unit_solution.copy_from_slice(&memory.rhs);
        memory.apply_inverse(unit_solution, tolerance);
        let mut best = T::infinity();
        let mut n_refinements = 0;
        let residual = loop {
            operator.apply_to_solution(unit_solution, &mut memory.product);
            let DirectMemory { rhs, residual, product, .. } = memory;
            vector::add_scaled(rhs, -T::one(), product, residual);
            let norm = vector::norm(residual);
            let rounding = T::from_f64(8.0) * T::EPSILON * (T::one() + memory.seen.scale() * vector::norm(unit_solution));
            let refinable = memory.factors != Factors::Eigen && n_refinements < MAX_REFINEMENTS && norm + norm < best;
            if !norm.is_finite() || norm <= rounding || !refinable {
                break norm;
            }
            best = norm;
            n_refinements += 1;
            let mut correction = std::mem::take(&mut memory.residual);
            memory.apply_inverse(&mut correction, tolerance);
            vector::axpy(T::one(), &correction, unit_solution);
            memory.residual = correction;
        };
        let stop = if !residual.is_finite() {
            LinearStop::NonFinite
        } else if residual <= default_tolerance::<T>().sqrt() {
            LinearStop::Converged
        } else {
            // What the pseudo-inverse leaves out was left out on purpose.
            if memory.factors == Factors::Eigen { LinearStop::Truncated } else { LinearStop::Stagnated }
        };
        memory.seen.n_iterations = n_refinements;
        memory.seen.outcome(stop, rhs_norm, residual)
    }

    /// Uses the factors of the last solve, which may be those of a neighbouring operator, and refines until they serve.
    fn correct(
        &self,
        operator: &mut impl Operator<T>,
        b: &[T],
        unit_solution: &mut [T],
        memory: &mut DirectMemory<T>,
        effort: Effort<T>,
    ) -> LinearStop {
        if let Err(outcome) = unit_rhs(b, &mut memory.rhs, unit_solution) {
            return outcome.stop;
        }
        unit_solution.fill(T::zero());
        if memory.factors == Factors::None {
            return LinearStop::Singular;
        }
        memory.residual.copy_from_slice(&memory.rhs);
        let mut last = T::one();
        loop {
            let mut correction = std::mem::take(&mut memory.residual);
            memory.apply_inverse(&mut correction, self.pseudo_tolerance());
            vector::axpy(T::one(), &correction, unit_solution);
            memory.residual = correction;
            operator.apply(unit_solution, &mut memory.product);
            let DirectMemory { rhs, residual, product, .. } = memory;
            vector::add_scaled(rhs, -T::one(), product, residual);
            let norm = vector::norm(residual);
            if norm <= effort.tolerance {
                return LinearStop::Converged;
            }
            if !norm.is_finite() {
                return LinearStop::NonFinite;
            }
            if norm > T::from_f64(0.9) * last {
                return LinearStop::Stagnated;
            }
            last = norm;
        }
    }

    fn forget(&self, memory: &mut DirectMemory<T>) {
        memory.factors = Factors::None;
    }

    fn at_tolerance(&self, _: f64) -> Self {
        *self
    }

    fn bytes(memory: &DirectMemory<T>) -> usize {
        let DirectMemory { signature, matrix, factor, diagonal, beside, order: [order, inverse], rhs, residual, product, .. } = memory;
        bytes_of(&[signature, matrix, factor, diagonal, beside, rhs, residual, product]) + bytes_of(&[order, inverse])
    }
}
