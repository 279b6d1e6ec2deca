//! Questions: what an expansion that lacks the tokens of other items leaves behind, so that it can go on when their [carriers](super::carrier) answer.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;

use super::carrier::{Bundle, braced, unique_name};
use super::items::{Items, path_key};

/// The macro that goes on when its questions are answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// `#[differentiable]`
    Differentiable,
    /// `#[derivative]`
    Derivative,
    /// `#[bilevel]`
    Bilevel,
    /// `#[derive(Params)]`
    Params,
}

/// An expansion in waiting.
#[derive(Clone, Debug)]
pub struct Question {
    /// What goes on.
    pub entry: Entry,
    /// Where this crate is found.
    pub crate_path: syn::Path,
    /// The arguments of the attribute.
    pub attr: TokenStream,
    /// The item under the attribute.
    pub item: TokenStream,
    /// What has been asked for and answered, as the user wrote it.
    pub paths: Vec<syn::Path>,
    /// The answers: the tokens of bundles.
    answers: Vec<TokenStream>,
    /// What is asked, the next one first.
    pub pending: Vec<syn::Path>,
}

/// What became of a question when a carrier has answered it.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The rest of the question.
    pub question: Question,
    /// What says that the path is known.
    pub witness: TokenStream,
    /// Whether an item that was asked for has an error, which was reported where it stands.
    pub faulty: bool,
}

impl Question {
    /// An expansion that has asked for nothing yet.
    pub fn new(entry: Entry, attr: TokenStream, item: TokenStream) -> Self {
        let crate_path = crate::program::default_crate_path();
        Question { entry, crate_path, attr, item, paths: Vec::new(), answers: Vec::new(), pending: Vec::new() }
    }

    /// The next path is asked for: the tokens to stand where the path means what it means to the user.
    pub fn ask(&self) -> TokenStream {
        let Some(path) = self.pending.first() else { return TokenStream::new() };
        let path = without_arguments(path);
        let name = path.segments.last().map(|s| s.ident.clone());
        let span = name.as_ref().map_or_else(|| path.span(), syn::Ident::span);
        let crate_path = &self.crate_path;
        let mut marker = self.marker();
        marker.set_span(span);
        let trait_path = quote_spanned!(span=> #crate_path::rt::Carried);
        let check = quote_spanned!(span=> const _: () = <#marker::#name as #trait_path>::KNOWN;);
        // The user's path, so that an error is at the user's tokens.
        quote! {
            #[doc(hidden)]
            #[allow(non_camel_case_types, non_snake_case, unused, unreachable_pub, missing_docs)]
            mod #marker { pub struct #name; }
            #check
            #path ! { [#crate_path::__resume] #self }
        }
    }

    /// A module for the type that stands for the next question. The same at both ends of the way through the carrier, which keeps spans.
    fn marker(&self) -> syn::Ident {
        let path = self.pending.first();
        let place = path.and_then(|path| path.segments.last()).map(|s| s.ident.span());
        let key = path.and_then(path_key).unwrap_or_default();
        format_ident!("{}", unique_name("asks", &format!("{key} {place:?} {}", self.answers.len())))
    }

    /// Adds the items that were asked for to those at hand.
    ///
    /// # Errors
    /// If the tokens of an answer are not those of a carrier.
    pub fn answer(&self, items: &mut Items) -> syn::Result<()> {
        for (path, bundle) in self.paths.iter().zip(&self.answers) {
            items.add(&path_key(path).unwrap_or_default(), syn::parse2::<Bundle>(bundle.clone())?);
        }
        Ok(())
    }
}

impl ToTokens for Question {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let entry = match self.entry {
            Entry::Differentiable => quote!(differentiable),
            Entry::Derivative => quote!(derivative),
            Entry::Bilevel => quote!(bilevel),
            Entry::Params => quote!(params),
        };
        let (crate_path, attr, item, pending) = (&self.crate_path, &self.attr, &self.item, &self.pending);
        let answers = self.paths.iter().zip(&self.answers).map(|(path, bundle)| quote!({ #path } { #bundle }));
        tokens.extend(quote!({ #entry } { #crate_path } { #attr } { #item } { #(#answers)* } { #({ #pending })* }));
    }
}

/// A question with the answer that its carrier has put behind it.
impl Parse for Answered {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let entry: syn::Ident = braced(input)?.parse()?;
        let entry = match entry.to_string().as_str() {
            "differentiable" => Entry::Differentiable,
            "derivative" => Entry::Derivative,
            "bilevel" => Entry::Bilevel,
            "params" => Entry::Params,
            _ => return Err(syn::Error::new(entry.span(), "not a macro that asks")),
        };
        let crate_path = syn::Path::parse_mod_style(&braced(input)?)?;
        let attr: TokenStream = braced(input)?.parse()?;
        let item: TokenStream = braced(input)?.parse()?;
        let (mut paths, mut answers) = (Vec::new(), Vec::new());
        let given = braced(input)?;
        while !given.is_empty() {
            paths.push(braced(&given)?.parse::<syn::Path>()?);
            answers.push(braced(&given)?.parse::<TokenStream>()?);
        }
        let mut pending: Vec<syn::Path> = Vec::new();
        let asked = braced(input)?;
        while !asked.is_empty() {
            pending.push(braced(&asked)?.parse()?);
        }
        let answer: TokenStream = braced(input)?.parse()?;
        let mut question = Question { entry, crate_path, attr, item, paths, answers, pending };
        let (marker, crate_path) = (question.marker(), &question.crate_path);
        if question.pending.is_empty() {
            return Err(input.error("an answer to no question"));
        }
        let name = question.pending[0].segments.last().map(|s| s.ident.clone());
        let witness = quote!(impl #crate_path::rt::Answered for #marker::#name {});
        let path = question.pending.remove(0);
        let faulty = answer.is_empty();
        question.paths.push(path);
        question.answers.push(answer);
        Ok(Answered { question, witness, faulty })
    }
}

/// A path as a macro's name.
pub fn without_arguments(path: &syn::Path) -> syn::Path {
    let mut path = path.clone();
    for segment in &mut path.segments {
        segment.arguments = syn::PathArguments::None;
    }
    path
}
