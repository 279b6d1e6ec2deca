//! Calls of functions: helpers of the module, closures, the crate's own functions, and methods written as functions.

use std::collections::HashMap;

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::visit::Visit;

use super::expr::is_one_cast;
use super::instead::closest;
use super::methods::Call;
use super::operators::Operand;
use super::spellings::{self, Meaning};
use super::value::Value;
use super::{Lowering, linalg, own_functions, text};
use crate::diagnostics::messages;
use crate::ir::{Elem, Elementwise};
use crate::syntax::form::elem_named;
use crate::syntax::items::{Found, path_key};
use crate::syntax::shapes::shapes;
use crate::syntax::signature::{Use, parse_signature, parse_signature_with};
use crate::syntax::{Assumed, Origin, TypeNames};

/// The functions that lower, and what to, beside those of this crate.
pub(super) const NAMES: &[(&str, &str)] = &[
    ("stop_gradient", "`stop_gradient`: the value, held"),
    ("from", "`cast`, as in `f64::from(x)`"),
    ("arr1", "`concat` of the elements"),
    ("arr2", "`concat` of the elements"),
    ("concatenate", "`concat`"),
    ("stack", "`concat` along a new axis"),
    ("Zip::from", "the elements of arrays of one shape, side by side"),
    ("Zip::indexed", "the same, with the positions in front"),
];

