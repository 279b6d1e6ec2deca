//! What random functions are made of: lengths, types, variables, and expressions as text.

/// The lengths that `n` and `m` stand for.
pub(super) const LENGTHS: [usize; 2] = [3, 2];

/// One of the two lengths.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Axis {
    N,
    M,
}

impl Axis {
    pub(super) fn len(self) -> usize {
        match self {
            Axis::N => LENGTHS[0],
            Axis::M => LENGTHS[1],
        }
    }

    /// The length, asked of a parameter that every function has.
    pub(super) fn text(self) -> &'static str {
        match self {
            Axis::N => "x.len()",
            Axis::M => "y.len()",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ty {
    Number,
    Vector(Axis),
    Matrix(Axis, Axis),
}

impl Ty {
    pub(super) fn shape(self) -> Vec<usize> {
        match self {
            Ty::Number => Vec::new(),
            Ty::Vector(n) => vec![n.len()],
            Ty::Matrix(n, m) => vec![n.len(), m.len()],
        }
    }
}

/// How a variable holds its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Holds {
    Owned,
    Reference,
    View,
}

#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) ty: Ty,
    pub(super) holds: Holds,
    pub(super) mutable: bool,
    pub(super) bound: f64,
}

impl Variable {
    pub(super) fn local(name: &str, ty: Ty, bound: f64) -> Self {
        Variable { name: name.to_owned(), ty, holds: Holds::Owned, mutable: false, bound }
    }

    pub(super) fn mutable(self) -> Self {
        Variable { mutable: true, ..self }
    }
}

/// An expression in the forms in which it may stand, with a rough bound on its absolute value.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    /// As an operand of an operator, without taking a variable's array away.
    pub(super) operand: String,
    /// Before a `.` and a method.
    pub(super) receiver: String,
    /// As an argument that is borrowed.
    pub(super) borrowed: String,
    pub(super) bound: f64,
}

impl Expr {
    /// The value of an operator or call, in parentheses where that is necessary.
    pub(super) fn new(text: String, bound: f64) -> Self {
        let plain = text.ends_with(')') && !text.starts_with(['(', '-', '&', '*']) && !text.contains(' ');
        let receiver = if plain { text.clone() } else { format!("({text})") };
        Expr { operand: receiver.clone(), borrowed: format!("&{receiver}"), receiver, bound }
    }

    pub(super) fn of(v: &Variable) -> Self {
        let (name, bound) = (v.name.clone(), v.bound);
        match (v.ty, v.holds) {
            (Ty::Number, Holds::Reference) => Expr { operand: format!("*{name}"), receiver: format!("(*{name})"), borrowed: name, bound },
            (Ty::Number, Holds::Owned | Holds::View) => Expr { operand: name.clone(), borrowed: format!("&{name}"), receiver: name, bound },
            (Ty::Vector(_) | Ty::Matrix(..), Holds::Owned | Holds::View) => {
                Expr { operand: format!("&{name}"), borrowed: format!("&{name}"), receiver: name, bound }
            }
            (Ty::Vector(_) | Ty::Matrix(..), Holds::Reference) => {
                Expr { operand: name.clone(), borrowed: name.clone(), receiver: name, bound }
            }
        }
    }

    /// As a value of its own.
    pub(super) fn owned(&self, ty: Ty) -> String {
        match ty {
            Ty::Number => self.operand.clone(),
            Ty::Vector(_) | Ty::Matrix(..) => format!("{}.to_owned()", self.receiver),
        }
    }
}
