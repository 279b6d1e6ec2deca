//! Generalised minimal residuals with restarts, for any operator.

use super::krylov::{Cycle, KrylovSolver, Limits, Until};
use super::{LinearStop, Operator, Seen, bytes_of, check_at_least_one, dense};
use crate::{Error, Float, vector};

/// Generalised minimal residuals, restarted.
///
/// The operator need not be symmetric. One product per iteration, and one more at the end for the true residual. The iterations between two
/// restarts each keep a vector; with fewer than the operator's distinct eigenvalues the method can stagnate, which it then says. A singular
/// operator stagnates too, unless the right-hand side lies in its range.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Gmres {
    pub(super) limits: Limits,
    restart: usize,
}

impl Default for Gmres {
    fn default() -> Self {
        Gmres { limits: Limits::default(), restart: 30 }
    }
}

/// The iteration of [`Gmres`].
#[derive(Debug, Clone)]
pub struct GmresCycle<T> {
    n: usize,
    restart: usize,
    /// Orthonormal vectors, one after the other.
    basis: Vec<T>,
    /// The triangular factor of the projected operator, column after column of `restart + 1` elements.
    triangle: Vec<T>,
    /// The projected operator, and scratch for its eigenvectors.
    projected: [Vec<T>; 2],
    rotations: Vec<(T, T)>,
    /// The projected right-hand side, rotated.
    rhs: Vec<T>,
}

impl Gmres {
    /// The relative residual `‖b − Hx‖ / ‖b‖` to reach. Default: the machine epsilon to the power ⅔, 4·10⁻¹¹ in `f64` and 2·10⁻⁵ in `f32`.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.limits.tolerance = Some(tolerance);
        self
    }

    /// The most iterations; a solve that ends there gives its iterate. Default: ten times the number of unknowns, and at least 1000.
    pub fn max_iterations(mut self, max_iterations: usize) -> Self {
        self.limits.max_iterations = Some(max_iterations);
        self
    }

    /// The number of iterations between restarts. Default: 30.
    pub fn restart(mut self, restart: usize) -> Self {
        self.restart = restart;
        self
    }
}

impl KrylovSolver for Gmres {
    type Cycle<T: Float> = GmresCycle<T>;

    fn cycle<T: Float>(&self, n: usize) -> Result<GmresCycle<T>, Error> {
        self.limits.check("Gmres::tolerance", "Gmres::max_iterations")?;
        check_at_least_one("Gmres::restart", Some(self.restart))?;
        // More vectors than unknowns are never needed.
        let restart = self.restart.min(n.max(1));
        Ok(GmresCycle {
            n,
            restart,
            basis: vector::zeros((restart + 1) * n),
            triangle: vector::zeros((restart + 1) * restart),
            projected: [vector::zeros(restart * restart), vector::zeros(restart * restart)],
            rotations: vec![(T::one(), T::zero()); restart],
            rhs: vector::zeros(restart + 1),
        })
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn with_limits(&self, limits: Limits) -> Self {
        Gmres { limits, ..*self }
    }
}

impl<T: Float> GmresCycle<T> {
    /// Makes the product orthogonal to the basis so far, in two turns, and keeps the coefficients as column `j`. Gives the norm that is left.
    fn orthogonalise(&mut self, product: &mut [T], j: usize) -> T {
        let column = &mut self.triangle[j * (self.restart + 1)..][..self.restart + 1];
        column.fill(T::zero());
        for _ in 0..2 {
            for (h, v) in column.iter_mut().zip(self.basis.chunks_exact(self.n)).take(j + 1) {
                let part = vector::dot(v, product);
                *h += part;
                vector::axpy(-part, v, product);
            }
        }
        vector::norm(product)
    }

    /// Takes note of column `j` of the projected operator, with what is left below it.
    fn keep_column(&mut self, j: usize, below: T) {
        let m = self.restart;
        let column = &self.triangle[j * (m + 1)..][..j + 1];
        for (i, &x) in column.iter().enumerate() {
            self.projected[0][i * m + j] = x;
        }
        if j + 1 < m {
            self.projected[0][(j + 1) * m + j] = below;
        }
    }

    /// The extreme eigenvalues of the symmetric part of the operator on the first `k` vectors.
    fn see(&mut self, k: usize, seen: &mut Seen<T>) {
        let m = self.restart;
        let [projected, scratch] = &mut self.projected;
        let half = T::from_f64(0.5);
        for i in 0..k {
            for j in 0..=i {
                // An element below the one beside the diagonal is zero.
                let lower = if i <= j + 1 { projected[i * m + j] } else { T::zero() };
                scratch[i * k + j] = half * (lower + projected[j * m + i]);
                scratch[j * k + i] = scratch[i * k + j];
            }
        }
        dense::eigen(&mut scratch[..k * k], &mut projected[..k * k], k);
        for i in 0..k {
            seen.curvature(scratch[i * (k + 1)]);
        }
    }

