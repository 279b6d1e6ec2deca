//! What the macro's witnesses call beside the crate's own methods.

use ndarray::{ArrayBase, RawData};

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
}

impl OwnMethods for f64 {}
impl OwnMethods for f32 {}
impl<S: RawData, D> OwnMethods for ArrayBase<S, D> {}
