//! The verifier: what every pass may assume of a function, and must keep.
//!
//! 1. *Tables.* There is a note for every type, and every handle lies within its table.
//! 2. *Dimension names* are identifiers, and no two dimensions of a function share one.
//! 3. *Single definition.* No value is defined twice, neither in one body nor in two.
//! 4. *Scope.* A value is used only after its definition, in the same body or in bodies nested in later statements of it.
//! 5. *Types.* The results of a statement have the types that [`Op::infer`](super::Op::infer) gives, which also settles the number of operands and
//!    results and the shape of nested bodies: a loop has one, with the index as its first parameter and carried values that keep
//!    their types, a branch two without parameters and with equal result types, every other operation none.
//! 6. *Bound dimensions.* A dimension is used, in a type or an attribute, only where it is bound: those of the function's parameters everywhere, every
//!    other one after its `BindDim`, in the same body or in bodies nested in later statements of it.
//! 7. *Single binding.* A dimension that is not bound where a `BindDim` of it stands has no other `BindDim` before; where it is bound, the statement is a check.
//! 8. *No escape.* A result of a nested body has no dimension that is bound inside the body.
//! 9. *Literals.* A literal of type `f32` is a value that `f32` represents.
//!
//! The tables may hold values and dimensions that no statement defines or uses: passes that remove statements need not renumber.

use std::cell::OnceCell;
use std::fmt;

use super::text::{Printer, op_name};
use super::{Body, Dim, DimId, Elem, Func, Literal, Op, Shape, Stmt, ValueId};

/// One of the invariants, in the order of the list at the top of this file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invariant {
    /// A note for every type; handles within their tables.
    Tables,
    /// Dimensions have distinct identifiers for names.
    DimNames,
    /// No value is defined twice.
    SingleDefinition,
    /// Use after definition, in scope.
    Scope,
    /// Types are those of the operation's rule.
    Types,
    /// Dimensions are used where they are bound.
    BoundDims,
    /// No dimension is bound twice.
    SingleBinding,
    /// No dimension leaves the body in which it is bound.
    NoEscape,
    /// `f32` literals are exact.
    Literals,
}

/// A broken invariant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// What is wrong, and in which statement, by the names that the textual form uses.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.message)
    }
}

/// Checks every invariant listed in this module.
///
/// # Errors
/// All violations, in the order of the program.
pub fn verify(f: &Func) -> Result<(), Vec<Violation>> {
    let n_values = f.types.len();
    let mut v = Verifier {
        func: f,
        names: OnceCell::new(),
        violations: Vec::new(),
        in_scope: vec![false; n_values],
        defined: vec![false; n_values],
        bound: vec![false; f.dims.len()],
        ever_bound: vec![false; f.dims.len()],
    };
    v.tables();
    for &param in &f.body.params {
        v.bind_dims_of(param);
    }
    v.body(&f.body);
    if v.violations.is_empty() { Ok(()) } else { Err(v.violations) }
}

/// In debug builds, panics with the violations and the text of the function if there are any. Every pass calls it on its result.
pub fn debug_verify(f: &Func, pass: &str) {
    if cfg!(debug_assertions)
        && let Err(violations) = verify(f)
    {
        let list: Vec<String> = violations.iter().map(|v| format!("- {v}")).collect();
        panic!("`{pass}` broke invariants of `{}`:\n{}\n{f}", f.name, list.join("\n"));
    }
}

struct Verifier<'f> {
    func: &'f Func,
    /// Made for the first message.
    names: OnceCell<Printer<'f>>,
    violations: Vec<Violation>,
    in_scope: Vec<bool>,
    defined: Vec<bool>,
    bound: Vec<bool>,
    ever_bound: Vec<bool>,
}

impl<'f> Verifier<'f> {
    fn report(&mut self, invariant: Invariant, message: impl FnOnce(&Printer<'f>) -> String) {
        let names = self.names.get_or_init(|| Printer::new(self.func));
        self.violations.push(Violation { invariant, message: message(names) });
    }

    fn tables(&mut self) {
        let (n_types, n_notes) = (self.func.types.len(), self.func.notes.len());
        if n_types != n_notes {
            self.report(Invariant::Tables, |_| format!("{n_types} types and {n_notes} notes"));
        }
        for (k, dim) in self.func.dims.iter().enumerate() {
            if self.func.dims[..k].iter().any(|d| d.name == dim.name) {
                self.report(Invariant::DimNames, |_| format!("two dimensions are called `{}`", dim.name));
            }
            let begins_well = dim.name.starts_with(|c: char| c.is_alphabetic() || c == '_');
            if !begins_well || !dim.name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                self.report(Invariant::DimNames, |_| format!("a dimension is called `{}`, which is not an identifier", dim.name));
            }
        }
    }

    /// Whether the handle lies within the table; only then may anything else be asked about the value.
    fn exists(&mut self, value: ValueId) -> bool {
        let exists = (value.0 as usize) < self.func.types.len();
        if !exists {
            self.report(Invariant::Tables, |_| format!("value {} is not in the table of types", value.0));
        }
        exists
    }

