//! What the macro implements for a problem: the few kernels from which every method is built, and those of a step that the user writes.

use crate::condition::Condition;
pub use crate::fingerprint::{Bits, Fingerprint};
use crate::{Error, Float, Params};

/// One bilevel problem: `min over λ of g(w*(λ), λ)` where `w*(λ)` minimises the inner loss `f(w, λ)`.
///
/// `#[bilevel]` implements it for the generated `Problem` struct. The kernels work on flat vectors, the elements of the variables leaf
/// after leaf, and write into the caller's memory. Shapes, labels and finiteness of the data are checked once, in
/// [`workspace`](Self::workspace); the kernels after that do not panic and allocate nothing after their first turn. Whether the variables
/// are finite is checked by the solver, at every call.
pub trait BilevelProblem {
    /// `f64` or `f32`.
    type Float: Float;
    /// The inner variable, in the user's form.
    type Inner: Params<Float = Self::Float>;
    /// The outer variable, in the user's form.
    type Outer: Params<Float = Self::Float>;
    /// Dimensions, contiguous data and buffers.
    type Workspace;
    /// What the inner variable has to fulfil, `F(w, λ) = 0`. Where it is not [`Gradient`](crate::condition::Gradient), the kernels named after the inner gradient
    /// give `F` in its place, and the inner loss is `½‖F‖²`.
    type Condition: Condition;

