//! Types of the user's as the compiler understands them: trees whose leaves are the values of the IR.

use std::fmt;
use std::rc::Rc;

use syn::ext::IdentExt;

use super::generics::TypeArguments;
use super::source_text;
use super::structs::TypeNames;
use crate::diagnostics::{Diagnostics, Message, messages};
use crate::ir::Elem;

/// A type of the user's as a tree whose leaves are the IR's values. References are erased.
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
    /// A fixed array, `[f64; 3]`, or one of such arrays, `[[f64; 3]; 2]`.
    Fixed {
        /// element type
        elem: Elem,
        /// its lengths, outermost first
        lengths: Vec<Length>,
    },
    /// A tuple of such types.
    Tuple(Vec<Form>),
    /// A struct that derives `Params`.
    Struct(Rc<StructForm>),
}

/// One length of a fixed array.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Length {
    /// A number.
    Known(u64),
    /// A constant parameter of the function.
    Named(syn::Ident),
}

/// A struct of the user's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StructForm {
    /// Its type, as the user wrote it where it was met first.
    pub path: syn::Path,
    /// What its type parameters stand for; themselves where nothing says so.
    pub types: TypeArguments,
    /// Its fields in order.
    pub fields: Vec<(syn::Member, Form)>,
}

impl StructForm {
    /// The position and form of a field.
    pub fn field(&self, member: &syn::Member) -> Option<(usize, &Form)> {
        self.fields.iter().enumerate().find(|(_, (name, _))| name == member).map(|(k, (_, form))| (k, form))
    }

    /// The names of all fields as a list for messages.
    pub fn field_names(&self) -> String {
        let names: Vec<String> = self.fields.iter().map(|(member, _)| format!("`{}`", member_name(member))).collect();
        names.join(", ")
    }

    /// Whether its fields have names.
    pub fn has_names(&self) -> bool {
        self.fields.iter().any(|(member, _)| matches!(member, syn::Member::Named(_)))
    }
}

impl Form {
    /// The leaves in order: element type and rank of each.
    pub fn leaves(&self) -> Vec<(Elem, usize)> {
        match self {
            Form::Scalar(elem) => vec![(*elem, 0)],
            Form::Array { elem, rank, .. } => vec![(*elem, *rank)],
            Form::Fixed { elem, lengths } => vec![(*elem, lengths.len())],
            Form::Tuple(parts) => parts.iter().flat_map(Form::leaves).collect(),
            Form::Struct(of) => of.fields.iter().flat_map(|(_, form)| form.leaves()).collect(),
        }
    }

    /// What messages call the leaves of a value of this name: `net.w1`.
    pub fn labels(&self, name: &str) -> Vec<String> {
        match self {
            Form::Scalar(_) | Form::Array { .. } | Form::Fixed { .. } => vec![name.to_owned()],
            Form::Tuple(parts) => parts.iter().enumerate().flat_map(|(k, part)| part.labels(&format!("{name}.{k}"))).collect(),
            Form::Struct(of) => {
                of.fields.iter().flat_map(|(member, form)| form.labels(&format!("{name}.{}", member_name(member)))).collect()
            }
        }
    }

    /// The constant parameters that are lengths in it.
    pub fn lengths(&self) -> Vec<syn::Ident> {
        match self {
            Form::Scalar(_) | Form::Array { .. } => Vec::new(),
            Form::Fixed { lengths, .. } => {
                let named = lengths.iter().filter_map(|length| match length {
                    Length::Named(name) => Some(name.clone()),
                    Length::Known(_) => None,
                });
                named.collect()
            }
            Form::Tuple(parts) => parts.iter().flat_map(Form::lengths).collect(),
            Form::Struct(of) => of.fields.iter().flat_map(|(_, form)| form.lengths()).collect(),
        }
    }

    /// Whether any leaf is a float, that is, whether the value has tangents and cotangents.
    pub fn is_differentiable(&self) -> bool {
        self.leaves().iter().any(|(elem, _)| elem.is_float())
    }

    /// Whether there is a struct in it.
    pub fn has_struct(&self) -> bool {
        match self {
            Form::Scalar(_) | Form::Array { .. } | Form::Fixed { .. } => false,
            Form::Tuple(parts) => parts.iter().any(Form::has_struct),
            Form::Struct(_) => true,
        }
    }

    /// The form with views replaced by owned arrays.
    pub fn owned(&self) -> Form {
        match self {
            // The fields of a struct own what they hold.
            Form::Scalar(_) | Form::Fixed { .. } | Form::Struct(_) => self.clone(),
            Form::Array { elem, rank, .. } => Form::Array { elem: *elem, rank: *rank, view: false },
            Form::Tuple(parts) => Form::Tuple(parts.iter().map(Form::owned).collect()),
        }
    }

