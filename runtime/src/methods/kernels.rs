//! The kernels of one problem together with their workspace, counted.

use crate::linear::Operator;
use crate::problem::Fingerprint;
use crate::sampling::Batches;
use crate::solve::Objective;
use crate::{BilevelProblem, Error, Float, StepProblem};

/// A problem with the workspace of its kernels. Counts what it computes.
pub struct Kernels<'p, P: BilevelProblem> {
    problem: &'p P,
    workspace: P::Workspace,
    /// The first check that did not hold since the last [`Kernels::take_failed_check`].
    failed_check: Option<Error>,
    n_gradients: usize,
    n_products: usize,
    batches: Option<Batches>,
    /// The rows of a batch, and the step whose batch the kernels see; none where they see all rows.
    rows: Vec<usize>,
    shown: Option<usize>,
}

impl<'p, P: BilevelProblem> Kernels<'p, P> {
    /// Checks the data and the shapes of the variables, and makes the workspace.
    ///
    /// # Errors
    /// As [`BilevelProblem::workspace`].
    pub fn new(problem: &'p P, inner: &P::Inner, outer: &P::Outer) -> Result<Self, Error> {
        let workspace = problem.workspace(inner, outer)?;
        Ok(Kernels { problem, workspace, failed_check: None, n_gradients: 0, n_products: 0, batches: None, rows: Vec::new(), shown: None })
    }

    /// What a kernel found not to hold since the last call of this function. Whatever was computed since then is no result, also where a solver went on
    /// from it to a point at which everything holds.
    ///
    /// # Errors
    /// [`Error::CheckFailed`]
    pub fn take_failed_check(&mut self) -> Result<(), Error> {
        self.failed_check.take().map_or(Ok(()), Err)
    }

    /// Takes note of a check that did not hold in the kernel that has just run; says whether there is one.
    fn has_failed(&mut self) -> bool {
        let failed = P::take_failed_check(&mut self.workspace);
        let has_failed = failed.is_some();
        self.failed_check = self.failed_check.take().or(failed);
        has_failed
    }

    /// Bytes of the buffers of all kernels that have run.
    pub(crate) fn buffer_bytes(&self) -> usize {
        P::buffer_bytes(&self.workspace)
    }

    /// From here on the inner loss of each step that [`at_step`](Self::at_step) names is that of its batch.
    ///
    /// # Errors
    /// [`Error::NotApplicable`] where the problem does not say which data have rows, [`Error::InvalidSetting`] where there are no such batches.
    pub(super) fn draw(&mut self, batches: Option<Batches>) -> Result<(), Error> {
        self.show_all();
        self.batches = batches;
        let Some(batches) = batches else { return Ok(()) };
        let reason = "the problem does not say by `#[inner(.., sample(x, y))]` which data have rows that are drawn";
        batches.check(P::n_rows(&self.workspace).ok_or(Error::NotApplicable { setting: "Unrolled::batches", reason })?)
    }

    /// Shows the inner loss the batch of a step.
    pub(super) fn at_step(&mut self, step: usize) {
        let (Some(batches), false) = (self.batches, self.shown == Some(step)) else { return };
        if let Some(n) = P::n_rows(&self.workspace) {
            batches.draw(step, n, &mut self.rows);
            P::show_rows(&mut self.workspace, Some(&self.rows));
            self.shown = Some(step);
        }
    }

    /// Shows the losses all rows.
    pub(crate) fn show_all(&mut self) {
        if self.shown.take().is_some() {
            P::show_rows(&mut self.workspace, None);
        }
    }

    /// The hash of the problem's data.
    pub(crate) fn fingerprint(&self) -> String {
        let mut fingerprint = Fingerprint::default();
        self.problem.fingerprint(&self.workspace, &mut fingerprint);
        fingerprint.text()
    }

    /// Inner gradients and curvature products computed since the last call of this function.
    pub fn take_counts(&mut self) -> (usize, usize) {
        (std::mem::take(&mut self.n_gradients), std::mem::take(&mut self.n_products))
    }

