//! The crate's own functions on scalars and arrays, as a user calls them in plain Rust.
//!
//! The compiler knows each of them by name and differentiates it by its formula; these are what the user's function calls when it runs as it stands.
//! All are stable over the whole range of floats. Like `ndarray`, they panic with a clear message on shapes that do not fit.

mod arrays;
mod elementwise;
mod held;
mod losses;
mod networks;
mod rows;
mod windows;
pub(crate) mod witness;

pub use arrays::{
    argmax, argmax_axis, argmin, argmin_axis, batched_dot, cumsum, gather, max_axis, min_axis, norm, outer, scatter_add, select,
};
pub use elementwise::{ArrayFunctions, ScalarFunctions};
pub use held::stop_gradient;
pub use losses::{cross_entropy, mse};
pub use networks::{attention, batch_norm, causal_attention, embedding, layer_norm, log_softmax, masked_attention, one_hot};
pub use rows::{LastAxis, log_sum_exp, softmax};
pub use windows::{Sides, avg_pool2d, conv2d, dilated_conv2d, max_pool2d};
