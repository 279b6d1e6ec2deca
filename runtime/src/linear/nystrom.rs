//! The inverse of a low-rank approximation plus `ρI`, from some columns of the operator.

use super::{
    CgMemory, Effort, LinearOutcome, LinearSolver, LinearStop, Operator, Seen, bytes_of, check_at_least_one, dense, truncated_cg, unit_rhs,
};
use crate::random::SplitMix;
use crate::{Error, Float, vector};

/// The Nyström method of Hataya and Yamada: with the columns `C` of `H` at `k` random coordinates and `W` their part at these coordinates,
/// `x = b/ρ − Cᵀ (W + C Cᵀ/ρ)⁻¹ C b / ρ²`, which is `(Cᵀ W⁻¹ C + ρI)⁻¹ b`.
///
/// It costs `k` products and one more for the true residual, and makes no iterations. Where `H` has no more than `k` eigenvalues that are not zero, it is `(H + ρI)⁻¹ b`;
/// `ρ` is a bias on purpose. The residual that is reported is that of `H` itself. The small matrix is solved by elimination with row exchanges, and its
/// condition number is reported. A singular operator needs no care; one that is indefinite on the coordinates ends the solve.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Nystrom {
    rank: usize,
    rho: f64,
    seed: u64,
}

impl Default for Nystrom {
    fn default() -> Self {
        Nystrom { rank: 5, rho: 0.1, seed: 0 }
    }
}

/// Vectors of a solve by [`Nystrom`].
#[derive(Debug, Clone)]
pub struct NystromMemory<T> {
    rhs: Vec<T>,
    direction: Vec<T>,
    product: Vec<T>,
    coordinates: Vec<usize>,
    columns: Vec<T>,
    small: Vec<T>,
    exchanges: Vec<usize>,
    weights: Vec<T>,
    /// Of corrections; made when the first is asked for.
    cg: Option<CgMemory<T>>,
}

impl Nystrom {
    /// The number `k` of columns; more than there are unknowns count as all. Default: 5.
    pub fn rank(mut self, rank: usize) -> Self {
        self.rank = rank;
        self
    }

    /// What is added to the diagonal of the approximation. Default: 0.1.
    pub fn rho(mut self, rho: f64) -> Self {
        self.rho = rho;
        self
    }

    /// The seed with which the coordinates are drawn. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

/// `k` of `n` coordinates, none twice, ascending.
fn draw(seed: u64, k: usize, n: usize) -> Vec<usize> {
    let mut random = SplitMix::new(seed);
    // Floyd's method: a set of `k` numbers from `k` draws.
    let mut chosen = std::collections::BTreeSet::new();
    for last in n - k..n {
        let candidate = random.below(last + 1);
        if !chosen.insert(candidate) {
            chosen.insert(last);
        }
    }
    chosen.into_iter().collect()
}

/// `W + C Cᵀ/ρ`, symmetric, with `shift` added to its diagonal. Gives the largest sum of absolute values in a row.
fn assemble<T: Float>(small: &mut [T], columns: &[T], coordinates: &[usize], rho: T, shift: T) -> T {
    let rank = coordinates.len();
    let n = columns.len() / rank.max(1);
    let half = T::from_f64(0.5);
    for i in 0..rank {
        let a = &columns[i * n..(i + 1) * n];
        for j in 0..=i {
            let b = &columns[j * n..(j + 1) * n];
            let symmetric = half * (a[coordinates[j]] + b[coordinates[i]]);
            small[i * rank + j] = symmetric + vector::dot(a, b) / rho;
            small[j * rank + i] = small[i * rank + j];
        }
        small[i * (rank + 1)] += shift;
    }
    small.chunks_exact(rank.max(1)).map(|row| row.iter().map(|x| x.abs()).sum()).fold(T::zero(), T::max)
}

impl<T: Float> LinearSolver<T> for Nystrom {
    const NEEDS_SYMMETRY: Option<&'static str> = Some("Implicit::nystrom");

    type Memory = NystromMemory<T>;

