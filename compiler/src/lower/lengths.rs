//! Lengths that are computed: which dimension a `usize` is the length of.
//!
//! A length that is made from others by addition, subtraction and multiplication with numbers has a [form](Form), a sum of multiples of dimensions and other
//! values. Two lengths of one form are one dimension, so that `x.slice(s![1..])` and `x.slice(s![..-1])` have the same length. Where the code requires
//! two dimensions to be equal that are not known to be, the one that is bound later becomes the other, and what bound it checks that they are.
//!
//! An unsigned difference that goes below zero is a failure of the user's function, so the arithmetic of forms, which ignores it, tells the truth of every
//! length that there is. Where a length is zero instead, as that of an empty range, it is an atom to what is computed from it.

use std::collections::BTreeMap;

use quote::ToTokens;

use super::value::{Number, Value};
use super::{Lowering, part_of, text};
use crate::diagnostics::messages;
use crate::ir::builder::TypeError;
use crate::ir::{Dim, DimId, Elem, Elementwise, Literal, Op, Shape, Type, ValueId};

/// What a length is made of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Atom {
    Dim(DimId),
    Value(ValueId),
}

/// A number plus multiples of lengths and other values, none of them zero times.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Form {
    number: i64,
    terms: BTreeMap<Atom, i64>,
}

impl Form {
    fn number(number: i64) -> Self {
        Form { number, terms: BTreeMap::new() }
    }

    fn atom(atom: Atom) -> Self {
        Form { number: 0, terms: BTreeMap::from([(atom, 1)]) }
    }

    /// `self + factor * other`, if the numbers are not too large.
    fn plus(mut self, other: &Form, factor: i64) -> Option<Self> {
        self.number = self.number.checked_add(other.number.checked_mul(factor)?)?;
        for (&atom, n) in &other.terms {
            let sum = self.terms.get(&atom).copied().unwrap_or(0).checked_add(n.checked_mul(factor)?)?;
            if sum == 0 {
                self.terms.remove(&atom);
            } else {
                self.terms.insert(atom, sum);
            }
        }
        Some(self)
    }

    fn as_number(&self) -> Option<i64> {
        self.terms.is_empty().then_some(self.number)
    }

    /// The dimension whose length this is.
    fn as_dim(&self) -> Option<Dim> {
        match (self.as_number(), self.number, self.terms.iter().next()) {
            (Some(n), ..) => u64::try_from(n).ok().map(Dim::Const),
            (None, 0, Some((Atom::Dim(dim), 1))) if self.terms.len() == 1 => Some(Dim::Sym(*dim)),
            _ => None,
        }
    }
}

/// What is known of the lengths that statements compute.
#[derive(Default)]
pub(super) struct Computed {
    /// In the order of binding.
    bound: Vec<Bound>,
}

/// A dimension that a statement binds.
struct Bound {
    dim: DimId,
    /// What its length is made of, where that is not negative.
    form: Form,
    /// Whether the length is zero where the form is negative, so that sums with it are no sums of its parts.
    cut_off: bool,
    /// The depth of the body in which it is bound.
    depth: usize,
}

/// Where a dimension gets its length, first things first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// From an argument, or it is a number.
    Given,
    /// In an open body of this depth, as one of so many.
    Bound(usize, usize),
    /// In a body that has been closed.
    Closed,
}

