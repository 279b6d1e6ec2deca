//! Macros in the place of a statement or an expression.

use quote::ToTokens;
use syn::punctuated::Punctuated;

use super::operators::Operand;
use super::value::Value;
use super::{Lowering, text};
use crate::diagnostics::messages;
use crate::syntax::derivative::Derivative;

/// The macros that lower, and what to.
pub(super) const NAMES: &[(&str, &str)] = &[
    ("grad", "the gradient of the function, inside of this one"),
    ("value_and_grad", "its value and its gradient"),
    ("jvp", "its value and its tangent"),
    ("hvp", "its Hessian times a direction"),
    ("array", "`concat` of the elements"),
    ("vec", "`concat` of the elements"),
    ("concatenate", "`concat`"),
    ("stack", "`concat` along a new axis"),
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
        if let ("azip", Some(value)) = (name.as_str(), self.changing_azip(mac)) {
            return value;
        }
        match name.as_str() {
            // Assertions say what must hold and compute nothing. They run in the function itself.
            "assert" | "assert_eq" | "assert_ne" | "debug_assert" | "debug_assert_eq" | "debug_assert_ne" => Value::Unit,
            "println" | "print" | "eprintln" | "eprint" | "dbg" => {
                self.fail(mac, messages::UNSUPPORTED_MACRO, &[&name, "remove it, and print in the code that calls the function"])
            }
            "array" | "vec" | "concatenate" | "stack" => self.array_macro(mac, &name),
            "panic" | "todo" | "unimplemented" | "unreachable" => {
                self.fail(mac, messages::UNSUPPORTED_MACRO, &[&name, "check the arguments before the call, or with `assert!`"])
            }
            _ => self.fail(&mac.path.to_token_stream(), messages::UNSUPPORTED_MACRO, &[&name, "write out what it stands for"]),
        }
    }

    /// `array![..]`, `vec![..]`, `concatenate![axis, ..]`, `stack![axis, ..]`
    fn array_macro(&mut self, mac: &syn::Macro, name: &str) -> Value {
        let parsed = mac.parse_body_with(Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated);
        let Ok(list) = parsed else {
            return self.fail(mac, messages::UNSUPPORTED_MACRO, &[name, "write the elements one by one, or `from_elem(n, value)`"]);
        };
        let whole = syn::Expr::Macro(syn::ExprMacro { attrs: Vec::new(), mac: mac.clone() });
        let parts: Vec<&syn::Expr> = list.iter().collect();
        match (name, parts.split_first()) {
            ("concatenate" | "stack", Some((axis, parts))) => self.joined(&whole, axis, parts, name == "stack"),
            _ => Operand::wrap(self.array_of(&whole, &parts), false),
        }
    }

    /// `arr1(&[..])`, `arr2(&[[..], ..])`
    pub(super) fn array_from_list(&mut self, whole: &syn::Expr, list: &syn::Expr) -> Value {
        let mut e = list;
        while let syn::Expr::Reference(syn::ExprReference { expr, .. }) | syn::Expr::Paren(syn::ExprParen { expr, .. }) = e {
            e = expr;
        }
        match e {
            syn::Expr::Array(array) => {
                let elements: Vec<&syn::Expr> = array.elems.iter().collect();
                Operand::wrap(self.array_of(whole, &elements), false)
            }
            _ => {
                let particulars = ["a list of elements", &text(list), "write the elements: `arr1(&[a, b])`"];
                self.fail(list, messages::EXPECTED_KIND, &particulars)
            }
        }
    }
}
