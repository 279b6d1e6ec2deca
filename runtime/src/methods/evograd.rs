//! EvoGrad: a hypergradient from one virtual evolutionary step, by first derivatives only.
//!
//! Around the inner solution stand `K` perturbed copies `w_k = w + σξ_k`. Their losses `ℓ_k = f(w_k, λ)` give them the weights `a = softmax(−ℓ/τ)`, and the
//! outer loss at their mean `w̄ = Σ a_k w_k` is differentiated with respect to `λ`, on which only the weights depend: with `v = ∂_w g(w̄)`, `s_k = σ⟨v, ξ_k⟩`
//! and `s̄ = Σ a_k s_k` it is `∂_λ g − Σ a_k (s_k − s̄) ∇_λ f(w_k) / τ`.

use std::fmt;

use super::implicit::{check_finite, outer_loss};
use super::{Adapted, DefaultInner, Kernels, Method, Point, Sizes};
use crate::condition::Gradient;
use crate::random::SplitMix;
use crate::solve::{InnerOutcome, InnerSolver, Lbfgs};
use crate::{BilevelProblem, Error, Float, LossesReadOuter, Report, vector};

/// The hypergradient of one virtual evolutionary step at the inner solution (Bohdal, Yang and Hospedales, 2021).
///
/// It is an estimate of another quantity than the implicit one: where the losses of the copies differ by much less than the temperature, its mean over the
/// noise is `∂_λ g − α M ᵀ∂_w g` with `α = σ² (K − 1) / (K τ)`, a lookahead by one gradient step of size `α`. With the default settings `α` is 10⁻⁵, so that the outer
/// optimiser must not depend on the scale, as Adam does not, or the result must be [`rescaled`](Self::rescaled).
///
/// It costs `K + 1` gradients, and no curvature products; memory: two vectors of the size of `w`, and `K + 1` of the size of `λ`. The noise is
/// made anew from the seed wherever it is needed, and another for every outer step. The inner solver may stop anywhere: no stationary point is needed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct EvoGrad {
    n_copies: usize,
    sigma: f64,
    temperature: f64,
    seed: u64,
    noise: Noise,
    rescaled: bool,
}

/// The distribution of the perturbations of [`EvoGrad`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Noise {
    /// Plus or minus one in every coordinate.
    #[default]
    Signs,
    /// The standard normal distribution in every coordinate.
    Normal,
}

impl Default for EvoGrad {
    fn default() -> Self {
        EvoGrad { n_copies: 2, sigma: 1e-3, temperature: 0.05, seed: 0, noise: Noise::Signs, rescaled: false }
    }
}

/// Vectors of an [`EvoGrad`] hypergradient.
#[derive(Debug, Clone)]
pub struct EvoGradMemory<T, I> {
    /// A copy, and the mean of all.
    point: Vec<T>,
    inner_bar: Vec<T>,
    /// `∇_λ f` at every copy, one after the other.
    outer_bars: Vec<T>,
    losses: Vec<T>,
    slopes: Vec<T>,
    inner: I,
    /// Of hypergradients since the first, each of which has its own noise.
    n_made: u64,
}

/// How the copies of [`EvoGrad`] compared.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EvoGradOutcome {
    /// The number of copies.
    pub n_copies: usize,
    /// The largest weight of a copy.
    pub largest_weight: f64,
    /// The step size `α = σ² (K − 1) / (K τ)` of the lookahead that the result is in the mean.
    pub effective_step: f64,
    /// What makes the result doubtful, if anything.
    pub warning: Option<&'static str>,
}

impl fmt::Display for EvoGradOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EvoGradOutcome { n_copies, largest_weight, effective_step, warning } = self;
        write!(f, "{n_copies} copies, largest weight {largest_weight:.4}, a lookahead by {effective_step:.1e}")?;
        if let Some(warning) = warning { write!(f, "; warning: {warning}") } else { Ok(()) }
    }
}

impl EvoGrad {
    /// The number `K` of copies, at least 2. Default: 2.
    pub fn copies(mut self, n_copies: usize) -> Self {
        self.n_copies = n_copies;
        self
    }

