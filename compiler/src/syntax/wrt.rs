//! What is differentiated: parameters, or parts of them, `wrt(net.w, pair.0)`.

use syn::ext::IdentExt;

use super::form::{Form, member_name};
use super::{Signature, source_text};
use crate::diagnostics::{Diagnostics, messages};

/// A parameter that is differentiated, or a part of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrt {
    /// The position of the parameter.
    pub param: usize,
    /// The fields on the way to the part, outermost first; none for the whole parameter.
    pub path: Vec<syn::Member>,
    /// The form of the part.
    pub form: Form,
    /// The position of its first leaf among the leaves of all parameters.
    pub first: usize,
}

impl Wrt {
    /// A whole parameter.
    pub fn whole(signature: &Signature, param: usize) -> Self {
        let first = signature.params[..param].iter().map(|p| p.form.leaves().len()).sum();
        Wrt { param, path: Vec::new(), form: signature.params[param].form.clone(), first }
    }

    /// All parameters that have floats.
    pub fn all(signature: &Signature) -> Vec<Self> {
        let positions = 0..signature.params.len();
        positions.filter(|&k| signature.params[k].form.is_differentiable()).map(|k| Wrt::whole(signature, k)).collect()
    }

    /// The positions of its leaves that are floats, among the leaves of all parameters, ascending.
    pub fn float_leaves(&self) -> Vec<usize> {
        let leaves = self.form.leaves().into_iter().enumerate();
        leaves.filter(|(_, (elem, _))| elem.is_float()).map(|(k, _)| self.first + k).collect()
    }

    /// What tangents and cotangents of it are called, without what says which they are: `net_layer_w`.
    pub fn name(&self, param: &str) -> String {
        std::iter::once(param.to_owned()).chain(self.path.iter().map(member_name)).collect::<Vec<_>>().join("_")
    }

    /// Whether one of the two is a part of the other.
    fn overlaps(&self, other: &Wrt) -> bool {
        self.param == other.param && self.path.iter().zip(&other.path).all(|(a, b)| a == b)
    }
}

/// Reads the places in `wrt(..)`, in the order of the leaves, with an error for each that is not to be differentiated.
pub fn read_wrt(places: &[syn::Expr], signature: &Signature, diags: &mut Diagnostics) -> Vec<Wrt> {
    let mut all: Vec<Wrt> = Vec::new();
    for place in places {
        let Some(wrt) = read_place(place, signature, diags) else { continue };
        if !wrt.form.is_differentiable() {
            let ty = if wrt.path.is_empty() { source_text(&signature.params[wrt.param].ty) } else { wrt.form.to_string() };
            diags.error(place, messages::WRT_NOT_FLOAT, &[&source_text(place), &ty]);
        } else if !wrt.path.is_empty() && wrt.form.has_struct() {
            // Its type has a name where the struct around it is defined, and perhaps nowhere else.
            let parts = wrt.form.labels(&source_text(place)).join("`, `");
            diags.error(
                place,
                messages::WRT_PART,
                &[&source_text(place), "is a struct within another", &format!("name its parts: `{parts}`")],
            );
        } else if all.iter().any(|other| other.overlaps(&wrt)) {
            diags.error(place, messages::NAMED_TWICE, &[&source_text(place)]);
        } else {
            all.push(wrt);
        }
    }
    all.sort_by_key(|wrt| wrt.first);
    all
}

fn read_place(place: &syn::Expr, signature: &Signature, diags: &mut Diagnostics) -> Option<Wrt> {
    match place {
        syn::Expr::Path(path) => {
            let name = path.path.get_ident()?;
            let param = signature.params.iter().position(|p| p.name == *name);
            if param.is_none() {
                diags.error(name, messages::UNKNOWN_WRT, &[&name.to_string(), &signature.name.to_string(), &signature.param_names()]);
            }
            param.map(|k| Wrt::whole(signature, k))
        }
        syn::Expr::Field(field) => {
            let mut wrt = read_place(&field.base, signature, diags)?;
            let (part, names) = match &wrt.form {
                Form::Struct(of) => (of.field(&field.member).map(|(k, form)| (k, form.clone())), of.field_names()),
                Form::Tuple(forms) => {
                    let k = match &field.member {
                        syn::Member::Unnamed(k) => k.index as usize,
                        syn::Member::Named(_) => forms.len(),
                    };
                    let names: Vec<String> = (0..forms.len()).map(|k| format!("`{k}`")).collect();
                    (forms.get(k).map(|form| (k, form.clone())), names.join(", "))
                }
                Form::Scalar(_) | Form::Array { .. } | Form::Fixed { .. } => (None, String::new()),
            };
            let Some((k, form)) = part else {
                let help = if names.is_empty() { "name it as a whole".to_owned() } else { format!("its parts are {names}") };
                let why = format!("has no part `{}`", member_name(&field.member));
                diags.error(place, messages::WRT_PART, &[&source_text(&field.base), &why, &help]);
                return None;
            };
            let before: usize = match &wrt.form {
                Form::Struct(of) => of.fields[..k].iter().map(|(_, form)| form.leaves().len()).sum(),
                Form::Tuple(forms) => forms[..k].iter().map(|form| form.leaves().len()).sum(),
                Form::Scalar(_) | Form::Array { .. } | Form::Fixed { .. } => 0,
            };
            wrt.path.push(field.member.clone());
            wrt.first += before;
            wrt.form = form;
            Some(wrt)
        }
        _ => None,
    }
}

/// Whether an expression is a parameter's name, or that of a part: `net`, `net.layer.w`, `pair.0`.
pub fn is_place(e: &syn::Expr) -> bool {
    match e {
        syn::Expr::Path(path) => path.path.get_ident().is_some_and(|name| name.unraw() != "_"),
        syn::Expr::Field(field) => is_place(&field.base),
        _ => false,
    }
}
