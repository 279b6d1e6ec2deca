//! `grad!(f, w)` and its kin: what the macro says, and what stands in its place in the function as it is compiled.
//!
//! In the function as rustc sees it, each is a call of a generated function in a hidden module beside the item, so that the plain function computes
//! what its derivatives are derived from. The arguments that the macro does not name are taken from the scope by the names of `f`'s parameters; where
//! `f` stands elsewhere, these are known to its [carrier](super::carrier) only, and the call is completed there.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Ident, Token};

use super::carrier::unique_name;
use super::items::{Items, Place, path_key};
use super::question::without_arguments;
use super::source_text;

/// Which derivative.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Derivative {
    /// `grad!(f, w)`
    Grad,
    /// `value_and_grad!(f, w)`
    ValueAndGrad,
    /// `jvp!(f, w; w_dot)`
    Jvp,
    /// `hvp!(f, w; v)`
    Hvp,
}

impl Derivative {
    /// The derivative that a macro of this name gives.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "grad" => Some(Derivative::Grad),
            "value_and_grad" => Some(Derivative::ValueAndGrad),
            "jvp" => Some(Derivative::Jvp),
            "hvp" => Some(Derivative::Hvp),
            _ => None,
        }
    }

    /// The name of its macro, and of the generated function.
    pub fn name(self) -> &'static str {
        match self {
            Derivative::Grad => "grad",
            Derivative::ValueAndGrad => "value_and_grad",
            Derivative::Jvp => "jvp",
            Derivative::Hvp => "hvp",
        }
    }

    /// How it is written, for messages.
    pub fn example(self) -> &'static str {
        match self {
            Derivative::Grad => "grad!(f, w)`, `grad!(f, (w, b))` or `grad!(f(x, &y), w)",
            Derivative::ValueAndGrad => "value_and_grad!(f, w)`, `value_and_grad!(f, (w, b))` or `value_and_grad!(f(x, &y), w)",
            Derivative::Jvp => "jvp!(f, w; w_dot)`, `jvp!(f, (w, b); (w_dot, b_dot))` or `jvp!(f(x, &y), w; w_dot)",
            Derivative::Hvp => "hvp!(f, w; v)`, `hvp!(f, (w, b); (v, u))` or `hvp!(f(x, &y), w; v)",
        }
    }

    /// Whether it is along given directions.
    pub fn has_tangents(self) -> bool {
        match self {
            Derivative::Grad | Derivative::ValueAndGrad => false,
            Derivative::Jvp | Derivative::Hvp => true,
        }
    }
}

/// What stands in the macro.
#[derive(Clone, Debug)]
pub struct DerivativeCall {
    /// Which derivative.
    pub kind: Derivative,
    /// The function.
    pub path: syn::Path,
    /// Its arguments, if they are not taken from the scope by name.
    pub args: Option<Vec<syn::Expr>>,
    /// The parameters to differentiate.
    pub wrt: Vec<Ident>,
    /// One direction for each of them.
    pub tangents: Vec<syn::Expr>,
}

