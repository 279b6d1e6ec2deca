//! Pre-training to a stationary point, then fine-tuning by a few steps.
//!
//! `θ(φ) = argmin L_P(θ, φ)`, and `L_V` is the outer loss of a fine-tuning task after some steps of its optimiser that begin at `θ(φ)`. With
//! `v = dL_V/dθ`, the cotangent of where the steps begin, and `H_P q = v` the hypergradient is `−(∂²L_P/∂θ∂φ)ᵀ q`.

use std::any::type_name;
use std::fmt;

use super::{DISTANCE_LIMIT, Implicit, check_convexity, check_finite, check_linear, check_stationary, outer_loss, solve_inner};
use crate::condition::Gradient;
use crate::linear::{Damped, LinearSolver};
use crate::methods::{DefaultInner, Dynamics, Kernels, Method, Point, Sizes, Start, Unrolled};
use crate::problem::Fingerprint;
use crate::solve::{InnerOutcome, InnerSolver, Lbfgs, NewtonCg, NewtonCgMemory};
use crate::{BilevelProblem, Error, Float, LossesReadOuter, Params, Report, vector};

/// The hypergradient of pre-training followed by fine-tuning: implicit through the first, unrolled through the second.
///
/// It is a method for the pre-training problem, whose outer loss plays no part. What is fine-tuned is a problem of its own, in [`FineTuning`]; leaves of its
/// variables that have the name of a leaf of the pre-training's are that leaf:
/// - leaves of its inner variable begin where pre-training has ended, and all others, such as a new head, at the start that is given;
/// - leaves of its outer variable are held at what pre-training has found, as those of a frozen encoder, and differentiated there;
/// - leaves of either variable with the name of an outer variable of the pre-training are that outer variable.
///
/// ```
/// # use bilevel_runtime::{BilevelProblem, Error, LossesReadOuter, ProblemExt, condition::Gradient, methods::*, solve::*};
/// # fn example<P, Q>(pretraining: &P, task: &Q, phi: P::Outer, theta: P::Inner, start: Q::Inner, other: Q::Outer) -> Result<P::Outer, Error>
/// # where P: LossesReadOuter<Condition = Gradient, Float = f64>, Q: BilevelProblem<Float = f64> {
/// let fine_tuning = FineTuning::new(task, &start, &other, Unrolled::mixed().steps(5), GradientDescent::new(0.1));
/// let mut solver = pretraining.solver(TwoStage::new(Implicit::cg(), fine_tuning));
/// let h = solver.hypergradient(&phi, &theta)?;
/// # Ok(h.gradient)
/// # }
/// ```
///
/// One hypergradient costs a pre-training, the unrolled hypergradient of the fine-tuning, and a linear solve. Damping, warm starts and `unconverged` are those of
/// the implicit method. There is no error bound: it would need the fine-tuning to be differentiated twice. `minimize`, `check` and checkpoints are those of every method.
///
/// Raghu, Lorraine, Kornblith, McDermott and Duvenaud, *Meta-learning to improve pre-training* (2021).
#[must_use]
pub struct TwoStage<'q, L, Q: BilevelProblem, D> {
    pretraining: Implicit<L>,
    fine_tuning: FineTuning<'q, Q, D>,
}

impl<'q, L, Q: BilevelProblem, D> TwoStage<'q, L, Q, D> {
    /// Differentiates the pre-training by `pretraining` and then the fine-tuning.
    pub fn new(pretraining: Implicit<L>, fine_tuning: FineTuning<'q, Q, D>) -> Self {
        TwoStage { pretraining, fine_tuning }
    }
}

/// What follows pre-training: steps of an optimiser on a task, and the task's outer loss at their end.
#[must_use]
pub struct FineTuning<'q, Q: BilevelProblem, D> {
    task: &'q Q,
    start: &'q Q::Inner,
    outer: &'q Q::Outer,
    unrolled: Unrolled,
    update: D,
}

impl<'q, Q: BilevelProblem, D> FineTuning<'q, Q, D> {
    /// Steps of `update`, differentiated by `unrolled`, a reverse mode. `start` and `outer` are the variables of the task, of which those that come from pre-training only
    /// give their shapes.
    pub fn new(task: &'q Q, start: &'q Q::Inner, outer: &'q Q::Outer, unrolled: Unrolled, update: D) -> Self {
        FineTuning { task, start, outer, unrolled, update }
    }
}