impl Lowering<'_> {
    /// `f(args)`
    pub(super) fn call(&mut self, e: &syn::ExprCall) -> Value {
        let whole = syn::Expr::Call(e.clone());
        let args: Vec<&syn::Expr> = e.args.iter().collect();
        let mut f = &*e.func;
        while let syn::Expr::Paren(syn::ExprParen { expr, .. }) | syn::Expr::Group(syn::ExprGroup { expr, .. }) = f {
            f = expr;
        }
        let syn::Expr::Path(path) = f else {
            let values = args.iter().map(|a| self.expr(a)).collect();
            return self.apply(f, values, &args);
        };
        let segments: Vec<String> = path.path.segments.iter().map(|s| s.ident.unraw().to_string()).collect();
        let names: Vec<&str> = segments.iter().map(String::as_str).collect();
        if !self.is_known_function(&path.path)
            && let Some(value) = self.tuple_struct_call(&path.path, &args, &whole)
        {
            return value;
        }
        match names[..] {
            // What the user has bound or defined comes before what the crate knows.
            _ if self.is_known_function(&path.path) => {
                let values = args.iter().map(|a| self.expr(a)).collect();
                self.apply(f, values, &args)
            }
            ["stop_gradient"] | ["bilevel", "stop_gradient"] => self.stop_gradient(&whole, path, &args),
            [.., "Axis"] => self.axis_call(e),
            [name] if let Some(own) = own_functions::find(name) => {
                let assumed = path.path.segments.iter().map(|s| Assumed { name: s.ident.clone(), origin: Origin::OwnFunction });
                self.assumed.extend(assumed);
                self.call_own(own, &whole, &args)
            }
            [.., "linalg", name] if linalg::FUNCTIONS.iter().any(|f| f.0 == name) => match self.linalg_call(&whole, &path.path, &args) {
                Some(value) => value,
                None => self.unknown_function(path, &segments.join("::")),
            },
            ["bilevel", .., name] if let Some(own) = own_functions::find(name) => self.call_own(own, &whole, &args),
            ["arr1" | "arr2" | "arr3"] | ["ndarray", "arr1" | "arr2" | "arr3"] if args.len() == 1 => self.array_from_list(&whole, args[0]),
            ["concatenate"] | ["ndarray", "concatenate"] if args.len() == 2 => self.joined_function(&whole, &args, false),
            ["stack"] | ["ndarray", "stack"] if args.len() == 2 => self.joined_function(&whole, &args, true),
            [.., "Zip", from @ ("from" | "indexed")] if args.len() == 1 => self.zip_from(args[0], from == "indexed"),
            [ty, name] if let Some(&float) = self.types.get(ty) => match self.float_function(&whole, float, name, &args) {
                Some(value) => value,
                None => self.method_as_function(&whole, path, &args),
            },
            [.., ty, "from_f64"] if let Some(float @ (Elem::F64 | Elem::F32)) = elem_named(ty) => {
                match self.float_function(&whole, float, "from_f64", &args) {
                    Some(value) => value,
                    None => self.unknown_function(path, &segments.join("::")),
                }
            }
            [.., ty, "from"] if elem_named(ty).is_some() && args.len() == 1 => self.convert(&whole, ty, args[0]),
            [.., ty, _] if elem_named(ty).is_some() => self.method_as_function(&whole, path, &args),
            [.., ty, "from"] if ty.starts_with("Array") && args.len() == 1 => self.array_of_fixed(ty, args[0]),
            [.., ty, constructor] if ty.starts_with("Array") => self.constructor(&whole, path, ty, constructor, &args, None),
            _ => {
                for arg in &args {
                    self.expr(arg);
                }
                self.unknown_function(path, &segments.join("::"))
            }
        }
    }

    /// `stop_gradient(x)` of a number, an array, or what is made of them.
    fn stop_gradient(&mut self, whole: &syn::Expr, path: &syn::ExprPath, args: &[&syn::Expr]) -> Value {
        if let Some(name) = path.path.get_ident() {
            self.assumed.push(Assumed { name: name.clone(), origin: Origin::OwnFunction });
        }
        let values: Vec<Value> = args.iter().map(|a| self.expr(a)).collect();
        let [value] = &values[..] else {
            return self.fail(whole, messages::ARGUMENT_COUNT, &["stop_gradient", "one argument", &args.len().to_string()]);
        };
        if value.is_poisoned() {
            return Value::Poison;
        }
        let Some(leaves) = value.leaves() else {
            let found = self.describe(value);
            return self.fail(args[0], messages::EXPECTED_KIND, &["a number or an array", &found, "pass what it is made of"]);
        };
        let mut held = Vec::new();
        for leaf in leaves {
            held.push(match leaf {
                Value::Tensor(v) if self.b.ty(v).elem.is_float() => {
                    self.emit(whole, Elementwise::StopGradient, &[v]).map_or(Value::Poison, Value::Tensor)
                }
                Value::Lane(v) if self.b.ty(v).elem.is_float() => {
                    self.emit(whole, Elementwise::StopGradient, &[v]).map_or(Value::Poison, Value::Lane)
                }
                // Integers, truth values and literals have no derivative.
                other => other,
            });
        }
        value.with_leaves(&mut held.into_iter())
    }

    /// `f64::from(x)` for `x: f32` and its peers, which are exact.
    fn convert(&mut self, whole: &syn::Expr, ty: &str, arg: &syn::Expr) -> Value {
        let value = self.expr(arg);
        let Some(to) = elem_named(ty) else { return Value::Poison };
        if let Value::Number(number) = value
            && !is_one_cast(number, to, arg)
        {
            return self.fail(arg, messages::FLOAT_TYPE, &[&text(arg)]);
        }
        let Some(x) = self.operand(value, to, arg) else { return Value::Poison };
        if !x.lane && self.b.ty(x.value).rank() > 0 {
            let found = self.describe(&Value::Tensor(x.value));
            return self.fail(arg, messages::EXPECTED_KIND, &["a number to convert", &found, "convert each element with `mapv`"]);
        }
        if self.b.ty(x.value).elem == to {
            return Operand::wrap(Some(x.value), x.lane);
        }
        Operand::wrap(self.emit(whole, Elementwise::Cast(to), &[x.value]), x.lane)
    }

    /// `f64::max(a, b)`
    fn method_as_function(&mut self, whole: &syn::Expr, path: &syn::ExprPath, args: &[&syn::Expr]) -> Value {
        let (Some(segment), Some((receiver, rest))) = (path.path.segments.last(), args.split_first()) else {
            return self.unknown_function(path, &text(path));
        };
        let value = self.expr(receiver);
        self.call_method(Call { whole, name: &segment.ident, receiver, args: rest }, value)
    }

    /// Whether a path is a variable or a function whose tokens are at hand.
    fn is_known_function(&self, path: &syn::Path) -> bool {
        let is_variable = path.get_ident().is_some_and(|name| self.scope.get(&name.unraw().to_string()).is_some());
        is_variable
            || path_key(path)
                .is_some_and(|key| self.items.function(self.place, &key).is_some() || self.items.rules(self.place, &key).is_some())
    }

    /// A function whose tokens are not at hand. Its carrier may have them.
    pub(super) fn unknown_function(&mut self, path: &syn::ExprPath, name: &str) -> Value {
        if let Some(key) = path_key(&path.path)
            && path.qself.is_none()
            && self.place.is_here()
        {
            if self.calls.first() == Some(&key) {
                return self.fail(path, messages::RECURSION, &[name]);
            }
            if !self.items.has_answer(&key) {
                self.diags.ask(&path.path);
                return Value::Poison;
            }
        }
        let known = own_functions::OWN.iter().map(|o| o.name).chain(self.items.function_names(self.place));
        let help = match closest(name, known.chain(self.scope.names())) {
            Some(close) => format!("a function with a similar name is `{close}`"),
            None => "write it as a free function with `#[differentiable]`, or write out its body here".to_owned(),
        };
        self.fail(path, messages::UNKNOWN_FUNCTION, &[name, &help])
    }

    /// Applies what stands in the place of a function to values: a closure, a name, or a path such as `f64::exp`.
    pub(super) fn apply(&mut self, f: &syn::Expr, args: Vec<Value>, arg_exprs: &[&syn::Expr]) -> Value {
        if let syn::Expr::Path(path) = f {
            let segments: Vec<String> = path.path.segments.iter().map(|s| s.ident.unraw().to_string()).collect();
            if let [name] = &segments[..]
                && let Some(value) = self.scope.get(name).cloned()
            {
                return self.apply_value(f, value, args, arg_exprs);
            }
            let key = path_key(&path.path);
            if let Some(found) = key.as_ref().and_then(|key| self.items.rules(self.place, key)) {
                return self.call_by_rule(f, found, args, arg_exprs);
            }
            if let Some(found) = key.and_then(|key| self.items.function(self.place, &key)) {
                return self.inline(f, found, args, arg_exprs);
            }
            if let ([.., ty, name], Some(segment), [first, ..]) = (&segments[..], path.path.segments.last(), arg_exprs)
                && self.elem_named(ty).is_some()
            {
                let call = Call { whole: f, name: &segment.ident, receiver: first, args: &[] };
                let mut args = args.into_iter();
                let meaning = spellings::method(name, false).map(|method| (method, method.meaning));
                return match (args.next(), args.next(), args.next(), meaning) {
                    (Some(receiver), None, None, _) => self.call_method(call, receiver),
                    (Some(x), Some(y), None, Some((method, Meaning::Binary(binary)))) => {
                        self.binary_method(call, method, binary, (x, arg_exprs[0]), (y, arg_exprs[1]))
                    }
                    _ => self.unknown_function(path, &segments.join("::")),
                };
            }
            return self.unknown_function(path, &segments.join("::"));
        }
        let value = self.expr(f);
        self.apply_value(f, value, args, arg_exprs)
    }

    pub(super) fn apply_value(&mut self, f: &syn::Expr, value: Value, args: Vec<Value>, arg_exprs: &[&syn::Expr]) -> Value {
        let Value::Closure(closure) = value else {
            if value.is_poisoned() {
                return Value::Poison;
            }
            let found = self.describe(&value);
            return self.fail(f, messages::EXPECTED_KIND, &["a function or closure", &found, "call a function of the module"]);
        };
        let (closure, captured) = (&closure.0, &closure.1);
        if closure.inputs.len() != args.len() {
            let takes = format!("{} arguments", closure.inputs.len());
            return self.fail(f, messages::ARGUMENT_COUNT, &["the closure", &takes, &args.len().to_string()]);
        }
        let outer = std::mem::replace(&mut self.scope, captured.clone());
        let mark = self.scope.mark();
        let outer_mark = self.closure.as_ref().map(|c| c.mark);
        if let Some(c) = &mut self.closure {
            c.mark = mark;
        }
        for ((pat, value), expr) in closure.inputs.iter().zip(args).zip(arg_exprs) {
            let value = match pat {
                syn::Pat::Type(typed) => match self.annotation(&typed.ty) {
                    Some(form) => self.conform(value, &form, expr).unwrap_or(Value::Poison),
                    None => value,
                },
                _ => value,
            };
            self.bind_parameter(pat, value);
        }
        let before = self.scope.values();
        let result = self.returning(|this| this.tail_expr(&closure.body));
        // A closure that assigns to what it captures changes the variable of the place where it is defined, which the copy here is not.
        let changed = (0..mark).any(|k| !self.scope.at(k).value.is_same(&before[k]));
        self.scope = outer;
        if let (Some(c), Some(mark)) = (&mut self.closure, outer_mark) {
            c.mark = mark;
        }
        if changed {
            let help = "give the value back instead";
            return self.fail(
                &closure.body,
                messages::UNSUPPORTED_STATEMENT,
                &["an assignment to a variable outside of the closure", help],
            );
        }
        result
    }

    /// Binds a closure's parameter without giving the argument a name: it has its own.
    fn bind_parameter(&mut self, pat: &syn::Pat, value: Value) {
        match pat {
            syn::Pat::Ident(p) if p.subpat.is_none() => self.scope.bind(p.ident.unraw().to_string(), value),
            syn::Pat::Type(p) => self.bind_parameter(&p.pat, value),
            syn::Pat::Reference(p) => self.bind_parameter(&p.pat, value),
            syn::Pat::Paren(p) => self.bind_parameter(&p.pat, value),
            other => self.bind(other, value),
        }
    }

    /// A call of a function whose tokens are at hand: its body, with its parameters standing for the arguments.
    fn inline(&mut self, f: &syn::Expr, found: Found<'_, syn::ItemFn>, args: Vec<Value>, arg_exprs: &[&syn::Expr]) -> Value {
        let item = found.item;
        let (name, id) = (item.sig.ident.unraw().to_string(), found.id.to_owned());
        if self.calls.contains(&id) {
            return self.fail(f, messages::RECURSION, &[&name]);
        }
        if self.faulty.contains(&id) {
            return Value::Poison;
        }
        let before = self.diags.n_errors();
        let (first_value, n_assumed) = (self.b.n_values(), self.assumed.len());
        self.refuse_conditional(|visitor| visitor.visit_item_fn(item));
        let names = TypeNames::new(self.items, found.place);
        let Some(mut signature) = parse_signature(item, Use::Called, &names, self.diags) else {
            self.faulty.insert(id);
            return Value::Poison;
        };
        if signature.params.len() != args.len() {
            let takes = format!("{} arguments", signature.params.len());
            return self.fail(f, messages::ARGUMENT_COUNT, &[&name, &takes, &args.len().to_string()]);
        }
        if !signature.types.is_empty() {
            let types = match f {
                syn::Expr::Path(path) => self.type_arguments(&path.path, &signature, &args),
                _ => None,
            };
            let Some(types) = types else { return Value::Poison };
            let Some(at_types) = parse_signature_with(item, Use::Called, &names, &types, self.diags) else { return Value::Poison };
            signature = at_types;
        }
        let shapes = shapes(item, self.diags);
        let mut named = HashMap::new();
        let outer_types = std::mem::replace(&mut self.types, signature.types.clone());
        let outer_generics = std::mem::replace(&mut self.generics, item.sig.generics.clone());
        let outer_params = std::mem::take(&mut self.const_params);
        let mut conformed = Vec::new();
        for (((param, value), expr), shape) in signature.params.iter().zip(args).zip(arg_exprs).zip(&shapes) {
            let value = self.conform(value, &param.form, expr).unwrap_or(Value::Poison);
            let name = param.name.unraw().to_string();
            if let Some(said) = shape.as_ref().and_then(|shape| self.fitting_shape(&param.form, &name, shape)) {
                self.check_argument_shape(&value, said, &mut named, expr);
            }
            conformed.push((param.name.unraw().to_string(), value));
        }
        let outer = std::mem::take(&mut self.scope);
        let outer_mark = self.closure.as_ref().map(|c| c.mark);
        if let Some(c) = &mut self.closure {
            c.mark = 0;
        }
        for (name, value) in conformed {
            self.scope.bind(name, value);
        }
        for param in item.sig.generics.const_params() {
            self.bind_const_param(&param.ident);
        }
        let in_body = self.diags.n_errors();
        let outer_place = std::mem::replace(&mut self.place, found.place);
        self.calls.push(id.clone());
        let value = self.function_body(&item.block);
        self.calls.pop();
        let value = match value.is_poisoned() || self.diags.n_errors() > before {
            true => None,
            false => self.conform(value, &signature.output, &super::tail_of(item)),
        };
        self.place = outer_place;
        self.scope = outer;
        if let (Some(c), Some(mark)) = (&mut self.closure, outer_mark) {
            c.mark = mark;
        }
        self.generics = outer_generics;
        self.types = outer_types;
        self.const_params = outer_params;
        if !found.place.is_here() {
            // Its own expansion has found no error in the body and proved the names in it. What does not fit here is the call.
            self.assumed.truncate(n_assumed);
            self.diags.gather(in_body, f.to_token_stream(), messages::CALL, &[&name]);
        }
        if found.foreign {
            self.b.set_spans(first_value, super::span_of(f));
        }
        let Some(value) = value else {
            self.faulty.insert(id);
            return Value::Poison;
        };
        value
    }
}
