//! The way back through the steps of an inner run.

use super::dynamics::{Dynamics, Step, Work};
use super::schedule::{Checkpoints, Run, there_and_back};
use super::{Kernels, Length, Memories, Mode, Point, UnrolledOutcome, check_finite, check_finite_at, inner_gradient, outer_loss};
use crate::{BilevelProblem, Error, Float, vector};

/// States, and the gradients at them where those are kept.
#[derive(Debug)]
pub(super) struct ReverseMemory<T> {
    /// The stack; what lies above its height is memory to be used again.
    slots: Vec<Slot<T>>,
    height: usize,
    most: usize,
    keeps_gradients: bool,
    n_inner: usize,
    /// `p`, the cotangent of the state.
    bar: Vec<T>,
    outer_bar: Vec<T>,
    /// The gradient of the outer loss in `w`.
    inner_bar: Vec<T>,
}

#[derive(Debug)]
struct Slot<T> {
    state: Vec<T>,
    gradient: Vec<T>,
    has_gradient: bool,
}

impl<T: Float> ReverseMemory<T> {
    pub(super) fn new([n_state, n_inner, n_outer]: [usize; 3], keeps_gradients: bool) -> Self {
        ReverseMemory {
            slots: Vec::new(),
            height: 0,
            most: 0,
            keeps_gradients,
            n_inner,
            bar: vector::zeros(n_state),
            outer_bar: vector::zeros(n_outer),
            inner_bar: vector::zeros(n_inner),
        }
    }

    /// Bytes of a state that is kept, with its gradient where that is kept too.
    pub(super) fn slot_bytes(&self) -> usize {
        (self.bar.len() + if self.keeps_gradients { self.n_inner } else { 0 }) * size_of::<T>()
    }

    /// Bytes of the vectors beside those.
    pub(super) fn n_vector_bytes(&self) -> usize {
        (self.bar.len() + self.outer_bar.len() + self.inner_bar.len()) * size_of::<T>()
    }

    /// Makes a step with its derivative, and the outer loss, for nothing but what that leaves in the kernels.
    pub(super) fn try_a_step<P: BilevelProblem<Float = T>, D: Dynamics<P>>(
        &mut self,
        kernels: &mut Kernels<'_, P>,
        (dynamics, bound): (&D, &D::Bound),
        (work, state): (&mut Work<T>, &mut [T]),
        mode: Mode,
        (outer, inner): (&[T], &[T]),
    ) -> Result<(), Error> {
        // The report asks for the gradient also where the step does not take it, and for one on all rows.
        inner_gradient(kernels, 0, outer, state, &mut work.gradient)?;
        kernels.at_step(0);
        if D::TAKES_GRADIENT {
            inner_gradient(kernels, 0, outer, state, &mut work.gradient)?;
        }
        let gradient = std::mem::take(&mut work.gradient);
        self.bar.fill(T::zero());
        let step = Step { t: 0, mode, outer, before: state, gradient: &gradient };
        dynamics.vjp(kernels, bound, step, work, &mut self.bar, &mut self.outer_bar);
        work.gradient = gradient;
        dynamics.step(kernels, bound, 0, outer, state, work)?;
        self.outer_bar.fill(T::zero());
        outer_loss(kernels, outer, inner, &mut self.inner_bar, &mut self.outer_bar).map(drop)
    }

    /// The cotangent of the start of the run, after the way back.
    pub(super) fn start_bar(&self, n_inner: usize) -> &[T] {
        &self.bar[..n_inner]
    }

    fn push(&mut self, state: &[T]) {
        let n_gradient = if self.keeps_gradients { self.n_inner } else { 0 };
        match self.slots.get_mut(self.height) {
            Some(slot) => {
                slot.state.copy_from_slice(state);
                slot.has_gradient = false;
            }
            None => self.slots.push(Slot { state: state.to_vec(), gradient: vector::zeros(n_gradient), has_gradient: false }),
        }
        self.height += 1;
        self.most = self.most.max(self.height);
    }

    fn top(&mut self) -> Option<&mut Slot<T>> {
        self.slots[..self.height].last_mut()
    }
}

