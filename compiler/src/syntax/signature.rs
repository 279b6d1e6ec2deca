//! What a function's signature says: parameters, their forms, and how each is passed.

use std::fmt;

use quote::ToTokens;

use super::attributes::Request;
use super::source_text;
use crate::diagnostics::{Diagnostics, Message, messages};
use crate::ir::{Elem, Func};

/// A function that has been lowered: what its signature says, and its meaning. The parameters of `func` are the leaves of the signature's parameters in
/// order, its results the leaves of the output.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The meaning.
    pub func: Func,
    /// The signature.
    pub signature: Signature,
    /// Names that lowering took for functions of this crate or constants of the standard library, as the user wrote them; see
    /// [`witness`](super::witness).
    pub assumed: Vec<Assumed>,
}

/// A bare name that was taken for something outside of what the macro sees.
#[derive(Clone, Debug)]
pub struct Assumed {
    /// The name, with the user's span.
    pub name: syn::Ident,
    /// The module that the name is expected to come from, as a path from the crate `bilevel` or from `core`.
    pub origin: Origin,
}

/// Where an assumed name comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A function of this crate.
    OwnFunction,
    /// A constant of `core::f64::consts`.
    F64Constant,
    /// A constant of `core::f32::consts`.
    F32Constant,
    /// A method of this crate, on a number (rank 0) or an array.
    OwnMethod {
        /// element type of the receiver
        elem: Elem,
        /// number of axes of the receiver
        rank: usize,
    },
}

/// A function to differentiate: what `#[differentiable]` was put on.
#[derive(Clone, Debug)]
pub struct Differentiable {
    /// The function.
    pub lowered: Lowered,
    /// Positions of the parameters to differentiate, ascending; there is at least one.
    pub wrt: Vec<usize>,
    /// What is generated on request.
    pub requests: Vec<Request>,
    /// Positions of the parameters that `batched` has for each example, ascending; none if it is not requested.
    pub batched: Vec<usize>,
    /// Where generated code finds this crate.
    pub crate_path: syn::Path,
}

impl Differentiable {
    /// Positions in `lowered.func` of the leaves of the parameters to differentiate, ascending. Leaves that are not floats are left out.
    pub fn wrt_leaves(&self) -> Vec<usize> {
        self.leaves_where(|k, elem| self.wrt.contains(&k) && elem.is_float())
    }

    /// Positions in `lowered.func` of the leaves of the parameters that `batched` has for each example, ascending.
    pub fn batched_leaves(&self) -> Vec<usize> {
        self.leaves_where(|k, _| self.batched.contains(&k))
    }

    /// Positions in `lowered.func` of the leaves for which `is_meant` holds, given the position of their parameter and their element type.
    fn leaves_where(&self, is_meant: impl Fn(usize, Elem) -> bool) -> Vec<usize> {
        let params = self.lowered.signature.params.iter().enumerate();
        let leaves = params.flat_map(|(k, param)| param.form.leaves().into_iter().map(move |(elem, _)| (k, elem)));
        leaves.enumerate().filter(|(_, (k, elem))| is_meant(*k, *elem)).map(|(at, _)| at).collect()
    }
}

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

impl Signature {
    /// The parameter of that name, and the position of its first leaf among the leaves of all parameters.
    pub fn param(&self, name: &str) -> Option<(usize, &Param)> {
        let mut first = 0;
        for param in &self.params {
            if param.name == name {
                return Some((first, param));
            }
            first += param.form.leaves().len();
        }
        None
    }

    /// The names of all parameters as a list for messages.
    pub fn param_names(&self) -> String {
        let names: Vec<String> = self.params.iter().map(|p| format!("`{}`", p.name)).collect();
        names.join(", ")
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::Scalar(elem) => write!(f, "{elem}"),
            Form::Array { elem, rank, view: false } => write!(f, "Array{rank}<{elem}>"),
            Form::Array { elem, rank, view: true } => write!(f, "ArrayView{rank}<'_, {elem}>"),
            Form::Tuple(parts) => {
                f.write_str("(")?;
                for (k, part) in parts.iter().enumerate() {
                    write!(f, "{}{part}", if k == 0 { "" } else { ", " })?;
                }
                f.write_str(if parts.len() == 1 { ",)" } else { ")" })
            }
        }
    }
}

/// Whether a function's derivative is asked for, or it is only called by such functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// It gets a companion or is a loss: its result is owned and has a float.
    Differentiated,
    /// It is a helper: its result may be a reference or an integer.
    Called,
}