    /// Applies the earlier rotations to column `j`, and a new one that removes what is below its diagonal.
    fn rotate(&mut self, j: usize, below: T) {
        let column = &mut self.triangle[j * (self.restart + 1)..][..self.restart + 1];
        for (i, &(cos, sin)) in self.rotations.iter().take(j).enumerate() {
            let (a, b) = (column[i], column[i + 1]);
            (column[i], column[i + 1]) = (cos * a + sin * b, cos * b - sin * a);
        }
        let radius = column[j].hypot(below);
        let (cos, sin) = if radius == T::zero() { (T::one(), T::zero()) } else { (column[j] / radius, below / radius) };
        column[j] = radius;
        self.rotations[j] = (cos, sin);
        self.rhs[j + 1] = -sin * self.rhs[j];
        self.rhs[j] *= cos;
    }

    /// Adds the best combination of the first `k` vectors to `x`.
    fn update(&mut self, x: &mut [T], k: usize) {
        for j in (0..k).rev() {
            let column = &self.triangle[j * (self.restart + 1)..];
            self.rhs[j] /= column[j];
            let (above, from) = self.rhs.split_at_mut(j);
            for (above, &entry) in above.iter_mut().zip(column) {
                *above -= entry * from[0];
            }
        }
        for (&y, v) in self.rhs.iter().zip(self.basis.chunks_exact(self.n)).take(k) {
            vector::axpy(y, v, x);
        }
    }

    /// The residual after `k` vectors, from what is left of the rotated right-hand side: without a product.
    fn residual(&mut self, residual: &mut [T], k: usize, left: T) {
        self.rhs.fill(T::zero());
        self.rhs[k] = left;
        for (i, &(cos, sin)) in self.rotations.iter().take(k).enumerate().rev() {
            let (a, b) = (self.rhs[i], self.rhs[i + 1]);
            (self.rhs[i], self.rhs[i + 1]) = (cos * a - sin * b, sin * a + cos * b);
        }
        residual.fill(T::zero());
        for (&y, v) in self.rhs.iter().zip(self.basis.chunks_exact(self.n)).take(k + 1) {
            vector::axpy(y, v, residual);
        }
    }
}

impl<T: Float> Cycle<T> for GmresCycle<T> {
    fn run(
        &mut self,
        operator: &mut impl Operator<T>,
        x: &mut [T],
        residual: &mut [T],
        product: &mut [T],
        until: Until<T>,
        seen: &mut Seen<T>,
    ) -> LinearStop {
        let n = self.n;
        let mut norm = vector::norm(residual);
        loop {
            if norm <= until.tolerance {
                return LinearStop::Converged;
            }
            if seen.n_iterations == until.max_iterations {
                return LinearStop::MaxIterations;
            }
            vector::divide(residual, norm, &mut self.basis[..n]);
            self.rhs.fill(T::zero());
            self.rhs[0] = norm;
            let mut k = 0;
            let mut singular = false;
            let mut scale = T::zero();
            while k < self.restart && seen.n_iterations < until.max_iterations {
                operator.apply(&self.basis[k * n..(k + 1) * n], product);
                if !seen.curvature(vector::dot(&self.basis[k * n..(k + 1) * n], product)) {
                    return LinearStop::NonFinite;
                }
                scale = scale.max(vector::norm(product));
                let below = self.orthogonalise(product, k);
                if !below.is_finite() {
                    return LinearStop::NonFinite;
                }
                seen.n_iterations += 1;
                let exhausted = below <= T::from_f64(8.0) * T::EPSILON * scale;
                self.keep_column(k, below);
                self.rotate(k, if exhausted { T::zero() } else { below });
                // A column that depends on the others, of an operator that is singular on this space.
                singular = self.triangle[k * (self.restart + 1) + k] <= T::from_f64(8.0) * T::EPSILON * scale;
                if singular {
                    break;
                }
                k += 1;
                if exhausted || self.rhs[k].abs() <= until.tolerance {
                    break;
                }
                vector::divide(product, below, &mut self.basis[k * n..(k + 1) * n]);
            }
            let left = if singular { norm } else { self.rhs[k] };
            self.see(k, seen);
            self.update(x, k);
            if singular {
                return LinearStop::Stagnated;
            }
            if left.abs() <= until.tolerance {
                return LinearStop::Converged;
            }
            if left.abs() > T::from_f64(0.9999) * norm {
                return LinearStop::Stagnated;
            }
            self.residual(residual, k, left);
            norm = vector::norm(residual);
        }
    }

    fn bytes(&self) -> usize {
        bytes_of(&[&self.basis, &self.triangle, &self.projected[0], &self.projected[1], &self.rhs]) + bytes_of(&[&self.rotations])
    }
}
