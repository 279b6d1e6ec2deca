//! Macros in the place of a statement or an expression.

use quote::ToTokens;

use super::Lowering;
use super::value::Value;
use crate::diagnostics::messages;
use crate::syntax::derivative::Derivative;

/// The macros that lower, and what to.
pub(super) const NAMES: &[(&str, &str)] = &[
    ("grad", "the gradient of the function, inside of this one"),
    ("value_and_grad", "its value and its gradient"),
    ("jvp", "its value and its tangent"),
    ("hvp", "its Hessian times a direction"),
    ("assert", "nothing: it runs in the function itself"),
    ("assert_eq", "nothing: it runs in the function itself"),
    ("assert_ne", "nothing: it runs in the function itself"),
    ("debug_assert", "nothing: it runs in the function itself"),
    ("debug_assert_eq", "nothing: it runs in the function itself"),
    ("debug_assert_ne", "nothing: it runs in the function itself"),
];

impl Lowering<'_> {
    /// A macro in the place of a statement or an expression.
    pub(super) fn macro_call(&mut self, mac: &syn::Macro) -> Value {
        let name = mac.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
        if let Some(kind) = Derivative::named(&name) {
            return self.derivative(kind, mac);
        }
        match name.as_str() {
            // Assertions say what must hold and compute nothing. They run in the function itself.
            "assert" | "assert_eq" | "assert_ne" | "debug_assert" | "debug_assert_eq" | "debug_assert_ne" => Value::Unit,
            "println" | "print" | "eprintln" | "eprint" | "dbg" => {
                self.fail(mac, messages::UNSUPPORTED_MACRO, &[&name, "remove it, and print in the code that calls the function"])
            }
            "array" | "arr1" | "arr2" | "vec" => {
                self.fail(mac, messages::UNSUPPORTED_MACRO, &[&name, "make the array outside and pass it as a parameter"])
            }
            "panic" | "todo" | "unimplemented" | "unreachable" => {
                self.fail(mac, messages::UNSUPPORTED_MACRO, &[&name, "check the arguments before the call, or with `assert!`"])
            }
            _ => self.fail(&mac.path.to_token_stream(), messages::UNSUPPORTED_MACRO, &[&name, "write out what it stands for"]),
        }
    }
}