    fn memory(&self, n: usize) -> Result<NystromMemory<T>, Error> {
        check_at_least_one("Nystrom::rank", Some(self.rank))?;
        if !(self.rho.is_finite() && self.rho > 0.0) {
            return Err(Error::InvalidSetting { setting: "Nystrom::rho", value: self.rho, requirement: "finite and positive" });
        }
        let rank = self.rank.min(n);
        Ok(NystromMemory {
            rhs: vector::zeros(n),
            direction: vector::zeros(n),
            product: vector::zeros(n),
            coordinates: draw(self.seed, rank, n),
            columns: vector::zeros(rank * n),
            small: vector::zeros(rank * rank),
            exchanges: vec![0; rank],
            weights: vector::zeros(rank),
            cg: None,
        })
    }

    fn solve(&self, operator: &mut impl Operator<T>, b: &[T], unit_solution: &mut [T], memory: &mut NystromMemory<T>) -> LinearOutcome {
        let NystromMemory { rhs, direction, product, coordinates, columns, small, exchanges, weights, .. } = memory;
        let rhs_norm = match unit_rhs(b, rhs, unit_solution) {
            Ok(norm) => norm,
            Err(outcome) => return outcome,
        };
        let (n, rank) = (rhs.len(), coordinates.len());
        let mut seen = Seen::new();
        seen.n_iterations = rank;
        direction.fill(T::zero());
        for (&i, column) in coordinates.iter().zip(columns.chunks_exact_mut(n)) {
            direction[i] = T::one();
            operator.apply(direction, product);
            direction[i] = T::zero();
            column.copy_from_slice(product);
            if !seen.curvature(product[i]) || !vector::all_finite(product) {
                unit_solution.fill(T::zero());
                return seen.outcome(LinearStop::NonFinite, rhs_norm, T::nan());
            }
        }
        if seen.smallest_curvature < -seen.rounding() {
            unit_solution.fill(T::zero());
            return seen.outcome(LinearStop::NegativeCurvature, rhs_norm, T::one());
        }
        let rho = T::from_f64(self.rho);
        for (weight, column) in weights.iter_mut().zip(columns.chunks_exact(n)) {
            *weight = vector::dot(column, rhs) / rho;
        }
        let norm = assemble(small, columns, coordinates, rho, T::zero());
        // Columns that are zero, or depend on each other, need no inverse: the least diagonal that elimination notices serves them.
        let mut factorised = dense::factor(small, exchanges, rank);
        if !factorised && norm > T::zero() {
            assemble(small, columns, coordinates, rho, T::from_f64(4.0 * rank as f64) * T::EPSILON * norm);
            factorised = dense::factor(small, exchanges, rank);
        }
        if factorised {
            seen.condition = Some(norm * dense::inverse_norm(small, exchanges, &mut unit_solution[..rank]));
            dense::solve(small, exchanges, weights);
        } else if norm > T::zero() {
            unit_solution.fill(T::zero());
            return seen.outcome(LinearStop::Singular, rhs_norm, T::one());
        }
        unit_solution.copy_from_slice(rhs);
        for (&weight, column) in weights.iter().zip(columns.chunks_exact(n)) {
            vector::axpy(-weight, column, unit_solution);
        }
        vector::scale(rho.recip(), unit_solution);
        operator.apply_to_solution(unit_solution, product);
        vector::add_scaled(rhs, -T::one(), product, direction);
        let residual = vector::norm(direction);
        let stop = if residual.is_finite() { LinearStop::Truncated } else { LinearStop::NonFinite };
        seen.outcome(stop, rhs_norm, residual)
    }

    fn correct(
        &self,
        operator: &mut impl Operator<T>,
        b: &[T],
        unit_solution: &mut [T],
        memory: &mut NystromMemory<T>,
        effort: Effort<T>,
    ) -> LinearStop {
        let cg = memory.cg.get_or_insert_with(|| CgMemory::new(b.len()));
        truncated_cg(operator, b, unit_solution, cg, effort)
    }

    fn at_tolerance(&self, _: f64) -> Self {
        *self
    }

    fn bytes(memory: &NystromMemory<T>) -> usize {
        let NystromMemory { rhs, direction, product, coordinates, columns, small, exchanges, weights, cg } = memory;
        bytes_of(&[rhs, direction, product, columns, small, weights])
            + bytes_of(&[coordinates, exchanges])
            + cg.as_ref().map_or(0, <super::Cg as LinearSolver<T>>::bytes)
    }
}
