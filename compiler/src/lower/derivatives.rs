//! `grad!(f, w)` and its kin: derivatives of functions inside of functions.
//!
//! `f` is lowered by itself, its derivative is derived, and the statements of that take the place of the macro, to be differentiated again like any others.
//! In the step of an optimiser a gradient stays one operation instead, whose own derivative is another derivative of `f` (`derive::kept_gradient`).

use std::rc::Rc;

use quote::ToTokens;

use super::structs::Fields;
use super::value::Value;
use super::{Gradients, Lowering, lower_at, text};
use crate::derive::{self, DeriveError};
use crate::diagnostics::messages;
use crate::ir::{Call, CallPart, Dim, Func, Opaque, ValueId};
use crate::syntax::derivative::{Derivative, DerivativeCall};
use crate::syntax::items::{Found, path_key};
use crate::syntax::signature::{Use, parse_signature, parse_signature_with};
use crate::syntax::{Assumed, Form, Origin, Signature, TypeNames};

impl Lowering<'_> {
    /// A macro that stands for a derivative of a function.
    pub(super) fn derivative(&mut self, kind: Derivative, mac: &syn::Macro) -> Value {
        let call = match DerivativeCall::parse(kind, mac.tokens.clone()) {
            Ok(call) => call,
            Err(error) => {
                return self.fail(&mac.path, messages::DERIVATIVE_SYNTAX, &[kind.name(), &error.to_string(), kind.example()]);
            }
        };
        // A macro of the user's that has this name is another one.
        if let Some(name) = mac.path.get_ident() {
            self.assumed.push(Assumed { name: name.clone(), origin: Origin::OwnModule });
        }
        if self.closure.is_some() {
            let help = "take it outside of the closure, of a function of the whole array";
            return self.fail(&mac.path, messages::UNSUPPORTED_MACRO, &[kind.name(), help]);
        }
        let f = syn::ExprPath { attrs: Vec::new(), qself: None, path: call.path.clone() };
        let Some(found) = path_key(&call.path).and_then(|key| self.items.function(self.place, &key)) else {
            for arg in call.args.iter().flatten().chain(&call.tangents) {
                self.expr(arg);
            }
            return self.unknown_function(&f, &text(&call.path));
        };
        let name = found.item.sig.ident.to_string();
        if self.calls.iter().any(|c| c == found.id) {
            return self.fail(&call.path, messages::RECURSION, &[&name]);
        }
        if self.faulty.contains(found.id) {
            return Value::Poison;
        }
        let Some(signature) = parse_signature(found.item, Use::Differentiated, &TypeNames::new(self.items, found.place), self.diags) else {
            self.faulty.insert(found.id.to_owned());
            return Value::Poison;
        };
        let given = self.derivative_arguments(&call, &signature);
        let signature = match &given {
            Some(args) => match self.at_types_of(&call, found, signature, args) {
                Some(signature) => signature,
                None => return Value::Poison,
            },
            None => signature,
        };
        let args = given.and_then(|args| self.conform_arguments(&call, &signature, args));
        let wrt: Vec<Option<usize>> = call.wrt.iter().map(|w| self.derivative_parameter(w, &signature)).collect();
        let tangents: Vec<Value> = call.tangents.iter().map(|t| self.expr(t)).collect();
        let (Some(args), Some(wrt)) = (args, wrt.into_iter().collect::<Option<Vec<usize>>>()) else { return Value::Poison };
        if !wrt.is_sorted_by(|a, b| a < b) {
            let why = format!("name each parameter once, in the order of `{name}`: {}", signature.param_names());
            return self.fail(&mac.path, messages::DERIVATIVE_SYNTAX, &[kind.name(), &why, kind.example()]);
        }
        let mut directions = Vec::new();
        for ((&k, tangent), expr) in wrt.iter().zip(tangents).zip(&call.tangents) {
            let Some(tangent) = signature.params[k].form.tangent().and_then(|form| self.conform(tangent, &form, expr)) else {
                return Value::Poison;
            };
            directions.push(tangent);
        }
        let Some(func) = self.lower_callee(&call.path, found, signature.clone()) else { return Value::Poison };
        self.apply_derivative(&call, Callee { id: found.id, signature: &signature, func: &func }, &args, &wrt, &directions)
    }

    /// The arguments, from the macro or from the scope by name.
    fn derivative_arguments(&mut self, call: &DerivativeCall, signature: &Signature) -> Option<Vec<Value>> {
        let name = signature.name.to_string();
        match &call.args {
            Some(exprs) if exprs.len() != signature.params.len() => {
                let takes = format!("{} arguments", signature.params.len());
                self.error(&call.path, messages::ARGUMENT_COUNT, &[&name, &takes, &exprs.len().to_string()]);
                None
            }
            Some(exprs) => Some(exprs.iter().map(|expr| self.expr(expr)).collect()),
            None => {
                let mut values = Vec::new();
                for param in &signature.params {
                    let Some(value) = self.scope.get(&param.name.to_string()).cloned() else {
                        self.error(&call.path, messages::ARGUMENT_NOT_IN_SCOPE, &[&name, &param.name.to_string(), call.kind.name()]);
                        return None;
                    };
                    values.push(value);
                }
                Some(values)
            }
        }
    }

    /// The arguments in the form of the parameters.
    fn conform_arguments(&mut self, call: &DerivativeCall, signature: &Signature, args: Vec<Value>) -> Option<Vec<Value>> {
        let mut values = Vec::new();
        for (k, (value, param)) in args.into_iter().zip(&signature.params).enumerate() {
            values.push(match &call.args {
                Some(exprs) => self.conform(value, &param.form, &exprs[k]),
                None => self.conform(value, &param.form, &call.path),
            });
        }
        values.into_iter().collect()
    }

    /// The signature where its type parameters stand for what the arguments are.
    fn at_types_of(&mut self, call: &DerivativeCall, found: Found<'_, syn::ItemFn>, open: Signature, args: &[Value]) -> Option<Signature> {
        if open.types.is_empty() {
            return Some(open);
        }
        let types = self.type_arguments(&call.path, &open, args)?;
        parse_signature_with(found.item, Use::Differentiated, &TypeNames::new(self.items, found.place), &types, self.diags)
    }

    /// The position of a parameter that is differentiated.
    fn derivative_parameter(&mut self, wrt: &syn::Ident, signature: &Signature) -> Option<usize> {
        let Some(k) = signature.params.iter().position(|p| p.name == *wrt) else {
            self.error(wrt, messages::UNKNOWN_WRT, &[&wrt.to_string(), &signature.name.to_string(), &signature.param_names()]);
            return None;
        };
        let param = &signature.params[k];
        if !param.form.is_differentiable() {
            self.error(wrt, messages::WRT_NOT_FLOAT, &[&wrt.to_string(), &text(&param.ty)]);
            return None;
        }
        Some(k)
    }

    /// The function by itself. What is wrong in one that was carried here is an error at the macro.
    fn lower_callee(&mut self, at: &syn::Path, found: Found<'_, syn::ItemFn>, signature: Signature) -> Option<Func> {
        let name = signature.name.to_string();
        let before = self.diags.n_errors();
        let mut calls = self.calls.clone();
        calls.push(found.id.to_owned());
        let lowered = lower_at(found, signature, self.items, calls, Gradients::Spliced, self.diags);
        if !found.place.is_here() {
            self.diags.gather(before, at.to_token_stream(), messages::CALL, &[&name]);
        }
        let Some(lowered) = lowered else {
            self.faulty.insert(found.id.to_owned());
            return None;
        };
        if found.place.is_here() {
            self.assumed.extend(lowered.assumed);
        }
        let mut func = lowered.func;
        if found.foreign {
            let span = super::span_of(at);
            func.notes.iter_mut().for_each(|note| note.span = span);
        }
        Some(func)
    }

    fn apply_derivative(
        &mut self,
        call: &DerivativeCall,
        callee: Callee<'_>,
        args: &[Value],
        wrt: &[usize],
        directions: &[Value],
    ) -> Value {
        let Callee { signature, func, .. } = callee;
        let leaves = wrt_leaves(signature, wrt);
        let derived = match call.kind {
            Derivative::Grad | Derivative::ValueAndGrad if self.gradients == Gradients::Kept => callee.kept_gradient(&leaves),
            Derivative::Grad | Derivative::ValueAndGrad => derive::grad(func, &leaves).map(Derived::Spliced),
            Derivative::Jvp => derive::jvp(func, &leaves).map(Derived::Spliced),
            Derivative::Hvp => derive::hvp(func, &leaves).map(Derived::Spliced),
        };
        let derived = match derived {
            Ok(derived) => derived,
            Err(DeriveError { message, .. }) => return self.fail(&call.path, messages::NOT_DIFFERENTIABLE, &[&message]),
        };
        let leaves_of = |values: &[Value]| values.iter().flat_map(|v| v.leaves().unwrap_or_default()).map(|leaf| tensor(&leaf)).collect();
        let (primals, tangents): (Option<Vec<ValueId>>, Option<Vec<ValueId>>) = (leaves_of(args), leaves_of(directions));
        let values = primals.zip(tangents).map(|(mut values, tangents)| {
            // What a struct has beside floats has no tangent.
            values.extend(tangents.into_iter().filter(|&v| self.b.ty(v).elem.is_float()));
            values
        });
        let results = values.and_then(|values| match derived {
            Derived::Spliced(derived) => self.splice(call, &derived, &values),
            Derived::Kept(gradient) => {
                let mut results = self.splice(call, func, &values)?;
                results.extend(self.b.stmt(Call { function: gradient, part: CallPart::Value }, &values, Vec::new()));
                Some(results)
            }
        });
        let Some(results) = results else { return Value::Poison };
        let mut results = results.into_iter();
        let value = |form: Option<Form>, results: &mut dyn Iterator<Item = ValueId>| form.and_then(|form| of_form(&form, results));
        let output = signature.output.clone();
        let primal = match call.kind {
            // The value comes with the gradient; who does not ask for it leaves it unused.
            Derivative::Grad | Derivative::ValueAndGrad | Derivative::Jvp => value(Some(output.clone()), &mut results),
            Derivative::Hvp => None,
        };
        let derivative = match call.kind {
            Derivative::Jvp => primal.as_ref().and_then(|primal| derivative_of(primal, &output, &mut results)),
            Derivative::Grad | Derivative::ValueAndGrad | Derivative::Hvp => {
                let parts: Option<Vec<Value>> =
                    wrt.iter().map(|&k| derivative_of(&args[k], &signature.params[k].form, &mut results)).collect();
                parts.map(|parts| if parts.len() == 1 { parts[0].clone() } else { Value::Tuple(parts) })
            }
        };
        match (call.kind, primal, derivative) {
            (Derivative::Grad | Derivative::Hvp, _, Some(derivative)) => derivative,
            (Derivative::ValueAndGrad | Derivative::Jvp, Some(primal), Some(derivative)) => Value::Tuple(vec![primal, derivative]),
            _ => Value::Poison,
        }
    }

    /// Appends the statements of `f`, a function with dimensions of its own, its parameters replaced by `args`; gives its results.
    fn splice(&mut self, call: &DerivativeCall, f: &Func, args: &[ValueId]) -> Option<Vec<ValueId>> {
        let at = syn::Expr::Path(syn::ExprPath { attrs: Vec::new(), qself: None, path: call.path.clone() });
        let mut dims: Vec<Option<Dim>> = vec![None; f.dims.len()];
        for (&param, &arg) in f.params().iter().zip(args) {
            let expected = f.ty(param).dims.clone();
            for (axis, expected) in expected.into_iter().enumerate() {
                let given = self.b.ty(arg).dims[axis];
                let known = match expected {
                    Dim::Const(_) => Some(expected),
                    Dim::Sym(id) => dims[id.0 as usize],
                };
                match (known, expected) {
                    (Some(known), _) if !self.unify(known, given, &at, &at, &at) => return None,
                    (None, Dim::Sym(id)) => dims[id.0 as usize] = Some(given),
                    (Some(_), _) | (None, Dim::Const(_)) => {}
                }
            }
        }
        let dims: Vec<Dim> = dims
            .into_iter()
            .enumerate()
            .map(|(k, dim)| match dim {
                Some(dim) => self.b.current_dim(dim),
                // Bound by a statement of `f`.
                None => {
                    let id = self.b.dim(&f.dims[k].name);
                    self.computed.insert(id);
                    Dim::Sym(id)
                }
            })
            .collect();
        Some(derive::inline(&mut self.b, f, args, &dims))
    }
}