    /// The inner loss as a function of `w`, at a fixed `λ`.
    pub fn inner_loss<'a>(&'a mut self, outer: &'a [P::Float]) -> InnerLoss<'a, 'p, P> {
        InnerLoss { kernels: self, outer }
    }

    /// `f(w, λ)` and `∇_λ f`, counted as a gradient.
    pub(super) fn inner_value_and_outer_grad(&mut self, inner: &[P::Float], outer: &[P::Float], outer_bar: &mut [P::Float]) -> P::Float {
        self.n_gradients += 1;
        let value = self.problem.inner_value_and_outer_grad(&mut self.workspace, inner, outer, outer_bar);
        if self.has_failed() { P::Float::from_f64(f64::NAN) } else { value }
    }

    /// `g(w, λ)`, and its gradients `∂_w g` and `∂_λ g`, on all rows.
    pub fn outer_value_and_grad(
        &mut self,
        inner: &[P::Float],
        outer: &[P::Float],
        inner_bar: &mut [P::Float],
        outer_bar: &mut [P::Float],
    ) -> P::Float {
        self.show_all();
        let value = self.problem.outer_value_and_grad(&mut self.workspace, inner, outer, inner_bar, outer_bar);
        // Solvers stop at a loss that is not a number.
        if self.has_failed() { P::Float::from_f64(f64::NAN) } else { value }
    }

    /// Linearizes the inner condition at a point. The result is `F_wᵀ` as an operator, the Hessian of a loss; its product with a solution also
    /// writes the mixed product `F_λᵀ v` to `mixed`.
    pub(super) fn hessian<'a>(&'a mut self, inner: &[P::Float], outer: &[P::Float], mixed: &'a mut [P::Float]) -> Hessian<'a, 'p, P> {
        self.inner_curvature(inner, outer);
        Hessian { kernels: self, mixed }
    }

    /// Linearizes the inner condition at a point. The result is `F_w` as an operator; `zeros` is as long as the outer variable.
    pub(super) fn jacobian<'a>(&'a mut self, inner: &[P::Float], outer: &[P::Float], zeros: &'a [P::Float]) -> Jacobian<'a, 'p, P> {
        self.inner_gradient_linearize(inner, outer);
        Jacobian { kernels: self, zeros }
    }

    /// `∇_w f`, counted; the value is not.
    pub(crate) fn inner_gradient(&mut self, inner: &[P::Float], outer: &[P::Float], gradient: &mut [P::Float]) -> P::Float {
        self.inner_loss(outer).value_and_grad(inner, gradient)
    }

    /// Both products with `u` at a point: `(∇²_ww f · u, ∇²_λw f · u)`.
    pub(super) fn both_products(
        &mut self,
        inner: &[P::Float],
        outer: &[P::Float],
        u: &[P::Float],
        product: &mut [P::Float],
        mixed: &mut [P::Float],
    ) {
        self.inner_curvature(inner, outer);
        self.curvature_apply(u, product, Some(mixed));
    }

    /// The cotangents of both variables for a cotangent of `∇_w f`, reverse over reverse.
    pub(super) fn inner_gradient_vjp(
        &mut self,
        inner: &[P::Float],
        outer: &[P::Float],
        cotangent: &[P::Float],
        inner_bar: &mut [P::Float],
        outer_bar: &mut [P::Float],
    ) {
        self.n_products += 1;
        self.problem.inner_gradient_vjp(&mut self.workspace, inner, outer, cotangent, inner_bar, outer_bar);
        if self.has_failed() {
            inner_bar.fill(P::Float::from_f64(f64::NAN));
        }
    }

    /// Linearizes `∇_w f` in both variables at a point.
    pub(super) fn inner_gradient_linearize(&mut self, inner: &[P::Float], outer: &[P::Float]) {
        self.problem.inner_gradient_linearize(&mut self.workspace, inner, outer);
        self.has_failed();
    }

    /// The tangent of `∇_w f` at the point of the last [`inner_gradient_linearize`](Self::inner_gradient_linearize).
    pub(super) fn inner_gradient_jvp(&mut self, inner_dot: &[P::Float], outer_dot: &[P::Float], gradient_dot: &mut [P::Float]) {
        self.n_products += 1;
        self.problem.inner_gradient_jvp(&mut self.workspace, inner_dot, outer_dot, gradient_dot);
        if self.has_failed() || self.failed_check.is_some() {
            gradient_dot.fill(P::Float::from_f64(f64::NAN));
        }
    }

    /// The same at the point of the last [`hessian`](Self::hessian), which is not linearized again.
    pub(super) fn hessian_again<'a>(&'a mut self, mixed: &'a mut [P::Float]) -> Hessian<'a, 'p, P> {
        Hessian { kernels: self, mixed }
    }

    pub(crate) fn inner_curvature(&mut self, inner: &[P::Float], outer: &[P::Float]) {
        self.problem.inner_curvature(&mut self.workspace, inner, outer);
        self.has_failed();
    }

    pub(crate) fn curvature_apply(&mut self, v: &[P::Float], product: &mut [P::Float], mixed: Option<&mut [P::Float]>) {
        self.n_products += 1;
        self.problem.curvature_apply(&mut self.workspace, v, product, mixed);
        if self.has_failed() || self.failed_check.is_some() {
            product.fill(P::Float::from_f64(f64::NAN));
        }
    }
}

