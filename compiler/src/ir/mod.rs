//! The intermediate representation: typed SSA over tensors, pure, with structured control flow.
//!
//! This page is its specification.
//!
//! # Functions and values
//!
//! A [`Func`] is a list of parameters, a list of statements and a list of results ([`Body`]). Every value is defined
//! once, either as a parameter of a body or as a result of a statement, and may be used afterwards in the same body and in bodies nested in
//! later statements of it. A value is a handle, [`ValueId`], into the function's table of types; handles of
//! different functions have nothing to do with each other. Evaluation is strict and in order, without side effects: two
//! statements with equal operations and operands give equal results, and a statement whose results nobody uses can go.
//!
//! # Types and dimensions
//!
//! A [`Type`] is an element type and a list of dimensions; a scalar has none. A dimension is a number or a symbol, and two
//! dimensions denote the same length exactly when they are equal as data. Symbols of the parameters' types are
//! bound by the arguments (the generated entry check compares them and names the parameters on a mismatch); every other symbol is bound by
//! a [`Shape::BindDim`] statement, which for a dimension that is bound already is a check. There is no implicit broadcasting: element-wise operands have equal types up to the element
//! type, and [`Shape::Broadcast`] says which axes are new. Elements stand in row-major order.
//!
//! The element type of a function that is generic over `F: Float` is [`Elem::Generic`]: a float like the others, of which nothing is known that does not hold for
//! `f64` and `f32` alike. [`Func::at_width`] says which of the two it is.
//!
//! # Control flow
//!
//! [`Control::For`], [`Control::While`] and [`Control::If`] are statements with nested bodies. A body may use values of the bodies around it directly
//! (captures); what a loop changes from turn to turn is carried explicitly. [`Control::Check`] says that the function has no value where a condition does not
//! hold; it is the only statement with an effect, and stays wherever it would be reached.
//!
//! # Derivatives
//!
//! Only float values have tangents and cotangents. A function is *linear* in a set of parameters if each float
//! result is a linear function of them jointly, the others being held; `derive::linearity` proves it from the structure and `derive::transpose` demands
//! it. Zero tangents and cotangents are symbolic (`None` inside the passes) and become arrays only where a result has to be one.
//! Floats are never folded: `x * 0` is not zero, since `x` may be infinite; what AD knows to be zero never becomes a statement.
//!
//! # Notes
//!
//! Beside each value stands a [`Note`]: the user's name, the source text, and the span. Passes carry them along (a tangent of `x` is named
//! `x_dot`, a cotangent `x_bar`); nothing depends on them but messages and the look of generated code.
//!
//! # What every pass may assume and must keep
//!
//! The invariants listed at [`verify`](mod@verify). Passes map functions to functions and are closed: what one gives, any other takes.

pub mod builder;
pub mod call;
pub mod eval;
pub mod op;
pub mod text;
pub mod types;
pub mod verify;
mod width;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

pub use builder::Builder;
pub use call::{Call, CallPart, Opaque};
pub use op::{Control, Einsum, Elementwise, Index, Linalg, Op, Pick, Reduce, Shape, Triangle, Window};
pub use types::{Dim, DimId, Elem, Literal, Type, TypeParam};

/// Handle of a value in its function's tables.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// One function.
#[derive(Clone, Debug)]
pub struct Func {
    /// Its name, for messages and the textual form.
    pub name: String,
    /// Symbolic dimensions, indexed by [`DimId`].
    pub dims: Vec<DimInfo>,
    /// Types of all values, indexed by [`ValueId`].
    pub types: Vec<Type>,
    /// Notes on all values, indexed by [`ValueId`].
    pub notes: Vec<Note>,
    /// Parameters, statements and results.
    pub body: Body,
}

/// What is known of a symbolic dimension.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DimInfo {
    /// A Rust identifier that says where it comes from, such as `x_rows`; unique in its function.
    pub name: String,
}

