//! `#[shape(n, d)]` on parameters: names and numbers for the lengths of an array's axes. rustc knows no attribute of that name, so what is given back
//! to the user is without it.

use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, FnArg, Item, ItemFn, Token};

use super::source_text;
use crate::diagnostics::{Diagnostics, messages};

/// What is said of the length of one axis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Length {
    /// `n`: the length that this name stands for in the whole signature.
    Name(String),
    /// `3`
    Number(u64),
    /// `_`: nothing.
    Any,
}

impl Parse for Length {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.parse::<Option<Token![_]>>()?.is_some() {
            Ok(Length::Any)
        } else if input.peek(syn::LitInt) {
            Ok(Length::Number(input.parse::<syn::LitInt>()?.base10_parse()?))
        } else {
            Ok(Length::Name(input.parse::<syn::Ident>()?.unraw().to_string()))
        }
    }
}

/// The attribute of each parameter of a function, where it has one, with what it says of the axes.
pub fn shapes(item: &ItemFn, diags: &mut Diagnostics) -> Vec<Option<(Attribute, Vec<Length>)>> {
    let of = |input: &FnArg, diags: &mut Diagnostics| {
        let attr = attributes(input).iter().find(|a| is_shape(a))?.clone();
        let list = attr.meta.require_list().ok();
        let lengths = list.and_then(|l| Punctuated::<Length, Token![,]>::parse_terminated.parse2(l.tokens.clone()).ok());
        match lengths {
            Some(lengths) => Some((attr, lengths.into_iter().collect())),
            None => {
                diags.error(&attr, messages::SHAPE_ATTRIBUTE, &[&source_text(&attr)]);
                None
            }
        }
    };
    item.sig.inputs.iter().map(|input| of(input, diags)).collect()
}

/// Removes the attribute from the parameters of a function.
pub fn strip_function(item: &mut ItemFn) {
    for input in &mut item.sig.inputs {
        match input {
            FnArg::Typed(typed) => typed.attrs.retain(|a| !is_shape(a)),
            FnArg::Receiver(receiver) => receiver.attrs.retain(|a| !is_shape(a)),
        }
    }
}

/// Removes the attribute from the parameters of all functions among the items of a module.
pub fn strip_items(items: &mut [Item]) {
    for item in items {
        if let Item::Fn(f) = item {
            strip_function(f);
        }
    }
}

fn attributes(input: &FnArg) -> &[Attribute] {
    match input {
        FnArg::Typed(typed) => &typed.attrs,
        FnArg::Receiver(receiver) => &receiver.attrs,
    }
}

fn is_shape(attr: &Attribute) -> bool {
    attr.path().is_ident("shape")
}