    /// The form of a tangent or cotangent, and `None` if there is none. In tuples only what has floats is left; a struct stays what it is, since no
    /// other type has its fields. A view stays one.
    pub fn tangent(&self) -> Option<Form> {
        match self {
            Form::Scalar(elem) | Form::Array { elem, .. } | Form::Fixed { elem, .. } => elem.is_float().then(|| self.clone()),
            Form::Tuple(parts) => {
                let parts: Vec<Form> = parts.iter().filter_map(Form::tangent).collect();
                (!parts.is_empty()).then_some(Form::Tuple(parts))
            }
            Form::Struct(_) => self.is_differentiable().then(|| self.clone()),
        }
    }

    /// The positions of the leaves that are also leaves of the [tangent](Form::tangent).
    pub fn tangent_leaves(&self) -> Vec<usize> {
        match self {
            Form::Scalar(elem) | Form::Array { elem, .. } | Form::Fixed { elem, .. } => (0..usize::from(elem.is_float())).collect(),
            Form::Tuple(parts) => {
                let mut first = 0;
                let mut out = Vec::new();
                for part in parts {
                    out.extend(part.tangent_leaves().into_iter().map(|k| first + k));
                    first += part.leaves().len();
                }
                out
            }
            Form::Struct(_) => (0..if self.is_differentiable() { self.leaves().len() } else { 0 }).collect(),
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Length::Known(n) => write!(f, "{n}"),
            Length::Named(name) => write!(f, "{name}"),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::Scalar(elem) => write!(f, "{elem}"),
            Form::Array { elem, rank, view: false } => write!(f, "Array{rank}<{elem}>"),
            Form::Array { elem, rank, view: true } => write!(f, "ArrayView{rank}<'_, {elem}>"),
            Form::Fixed { elem, lengths } => {
                let opening = "[".repeat(lengths.len());
                let closing: String = lengths.iter().rev().map(|n| format!("; {n}]")).collect();
                write!(f, "{opening}{elem}{closing}")
            }
            Form::Tuple(parts) => {
                f.write_str("(")?;
                for (k, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if k == 0 { "" } else { ", " })?;
                }
                f.write_str(if parts.len() == 1 { ",)" } else { ")" })
            }
            Form::Struct(of) => f.write_str(&source_text(&of.path)),
        }
    }
}

/// A field as it stands behind the dot.
pub fn member_name(member: &syn::Member) -> String {
    match member {
        syn::Member::Named(name) => name.unraw().to_string(),
        syn::Member::Unnamed(index) => index.index.to_string(),
    }
}

/// The type without parentheses and invisible groups.
pub(super) fn peel(mut ty: &syn::Type) -> &syn::Type {
    loop {
        ty = match ty {
            syn::Type::Paren(t) => &t.elem,
            syn::Type::Group(t) => &t.elem,
            _ => return ty,
        };
    }
}

/// Whether the type is a reference, and what it refers to.
pub(super) fn strip_reference(ty: &syn::Type) -> (bool, &syn::Type) {
    match peel(ty) {
        syn::Type::Reference(r) => (true, peel(&r.elem)),
        other => (false, other),
    }
}

/// Reads a type, references erased, with an error if the compiler does not accept it.
pub fn parse_form(ty: &syn::Type, names: &TypeNames, diags: &mut Diagnostics) -> Option<Form> {
    let refuse = |diags: &mut Diagnostics, message: Message, help: &str| {
        diags.error(ty, message, &[&source_text(ty), help]);
        None
    };
    match strip_reference(ty).1 {
        syn::Type::Tuple(tuple) => {
            // Every part is read, so that all errors in it appear.
            let parts: Vec<Option<Form>> = tuple.elems.iter().map(|t| parse_form(t, names, diags)).collect();
            parts.into_iter().collect::<Option<Vec<_>>>().map(Form::Tuple)
        }
        syn::Type::Path(path) if path.qself.is_none() => {
            if let Some(found) = names.struct_of(&path.path, diags) {
                return found.map(Form::Struct);
            }
            match form_of_path(&path.path, names) {
                Ok(Some(form)) => Some(form),
                Ok(None) if names.ask(&path.path, diags) => None,
                Ok(None) => refuse(diags, messages::UNSUPPORTED_TYPE, SUPPORTED),
                Err((message, help)) => refuse(diags, message, help),
            }
        }
        syn::Type::Array(array) => parse_fixed(array, names, diags),
        syn::Type::Slice(_) => {
            refuse(diags, messages::UNSUPPORTED_TYPE, "`ArrayView1<'_, f64>`, made from a slice by `ArrayView1::from(..)`")
        }
        syn::Type::ImplTrait(_) | syn::Type::TraitObject(_) => {
            refuse(diags, messages::UNSUPPORTED_TYPE, "a concrete type, such as `f64` or `&Array2<f64>`")
        }
        _ => refuse(diags, messages::UNSUPPORTED_TYPE, SUPPORTED),
    }
}

const SUPPORTED: &str = "`f64`, `f32`, `usize`, `i64`, `bool`, `&Array1<f64>`, `&Array2<f64>`, `ArrayView2<'_, f64>`, `[f64; 3]`, a tuple of such types, or a \
                         struct of them that derives `Params`";

