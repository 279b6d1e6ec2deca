//! The `bilevel` differentiation compiler as an ordinary library.
//!
//! ```text
//! tokens ─ syntax ─▶ typed AST ─ lower ─▶ IR ─ derive, optimize ─▶ IR ─ emit ─▶ Rust tokens
//! ```
//!
//! Start reading at [`ir`], whose page is the specification of everything after it. The functions of this page are what the macros call.
//!
//! Invariants of the crate: it knows nothing of the runtime but the names it writes into generated code; no tokens make it panic; the user's items
//! are given back whatever happens; every message stands in [`diagnostics::messages`].

// The readers of these pages work on the crate: a link to a private module tells them where to look.
#![allow(rustdoc::private_intra_doc_links)]

pub mod derive;
pub mod diagnostics;
pub mod dump;
pub mod emit;
mod expand;
mod fit;
pub mod ir;
pub mod lower;
pub mod ops;
pub mod optimize;
pub mod program;
pub mod syntax;
#[doc(hidden)]
pub mod testing;

use proc_macro2::TokenStream;

use syntax::question::{Entry, Question};

/// `#[differentiable(attr)]` on `item`: the item, and beside it the module with its derivatives, or errors.
pub fn differentiable(attr: TokenStream, item: TokenStream) -> TokenStream {
    dump::item(&item.clone(), || expand::begin(Question::new(Entry::Differentiable, attr, item)))
}

/// `#[derivative(attr)]` on `item`, a rule: the item, and beside it the derivatives of the function that the rule belongs to, or errors.
pub fn derivative(attr: TokenStream, item: TokenStream) -> TokenStream {
    expand::begin(Question::new(Entry::Derivative, attr, item))
}

/// `#[bilevel(attr)]` on `item`: the module, with the `Problem` and its kernels added, or errors.
pub fn bilevel(attr: TokenStream, item: TokenStream) -> TokenStream {
    dump::item(&item.clone(), || expand::begin(Question::new(Entry::Bilevel, attr, item)))
}

/// `grad!` and its kin where no attribute has taken them for derivatives: an error.
pub fn derivative_outside(name: &str, tokens: TokenStream) -> TokenStream {
    expand::derivative_outside(name, &tokens)
}

/// `#[derive(Params)]` on `item`: what makes the struct a variable, and its carrier, or errors.
pub fn derive_params(item: TokenStream) -> TokenStream {
    expand::begin(Question::new(Entry::Params, TokenStream::new(), item))
}

/// Goes on with an expansion that asked for the tokens of another item, now that a [carrier](syntax::carrier) has put them behind its state.
pub fn resume(state: TokenStream) -> TokenStream {
    dump::item(&state.clone(), || expand::resume(state))
}
