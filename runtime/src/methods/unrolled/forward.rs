//! Tangents along an inner run.

use super::dynamics::{Dynamics, Step};
use super::{Kernels, Length, Memories, Mode, Point, UnrolledOutcome, check_finite, check_finite_at, inner_gradient, outer_loss};
use crate::methods::Sizes;
use crate::{BilevelProblem, Error, Float, vector};

/// The tangent of the state for each outer variable.
#[derive(Debug)]
pub(super) struct ForwardMemory<T> {
    columns: Vec<Column<T>>,
    direction: Vec<T>,
    /// Steps of the run that were made; an online run goes on from there.
    at: usize,
}

#[derive(Debug)]
struct Column<T> {
    tangent: Vec<T>,
    /// Whether the inner gradient reads the outer variable.
    is_in_gradient: bool,
    /// Whether a step has read it; until then the tangent is zero.
    is_active: bool,
}

impl<T: Float> ForwardMemory<T> {
    pub(super) fn new<P: BilevelProblem<Float = T>>(n_state: usize, sizes: &Sizes<'_>) -> Self {
        let leaves = sizes.outer.iter().enumerate();
        let reads = leaves.flat_map(|(leaf, &n)| std::iter::repeat_n(P::GRADIENT_READS.get(leaf).copied().unwrap_or(true), n));
        let column = |is_in_gradient| Column { tangent: vector::zeros(n_state), is_in_gradient, is_active: false };
        let columns: Vec<Column<T>> = reads.map(column).collect();
        ForwardMemory { direction: vector::zeros(columns.len()), columns, at: 0 }
    }

    /// Begins a run.
    pub(super) fn begin(&mut self) {
        self.at = 0;
        for column in &mut self.columns {
            column.tangent.fill(T::zero());
            column.is_active = false;
        }
    }

    /// Steps of the run that were made.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// All numbers that an online run goes on with.
    pub(super) fn save<'a>(&'a self, state: &'a [T]) -> Vec<f64> {
        let tangents = self
            .columns
            .iter()
            .flat_map(|column| [T::from_f64(f64::from(u8::from(column.is_active)))].into_iter().chain(column.tangent.iter().copied()));
        [self.at as f64].into_iter().chain(state.iter().copied().chain(tangents).map(Float::to_f64)).collect()
    }

    /// Puts back what [`save`](Self::save) gave. Says whether it fits.
    pub(super) fn restore(&mut self, state: &mut [T], saved: &[f64]) -> bool {
        let n = state.len();
        if saved.len() != 1 + n + self.columns.len() * (1 + n) {
            return false;
        }
        self.at = saved[0] as usize;
        let put = |to: &mut [T], from: &[f64]| to.iter_mut().zip(from).for_each(|(x, &s)| *x = T::from_f64(s));
        put(state, &saved[1..=n]);
        for (column, saved) in self.columns.iter_mut().zip(saved[1 + n..].chunks_exact(1 + n)) {
            column.is_active = saved[0] != 0.0;
            put(&mut column.tangent, &saved[1..]);
        }
        true
    }
}

/// Makes the steps from where the run is to step `end`, with their tangents, and gives the hypergradient there. Gives the outer loss.
pub(super) fn run<P: BilevelProblem, D: Dynamics<P>>(
    kernels: &mut Kernels<'_, P>,
    (dynamics, bound): (&D, &D::Bound),
    (memory, work, state): Memories<'_, ForwardMemory<P::Float>, P::Float>,
    (length, end): (Length, usize),
    Point { outer, inner }: Point<'_, P::Float>,
    gradient: &mut [P::Float],
) -> Result<(P::Float, UnrolledOutcome), Error> {
    let ForwardMemory { columns, direction, at } = memory;
    let (zero, one) = (P::Float::from_f64(0.0), P::Float::from_f64(1.0));
    let first = *at;
    work.n_clamped = 0;
    while *at < end {
        let t = *at;
        kernels.at_step(t);
        if D::TAKES_GRADIENT || length.until.is_some() {
            inner_gradient(kernels, t, outer, state, &mut work.gradient)?;
        }
        if length.is_reached(&work.gradient) {
            break;
        }
        let gradient_before = std::mem::take(&mut work.gradient);
        let step = Step { t, mode: Mode::Forward, outer, before: state, gradient: &gradient_before };
        let mut is_linearized = false;
        for (j, Column { tangent, is_in_gradient, is_active }) in columns.iter_mut().enumerate() {
            *is_active |= *is_in_gradient || dynamics.reads(bound, t, j);
            if !*is_active {
                continue;
            }
            if !std::mem::replace(&mut is_linearized, true) {
                dynamics.linearize(kernels, bound, step);
            }
            direction.fill(zero);
            direction[j] = one;
            dynamics.jvp(kernels, bound, step, work, tangent, direction);
            check_finite_at("the tangent of the inner variable", t, tangent)?;
        }
        work.gradient = gradient_before;
        dynamics.step(kernels, bound, t, outer, state, work)?;
        *at += 1;
    }
    let n = inner.len();
    inner.copy_from_slice(&state[..n]);
    // Hyperparameters need not be variables of the problem.
    gradient.fill(zero);
    let value = outer_loss(kernels, outer, inner, &mut work.product, gradient)?;
    check_finite("the gradient of the outer loss", &work.product)?;
    for (gradient, column) in gradient.iter_mut().zip(columns.iter()).filter(|(_, column)| column.is_active) {
        *gradient += vector::dot(&column.tangent[..n], &work.product);
    }
    let n_steps = *at - first;
    let outcome = UnrolledOutcome {
        n_steps,
        n_differentiated: n_steps,
        checkpoints: None,
        n_remade: 0,
        n_bytes: columns.len() * state.len() * size_of::<P::Float>(),
        growth: None,
        online: None,
        n_clamped: work.n_clamped,
        fit: None,
    };
    Ok((value, outcome))
}