impl<Q: BilevelProblem, D: fmt::Debug> fmt::Debug for FineTuning<'_, Q, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FineTuning { task, start, outer, unrolled, update } = self;
        // The variables and the data by their hash: that is what tells one fine-tuning from another.
        let mut given = Fingerprint::default();
        let bits = |x: &Q::Float| x.to_f64();
        given.numbers("start", &start.flat().iter().map(bits).collect::<Vec<f64>>());
        given.numbers("outer", &outer.flat().iter().map(bits).collect::<Vec<f64>>());
        if let Ok(workspace) = task.workspace(start, outer) {
            task.fingerprint(&workspace, &mut given);
        }
        f.debug_struct("FineTuning")
            .field("task", &type_name::<Q>())
            .field("given", &given.text())
            .field("unrolled", unrolled)
            .field("update", update)
            .finish()
    }
}

impl<L: fmt::Debug, Q: BilevelProblem, D: fmt::Debug> fmt::Debug for TwoStage<'_, L, Q, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TwoStage { pretraining, fine_tuning } = self;
        f.debug_struct("TwoStage").field("pretraining", pretraining).field("fine_tuning", fine_tuning).finish()
    }
}

/// Vectors of a hypergradient of two stages.
pub struct TwoStageMemory<'q, Q: BilevelProblem, L, I> {
    task: Kernels<'q, Q>,
    links: Vec<Link>,
    /// The variables of the fine-tuning, and the cotangents of both.
    start: Vec<Q::Float>,
    outer: Vec<Q::Float>,
    start_bar: Vec<Q::Float>,
    outer_bar: Vec<Q::Float>,
    /// `dL_V/dθ`
    inner_bar: Vec<Q::Float>,
    /// The solution of the last linear system, divided by the norm of its right-hand side, and that norm; 0 where there is none.
    solution: Vec<Q::Float>,
    rhs_norm: Q::Float,
    mixed: Vec<Q::Float>,
    linear: L,
    inner: I,
    /// Of the solver behind [`Method::exact_value`], once that has been asked for.
    exact: Option<NewtonCgMemory<Q::Float>>,
}

/// A leaf that both stages have: where it stands in a variable of the pre-training and in one of the fine-tuning.
#[derive(Debug, Clone)]
struct Link {
    from: (Side, usize),
    to: (Side, usize),
    len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Inner,
    Outer,
}

/// The leaves of a variable: their names, and where they stand. Leaves without a name of their own are none.
fn named<'n>(
    names: &'n [&'static str],
    lengths: &'n [usize],
    side: Side,
) -> impl Iterator<Item = (&'static str, (Side, usize), usize)> + 'n {
    names.iter().zip(lengths).scan(0, move |offset, (&name, &len)| {
        let at = *offset;
        *offset += len;
        Some((name, (side, at), len))
    })
}

/// The leaves that both stages have. All of the pre-training's outer variables may be among them, and at least one of its inner ones.
fn links<P: BilevelProblem, Q: BilevelProblem>(sizes: &Sizes<'_>, start: &[usize], outer: &[usize]) -> Result<Vec<Link>, Error> {
    let ours = || named(P::INNER_NAMES, sizes.inner, Side::Inner).chain(named(P::OUTER_NAMES, sizes.outer, Side::Outer));
    let mut links = Vec::new();
    for (name, to, len) in named(Q::INNER_NAMES, start, Side::Inner).chain(named(Q::OUTER_NAMES, outer, Side::Outer)) {
        let Some((_, from, found)) = ours().find(|(ours, ..)| *ours == name) else { continue };
        if found != len {
            return Err(Error::LeafLength { name, found, expected: len });
        }
        links.push(Link { from, to, len });
    }
    if !links.iter().any(|link| link.from.0 == Side::Inner) {
        let reason = "no leaf of the variables of the fine-tuning has the name of one that is pre-trained";
        return Err(Error::NotApplicable { setting: "TwoStage::new", reason });
    }
    Ok(links)
}

impl<L, Q: BilevelProblem, D> DefaultInner<Gradient> for TwoStage<'_, L, Q, D> {
    type Inner = Lbfgs;
}

impl<'q, Q: BilevelProblem, L, I> TwoStageMemory<'q, Q, L, I> {
    /// Gives the fine-tuning what the pre-training has found.
    fn hand_over(&mut self, outer: &[Q::Float], inner: &[Q::Float]) {
        for Link { from, to, len } in &self.links {
            let from = match from.0 {
                Side::Inner => &inner[from.1..from.1 + len],
                Side::Outer => &outer[from.1..from.1 + len],
            };
            let into = match to.0 {
                Side::Inner => &mut self.start,
                Side::Outer => &mut self.outer,
            };
            into[to.1..to.1 + len].copy_from_slice(from);
        }
    }