impl Lowering<'_> {
    /// The length of a dimension as a `usize`.
    pub(super) fn length(&mut self, dim: Dim, at: &dyn ToTokens) -> Option<ValueId> {
        let dim = self.b.current_dim(dim);
        let value = self.emit(at, Shape::DimSize { dim }, &[])?;
        self.lengths.insert(value, (dim, self.b.depth()));
        Some(value)
    }

    /// The dimension whose length a `usize` is: that of an array if it came from one, else a new one that the value binds.
    pub(super) fn dim_of_length(&mut self, length: &Value, name: &str, at: &dyn ToTokens) -> Option<Dim> {
        match length {
            Value::Number(Number::Int(i)) if *i >= 0 => Some(Dim::Const(*i as u64)),
            Value::Tensor(v) if *self.b.ty(*v) == Type::scalar(Elem::Usize) => {
                self.counters.is_usize(*v);
                if let Some(&(dim, _)) = self.lengths.get(v) {
                    return Some(self.b.current_dim(dim));
                }
                match self.difference(*v) {
                    Some(form) => self.dim_of_form(*v, form, true, name, at),
                    None => {
                        let form = self.form(*v);
                        self.dim_of_form(*v, form, false, name, at)
                    }
                }
            }
            Value::Poison => None,
            other => {
                let found = self.describe(other);
                self.error(at, messages::EXPECTED_KIND, &["a length of type `usize`", &found, "write for example `x.len()`"]);
                None
            }
        }
    }

    /// The dimension of the length `v`, which is made as `form` says: one that has that form already, else a new one.
    fn dim_of_form(&mut self, v: ValueId, form: Form, cut_off: bool, name: &str, at: &dyn ToTokens) -> Option<Dim> {
        let same = |this: &Self| this.computed_lengths.bound.iter().find(|b| this.current(&b.form) == form).map(|b| (b.dim, b.depth));
        let known = form.as_dim().map(|dim| (dim, 0)).or_else(|| same(self).map(|(dim, depth)| (Dim::Sym(dim), depth)));
        if let Some((dim, depth)) = known {
            let depth = depth.max(self.b.depth_of(v).unwrap_or(0));
            let dim = self.b.current_dim(dim);
            self.lengths.insert(v, (dim, depth));
            return Some(dim);
        }
        let dim = self.b.dim(name);
        let (length, depth) = self.outermost(v);
        self.b.set_default_note(part_of(at));
        if let Err(TypeError(why)) = self.b.try_stmt_at(depth, Shape::BindDim { dim: Dim::Sym(dim) }.into(), vec![length], Vec::new()) {
            self.error(at, messages::OPERANDS, &[&text(at), &why]);
            return None;
        }
        self.computed.insert(dim);
        self.computed_lengths.bound.push(Bound { dim, form, cut_off, depth });
        self.lengths.insert(v, (Dim::Sym(dim), depth));
        Some(Dim::Sym(dim))
    }

    /// A form in terms of the dimensions that there are after all replacements.
    fn current(&self, form: &Form) -> Form {
        let mut now = Form::number(form.number);
        for (&atom, &n) in &form.terms {
            let part = match atom {
                Atom::Dim(dim) => self.form_of_dim(self.b.current_dim(Dim::Sym(dim))),
                Atom::Value(_) => Form::atom(atom),
            };
            match now.clone().plus(&part, n) {
                Some(sum) => now = sum,
                None => return form.clone(),
            }
        }
        now
    }

    fn form_of_dim(&self, dim: Dim) -> Form {
        match dim {
            Dim::Const(n) => i64::try_from(n).map_or_else(|_| Form::default(), Form::number),
            Dim::Sym(id) => Form::atom(Atom::Dim(id)),
        }
    }

    /// What the length of a dimension is made of: other lengths, if it is bound by a sum of them.
    fn expanded(&self, dim: Dim) -> Form {
        match self.computed_lengths.bound.iter().find(|b| Dim::Sym(b.dim) == dim) {
            Some(bound) if !bound.cut_off => self.current(&bound.form),
            Some(_) | None => self.form_of_dim(dim),
        }
    }

    /// What an integer is made of.
    fn form(&self, v: ValueId) -> Form {
        let opaque = || Form::atom(Atom::Value(v));
        if let Some(&n) = self.known.get(&v) {
            return Form::number(n);
        }
        if let Some(&(dim, _)) = self.lengths.get(&v) {
            return self.expanded(self.b.current_dim(dim));
        }
        let Some(stmt) = self.b.definition(v) else { return opaque() };
        let args: Vec<ValueId> = stmt.args.clone();
        let made = match &stmt.op {
            Op::Const(_, Literal::Int(n)) => Some(Form::number(*n)),
            Op::Shape(Shape::DimSize { dim }) => Some(self.expanded(self.b.current_dim(*dim))),
            Op::Elementwise(Elementwise::Add) => self.form(args[0]).plus(&self.form(args[1]), 1),
            Op::Elementwise(Elementwise::Sub) if !self.is_cut_off(v) => self.form(args[0]).plus(&self.form(args[1]), -1),
            Op::Elementwise(Elementwise::Mul) => {
                let (x, y) = (self.form(args[0]), self.form(args[1]));
                match (x.as_number(), y.as_number()) {
                    (Some(n), _) => Form::default().plus(&y, n),
                    (None, Some(n)) => Form::default().plus(&x, n),
                    (None, None) => None,
                }
            }
            Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Index(_)
            | Op::Linalg(_)
            | Op::Call(_)
            | Op::Control(_) => None,
        };
        made.unwrap_or_else(opaque)
    }

    /// Whether an integer is a difference that is zero instead of negative, `max(a, b) - a`, so that sums with it are no sums of its parts.
    fn is_cut_off(&self, v: ValueId) -> bool {
        let Some(stmt) = self.b.definition(v).filter(|stmt| stmt.op == Op::Elementwise(Elementwise::Sub)) else { return false };
        let larger = self.b.definition(stmt.args[0]);
        larger.is_some_and(|larger| larger.op == Op::Elementwise(Elementwise::Max) && larger.args.contains(&stmt.args[1]))
    }

    /// What `max(a, b) - a` is made of where it is not cut off: `b - a`.
    fn difference(&self, v: ValueId) -> Option<Form> {
        if !self.is_cut_off(v) {
            return None;
        }
        let stmt = self.b.definition(v)?;
        let larger = self.b.definition(stmt.args[0])?;
        let other = larger.args.iter().copied().find(|a| *a != stmt.args[1]).unwrap_or(stmt.args[1]);
        self.form(other).plus(&self.form(stmt.args[1]), -1)
    }

    /// Makes two dimensions equal of which at least one is computed: what binds the later of them becomes a check. False if both are bound in bodies
    /// that have been closed, so that neither is known here.
    pub(super) fn check_equal(&mut self, x: Dim, y: Dim) -> bool {
        let place = |this: &Self, dim: Dim| {
            let found = this.computed_lengths.bound.iter().position(|b| Dim::Sym(b.dim) == dim && b.depth <= this.b.depth());
            match (found, dim) {
                // A body that is open stands behind what is in the bodies around it.
                (Some(k), _) => Place::Bound(this.computed_lengths.bound[k].depth, k),
                (None, Dim::Sym(id)) if this.computed.contains(&id) => Place::Closed,
                (None, Dim::Sym(_) | Dim::Const(_)) => Place::Given,
            }
        };
        let (of_x, of_y) = (place(self, x), place(self, y));
        if (of_x, of_y) == (Place::Closed, Place::Closed) {
            return false;
        }
        let (gone, kept) = if of_x > of_y { (x, y) } else { (y, x) };
        if let Dim::Sym(gone) = gone {
            self.computed.remove(&gone);
            self.computed_lengths.bound.retain(|b| b.dim != gone);
            self.b.replace_dim(gone, kept);
        }
        true
    }

    /// A value equal to a length, defined in the outermost open body where it can be, and the depth of that body. A length that is the same in all
    /// turns of a loop around it is so known before the loop, which reverse mode needs in order to keep what the turns compute. Only arithmetic that
    /// cannot fail moves, since the loop may have no turns: of a difference what is zero instead of negative, the difference itself staying where it is.
    pub(super) fn outermost(&mut self, v: ValueId) -> (ValueId, usize) {
        let depth = self.b.depth_of(v).unwrap_or(self.b.depth());
        let Some(stmt) = self.b.definition(v).cloned().filter(|_| depth > 0) else { return (v, depth) };
        let moves = match &stmt.op {
            Op::Const(..) => true,
            Op::Shape(Shape::DimSize { dim }) => !matches!(self.b.current_dim(*dim), Dim::Sym(id) if self.computed.contains(&id)),
            Op::Elementwise(Elementwise::Add | Elementwise::Sub | Elementwise::Mul | Elementwise::Max | Elementwise::Min) => true,
            Op::Elementwise(Elementwise::Div) => self.known.get(&stmt.args[1]).is_some_and(|&n| n > 0),
            Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Index(_)
            | Op::Linalg(_)
            | Op::Call(_)
            | Op::Control(_) => false,
        };
        if !moves {
            return (v, depth);
        }
        let args: Vec<(ValueId, usize)> = stmt.args.iter().map(|&a| self.outermost(a)).collect();
        let outer = args.iter().map(|a| a.1).max().unwrap_or(0);
        if outer == depth {
            return (v, depth);
        }
        let mut args: Vec<ValueId> = args.into_iter().map(|a| a.0).collect();
        self.b.set_default_note(self.b.note(v).clone());
        if stmt.op == Op::Elementwise(Elementwise::Sub) && !self.is_cut_off(v) {
            match self.b.try_stmt_at(outer, Elementwise::Max.into(), args.clone(), Vec::new()) {
                Ok(outs) => args[0] = outs[0],
                Err(_) => return (v, depth),
            }
        }
        match self.b.try_stmt_at(outer, stmt.op, args, Vec::new()) {
            Ok(outs) => (outs[0], outer),
            Err(_) => (v, depth),
        }
    }

    /// Forgets lengths that are only known inside of bodies that have been closed.
    pub(super) fn forget_inner_lengths(&mut self) {
        let depth = self.b.depth();
        self.lengths.retain(|_, (_, d)| *d <= depth);
        self.computed_lengths.bound.retain(|b| b.depth <= depth);
    }
}