/// A straight sequence of statements with parameters and results.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Body {
    /// Values given from outside at each execution.
    pub params: Vec<ValueId>,
    /// Statements in order of execution.
    pub stmts: Vec<Stmt>,
    /// Values given back.
    pub results: Vec<ValueId>,
}

/// One operation applied to values.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Stmt {
    /// The values that it defines.
    pub outs: Vec<ValueId>,
    /// The operation.
    pub op: Op,
    /// Its operands.
    pub args: Vec<ValueId>,
    /// The nested bodies of control flow; empty for all other operations.
    pub bodies: Vec<Body>,
}

/// What a value is called and where it comes from.
#[derive(Clone, Debug)]
pub struct Note {
    /// The user's name of the value, or one derived from it (`x_dot`, `x_bar`); not necessarily unique.
    pub name: Option<Rc<str>>,
    /// The user's expression, or the name of the parameter, that gave rise to it.
    pub source: Option<Rc<str>>,
    /// What the value is to `source`, outermost first; empty if it is the very value. The Hessian-vector product of `w`, for example, is
    /// the tangent of the adjoint of `w`.
    pub relations: Vec<Relation>,
    /// The place in the user's code that gave rise to it.
    pub span: proc_macro2::Span,
}

/// What a value is to an expression of the user's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Relation {
    /// Its derivative along the directions of forward mode.
    Tangent,
    /// The derivative of the results with respect to it, in reverse mode.
    Adjoint,
    /// Computed on the way to its tangent or adjoint.
    DerivativePart,
    /// Computed on the way to its value, for functions that are more than one operation.
    Part,
}

impl Relation {
    /// In words, before the expression.
    pub fn words(self) -> &'static str {
        match self {
            Relation::Tangent => "tangent of ",
            Relation::Adjoint => "adjoint of ",
            Relation::DerivativePart => "part of the derivative of ",
            Relation::Part => "a part of ",
        }
    }
}

impl Note {
    /// A note that only has a place.
    pub fn at(span: proc_macro2::Span) -> Self {
        Note { name: None, source: None, relations: Vec::new(), span }
    }

    /// A note with a name and no particular place.
    pub fn named(name: &str) -> Self {
        Note { name: Some(name.into()), ..Note::default() }
    }

    /// A note on the value of an expression of the user's.
    pub fn of_source(source: &str, span: proc_macro2::Span) -> Self {
        Note { source: Some(source.into()), ..Note::at(span) }
    }

    /// The note on what is computed on the way to the value that this note describes.
    pub fn part(&self) -> Self {
        self.related(None, Relation::Part)
    }

    /// The note on what is computed on the way to a derivative of the value that this note describes.
    pub fn derivative_part(&self) -> Self {
        let mut note = self.related(None, Relation::DerivativePart);
        // A part of the derivative of a part is just that to the whole.
        note.relations.retain(|&r| r != Relation::Part);
        note
    }

    /// What the value is, in words, with the user's expression between backquotes.
    pub fn explain(&self) -> Option<String> {
        let source = self.source.as_ref()?.split_whitespace().collect::<Vec<_>>().join(" ");
        let relations: String = self.relations.iter().map(|r| r.words()).collect();
        Some(format!("{relations}`{source}`"))
    }

    /// The note for the tangent of the value that this note describes.
    pub fn tangent(&self) -> Self {
        self.related(Some("dot"), Relation::Tangent)
    }

    /// The note for the cotangent of the value that this note describes.
    pub fn cotangent(&self) -> Self {
        self.related(Some("bar"), Relation::Adjoint)
    }

    /// The note on a value with this relation to the one that this note describes. It has a name only if a suffix is given.
    fn related(&self, suffix: Option<&str>, relation: Relation) -> Self {
        let mut relations = vec![relation];
        relations.extend(&self.relations);
        Note {
            name: self.name.as_ref().zip(suffix).map(|(name, suffix)| format!("{name}_{suffix}").into()),
            source: self.source.clone().or_else(|| self.name.clone()),
            relations,
            span: self.span,
        }
    }
}

impl Default for Note {
    fn default() -> Self {
        Note::at(proc_macro2::Span::call_site())
    }
}

