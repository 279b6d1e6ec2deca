//! Witnesses: code that rustc type-checks in the place of the user's function, so that what the macro assumed from tokens alone is true.
//!
//! A macro sees names, not types. `Array2<f64>` could be an alias or come from another version of `ndarray`, and `cross_entropy` could be a function of
//! the user's. The witness of a parameter converts the user's type, token for token, to the type that the generated code works with. The witness of a name
//! imports it from two places at once, which rustc accepts exactly if both are one item. The witness of a method of this crate calls it beside a second
//! method of its name, so that one of the user's makes the call ambiguous. All give an error at the user's token.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use super::form::{Form, Length};
use super::items::{Items, Place, path_key};
use super::question::without_arguments;
use super::signature::{Assumed, Lowered, Origin, Param, Signature};
use crate::ir::Elem;

/// The witnesses of a function, as an item to stand beside it.
pub fn witness(lowered: &Lowered, output: &syn::ReturnType, crate_path: &syn::Path) -> TokenStream {
    let checks = signature_checks(&lowered.signature, output, crate_path);
    let names = name_checks(&lowered.assumed, crate_path);
    let methods = method_checks(&lowered.assumed, crate_path);
    // The function itself may only be called through what is generated from it: naming it here keeps rustc from calling it unused.
    let mention = mention(&lowered.signature);
    hidden(&quote!(#checks #names #methods #mention))
}

/// The witnesses of rules: of each its signature and the tokens of its result, and of all together the names.
pub fn rules_witness<'a>(
    rules: impl IntoIterator<Item = (&'a Signature, &'a syn::ReturnType)>,
    assumed: &[Assumed],
    crate_path: &syn::Path,
) -> TokenStream {
    let rules = rules.into_iter();
    let checks: TokenStream = rules.map(|(signature, output)| signature_checks(signature, output, crate_path)).collect();
    let names = name_checks(assumed, crate_path);
    let methods = method_checks(assumed, crate_path);
    hidden(&quote!(#checks #names #methods))
}

/// The witnesses of types that stand by themselves.
pub fn types_witness<'a>(params: impl IntoIterator<Item = &'a Param>, crate_path: &syn::Path) -> TokenStream {
    let no_generics = syn::Generics::default();
    let checks = params.into_iter().map(|param| type_check(&param.ty, &param.form, &no_generics, crate_path));
    hidden(&checks.collect())
}

fn hidden(checks: &TokenStream) -> TokenStream {
    if checks.is_empty() {
        return TokenStream::new();
    }
    quote! {
        #[doc(hidden)]
        #[allow(unused, clippy::all, clippy::pedantic)]
        const _: () = { #checks };
    }
}

fn signature_checks(signature: &Signature, output: &syn::ReturnType, crate_path: &syn::Path) -> TokenStream {
    let generics = &signature.generics;
    let mut checks = TokenStream::new();
    for param in &signature.params {
        checks.extend(type_check(&param.ty, &param.form, generics, crate_path));
    }
    if let syn::ReturnType::Type(_, ty) = output {
        checks.extend(type_check(ty, &signature.output, generics, crate_path));
    }
    checks.extend(generics.type_params().map(|param| float_check(param, generics, crate_path)));
    checks
}

/// Proves that the function of a rule takes the rule's first parameters, token for token.
pub fn signature_witness(signature: &Signature, rule: &syn::ItemFn) -> TokenStream {
    let name = &signature.name;
    let span = name.span();
    let names: Vec<&syn::Ident> = signature.params.iter().map(|p| &p.name).collect();
    let types: Vec<&syn::Type> = signature.params.iter().map(|p| &p.ty).collect();
    let is_vjp = rule.sig.inputs.len() == names.len() + 1 && rule.sig.inputs.last().is_some_and(names_a_cotangent);
    // The result is that of the rule, or what the cotangent is a cotangent of.
    let output = match (&rule.sig.output, rule.sig.inputs.last()) {
        (_, Some(syn::FnArg::Typed(bar))) if is_vjp => match &*bar.ty {
            syn::Type::Reference(r) => r.elem.to_token_stream(),
            other => other.to_token_stream(),
        },
        (syn::ReturnType::Type(_, ty), _) => ty.to_token_stream(),
        (syn::ReturnType::Default, _) => quote!(()),
    };
    let call = quote_spanned!(span=> #name(#(#names),*));
    quote! {
        #[doc(hidden)]
        #[allow(unused, clippy::all, clippy::pedantic)]
        const _: () = { fn check(#(#names: #types),*) -> #output { #call } };
    }
}

fn names_a_cotangent(arg: &syn::FnArg) -> bool {
    match arg {
        syn::FnArg::Typed(typed) => matches!(&*typed.pat, syn::Pat::Ident(name) if name.ident.to_string().ends_with("_bar")),
        syn::FnArg::Receiver(_) => false,
    }
}

/// Proves that each path that a carrier has answered for stands for the very item that was carried: that one is seen from the module `home` beside its
/// derivatives, and two functions have one type only if they are one. The carrier, a macro, could otherwise come from another place than the function.
pub fn carried_witness(items: &Items, paths: &[syn::Path], crate_path: &syn::Path) -> TokenStream {
    let checks: TokenStream = paths.iter().filter_map(|path| carried_check(items, path, crate_path)).collect();
    hidden(&checks)
}

fn carried_check(items: &Items, path: &syn::Path, crate_path: &syn::Path) -> Option<TokenStream> {
    let key = path_key(path)?;
    let span = path.segments.last()?.ident.span();
    let path = without_arguments(path);
    let (function, rules, constant) =
        (items.function(Place::HERE, &key), items.rules(Place::HERE, &key), items.constant(Place::HERE, &key));
    let is_function = function.is_some() || rules.is_some();
    let (carried, arguments) = match (function, rules, constant) {
        (Some(function), ..) => (&function.item.sig.ident, turbofish(&function.item.sig.generics)),
        (None, Some(rules), _) => (&rules.item.ident, TokenStream::new()),
        (None, None, Some(constant)) => (&constant.item.ident, TokenStream::new()),
        (None, None, None) => return None,
    };
    let carried = syn::Ident::new(&carried.to_string(), span);
    let check = match is_function {
        true => quote_spanned! {span=>
            fn check() {
                let named = #path #arguments;
                let both = {
                    use carried_from::*;
                    (named, #carried #arguments)
                };
                #crate_path::rt::same_function(both);
            }
        },
        false => {
            let message = format!("another constant `{key}` is in sight than the one whose value the macro was given");
            quote_spanned!(span=> ::core::assert!(#path == { use carried_from::*; #carried }, #message);)
        }
    };
    Some(quote_spanned!(span=> const _: () = { use #path::home as carried_from; #check };))
}

/// Some generic arguments that fit the parameters: which does not matter.
fn turbofish(generics: &syn::Generics) -> TokenStream {
    let arguments: Vec<TokenStream> = generics
        .params
        .iter()
        .filter_map(|param| match param {
            syn::GenericParam::Lifetime(_) => None,
            syn::GenericParam::Type(_) => Some(quote!(f64)),
            syn::GenericParam::Const(_) => Some(quote!(1)),
        })
        .collect();
    if arguments.is_empty() { TokenStream::new() } else { quote!(::<#(#arguments),*>) }
}

/// Names the function, with all that its generic parameters leave open.
fn mention(signature: &Signature) -> TokenStream {
    let (name, generics, clause) = (&signature.name, &signature.generics, &signature.generics.where_clause);
    let open: Vec<&syn::Ident> = generics
        .params
        .iter()
        .filter_map(|p| match p {
            syn::GenericParam::Lifetime(_) => None,
            syn::GenericParam::Type(p) => Some(&p.ident),
            syn::GenericParam::Const(p) => Some(&p.ident),
        })
        .collect();
    if open.is_empty() { quote!(let _ = #name;) } else { quote!(fn mention #generics () #clause { let _ = #name::<#(#open),*>; }) }
}

/// A function that only compiles if the type parameter is one of the float types of this crate.
fn float_check(param: &syn::TypeParam, generics: &syn::Generics, crate_path: &syn::Path) -> TokenStream {
    let (name, clause) = (&param.ident, &generics.where_clause);
    quote_spanned!(name.span()=> const _: () = { fn check #generics () #clause { #crate_path::rt::is_float::<#name>(); } };)
}

/// The type of an element, at a place.
fn elem_type(elem: Elem, span: proc_macro2::Span) -> TokenStream {
    let name = syn::Ident::new(elem.name(), span);
    match elem {
        Elem::Generic(_) => name.to_token_stream(),
        Elem::F64 | Elem::F32 | Elem::Usize | Elem::I64 | Elem::Bool => quote_spanned!(span=> ::core::primitive::#name),
    }
}

/// A function that only compiles if `ty` is what `form` says.
fn type_check(ty: &syn::Type, form: &Form, generics: &syn::Generics, crate_path: &syn::Path) -> TokenStream {
    let span = name_span(ty);
    let value = quote_spanned!(span=> value);
    let conversions = conversions(form, &quote_spanned!(span=> #value), span, crate_path);
    let ty = ty.to_token_stream();
    let clause = &generics.where_clause;
    quote_spanned!(span=> const _: () = { fn check #generics (#value: #ty) #clause { #conversions } };)
}

/// The place of the type's name: on stable Rust, an error can only be shown at one token.
fn name_span(ty: &syn::Type) -> proc_macro2::Span {
    match ty {
        syn::Type::Reference(r) => name_span(&r.elem),
        syn::Type::Paren(t) => name_span(&t.elem),
        syn::Type::Group(t) => name_span(&t.elem),
        syn::Type::Path(path) => path.path.segments.last().map_or_else(|| ty.span(), |s| s.ident.span()),
        _ => ty.span(),
    }
}

/// A `let` per leaf that converts a reference to the user's value to a reference to the expected type.
fn conversions(form: &Form, value: &TokenStream, span: proc_macro2::Span, crate_path: &syn::Path) -> TokenStream {
    match form {
        Form::Scalar(elem) => {
            let elem = elem_type(*elem, span);
            quote_spanned!(span=> let _: &#elem = &#value;)
        }
        Form::Array { elem, rank, .. } => {
            let elem = elem_type(*elem, span);
            let rank = syn::Ident::new(&format!("Ix{rank}"), span);
            let expected = quote_spanned!(span=> #crate_path::ndarray::ArrayRef<#elem, #crate_path::ndarray::#rank>);
            quote_spanned!(span=> let _: &#expected = &#value;)
        }
        Form::Fixed { elem, lengths } => {
            let elem = elem_type(*elem, span);
            let expected = lengths.iter().rev().fold(elem, |inner, length| {
                let length = match length {
                    Length::Known(n) => proc_macro2::Literal::u64_unsuffixed(*n).to_token_stream(),
                    Length::Named(name) => name.to_token_stream(),
                };
                quote_spanned!(span=> [#inner; #length])
            });
            quote_spanned!(span=> let _: &#expected = &#value;)
        }
        Form::Struct(of) => {
            let fields = of.fields.iter().map(|(member, form)| conversions(form, &quote_spanned!(span=> #value.#member), span, crate_path));
            fields.collect()
        }
        Form::Tuple(parts) => {
            let parts = parts.iter().enumerate().map(|(k, part)| {
                let k = syn::Index { index: k as u32, span };
                conversions(part, &quote_spanned!(span=> #value.#k), span, crate_path)
            });
            parts.collect()
        }
    }
}

/// A module in which every assumed name is imported from where the user's code stands and from where it is assumed to come from.
pub fn name_checks(assumed: &[Assumed], crate_path: &syn::Path) -> TokenStream {
    let origins = [
        (Origin::OwnFunction, quote!(functions), quote!(#crate_path::functions)),
        (Origin::OwnModule, quote!(modules), quote!(#crate_path)),
        (Origin::F64Constant, quote!(f64_constants), quote!(::core::f64::consts)),
        (Origin::F32Constant, quote!(f32_constants), quote!(::core::f32::consts)),
    ];
    let mut modules = TokenStream::new();
    for (origin, module, path) in origins {
        let mut seen: Vec<String> = Vec::new();
        let mut uses = TokenStream::new();
        for assumed in assumed.iter().filter(|a| a.origin == origin) {
            let name = &assumed.name;
            if !seen.contains(&name.to_string()) {
                seen.push(name.to_string());
                uses.extend(quote_spanned!(name.span()=> use #name as _;));
            }
        }
        if !uses.is_empty() {
            modules.extend(quote!(mod #module { use super::*; use #path::*; #uses }));
        }
    }
    modules
}

/// For each method that was taken for this crate's, calls on receivers of the type found. A trait of the user's that has the method as well makes one of
/// them ambiguous: methods by value are tried before methods by reference, and those of an array before those of what it dereferences to, so each of
/// these places needs a call of its own.
fn method_checks(assumed: &[Assumed], crate_path: &syn::Path) -> TokenStream {
    let mut seen = Vec::new();
    let mut checks = TokenStream::new();
    for assumed in assumed {
        let Origin::OwnMethod { elem, rank } = assumed.origin else { continue };
        let name = &assumed.name;
        if seen.contains(&(name.to_string(), elem, rank)) {
            continue;
        }
        seen.push((name.to_string(), elem, rank));
        let span = name.span();
        let param = match elem {
            Elem::Generic(_) => Some(syn::Ident::new(elem.name(), span)),
            Elem::F64 | Elem::F32 | Elem::Usize | Elem::I64 | Elem::Bool => None,
        };
        let generics = param.map(|param| quote_spanned!(span=> <#param: #crate_path::rt::Float>));
        let elem = elem_type(elem, span);
        let receivers = if rank == 0 {
            vec![elem.clone(), quote_spanned!(span=> &#elem)]
        } else {
            let rank = syn::Ident::new(&format!("Ix{rank}"), span);
            let types = ["Array", "ArrayView", "ArrayRef"].map(|name| syn::Ident::new(name, span));
            let [array, view, by_reference] = types.map(|name| quote_spanned!(span=> #crate_path::ndarray::#name));
            let rank = quote_spanned!(span=> #crate_path::ndarray::#rank);
            vec![
                quote_spanned!(span=> &#array<#elem, #rank>),
                quote_spanned!(span=> &#view<'_, #elem, #rank>),
                quote_spanned!(span=> &#by_reference<#elem, #rank>),
            ]
        };
        checks.extend(
            receivers.iter().map(|ty| quote_spanned!(span=> const _: () = { fn check #generics (value: #ty) { value.#name(); } };)),
        );
    }
    if checks.is_empty() {
        return checks;
    }
    quote! {
        const _: () = {
            use #crate_path::functions::{ArrayFunctions as _, ScalarFunctions as _};
            use #crate_path::rt::OwnMethods as _;
            #checks
        };
    }
}