/// A function whose derivative is taken.
#[derive(Clone, Copy)]
struct Callee<'a> {
    id: &'a str,
    signature: &'a Signature,
    func: &'a Func,
}

/// A derivative on its way into the function around it.
enum Derived {
    /// The value and the derivative, as statements.
    Spliced(Func),
    /// The gradient, as one operation; the value is computed beside it.
    Kept(Rc<Opaque>),
}

impl Callee<'_> {
    /// The value and the gradient, of which that stays one operation if it has rules.
    fn kept_gradient(&self, leaves: &[usize]) -> Result<Derived, DeriveError> {
        let types: Vec<_> = self.func.param_types().collect();
        let id = format!("gradient of {} in {leaves:?} at {types:?}", self.id);
        match derive::kept_gradient(self.func, leaves, id)? {
            Some(gradient) => Ok(Derived::Kept(Rc::new(gradient))),
            None => derive::grad(self.func, leaves).map(Derived::Spliced),
        }
    }
}

/// Positions of the float leaves of some parameters among the leaves of all, ascending.
fn wrt_leaves(signature: &Signature, wrt: &[usize]) -> Vec<usize> {
    let mut out = Vec::new();
    let mut at = 0;
    for (k, param) in signature.params.iter().enumerate() {
        for (elem, _) in param.form.leaves() {
            if wrt.contains(&k) && elem.is_float() {
                out.push(at);
            }
            at += 1;
        }
    }
    out
}