/// One of the kernels that give the cotangents of a step.
pub(super) type StepVjp<P> = fn(
    &P,
    &mut <P as BilevelProblem>::Workspace,
    usize,
    &[<P as BilevelProblem>::Float],
    &[<P as BilevelProblem>::Float],
    &[<P as BilevelProblem>::Float],
    &[<P as BilevelProblem>::Float],
    &[<P as BilevelProblem>::Float],
    &mut [<P as BilevelProblem>::Float],
    &mut [<P as BilevelProblem>::Float],
    &mut [<P as BilevelProblem>::Float],
);

/// The step of the problem's own. Its states `(w, s)` are one vector, of which the first `n_inner` elements are `w`.
impl<P: StepProblem> Kernels<'_, P> {
    /// The shape of each leaf of the state beside `w`.
    pub(super) fn state_shapes(&self) -> Vec<Vec<usize>> {
        P::state_shapes(&self.workspace)
    }

    /// Checks what depends on the number of steps.
    pub(super) fn check_steps(&self, n_steps: usize) -> Result<(), Error> {
        P::check_steps(&self.workspace, n_steps)
    }

    /// The step with index `t`.
    pub(super) fn step(&mut self, n_inner: usize, t: usize, before: &[P::Float], outer: &[P::Float], after: &mut [P::Float]) {
        self.n_gradients += P::N_GRADIENTS;
        let ((inner, state), (next_inner, next_state)) = (before.split_at(n_inner), after.split_at_mut(n_inner));
        self.problem.step(&mut self.workspace, t, inner, state, outer, next_inner, next_state);
        if self.has_failed() {
            after.fill(P::Float::from_f64(f64::NAN));
        }
    }

    /// The cotangents before the step, written to the first of `bars`, and of the outer variable, written to the second.
    pub(super) fn step_vjp(
        &mut self,
        vjp: StepVjp<P>,
        n_inner: usize,
        t: usize,
        (before, outer): (&[P::Float], &[P::Float]),
        after_bar: &[P::Float],
        (before_bar, outer_bar): (&mut [P::Float], &mut [P::Float]),
    ) {
        self.n_products += P::N_GRADIENTS;
        let ((inner, state), (next_inner_bar, next_state_bar)) = (before.split_at(n_inner), after_bar.split_at(n_inner));
        let (inner_bar, state_bar) = before_bar.split_at_mut(n_inner);
        let workspace = &mut self.workspace;
        vjp(self.problem, workspace, t, inner, state, outer, next_inner_bar, next_state_bar, inner_bar, state_bar, outer_bar);
        if self.has_failed() {
            before_bar.fill(P::Float::from_f64(f64::NAN));
        }
    }

    /// Linearizes the step at a state.
    pub(super) fn step_linearize(&mut self, n_inner: usize, t: usize, before: &[P::Float], outer: &[P::Float]) {
        let (inner, state) = before.split_at(n_inner);
        self.problem.step_linearize(&mut self.workspace, t, inner, state, outer);
        self.has_failed();
    }

    /// The tangent after the step of the last [`step_linearize`](Self::step_linearize).
    pub(super) fn step_jvp(&mut self, n_inner: usize, before_dot: &[P::Float], outer_dot: &[P::Float], after_dot: &mut [P::Float]) {
        self.n_products += P::N_GRADIENTS;
        let ((inner_dot, state_dot), (next_inner_dot, next_state_dot)) = (before_dot.split_at(n_inner), after_dot.split_at_mut(n_inner));
        self.problem.step_jvp(&mut self.workspace, inner_dot, state_dot, outer_dot, next_inner_dot, next_state_dot);
        if self.has_failed() || self.failed_check.is_some() {
            after_dot.fill(P::Float::from_f64(f64::NAN));
        }
    }
}