    /// The names of the inner variable's leaves in order, for messages; the last stands for all further leaves.
    const INNER_NAMES: &'static [&'static str] = &["inner variable"];
    /// The names of the outer variable's leaves in order, for messages; the last stands for all further leaves.
    const OUTER_NAMES: &'static [&'static str] = &["outer variable"];

    /// For each leaf of the outer variable whether the gradient `∇_w f` depends on it. A hyperparameter of the inner optimiser that no loss computes with is `false`; leaves
    /// that are not named here count as `true`.
    const GRADIENT_READS: &'static [bool] = &[];

    /// Whether the Jacobian of the inner condition is certainly symmetric, as the Hessian of every function of which the whole derivative is taken.
    /// `stop_gradient` and rules of the user's may make it asymmetric, and are differentiated as they are; that of a fixed point is not.
    const SYMMETRIC_HESSIAN: bool = <Self::Condition as Condition>::IS_GRADIENT;

    /// Checks the data and the shapes of the variables against each other and makes the memory that the kernels use.
    ///
    /// # Errors
    /// [`Error`] naming the parameter: shapes that do not fit, an empty or non-finite array, an index out of range.
    fn workspace(&self, inner: &Self::Inner, outer: &Self::Outer) -> Result<Self::Workspace, Error>;

    /// What a kernel found not to hold since the last call of this function, if anything: what the kernels have given since then is no result. It
    /// depends on values that only the kernels know, so that [`workspace`](Self::workspace) could not check it; for example the number of turns of a
    /// `while` loop.
    fn take_failed_check(workspace: &mut Self::Workspace) -> Option<Error> {
        let _ = workspace;
        None
    }

    /// Adds all data and the lengths of their axes to a hash, by which files know the runs that they belong to.
    fn fingerprint(&self, workspace: &Self::Workspace, fingerprint: &mut Fingerprint) {
        let _ = (workspace, fingerprint);
    }

    /// Bytes of the buffers of all kernels that have run: the activations of the losses, and what their derivatives keep of them.
    fn buffer_bytes(workspace: &Self::Workspace) -> usize {
        let _ = workspace;
        0
    }

    /// The number of rows of the data that the inner loss samples; none where it names no such data.
    fn n_rows(workspace: &Self::Workspace) -> Option<usize> {
        let _ = workspace;
        None
    }

    /// Shows the kernels these rows of the sampled data, or all of them, from here on. Lengths of axes change with their number.
    fn show_rows(workspace: &mut Self::Workspace, rows: Option<&[usize]>) {
        let _ = (workspace, rows);
    }

    /// The inner loss `f(w, λ)` and its gradient `∇_w f`.
    fn inner_value_and_grad(
        &self,
        workspace: &mut Self::Workspace,
        inner: &[Self::Float],
        outer: &[Self::Float],
        inner_bar: &mut [Self::Float],
    ) -> Self::Float;

    /// The inner loss `f(w, λ)` and its gradient `∇_λ f` in the outer variable.
    fn inner_value_and_outer_grad(
        &self,
        workspace: &mut Self::Workspace,
        inner: &[Self::Float],
        outer: &[Self::Float],
        outer_bar: &mut [Self::Float],
    ) -> Self::Float;

    /// Linearizes the inner condition at `(w, λ)` for [`curvature_apply`](Self::curvature_apply): all that does not depend on the direction is
    /// computed here, once.
    fn inner_curvature(&self, workspace: &mut Self::Workspace, inner: &[Self::Float], outer: &[Self::Float]);

    /// The fused product `P(v) = (F_wᵀ v, F_λᵀ v)` at the point of the last [`inner_curvature`](Self::inner_curvature), in one pass. For the gradient of a loss with a
    /// symmetric Hessian it is `(∇²_ww f · v, ∇²_λw f · v)`, forward over reverse. Without `mixed` only the first is computed.
    fn curvature_apply(
        &self,
        workspace: &mut Self::Workspace,
        direction: &[Self::Float],
        hessian_product: &mut [Self::Float],
        mixed: Option<&mut [Self::Float]>,
    );

    /// Linearizes `∇_w f` at `(w, λ)` for [`inner_gradient_jvp`](Self::inner_gradient_jvp).
    fn inner_gradient_linearize(&self, workspace: &mut Self::Workspace, inner: &[Self::Float], outer: &[Self::Float]);

    /// The tangent of `∇_w f` along a direction in both variables, at the point of the last
    /// [`inner_gradient_linearize`](Self::inner_gradient_linearize).
    fn inner_gradient_jvp(
        &self,
        workspace: &mut Self::Workspace,
        inner_dot: &[Self::Float],
        outer_dot: &[Self::Float],
        gradient_dot: &mut [Self::Float],
    );

    /// The cotangents of both variables for a cotangent of `∇_w f`, reverse over reverse. Where the Hessian is symmetric they equal the products of
    /// [`curvature_apply`](Self::curvature_apply).
    fn inner_gradient_vjp(
        &self,
        workspace: &mut Self::Workspace,
        inner: &[Self::Float],
        outer: &[Self::Float],
        cotangent: &[Self::Float],
        inner_bar: &mut [Self::Float],
        outer_bar: &mut [Self::Float],
    );

    /// The outer loss `g(w, λ)`, and its gradients `∂_w g` and `∂_λ g`.
    fn outer_value_and_grad(
        &self,
        workspace: &mut Self::Workspace,
        inner: &[Self::Float],
        outer: &[Self::Float],
        inner_bar: &mut [Self::Float],
        outer_bar: &mut [Self::Float],
    ) -> Self::Float;
}

/// A problem whose outer variables are all read by a loss. A variable that only the optimiser reads moves no stationary point of the inner loss, so that the
/// methods that are about those would give it a hypergradient of zero. `#[bilevel]` implements this where it holds.
#[diagnostic::on_unimplemented(
    message = "an outer variable of this problem is read by the inner optimiser only, and `{Self}` has a hypergradient of zero in it by this method",
    label = "an outer variable of this problem reaches no loss",
    note = "implicit methods differentiate a stationary point, which does not depend on how the optimiser gets there",
    note = "use `Unrolled::reverse()`, `Unrolled::mixed()` or `Unrolled::forward()`, which differentiate the steps",
    note = "a function that is generic over problems asks for `P: LossesReadOuter` where it calls such a method"
)]
pub trait LossesReadOuter: BilevelProblem {}

