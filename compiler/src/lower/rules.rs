//! Calls of functions that have rules in the place of a body: one operation each, of which the derivatives know what to put in its place.

use std::cell::OnceCell;
use std::rc::Rc;

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::visit::Visit;

use super::value::Value;
use super::{Lowering, default_float};
use crate::derive;
use crate::diagnostics::{Diagnostics, messages};
use crate::ir::call::match_dims;
use crate::ir::{Call, CallPart, Control, Dim, Elem, Func, Literal, Note, Op, Opaque, Shape, Type, ValueId};
use crate::syntax::carrier::unique_name;
use crate::syntax::items::{Found, Items, OpaqueState};
use crate::syntax::rule::{Rule, Rules, parse_rules};
use crate::syntax::{Form, TypeNames};

impl Lowering<'_> {
    /// A call of a function that has rules.
    pub(super) fn call_by_rule(
        &mut self,
        f: &syn::Expr,
        found: Found<'_, syn::ItemMod>,
        args: Vec<Value>,
        arg_exprs: &[&syn::Expr],
    ) -> Value {
        if let Some(unseen) = self.unseen(found) {
            return unseen;
        }
        let state = match self.items.opaque(found.id) {
            Some(state) => state,
            None => read_rules(found, self.items, self.diags, f),
        };
        let name = found.item.ident.unraw().to_string();
        match state {
            OpaqueState::Faulty => Value::Poison,
            OpaqueState::InProgress => self.provisional(found),
            OpaqueState::Ready(opaque, rules) => {
                if args.len() != rules.params.len() {
                    let takes = format!("{} arguments", rules.params.len());
                    return self.fail(f, messages::ARGUMENT_COUNT, &[&name, &takes, &args.len().to_string()]);
                }
                let mut values = Vec::new();
                for ((param, value), expr) in rules.params.iter().zip(args).zip(arg_exprs) {
                    match self.conform(value, &param.form, expr) {
                        Some(Value::Tensor(v)) => values.push((v, false)),
                        Some(Value::Lane(v)) => values.push((v, true)),
                        _ => return Value::Poison,
                    }
                }
                self.call_opaque(f, &opaque, &values)
            }
        }
    }

    /// Generated code calls the function, so that it must be seen from here and not only from the body that was carried here. Its carrier tells whether what
    /// is seen under its name is the same function.
    fn unseen(&mut self, found: Found<'_, syn::ItemMod>) -> Option<Value> {
        if found.place.is_here() || self.items.path_to(found.id).is_some() {
            return None;
        }
        let name = syn::Ident::new(&found.item.ident.to_string(), proc_macro2::Span::call_site());
        if self.items.has_answer(&name.unraw().to_string()) {
            let help = format!("give the function that is called `{name}` here another name, and import the one that is meant");
            self.diags.error_of_item(messages::NO_BODY, &[&name.to_string(), "without being in sight", &help]);
            return Some(Value::Poison);
        }
        self.diags.ask(&syn::Path::from(name));
        Some(Value::Poison)
    }

    fn call_opaque(&mut self, f: &syn::Expr, opaque: &Rc<Opaque>, args: &[(ValueId, bool)]) -> Value {
        let op = Op::Call(Call { function: opaque.clone(), part: CallPart::Value });
        if args.iter().any(|&(_, lane)| lane) {
            if self.closure.as_ref().is_some_and(|c| c.reached.is_some()) {
                let help =
                    "take the call out of the `if`: both sides are computed for all elements, and nothing says that it may be called there";
                return self.fail(f, messages::NO_BODY, &[&opaque.name, "for some elements only", help]);
            }
            let dims = self.closure.as_ref().map(|c| c.dims.clone()).unwrap_or_default();
            let dims: Vec<Dim> = dims.into_iter().map(|d| self.b.current_dim(d)).collect();
            return Value::Lane(self.for_each_element(f, &op, args, &dims));
        }
        let args: Vec<ValueId> = args.iter().map(|&(v, _)| v).collect();
        let mut known: Vec<(Dim, Dim)> = Vec::new();
        for (param, &arg) in opaque.params.iter().zip(&args) {
            for (axis, &expected) in param.dims.iter().enumerate() {
                let given = self.b.ty(arg).dims[axis];
                let before = match expected {
                    Dim::Const(_) => Some(expected),
                    Dim::Sym(_) => known.iter().find(|(own, _)| *own == expected).map(|(_, d)| *d),
                };
                match before {
                    Some(before) if !self.unify(before, given, f, f, f) => return Value::Poison,
                    Some(_) => {}
                    None => known.push((expected, given)),
                }
            }
        }
        self.emit(f, op, &args).map_or(Value::Poison, Value::Tensor)
    }

    /// A function of numbers at each element: one loop for each axis.
    fn for_each_element(&mut self, f: &syn::Expr, op: &Op, args: &[(ValueId, bool)], dims: &[Dim]) -> ValueId {
        self.b.set_default_note(super::part_of(f));
        let Some((&trip, rest)) = dims.split_first() else {
            let args: Vec<ValueId> = args.iter().map(|&(v, _)| v).collect();
            return self.b.op(op.clone(), &args);
        };
        self.b.open();
        let i = self.b.param(Type::scalar(Elem::Usize), Note::default());
        let inner: Vec<(ValueId, bool)> =
            args.iter().map(|&(v, lane)| if lane { (self.b.read_at(v, 0, i), true) } else { (v, false) }).collect();
        let result = self.for_each_element(f, op, &inner, rest);
        let body = self.b.close(vec![result]);
        self.b.stmt(Control::For { trip, reverse: false }, &[], vec![body])[0]
    }

    /// What stands for the result of a function in its own rule while that is read for the first time: a value of its type whose lengths are open.
    fn provisional(&mut self, found: Found<'_, syn::ItemMod>) -> Value {
        let mut diags = Diagnostics::new();
        let rules = parse_rules(found.item, &TypeNames::new(self.items, found.place), &mut diags);
        // They have been reported when the rules were read.
        let _ = diags.finish();
        let (elem, rank) = match rules.map(|rules| rules.output) {
            Some(Form::Array { elem, rank, .. }) => (elem, rank),
            Some(Form::Scalar(elem)) => (elem, 0),
            _ => return Value::Poison,
        };
        let dims: Vec<Dim> = (0..rank).map(|_| Dim::Sym(self.b.dim("result"))).collect();
        let zero = self.b.op(Op::Const(elem, Literal::Float(0.0)), &[]);
        let value = if rank == 0 { zero } else { self.b.op(Shape::Broadcast { axes: Vec::new(), dims }, &[zero]) };
        Value::Tensor(value)
    }
}

