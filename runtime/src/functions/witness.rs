//! What the macro's witnesses call beside the crate's own methods.

use ndarray::{ArrayBase, RawData};

use crate::Float;

/// A second method of each name in [`ScalarFunctions`](super::ScalarFunctions) and [`ArrayFunctions`](super::ArrayFunctions), by which witnesses find
/// out whether the user's code has a third one in sight: a call that could mean either is an error. It is only reached through `rt`, since in sight of
/// a user's code it would take the calls.
pub trait OwnMethods {
    /// As [`ScalarFunctions::sigmoid`](super::ScalarFunctions::sigmoid) is called.
    fn sigmoid(&self) {}
    /// As [`ScalarFunctions::softplus`](super::ScalarFunctions::softplus) is called.
    fn softplus(&self) {}
    /// As [`ScalarFunctions::relu`](super::ScalarFunctions::relu) is called.
    fn relu(&self) {}
    /// As [`ArrayFunctions::erf`](super::ArrayFunctions::erf) is called.
    fn erf(&self) {}
    /// As [`ScalarFunctions::gelu`](super::ScalarFunctions::gelu) is called.
    fn gelu(&self) {}
    /// As [`ScalarFunctions::gelu_tanh`](super::ScalarFunctions::gelu_tanh) is called.
    fn gelu_tanh(&self) {}
}

impl<T: Float> OwnMethods for T {}
impl<S: RawData, D> OwnMethods for ArrayBase<S, D> {}

/// What an expansion knows the tokens of. A question for the tokens of a function has a type, which has this trait once there is an answer.
#[diagnostic::on_unimplemented(
    message = "the macro was not given the tokens of this item, so it cannot differentiate what uses it [B0503]",
    label = "neither has `#[differentiable]` nor a rule, or waits for the function that uses it",
    note = "put `#[differentiable]` on the function or constant where it is defined; `use path::name` then imports its tokens with it",
    note = "functions that call each other, directly or through others, cannot be differentiated: write the repetition as a `for` loop",
    note = "a function of another crate that has no body here needs a rule: wrap it in a function of your own with `#[derivative(of = ..)]`",
    note = "rustc says that there is no such macro since the attribute makes one of the item's name, which holds its tokens"
)]
pub trait Carried {
    /// Asks.
    const KNOWN: () = ();
}

/// The type of a question that has its answer. It is a trait of its own, so that who asks in vain is not told of other questions.
pub trait Answered {}

#[diagnostic::do_not_recommend]
impl<T: Answered> Carried for T {}

/// That two functions are one.
#[diagnostic::on_unimplemented(
    message = "this is not the function whose body the macro was given",
    label = "another function of this name is in sight",
    note = "import function and body together, by one `use`"
)]
pub trait Same<T> {}
#[diagnostic::do_not_recommend]
impl<T> Same<T> for T {}

/// Compiles only if both are one function. They come together, since rustc would otherwise take the type of one from the other, and then speak of mismatched
/// types.
pub fn same_function<F: Same<G>, G>(_named_and_carried: (F, G)) {}

/// A loop without a stated bound.
pub struct UnboundedLoop<'a>(std::marker::PhantomData<&'a ()>);

/// Stands for what a derivative would give that there is not.
pub struct Unavailable;

/// What reverse mode needs of a loop. Nothing implements it: the macro writes reverse mode only where all loops have it.
#[diagnostic::on_unimplemented(
    message = "this derivative runs a `while` or `loop` of the function backwards, and nothing says how many turns that takes at most",
    label = "needs a bound on the loop",
    note = "put `#[bound(n)]` on the loop, where `n` is at least the number of its turns; forward mode, `jvp`, needs none"
)]
pub trait HasBound {}

/// A function whose only rule gives cotangents.
pub struct CotangentRule<'a>(std::marker::PhantomData<&'a ()>);

/// What forward mode needs of a function with rules. Nothing implements it: the macro writes forward mode only where all have it.
#[diagnostic::on_unimplemented(
    message = "this derivative needs tangents, and a function that is called has a rule that gives cotangents only",
    label = "needs a rule that gives tangents",
    note = "write the `#[derivative(of = ..)]` with a tangent `x_dot` for each float parameter `x`; reverse mode follows from it; `vjp`, `grad` and `value_and_grad` need none"
)]
pub trait HasTangents {}
