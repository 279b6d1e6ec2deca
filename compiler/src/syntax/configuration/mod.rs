//! The method and the inner solver that an attribute chooses: `#[bilevel(hypergradient = implicit(cg, tolerance = 1e-10), inner = lbfgs)]`.
//!
//! Reading needs nothing but the attribute and the [`table`]; what a choice demands of the problem is checked once that is lowered (`crate::fit`).

pub mod bytes;
mod read;
pub mod table;

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::source_text;
pub use read::{read_inner, read_method};
use table::{Entry, Family, New, Setting};

/// What an attribute chooses.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The way to a hypergradient.
    pub family: &'static Family,
    /// Its variant with all settings.
    pub method: Built,
    /// What makes `w(λ)`; the default of the method if it is not said.
    pub inner: Option<Built>,
}

/// Something from the table with its settings.
#[derive(Clone, Debug)]
pub struct Built {
    /// Where the user names it.
    pub name: Ident,
    /// What it is.
    pub entry: &'static Entry,
    /// The arguments of the constructor, in its order; none where the default is meant.
    pub args: Vec<Value>,
    /// The builder calls, in the user's order.
    pub settings: Vec<(&'static Setting, Value)>,
}

/// The value of a setting.
#[derive(Clone, Debug)]
pub enum Value {
    /// None: the name says all.
    Flag,
    /// An expression of the user's, or what is made of it.
    Rust(TokenStream),
    /// Something from the table.
    Built(Built),
    /// An outer variable as a hyperparameter.
    Outer(OuterHyper),
}

/// An outer variable as a hyperparameter: `log_rate.exp().per_step()`.
#[derive(Clone, Debug)]
pub struct OuterHyper {
    /// The variable, or the part of one.
    pub place: syn::Expr,
    /// Its name, as the problem has it: `log_rate`, `rates.log_rate`.
    pub name: String,
    /// What it goes through.
    pub calls: Vec<Ident>,
}

impl Built {
    /// The path of builder calls, from `rt`.
    pub fn tokens(&self) -> TokenStream {
        let ty = quote::format_ident!("{}", self.entry.ty);
        let args = self.args.iter().map(Value::tokens);
        let new = match self.entry.new {
            New::Value(name) => {
                let name = quote::format_ident!("{name}");
                quote!(rt::#ty::#name)
            }
            New::Call(name) if !(self.args.is_empty() && self.entry.has_default) => {
                let name = quote::format_ident!("{name}");
                quote!(rt::#ty::#name(#(#args),*))
            }
            // The trait need not be in scope.
            New::Default | New::Call(_) => quote!(<rt::#ty as ::core::default::Default>::default()),
        };
        let calls = self.settings.iter().map(|(setting, value)| {
            let call = quote::format_ident!("{}", setting.call);
            let value = value.tokens();
            quote!(.#call(#value))
        });
        quote!(#new #(#calls)*)
    }

    /// The path of builder calls as users write it.
    pub fn text(&self) -> String {
        let Entry { ty, new, has_default, .. } = self.entry;
        let args: Vec<String> = self.args.iter().map(Value::text).collect();
        let mut text = match *new {
            New::Value(name) => format!("{ty}::{name}"),
            New::Call(name) if !(args.is_empty() && *has_default) => format!("{ty}::{name}({})", args.join(", ")),
            New::Default | New::Call(_) => format!("{ty}::default()"),
        };
        for (setting, value) in &self.settings {
            text.push_str(&format!(".{}({})", setting.call, value.text()));
        }
        text
    }

    /// Its type, from `rt`.
    pub fn ty(&self) -> TokenStream {
        let ty = quote::format_ident!("{}", self.entry.ty);
        let of = self.entry.of.map(|of| {
            let of = quote::format_ident!("{of}");
            quote!(<rt::#of>)
        });
        quote!(rt::#ty #of)
    }

    /// All outer variables that are hyperparameters.
    pub fn outer_hypers(&self) -> impl Iterator<Item = &OuterHyper> {
        self.args.iter().chain(self.settings.iter().map(|(_, value)| value)).filter_map(|value| match value {
            Value::Outer(hyper) => Some(hyper),
            Value::Flag | Value::Rust(_) | Value::Built(_) => None,
        })
    }
}

impl Value {
    fn text(&self) -> String {
        match self {
            Value::Flag => String::new(),
            Value::Rust(tokens) => source_text(tokens),
            Value::Built(built) => built.text(),
            Value::Outer(OuterHyper { name, calls, .. }) => {
                let calls: String = calls.iter().map(|call| format!(".{call}()")).collect();
                format!("Hyper::outer(\"{name}\"){calls}")
            }
        }
    }

    fn tokens(&self) -> TokenStream {
        match self {
            Value::Flag => TokenStream::new(),
            Value::Rust(tokens) => tokens.clone(),
            Value::Built(built) => built.tokens(),
            Value::Outer(OuterHyper { name, calls, .. }) => {
                let calls = calls.iter().map(|call| {
                    let call = quote::format_ident!("{call}");
                    quote!(.#call())
                });
                quote!(rt::Hyper::outer(#name) #(#calls)*)
            }
        }
    }
}