    /// The dimensions of a parameter of the function are bound by its argument.
    fn bind_dims_of(&mut self, param: ValueId) {
        for dim in self.func.types.get(param.0 as usize).map_or(&[][..], |ty| &ty.dims) {
            if let Dim::Sym(DimId(d)) = *dim
                && let Some(bound) = self.bound.get_mut(d as usize)
            {
                *bound = true;
                self.ever_bound[d as usize] = true;
            }
        }
    }

    fn body(&mut self, body: &Body) {
        for &param in &body.params {
            self.define(param);
        }
        for stmt in &body.stmts {
            self.stmt(stmt);
        }
        for &result in &body.results {
            self.uses(result, |_| "as a result".to_owned());
        }
    }

    /// A body of a statement: what it defines and binds is forgotten at its end.
    fn nested(&mut self, body: &Body) {
        let (in_scope, bound) = (self.in_scope.clone(), self.bound.clone());
        self.body(body);
        for &result in &body.results {
            let dims = self.func.types.get(result.0 as usize).map_or(&[][..], |ty| &ty.dims);
            for &dim in dims {
                if let Dim::Sym(DimId(d)) = dim
                    && self.bound.get(d as usize) == Some(&true)
                    && !bound[d as usize]
                {
                    self.report(Invariant::NoEscape, |names| {
                        format!("{} leaves the body that binds its dimension `{}`", names.value(result), names.dim(dim))
                    });
                }
            }
        }
        (self.in_scope, self.bound) = (in_scope, bound);
    }

    fn stmt(&mut self, stmt: &Stmt) {
        for &arg in &stmt.args {
            self.uses(arg, |names| format!("by `{}`", names.line(stmt)));
        }
        stmt.op.for_each_dim(|dim| match (&stmt.op, dim) {
            (Op::Shape(Shape::BindDim { .. }), _) => (),
            (_, dim) => self.uses_dim(dim, |names| format!("`{}`", names.line(stmt))),
        });
        for body in &stmt.bodies {
            self.nested(body);
        }
        self.types(stmt);
        for &out in &stmt.outs {
            self.define(out);
        }
        match &stmt.op {
            Op::Shape(Shape::BindDim { dim }) => self.bind(*dim),
            Op::Const(Elem::F32, Literal::Float(x)) if f64::from(*x as f32).to_bits() != x.to_bits() && !x.is_nan() => {
                self.report(Invariant::Literals, |names| format!("`{}` is not a value of f32", names.line(stmt)));
            }
            Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Index(_)
            | Op::Linalg(_)
            | Op::Call(_)
            | Op::Control(_) => (),
        }
    }

    fn types(&mut self, stmt: &Stmt) {
        let n_values = self.func.types.len();
        let of_bodies = stmt.bodies.iter().flat_map(|b| b.params.iter().chain(&b.results));
        if stmt.args.iter().chain(of_bodies).chain(&stmt.outs).any(|v| v.0 as usize >= n_values) {
            return;
        }
        match stmt.op.infer(self.func, &stmt.args, &stmt.bodies) {
            Err(super::builder::TypeError(why)) => self.report(Invariant::Types, |names| format!("`{}`: {why}", names.line(stmt))),
            Ok(types) => {
                if !types.iter().eq(stmt.outs.iter().map(|&o| self.func.ty(o))) {
                    self.report(Invariant::Types, |names| {
                        let types: Vec<String> = types.iter().map(|ty| names.ty(ty)).collect();
                        format!("`{}`: the rule of `{}` gives ({})", names.line(stmt), op_name(&stmt.op), types.join(", "))
                    });
                }
            }
        }
    }

    fn define(&mut self, value: ValueId) {
        if !self.exists(value) {
            return;
        }
        let k = value.0 as usize;
        if std::mem::replace(&mut self.defined[k], true) {
            self.report(Invariant::SingleDefinition, |names| format!("{} is defined twice", names.value(value)));
        }
        self.in_scope[k] = true;
        for &dim in &self.func.types[k].dims {
            self.uses_dim(dim, |names| format!("the type of {}", names.value(value)));
        }
    }

    fn uses(&mut self, value: ValueId, by: impl FnOnce(&Printer<'f>) -> String) {
        if self.exists(value) && !self.in_scope[value.0 as usize] {
            self.report(Invariant::Scope, |names| format!("{} is not in scope where it is used {}", names.value(value), by(names)));
        }
    }

    fn uses_dim(&mut self, dim: Dim, by: impl FnOnce(&Printer<'f>) -> String) {
        let Dim::Sym(DimId(d)) = dim else { return };
        match self.bound.get(d as usize) {
            Some(true) => (),
            Some(false) => self.report(Invariant::BoundDims, |names| format!("`{}` is not bound in {}", names.dim(dim), by(names))),
            None => self.report(Invariant::Tables, |names| format!("dimension {d} of {} is not in the table", by(names))),
        }
    }

    fn bind(&mut self, dim: Dim) {
        let Dim::Sym(DimId(d)) = dim else { return };
        let d = d as usize;
        if d >= self.bound.len() {
            return self.report(Invariant::Tables, |_| format!("dimension {d}, which a statement binds, is not in the table"));
        }
        if std::mem::replace(&mut self.ever_bound[d], true) && !self.bound[d] {
            self.report(Invariant::SingleBinding, |names| format!("`{}` is bound twice", names.dim(dim)));
        }
        self.bound[d] = true;
    }
}
