//! What the macro implements for a problem: the few kernels from which every method is built.

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

    /// The names of the inner variable's leaves in order, for messages; the last stands for all further leaves.
    const INNER_NAMES: &'static [&'static str] = &["inner variable"];
    /// The names of the outer variable's leaves in order, for messages; the last stands for all further leaves.
    const OUTER_NAMES: &'static [&'static str] = &["outer variable"];

    /// For each leaf of the outer variable whether the gradient `∇_w f` depends on it. A hyperparameter of the inner optimiser that no loss computes with is `false`; leaves
    /// that are not named here count as `true`.
    const GRADIENT_READS: &'static [bool] = &[];

    /// Whether the Hessian of the inner loss is certainly symmetric, as that of every function of which the whole derivative is taken.
    /// `stop_gradient` and rules of the user's may make it asymmetric, and are differentiated as they are.
    const SYMMETRIC_HESSIAN: bool = true;

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

    /// Linearizes `(∇_w f, ∇_λ f)` at `(w, λ)` for [`curvature_apply`](Self::curvature_apply): all that does not depend on the direction is
    /// computed here, once.
    fn inner_curvature(&self, workspace: &mut Self::Workspace, inner: &[Self::Float], outer: &[Self::Float]);

    /// The fused product `P(v) = (∇²_ww f · v, ∇²_λw f · v)` at the point of the last [`inner_curvature`](Self::inner_curvature), in one
    /// forward-over-reverse pass. Without `mixed` only the first is computed.
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
