//! Calls of functions: helpers of the module, closures, the crate's own functions, and methods written as functions.

use std::collections::HashMap;

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::visit::Visit;

use super::methods::Call;
use super::operators::Operand;
use super::value::{Value, describe_rank};
use super::{Lowering, spellings, text};
use crate::diagnostics::messages;
use crate::ir::{Elem, Elementwise, Index, Reduce, ValueId};
use crate::syntax::items::{Found, path_key};
use crate::syntax::shapes::shapes;
use crate::syntax::signature::{Use, elem_named, parse_signature};
use crate::syntax::{Assumed, Origin};

/// The crate's own functions, with how many arguments each takes.
const OWN: &[(&str, usize)] = &[("log_sum_exp", 1), ("softmax", 1), ("cross_entropy", 2), ("mse", 2)];

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
        match names[..] {
            // What the user has bound or defined comes before what the crate knows.
            _ if self.is_known_function(&path.path) => {
                let values = args.iter().map(|a| self.expr(a)).collect();
                self.apply(f, values, &args)
            }
            ["stop_gradient"] | ["bilevel", "stop_gradient"] => self.stop_gradient(&whole, path, &args),
            [.., "Axis"] => self.axis_call(e),
            [name] if OWN.iter().any(|o| o.0 == name) => {
                let assumed = path.path.segments.iter().map(|s| Assumed { name: s.ident.clone(), origin: Origin::OwnFunction });
                self.assumed.extend(assumed);
                self.own_function(&whole, name, &args)
            }
            ["bilevel", .., name] if OWN.iter().any(|o| o.0 == name) => self.own_function(&whole, name, &args),
            [.., ty, "from"] if elem_named(ty).is_some() && args.len() == 1 => self.convert(&whole, ty, args[0]),
            [.., ty, _] if elem_named(ty).is_some() => self.method_as_function(&whole, path, &args),
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
        is_variable || path_key(path).is_some_and(|key| self.items.function(self.place, &key).is_some())
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
        let known = OWN.iter().map(|o| o.0).chain(self.items.function_names(self.place));
        let help = match spellings::closest(name, known.chain(self.scope.names())) {
            Some(close) => format!("a function with a similar name is `{close}`"),
            None => "write it as a free function with `#[differentiable]`, or write out its body here".to_owned(),
        };
        self.fail(path, messages::UNKNOWN_FUNCTION, &[name, &help])
    }

    /// Applies what stands in the place of a function to values: a closure, a name, or a path such as `f64::exp`.
    pub(super) fn apply(&mut self, f: &syn::Expr, args: Vec<Value>, arg_exprs: &[&syn::Expr]) -> Value {
        if let syn::Expr::Path(path) = f {
            let segments: Vec<String> = path.path.segments.iter().map(|s| s.ident.unraw().to_string()).collect();
            if let [name] = &segments[..] {
                if let Some(value) = self.scope.get(name).cloned() {
                    return self.apply_value(f, value, args, arg_exprs);
                }
            }
            if let Some(found) = path_key(&path.path).and_then(|key| self.items.function(self.place, &key)) {
                return self.inline(f, found, args, arg_exprs);
            }
            if let ([.., ty, _], Some(segment), [first, ..]) = (&segments[..], path.path.segments.last(), arg_exprs)
                && elem_named(ty).is_some()
                && args.len() == 1
            {
                let receiver = args.into_iter().next().unwrap_or(Value::Poison);
                return self.call_method(Call { whole: f, name: &segment.ident, receiver: first, args: &[] }, receiver);
            }
            return self.unknown_function(path, &segments.join("::"));
        }
        let value = self.expr(f);
        self.apply_value(f, value, args, arg_exprs)
    }

    fn apply_value(&mut self, f: &syn::Expr, value: Value, args: Vec<Value>, arg_exprs: &[&syn::Expr]) -> Value {
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
        let Some(signature) = parse_signature(item, Use::Called, self.diags) else {
            self.faulty.insert(id);
            return Value::Poison;
        };
        if signature.params.len() != args.len() {
            let takes = format!("{} arguments", signature.params.len());
            return self.fail(f, messages::ARGUMENT_COUNT, &[&name, &takes, &args.len().to_string()]);
        }
        let shapes = shapes(item, self.diags);
        let mut named = HashMap::new();
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

    /// The crate's own functions of arrays.
    fn own_function(&mut self, whole: &syn::Expr, name: &str, args: &[&syn::Expr]) -> Value {
        let n_args = OWN.iter().find(|o| o.0 == name).map_or(0, |o| o.1);
        let arrays: Vec<Option<ValueId>> = args.iter().map(|a| self.array_argument(name, a)).collect();
        if args.len() != n_args {
            let takes = if n_args == 1 { "one argument" } else { "two arguments" };
            return self.fail(whole, messages::ARGUMENT_COUNT, &[name, takes, &args.len().to_string()]);
        }
        let Some(arrays) = arrays.into_iter().collect::<Option<Vec<_>>>() else { return Value::Poison };
        let value = match name {
            "log_sum_exp" => self.log_sum_exp(whole, arrays[0]),
            "softmax" => self.softmax(whole, arrays[0]),
            "cross_entropy" => self.cross_entropy(whole, arrays[0], arrays[1], args),
            _ => self.mse(whole, arrays[0], arrays[1], args),
        };
        Operand::wrap(value, false)
    }

    fn array_argument(&mut self, function: &str, e: &syn::Expr) -> Option<ValueId> {
        match self.expr(e) {
            Value::Tensor(v) if self.b.ty(v).rank() > 0 => Some(v),
            Value::Poison => None,
            other => {
                let found = self.describe(&other);
                let expected = format!("an array as an argument of `{function}`");
                self.error(e, messages::EXPECTED_KIND, &[&expected, &found, "pass an array"]);
                None
            }
        }
    }

    /// `ln(sum(exp(x)))` over the last axis.
    fn log_sum_exp(&mut self, whole: &syn::Expr, x: ValueId) -> Option<ValueId> {
        let axis = self.b.ty(x).rank() - 1;
        self.emit(whole, Reduce::LogSumExp { axes: vec![axis] }, &[x])
    }

    /// `exp(x - log_sum_exp(x))` over the last axis.
    fn softmax(&mut self, whole: &syn::Expr, x: ValueId) -> Option<ValueId> {
        let ty = self.b.ty(x).clone();
        let axes: Vec<usize> = (0..ty.rank() - 1).collect();
        let normalizer = self.part(whole, Reduce::LogSumExp { axes: vec![ty.rank() - 1] }, &[x])?;
        let normalizer = self.part(whole, crate::ir::Shape::Broadcast { axes, dims: ty.dims }, &[normalizer])?;
        let shifted = self.part(whole, Elementwise::Sub, &[x, normalizer])?;
        self.emit(whole, Elementwise::Exp, &[shifted])
    }

    /// The mean over rows of `log_sum_exp(row) - row[label]`.
    fn cross_entropy(&mut self, whole: &syn::Expr, logits: ValueId, labels: ValueId, args: &[&syn::Expr]) -> Option<ValueId> {
        let (x, y) = (self.b.ty(logits).clone(), self.b.ty(labels).clone());
        if (x.rank(), y.rank()) != (2, 1) {
            let (m, n) = (describe_rank(x.rank()), describe_rank(y.rank()));
            let help = "the logits are a matrix with one row per sample, the labels a vector";
            self.error(whole, messages::RANK_MISMATCH, &[&text(args[0]), &m, &text(args[1]), &n, &text(whole), help]);
            return None;
        }
        if y.elem != Elem::Usize || !x.elem.is_float() {
            let (at, v, expected, help) = if y.elem != Elem::Usize {
                (args[1], labels, "labels of type `usize`", "convert them outside: `labels.mapv(|l| l as usize)`")
            } else {
                (args[0], logits, "logits that are floats", "pass the scores before `softmax`")
            };
            let found = self.describe(&Value::Tensor(v));
            self.error(at, messages::EXPECTED_KIND, &[expected, &found, help]);
            return None;
        }
        if !self.unify(x.dims[0], y.dims[0], whole, args[0], args[1]) {
            return None;
        }
        let normalizer = self.part(whole, Reduce::LogSumExp { axes: vec![1] }, &[logits])?;
        let picked = self.part(whole, Index::TakeAlong { axis: 1 }, &[logits, labels])?;
        let losses = self.part(whole, Elementwise::Sub, &[normalizer, picked])?;
        self.mean_value(whole, losses, vec![0])
    }

    /// The mean over all elements of the squared difference.
    fn mse(&mut self, whole: &syn::Expr, a: ValueId, b: ValueId, args: &[&syn::Expr]) -> Option<ValueId> {
        let (x, y) = (self.b.ty(a).clone(), self.b.ty(b).clone());
        if x.rank() != y.rank() {
            let (m, n) = (describe_rank(x.rank()), describe_rank(y.rank()));
            let help = "both must have one shape";
            self.error(whole, messages::RANK_MISMATCH, &[&text(args[0]), &m, &text(args[1]), &n, &text(whole), help]);
            return None;
        }
        if x.elem != y.elem || !x.elem.is_float() {
            self.error(whole, messages::ELEMENT_MISMATCH, &[&text(args[0]), x.elem.name(), &text(args[1]), y.elem.name()]);
            return None;
        }
        for (&m, &n) in x.dims.iter().zip(&y.dims) {
            if !self.unify(m, n, whole, args[0], args[1]) {
                return None;
            }
        }
        let difference = self.part(whole, Elementwise::Sub, &[a, b])?;
        let square = self.part(whole, Elementwise::Mul, &[difference, difference])?;
        self.mean_value(whole, square, (0..x.rank()).collect())
    }
}
