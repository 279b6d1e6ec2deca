//! Types of the IR: an element type and a list of symbolic dimensions.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// What one element of a tensor is.
///
/// Only the floats `F32`, `F64` and `Generic` carry derivatives. `Usize` and `I64` are both held as 64-bit integers by the evaluator; they stay
/// apart so that emitted Rust has the user's type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Elem {
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// Rust's `usize`.
    Usize,
    /// Rust's `i64`.
    I64,
    /// Rust's `bool`.
    Bool,
    /// A type parameter of the function, which stands for `f64` or `f32`. The evaluator runs such a function
    /// [at one width](super::Func::at_width).
    Generic(TypeParam),
}

/// The name of a type parameter of the function. Equal names are one type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct TypeParam(&'static str);

impl TypeParam {
    /// The parameter of that name. Every name that there ever was is kept, once, so that element types are plain data.
    pub fn named(name: &str) -> Self {
        static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        // A set of names is whole wherever a thread may have stopped.
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return TypeParam(known);
        }
        let kept: &'static str = Box::leak(name.into());
        names.insert(kept);
        TypeParam(kept)
    }

    /// The name.
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl Elem {
    /// Whether values of this element type have tangents and cotangents.
    pub fn is_float(self) -> bool {
        match self {
            Elem::F64 | Elem::F32 | Elem::Generic(_) => true,
            Elem::Usize | Elem::I64 | Elem::Bool => false,
        }
    }

    /// Whether this is one of the integer types.
    pub fn is_integer(self) -> bool {
        match self {
            Elem::Usize | Elem::I64 => true,
            Elem::F64 | Elem::F32 | Elem::Bool | Elem::Generic(_) => false,
        }
    }

    /// The Rust name, which is also the name in the textual form.
    pub fn name(self) -> &'static str {
        match self {
            Elem::F64 => "f64",
            Elem::F32 => "f32",
            Elem::Usize => "usize",
            Elem::I64 => "i64",
            Elem::Bool => "bool",
            Elem::Generic(param) => param.name(),
        }
    }

    /// Whether this is a float type that may have only the values that `f32` has.
    pub fn may_be_narrow(self) -> bool {
        match self {
            Elem::F32 | Elem::Generic(_) => true,
            Elem::F64 | Elem::Usize | Elem::I64 | Elem::Bool => false,
        }
    }

    /// The type where type parameters stand for the given float type.
    #[must_use]
    pub fn at_width(self, float: Elem) -> Elem {
        match self {
            Elem::Generic(_) => float,
            Elem::F64 | Elem::F32 | Elem::Usize | Elem::I64 | Elem::Bool => self,
        }
    }
}

/// Handle of a symbolic dimension in [`Func::dims`](super::Func::dims).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct DimId(pub u32);

/// The length of one axis.
///
/// Two dimensions are the same exactly when they compare equal: lowering unifies what the code requires to be equal, and the
/// generated entry checks establish it for the actual arguments. Every pass may rely on it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Dim {
    /// A length known at compile time.
    Const(u64),
    /// A length known at run time.
    Sym(DimId),
}

/// Type of a value: a tensor, or a scalar where `dims` is empty.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Type {
    /// The element type.
    pub elem: Elem,
    /// Lengths of the axes, outermost first.
    pub dims: Vec<Dim>,
}

impl Type {
    /// A scalar type.
    pub fn scalar(elem: Elem) -> Self {
        Type { elem, dims: Vec::new() }
    }

    /// A tensor type.
    pub fn tensor(elem: Elem, dims: impl Into<Vec<Dim>>) -> Self {
        Type { elem, dims: dims.into() }
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// The same shape with another element type.
    pub fn with_elem(&self, elem: Elem) -> Self {
        Type { elem, dims: self.dims.clone() }
    }

    /// The same element type with other dimensions.
    pub fn with_dims(&self, dims: impl Into<Vec<Dim>>) -> Self {
        Type { elem: self.elem, dims: dims.into() }
    }
}

/// A literal scalar of a given element type. Floats are compared by their bits, so that `0.0` and `-0.0` differ.
#[derive(Clone, Copy, Debug)]
pub enum Literal {
    /// A float, held as `f64`. An `f32` literal holds a value that `f32` represents exactly; one of a type parameter is the nearest value of the
    /// type that this stands for.
    Float(f64),
    /// A float of a type parameter that is not the same number in both widths, such as the largest one: first as `f64`, then as `f32`.
    Widths(f64, f32),
    /// An integer of either type.
    Int(i64),
    /// A truth value.
    Bool(bool),
}

impl Literal {
    /// The literal of a type parameter where this stands for `float`.
    #[must_use]
    pub fn at_width(self, float: Elem) -> Literal {
        match (self, float) {
            (Literal::Float(x), Elem::F32) => Literal::Float(f64::from(x as f32)),
            (Literal::Widths(_, narrow), Elem::F32) => Literal::Float(f64::from(narrow)),
            (Literal::Widths(wide, _), _) => Literal::Float(wide),
            (Literal::Float(_) | Literal::Int(_) | Literal::Bool(_), _) => self,
        }
    }

    fn key(self) -> (u8, u64, u32) {
        match self {
            Literal::Float(x) => (0, x.to_bits(), 0),
            Literal::Int(i) => (1, i as u64, 0),
            Literal::Bool(b) => (2, u64::from(b), 0),
            Literal::Widths(wide, narrow) => (3, wide.to_bits(), narrow.to_bits()),
        }
    }
}

impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Literal {}

impl std::hash::Hash for Literal {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for Elem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
