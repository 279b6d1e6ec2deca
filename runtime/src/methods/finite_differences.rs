//! Implicit hypergradients whose curvature products are differences of gradients.

use super::implicit::{DISTANCE_LIMIT, check_finite, check_linear, check_stationary, outer_loss, solve_inner};
use super::{Adapted, DefaultInner, Kernels, Method, Point, Sizes};
use crate::condition::Gradient;
use crate::linear::{Cg, CgMemory, LinearSolver, Operator};
use crate::solve::{InnerOutcome, InnerSolver, Lbfgs, Objective};
use crate::{BilevelProblem, Error, Float, LossesReadOuter, Report, vector};

/// The implicit hypergradient with products `Hv ≈ (∇_w f(w + ev) − ∇_w f(w − ev)) / 2e`, and likewise `Mᵀv` from `∇_λ f`.
///
/// A fallback for losses whose second derivatives are not to be trusted, for example with rules of the user's own for first derivatives only, and an independent check
/// of the others. The gradients have to be those of the loss as it is: what `stop_gradient` holds constant moves in differences, so that for such losses the result is
/// another than that of `Implicit::gmres`. With `e = r max(1, ‖w‖/√n) / ‖v‖` the products have about ten digits in `f64` and four in `f32`; the linear system is solved by
/// conjugate gradients to a tolerance that leaves room for that. What an implicit hypergradient needs of the inner solution holds here too; see [`Implicit`](super::Implicit).
///
/// A product costs two gradients; no curvature products.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[must_use]
pub struct FiniteDifferences {
    radius: Option<f64>,
    tolerance: Option<f64>,
    max_iterations: Option<usize>,
    unconverged: bool,
}

/// Vectors of a hypergradient by [`FiniteDifferences`].
#[derive(Debug, Clone)]
pub struct FiniteDifferencesMemory<T, I> {
    inner_bar: Vec<T>,
    solution: Vec<T>,
    mixed: Vec<T>,
    point: Vec<T>,
    below: Vec<T>,
    mixed_below: Vec<T>,
    cg: CgMemory<T>,
    inner: I,
}

impl FiniteDifferences {
    /// How far from the inner solution the gradients are taken, relative to its size. Default: 10⁻⁵ in `f64` and 10⁻² in `f32`.
    pub fn radius(mut self, radius: f64) -> Self {
        self.radius = Some(radius);
        self
    }

    /// The relative residual of the linear system to reach. Default: 10⁻⁸ in `f64` and 10⁻³ in `f32`.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// The most iterations of conjugate gradients; a solve that ends there gives its iterate. Default: see [`Cg::max_iterations`].
    pub fn max_iterations(mut self, max_iterations: usize) -> Self {
        self.max_iterations = Some(max_iterations);
        self
    }

    fn cg<T: Float>(&self) -> Cg {
        let default = if size_of::<T>() == 8 { 1e-8 } else { 1e-3 };
        let cg = Cg::default().tolerance(self.tolerance.unwrap_or(default));
        self.max_iterations.map_or(cg, |n| cg.max_iterations(n))
    }
}

/// The Hessian at a point, by differences.
struct Differences<'a, 'p, P: BilevelProblem> {
    kernels: &'a mut Kernels<'p, P>,
    outer: &'a [P::Float],
    inner: &'a [P::Float],
    /// Of the point, times what the variable is large.
    radius: P::Float,
    point: &'a mut [P::Float],
    below: &'a mut [P::Float],
    mixed: &'a mut [P::Float],
    mixed_below: &'a mut [P::Float],
}

impl<T: Float, P: BilevelProblem<Float = T>> Differences<'_, '_, P> {
    /// The step along a direction; none for a direction of zero.
    fn step(&self, v: &[T]) -> Option<T> {
        let norm = vector::norm(v);
        (norm > T::zero()).then(|| self.radius / norm)
    }
}

/// `above ← (above − below) / 2e`
fn difference<T: Float>(above: &mut [T], below: &[T], step: T) {
    for (above, &below) in above.iter_mut().zip(below) {
        *above = (*above - below) / (step + step);
    }
}

impl<T: Float, P: BilevelProblem<Float = T>> Operator<T> for Differences<'_, '_, P> {
    fn apply(&mut self, v: &[T], product: &mut [T]) {
        let Some(step) = self.step(v) else { return product.fill(T::zero()) };
        vector::add_scaled(self.inner, -step, v, self.point);
        self.kernels.inner_loss(self.outer).value_and_grad(self.point, self.below);
        vector::add_scaled(self.inner, step, v, self.point);
        self.kernels.inner_loss(self.outer).value_and_grad(self.point, product);
        difference(product, self.below, step);
    }