impl Func {
    /// Type of a value.
    pub fn ty(&self, value: ValueId) -> &Type {
        &self.types[value.0 as usize]
    }

    /// Note on a value.
    pub fn note(&self, value: ValueId) -> &Note {
        &self.notes[value.0 as usize]
    }

    /// The statement that binds each dimension that is not bound by a parameter. Every other [`Shape::BindDim`] is a check.
    pub fn binders(&self) -> HashMap<DimId, &Stmt> {
        let given: HashSet<Dim> = self.param_types().flat_map(|ty| ty.dims.iter().copied()).collect();
        let mut binders = HashMap::new();
        self.body.walk(&mut |stmt| {
            if let Op::Shape(Shape::BindDim { dim: dim @ Dim::Sym(id) }) = stmt.op
                && !given.contains(&dim)
            {
                binders.entry(id).or_insert(stmt);
            }
        });
        binders
    }

    /// Name of a symbolic dimension.
    pub fn dim_name(&self, dim: DimId) -> &str {
        &self.dims[dim.0 as usize].name
    }

    /// The parameters.
    pub fn params(&self) -> &[ValueId] {
        &self.body.params
    }

    /// The results.
    pub fn results(&self) -> &[ValueId] {
        &self.body.results
    }

    /// Types of the parameters.
    pub fn param_types(&self) -> impl Iterator<Item = &Type> {
        self.body.params.iter().map(|&p| self.ty(p))
    }

    /// Types of the results.
    pub fn result_types(&self) -> impl Iterator<Item = &Type> {
        self.body.results.iter().map(|&r| self.ty(r))
    }

    /// Number of statements, those in nested bodies included.
    pub fn n_stmts(&self) -> usize {
        self.body.n_stmts()
    }

    /// Number of parameters that bind dimensions and data, a shorthand in passes.
    pub fn n_params(&self) -> usize {
        self.body.params.len()
    }
}

impl Stmt {
    /// Whether it does anything beside giving its results: whether it is a [`Control::Check`] or has one inside.
    pub fn has_effect(&self) -> bool {
        matches!(self.op, Op::Control(Control::Check { .. })) || self.bodies.iter().any(Body::has_effect)
    }
}

impl Body {
    /// Whether a statement in it, at any depth, does anything beside giving its results.
    pub fn has_effect(&self) -> bool {
        self.stmts.iter().any(Stmt::has_effect)
    }

    /// Number of statements, those in nested bodies included.
    pub fn n_stmts(&self) -> usize {
        self.stmts.iter().map(|s| 1 + s.bodies.iter().map(Body::n_stmts).sum::<usize>()).sum()
    }

    /// Calls `visit` for every statement, outer ones before those nested in them.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Stmt)) {
        for stmt in &self.stmts {
            visit(stmt);
            for body in &stmt.bodies {
                body.walk(visit);
            }
        }
    }

    /// The values that this body uses, and that are defined outside of it, each once, in order of first use.
    pub fn captures(&self) -> Vec<ValueId> {
        let mut defined: std::collections::HashSet<ValueId> = std::collections::HashSet::new();
        let mut seen = std::collections::HashSet::new();
        let mut out = Vec::new();
        self.collect_captures(&mut defined, &mut seen, &mut out);
        out
    }

    fn collect_captures(
        &self,
        defined: &mut std::collections::HashSet<ValueId>,
        seen: &mut std::collections::HashSet<ValueId>,
        out: &mut Vec<ValueId>,
    ) {
        defined.extend(&self.params);
        let mut used = |v: ValueId, defined: &std::collections::HashSet<ValueId>| {
            if !defined.contains(&v) && seen.insert(v) {
                out.push(v);
            }
        };
        for stmt in &self.stmts {
            for &arg in &stmt.args {
                used(arg, defined);
            }
            for body in &stmt.bodies {
                for v in body.captures() {
                    used(v, defined);
                }
            }
            defined.extend(&stmt.outs);
        }
        for &r in &self.results {
            used(r, defined);
        }
    }
}