/// Reads the rules of a function. They may call it.
pub fn read_rules(found: Found<'_, syn::ItemMod>, items: &Items, diags: &mut Diagnostics, at: &dyn ToTokens) -> OpaqueState {
    items.set_opaque(found.id, OpaqueState::InProgress);
    let before = diags.n_errors();
    let opaque = parse_rules(found.item, &TypeNames::new(items, found.place), diags).and_then(|rules| {
        let rules = Rc::new(rules);
        let opaque = Rc::new(opaque(found, &rules, items, diags)?);
        items.set_opaque(found.id, OpaqueState::Ready(opaque.clone(), rules.clone()));
        fill(found, &opaque, &rules, items, diags)?;
        Some((opaque, rules))
    });
    if !found.place.is_here() {
        let name = found.item.ident.to_string();
        diags.gather(before, at.to_token_stream(), messages::CALL, &[&name]);
    }
    let state = match opaque {
        Some((opaque, rules)) => OpaqueState::Ready(opaque, rules),
        None => OpaqueState::Faulty,
    };
    items.set_opaque(found.id, state.clone());
    state
}

/// The function as an operation, its rules still to be filled in.
fn opaque(found: Found<'_, syn::ItemMod>, rules: &Rules, items: &Items, diags: &mut Diagnostics) -> Option<Opaque> {
    let n = rules.params.len();
    let name = rules.name.unraw().to_string();
    let (params, results, rule) = match (&rules.jvp, &rules.vjp) {
        (Some(rule), _) => {
            let f = lower_rule(found, rule, n, None, items, diags)?;
            let types: Vec<Type> = f.param_types().cloned().collect();
            (types[..n].to_vec(), f.result_types().cloned().collect::<Vec<_>>(), rule)
        }
        (None, Some(rule)) => {
            let f = lower_rule(found, rule, n, None, items, diags)?;
            let types: Vec<Type> = f.param_types().cloned().collect();
            (types[..n].to_vec(), types[n..].to_vec(), rule)
        }
        (None, None) => return None,
    };
    let open = |d: &Dim| matches!(d, Dim::Sym(_)) && !params.iter().any(|ty| ty.dims.contains(d));
    if results.iter().flat_map(|ty| &ty.dims).any(open) {
        let why = format!("it does not say which lengths the result of `{name}` has, by those of the parameters");
        diags.error(&rule.item.sig.ident, messages::RULE, &[&rule.item.sig.ident.to_string(), &name, &why]);
        return None;
    }
    let symbol = unique_name(&format!("call_{name}"), &format!("{} {}", items.owner(), found.id));
    Some(Opaque { id: found.id.to_owned(), name, symbol, body: None, params, results, jvp: OnceCell::new(), vjp: OnceCell::new() })
}

