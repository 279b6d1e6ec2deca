//! Structs of the user's: literals, fields, patterns, and assignment to fields.

use std::rc::Rc;

use super::methods::Call;
use super::value::Value;
use super::{Lowering, text};
use crate::diagnostics::messages;
use crate::ir::{Elementwise, Reduce, ValueId};
use crate::syntax::StructForm;
use crate::syntax::form::member_name;
use crate::syntax::generics::TypeArguments;

/// A struct as a value: its form, and what each field stands for.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    pub(super) form: Rc<StructForm>,
    pub(super) values: Vec<Value>,
}

/// A variable, or a part of one that is reached through fields.
#[derive(Clone, Debug)]
pub(super) struct FieldPlace {
    /// The position of the variable in the scope.
    pub(super) position: usize,
    /// The fields on the way, outermost first.
    pub(super) path: Vec<syn::Member>,
}

impl Lowering<'_> {
    /// `Mlp { w1, b1: b, ..base }`
    pub(super) fn struct_literal(&mut self, e: &syn::ExprStruct) -> Value {
        let base = e.rest.as_ref().map(|rest| (rest, self.expr(rest)));
        let given: Vec<(syn::Member, Value)> = e.fields.iter().map(|field| (field.member.clone(), self.expr(&field.expr))).collect();
        let taken = match &base {
            Some((_, base)) => self.fields_of(base),
            None => Vec::new(),
        };
        let Some(form) = self.struct_named(&e.path, given.iter().chain(&taken)) else { return Value::Poison };
        let mut values: Vec<Option<Value>> = vec![None; form.fields.len()];
        for (field, (_, value)) in e.fields.iter().zip(given) {
            let Some((k, expected)) = form.field(&field.member) else {
                self.unknown_field(&field.member, &form);
                return Value::Poison;
            };
            values[k] = Some(self.conform(value, expected, &field.expr).unwrap_or(Value::Poison));
        }
        let base = match base {
            None => None,
            Some((_, Value::Struct(base))) if base.form.fields == form.fields => Some(base),
            Some((_, Value::Poison)) => return Value::Poison,
            Some((rest, other)) => {
                let found = self.describe(&other);
                let expected = format!("a `{}`", text(&form.path));
                return self.fail(
                    rest,
                    messages::EXPECTED_KIND,
                    &[&expected, &found, "take the other fields from a value of the same struct"],
                );
            }
        };
        // A missing field without `..base` is rustc's to report.
        let whole = values
            .into_iter()
            .enumerate()
            .map(|(k, value)| value.or_else(|| base.as_ref().map(|b| b.values[k].clone())).unwrap_or(Value::Poison));
        let values = whole.collect();
        Value::Struct(Rc::new(Fields { form, values }))
    }

    /// `Layer(w, b)`; `None` if the path does not name a struct.
    pub(super) fn tuple_struct_call(&mut self, path: &syn::Path, args: &[&syn::Expr], whole: &syn::Expr) -> Option<Value> {
        let form = self.type_names().struct_of(path, self.diags)?;
        let values: Vec<Value> = args.iter().map(|a| self.expr(a)).collect();
        let given: Vec<(syn::Member, Value)> = values.iter().enumerate().map(|(k, value)| (k.into(), value.clone())).collect();
        let Some(form) = form.and_then(|form| self.with_types(path, form, given.iter())) else { return Some(Value::Poison) };
        if values.len() != form.fields.len() {
            let takes = format!("{} values", form.fields.len());
            return Some(self.fail(whole, messages::ARGUMENT_COUNT, &[&text(path), &takes, &values.len().to_string()]));
        }
        let values = values
            .into_iter()
            .zip(&form.fields)
            .zip(args)
            .map(|((v, (_, f)), at)| self.conform(v, f, at).unwrap_or(Value::Poison))
            .collect();
        Some(Value::Struct(Rc::new(Fields { form, values })))
    }

    /// The struct of that name whose fields have these values.
    fn struct_named<'v>(&mut self, path: &syn::Path, values: impl Iterator<Item = &'v (syn::Member, Value)>) -> Option<Rc<StructForm>> {
        match self.type_names().struct_of(path, self.diags) {
            Some(form) => self.with_types(path, form?, values),
            None => {
                // Its carrier may have it.
                if !self.type_names().ask(path, self.diags) {
                    self.error(path, messages::UNKNOWN_STRUCT, &[&text(path)]);
                }
                None
            }
        }
    }

    /// The struct where its type parameters stand for what the values of its fields are, if the path does not say what they are.
    fn with_types<'v>(
        &mut self,
        path: &syn::Path,
        form: Rc<StructForm>,
        values: impl Iterator<Item = &'v (syn::Member, Value)>,
    ) -> Option<Rc<StructForm>> {
        let is_written = path.segments.last().is_some_and(|s| !s.arguments.is_none());
        if form.types.is_empty() || is_written {
            return Some(form);
        }
        let mut types = TypeArguments::new();
        for (member, value) in values {
            if let Some((_, field)) = form.field(member) {
                self.infer_types(field, value, &mut types);
            }
        }
        self.type_names().struct_with(path, &types, self.diags)?
    }

    /// The fields of a struct with their values; none of anything else.
    fn fields_of(&self, value: &Value) -> Vec<(syn::Member, Value)> {
        match value {
            Value::Struct(fields) => {
                fields.form.fields.iter().zip(&fields.values).map(|((member, _), value)| (member.clone(), value.clone())).collect()
            }
            _ => Vec::new(),
        }
    }

    fn unknown_field(&mut self, member: &syn::Member, form: &StructForm) {
        self.error(member, messages::UNKNOWN_FIELD, &[&member_name(member), &text(&form.path), &form.field_names()]);
    }

    /// `tuple.0`, `net.w1`
    pub(super) fn field(&mut self, field: &syn::ExprField) -> Value {
        let base = self.expr(&field.base);
        self.field_of(&base, &field.member)
    }

    pub(super) fn field_of(&mut self, base: &Value, member: &syn::Member) -> Value {
        match (base, member) {
            (Value::Poison, _) => Value::Poison,
            (Value::Tuple(parts), syn::Member::Unnamed(k)) => match parts.get(k.index as usize) {
                Some(part) => part.clone(),
                None => {
                    let found = self.describe(base);
                    self.fail(member, messages::EXPECTED_KIND, &["a field of the tuple", &found, "count its parts from 0"])
                }
            },
            (Value::Struct(fields), member) => match fields.form.field(member) {
                Some((k, _)) => fields.values[k].clone(),
                None => {
                    self.unknown_field(member, &fields.form);
                    Value::Poison
                }
            },
            _ => {
                let found = self.describe(base);
                self.fail(
                    member,
                    messages::EXPECTED_KIND,
                    &["a tuple or a struct", &found, "pass what the field holds as a parameter of its own"],
                )
            }
        }
    }

    /// Binds the names of `Mlp { w1, b1: b, .. }` or `Layer(w, b)`.
    pub(super) fn bind_struct(&mut self, pat: &syn::Pat, path: &syn::Path, parts: &[(syn::Member, &syn::Pat)], value: &Value) {
        let Some(form) = self.struct_named(path, self.fields_of(value).iter()) else {
            self.poison(pat);
            return;
        };
        match value {
            Value::Struct(fields) if fields.form.fields == form.fields => {
                for (member, pat) in parts {
                    let part = self.field_of(value, member);
                    self.bind(pat, part);
                }
            }
            Value::Poison => self.poison(pat),
            other => {
                let found = self.describe(other);
                self.error(pat, messages::EXPECTED_KIND, &[&format!("a `{}`", text(path)), &found, "bind a plain name"]);
                self.poison(pat);
            }
        }
    }

    /// A method of a struct: those of `Params` that give numbers. The body of any other the macro does not look for.
    pub(super) fn struct_method(&mut self, call: Call<'_>, name: &str, receiver: &Value) -> Value {
        match (name, call.args) {
            ("l2_norm", []) => {
                let root = self.struct_product(call, receiver, receiver).and_then(|sum| self.emit(call.whole, Elementwise::Sqrt, &[sum]));
                return root.map_or(Value::Poison, Value::Tensor);
            }
            ("dot_product", [other]) => match self.expr(other) {
                Value::Poison => return Value::Poison,
                other @ Value::Struct(_) => {
                    return self.struct_product(call, receiver, &other).map_or(Value::Poison, Value::Tensor);
                }
                _ => {}
            },
            _ => {}
        }
        let found = self.describe(receiver);
        let help = "write a function of the module that takes the struct by reference, and call that here";
        self.fail(call.name, messages::UNKNOWN_METHOD, &[name, &found, help])
    }

    /// The sum of the products of corresponding floats of two structs.
    fn struct_product(&mut self, call: Call<'_>, x: &Value, y: &Value) -> Option<ValueId> {
        let (xs, ys) = (x.leaves()?, y.leaves()?);
        let mut total: Option<ValueId> = None;
        for (x, y) in xs.into_iter().zip(ys) {
            let (Value::Tensor(x), Value::Tensor(y)) = (x, y) else { return None };
            if !self.b.ty(x).elem.is_float() {
                continue;
            }
            let (x_dims, y_dims) = (self.b.ty(x).dims.clone(), self.b.ty(y).dims.clone());
            for (a, b) in x_dims.into_iter().zip(y_dims) {
                if !self.unify(a, b, call.whole, call.receiver, call.args.first().unwrap_or(&call.receiver)) {
                    return None;
                }
            }
            let mut product = self.part(call.whole, Elementwise::Mul, &[x, y])?;
            let rank = self.b.ty(product).rank();
            if rank > 0 {
                product = self.part(call.whole, Reduce::Sum { axes: (0..rank).collect() }, &[product])?;
            }
            total = match total {
                None => Some(product),
                Some(total) => Some(self.part(call.whole, Elementwise::Add, &[total, product])?),
            };
        }
        total
    }

    /// The variable and fields of `net.layer.w`; `None` if the expression is anything else.
    pub(super) fn field_place(&mut self, left: &syn::Expr) -> Option<FieldPlace> {
        let mut path = Vec::new();
        let mut e = left;
        loop {
            e = match e {
                syn::Expr::Field(field) => {
                    path.insert(0, field.member.clone());
                    &field.base
                }
                syn::Expr::Paren(p) => &p.expr,
                syn::Expr::Group(p) => &p.expr,
                syn::Expr::Unary(syn::ExprUnary { op: syn::UnOp::Deref(_), expr, .. }) if !path.is_empty() => expr,
                _ => break,
            };
        }
        if path.is_empty() || !matches!(e, syn::Expr::Path(_)) {
            return None;
        }
        let position = self.place(e)?;
        Some(FieldPlace { position, path })
    }

    /// What stands at a place.
    pub(super) fn value_at(&mut self, place: &FieldPlace) -> Value {
        let mut value = self.scope.at(place.position).value.clone();
        for member in &place.path {
            value = self.field_of(&value, member);
        }
        value
    }

    /// Gives a part of a variable a new value.
    pub(super) fn assign_field(&mut self, place: &FieldPlace, value: Value) {
        let whole = self.scope.at(place.position).value.clone();
        if let Some(member) = place.path.last() {
            self.name(&value, &format!("{}_{}", self.scope.at(place.position).name.clone(), member_name(member)));
        }
        let whole = with_part(&whole, &place.path, value);
        self.scope.assign(place.position, whole);
    }
}

/// The value with another part behind the fields.
fn with_part(whole: &Value, path: &[syn::Member], part: Value) -> Value {
    let Some((member, rest)) = path.split_first() else { return part };
    match (whole, member) {
        (Value::Tuple(parts), syn::Member::Unnamed(k)) if (k.index as usize) < parts.len() => {
            let mut parts = parts.clone();
            let at = k.index as usize;
            parts[at] = with_part(&parts[at], rest, part);
            Value::Tuple(parts)
        }
        (Value::Struct(fields), member) => match fields.form.field(member) {
            Some((k, _)) => {
                let mut values = fields.values.clone();
                values[k] = with_part(&values[k], rest, part);
                Value::Struct(Rc::new(Fields { form: fields.form.clone(), values }))
            }
            None => Value::Poison,
        },
        // That there is no such field has been reported where its value was asked for.
        _ => Value::Poison,
    }
}