/// A run on its way.
struct Unrolling<'a, 'p, P: BilevelProblem, D: Dynamics<P>> {
    kernels: &'a mut Kernels<'p, P>,
    dynamics: &'a D,
    bound: &'a D::Bound,
    memory: &'a mut ReverseMemory<P::Float>,
    work: &'a mut Work<P::Float>,
    state: &'a mut [P::Float],
    how: How,
    outer: &'a [P::Float],
    /// The index of the first step that is differentiated.
    first: usize,
    inner: &'a mut [P::Float],
    /// The number of all steps and the outer loss, once the way back has begun.
    end: Option<(usize, P::Float)>,
    n_made: usize,
    first_norm: f64,
    growth: f64,
    /// Whether the current state is that on top of the stack.
    is_top: bool,
    /// Whether `work` has the gradient at the current state.
    has_gradient: bool,
}

/// What is done with a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    pub(super) mode: Mode,
    pub(super) checkpoints: Checkpoints,
    pub(super) length: Length,
    /// The number of steps that are differentiated, the last ones.
    pub(super) n_last: usize,
}

impl<P: BilevelProblem, D: Dynamics<P>> Unrolling<'_, '_, P, D> {
    /// The gradient at the current state, into `work`: from the top of the stack if it is kept there, else computed, and kept if that is the place for it.
    fn gradient(&mut self, t: usize) -> Result<(), Error> {
        if self.has_gradient {
            return Ok(());
        }
        self.has_gradient = true;
        let (is_top, keeps) = (self.is_top, self.memory.keeps_gradients);
        if let Some(slot) = self.memory.top().filter(|slot| is_top && keeps && slot.has_gradient) {
            self.work.gradient.copy_from_slice(&slot.gradient);
            return Ok(());
        }
        inner_gradient(self.kernels, t, self.outer, self.state, &mut self.work.gradient)?;
        if let Some(slot) = self.memory.top().filter(|_| is_top && keeps) {
            slot.gradient.copy_from_slice(&self.work.gradient);
            slot.has_gradient = true;
        }
        Ok(())
    }

    /// The gradient at the current state, if the step takes it. Shows the kernels what the step sees.
    fn gradient_for_step(&mut self, t: usize) -> Result<(), Error> {
        self.kernels.at_step(t);
        if D::TAKES_GRADIENT { self.gradient(t) } else { Ok(()) }
    }

    /// The outer loss and its gradients at a state after `n_steps` steps: where the way back begins.
    fn turn(&mut self, n_steps: usize, end: &[P::Float]) -> Result<(), Error> {
        let n = self.inner.len();
        self.inner.copy_from_slice(&end[..n]);
        let ReverseMemory { bar, outer_bar, inner_bar, .. } = &mut *self.memory;
        // Hyperparameters need not be variables of the problem.
        outer_bar.fill(P::Float::from_f64(0.0));
        let value = outer_loss(self.kernels, self.outer, self.inner, inner_bar, outer_bar)?;
        check_finite("the gradient of the outer loss", inner_bar)?;
        check_finite("the gradient of the outer loss", outer_bar)?;
        bar.fill(P::Float::from_f64(0.0));
        bar[..n].copy_from_slice(inner_bar);
        self.first_norm = vector::norm(bar).to_f64();
        self.end = Some((n_steps, value));
        Ok(())
    }
}

impl<P: BilevelProblem, D: Dynamics<P>> Run for Unrolling<'_, '_, P, D> {
    fn advance(&mut self, from: usize, to: usize) -> Result<(), Error> {
        for t in self.first + from..self.first + to {
            self.gradient_for_step(t)?;
            self.dynamics.step(self.kernels, self.bound, t, self.outer, self.state, self.work)?;
            (self.is_top, self.has_gradient) = (false, false);
            self.n_made += 1;
        }
        Ok(())
    }

    fn keep(&mut self) {
        self.memory.push(self.state);
        self.is_top = true;
        // A gradient that was computed before belongs to the slot too.
        self.has_gradient &= !self.memory.keeps_gradients;
    }