impl DerivativeCall {
    /// Reads what stands in the macro.
    ///
    /// # Errors
    /// If it is not of the form that [`Derivative::example`] shows.
    pub fn parse(kind: Derivative, tokens: TokenStream) -> syn::Result<Self> {
        let parser = |input: ParseStream<'_>| {
            let (path, args) = match input.parse::<syn::Expr>()? {
                syn::Expr::Path(f) if f.qself.is_none() => (f.path, None),
                syn::Expr::Call(call) => match *call.func {
                    syn::Expr::Path(f) if f.qself.is_none() => (f.path, Some(call.args.into_iter().collect())),
                    other => return Err(syn::Error::new_spanned(other, "not the name of a function")),
                },
                other => return Err(syn::Error::new_spanned(other, "not a function or a call of one")),
            };
            input.parse::<Token![,]>()?;
            let wrt = one_or_several::<Ident>(input)?;
            let mut tangents = Vec::new();
            if kind.has_tangents() {
                input.parse::<Token![;]>()?;
                tangents = match input.parse::<syn::Expr>()? {
                    syn::Expr::Tuple(tuple) if wrt.len() > 1 => tuple.elems.into_iter().collect(),
                    one => vec![one],
                };
                input.parse::<Option<Token![,]>>()?;
            }
            if kind.has_tangents() && tangents.len() != wrt.len() {
                return Err(input.error("one direction for each parameter is needed"));
            }
            Ok(DerivativeCall { kind, path, args, wrt, tangents })
        };
        parser.parse2(tokens)
    }

    /// The module that holds the function in its place. `owner` tells the item under the attribute from all others.
    fn module(&self, owner: &str) -> Ident {
        let wrt: Vec<String> = self.wrt.iter().map(ToString::to_string).collect();
        let key = path_key(&self.path).unwrap_or_default();
        let f = self.path.segments.last().map(|s| s.ident.unraw().to_string()).unwrap_or_default();
        let readable = format!("{}_of_{f}", self.kind.name());
        format_ident!("{}", unique_name(&readable, &format!("{owner} {key} {}", wrt.join(" "))))
    }

    /// The call of the generated function, given the tokens of `f`. `None` if it does not fit them, which lowering reports.
    fn call(&self, f: &syn::ItemFn, module: &Ident) -> Option<TokenStream> {
        // What is taken from the scope by name is meant as if it stood where the function's name does.
        let span = self.path.segments.last()?.ident.span();
        let mut params = Vec::new();
        for input in &f.sig.inputs {
            match input {
                syn::FnArg::Typed(typed) => match &*typed.pat {
                    syn::Pat::Ident(name) => params.push((&name.ident, matches!(*typed.ty, syn::Type::Reference(_)))),
                    _ => return None,
                },
                syn::FnArg::Receiver(_) => return None,
            }
        }
        let mut args: Vec<TokenStream> = match &self.args {
            Some(args) => args.iter().map(ToTokens::to_token_stream).collect(),
            None => {
                let named = |&(name, by_ref): &(&Ident, bool)| {
                    let name = Ident::new(&name.to_string(), span);
                    // A reference to a reference becomes one to the value.
                    if by_ref { quote_spanned!(span=> &#name) } else { quote!(#name) }
                };
                params.iter().map(named).collect()
            }
        };
        for (wrt, tangent) in self.wrt.iter().zip(&self.tangents) {
            let (_, by_ref) = params.iter().find(|(name, _)| *name == wrt)?;
            args.push(if *by_ref { quote!(&(#tangent)) } else { quote!(#tangent) });
        }
        let name = Ident::new(self.kind.name(), span);
        Some(quote!(#module::#name(#(#args),*)))
    }
}

/// `w`, or `(w, b)`.
fn one_or_several<T: Parse>(input: ParseStream<'_>) -> syn::Result<Vec<T>> {
    if !input.peek(syn::token::Paren) {
        return Ok(vec![input.parse()?]);
    }
    let content;
    syn::parenthesized!(content in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}

/// A use of such a macro, and the hidden module with the function in its place.
#[derive(Clone, Debug)]
pub struct DerivativeUse {
    /// What stands in the macro.
    pub call: DerivativeCall,
    /// The hidden module.
    pub module: Ident,
}

/// The uses in the tokens of an item, each distinct one once.
pub fn derivative_uses(tokens: TokenStream, owner: &str) -> Vec<DerivativeUse> {
    let mut uses: Vec<DerivativeUse> = Vec::new();
    replace(tokens, &mut |kind, _, inside| {
        if let Ok(call) = DerivativeCall::parse(kind, inside) {
            let module = call.module(owner);
            if !uses.iter().any(|u| u.module == module) {
                uses.push(DerivativeUse { call, module });
            }
        }
        // Only what stands around it is looked at further.
        quote!(())
    });
    uses
}

/// The tokens with every such macro replaced by what computes it. `items` are those of the module, or `None` after
/// an error, when there is nothing to call; `owner` as for [`derivative_uses`].
pub fn with_calls(tokens: TokenStream, owner: &str, items: Option<&Items>, crate_path: &syn::Path) -> TokenStream {
    replace(tokens, &mut |kind, name, inside| {
        let span = name.span();
        // What has an error, which lowering reports, has any type.
        let otherwise = quote_spanned!(span=> ::core::todo!());
        let Ok(call) = DerivativeCall::parse(kind, inside.clone()) else { return otherwise };
        let module = call.module(owner);
        let (Some(key), Some(items)) = (path_key(&call.path), items) else { return otherwise };
        match items.function(Place::HERE, &key) {
            Some(f) => call.call(f.item, &module).unwrap_or(otherwise),
            None => {
                let path = without_arguments(&call.path);
                // In parentheses, since an expression that begins with a macro in braces would end after it.
                quote!(#path ! ([#crate_path::__resume] { call } { #module } { #name } { #inside }))
            }
        }
    })
}

/// Calls `by` for every such macro, innermost first, with its name and what stands in it; gives the tokens with what `by` gives in their place.
fn replace(tokens: TokenStream, by: &mut impl FnMut(Derivative, &Ident, TokenStream) -> TokenStream) -> TokenStream {
    let mut out: Vec<TokenTree> = Vec::new();
    for token in tokens {
        let TokenTree::Group(group) = token else {
            out.push(token);
            continue;
        };
        let inside = replace(group.stream(), by);
        let [.., TokenTree::Ident(name), TokenTree::Punct(bang)] = &out[..] else {
            out.push(regroup(&group, inside));
            continue;
        };
        let Some(kind) = Derivative::named(&name.to_string()).filter(|_| bang.as_char() == '!') else {
            out.push(regroup(&group, inside));
            continue;
        };
        let replaced = by(kind, name, inside.clone());
        out.truncate(out.len() - 2);
        // A path before the name, such as `bilevel::`, goes with it.
        while let [.., TokenTree::Punct(a), TokenTree::Punct(b)] = &out[..] {
            if (a.as_char(), b.as_char()) != (':', ':') {
                break;
            }
            out.truncate(out.len() - 2);
            if matches!(out.last(), Some(TokenTree::Ident(_))) {
                out.pop();
            }
        }
        out.extend(replaced);
    }
    out.into_iter().collect()
}

fn regroup(group: &Group, inside: TokenStream) -> TokenTree {
    let mut new = Group::new(group.delimiter(), inside);
    new.set_span(group.span());
    TokenTree::Group(new)
}

/// The state that [`with_calls`] leaves where the function stands elsewhere, with the answer of its carrier.
#[derive(Clone, Debug)]
pub struct CarriedCall {
    module: Ident,
    kind: Derivative,
    inside: TokenStream,
    answer: super::carrier::Bundle,
}

impl CarriedCall {
    /// Whether this is such a state, and not that of a question.
    pub fn is_state(state: &TokenStream) -> bool {
        match state.clone().into_iter().next() {
            Some(TokenTree::Group(entry)) => entry.stream().to_string() == "call",
            _ => false,
        }
    }

    /// The call. What has an error has any type; it was reported where it stands.
    pub fn tokens(&self) -> TokenStream {
        let call = DerivativeCall::parse(self.kind, self.inside.clone()).ok();
        let tokens = call.zip(self.answer.function()).and_then(|(call, f)| call.call(f, &self.module));
        tokens.unwrap_or_else(|| quote!(::core::todo!()))
    }
}

impl Parse for CarriedCall {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        use super::carrier::braced;
        braced(input)?.parse::<Ident>()?;
        let module = braced(input)?.parse()?;
        let name: Ident = braced(input)?.parse()?;
        let Some(kind) = Derivative::named(&name.to_string()) else { return Err(syn::Error::new(name.span(), "not a derivative")) };
        let inside = braced(input)?.parse()?;
        let answer = braced(input)?.parse()?;
        Ok(CarriedCall { module, kind, inside, answer })
    }
}

/// What tells the item under an attribute from all others.
pub fn owner(name: &Ident) -> String {
    format!("{} {:?}", source_text(name), name.span())
}