/// A problem with a step of the inner optimiser that the user writes, a `#[step]` function `(w, s) ← Φ_t(w, s, λ)` of the inner variable `w` and the optimiser's
/// state `s`. [`OwnStep`](crate::methods::OwnStep) is the inner optimiser that makes it.
///
/// `#[bilevel]` implements it. The conventions are those of [`BilevelProblem`]; `state` is the elements of all of the state, leaf after leaf.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no step of its own",
    label = "no `#[step]` function in this problem",
    note = "write a `#[step]` function in its module, or take a built-in optimiser such as `Momentum::new(0.1, 0.9)`"
)]
pub trait StepProblem: BilevelProblem {
    /// The state of the optimiser, in the user's form.
    type State: Params<Float = Self::Float>;

    /// The names of the state's leaves in order, for messages.
    const STATE_NAMES: &'static [&'static str];
    /// How many gradients stand in the step. What a loop computes again and again is counted once.
    const N_GRADIENTS: usize;

    /// The shape of each leaf of the state, which are those of what the step gives back.
    fn state_shapes(workspace: &Self::Workspace) -> Vec<Vec<usize>>;

    /// Checks that what the step reads at the position of its index is long enough for so many steps.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] naming the array.
    fn check_steps(workspace: &Self::Workspace, n_steps: usize) -> Result<(), Error>;

    /// The step with this index, which counts from 0.
    #[allow(clippy::too_many_arguments)]
    fn step(
        &self,
        workspace: &mut Self::Workspace,
        index: usize,
        inner: &[Self::Float],
        state: &[Self::Float],
        outer: &[Self::Float],
        next_inner: &mut [Self::Float],
        next_state: &mut [Self::Float],
    );

    /// The cotangents of all variables before the step for those after it, the step differentiated as it is: reverse over reverse where it computes gradients.
    #[allow(clippy::too_many_arguments)]
    fn step_vjp(
        &self,
        workspace: &mut Self::Workspace,
        index: usize,
        inner: &[Self::Float],
        state: &[Self::Float],
        outer: &[Self::Float],
        next_inner_bar: &[Self::Float],
        next_state_bar: &[Self::Float],
        inner_bar: &mut [Self::Float],
        state_bar: &mut [Self::Float],
        outer_bar: &mut [Self::Float],
    );

    /// [`step_vjp`](Self::step_vjp) in mixed mode: the cotangent `u` of a gradient `∇_w f` becomes `(∇²_ww f · u, ∇²_λw f · u)` by one pass forward over reverse.
    /// The same for a step without gradients.
    #[allow(clippy::too_many_arguments)]
    fn step_mixed_vjp(
        &self,
        workspace: &mut Self::Workspace,
        index: usize,
        inner: &[Self::Float],
        state: &[Self::Float],
        outer: &[Self::Float],
        next_inner_bar: &[Self::Float],
        next_state_bar: &[Self::Float],
        inner_bar: &mut [Self::Float],
        state_bar: &mut [Self::Float],
        outer_bar: &mut [Self::Float],
    ) {
        self.step_vjp(workspace, index, inner, state, outer, next_inner_bar, next_state_bar, inner_bar, state_bar, outer_bar);
    }

    /// Linearizes the step at a point for [`step_jvp`](Self::step_jvp).
    fn step_linearize(
        &self,
        workspace: &mut Self::Workspace,
        index: usize,
        inner: &[Self::Float],
        state: &[Self::Float],
        outer: &[Self::Float],
    );

    /// The tangents after the step of the last [`step_linearize`](Self::step_linearize), for those before it.
    fn step_jvp(
        &self,
        workspace: &mut Self::Workspace,
        inner_dot: &[Self::Float],
        state_dot: &[Self::Float],
        outer_dot: &[Self::Float],
        next_inner_dot: &mut [Self::Float],
        next_state_dot: &mut [Self::Float],
    );
}
