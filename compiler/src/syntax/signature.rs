//! What a function's signature says: parameters, their forms, and how each is passed.

use crate::ir::Elem;

/// The signature of a function that the compiler accepts.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The function's name, with the user's span.
    pub name: syn::Ident,
    /// The function's visibility.
    pub vis: syn::Visibility,
    /// Its parameters in order.
    pub params: Vec<Param>,
    /// What it gives back.
    pub output: Form,
}

/// One parameter.
#[derive(Clone, Debug)]
pub struct Param {
    /// The user's name.
    pub name: syn::Ident,
    /// The user's type, token for token.
    pub ty: syn::Type,
    /// Whether it is passed as `&T`.
    pub by_ref: bool,
    /// What `T` is.
    pub form: Form,
}

/// A type of the user's as a tree whose leaves are the IR's values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Form {
    /// A number or truth value.
    Scalar(Elem),
    /// An array, owned (`Array2<f64>`) or a view (`ArrayView2<'_, f64>`).
    Array {
        /// element type
        elem: Elem,
        /// number of axes
        rank: usize,
        /// whether it is a view
        view: bool,
    },
    /// A tuple of such types.
    Tuple(Vec<Form>),
}

impl Form {
    /// The leaves in order: element type and rank of each.
    pub fn leaves(&self) -> Vec<(Elem, usize)> {
        match self {
            Form::Scalar(elem) => vec![(*elem, 0)],
            Form::Array { elem, rank, .. } => vec![(*elem, *rank)],
            Form::Tuple(parts) => parts.iter().flat_map(Form::leaves).collect(),
        }
    }

    /// Whether any leaf is a float, that is, whether the value has tangents and cotangents.
    pub fn is_differentiable(&self) -> bool {
        self.leaves().iter().any(|(elem, _)| elem.is_float())
    }
}