/// `[f64; 3]`, `[[f64; 3]; 2]`
fn parse_fixed(array: &syn::TypeArray, names: &TypeNames, diags: &mut Diagnostics) -> Option<Form> {
    let length = names.length(&array.len, diags);
    let elem = match peel(&array.elem) {
        syn::Type::Array(inner) => parse_fixed(inner, names, diags),
        syn::Type::Path(path) => match form_of_path(&path.path, names) {
            Ok(form @ Some(Form::Scalar(_))) => form,
            Ok(_) | Err(_) => None,
        },
        _ => None,
    };
    match (elem, length) {
        (_, None) => None,
        (Some(Form::Scalar(elem)), Some(length)) => Some(Form::Fixed { elem, lengths: vec![length] }),
        (Some(Form::Fixed { elem, lengths }), Some(length)) if lengths.len() < 4 => {
            Some(Form::Fixed { elem, lengths: std::iter::once(length).chain(lengths).collect() })
        }
        (Some(Form::Fixed { .. }), Some(_)) => {
            diags.error(array, messages::UNSUPPORTED_TYPE, &[&source_text(array), "an array of at most four axes"]);
            None
        }
        (Some(Form::Array { .. } | Form::Tuple(_) | Form::Struct(_)) | None, Some(_)) => {
            let help = "an array of numbers, such as `[f64; 3]`, or a tuple `(a, b)` of the parts";
            diags.error(array, messages::UNSUPPORTED_TYPE, &[&source_text(array), help]);
            None
        }
    }
}

/// The element type of that name.
pub fn elem_named(name: &str) -> Option<Elem> {
    match name {
        "f64" => Some(Elem::F64),
        "f32" => Some(Elem::F32),
        "usize" => Some(Elem::Usize),
        "i64" => Some(Elem::I64),
        "bool" => Some(Elem::Bool),
        _ => None,
    }
}

/// The form of a type that the compiler knows by its name; `None` for other names, and otherwise why the type is not accepted.
pub(super) fn form_of_path(path: &syn::Path, names: &TypeNames) -> Result<Option<Form>, (Message, &'static str)> {
    let unsupported = |help| Err((messages::UNSUPPORTED_TYPE, help));
    let Some(last) = path.segments.last() else { return unsupported(SUPPORTED) };
    let name = last.ident.to_string();
    let args: Vec<&syn::Type> = match &last.arguments {
        syn::PathArguments::AngleBracketed(a) => a
            .args
            .iter()
            .filter_map(|a| match a {
                syn::GenericArgument::Type(t) => Some(peel(t)),
                _ => None,
            })
            .collect(),
        syn::PathArguments::None | syn::PathArguments::Parenthesized(_) => Vec::new(),
    };
    if let Some(elem) = names.elem(&name) {
        return Ok(Some(Form::Scalar(elem)));
    }
    let (stem, rank) = match name.find(|c: char| c.is_ascii_digit()) {
        Some(at) => (&name[..at], name[at..].parse::<usize>().ok()),
        None => (name.as_str(), None),
    };
    let view = match stem {
        "Array" | "ArrayRef" => false,
        "ArrayView" => true,
        "ArrayD" | "ArrayViewD" | "ArrayRefD" | "IxDyn" => return Err((messages::DYNAMIC_RANK, "")),
        "ArrayViewMut" => return Err((messages::MUTABLE_PARAMETER, "")),
        "ArcArray" | "CowArray" | "ArrayBase" => return unsupported("`&Array2<f64>` or `ArrayView2<'_, f64>`"),
        "Vec" => return unsupported("`&Array1<f64>`, made from a vector by `Array1::from_vec(..)`"),
        "Option" | "Result" => return unsupported("the value itself; shapes and data are checked at the entry of the generated functions"),
        "i" | "u" | "isize" | "String" | "str" | "char" => {
            return unsupported("`usize`, `i64` or `bool` for data that is not differentiated");
        }
        "Box" | "Rc" | "Arc" | "Cow" => return unsupported("the value itself, or a reference to it"),
        _ => return Ok(None),
    };
    let rank = match (rank, args.get(1)) {
        (Some(rank), None) => rank,
        (None, Some(syn::Type::Path(ix))) => match ix.path.segments.last().map(|s| s.ident.to_string()) {
            Some(ix) if ix == "IxDyn" => return Err((messages::DYNAMIC_RANK, "")),
            Some(ix) => match ix.strip_prefix("Ix").and_then(|n| n.parse().ok()) {
                Some(rank) => rank,
                None => return unsupported("a rank such as `Ix2`, or `Array2<f64>`"),
            },
            None => return unsupported(SUPPORTED),
        },
        _ => return unsupported("`Array1<f64>`, `Array2<f64>`, `ArrayView2<'_, f64>`, or their peers"),
    };
    if rank > 4 {
        return unsupported("an array of at most four axes");
    }
    let elem = match args.first() {
        Some(syn::Type::Path(e)) => e.path.segments.last().and_then(|s| names.elem(&s.ident.to_string())),
        _ => None,
    };
    match elem {
        Some(elem) => Ok(Some(Form::Array { elem, rank, view })),
        None => unsupported("one of the element types `f64`, `f32`, `usize`, `i64`, `bool`, as in `Array2<f64>`"),
    }
}