    fn apply_to_solution(&mut self, x: &[T], product: &mut [T]) {
        self.apply(x, product);
        let Some(step) = self.step(x) else { return self.mixed.fill(T::zero()) };
        vector::add_scaled(self.inner, -step, x, self.point);
        self.kernels.inner_value_and_outer_grad(self.point, self.outer, self.mixed_below);
        vector::add_scaled(self.inner, step, x, self.point);
        self.kernels.inner_value_and_outer_grad(self.point, self.outer, self.mixed);
        difference(self.mixed, self.mixed_below, step);
    }
}

impl DefaultInner<Gradient> for FiniteDifferences {
    type Inner = Lbfgs;
}

impl<T: Float, P: LossesReadOuter<Condition = Gradient, Float = T>, I: InnerSolver<T>> Method<P, I> for FiniteDifferences {
    type Memory = FiniteDifferencesMemory<T, I::Memory>;

    const FORGETS_ITS_START: bool = true;

    fn memory(&self, inner_solver: &I, _: &Kernels<'_, P>, sizes: &Sizes<'_>) -> Result<Self::Memory, Error> {
        if let Some(value) = self.radius.filter(|radius| !(radius.is_finite() && *radius > 0.0)) {
            return Err(Error::InvalidSetting { setting: "FiniteDifferences::radius", value, requirement: "finite and positive" });
        }
        let (n_inner, n_outer) = (sizes.n_inner(), sizes.n_outer());
        Ok(FiniteDifferencesMemory {
            inner_bar: vector::zeros(n_inner),
            solution: vector::zeros(n_inner),
            mixed: vector::zeros(n_outer),
            point: vector::zeros(n_inner),
            below: vector::zeros(n_inner),
            mixed_below: vector::zeros(n_outer),
            cg: LinearSolver::<T>::memory(&self.cg::<T>(), n_inner)?,
            inner: inner_solver.memory(n_inner)?,
        })
    }

    fn settings(&self, inner_solver: &I) -> (String, String) {
        (format!("{self:?}"), format!("{inner_solver:?}"))
    }

    fn solve_inner(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        Point { outer, inner }: Point<'_, T>,
    ) -> Result<InnerOutcome, Error> {
        inner_solver.minimize(&mut kernels.inner_loss(outer), inner, &mut memory.inner)
    }

    fn value(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        Point { outer, inner }: Point<'_, T>,
    ) -> Result<T, Error> {
        solve_inner(kernels, inner_solver, &mut memory.inner, (outer, inner), self.unconverged)?;
        outer_loss(kernels, outer, inner, &mut memory.inner_bar, &mut memory.mixed)
    }

    /// With the inner solver at hand, which uses no second derivatives unless it is a Newton method, to its own tolerance.
    fn exact_value(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        point: Point<'_, T>,
    ) -> Result<T, Error> {
        self.value(kernels, memory, inner_solver, point)
    }

    fn hypergradient(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        Point { outer, inner }: Point<'_, T>,
        gradient: &mut [T],
    ) -> Result<(T, Report), Error> {
        let FiniteDifferencesMemory { inner_bar, solution, mixed, point, below, mixed_below, cg, inner: inner_memory } = memory;
        kernels.take_counts();
        let inner_outcome = solve_inner(kernels, inner_solver, inner_memory, (outer, inner), self.unconverged)?;
        let value = outer_loss(kernels, outer, inner, inner_bar, gradient)?;
        check_finite("the gradient of the outer loss", inner_bar)?;

        mixed.fill(T::zero());
        solution.fill(T::zero());
        let radius = self.radius.map_or_else(|| T::from_f64(if size_of::<T>() == 8 { 1e-5 } else { 1e-2 }), T::from_f64);
        let size = T::one().max(vector::norm(inner) / T::from_f64((inner.len() as f64).sqrt()));
        let mut hessian = Differences { kernels, outer, inner, radius: radius * size, point, below, mixed, mixed_below };
        let linear = self.cg::<T>().solve(&mut hessian, inner_bar, solution, cg);
        check_linear(&linear)?;
        if let Some(largest_curvature) = linear.largest_curvature.filter(|_| !self.unconverged) {
            check_stationary(&inner_outcome, DISTANCE_LIMIT * largest_curvature, inner)?;
        }
        vector::axpy(-T::from_f64(linear.rhs_norm), mixed, gradient);
        check_finite("the hypergradient", gradient)?;
        let (n_gradients, n_products) = kernels.take_counts();
        let n_elements = 4 * inner.len() + 2 * outer.len();
        let report = Report {
            linear: Some(linear),
            peak_bytes: n_elements * size_of::<T>() + <Cg as LinearSolver<T>>::bytes(cg),
            ..Report::new(inner_outcome, n_gradients, n_products)
        };
        Ok((value, report))
    }

    fn adapted(&self, inner_solver: &I, settings: Adapted) -> Option<(Self, I)> {
        let unconverged = self.unconverged || settings.inner_iterations.is_some();
        let method = FiniteDifferences { tolerance: settings.tolerance.or(self.tolerance), unconverged, ..*self };
        Some((method, settings.inner(inner_solver)))
    }
}
