//! The `bilevel` differentiation compiler as an ordinary library.
//!
//! ```text
//! tokens ─ syntax ─▶ typed AST ─ lower ─▶ IR ─ derive, optimize ─▶ IR ─ emit ─▶ Rust tokens
//! ```
//!
//! Start reading at [`ir`], whose page is the specification of everything after it. The two functions of this page are what the macros call.
//!
//! Invariants of the crate: it knows nothing of the runtime but the names it writes into generated code; no tokens make it panic; the user's items
//! are given back whatever happens; every message stands in [`diagnostics::messages`].

// The readers of these pages work on the crate: a link to a private module tells them where to look.
#![allow(rustdoc::private_intra_doc_links)]

pub mod derive;
pub mod diagnostics;
pub mod emit;
pub mod ir;
pub mod lower;
pub mod ops;
pub mod optimize;
pub mod program;
pub mod syntax;
#[doc(hidden)]
pub mod testing;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};

use diagnostics::{Diagnostics, messages};
use syntax::shapes::{strip_function, strip_items};
use syntax::witness::witness;

/// How deep delimiters may be nested in what the macros read, so that no input makes the parser run out of stack.
const MAX_NESTING: usize = 100;

/// `#[differentiable(attr)]` on `item`: the item, and beside it the module with its derivatives, or errors.
pub fn differentiable(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand(attr, item, |attr, item, diags| match item {
        syn::Item::Fn(mut f) => {
            let generated = program::read_function(attr, &f, diags).map(|function| {
                let witness = witness(&function.lowered, &f.sig.output, &function.crate_path);
                let companion = derived(emit::companion(&function), diags);
                quote!(#witness #companion)
            });
            strip_function(&mut f);
            quote!(#f #generated)
        }
        other => wrong_item(&other, "differentiable", "a function", diags),
    })
}

/// `#[bilevel(attr)]` on `item`: the module, with the `Problem` and its kernels added, or errors.
pub fn bilevel(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand(attr, item, |attr, item, diags| match item {
        syn::Item::Mod(module) => {
            let (mut module, problem) = program::read_problem(attr, module, diags);
            let generated = problem.map(|problem| {
                let inner = witness(&problem.inner, &output_of(&module, &problem.inner), &problem.crate_path);
                let outer = witness(&problem.outer, &output_of(&module, &problem.outer), &problem.crate_path);
                let generated = derived(emit::problem(&problem), diags);
                quote!(#inner #outer #generated)
            });
            if let Some((_, items)) = &mut module.content {
                strip_items(items);
                items.extend(generated.map(syn::Item::Verbatim));
            }
            module.into_token_stream()
        }
        other => wrong_item(&other, "bilevel", "an inline module", diags),
    })
}

/// What was generated, or nothing and an error where the derivative does not exist.
fn derived(generated: Result<TokenStream, derive::DeriveError>, diags: &mut Diagnostics) -> Option<TokenStream> {
    match generated {
        Ok(tokens) => Some(tokens),
        Err(error) => {
            diags.error_at(error.span, messages::NOT_DIFFERENTIABLE, &[&error.message]);
            None
        }
    }
}

/// Reads the item and hands it on; adds the errors to what comes back. What editors send while a person is typing is given back as it is.
fn expand(
    attr: TokenStream,
    item: TokenStream,
    generate: impl FnOnce(TokenStream, syn::Item, &mut Diagnostics) -> TokenStream,
) -> TokenStream {
    let mut half_typed = false;
    let nesting = nesting(item.clone(), &mut half_typed).max(nesting(attr.clone(), &mut half_typed));
    if half_typed {
        return item;
    }
    let mut diags = Diagnostics::new();
    let tokens = if nesting > MAX_NESTING {
        diags.error(first_token(&item), messages::TOO_DEEP, &[]);
        item
    } else {
        match syn::parse2::<syn::Item>(item.clone()) {
            // A defect of the compiler must not take the user's item with it.
            Ok(parsed) => match catch_unwind(AssertUnwindSafe(|| generate(attr, parsed, &mut diags))) {
                Ok(tokens) => tokens,
                Err(defect) => {
                    diags.error(first_token(&item), messages::DEFECT, &[&panic_text(&*defect)]);
                    item
                }
            },
            Err(error) => {
                diags.syntax_error(&error);
                item
            }
        }
    };
    match diags.finish() {
        Ok(()) => tokens,
        Err(errors) => quote!(#tokens #errors),
    }
}

/// How deep delimiters are nested, and whether there is a name that rust-analyzer puts into code that is being typed.
fn nesting(tokens: TokenStream, half_typed: &mut bool) -> usize {
    let mut deepest = 0;
    // An explicit stack, since the depth is not bounded yet.
    let mut open = vec![tokens.into_iter()];
    while let Some(tokens) = open.last_mut() {
        match tokens.next() {
            Some(TokenTree::Group(group)) => open.push(group.stream().into_iter()),
            Some(TokenTree::Ident(ident)) => *half_typed |= ident.to_string().contains("__ra_fixup"),
            Some(TokenTree::Punct(_) | TokenTree::Literal(_)) => {}
            None => {
                open.pop();
            }
        }
        deepest = deepest.max(open.len());
    }
    deepest
}

fn panic_text(defect: &(dyn Any + Send)) -> String {
    let text = defect.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| defect.downcast_ref::<String>().cloned()).unwrap_or_else(|| "for no stated reason".to_owned())
}

fn first_token(tokens: &TokenStream) -> TokenStream {
    tokens.clone().into_iter().take(1).collect()
}

fn wrong_item(item: &syn::Item, attribute: &str, expected: &str, diags: &mut Diagnostics) -> TokenStream {
    let found = match item {
        syn::Item::Fn(_) => "a function",
        syn::Item::Mod(_) => "a module",
        syn::Item::Struct(_) => "a struct",
        syn::Item::Enum(_) => "an enum",
        syn::Item::Trait(_) => "a trait",
        syn::Item::Impl(_) => "an `impl`",
        _ => "this item",
    };
    let tokens = item.to_token_stream();
    diags.error(first_token(&tokens), messages::ATTRIBUTE_ON_WRONG_ITEM, &[attribute, expected, found]);
    tokens
}

/// The result type of a loss, token for token.
fn output_of(module: &syn::ItemMod, loss: &syntax::Lowered) -> syn::ReturnType {
    let items = module.content.iter().flat_map(|(_, items)| items);
    let function = items.into_iter().find_map(|item| match item {
        syn::Item::Fn(f) if f.sig.ident == loss.signature.name => Some(f.sig.output.clone()),
        _ => None,
    });
    function.unwrap_or(syn::ReturnType::Default)
}