/// Reads the rules again, now that the function can be called in them, and checks what they give.
fn fill(found: Found<'_, syn::ItemMod>, opaque: &Rc<Opaque>, rules: &Rules, items: &Items, diags: &mut Diagnostics) -> Option<()> {
    let n = rules.params.len();
    let fits = |f: &Func| {
        let given: Vec<&Type> = f.param_types().take(n).collect();
        match_dims(&opaque.params, &given).is_some() && {
            let own: Vec<Type> = f.param_types().take(n).cloned().collect();
            match_dims(&own, &opaque.params.iter().collect::<Vec<_>>()).is_some()
        }
    };
    let refuse = |rule: &Rule, why: &str, diags: &mut Diagnostics| {
        diags.error(&rule.item.sig.ident, messages::RULE, &[&rule.item.sig.ident.to_string(), &opaque.name, why]);
    };
    if let Some(rule) = &rules.jvp {
        let f = lower_rule(found, rule, n, None, items, diags)?;
        if !fits(&f) {
            refuse(rule, "its other rule needs other lengths to be equal", diags);
            return None;
        }
        let tangents: Vec<usize> = (n..f.n_params()).collect();
        if let Err(error) = derive::linearity(&f, &tangents) {
            let particulars = [rule.item.sig.ident.to_string(), opaque.name.clone(), error.message];
            let span = if found.place.is_here() { error.span } else { rule.item.sig.ident.span() };
            diags.error_at(span, messages::RULE_NOT_LINEAR, &[&particulars[0], &particulars[1], &particulars[2]]);
            return None;
        }
        opaque.jvp.set(f).ok()?;
    }
    if let Some(rule) = &rules.vjp {
        let f = lower_rule(found, rule, n, Some(opaque), items, diags)?;
        if !fits(&f) {
            refuse(rule, "its other rule needs other lengths to be equal", diags);
            return None;
        }
        let types: Vec<Type> = f.param_types().cloned().collect();
        let expected = opaque.float_params().into_iter().map(|k| &types[k]);
        if !f.result_types().eq(expected) {
            refuse(rule, "a cotangent has other lengths than its parameter", diags);
            return None;
        }
        opaque.vjp.set(f).ok()?;
    }
    Some(())
}

/// A rule as a function of its own: tangents have the lengths of their parameters, a cotangent those of the result, if they are known.
fn lower_rule(
    found: Found<'_, syn::ItemMod>,
    rule: &Rule,
    n: usize,
    result_of: Option<&Opaque>,
    items: &Items,
    diags: &mut Diagnostics,
) -> Option<Func> {
    let before = diags.n_errors();
    let signature = &rule.signature;
    let mut lowering = Lowering::new(signature.name.unraw().to_string(), default_float(signature), items, diags);
    lowering.place = found.place;
    lowering.refuse_conditional(|visitor| visitor.visit_block(&rule.item.block));
    let mut params: Vec<ValueId> = Vec::new();
    for param in &signature.params {
        let name = param.name.unraw().to_string();
        let value = lowering.parameter(&param.form, &name, None, param.name.span());
        let Value::Tensor(v) = value else { return None };
        params.push(v);
        lowering.scope.bind(name, value);
    }
    let (own, others) = params.split_at(n);
    let is_vjp = signature.params.last().is_some_and(|p| p.name.to_string().ends_with("_bar"));
    let shapes: Vec<Vec<Dim>> = match (is_vjp, result_of) {
        (false, _) => own.iter().filter(|&&p| lowering.b.ty(p).elem.is_float()).map(|&p| lowering.b.ty(p).dims.clone()).collect(),
        (true, Some(opaque)) => {
            let types: Vec<Type> = own.iter().map(|&p| lowering.b.ty(p).clone()).collect();
            // Lengths that the function needs to be equal are equal in its rules.
            for (param, &own) in opaque.params.iter().zip(own) {
                for (axis, d) in param.dims.iter().enumerate() {
                    let first = opaque.params.iter().zip(&types).find_map(|(p, ty)| p.dims.iter().position(|e| e == d).map(|k| ty.dims[k]));
                    lowering.tie(own, axis, if matches!(d, Dim::Const(_)) { Some(*d) } else { first });
                }
            }
            let types: Vec<Type> = own.iter().map(|&p| lowering.b.ty(p).clone()).collect();
            let dims = opaque.dims(&types.iter().collect::<Vec<_>>())?;
            opaque.results.iter().map(|ty| ty.dims.iter().map(|&d| dims(d)).collect()).collect()
        }
        (true, None) => Vec::new(),
    };
    for (&other, shape) in others.iter().zip(shapes) {
        for (axis, d) in shape.into_iter().enumerate() {
            lowering.tie(other, axis, Some(d));
        }
    }
    let value = lowering.function_body(&rule.item.block);
    let results = lowering.results(&value, signature, &rule.item)?;
    if lowering.diags.n_errors() > before {
        return None;
    }
    if found.place.is_here() {
        items.assume(std::mem::take(&mut lowering.assumed));
    }
    Some(lowering.b.finish(results))
}

impl Lowering<'_> {
    /// Makes an axis of a parameter as long as something else, before anything has been computed from either.
    fn tie(&mut self, param: ValueId, axis: usize, to: Option<Dim>) {
        let own = self.b.ty(param).dims[axis];
        if let (Dim::Sym(id), Some(to)) = (own, to.map(|d| self.b.current_dim(d)))
            && own != to
        {
            self.b.replace_dim(id, to);
        }
    }
}
