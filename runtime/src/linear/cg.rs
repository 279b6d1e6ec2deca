//! Conjugate gradients, for a symmetric positive definite operator.
//!
//! The iteration runs on the system divided by `‖b‖`, so that neither very large nor very small right-hand sides overflow its squares. It
//! works on a residual that is updated, not recomputed, and which drifts from the true one by rounding: when it meets the tolerance, the
//! true residual is computed, and if that does not meet it the iteration restarts from there.

use super::{LinearOutcome, LinearSolver, LinearStop, Operator};
use crate::{Error, Float, vector};

/// Conjugate gradients.
///
/// One product with the operator per iteration, and one more at the end for the true residual; four vectors of memory.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[must_use]
pub struct Cg {
    tolerance: Option<f64>,
    max_iterations: Option<usize>,
}

/// Vectors of a solve by [`Cg`].
#[derive(Debug, Clone)]
pub struct CgMemory<T> {
    rhs: Vec<T>,
    residual: Vec<T>,
    direction: Vec<T>,
    product: Vec<T>,
}

impl<T: Float> CgMemory<T> {
    /// Memory for systems of `n` unknowns.
    pub(crate) fn new(n: usize) -> Self {
        CgMemory { rhs: vector::zeros(n), residual: vector::zeros(n), direction: vector::zeros(n), product: vector::zeros(n) }
    }

    /// Starts from zero, with the right-hand side scaled to norm one as residual. Gives the norm; where it is 0 or not finite, there is no
    /// such scale.
    fn start(&mut self, b: &[T], unit_solution: &mut [T]) -> T {
        let rhs_norm = vector::norm(b);
        vector::divide(b, rhs_norm, &mut self.rhs);
        self.residual.copy_from_slice(&self.rhs);
        unit_solution.fill(T::zero());
        rhs_norm
    }
}

impl Cg {
    /// The relative residual `‖b − Hx‖ / ‖b‖` to reach. Default: the machine epsilon to the power ⅔, 4·10⁻¹¹ in `f64` and 2·10⁻⁵ in `f32`.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// The most iterations. Default: ten times the number of unknowns, and at least 1000.
    pub fn max_iterations(mut self, max_iterations: usize) -> Self {
        self.max_iterations = Some(max_iterations);
        self
    }

    /// The tolerance in use for a float type.
    pub(crate) fn tolerance_for<T: Float>(&self) -> T {
        self.tolerance.map_or_else(|| T::EPSILON.powf(T::from_f64(2.0 / 3.0)), T::from_f64)
    }
}

impl<T: Float> LinearSolver<T> for Cg {
    type Memory = CgMemory<T>;

    fn memory(&self, n: usize) -> Result<CgMemory<T>, Error> {
        if let Some(value) = self.tolerance.filter(|value| !(value.is_finite() && *value >= 0.0)) {
            return Err(Error::InvalidSetting { setting: "Cg::tolerance", value, requirement: "finite and not negative" });
        }
        if self.max_iterations == Some(0) {
            return Err(Error::InvalidSetting { setting: "Cg::max_iterations", value: 0.0, requirement: "at least 1" });
        }
        Ok(CgMemory::new(n))
    }

    fn solve(&self, operator: &mut impl Operator<T>, b: &[T], unit_solution: &mut [T], memory: &mut CgMemory<T>) -> LinearOutcome {
        let rhs_norm = memory.start(b, unit_solution);
        let mut iteration = Iteration::new();
        if rhs_norm == T::zero() {
            return iteration.outcome(LinearStop::Converged, rhs_norm, T::zero());
        }
        if !rhs_norm.is_finite() {
            return iteration.outcome(LinearStop::NonFinite, rhs_norm, T::nan());
        }
        let tolerance = self.tolerance_for::<T>();
        let max_iterations = self.max_iterations.unwrap_or_else(|| (10 * b.len()).max(1000));
        let mut last_residual = T::infinity();
        loop {
            let stop = iteration.run(operator, unit_solution, memory, tolerance, max_iterations);
            let residual = true_residual(operator, unit_solution, memory);
            let rounding =
                T::from_f64(8.0) * T::EPSILON * (T::one() + iteration.largest_curvature.max(T::zero()) * vector::norm(unit_solution));
            let stop = match stop {
                _ if !residual.is_finite() => LinearStop::NonFinite,
                LinearStop::Converged if residual > tolerance.max(rounding) => {
                    // Another round from the true residual, as long as rounds make progress.
                    if residual + residual < last_residual {
                        last_residual = residual;
                        continue;
                    }
                    LinearStop::Stagnated
                }
                LinearStop::MaxIterations if self.max_iterations.is_some() => LinearStop::Truncated,
                stop => stop,
            };
            return iteration.outcome(stop, rhs_norm, residual);
        }
    }
}

