//! Hypergradients by dense matrices and formulas written out: nothing here comes from the library but the first derivatives of the losses and, for
//! problems without a formula, tangents of the inner gradient.

use bilevel::condition::Gradient;
use bilevel::linalg;
use bilevel::prelude::*;

use crate::cases::{Case, Dense};

/// An inner optimiser, with its hyperparameters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Optimizer {
    GradientDescent {
        rate: f64,
    },
    Momentum {
        rate: f64,
        momentum: f64,
    },
    Nesterov {
        rate: f64,
        momentum: f64,
    },
    RmsProp {
        rate: f64,
        decay: f64,
        epsilon: f64,
    },
    /// Adam where the weight decay is zero.
    AdamW {
        rate: f64,
        weight_decay: f64,
        betas: [f64; 2],
        epsilon: f64,
    },
}

/// `w` and two buffers, or their tangents: a column for every outer variable.
struct State<A> {
    w: A,
    first: A,
    second: A,
}

/// The hypergradient of `n_steps` steps of which the last `n_last` are differentiated: tangents of the state along every outer variable, which begin as zero
/// where the differentiated part begins.
pub(crate) fn unrolled<P: LossesReadOuter<Condition = Gradient, Float = f64>>(
    case: &Case<'_, P>,
    optimizer: Optimizer,
    n_steps: usize,
    n_last: usize,
) -> Result<Array1<f64>, bilevel::Error> {
    let (w, lambda) = (case.inner.flat(), case.outer.flat());
    let (n_inner, n_outer) = (w.len(), lambda.len());
    let zeros = || Array2::zeros((n_inner, n_outer));
    let mut state = State { first: Array1::zeros(n_inner), second: Array1::zeros(n_inner), w };
    let mut dot = State { w: zeros(), first: zeros(), second: zeros() };
    for t in 0..n_steps {
        if t + n_last == n_steps {
            dot = State { w: zeros(), first: zeros(), second: zeros() };
        }
        let Dense { gradient, hessian, mixed } = case.dense(&state.w, &lambda)?;
        let gradient_dot = hessian.dot(&dot.w) + mixed;
        step(optimizer, t, &mut state, &mut dot, &gradient, &gradient_dot);
    }
    let (inner_bar, outer_bar) = case.outer_gradients(&state.w, &lambda)?;
    Ok(outer_bar + dot.w.t().dot(&inner_bar))
}

/// Multiplies the rows of a matrix.
fn rows(factors: &Array1<f64>, matrix: &Array2<f64>) -> Array2<f64> {
    matrix * &factors.view().insert_axis(Axis(1))
}

