//! Types of the IR: an element type and a list of symbolic dimensions.

use std::fmt;

/// What one element of a tensor is.
///
/// Only `F32` and `F64` carry derivatives. `Usize` and `I64` are both held as 64-bit integers by the evaluator; they stay
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
}

impl Elem {
    /// Whether values of this element type have tangents and cotangents.
    pub fn is_float(self) -> bool {
        match self {
            Elem::F64 | Elem::F32 => true,
            Elem::Usize | Elem::I64 | Elem::Bool => false,
        }
    }

    /// Whether this is one of the integer types.
    pub fn is_integer(self) -> bool {
        match self {
            Elem::Usize | Elem::I64 => true,
            Elem::F64 | Elem::F32 | Elem::Bool => false,
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
    /// A float of either width, held as `f64`; an `f32` literal holds a value that `f32` represents exactly.
    Float(f64),
    /// An integer of either type.
    Int(i64),
    /// A truth value.
    Bool(bool),
}

impl Literal {
    fn key(self) -> (u8, u64) {
        match self {
            Literal::Float(x) => (0, x.to_bits()),
            Literal::Int(i) => (1, i as u64),
            Literal::Bool(b) => (2, u64::from(b)),
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