/// Solves `H x̂ = b / ‖b‖` roughly, for a direction of descent: without the true residual, which costs a product. The tolerance is on the
/// updated one.
pub(crate) fn truncated_cg<T: Float>(
    operator: &mut impl Operator<T>,
    b: &[T],
    unit_solution: &mut [T],
    memory: &mut CgMemory<T>,
    tolerance: T,
    max_iterations: usize,
) -> LinearStop {
    memory.start(b, unit_solution);
    Iteration::new().run(operator, unit_solution, memory, tolerance, max_iterations)
}

/// Replaces the updated residual by the true one, and gives its norm.
fn true_residual<T: Float>(operator: &mut impl Operator<T>, x: &[T], memory: &mut CgMemory<T>) -> T {
    operator.apply_to_solution(x, &mut memory.product);
    vector::add_scaled(&memory.rhs, -T::one(), &memory.product, &mut memory.residual);
    vector::norm(&memory.residual)
}

/// What the iteration has seen so far, over all its rounds.
struct Iteration<T> {
    n_iterations: usize,
    n_products: usize,
    smallest_curvature: T,
    largest_curvature: T,
}

impl<T: Float> Iteration<T> {
    fn new() -> Self {
        Iteration { n_iterations: 0, n_products: 0, smallest_curvature: T::infinity(), largest_curvature: T::neg_infinity() }
    }

    /// Iterates from the solution and its residual until the updated residual meets the tolerance.
    fn run(
        &mut self,
        operator: &mut impl Operator<T>,
        x: &mut [T],
        memory: &mut CgMemory<T>,
        tolerance: T,
        max_iterations: usize,
    ) -> LinearStop {
        let CgMemory { residual, direction, product, .. } = memory;
        // Below the machine epsilon the updated residual says nothing about the true one.
        let tolerance = tolerance.max(T::EPSILON);
        direction.copy_from_slice(residual);
        let mut square = vector::dot(residual, residual);
        loop {
            if square.sqrt() <= tolerance {
                return LinearStop::Converged;
            }
            if self.n_iterations == max_iterations {
                return LinearStop::MaxIterations;
            }
            operator.apply(direction, product);
            let along = vector::dot(direction, product);
            let curvature = along / vector::dot(direction, direction);
            if !curvature.is_finite() {
                return LinearStop::NonFinite;
            }
            self.n_products += 1;
            self.smallest_curvature = self.smallest_curvature.min(curvature);
            self.largest_curvature = self.largest_curvature.max(curvature);
            // A curvature of this size is made of rounding, whatever its sign.
            let rounding = T::from_f64(8.0) * T::EPSILON * self.largest_curvature;
            if along <= T::zero() || curvature <= rounding {
                return LinearStop::NegativeCurvature;
            }
            let step = square / along;
            vector::axpy(step, direction, x);
            vector::axpy(-step, product, residual);
            let new_square = vector::dot(residual, residual);
            vector::xpby(residual, new_square / square, direction);
            square = new_square;
            self.n_iterations += 1;
        }
    }

