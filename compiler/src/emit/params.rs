//! What `#[derive(Params)]` adds to a struct.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::ir::Elem;
use crate::syntax::params::{ParamsStruct, Part};

/// The implementations of `Params`, and of what generated code makes values of the struct by.
pub fn params(of: &ParamsStruct) -> TokenStream {
    let (name, crate_path) = (&of.name, &of.crate_path);
    let rt = quote!(#crate_path::rt);
    let places: Vec<(TokenStream, &Part)> = of.fields.iter().map(|(member, _, part)| (quote!(self.#member), part)).collect();
    let leaves: Vec<TokenStream> = places.iter().flat_map(|(place, part)| leaves(place, part)).collect();
    let float = of.fields.iter().flat_map(|(_, _, part)| part.params()).next().map(|(ty, elem)| match elem {
        Some(elem @ Elem::Generic(_)) => super::expr::primitive(elem).to_token_stream(),
        Some(elem) => {
            let elem = super::expr::primitive(elem);
            quote!(::core::primitive::#elem)
        }
        None => quote!(<#ty as #rt::Params>::Float),
    });
    let members = of.fields.iter().map(|(member, _, _)| member);
    let taken = places.iter().map(|(place, part)| with_elements(place, part, &rt));
    let types = of.fields.iter().map(|(_, ty, _)| ty);
    let positions = (0..of.fields.len()).map(syn::Index::from);
    let all_members = of.fields.iter().map(|(member, _, _)| member);
    let (generics, arguments, clause) = of.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #generics #rt::Params for #name #arguments #clause {
            type Float = #float;

            fn n_elements(&self) -> ::core::primitive::usize {
                0 #(+ #rt::Params::n_elements(&#leaves))*
            }

            fn shapes(&self) -> #rt::Vec<#rt::Vec<::core::primitive::usize>> {
                [#(#rt::Params::shapes(&#leaves)),*].concat()
            }

            fn write_to(&self, mut out: &mut [Self::Float]) {
                #(#rt::write_leaf(&#leaves, &mut out);)*
                ::core::assert!(out.is_empty(), "an element for every place");
            }

            fn with_elements(&self, mut from: &[Self::Float]) -> Self {
                let value = Self { #(#members: #taken),* };
                ::core::assert!(from.is_empty(), "a place for every element");
                value
            }
        }

        #[automatically_derived]
        impl #generics #rt::Struct for #name #arguments #clause {
            type Fields = (#(#types,)*);

            fn from_fields(fields: Self::Fields) -> Self {
                Self { #(#all_members: fields.#positions),* }
            }
        }
    }
}

/// The places of all parts that are `Params`.
fn leaves(place: &TokenStream, part: &Part) -> Vec<TokenStream> {
    match part {
        Part::Params(..) => vec![place.clone()],
        Part::Data => Vec::new(),
        Part::Tuple(parts) => parts_of(place, parts).flat_map(|(place, part)| leaves(&place, part)).collect(),
    }
}

/// The part with its elements from the front of `from`.
fn with_elements(place: &TokenStream, part: &Part, rt: &TokenStream) -> TokenStream {
    match part {
        Part::Params(..) => quote!(#rt::take_leaf(&#place, &mut from)),
        Part::Data => quote!(::core::clone::Clone::clone(&#place)),
        Part::Tuple(parts) => {
            let parts = parts_of(place, parts).map(|(place, part)| with_elements(&place, part, rt));
            quote!((#(#parts,)*))
        }
    }
}

fn parts_of<'p>(place: &TokenStream, parts: &'p [Part]) -> impl Iterator<Item = (TokenStream, &'p Part)> {
    parts.iter().enumerate().map(move |(k, part)| {
        let k = syn::Index::from(k);
        (quote!(#place.#k), part)
    })
}