/// Reads a signature, with an error for everything in it that the compiler does not accept.
pub fn parse_signature(item: &syn::ItemFn, purpose: Use, diags: &mut Diagnostics) -> Option<Signature> {
    let before = diags.n_errors();
    let sig = &item.sig;
    let name = sig.ident.to_string();
    let is_unsafe = matches!(sig.safety, syn::Safety::Unsafe(_));
    let abi = sig.abi.as_ref().map(|abi| abi.to_token_stream());
    let qualifiers = [
        (sig.constness.map(|t| t.to_token_stream()), "const"),
        (sig.asyncness.map(|t| t.to_token_stream()), "async"),
        (is_unsafe.then(|| sig.safety.to_token_stream()), "unsafe"),
        (abi, "extern"),
    ];
    for (tokens, what) in qualifiers {
        if let Some(tokens) = tokens {
            diags.error(tokens, messages::QUALIFIED_FUNCTION, &[what]);
        }
    }
    if !sig.generics.params.is_empty() {
        diags.error(&sig.generics.params, messages::GENERIC_FUNCTION, &[&name]);
    } else if let Some(clause) = &sig.generics.where_clause {
        diags.error(clause, messages::UNUSED_WHERE, &[&name]);
    }
    if let Some(variadic) = &sig.variadic {
        diags.error(variadic, messages::QUALIFIED_FUNCTION, &["variadic"]);
    }
    let mut params = Vec::new();
    for input in &sig.inputs {
        match input {
            syn::FnArg::Receiver(receiver) => diags.error(receiver, messages::SELF_PARAMETER, &[]),
            // What a generic parameter stands for has been refused above.
            syn::FnArg::Typed(typed) if names_generic(&typed.ty, &sig.generics) => {}
            syn::FnArg::Typed(typed) => params.extend(parse_param(typed, diags)),
        }
    }
    for (k, param) in params.iter().enumerate() {
        if params[..k].iter().any(|p: &Param| p.name == param.name) {
            diags.error(&param.name, messages::NAMED_TWICE, &[&param.name.to_string()]);
        }
    }
    let output = match &sig.output {
        syn::ReturnType::Type(_, ty) if names_generic(ty, &sig.generics) => None,
        syn::ReturnType::Type(..) | syn::ReturnType::Default => parse_output(sig, purpose, diags),
    };
    if diags.n_errors() > before {
        return None;
    }
    Some(Signature { name: sig.ident.clone(), vis: item.vis.clone(), params, output: output? })
}

/// Whether a type mentions a generic parameter.
fn names_generic(ty: &syn::Type, generics: &syn::Generics) -> bool {
    fn mentions(tokens: proc_macro2::TokenStream, generics: &syn::Generics) -> bool {
        tokens.into_iter().any(|token| match token {
            proc_macro2::TokenTree::Ident(ident) => {
                generics.type_params().any(|p| p.ident == ident) || generics.const_params().any(|p| p.ident == ident)
            }
            proc_macro2::TokenTree::Group(group) => mentions(group.stream(), generics),
            proc_macro2::TokenTree::Punct(_) | proc_macro2::TokenTree::Literal(_) => false,
        })
    }
    mentions(ty.to_token_stream(), generics)
}

fn parse_param(typed: &syn::PatType, diags: &mut Diagnostics) -> Option<Param> {
    let mut pat = &*typed.pat;
    while let syn::Pat::Paren(inner) = pat {
        pat = &inner.pat;
    }
    let name = match pat {
        syn::Pat::Ident(p) if p.by_ref.is_none() && p.subpat.is_none() => Some(p.ident.clone()),
        _ => {
            diags.error(&typed.pat, messages::PATTERN_PARAMETER, &[&source_text(&typed.pat)]);
            None
        }
    };
    let (by_ref, inner) = strip_reference(&typed.ty);
    if let syn::Type::Reference(r) = peel(&typed.ty)
        && r.mutability.is_some()
    {
        diags.error(&typed.ty, messages::MUTABLE_PARAMETER, &[&source_text(&typed.ty)]);
        return None;
    }
    let form = parse_form(inner, diags)?;
    Some(Param { name: name?, ty: (*typed.ty).clone(), by_ref, form })
}