fn tensor(value: &Value) -> Option<ValueId> {
    match value {
        Value::Tensor(v) => Some(*v),
        Value::Lane(_) | Value::Number(_) | Value::Tuple(_) | Value::Struct(_) | Value::Option(..) | Value::Lengths(_) | Value::Axis(_) => {
            None
        }
        Value::Fixed(_) | Value::Iter(_) | Value::Closure(_) | Value::Unit | Value::Poison => None,
    }
}

/// A value of a form, from its leaves.
fn of_form(form: &Form, leaves: &mut dyn Iterator<Item = ValueId>) -> Option<Value> {
    match form {
        Form::Scalar(_) | Form::Array { .. } => leaves.next().map(Value::Tensor),
        Form::Fixed { .. } => leaves.next().map(Value::Fixed),
        Form::Tuple(parts) => parts.iter().map(|part| of_form(part, leaves)).collect::<Option<Vec<_>>>().map(Value::Tuple),
        Form::Struct(of) => {
            let values = of.fields.iter().map(|(_, part)| of_form(part, leaves)).collect::<Option<Vec<_>>>()?;
            Some(Value::Struct(Rc::new(Fields { form: of.clone(), values })))
        }
    }
}

/// The derivative of a value of this form: of tuples the parts that have floats; a struct keeps what it has beside them. `leaves` are the floats.
fn derivative_of(value: &Value, form: &Form, leaves: &mut dyn Iterator<Item = ValueId>) -> Option<Value> {
    match (value, form) {
        (Value::Tuple(values), Form::Tuple(forms)) => {
            let parts: Vec<Value> = values.iter().zip(forms).filter_map(|(value, form)| derivative_of(value, form, leaves)).collect();
            (!parts.is_empty()).then_some(Value::Tuple(parts))
        }
        (_, Form::Struct(_)) if form.is_differentiable() => Some(with_floats(value, form, leaves)),
        _ if form.is_differentiable() => of_form(form, leaves),
        _ => None,
    }
}

/// The value with other floats.
fn with_floats(value: &Value, form: &Form, leaves: &mut dyn Iterator<Item = ValueId>) -> Value {
    match (value, form) {
        (Value::Tuple(values), Form::Tuple(forms)) => {
            Value::Tuple(values.iter().zip(forms).map(|(value, form)| with_floats(value, form, leaves)).collect())
        }
        (Value::Struct(fields), Form::Struct(of)) => {
            let values = fields.values.iter().zip(&of.fields).map(|(value, (_, form))| with_floats(value, form, leaves)).collect();
            Value::Struct(Rc::new(Fields { form: fields.form.clone(), values }))
        }
        _ if form.is_differentiable() => of_form(form, leaves).unwrap_or(Value::Poison),
        _ => value.clone(),
    }
}
