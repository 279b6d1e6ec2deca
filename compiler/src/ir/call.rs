//! Functions that are one operation, differentiated by rules: those of the user's, of which nothing else is known, and gradients that have rules of their own.

use std::cell::OnceCell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use super::{Dim, Func, Type};

/// A call of such a function, or of its derivative.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Call {
    /// The function.
    pub function: Rc<Opaque>,
    /// What is computed.
    pub part: CallPart,
}

/// What a [`Call`] computes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallPart {
    /// The value: operands are the function's.
    Value,
    /// The tangents of the results, where only the rule of reverse mode is known: operands are the function's, then one tangent for each float parameter, in
    /// which it is linear. It is there only to be transposed; nothing computes it.
    Tangent,
}

/// A function that is not looked into.
pub struct Opaque {
    /// Tells it from all other functions.
    pub id: String,
    /// The user's name.
    pub name: String,
    /// The generated function that calls it on slices; unused where there is a body.
    pub symbol: String,
    /// The function itself, where it is one of the compiler's and not of the user's: what takes the place of its calls once they have been differentiated
    /// ([`derive::expand`](crate::derive::expand)).
    pub body: Option<Func>,
    /// The types of the parameters. Their dimensions, and those of the results, are the function's own; each of the results' is one of the parameters'.
    pub params: Vec<Type>,
    /// The types of the results, all of them floats.
    pub results: Vec<Type>,
    /// The rule of forward mode, once it has been read: the parameters, then one tangent for each float parameter; gives the tangents of the results.
    /// Linear in the tangents.
    pub jvp: OnceCell<Func>,
    /// The rule of reverse mode, once it has been read: the parameters, then one cotangent for each result; gives the cotangents of the float parameters.
    pub vjp: OnceCell<Func>,
}

impl Opaque {
    /// Positions of the float parameters, which are those with a tangent.
    pub fn float_params(&self) -> Vec<usize> {
        (0..self.params.len()).filter(|&k| self.params[k].elem.is_float()).collect()
    }

    /// What the function's own dimensions stand for, given the types of arguments; `None` if these do not fit.
    pub fn dims(&self, args: &[&Type]) -> Option<impl Fn(Dim) -> Dim + use<>> {
        match_dims(&self.params, args)
    }
}

/// What the dimensions of some parameters stand for, given the types of arguments; `None` if these do not fit.
pub fn match_dims(params: &[Type], args: &[&Type]) -> Option<impl Fn(Dim) -> Dim + use<>> {
    let mut known: Vec<(Dim, Dim)> = Vec::new();
    if params.len() != args.len() {
        return None;
    }
    for (param, arg) in params.iter().zip(args) {
        if (param.elem, param.rank()) != (arg.elem, arg.rank()) {
            return None;
        }
        for (&p, &a) in param.dims.iter().zip(&arg.dims) {
            let expected = match p {
                Dim::Const(_) => Some(p),
                Dim::Sym(_) => known.iter().find(|(from, _)| *from == p).map(|(_, to)| *to),
            };
            match expected {
                Some(expected) if expected != a => return None,
                Some(_) => {}
                None => known.push((p, a)),
            }
        }
    }
    Some(move |d| known.iter().find(|(from, _)| *from == d).map_or(d, |(_, to)| *to))
}

// Rules may call the function that they belong to, so that only the name can be looked at.

impl PartialEq for Opaque {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Opaque {}

impl Hash for Opaque {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
