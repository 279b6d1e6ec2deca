//! What an expression of the user's stands for while it is lowered.

use std::rc::Rc;

use crate::ir::{Dim, Elem, Type, ValueId};

use super::iterators::Iter;
use super::scope::Scope;
use super::structs::Fields;

/// What an expression stands for. References are erased: `&x` is `x`.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A number or an array of the IR.
    Tensor(ValueId),
    /// Inside an element-wise closure: one number for each element of the array it is mapped over, held as an array of that shape.
    Lane(ValueId),
    /// A literal, or arithmetic of literals, whose type is not known yet.
    Number(Number),
    /// A fixed array, as a tensor. It is no array of `ndarray`: what the two have in common is little, and spelled differently.
    Fixed(ValueId),
    /// A tuple.
    Tuple(Vec<Value>),
    /// A struct.
    Struct(Rc<Fields>),
    /// The `Option` that the named method gives.
    Option(Rc<Value>, &'static str),
    /// `x.shape()` or `x.raw_dim()`.
    Lengths(Vec<Dim>),
    /// `Axis(k)`.
    Axis(usize),
    /// An iterator, or a `Zip`.
    Iter(Rc<Iter>),
    /// A closure with what it sees.
    Closure(Rc<(syn::ExprClosure, Scope<Value>)>),
    /// Nothing: `()`.
    Unit,
    /// An expression with an error that has been reported; what uses it is silent.
    Poison,
}

/// Arithmetic of literals, done in every type it may turn out to have, so that the result is bit for bit what Rust computes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// A float, in both widths.
    Float(f64, f32),
    /// An integer.
    Int(i64),
}

impl Value {
    /// The values of the tree's leaves, in order; `None` if there is one that is neither a tensor nor a number.
    pub(super) fn leaves(&self) -> Option<Vec<Value>> {
        match self {
            Value::Tensor(_) | Value::Lane(_) | Value::Number(_) => Some(vec![self.clone()]),
            Value::Fixed(v) => Some(vec![Value::Tensor(*v)]),
            Value::Tuple(parts) => leaves_of(parts),
            Value::Struct(fields) => leaves_of(&fields.values),
            Value::Unit => Some(Vec::new()),
            Value::Option(..) | Value::Lengths(_) | Value::Axis(_) | Value::Iter(_) | Value::Closure(_) | Value::Poison => None,
        }
    }

    /// The same tree with other leaves, taken in order.
    pub(super) fn with_leaves(&self, leaves: &mut impl Iterator<Item = Value>) -> Value {
        match self {
            Value::Tensor(_) | Value::Lane(_) | Value::Number(_) => leaves.next().unwrap_or(Value::Poison),
            Value::Fixed(_) => match leaves.next() {
                Some(Value::Tensor(v)) => Value::Fixed(v),
                other => other.unwrap_or(Value::Poison),
            },
            Value::Tuple(parts) => Value::Tuple(parts.iter().map(|p| p.with_leaves(leaves)).collect()),
            Value::Struct(fields) => {
                let values = fields.values.iter().map(|v| v.with_leaves(leaves)).collect();
                Value::Struct(Rc::new(Fields { form: fields.form.clone(), values }))
            }
            Value::Unit => Value::Unit,
            Value::Option(..) | Value::Lengths(_) | Value::Axis(_) | Value::Iter(_) | Value::Closure(_) | Value::Poison => self.clone(),
        }
    }

    /// Whether a part of it has an error that has been reported.
    pub(super) fn is_poisoned(&self) -> bool {
        match self {
            Value::Poison => true,
            Value::Tuple(parts) => parts.iter().any(Value::is_poisoned),
            Value::Struct(fields) => fields.values.iter().any(Value::is_poisoned),
            Value::Option(inner, _) => inner.is_poisoned(),
            Value::Tensor(_) | Value::Lane(_) | Value::Number(_) | Value::Lengths(_) | Value::Axis(_) => false,
            Value::Fixed(_) | Value::Iter(_) | Value::Closure(_) | Value::Unit => false,
        }
    }

    /// Whether two values are the same without looking into the IR, so that assigning one to the other changes nothing.
    pub(super) fn is_same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Tensor(a), Value::Tensor(b)) | (Value::Lane(a), Value::Lane(b)) | (Value::Fixed(a), Value::Fixed(b)) => a == b,
            (Value::Number(a), Value::Number(b)) => a.is_same(*b),
            (Value::Tuple(a), Value::Tuple(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same(b)),
            (Value::Struct(a), Value::Struct(b)) => a.form == b.form && a.values.iter().zip(&b.values).all(|(a, b)| a.is_same(b)),
            (Value::Option(a, _), Value::Option(b, _)) => a.is_same(b),
            (Value::Lengths(a), Value::Lengths(b)) => a == b,
            (Value::Axis(a), Value::Axis(b)) => a == b,
            (Value::Closure(a), Value::Closure(b)) => Rc::ptr_eq(a, b),
            (Value::Iter(a), Value::Iter(b)) => Rc::ptr_eq(a, b),
            (Value::Unit, Value::Unit) | (Value::Poison, Value::Poison) => true,
            _ => false,
        }
    }
}

fn leaves_of(parts: &[Value]) -> Option<Vec<Value>> {
    let mut out = Vec::new();
    for part in parts {
        out.extend(part.leaves()?);
    }
    Some(out)
}

impl Number {
    fn is_same(self, other: Number) -> bool {
        match (self, other) {
            (Number::Float(a, b), Number::Float(c, d)) => a.to_bits() == c.to_bits() && b.to_bits() == d.to_bits(),
            (Number::Int(a), Number::Int(b)) => a == b,
            _ => false,
        }
    }
}

/// A type as a user would say it, with its article: "an `Array2<f64>`", "an `f64`".
pub(super) fn describe_type(ty: &Type) -> String {
    match (ty.rank(), ty.elem) {
        (0, Elem::Bool) => "a `bool`".to_owned(),
        (0, Elem::Usize) => "a `usize`".to_owned(),
        (0, elem) => format!("an `{elem}`"),
        (rank, elem) => format!("an `Array{rank}<{elem}>`"),
    }
}

/// A rank as a user would say it: "1 axis", "2 axes".
pub(super) fn describe_rank(rank: usize) -> String {
    match rank {
        0 => "no axes".to_owned(),
        1 => "1 axis".to_owned(),
        n => format!("{n} axes"),
    }
}