    /// The size `σ` of the perturbations. Default: 0.001.
    pub fn sigma(mut self, sigma: f64) -> Self {
        self.sigma = sigma;
        self
    }

    /// The temperature `τ` of the weights. Default: 0.05.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// The seed of the noise. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The distribution of the noise. Default: [`Noise::Signs`].
    pub fn noise(mut self, noise: Noise) -> Self {
        self.noise = noise;
        self
    }

    /// Divides what goes through the weights by `α`, so that in the mean it is `−Mᵀ∂_w g`, of the size that other methods with a step of one have. Default: no.
    pub fn rescaled(mut self, rescaled: bool) -> Self {
        self.rescaled = rescaled;
        self
    }

    fn effective_step(&self) -> f64 {
        let k = self.n_copies as f64;
        self.sigma * self.sigma * (k - 1.0) / (k * self.temperature)
    }

    fn check(&self) -> Result<(), Error> {
        if self.n_copies < 2 {
            return Err(Error::InvalidSetting { setting: "EvoGrad::copies", value: self.n_copies as f64, requirement: "at least 2" });
        }
        for (setting, value) in [("EvoGrad::sigma", self.sigma), ("EvoGrad::temperature", self.temperature)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(Error::InvalidSetting { setting, value, requirement: "finite and positive" });
            }
        }
        Ok(())
    }

    /// Calls `f` with the noise of a copy, coordinate after coordinate.
    fn each_noise(&self, n_made: u64, copy: usize, n: usize, mut f: impl FnMut(usize, f64)) {
        let mut random = SplitMix::stream(self.seed, n_made.wrapping_mul(self.n_copies as u64).wrapping_add(copy as u64));
        for i in 0..n {
            let xi = match self.noise {
                Noise::Signs => random.sign(),
                Noise::Normal => random.normal(),
            };
            f(i, self.sigma * xi);
        }
    }

    /// The weights of the copies in the place of their losses, the mean of the copies in `point`, and the gradients of the loss in `λ` at each.
    fn weigh<T: Float, P: BilevelProblem<Float = T>, I>(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut EvoGradMemory<T, I>,
        outer: &[T],
        inner: &[T],
        n_made: u64,
    ) -> Result<(), Error> {
        let EvoGradMemory { point, outer_bars, losses, .. } = memory;
        for (k, (loss, outer_bar)) in losses.iter_mut().zip(outer_bars.chunks_exact_mut(outer.len())).enumerate() {
            point.copy_from_slice(inner);
            self.each_noise(n_made, k, inner.len(), |i, noise| point[i] += T::from_f64(noise));
            *loss = kernels.inner_value_and_outer_grad(point, outer, outer_bar);
        }
        check_finite("the inner loss at a perturbed copy", losses)?;
        check_finite("the gradient of the inner loss at a perturbed copy", outer_bars)?;
        let least = losses.iter().copied().fold(T::infinity(), T::min);
        let temperature = T::from_f64(self.temperature);
        losses.iter_mut().for_each(|loss| *loss = (-(*loss - least) / temperature).exp());
        let total: T = losses.iter().copied().sum();
        losses.iter_mut().for_each(|weight| *weight /= total);
        point.copy_from_slice(inner);
        for (k, &weight) in losses.iter().enumerate() {
            self.each_noise(n_made, k, inner.len(), |i, noise| point[i] += weight * T::from_f64(noise));
        }
        Ok(())
    }
}

impl DefaultInner<Gradient> for EvoGrad {
    type Inner = Lbfgs;
}

impl<T: Float, P: LossesReadOuter<Condition = Gradient, Float = T>, I: InnerSolver<T>> Method<P, I> for EvoGrad {
    type Memory = EvoGradMemory<T, I::Memory>;

    /// The copies stand around one point: where the inner solver ends, from where it starts.
    const FORGETS_ITS_START: bool = false;

