//! Preconditioners of conjugate gradients, made of products with the operator.

use super::{Operator, Seen, bytes_of, check_at_least_one, dense};
use crate::random::SplitMix;
use crate::{Error, Float, vector};

/// A symmetric positive definite approximation of an operator, whose inverse is cheap.
///
/// One that is out of date costs iterations, not accuracy: [`every`](Self::every) uses it for several solves.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Preconditioner {
    kind: Kind,
    seed: u64,
    every: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Diagonal,
    EstimatedDiagonal { n_probes: usize },
    Nystrom { rank: usize },
}

/// Vectors of a [`Preconditioner`].
#[derive(Debug, Clone)]
pub struct PreconditionerMemory<T> {
    settings: Preconditioner,
    /// How many solves have used it; none before it is made.
    age: Option<usize>,
    /// The reciprocal of the diagonal, scaled.
    inverse_diagonal: Vec<T>,
    /// Orthonormal vectors, one after the other, and what the inverse has more than the identity along each.
    vectors: Vec<T>,
    gains: Vec<T>,
}

impl Preconditioner {
    fn new(kind: Kind) -> Self {
        Preconditioner { kind, seed: 0, every: 1 }
    }

    /// The diagonal of the operator, from a product for every unknown. It pays where many systems with about the same operator are solved, together with
    /// [`every`](Self::every).
    pub fn diagonal() -> Self {
        Preconditioner::new(Kind::Diagonal)
    }

    /// The diagonal of the operator, estimated by the mean of `z ⊙ Hz` over random signs `z`. The estimate is exact for a diagonal operator; for
    /// others its error falls with the root of the number of probes.
    pub fn estimated_diagonal(n_probes: usize) -> Self {
        Preconditioner::new(Kind::EstimatedDiagonal { n_probes })
    }

    /// The largest part of the operator, from `rank` products with random vectors (randomised Nyström approximation): for operators of a few large
    /// eigenvalues and a flat rest.
    pub fn nystrom(rank: usize) -> Self {
        Preconditioner::new(Kind::Nystrom { rank })
    }

    /// The seed of the random vectors. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Makes the preconditioner anew for every `n_solves`-th solve only. Default: 1.
    pub fn every(mut self, n_solves: usize) -> Self {
        self.every = n_solves;
        self
    }

    pub(super) fn memory<T: Float>(self, n: usize) -> Result<PreconditionerMemory<T>, Error> {
        check_at_least_one("Preconditioner::every", Some(self.every))?;
        let (n_diagonal, rank) = match self.kind {
            Kind::Diagonal => (n, 0),
            Kind::EstimatedDiagonal { n_probes } => {
                check_at_least_one("Preconditioner::estimated_diagonal", Some(n_probes))?;
                (n, 0)
            }
            Kind::Nystrom { rank } => {
                check_at_least_one("Preconditioner::nystrom", Some(rank))?;
                (0, rank.min(n))
            }
        };
        Ok(PreconditionerMemory {
            settings: self,
            age: None,
            inverse_diagonal: vector::zeros(n_diagonal),
            vectors: vector::zeros(rank * n),
            gains: vector::zeros(rank),
        })
    }
}

impl<T: Float> PreconditionerMemory<T> {
    /// Makes the preconditioner, unless the last one still serves.
    pub(super) fn prepare(&mut self, operator: &mut impl Operator<T>, scratch: [&mut [T]; 2], seen: &mut Seen<T>) {
        if let Some(age) = self.age.as_mut().filter(|age| **age < self.settings.every) {
            *age += 1;
            return;
        }
        let done = match self.settings.kind {
            Kind::Diagonal => self.exact_diagonal(operator, scratch, seen),
            Kind::EstimatedDiagonal { n_probes } => self.estimated_diagonal(operator, scratch, n_probes),
            Kind::Nystrom { .. } => self.nystrom(operator, scratch),
        };
        self.age = done.then_some(1);
    }

    pub(super) fn forget(&mut self) {
        self.age = None;
    }

