//! Tangents along an inner run.

use super::dynamics::{Dynamics, Step};
use super::{Kernels, Length, Memories, Mode, Point, UnrolledOutcome, check_finite, check_finite_at, outer_loss};
use crate::{BilevelProblem, Error, Float, vector};

/// The tangent of the state for each outer variable.
#[derive(Debug)]
pub(super) struct ForwardMemory<T> {
    columns: Vec<Vec<T>>,
    direction: Vec<T>,
}

impl<T: Float> ForwardMemory<T> {
    pub(super) fn new(n_state: usize, n_outer: usize) -> Self {
        ForwardMemory { columns: vec![vector::zeros(n_state); n_outer], direction: vector::zeros(n_outer) }
    }
}

/// The hypergradient of a run from its state. Gives the outer loss.
pub(super) fn run<P: BilevelProblem, D: Dynamics<P>>(
    kernels: &mut Kernels<'_, P>,
    (dynamics, bound): (&D, &D::Bound),
    (memory, work, state): Memories<'_, ForwardMemory<P::Float>, P::Float>,
    length: Length,
    Point { outer, inner }: Point<'_, P::Float>,
    gradient: &mut [P::Float],
) -> Result<(P::Float, UnrolledOutcome), Error> {
    let ForwardMemory { columns, direction } = memory;
    let (zero, one) = (P::Float::from_f64(0.0), P::Float::from_f64(1.0));
    columns.iter_mut().for_each(|column| column.fill(zero));
    let mut n_steps = 0;
    for t in 0..length.n_steps {
        dynamics.gradient(kernels, bound, t, outer, state, &mut work.gradient)?;
        if length.is_reached(&work.gradient) {
            break;
        }
        n_steps += 1;
        let inner_gradient = std::mem::take(&mut work.gradient);
        let step = Step { t, mode: Mode::Forward, outer, before: state, gradient: &inner_gradient };
        dynamics.linearize(kernels, step);
        for (j, column) in columns.iter_mut().enumerate() {
            direction.fill(zero);
            direction[j] = one;
            dynamics.jvp(kernels, bound, step, work, column, direction);
            check_finite_at("the tangent of the inner variable", t, column)?;
        }
        work.gradient = inner_gradient;
        dynamics.step(kernels, bound, t, outer, state, &work.gradient);
    }
    let n = inner.len();
    inner.copy_from_slice(&state[..n]);
    let value = outer_loss(kernels, outer, inner, &mut work.product, gradient)?;
    check_finite("the gradient of the outer loss", &work.product)?;
    for (gradient, column) in gradient.iter_mut().zip(columns.iter()) {
        *gradient += vector::dot(&column[..n], &work.product);
    }
    let n_bytes = columns.len() * state.len() * size_of::<P::Float>();
    let outcome = UnrolledOutcome { n_steps, n_differentiated: n_steps, checkpoints: None, n_remade: 0, n_bytes, growth: None };
    Ok((value, outcome))
}
