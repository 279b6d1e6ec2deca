//! Rules of the user's: how a function is differentiated that the macro cannot look into.
//!
//! A rule is a function. Its parameters are those of the function it belongs to, then the tangents of the float ones, `x_dot` for `x`, and it gives
//! the tangent of the result; or then one cotangent, named `…_bar`, and it gives the cotangents of the float parameters. Both rules of one function stand in
//! one module, since an attribute on one of two functions sees nothing of the other; in a `#[bilevel]` module they may also stand by themselves.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;

use super::form::Form;
use super::items::Item;
use super::signature::{Param, Signature, Use, parse_signature};
use super::structs::TypeNames;
use crate::diagnostics::{Diagnostics, messages};

/// The rules of one function, and what they say of its signature.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The function.
    pub name: syn::Ident,
    /// Its parameters: numbers and arrays.
    pub params: Vec<Param>,
    /// What it gives back: a float or an array of floats.
    pub output: Form,
    /// The rule that gives tangents.
    pub jvp: Option<Rule>,
    /// The rule that gives cotangents.
    pub vjp: Option<Rule>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The function.
    pub item: syn::ItemFn,
    /// Its signature.
    pub signature: Signature,
}

/// The name in `#[derivative(of = name)]`, if the attribute is one. What is wrong with it is reported where it is expanded itself.
pub fn rule_of(attr: &syn::Attribute) -> Option<syn::Ident> {
    let syn::Meta::List(list) = &attr.meta else { return None };
    if list.path.segments.last()?.ident != "derivative" {
        return None;
    }
    let metas = list.parse_args_with(Punctuated::<syn::Meta, syn::Token![,]>::parse_terminated).ok()?;
    metas.iter().find(|meta| meta.path().is_ident("of")).and_then(|meta| match meta {
        syn::Meta::NameValue(pair) => syn::parse2(pair.value.to_token_stream()).ok(),
        syn::Meta::Path(_) | syn::Meta::List(_) => None,
    })
}

/// The rules of the function `name` as an item that others may refer to.
pub fn rules_item(name: &syn::Ident, vis: &syn::Visibility, functions: &[syn::ItemFn]) -> Item {
    Item::Rules(syn::parse_quote!(#vis mod #name { #(#functions)* }))
}

/// The rules under an attribute: the function, or those in a module. `None` for a module that has no body.
pub fn rule_functions(item: &syn::Item) -> Option<Vec<syn::ItemFn>> {
    let items = match item {
        syn::Item::Fn(_) => std::slice::from_ref(item),
        syn::Item::Mod(module) => &module.content.as_ref()?.1[..],
        _ => return None,
    };
    let function = |item: &syn::Item| match item {
        syn::Item::Fn(f) => Some(f.clone()),
        _ => None,
    };
    Some(items.iter().filter_map(function).collect())
}

/// Checks a module of rules: what stands in it means what it means beside it, where generated code stands.
pub fn check_rules_module(module: &syn::ItemMod, diags: &mut Diagnostics) {
    for item in module.content.iter().flat_map(|(_, items)| items) {
        let is_import = match item {
            syn::Item::Use(import) => match &import.tree {
                syn::UseTree::Path(path) => path.ident == "super" && matches!(*path.tree, syn::UseTree::Glob(_)),
                _ => false,
            },
            _ => false,
        };
        let path_up = match item {
            syn::Item::Fn(f) => find_super(f.to_token_stream()),
            _ if is_import => None,
            other => Some(other.to_token_stream()),
        };
        if let Some(at) = path_up {
            diags.error(at, messages::RULES_MODULE, &[&module.ident.to_string()]);
        }
    }
}

fn find_super(tokens: TokenStream) -> Option<TokenStream> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(name) if name == "super" => Some(name.into_token_stream()),
        TokenTree::Group(group) => find_super(group.stream()),
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    })
}