    /// `out ← P⁻¹ r`; the identity before a preconditioner was made, or where the products for it were not finite.
    pub(super) fn apply(&self, r: &[T], out: &mut [T]) {
        out.copy_from_slice(r);
        if self.age.is_none() {
            return;
        }
        for (out, &d) in out.iter_mut().zip(&self.inverse_diagonal) {
            *out *= d;
        }
        for (v, &gain) in self.vectors.chunks_exact(r.len()).zip(&self.gains) {
            vector::axpy(gain * vector::dot(v, r), v, out);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        bytes_of(&[&self.inverse_diagonal, &self.vectors, &self.gains])
    }

    fn exact_diagonal(&mut self, operator: &mut impl Operator<T>, [unit, product]: [&mut [T]; 2], seen: &mut Seen<T>) -> bool {
        unit.fill(T::zero());
        for i in 0..unit.len() {
            unit[i] = T::one();
            operator.apply(unit, product);
            unit[i] = T::zero();
            self.inverse_diagonal[i] = product[i];
            seen.curvature(product[i]);
        }
        self.invert_diagonal()
    }

    fn estimated_diagonal(&mut self, operator: &mut impl Operator<T>, [signs, product]: [&mut [T]; 2], n_probes: usize) -> bool {
        let mut random = SplitMix::new(self.settings.seed);
        self.inverse_diagonal.fill(T::zero());
        let weight = T::from_f64(1.0 / n_probes as f64);
        for _ in 0..n_probes {
            random.signs(signs);
            operator.apply(signs, product);
            for (d, (&z, &hz)) in self.inverse_diagonal.iter_mut().zip(signs.iter().zip(product.iter())) {
                *d += weight * z * hz;
            }
        }
        self.invert_diagonal()
    }

    /// From the diagonal to its reciprocal. Entries that are not clearly positive, of which an estimate can have some, are replaced.
    fn invert_diagonal(&mut self) -> bool {
        let largest = vector::max_abs(&self.inverse_diagonal);
        if !(largest.is_finite() && largest > T::zero()) {
            return false;
        }
        let floor = T::EPSILON.sqrt();
        for d in &mut self.inverse_diagonal {
            *d = (d.abs() / largest).max(floor).recip();
        }
        true
    }

    fn nystrom(&mut self, operator: &mut impl Operator<T>, [direction, product]: [&mut [T]; 2]) -> bool {
        let (n, rank) = (direction.len(), self.gains.len());
        let mut random = SplitMix::new(self.settings.seed);
        // An orthonormal basis Ω of random directions, and then Y = HΩ.
        let mut basis: Vec<T> = (0..rank * n).map(|_| T::from_f64(random.normal())).collect();
        for k in 0..rank {
            let (before, rest) = basis.split_at_mut(k * n);
            let v = &mut rest[..n];
            for _ in 0..2 {
                for u in before.chunks_exact(n) {
                    let part = vector::dot(u, v);
                    vector::axpy(-part, u, v);
                }
            }
            let norm = vector::norm(v);
            vector::scale(norm.recip(), v);
        }
        for (v, y) in basis.chunks_exact(n).zip(self.vectors.chunks_exact_mut(n)) {
            operator.apply(v, product);
            y.copy_from_slice(product);
        }
        let scale = self.vectors.chunks_exact(n).map(|y| vector::norm(y)).fold(T::zero(), T::max);
        if !(scale.is_finite() && scale > T::zero()) {
            return false;
        }
        vector::scale(scale.recip(), &mut self.vectors);
        // With ΩᵀY = V D Vᵀ, B = Y V D^(-1/2) has B Bᵀ = Y (ΩᵀY)⁻¹ Yᵀ; what is not clearly positive is left out.
        let mut small: Vec<T> = Vec::with_capacity(rank * rank);
        for (i, v) in basis.chunks_exact(n).enumerate() {
            for (j, y) in self.vectors.chunks_exact(n).enumerate() {
                let other = vector::dot(&basis[j * n..(j + 1) * n], &self.vectors[i * n..(i + 1) * n]);
                small.push(T::from_f64(0.5) * (vector::dot(v, y) + other));
            }
        }
        let mut rotation = vector::zeros(rank * rank);
        dense::eigen(&mut small, &mut rotation, rank);
        let largest = (0..rank).map(|i| small[i * rank + i]).fold(T::zero(), T::max);
        let floor = T::from_f64(100.0) * T::EPSILON * largest;
        let root = |d: T| if d > floor { d.sqrt().recip() } else { T::zero() };
        let mix: Vec<T> = (0..rank * rank).map(|k| rotation[k] * root(small[k % rank * (rank + 1)])).collect();
        self.recombine(&mix, n, rank);
        // BᵀB = W Λ Wᵀ gives the eigenvectors U = B W Λ^(-1/2) of B Bᵀ, with its eigenvalues Λ.
        let mut gram: Vec<T> = Vec::with_capacity(rank * rank);
        for a in self.vectors.chunks_exact(n) {
            gram.extend(self.vectors.chunks_exact(n).map(|b| vector::dot(a, b)));
        }
        dense::eigen(&mut gram, &mut rotation, rank);
        let eigenvalues: Vec<T> = (0..rank).map(|i| gram[i * (rank + 1)]).collect();
        let largest = eigenvalues.iter().copied().fold(T::zero(), T::max);
        let floor = T::EPSILON.sqrt() * largest;
        let mix: Vec<T> = (0..rank * rank)
            .map(|k| if eigenvalues[k % rank] > floor { rotation[k] / eigenvalues[k % rank].sqrt() } else { T::zero() })
            .collect();
        self.recombine(&mix, n, rank);
        // The rest of the spectrum is taken to be as large as the smallest part that was seen.
        let smallest = eigenvalues.iter().copied().filter(|&x| x > floor).fold(largest, T::min);
        for (gain, &eigenvalue) in self.gains.iter_mut().zip(&eigenvalues) {
            *gain = if eigenvalue > floor { smallest / eigenvalue - T::one() } else { T::zero() };
        }
        largest > T::zero() && vector::all_finite(&self.vectors)
    }

    /// Replaces the vectors `b` by `b mix`.
    fn recombine(&mut self, mix: &[T], n: usize, rank: usize) {
        let mut row = vector::zeros(rank);
        for i in 0..n {
            for (j, row) in row.iter_mut().enumerate() {
                *row = (0..rank).map(|k| self.vectors[k * n + i] * mix[k * rank + j]).sum();
            }
            for (j, &x) in row.iter().enumerate() {
                self.vectors[j * n + i] = x;
            }
        }
    }
}