    fn memory(&self, inner_solver: &I, _: &Kernels<'_, P>, sizes: &Sizes<'_>) -> Result<Self::Memory, Error> {
        self.check()?;
        let (n_inner, n_outer) = (sizes.n_inner(), sizes.n_outer());
        Ok(EvoGradMemory {
            point: vector::zeros(n_inner),
            inner_bar: vector::zeros(n_inner),
            outer_bars: vector::zeros(self.n_copies * n_outer),
            losses: vector::zeros(self.n_copies),
            slopes: vector::zeros(self.n_copies),
            inner: inner_solver.memory(n_inner)?,
            n_made: 0,
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

    /// The outer loss at the mean of the copies, with the noise of the last hypergradient.
    fn value(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        Point { outer, inner }: Point<'_, T>,
    ) -> Result<T, Error> {
        inner_solver.minimize(&mut kernels.inner_loss(outer), inner, &mut memory.inner)?;
        let n_made = memory.n_made.saturating_sub(1);
        self.weigh(kernels, memory, outer, inner, n_made)?;
        let EvoGradMemory { point, inner_bar, outer_bars, .. } = memory;
        outer_loss(kernels, outer, point, inner_bar, &mut outer_bars[..outer.len()])
    }

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
        kernels.take_counts();
        let inner_outcome = inner_solver.minimize(&mut kernels.inner_loss(outer), inner, &mut memory.inner)?;
        let n_made = memory.n_made;
        memory.n_made += 1;
        self.weigh(kernels, memory, outer, inner, n_made)?;
        let EvoGradMemory { point, inner_bar, outer_bars, losses: weights, slopes, .. } = memory;
        let value = outer_loss(kernels, outer, point, inner_bar, gradient)?;
        check_finite("the gradient of the outer loss", inner_bar)?;
        // Not as a difference of products with the copies themselves, in which all digits would cancel.
        for (k, slope) in slopes.iter_mut().enumerate() {
            let mut sum = T::zero();
            self.each_noise(n_made, k, inner_bar.len(), |i, noise| sum += inner_bar[i] * T::from_f64(noise));
            *slope = sum;
        }
        let mean = vector::dot(weights, slopes);
        let scale = if self.rescaled { self.effective_step() } else { 1.0 } * self.temperature;
        for ((&weight, &slope), outer_bar) in weights.iter().zip(slopes.iter()).zip(outer_bars.chunks_exact(outer.len())) {
            vector::axpy(-weight * (slope - mean) / T::from_f64(scale), outer_bar, gradient);
        }
        check_finite("the hypergradient", gradient)?;
        let largest_weight = weights.iter().copied().fold(T::zero(), T::max).to_f64();
        let outcome = EvoGradOutcome {
            n_copies: self.n_copies,
            largest_weight,
            effective_step: self.effective_step(),
            warning: if largest_weight > 0.999 {
                Some("one copy has all the weight: raise the temperature or lower sigma")
            } else if size_of::<T>() == 4 && largest_weight < 1.0 / self.n_copies as f64 + 1e-6 {
                Some("the weights differ by less than f32 resolves: lower the temperature, raise sigma or use f64")
            } else {
                None
            },
        };
        let (n_gradients, n_products) = kernels.take_counts();
        let n_elements = 2 * inner.len() + outer_bars.len() + outer.len() + 2 * self.n_copies;
        let report = Report {
            evograd: Some(outcome),
            peak_bytes: n_elements * size_of::<T>(),
            ..Report::new(inner_outcome, n_gradients, n_products)
        };
        Ok((value, report))
    }

    fn adapted(&self, inner_solver: &I, settings: Adapted) -> Option<(Self, I)> {
        Some((*self, settings.inner(inner_solver)))
    }

    fn save(&self, memory: &Self::Memory) -> Vec<f64> {
        vec![memory.n_made as f64]
    }

    fn restore(&self, memory: &mut Self::Memory, saved: &[f64]) -> bool {
        memory.n_made = saved.first().map_or(0, |&n| n as u64);
        saved.len() == 1
    }

    fn forget(&self, memory: &mut Self::Memory) {
        memory.n_made = 0;
    }
}
