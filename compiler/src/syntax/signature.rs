//! What a function's signature says: parameters, their forms, and how each is passed.

use quote::ToTokens;

use super::attributes::Request;
use super::form::{Form, parse_form, peel, strip_reference};
use super::generics::{TypeArguments, open_parameters, unbounded};
use super::source_text;
use super::structs::TypeNames;
use super::wrt::Wrt;
use crate::diagnostics::{Diagnostics, messages};
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
    /// A module of this crate.
    OwnModule,
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
    /// What is differentiated, in the order of the leaves; there is at least one.
    pub wrt: Vec<Wrt>,
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
        self.wrt.iter().flat_map(Wrt::float_leaves).collect()
    }

    /// Positions in `lowered.func` of the leaves of the parameters that `batched` has for each example, ascending.
    pub fn batched_leaves(&self) -> Vec<usize> {
        let params = self.lowered.signature.params.iter().enumerate();
        let leaves = params.flat_map(|(k, param)| std::iter::repeat_n(k, param.form.leaves().len()));
        leaves.enumerate().filter(|(_, k)| self.batched.contains(k)).map(|(at, _)| at).collect()
    }
}

/// The signature of a function that the compiler accepts.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The function's name, with the user's span.
    pub name: syn::Ident,
    /// The function's visibility.
    pub vis: syn::Visibility,
    /// Its lifetimes, and constant and type parameters.
    pub generics: syn::Generics,
    /// What the type parameters stand for; where the function is compiled by itself, each for itself.
    pub types: TypeArguments,
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

/// Whether a function's derivative is asked for, or it is only called by such functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// It gets a companion or is a loss: its result is owned and has a float.
    Differentiated,
    /// It is a helper: its result may be a reference or an integer.
    Called,
}

/// Reads a signature, with an error for everything in it that the compiler does not accept. Its type parameters stand for themselves.
pub fn parse_signature(item: &syn::ItemFn, purpose: Use, names: &TypeNames, diags: &mut Diagnostics) -> Option<Signature> {
    parse_signature_with(item, purpose, names, &open_parameters(&item.sig.generics), diags)
}

/// [`parse_signature`] where the type parameters stand for `types`.
pub fn parse_signature_with(
    item: &syn::ItemFn,
    purpose: Use,
    names: &TypeNames,
    types: &TypeArguments,
    diags: &mut Diagnostics,
) -> Option<Signature> {
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
    let unbounded: Vec<&syn::TypeParam> = unbounded(&sig.generics).collect();
    for param in &unbounded {
        diags.error(param, messages::GENERIC_FUNCTION, &[&name, &param.ident.to_string()]);
    }
    if let (true, Some(clause)) = (sig.generics.params.is_empty(), &sig.generics.where_clause) {
        diags.error(clause, messages::UNUSED_WHERE, &[&name]);
    }
    let names = &names.clone().within(&sig.generics, types);
    if let Some(variadic) = &sig.variadic {
        diags.error(variadic, messages::QUALIFIED_FUNCTION, &["variadic"]);
    }
    let mut params: Vec<Option<Param>> = Vec::new();
    for input in &sig.inputs {
        match input {
            syn::FnArg::Receiver(receiver) => diags.error(receiver, messages::SELF_PARAMETER, &[]),
            // What is no float has been refused above.
            syn::FnArg::Typed(typed) if mentions(&typed.ty, &unbounded) => {}
            syn::FnArg::Typed(typed) => params.push(parse_param(typed, names, diags)),
        }
    }
    let output = match &sig.output {
        syn::ReturnType::Type(_, ty) if mentions(ty, &unbounded) => None,
        syn::ReturnType::Type(..) | syn::ReturnType::Default => parse_output(sig, purpose, names, diags),
    };
    let params: Vec<Param> = params.into_iter().collect::<Option<_>>()?;
    for (k, param) in params.iter().enumerate() {
        if params[..k].iter().any(|p| p.name == param.name) {
            diags.error(&param.name, messages::NAMED_TWICE, &[&param.name.to_string()]);
        }
    }
    for param in sig.generics.const_params() {
        check_const_param(param, &params, diags);
    }
    if purpose == Use::Differentiated {
        for param in sig.generics.type_params().filter(|p| !unbounded.contains(p) && !mentioned_by(p, &params)) {
            diags.error(param, messages::UNUSED_TYPE_PARAMETER, &[&param.ident.to_string(), &name]);
        }
    }
    if diags.n_errors() > before {
        return None;
    }
    Some(Signature {
        name: sig.ident.clone(),
        vis: item.vis.clone(),
        generics: sig.generics.clone(),
        types: types.clone(),
        params,
        output: output?,
    })
}

/// A constant parameter is the length of some fixed array that the function takes: that is where its value comes from.
fn check_const_param(const_param: &syn::ConstParam, params: &[Param], diags: &mut Diagnostics) {
    let name = &const_param.ident;
    if !params.iter().any(|p| p.form.lengths().contains(name)) {
        diags.error(const_param, messages::CONST_PARAMETER, &[&name.to_string()]);
    }
}

/// Whether a type mentions one of the parameters.
fn mentions(ty: &syn::Type, params: &[&syn::TypeParam]) -> bool {
    fn any(tokens: proc_macro2::TokenStream, params: &[&syn::TypeParam]) -> bool {
        tokens.into_iter().any(|token| match token {
            proc_macro2::TokenTree::Ident(ident) => params.iter().any(|p| p.ident == ident),
            proc_macro2::TokenTree::Group(group) => any(group.stream(), params),
            proc_macro2::TokenTree::Punct(_) | proc_macro2::TokenTree::Literal(_) => false,
        })
    }
    any(ty.to_token_stream(), params)
}

/// Whether the type of a parameter says what a type parameter stands for.
fn mentioned_by(type_param: &syn::TypeParam, params: &[Param]) -> bool {
    params.iter().any(|p| mentions(&p.ty, &[type_param]))
}

fn parse_param(typed: &syn::PatType, names: &TypeNames, diags: &mut Diagnostics) -> Option<Param> {
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
    let form = parse_form(inner, names, diags)?;
    Some(Param { name: name?, ty: (*typed.ty).clone(), by_ref, form })
}

fn parse_output(sig: &syn::Signature, purpose: Use, names: &TypeNames, diags: &mut Diagnostics) -> Option<Form> {
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
    let form = parse_form(inner, names, diags)?;
    if purpose == Use::Differentiated {
        let owned = form.owned();
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