    /// Adds the cotangents of the fine-tuning's variables to those of the pre-training's.
    fn hand_back(&mut self, outer_bar: &mut [Q::Float]) {
        for Link { from, to, len } in &self.links {
            let bar = match to.0 {
                Side::Inner => &self.start_bar[to.1..to.1 + len],
                Side::Outer => &self.outer_bar[to.1..to.1 + len],
            };
            let into = match from.0 {
                Side::Inner => &mut self.inner_bar[from.1..from.1 + len],
                Side::Outer => &mut outer_bar[from.1..from.1 + len],
            };
            vector::axpy(Q::Float::from_f64(1.0), bar, into);
        }
    }
}

impl<L, Q: BilevelProblem, D: Dynamics<Q>> TwoStage<'_, L, Q, D> {
    /// The steps of the fine-tuning.
    fn steps(&self, task: &Kernels<'_, Q>) -> Result<Start<'_, Q, D>, Error> {
        let FineTuning { start, outer, unrolled, update, .. } = &self.fine_tuning;
        let sizes = Sizes { inner: &start.lengths(), outer: &outer.lengths(), outer_names: Q::OUTER_NAMES };
        Start::new(unrolled, update, task, &sizes)
    }

    /// The outer loss after fine-tuning from where the memory says.
    fn fine_tuned_value<LM, I>(&self, memory: &mut TwoStageMemory<'_, Q, LM, I>) -> Result<Q::Float, Error> {
        let TwoStageMemory { task, start, outer, start_bar, outer_bar, .. } = memory;
        let mut inner = start.clone();
        let value = self.steps(task)?.run(task, outer, &mut inner).and_then(|()| outer_loss(task, outer, &inner, start_bar, outer_bar));
        task.take_failed_check().and(value)
    }
}