/// Reads rules, with an error for everything that does not fit.
pub fn parse_rules(item: &syn::ItemMod, names: &TypeNames, diags: &mut Diagnostics) -> Option<Rules> {
    let before = diags.n_errors();
    let name = item.ident.clone();
    let mut rules: Option<Rules> = None;
    let functions = item.content.iter().flat_map(|(_, items)| items).filter_map(|item| match item {
        syn::Item::Fn(f) => Some(f.clone()),
        _ => None,
    });
    for f in functions {
        let Some(signature) = parse_signature(&f, Use::Differentiated, names, diags) else { continue };
        let Some((params, output, is_vjp)) = parse_rule(&name, &f, &signature, diags) else { continue };
        let rules =
            rules.get_or_insert_with(|| Rules { name: name.clone(), params: params.clone(), output: output.clone(), jvp: None, vjp: None });
        let same = |p: &Param, q: &Param| p.form == q.form && p.by_ref == q.by_ref;
        let fits = rules.params.len() == params.len() && rules.params.iter().zip(&params).all(|(p, q)| same(p, q));
        let place = if is_vjp { &mut rules.vjp } else { &mut rules.jvp };
        let why = if !fits || rules.output != output {
            Some(format!("its other rule has other parameters of `{name}`, or another result"))
        } else if place.is_some() {
            Some("there is another rule of this kind".to_owned())
        } else {
            None
        };
        match why {
            Some(why) => diags.error(&f.sig.ident, messages::RULE, &[&f.sig.ident.to_string(), &name.to_string(), &why]),
            None => *place = Some(Rule { item: f, signature }),
        }
    }
    rules.filter(|_| diags.n_errors() == before)
}

/// What a rule says of its function: the parameters, the result, and whether the rule is of reverse mode.
fn parse_rule(of: &syn::Ident, f: &syn::ItemFn, signature: &Signature, diags: &mut Diagnostics) -> Option<(Vec<Param>, Form, bool)> {
    let mut refuse = |why: String| {
        diags.error(&f.sig.ident, messages::RULE, &[&f.sig.ident.to_string(), &of.to_string(), &why]);
        None
    };
    if let Some(param) = signature.generics.type_params().next() {
        return refuse(format!("it is generic over `{}`, and a rule is for one float type", param.ident));
    }
    let params = &signature.params;
    if let Some(p) = params.iter().find(|p| !matches!(p.form, Form::Scalar(_) | Form::Array { .. })) {
        return refuse(format!("its parameter `{}` is neither a number nor an array", p.name));
    }
    let floats = |params: &[Param]| -> Vec<Param> { params.iter().filter(|p| p.form.is_differentiable()).cloned().collect() };
    if let Some((bar, own)) = params.split_last().filter(|(last, _)| last.name.to_string().ends_with("_bar")) {
        let expected: Vec<Form> = floats(own).iter().map(|p| p.form.owned()).collect();
        let expected = if expected.len() == 1 { expected[0].clone() } else { Form::Tuple(expected) };
        if signature.output != expected {
            return refuse(format!("it gives `{}` and not the cotangents, `{expected}`", signature.output));
        }
        return match bar.form.is_differentiable() {
            true => Some((own.to_vec(), bar.form.owned(), true)),
            false => refuse(format!("the cotangent `{}` is no float", bar.name)),
        };
    }
    let is_dot = |p: &Param| params.iter().any(|own| is_dot_of(p, own));
    let first = params.iter().position(is_dot).unwrap_or(params.len());
    let (own, dots) = params.split_at(first);
    let expected = floats(own);
    let names: Vec<String> = expected.iter().map(|p| format!("`{}_dot`", plain(p))).collect();
    let fits =
        dots.len() == expected.len() && dots.iter().zip(&expected).all(|(dot, p)| is_dot_of(dot, p) && dot.form.owned() == p.form.owned());
    if !fits || dots.is_empty() {
        let instead = if names.is_empty() { "a tangent `x_dot` for each float parameter `x`".to_owned() } else { names.join(", ") };
        return refuse(format!("after the parameters of `{of}` it needs {instead} of the same types, or one cotangent, named `y_bar`"));
    }
    match &signature.output {
        Form::Scalar(_) | Form::Array { .. } => Some((own.to_vec(), signature.output.clone(), false)),
        other => refuse(format!("it gives `{other}`, which is neither a number nor an array")),
    }
}

/// The name of a parameter, which may have an underscore in front where the rule does not use it.
fn plain(param: &Param) -> String {
    param.name.unraw().to_string().trim_start_matches('_').to_owned()
}

fn is_dot_of(dot: &Param, of: &Param) -> bool {
    plain(dot) == format!("{}_dot", plain(of))
}

impl Rules {
    /// The rules that there are.
    pub fn all(&self) -> impl Iterator<Item = &Rule> {
        self.jvp.iter().chain(&self.vjp)
    }

    /// The signature of the function.
    pub fn signature(&self) -> Option<Signature> {
        let of_rule = self.jvp.as_ref().or(self.vjp.as_ref())?.signature.clone();
        Some(Signature { name: self.name.clone(), params: self.params.clone(), output: self.output.clone(), ..of_rule })
    }
}