/// The inner loss `f(·, λ)` of a problem.
pub struct InnerLoss<'a, 'p, P: BilevelProblem> {
    kernels: &'a mut Kernels<'p, P>,
    outer: &'a [P::Float],
}

impl<P: BilevelProblem> Objective<P::Float> for InnerLoss<'_, '_, P> {
    fn value_and_grad(&mut self, w: &[P::Float], gradient: &mut [P::Float]) -> P::Float {
        self.kernels.n_gradients += 1;
        let value = self.kernels.problem.inner_value_and_grad(&mut self.kernels.workspace, w, self.outer, gradient);
        if self.kernels.has_failed() { P::Float::from_f64(f64::NAN) } else { value }
    }

    fn curvature(&mut self, w: &[P::Float]) {
        self.kernels.inner_curvature(w, self.outer);
    }

    fn curvature_apply(&mut self, v: &[P::Float], product: &mut [P::Float]) {
        self.kernels.curvature_apply(v, product, None);
    }
}

/// The Jacobian `F_w` of the inner condition.
pub(super) struct Jacobian<'a, 'p, P: BilevelProblem> {
    kernels: &'a mut Kernels<'p, P>,
    /// The tangent of the outer variable.
    zeros: &'a [P::Float],
}

impl<P: BilevelProblem> Operator<P::Float> for Jacobian<'_, '_, P> {
    fn apply(&mut self, v: &[P::Float], product: &mut [P::Float]) {
        self.kernels.inner_gradient_jvp(v, self.zeros, product);
    }

    fn is_symmetric(&self) -> bool {
        P::SYMMETRIC_HESSIAN
    }
}

/// The transposed Jacobian `F_wᵀ` of the inner condition, which for a loss is its Hessian `∇²_ww f`, and the mixed product `F_λᵀ v` with the last solution.
pub(super) struct Hessian<'a, 'p, P: BilevelProblem> {
    kernels: &'a mut Kernels<'p, P>,
    mixed: &'a mut [P::Float],
}

impl<P: BilevelProblem> Operator<P::Float> for Hessian<'_, '_, P> {
    fn apply(&mut self, v: &[P::Float], product: &mut [P::Float]) {
        self.kernels.curvature_apply(v, product, None);
    }

    fn apply_to_solution(&mut self, x: &[P::Float], product: &mut [P::Float]) {
        self.kernels.curvature_apply(x, product, Some(self.mixed));
    }

    fn is_symmetric(&self) -> bool {
        P::SYMMETRIC_HESSIAN
    }
}