fn parse_output(sig: &syn::Signature, purpose: Use, diags: &mut Diagnostics) -> Option<Form> {
    let name = sig.ident.to_string();
    let ty = match &sig.output {
        syn::ReturnType::Default => {
            diags.error(&sig.ident, messages::MISSING_RESULT, &[&name]);
            return None;
        }
        syn::ReturnType::Type(_, ty) => ty,
    };
    if matches!(peel(ty), syn::Type::Tuple(t) if t.elems.is_empty()) {
        diags.error(ty, messages::MISSING_RESULT, &[&name]);
        return None;
    }
    let (by_ref, inner) = strip_reference(ty);
    let form = parse_form(inner, diags)?;
    if purpose == Use::Differentiated {
        let owned = owned(&form);
        if by_ref {
            diags.error(ty, messages::RESULT_BY_REFERENCE, &[&source_text(ty), &owned.to_string()]);
            return None;
        }
        if owned != form {
            diags.error(ty, messages::RESULT_IS_VIEW, &[&source_text(ty), &owned.to_string()]);
            return None;
        }
        if !form.is_differentiable() {
            diags.error(ty, messages::RESULT_NOT_FLOAT, &[&name]);
            return None;
        }
    }
    Some(form)
}

/// The form with views replaced by owned arrays.
fn owned(form: &Form) -> Form {
    match form {
        Form::Scalar(_) => form.clone(),
        Form::Array { elem, rank, .. } => Form::Array { elem: *elem, rank: *rank, view: false },
        Form::Tuple(parts) => Form::Tuple(parts.iter().map(owned).collect()),
    }
}

/// The type without parentheses and invisible groups.
fn peel(mut ty: &syn::Type) -> &syn::Type {
    loop {
        ty = match ty {
            syn::Type::Paren(t) => &t.elem,
            syn::Type::Group(t) => &t.elem,
            _ => return ty,
        };
    }
}

fn strip_reference(ty: &syn::Type) -> (bool, &syn::Type) {
    match peel(ty) {
        syn::Type::Reference(r) => (true, peel(&r.elem)),
        other => (false, other),
    }
}

/// Reads a type, references erased, with an error if the compiler does not accept it.
pub fn parse_form(ty: &syn::Type, diags: &mut Diagnostics) -> Option<Form> {
    let refuse = |diags: &mut Diagnostics, message: Message, help: &str| {
        diags.error(ty, message, &[&source_text(ty), help]);
        None
    };
    match strip_reference(ty).1 {
        syn::Type::Tuple(tuple) => {
            // Every part is read, so that all errors in it appear.
            let parts: Vec<Option<Form>> = tuple.elems.iter().map(|t| parse_form(t, diags)).collect();
            parts.into_iter().collect::<Option<Vec<_>>>().map(Form::Tuple)
        }
        syn::Type::Path(path) if path.qself.is_none() => match form_of_path(&path.path) {
            Ok(form) => Some(form),
            Err((message, help)) => refuse(diags, message, help),
        },
        syn::Type::Slice(_) => {
            refuse(diags, messages::UNSUPPORTED_TYPE, "`ArrayView1<'_, f64>`, made from a slice by `ArrayView1::from(..)`")
        }
        syn::Type::Array(_) => refuse(diags, messages::UNSUPPORTED_TYPE, "`&Array1<f64>`"),
        syn::Type::ImplTrait(_) | syn::Type::TraitObject(_) => {
            refuse(diags, messages::UNSUPPORTED_TYPE, "a concrete type, such as `f64` or `&Array2<f64>`")
        }
        _ => refuse(diags, messages::UNSUPPORTED_TYPE, SUPPORTED),
    }
}

const SUPPORTED: &str =
    "`f64`, `f32`, `usize`, `i64`, `bool`, `&Array1<f64>`, `&Array2<f64>`, `ArrayView2<'_, f64>`, or a tuple of such types";

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

fn form_of_path(path: &syn::Path) -> Result<Form, (Message, &'static str)> {
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
    if let Some(elem) = elem_named(&name) {
        return Ok(Form::Scalar(elem));
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
        _ => return unsupported(SUPPORTED),
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
        Some(syn::Type::Path(e)) => e.path.segments.last().and_then(|s| elem_named(&s.ident.to_string())),
        _ => None,
    };
    match elem {
        Some(elem) => Ok(Form::Array { elem, rank, view }),
        None => unsupported("one of the element types `f64`, `f32`, `usize`, `i64`, `bool`, as in `Array2<f64>`"),
    }
}
