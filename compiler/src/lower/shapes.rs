//! Which lengths are equal, and how lowering came to know.
//!
//! A name in `#[shape(n, d)]` is *rigid*: it is one length wherever it stands, and another name is another length. What the code makes equal to a rigid
//! length takes its name; what would make two of them equal is an error, as is a rigid length that would have to be a number. All
//! other lengths become equal where the code requires it. Each step is remembered in words, for the error that it may lead to.

use std::collections::HashMap;

use syn::Attribute;

use super::{Lowering, Value, describe_form, text};
use crate::diagnostics::messages;
use crate::ir::{Dim, DimId};
use crate::syntax::Form;
use crate::syntax::shapes::Length;

/// What is known of lengths beside that some are equal.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    /// The lengths that `#[shape(..)]` names, by their names.
    rigid: HashMap<String, DimId>,
    /// Where each length comes from, in words: an axis of a parameter, and what was made equal to it by which expression.
    origins: HashMap<DimId, String>,
    /// What is said of numbers in the same way: what became each of them.
    numbers: HashMap<u64, String>,
}

impl Lengths {
    fn is_rigid(&self, dim: DimId) -> bool {
        self.rigid.values().any(|&d| d == dim)
    }
}

impl Lowering<'_> {
    /// The dimensions of a parameter: by the names and numbers of its `#[shape(..)]` where there are any.
    pub(super) fn parameter_dims(&mut self, name: &str, suffixes: &[String], said: Option<&[Length]>) -> Vec<Dim> {
        let axis = |this: &mut Self, k: usize| {
            let here = format!("axis {k} of `{name}`");
            match said.and_then(|s| s.get(k)) {
                Some(Length::Number(n)) => {
                    this.shapes.numbers.entry(*n).and_modify(|w| *w = format!("{w} and {here}")).or_insert(here);
                    Dim::Const(*n)
                }
                Some(Length::Name(length)) => {
                    let dim = match this.shapes.rigid.get(length) {
                        Some(&dim) => {
                            this.shapes.origins.entry(dim).and_modify(|w| *w = format!("{w} and {here}"));
                            dim
                        }
                        None => {
                            let dim = this.b.dim(length);
                            this.shapes.rigid.insert(length.clone(), dim);
                            this.shapes.origins.insert(dim, here);
                            dim
                        }
                    };
                    Dim::Sym(dim)
                }
                Some(Length::Any) | None => {
                    let dim = this.b.dim(&format!("{name}_{}", suffixes[k]));
                    this.shapes.origins.insert(dim, here);
                    Dim::Sym(dim)
                }
            }
        };
        (0..suffixes.len()).map(|k| axis(self, k)).collect()
    }

    /// What `#[shape(..)]` says of the axes of a parameter, if it speaks of each; an error if not.
    pub(super) fn fitting_shape<'s>(
        &mut self,
        form: &Form,
        name: &str,
        (attr, lengths): &'s (Attribute, Vec<Length>),
    ) -> Option<&'s [Length]> {
        match form {
            Form::Array { rank, .. } if *rank == lengths.len() => Some(lengths),
            form => {
                let count = format!("{} {}", lengths.len(), if lengths.len() == 1 { "axis" } else { "axes" });
                self.error(attr, messages::SHAPE_RANK, &[&text(attr), &count, name, &describe_form(form)]);
                None
            }
        }
    }

    /// What a helper function says of the shapes of its parameters holds for the arguments of a call.
    pub(super) fn check_argument_shape(&mut self, value: &Value, said: &[Length], named: &mut HashMap<String, Dim>, arg: &syn::Expr) {
        let (Value::Tensor(v) | Value::Lane(v)) = value else { return };
        let dims: Vec<Dim> = self.b.ty(*v).dims.clone();
        for (dim, length) in dims.into_iter().zip(said) {
            let expected = match length {
                Length::Any => continue,
                Length::Number(n) => Dim::Const(*n),
                Length::Name(name) => *named.entry(name.clone()).or_insert(dim),
            };
            if !self.unify(dim, expected, arg, arg, arg) {
                return;
            }
        }
    }

    /// Whether two different lengths, each with the operand that has it, may be equal; an error if not.
    pub(super) fn may_be_equal(&mut self, (x, x_expr): (Dim, &syn::Expr), (y, y_expr): (Dim, &syn::Expr), e: &syn::Expr) -> bool {
        let different = match (x, y) {
            (Dim::Sym(a), Dim::Sym(b)) => self.shapes.is_rigid(a) && self.shapes.is_rigid(b),
            (Dim::Sym(a), Dim::Const(_)) | (Dim::Const(_), Dim::Sym(a)) => self.shapes.is_rigid(a),
            (Dim::Const(_), Dim::Const(_)) => true,
        };
        if different {
            let (x_name, y_name) = (self.dim_text(x), self.dim_text(y));
            let origins = [(x, &x_name, x_expr), (y, &y_name, y_expr)].map(|(dim, name, expr)| match self.origin(dim) {
                Some(origin) => format!("`{name}` is the length of {origin}"),
                None => format!("`{name}` is a length of `{}`", text(expr)),
            });
            self.error(e, messages::LENGTH_MISMATCH, &[&text(e), &x_name, &y_name, &origins[0], &origins[1]]);
        }
        !different
    }

    fn origin(&self, dim: Dim) -> Option<&String> {
        match dim {
            Dim::Const(n) => self.shapes.numbers.get(&n),
            Dim::Sym(id) => self.shapes.origins.get(&id),
        }
    }

    /// Makes two lengths that may be equal one, because of an expression.
    pub(super) fn make_equal(&mut self, x: Dim, y: Dim, e: &syn::Expr) {
        let (gone, kept) = match (x, y) {
            (Dim::Sym(a), constant @ Dim::Const(_)) | (constant @ Dim::Const(_), Dim::Sym(a)) => (a, constant),
            (Dim::Sym(a), Dim::Sym(b)) if self.shapes.is_rigid(b) => (a, Dim::Sym(b)),
            (Dim::Sym(a), Dim::Sym(b)) if self.shapes.is_rigid(a) => (b, Dim::Sym(a)),
            (Dim::Sym(a), Dim::Sym(b)) => (a.max(b), Dim::Sym(a.min(b))),
            (Dim::Const(_), Dim::Const(_)) => return,
        };
        if let Some(origin) = self.shapes.origins.remove(&gone) {
            let origin = format!("{origin} (by `{}`)", text(e));
            let known = match kept {
                Dim::Const(n) => self.shapes.numbers.entry(n).or_default(),
                Dim::Sym(id) => self.shapes.origins.entry(id).or_default(),
            };
            *known = if known.is_empty() { origin } else { format!("{known} and {origin}") };
        }
        self.b.replace_dim(gone, kept);
    }

    /// A length as a user knows it: by its name or as a number.
    pub(super) fn dim_text(&self, dim: Dim) -> String {
        match dim {
            Dim::Const(n) => n.to_string(),
            Dim::Sym(id) => self.b.dim_name(id).to_owned(),
        }
    }
}