    fn restore(&mut self) {
        if let Some(slot) = self.memory.top() {
            self.state.copy_from_slice(&slot.state);
        }
        (self.is_top, self.has_gradient) = (true, false);
    }

    fn drop_top(&mut self) {
        self.memory.height -= 1;
        self.is_top = false;
    }

    fn remove(&mut self, position: usize) {
        let height = self.memory.height;
        self.memory.slots[position..height].rotate_left(1);
        self.memory.height -= 1;
        self.is_top &= position + 1 < height;
    }

    fn has_ended(&mut self, t: usize) -> Result<bool, Error> {
        if self.how.length.until.is_none() {
            return Ok(false);
        }
        self.gradient(self.first + t)?;
        Ok(self.how.length.is_reached(&self.work.gradient))
    }

    fn back(&mut self, t: usize) -> Result<(), Error> {
        let t = self.first + t;
        self.gradient_for_step(t)?;
        if self.end.is_none() {
            // The end of the run is made here.
            let mut end = std::mem::take(&mut self.work.state);
            end.copy_from_slice(self.state);
            let made = self.dynamics.step(self.kernels, self.bound, t, self.outer, &mut end, self.work);
            let turned = made.and_then(|()| self.turn(t + 1, &end));
            self.work.state = end;
            turned?;
        }
        // The outer loss has been shown all rows.
        self.kernels.at_step(t);
        let ReverseMemory { bar, outer_bar, .. } = &mut *self.memory;
        // The gradient is taken out of the working memory, which the derivatives of the step need for themselves.
        let gradient = std::mem::take(&mut self.work.gradient);
        let step = Step { t, mode: self.how.mode, outer: self.outer, before: self.state, gradient: &gradient };
        self.dynamics.vjp(self.kernels, self.bound, step, self.work, bar, outer_bar);
        self.work.gradient = gradient;
        check_finite_at("the cotangent of the inner variable", t, bar)?;
        if self.first_norm > 0.0 {
            self.growth = self.growth.max(vector::norm(bar).to_f64() / self.first_norm);
        }
        Ok(())
    }
}

/// The hypergradient of the last steps of a run, from the state before them. Gives the outer loss.
pub(super) fn run<P: BilevelProblem, D: Dynamics<P>>(
    kernels: &mut Kernels<'_, P>,
    (dynamics, bound): (&D, &D::Bound),
    (memory, work, state): Memories<'_, ReverseMemory<P::Float>, P::Float>,
    how: How,
    Point { outer, inner }: Point<'_, P::Float>,
    gradient: &mut [P::Float],
) -> Result<(P::Float, UnrolledOutcome), Error> {
    (memory.height, memory.most) = (0, 0);
    let first = how.length.n_steps - how.n_last;
    let mut run = Unrolling {
        kernels,
        dynamics,
        bound,
        memory,
        work,
        state,
        how,
        outer,
        first,
        inner,
        end: None,
        n_made: 0,
        first_norm: 0.0,
        growth: 1.0,
        is_top: false,
        has_gradient: false,
    };
    there_and_back(how.checkpoints, how.n_last, &mut run)?;
    let (n_steps, value) = match run.end {
        Some(end) => end,
        // A run that has ended before its first step.
        None => {
            let start = run.state.to_vec();
            run.turn(first, &start)?;
            (first, run.end.map_or_else(|| P::Float::from_f64(f64::NAN), |(_, value)| value))
        }
    };
    let Unrolling { n_made, growth, memory, .. } = run;
    gradient.copy_from_slice(&memory.outer_bar);
    let n_differentiated = n_steps - first;
    let outcome = UnrolledOutcome {
        n_steps,
        n_differentiated,
        checkpoints: Some(how.checkpoints),
        // The first way through makes all steps but the last, which is made under its adjoint.
        n_remade: n_made.saturating_sub(n_differentiated.saturating_sub(1)),
        n_bytes: memory.most * memory.slot_bytes(),
        growth: Some(growth),
        online: None,
        n_clamped: 0,
        fit: None,
    };
    Ok((value, outcome))
}
