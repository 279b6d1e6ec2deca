//! Carriers: how the tokens of a function reach an expansion elsewhere.
//!
//! A macro sees the tokens under its attribute and nothing else. So every annotated function is accompanied by a hidden `macro_rules!` that holds its
//! tokens, imported under the function's own name: one `use path::f` imports function, companion module and carrier. The tokens of all that `f` calls are
//! in there too, each with what the paths in it stand for, since nobody else may be able to name it.
//!
//! An expansion that lacks the body of `path::g` gives `path::g! { [continuation] state }`; the carrier turns that into
//! `continuation! { state { tokens } }`, and `continuation` is the hidden macro [`resume`](crate::resume) of this crate, which begins anew with what was
//! asked for. Carried tokens keep their spans.
//!
//! Functions that call each other wait for each other's carriers, which never come; rustc then reports that there is no such macro, and the
//! [witness](crate::syntax::witness) of the question says what can be done.

use std::collections::HashMap;

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{LitStr, Token, braced};

use super::items::{Definition, Item, Items, Kind, Names};

/// The tokens of an item and of all that it refers to. Each definition follows those that it sees; the last one is the item itself. Empty if the item
/// has an error, which was reported where it stands.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// The definitions.
    pub definitions: Vec<Definition>,
}

/// The carrier of an item that sees `items`, to stand beside it.
pub fn carrier(item: &Item, items: &Items) -> TokenStream {
    let mut item = item.clone();
    strip_attributes(&mut item);
    let mut bundle = TokenStream::new();
    for definition in items.definitions().iter().filter(|d| d.sees.is_some()) {
        let sees = definition.sees.as_ref().map(|names| names_tokens(names, items)).unwrap_or_default();
        let (id, home) = (Literal::string(&definition.id), Literal::string(&definition.home));
        let carried = &definition.item;
        bundle.extend(quote!({ #id #home { #sees } { #carried } }));
    }
    let sees = names_tokens(items.here(), items);
    let id = id_of(&item, &sees);
    let (id_text, home) = (Literal::string(&id), Literal::string(&this_crate()));
    bundle.extend(quote!({ #id_text #home { #sees } { #item } }));
    carrier_macro(&id, &item, &bundle)
}

/// The carrier of an item with an error: who asks for it gets nothing, and is silent.
pub fn faulty_carrier(item: &Item) -> TokenStream {
    carrier_macro(&id_of(item, &TokenStream::new()), item, &TokenStream::new())
}

fn carrier_macro(id: &str, item: &Item, bundle: &TokenStream) -> TokenStream {
    let (id, name, vis) = (format_ident!("{id}"), item.name(), item.visibility());
    // A macro that is not exported can be seen by its crate only, whatever its import says.
    let export = matches!(vis, syn::Visibility::Public(_)).then(|| quote!(#[macro_export]));
    quote! {
        #[doc(hidden)]
        #[allow(unused_macros, non_local_definitions)]
        #export
        macro_rules! #id {
            ([$($resume:tt)*] $($state:tt)*) => { $($resume)* ! { $($state)* { #bundle } } };
        }
        #[doc(hidden)]
        #[allow(unused_imports, unreachable_pub)]
        #vis use #id as #name;
    }
}

/// Documentation says nothing about what an item computes.
fn strip_attributes(item: &mut Item) {
    match item {
        Item::Function(f) => f.attrs.clear(),
        Item::Rules(m) => {
            for inner in m.content.iter_mut().flat_map(|(_, items)| items) {
                if let syn::Item::Fn(f) = inner {
                    f.attrs.clear();
                }
            }
        }
        Item::Const(c) => c.attrs.clear(),
        Item::Struct(s) => {
            let fields = s.fields.iter_mut().map(|field| &mut field.attrs);
            fields.chain([&mut s.attrs]).for_each(|attrs| attrs.retain(|attr| !attr.path().is_ident("doc")));
        }
    }
}

/// `{ kind "path" "id" } …`
fn names_tokens(names: &Names, items: &Items) -> TokenStream {
    let entries = names.iter().map(|((kind, path), &k)| {
        let kind = match kind {
            Kind::Function => quote!(fn),
            Kind::Const => quote!(const),
            Kind::Struct => quote!(struct),
        };
        let seen = &items.definitions()[k];
        // What is not carried here is the item itself, whose id is made from this.
        let id = if seen.sees.is_some() { seen.id.as_str() } else { "" };
        let (path, id) = (Literal::string(path), Literal::string(id));
        quote!({ #kind #path #id })
    });
    entries.collect()
}

/// A name that no other item has, unless it means the same: made from the name, the place and the tokens of the item, and of all that it sees.
fn id_of(item: &Item, sees: &TokenStream) -> String {
    let name = item.name();
    unique_name(&name.unraw().to_string(), &format!("{} {:?} {} {}", this_crate(), name.span(), item.to_token_stream(), sees))
}

/// An identifier with a readable part and a hash of `text`.
pub fn unique_name(readable: &str, text: &str) -> String {
    // FNV-1a, of 128 bits.
    let hash = text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    format!("__bilevel_{readable}_{hash:032x}")
}

/// The crate that is being compiled, as cargo calls it.
pub(super) fn this_crate() -> String {
    let variable = |name| std::env::var(name).unwrap_or_default();
    format!("{} {} {}", variable("CARGO_PKG_NAME"), variable("CARGO_PKG_VERSION"), variable("CARGO_CRATE_NAME"))
}

impl Bundle {
    /// The item itself, if it is a function.
    pub fn function(&self) -> Option<&syn::ItemFn> {
        match &self.definitions.last()?.item {
            Item::Function(f) => Some(f),
            Item::Const(_) | Item::Struct(_) | Item::Rules(_) => None,
        }
    }
}

impl Parse for Bundle {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut bundle = Bundle::default();
        let mut places: HashMap<String, usize> = HashMap::new();
        while !input.is_empty() {
            let definition = braced(input)?;
            let id = definition.parse::<LitStr>()?.value();
            let home = definition.parse::<LitStr>()?.value();
            let entries = braced(&definition)?;
            let mut sees = Names::new();
            while !entries.is_empty() {
                let entry = braced(&entries)?;
                let kind = entry.parse::<Kind>()?;
                let path = entry.parse::<LitStr>()?.value();
                let seen = entry.parse::<LitStr>()?;
                let itself = (seen.value().is_empty() || seen.value() == id).then_some(bundle.definitions.len());
                let Some(place) = itself.or(places.get(&seen.value()).copied()) else {
                    return Err(syn::Error::new(seen.span(), "a definition that is not there"));
                };
                sees.insert((kind, path), place);
            }
            let item = match braced(&definition)?.parse::<syn::Item>()? {
                syn::Item::Fn(f) => Item::Function(f),
                syn::Item::Const(c) => Item::Const(c),
                syn::Item::Struct(s) => Item::Struct(s),
                syn::Item::Mod(m) => Item::Rules(m),
                other => return Err(syn::Error::new_spanned(other, "not an item that is carried")),
            };
            places.insert(id.clone(), bundle.definitions.len());
            bundle.definitions.push(Definition { id, item, sees: Some(sees), home });
        }
        Ok(bundle)
    }
}

impl Parse for Kind {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.parse::<Option<Token![fn]>>()?.is_some() {
            Ok(Kind::Function)
        } else if input.parse::<Option<Token![const]>>()?.is_some() {
            Ok(Kind::Const)
        } else {
            input.parse::<Token![struct]>().map(|_| Kind::Struct)
        }
    }
}

/// What stands between braces.
pub(super) fn braced<'a>(input: ParseStream<'a>) -> syn::Result<syn::parse::ParseBuffer<'a>> {
    let content;
    braced!(content in input);
    Ok(content)
}
