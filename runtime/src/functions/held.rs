//! What derivatives do not look through.

/// `x`, taken as a constant by everything that differentiates: the derivative of the result is zero, in every order.
///
/// In plain Rust it gives back what it gets. It takes numbers and arrays, owned or by reference, and tuples of them.
///
/// ```
/// use bilevel_runtime::functions::stop_gradient;
///
/// assert_eq!(stop_gradient(2.0), 2.0);
/// ```
#[must_use]
pub fn stop_gradient<T>(x: T) -> T {
    x
}
