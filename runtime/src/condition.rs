//! What the inner variable of a problem has to fulfil, and what can be used on it.

use crate::Float;
use crate::linear::{BiCgStab, Gmres, Neumann};
use crate::solve::{Anderson, Broyden, InnerSolver, NewtonCg, Picard};

/// The inner condition `F(w, λ) = 0` of a problem: [`Gradient`] or [`FixedPoint`].
pub trait Condition: Sized {
    /// Whether `F` is the gradient of a loss, so that points can be compared by it.
    const IS_GRADIENT: bool;
    /// What finds a solution to rounding.
    type Exact<T: Float>: InnerSolver<T> + Default;
}

/// `F = ∇_w f` of an inner loss, as `#[inner]` makes it.
#[derive(Debug, Clone, Copy)]
pub enum Gradient {}

/// `F = w − Φ(w, λ)` of a map, as `#[fixed_point]` makes it: there is no loss, and the Jacobian is not symmetric.
#[derive(Debug, Clone, Copy)]
pub enum FixedPoint {}

impl Condition for Gradient {
    const IS_GRADIENT: bool = true;
    type Exact<T: Float> = NewtonCg;
}

impl Condition for FixedPoint {
    const IS_GRADIENT: bool = false;
    type Exact<T: Float> = Anderson;
}

/// A solver or method that needs no more of a problem than its condition `K` gives.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used for a `#[fixed_point]` problem",
    label = "needs an inner loss, or a symmetric Hessian",
    note = "a fixed point is found by `Anderson`, `Broyden` or `Picard`, given to `.inner(..)`",
    note = "its hypergradient is made by `Implicit::gmres()`, `bicgstab()` or `neumann()`, by `Phantom`, or by `Unrolled::reverse()` with `GradientDescent::new(τ)`",
    note = "in generic code, `P: BilevelProblem<Condition = Gradient>` says that there is an inner loss"
)]
pub trait Suits<K> {}

impl<S> Suits<Gradient> for S {}

impl Suits<FixedPoint> for Anderson {}
impl Suits<FixedPoint> for Broyden {}
impl Suits<FixedPoint> for Picard {}
impl Suits<FixedPoint> for Gmres {}
impl Suits<FixedPoint> for BiCgStab {}
impl Suits<FixedPoint> for Neumann {}