/// One step of the state and of its tangents.
fn step(
    optimizer: Optimizer,
    t: usize,
    state: &mut State<Array1<f64>>,
    dot: &mut State<Array2<f64>>,
    g: &Array1<f64>,
    g_dot: &Array2<f64>,
) {
    match optimizer {
        Optimizer::GradientDescent { rate } => {
            state.w.scaled_add(-rate, g);
            dot.w.scaled_add(-rate, g_dot);
        }
        Optimizer::Momentum { rate, momentum } => {
            state.first = &state.first * momentum + g;
            dot.first = &dot.first * momentum + g_dot;
            state.w.scaled_add(-rate, &state.first);
            dot.w.scaled_add(-rate, &dot.first);
        }
        Optimizer::Nesterov { rate, momentum } => {
            state.first = &state.first * momentum + g;
            dot.first = &dot.first * momentum + g_dot;
            state.w.scaled_add(-rate, &(g + &(&state.first * momentum)));
            dot.w.scaled_add(-rate, &(g_dot + &(&dot.first * momentum)));
        }
        Optimizer::RmsProp { rate, decay, epsilon } => {
            state.second = &state.second * decay + &(g * g * (1.0 - decay));
            dot.second = &dot.second * decay + &rows(&(g * (2.0 * (1.0 - decay))), g_dot);
            let root = state.second.sqrt();
            let divisor = &root + epsilon;
            let divisor_dot = rows(&(0.5 / &root), &dot.second);
            state.w.scaled_add(-rate, &(g / &divisor));
            dot.w.scaled_add(-rate, &(rows(&(1.0 / &divisor), g_dot) - rows(&(g / &divisor / &divisor), &divisor_dot)));
        }
        Optimizer::AdamW { rate, weight_decay, betas: [beta1, beta2], epsilon } => {
            let k = t as i32 + 1;
            let (c1, c2) = (1.0 - beta1.powi(k), 1.0 - beta2.powi(k));
            state.first = &state.first * beta1 + &(g * (1.0 - beta1));
            dot.first = &dot.first * beta1 + &(g_dot * (1.0 - beta1));
            state.second = &state.second * beta2 + &(g * g * (1.0 - beta2));
            dot.second = &dot.second * beta2 + &rows(&(g * (2.0 * (1.0 - beta2))), g_dot);
            let root = (&state.second / c2).sqrt();
            let divisor = &root + epsilon;
            let divisor_dot = rows(&(0.5 / c2 / &root), &dot.second);
            let moved = rows(&(1.0 / c1 / &divisor), &dot.first) - rows(&(&state.first / c1 / &divisor / &divisor), &divisor_dot);
            state.w = &state.w * (1.0 - rate * weight_decay) - &(&state.first / c1 / &divisor * rate);
            dot.w = &dot.w * (1.0 - rate * weight_decay) - &(moved * rate);
        }
    }
}

/// A stationary point, to rounding, with what a linear system there is made of.
pub(crate) struct Stationary {
    dense: Dense,
    inner_bar: Array1<f64>,
    outer_bar: Array1<f64>,
    /// The largest eigenvalue of the Hessian.
    pub(crate) largest: f64,
}

/// What stands in the place of `H⁻¹`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Inverse {
    Exact,
    /// `(H + δI)⁻¹`
    Damped(f64),
    /// `α Σ (I − αH)ᵏ` for `k` from 0 to `terms`.
    Series {
        step: f64,
        terms: usize,
    },
}

impl Stationary {
    /// Newton's method with dense matrices from the end of a solve.
    pub(crate) fn new<P: LossesReadOuter<Condition = Gradient, Float = f64>>(case: &Case<'_, P>) -> Result<Self, bilevel::Error> {
        let lambda = case.outer.flat();
        let mut solver = case.problem.solver(Implicit::cg()).inner(NewtonCg::default().tolerance(1e-6));
        let mut w = solver.solve_inner(&case.outer, &case.inner)?.inner.flat();
        for _ in 0..5 {
            let Dense { gradient, hessian, .. } = case.dense(&w, &lambda)?;
            w -= &linalg::solve(&hessian, &gradient);
        }
        let dense = case.dense(&w, &lambda)?;
        let (inner_bar, outer_bar) = case.outer_gradients(&w, &lambda)?;
        let (eigenvalues, _) = linalg::eigh(&dense.hessian);
        Ok(Stationary { dense, inner_bar, outer_bar, largest: eigenvalues.iter().fold(0.0, |l: f64, &e| l.max(e)) })
    }

    /// `∂_λ g − Mᵀ q`, where `q` is `∂_w g` times the inverse.
    pub(crate) fn hypergradient(&self, inverse: Inverse) -> Array1<f64> {
        let Dense { hessian, mixed, .. } = &self.dense;
        let q = match inverse {
            Inverse::Exact => linalg::solve(hessian, &self.inner_bar),
            Inverse::Damped(delta) => linalg::solve(&(hessian + &(Array2::<f64>::eye(hessian.nrows()) * delta)), &self.inner_bar),
            Inverse::Series { step, terms } => {
                let mut term = self.inner_bar.clone();
                let mut sum = term.clone();
                for _ in 0..terms {
                    term = &term - &(hessian.dot(&term) * step);
                    sum += &term;
                }
                sum * step
            }
        };
        &self.outer_bar - &mixed.t().dot(&q)
    }
}
