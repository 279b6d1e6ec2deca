//! Method calls: which entry of the table a call is, and what its receiver must be.

use syn::ext::IdentExt;

use super::instead::{INSTEAD, INSTEAD_ON_ITERATORS, closest};
use super::operators::Operand;
use super::spellings::{self, Meaning, On};
use super::value::Value;
use super::{Lowering, text};
use crate::diagnostics::messages;

/// A call as all methods see it: the whole expression, the name, the receiver's expression, and the arguments.
#[derive(Clone, Copy)]
pub(super) struct Call<'e> {
    pub(super) whole: &'e syn::Expr,
    pub(super) name: &'e syn::Ident,
    pub(super) receiver: &'e syn::Expr,
    pub(super) args: &'e [&'e syn::Expr],
}

impl Lowering<'_> {
    /// `receiver.method(args)`
    pub(super) fn method_call(&mut self, e: &syn::ExprMethodCall) -> Value {
        if let Some(value) = self.filtered_reduction(e) {
            return value;
        }
        let receiver = self.expr(&e.receiver);
        let whole = syn::Expr::MethodCall(e.clone());
        let args: Vec<&syn::Expr> = e.args.iter().collect();
        self.call_method(Call { whole: &whole, name: &e.method, receiver: &e.receiver, args: &args }, receiver)
    }

    /// A method, also in the form `f64::method(receiver, args)`.
    pub(super) fn call_method(&mut self, call: Call<'_>, receiver: Value) -> Value {
        let name = call.name.unraw().to_string();
        match receiver {
            Value::Fixed(x) => return self.fixed_method(call, &name, x),
            Value::Struct(_) if !matches!(name.as_str(), "clone" | "to_owned") => return self.struct_method(call, &name, &receiver),
            _ => {}
        }
        let Some(method) = spellings::method(&name, matches!(receiver, Value::Iter(_))) else {
            return self.unknown_method(call, &name, &receiver);
        };
        if !self.expect_args(call, method.n_args) {
            return Value::Poison;
        }
        if receiver.is_poisoned() {
            // The arguments may have errors of their own; a closure's names depend on the receiver, and a path may be that of a function.
            for arg in call.args.iter().filter(|a| !matches!(a, syn::Expr::Closure(_) | syn::Expr::Macro(_) | syn::Expr::Path(_))) {
                self.expr(arg);
            }
            return Value::Poison;
        }
        if let (Value::Option(_, made_by), false) = (&receiver, matches!(method.meaning, Meaning::Value(_)) && method.on == On::Anything) {
            return self.fail(call.receiver, messages::OPTION_NOT_UNWRAPPED, &[&text(call.receiver), made_by]);
        }
        match (method.meaning, receiver) {
            (Meaning::Unary(unary), receiver) => self.unary_method(call, method, unary, receiver),
            (Meaning::Binary(binary), receiver) => {
                let other = self.expr(call.args[0]);
                self.binary_method(call, method, binary, (receiver, call.receiver), (other, call.args[0]))
            }
            (Meaning::Ternary(f), receiver) => self.ternary_method(call, method, f, receiver),
            (Meaning::Value(f), receiver) => f(self, call, receiver),
            (Meaning::Array(f), Value::Tensor(x)) if self.b.ty(x).rank() > 0 => f(self, call, x),
            // Of an array without axes; that a number has no such method is rustc's to say.
            (Meaning::Array(_), x @ Value::Tensor(_)) if matches!(method.name, "mapv" | "mapv_into" | "map") => {
                self.apply(call.args[0], vec![x], &[call.receiver])
            }
            (Meaning::Iter(f), Value::Iter(iter)) => f(self, call, (*iter).clone()),
            (Meaning::Array(_) | Meaning::Iter(_), other) => {
                let found = self.describe(&other);
                self.fail(call.name, messages::METHOD_ON_NUMBER, &[&name, &text(call.receiver), &found])
            }
        }
    }

    fn expect_args(&mut self, call: Call<'_>, n: usize) -> bool {
        if call.args.len() == n {
            return true;
        }
        let takes = match n {
            0 => "no arguments".to_owned(),
            1 => "one argument".to_owned(),
            n => format!("{n} arguments"),
        };
        self.error(call.name, messages::ARGUMENT_COUNT, &[&call.name.to_string(), &takes, &call.args.len().to_string()]);
        false
    }

    fn unknown_method(&mut self, call: Call<'_>, name: &str, receiver: &Value) -> Value {
        // A macro, such as `s![..]`, or a path to a function is the business of the method.
        for arg in call.args.iter().filter(|a| !matches!(a, syn::Expr::Closure(_) | syn::Expr::Macro(_) | syn::Expr::Path(_))) {
            self.expr(arg);
        }
        if receiver.is_poisoned() {
            return Value::Poison;
        }
        let table = if matches!(receiver, Value::Iter(_)) { INSTEAD_ON_ITERATORS } else { INSTEAD };
        let instead = table.iter().find(|i| i.0 == name).map(|i| i.1.to_owned());
        let close = || closest(name, spellings::method_names()).map(|c| format!("a method with a similar name is `{c}`"));
        let help = instead
            .or_else(close)
            .unwrap_or_else(|| "write it with operators and the methods that the documentation of `#[differentiable]` lists".to_owned());
        let found = self.describe(receiver);
        self.fail(call.name, messages::UNKNOWN_METHOD, &[name, &found, &help])
    }

    /// The value of an `Option`.
    pub(super) fn unwrap(&mut self, call: Call<'_>, receiver: Value) -> Value {
        match receiver {
            Value::Option(inner, _) => (*inner).clone(),
            other => {
                let found = self.describe(&other);
                self.fail(call.name, messages::EXPECTED_KIND, &["an `Option` or a `Result`", &found, "leave `unwrap` out"])
            }
        }
    }

    /// Checks that operands are numbers, where they may not be arrays.
    pub(super) fn are_numbers(&mut self, call: Call<'_>, operands: &[(Operand, &syn::Expr, bool)]) -> bool {
        for &(x, expr, may_be_array) in operands {
            let ty = self.b.ty(x.value);
            if !x.lane && ty.rank() > 0 && !may_be_array {
                let found = self.describe(&Value::Tensor(x.value));
                let help = format!("write it for each element: `.mapv(|v| v.{}(..))`", call.name);
                self.error(expr, messages::EXPECTED_KIND, &["a number", &found, &help]);
                return false;
            }
        }
        true
    }
}