impl<'q, P, L, Q, D, I> Method<P, I> for TwoStage<'q, L, Q, D>
where
    P: LossesReadOuter<Condition = Gradient>,
    Q: BilevelProblem<Float = P::Float>,
    L: LinearSolver<P::Float>,
    D: Dynamics<Q>,
    I: InnerSolver<P::Float>,
{
    type Memory = TwoStageMemory<'q, Q, L::Memory, I::Memory>;

    const FORGETS_ITS_START: bool = true;

    fn memory(&self, inner_solver: &I, kernels: &Kernels<'_, P>, sizes: &Sizes<'_>) -> Result<Self::Memory, Error> {
        let FineTuning { task, start, outer, .. } = &self.fine_tuning;
        let task = Kernels::new(*task, start, outer)?;
        // What does not make sense is found before the first pre-training.
        let _ = self.steps(&task)?;
        let (n_inner, n_outer) = (sizes.n_inner(), sizes.n_outer());
        let implicit = Method::<P, I>::memory(&self.pretraining, inner_solver, kernels, sizes)?;
        let (start_values, outer_values) = (start.flat().to_vec(), outer.flat().to_vec());
        Ok(TwoStageMemory {
            task,
            links: links::<P, Q>(sizes, &start.lengths(), &outer.lengths())?,
            start_bar: vector::zeros(start_values.len()),
            outer_bar: vector::zeros(outer_values.len()),
            start: start_values,
            outer: outer_values,
            inner_bar: vector::zeros(n_inner),
            solution: vector::zeros(n_inner),
            rhs_norm: P::Float::default(),
            mixed: vector::zeros(n_outer),
            linear: implicit.linear,
            inner: implicit.inner,
            exact: None,
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
        Point { outer, inner }: Point<'_, P::Float>,
    ) -> Result<InnerOutcome, Error> {
        inner_solver.minimize(&mut kernels.inner_loss(outer), inner, &mut memory.inner)
    }

    fn value(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        Point { outer, inner }: Point<'_, P::Float>,
    ) -> Result<P::Float, Error> {
        solve_inner(kernels, inner_solver, &mut memory.inner, (outer, inner), self.pretraining.unconverged)?;
        memory.hand_over(outer, inner);
        self.fine_tuned_value(memory)
    }

    fn exact_value(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        _: &I,
        Point { outer, inner }: Point<'_, P::Float>,
    ) -> Result<P::Float, Error> {
        let newton = NewtonCg::default().tolerance(0.0);
        let newton_memory = match &mut memory.exact {
            Some(kept) => kept,
            none => none.insert(InnerSolver::<P::Float>::memory(&newton, inner.len())?),
        };
        solve_inner(kernels, &newton, newton_memory, (outer, inner), self.pretraining.unconverged)?;
        memory.hand_over(outer, inner);
        self.fine_tuned_value(memory)
    }

    fn hypergradient(
        &self,
        kernels: &mut Kernels<'_, P>,
        memory: &mut Self::Memory,
        inner_solver: &I,
        Point { outer, inner }: Point<'_, P::Float>,
        gradient: &mut [P::Float],
    ) -> Result<(P::Float, Report), Error> {
        let Implicit { linear, damping, strong_convexity, warm_start, unconverged, .. } = &self.pretraining;
        kernels.take_counts();
        let inner_outcome = solve_inner(kernels, inner_solver, &mut memory.inner, (outer, inner), *unconverged)?;

        memory.hand_over(outer, inner);
        memory.task.take_counts();
        let mut steps = self.steps(&memory.task)?;
        let TwoStageMemory { task, start, outer: task_outer, start_bar, outer_bar, .. } = memory;
        let tuned = steps.gradient_with_outcome(task, task_outer, start, start_bar, outer_bar);
        task.take_failed_check()?;
        let (value, unrolled) = tuned?;
        check_finite("the gradient of the fine-tuned loss", start_bar)?;
        check_finite("the gradient of the fine-tuned loss", outer_bar)?;
        memory.inner_bar.fill(P::Float::default());
        gradient.fill(P::Float::default());
        memory.hand_back(gradient);

        let TwoStageMemory { inner_bar, solution, rhs_norm, mixed, linear: linear_memory, .. } = memory;
        // The last solution is that of `H q = b`, divided by the norm of the last `b`.
        let last_norm = std::mem::take(rhs_norm);
        if *warm_start && last_norm > P::Float::default() {
            vector::scale(last_norm / vector::norm(inner_bar), solution);
        } else {
            solution.fill(P::Float::default());
        }
        // Without a right-hand side there is no product, and the hypergradient is the direct term.
        mixed.fill(P::Float::default());
        let mut hessian = kernels.hessian(inner, outer, mixed);
        let mut damped = Damped::new(&mut hessian, P::Float::from_f64(*damping));
        let outcome = linear.solve(&mut damped, inner_bar, solution, linear_memory);
        check_linear(&outcome)?;
        check_convexity(*strong_convexity, &outcome, *damping)?;
        if let Some(largest_curvature) = outcome.largest_curvature.filter(|_| !unconverged) {
            check_stationary(&inner_outcome, DISTANCE_LIMIT * largest_curvature, inner)?;
        }
        *rhs_norm = P::Float::from_f64(outcome.rhs_norm);
        vector::axpy(-*rhs_norm, mixed, gradient);
        check_finite("the hypergradient", gradient)?;

        let vectors =
            [&memory.start_bar, &memory.start, &memory.outer, &memory.outer_bar, &memory.inner_bar, &memory.solution, &memory.mixed];
        let n_elements: usize = vectors.iter().map(|vector| vector.len()).sum();
        let task_bytes = memory.task.buffer_bytes() + unrolled.n_bytes;
        let (n_gradients, n_products) = kernels.take_counts();
        let (task_gradients, task_products) = memory.task.take_counts();
        let report = Report {
            linear: Some(outcome),
            unrolled: Some(unrolled),
            damping: *damping,
            peak_bytes: n_elements * size_of::<P::Float>() + L::bytes(&memory.linear) + task_bytes,
            ..Report::new(inner_outcome, n_gradients + task_gradients, n_products + task_products)
        };
        Ok((value, report))
    }

    fn save(&self, memory: &Self::Memory) -> Vec<f64> {
        [memory.rhs_norm].iter().chain(&memory.solution).map(|x| x.to_f64()).collect()
    }

    fn restore(&self, memory: &mut Self::Memory, saved: &[f64]) -> bool {
        <Self as Method<P, I>>::forget(self, memory);
        if saved.len() != memory.solution.len() + 1 {
            return false;
        }
        memory.rhs_norm = P::Float::from_f64(saved[0]);
        for (x, &s) in memory.solution.iter_mut().zip(&saved[1..]) {
            *x = P::Float::from_f64(s);
        }
        true
    }

    fn forget(&self, memory: &mut Self::Memory) {
        memory.rhs_norm = P::Float::default();
        self.pretraining.linear.forget(&mut memory.linear);
    }
}