    fn outcome(&self, stop: LinearStop, rhs_norm: T, relative_residual: T) -> LinearOutcome {
        let seen = self.n_products > 0;
        LinearOutcome {
            stop,
            n_iterations: self.n_iterations,
            rhs_norm: rhs_norm.to_f64(),
            residual: (rhs_norm * relative_residual).to_f64(),
            relative_residual: relative_residual.to_f64(),
            smallest_curvature: seen.then(|| self.smallest_curvature.to_f64()),
            largest_curvature: seen.then(|| self.largest_curvature.to_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dense symmetric matrix as an operator, and the number of products with it.
    struct Dense<T> {
        rows: Vec<Vec<T>>,
        n_products: usize,
    }

    impl<T: Float> Dense<T> {
        fn new(rows: Vec<Vec<T>>) -> Self {
            Dense { rows, n_products: 0 }
        }

        fn diagonal(diagonal: &[T]) -> Self {
            let row = |i| (0..diagonal.len()).map(|j| if i == j { diagonal[i] } else { T::zero() }).collect();
            Dense::new((0..diagonal.len()).map(row).collect())
        }
    }

    impl<T: Float> Operator<T> for Dense<T> {
        fn apply(&mut self, v: &[T], product: &mut [T]) {
            self.n_products += 1;
            for (product, row) in product.iter_mut().zip(&self.rows) {
                *product = vector::dot(row, v);
            }
        }
    }

    fn solve<T: Float>(cg: Cg, operator: &mut Dense<T>, b: &[T]) -> (Vec<T>, LinearOutcome) {
        let mut x = vec![T::nan(); b.len()];
        let mut memory = LinearSolver::<T>::memory(&cg, b.len()).unwrap();
        let outcome = cg.solve(operator, b, &mut x, &mut memory);
        vector::scale(T::from_f64(outcome.rhs_norm), &mut x);
        (x, outcome)
    }

    /// The Hilbert matrix plus a tenth of the identity: full, positive definite, condition about 16.
    fn hilbert<T: Float>(n: usize) -> Dense<T> {
        let entry = |i: usize, j: usize| T::from_f64(1.0 / (i + j + 1) as f64 + if i == j { 0.1 } else { 0.0 });
        Dense::new((0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect())
    }

    #[test]
    fn the_identity_takes_one_iteration() {
        let (x, outcome) = solve(Cg::default(), &mut Dense::diagonal(&[1.0; 5]), &[1.0, -2.0, 3.0, 0.5, 7.0]);
        assert_eq!(outcome.n_iterations, 1);
        assert_eq!(outcome.stop, LinearStop::Converged);
        for (x, b) in x.iter().zip([1.0_f64, -2.0, 3.0, 0.5, 7.0]) {
            assert!((x - b).abs() <= 1e-15 * b.abs());
        }
    }

    #[test]
    fn a_zero_right_hand_side_takes_no_product() {
        let mut operator = hilbert::<f64>(3);
        let (x, outcome) = solve(Cg::default(), &mut operator, &[0.0, -0.0, 0.0]);
        assert_eq!(x, [0.0; 3]);
        assert_eq!((outcome.stop, outcome.relative_residual, operator.n_products), (LinearStop::Converged, 0.0, 0));
    }

    #[test]
    fn n_iterations_suffice_for_any_scale_of_the_right_hand_side() {
        let expected = [0.3, -1.0, 2.0, 0.7, -0.1, 5.0, 1.0, -4.0];
        let mut b = [0.0; 8];
        hilbert::<f64>(8).apply(&expected, &mut b);
        for scale in [1e-150, 1.0, 1e150] {
            let scaled: Vec<f64> = b.iter().map(|b| b * scale).collect();
            let (x, outcome) = solve(Cg::default().tolerance(1e-14), &mut hilbert(8), &scaled);
            assert_eq!(outcome.stop, LinearStop::Converged, "{outcome:?}");
            assert!(outcome.n_iterations <= 16);
            for (x, expected) in x.iter().zip(expected) {
                assert!((x / scale - expected).abs() < 1e-12, "{scale:e}: {x:e} and not {expected}");
            }
        }
    }

    #[test]
    fn single_precision_at_extreme_scales() {
        for scale in [1e-30_f32, 1.0, 1e30] {
            let mut b = [0.0; 4];
            hilbert::<f32>(4).apply(&[1.0, -1.0, 2.0, 0.5], &mut b);
            let scaled = b.map(|b| b * scale);
            let (x, outcome) = solve(Cg::default(), &mut hilbert(4), &scaled);
            assert_eq!(outcome.stop, LinearStop::Converged, "{outcome:?}");
            for (x, expected) in x.iter().zip([1.0, -1.0, 2.0, 0.5]) {
                assert!((x / scale - expected).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn the_operator_may_be_scaled_too() {
        for scale in [1e-150, 1e150] {
            let (x, outcome) = solve(Cg::default(), &mut Dense::diagonal(&[scale, 2.0 * scale, 3.0 * scale]), &[1.0, 1.0, 1.0]);
            assert_eq!(outcome.stop, LinearStop::Converged);
            assert!((x[1] * scale - 0.5_f64).abs() < 1e-12);
        }
    }

    #[test]
    fn negative_curvature_stops_with_the_iterate_before_it() {
        // From b = (1, 1, 1): the first direction has curvature 3/3, a later one is negative.
        let (x, outcome) = solve(Cg::default(), &mut Dense::diagonal(&[4.0, 1.0, -2.0]), &[1.0, 1.0, 1.0]);
        assert_eq!(outcome.stop, LinearStop::NegativeCurvature);
        assert_eq!(outcome.n_iterations, 1);
        assert!(outcome.smallest_curvature.unwrap() < 0.0);
        assert!(x.iter().all(|x| (x - 1.0_f64).abs() < 1e-15), "one step from zero along b, of length 1: {x:?}");
    }

    #[test]
    fn a_singular_operator_is_not_positive_definite() {
        let (_, outcome) = solve(Cg::default(), &mut Dense::diagonal(&[2.0, 1.0, 0.0]), &[1.0, 1.0, 1.0]);
        assert_eq!(outcome.stop, LinearStop::NegativeCurvature);
        let (_, outcome) = solve(Cg::default(), &mut Dense::diagonal(&[0.0]), &[1.0]);
        assert_eq!((outcome.stop, outcome.n_iterations), (LinearStop::NegativeCurvature, 0));
    }

    /// Rounding makes the zero eigenvalues of `RᵀR` small numbers of either sign.
    #[test]
    fn a_system_that_is_singular_up_to_rounding_is_not_positive_definite() {
        for seed in 1..40 {
            let root: Vec<Vec<f64>> =
                (0..3).map(|i| (0..6).map(|j| f64::from((seed * (i * 7 + j * 5 + i * j * 3) + j) % 19) / 19.0).collect()).collect();
            let entry = |i: usize, j: usize| root.iter().map(|row| row[i] * row[j]).sum();
            let mut operator = Dense::new((0..6).map(|i| (0..6).map(|j| entry(i, j)).collect()).collect());
            let (_, outcome) = solve(Cg::default(), &mut operator, &[1.0, 0.3, -0.2, 0.7, 0.1, -0.9]);
            assert_eq!(outcome.stop, LinearStop::NegativeCurvature, "{seed}: {outcome:?}");
            assert!(outcome.n_iterations <= 3, "{seed}: {outcome:?}");
        }
    }

    /// As in a softmax whose shift nothing penalises: the least-norm solution.
    #[test]
    fn a_singular_system_with_a_solution_is_solved() {
        let rows = vec![vec![2.0, -1.0, -1.0], vec![-1.0, 3.0, -2.0], vec![-1.0, -2.0, 3.0]];
        let (x, outcome) = solve(Cg::default().tolerance(1e-12), &mut Dense::new(rows), &[4.0, -7.0, 3.0]);
        assert_eq!(outcome.stop, LinearStop::Converged, "{outcome:?}");
        for (x, expected) in x.iter().zip([4.0_f64 / 3.0, -5.0 / 3.0, 1.0 / 3.0]) {
            assert!((x - expected).abs() < 1e-12, "{x} and not {expected}");
        }
    }

    #[test]
    fn an_ill_conditioned_system_ends_at_the_accuracy_that_rounding_allows() {
        let diagonal: Vec<f64> = (0..60).map(|i| 10_f64.powf(-8.0 * f64::from(i) / 59.0)).collect();
        let (x, outcome) = solve(Cg::default().tolerance(1e-12), &mut Dense::diagonal(&diagonal), &vec![1.0; 60]);
        assert_eq!(outcome.stop, LinearStop::Converged, "{outcome:?}");
        assert!(outcome.relative_residual < 1e-7);
        for (x, d) in x.iter().zip(&diagonal) {
            assert!((x * d - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_truncated_solve_gives_the_iterate_it_has_reached() {
        let mut operator = hilbert::<f64>(6);
        let (_, outcome) = solve(Cg::default().max_iterations(2), &mut operator, &[1.0, 0.0, 2.0, 0.0, 3.0, 0.0]);
        assert_eq!((outcome.stop, outcome.n_iterations, operator.n_products), (LinearStop::Truncated, 2, 3));
        assert!(outcome.relative_residual > 1e-10 && outcome.relative_residual < 1.0);
    }

    #[test]
    fn non_finite_products_and_settings_are_refused() {
        let (_, outcome) = solve(Cg::default(), &mut Dense::diagonal(&[1.0, f64::NAN]), &[1.0, 1.0]);
        assert_eq!(outcome.stop, LinearStop::NonFinite);
        let (_, outcome) = solve(Cg::default(), &mut hilbert(2), &[1.0, f64::INFINITY]);
        assert_eq!(outcome.stop, LinearStop::NonFinite);
        assert!(LinearSolver::<f64>::memory(&Cg::default().tolerance(f64::NAN), 1).is_err());
        assert!(LinearSolver::<f64>::memory(&Cg::default().max_iterations(0), 1).is_err());
    }
}
