//! What `#[derive(Params)]` reads of a struct: which parts of its fields are floats.

use super::attributes::parse_params;
use super::form::{Form, form_of_path, peel};
use super::generics::{open_parameters, unbounded};
use super::items::{Items, Place};
use super::source_text;
use super::structs::{TypeNames, borrows};
use crate::diagnostics::{Diagnostics, messages};
use crate::ir::Elem;

/// A struct that derives `Params`.
#[derive(Clone, Debug)]
pub struct ParamsStruct {
    /// Its name.
    pub name: syn::Ident,
    /// Its generic parameters, which are float types.
    pub generics: syn::Generics,
    /// Its fields in order, with their types token for token.
    pub fields: Vec<(syn::Member, syn::Type, Part)>,
    /// Where generated code finds this crate.
    pub crate_path: syn::Path,
}

/// What a field, or a part of a tuple in one, is.
#[derive(Clone, Debug)]
pub enum Part {
    /// A value that is itself `Params`, of the given type; the element type where the macro knows it.
    Params(Box<syn::Type>, Option<Elem>),
    /// What is no float and comes along unchanged.
    Data,
    /// A tuple with data in it.
    Tuple(Vec<Part>),
}

impl Part {
    /// The parts that are `Params`, in order.
    pub fn params(&self) -> Vec<(&syn::Type, Option<Elem>)> {
        match self {
            Part::Params(ty, elem) => vec![(ty, *elem)],
            Part::Data => Vec::new(),
            Part::Tuple(parts) => parts.iter().flat_map(Part::params).collect(),
        }
    }
}

/// Reads the struct, with an error for everything in it that cannot be a variable.
pub fn parse_params_struct(item: &syn::Item, default_crate: syn::Path, diags: &mut Diagnostics) -> Option<ParamsStruct> {
    let before = diags.n_errors();
    let item = match item {
        syn::Item::Struct(item) => item,
        syn::Item::Enum(syn::ItemEnum { enum_token: token, .. }) => {
            diags.error(token, messages::ATTRIBUTE_ON_WRONG_ITEM, &["derive(Params)", "a struct", "an enum"]);
            return None;
        }
        other => {
            diags.error(other, messages::ATTRIBUTE_ON_WRONG_ITEM, &["derive(Params)", "a struct", "this item"]);
            return None;
        }
    };
    let name = item.ident.to_string();
    let crate_path = parse_params(&item.attrs, diags).unwrap_or(default_crate);
    refuse_generics(item, diags);
    let items = Items::default();
    let names = TypeNames::new(&items, Place::HERE).within(&item.generics, &open_parameters(&item.generics));
    let mut fields = Vec::new();
    for (member, field) in item.fields.members().zip(&item.fields) {
        if borrows(&field.ty) {
            diags.error(&field.ty, messages::BORROWED_FIELD, &[&source_text(&member), &source_text(&field.ty)]);
        } else if let Some(part) = parse_part(&field.ty, &names, diags) {
            fields.push((member, field.ty.clone(), part));
        }
    }
    if diags.n_errors() > before {
        return None;
    }
    let parts: Vec<(&syn::Type, Option<Elem>)> = fields.iter().flat_map(|(_, _, part)| part.params()).collect();
    if parts.is_empty() {
        diags.error(&item.ident, messages::STRUCT_WITHOUT_FLOATS, &[&name]);
    }
    if let Some((first, first_elem)) = parts.iter().find_map(|(ty, elem)| elem.map(|elem| (*ty, elem))) {
        for (ty, elem) in parts.iter().filter_map(|(ty, elem)| elem.map(|elem| (*ty, elem))).filter(|(_, elem)| *elem != first_elem) {
            diags.error(ty, messages::MIXED_FIELDS, &[&name, &source_text(first), first_elem.name(), elem.name()]);
        }
    }
    (diags.n_errors() == before).then(|| ParamsStruct { name: item.ident.clone(), generics: item.generics.clone(), fields, crate_path })
}

/// Reports generic parameters of a struct that are no float types. A lifetime is that of a field that borrows, which is an error of its own.
pub(super) fn refuse_generics(item: &syn::ItemStruct, diags: &mut Diagnostics) {
    let name = item.ident.to_string();
    for param in unbounded(&item.generics) {
        diags.error(param, messages::GENERIC_STRUCT, &[&name, &param.ident.to_string()]);
    }
    for param in item.generics.const_params() {
        diags.error(param, messages::CONST_GENERIC_STRUCT, &[&name, &param.ident.to_string()]);
    }
}

fn parse_part(ty: &syn::Type, names: &TypeNames, diags: &mut Diagnostics) -> Option<Part> {
    let of_elem = |elem: Elem| if elem.is_float() { Part::Params(Box::new(ty.clone()), Some(elem)) } else { Part::Data };
    match peel(ty) {
        syn::Type::Tuple(tuple) => {
            let parts: Vec<Option<Part>> = tuple.elems.iter().map(|t| parse_part(t, names, diags)).collect();
            parts.into_iter().collect::<Option<Vec<_>>>().map(Part::Tuple)
        }
        syn::Type::Path(path) if path.qself.is_none() => match form_of_path(&path.path, names) {
            Ok(Some(form)) => match form {
                Form::Scalar(elem) | Form::Array { elem, .. } | Form::Fixed { elem, .. } => Some(of_elem(elem)),
                Form::Tuple(_) | Form::Struct(_) => None,
            },
            // A struct, or an alias: it is `Params` itself, or rustc says that it is not.
            Ok(None) => Some(Part::Params(Box::new(ty.clone()), None)),
            Err((message, help)) => {
                diags.error(ty, message, &[&source_text(ty), help]);
                None
            }
        },
        syn::Type::Array(array) => {
            let mut innermost = peel(&array.elem);
            while let syn::Type::Array(inner) = innermost {
                innermost = peel(&inner.elem);
            }
            if let syn::Type::Path(path) = innermost
                && let Ok(Some(Form::Scalar(elem))) = form_of_path(&path.path, names)
            {
                return Some(of_elem(elem));
            }
            let help = "an array of numbers, such as `[f64; 3]`, or a tuple `(a, b)` of the parts";
            diags.error(ty, messages::UNSUPPORTED_TYPE, &[&source_text(ty), help]);
            None
        }
        _ => {
            let help = "numbers, arrays, fixed arrays, tuples of them, or structs that derive `Params`";
            diags.error(ty, messages::UNSUPPORTED_TYPE, &[&source_text(ty), help]);
            None
        }
    }
}
