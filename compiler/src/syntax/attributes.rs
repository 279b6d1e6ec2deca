//! The arguments of the attributes: `#[differentiable(..)]`, `#[bilevel(..)]`, `#[inner(..)]`, `#[outer(..)]`.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Meta, Token};

use super::configuration::table::InnerKind;
use super::configuration::{Configuration, read_inner, read_method};
use super::problem::FIXED_POINT;
use super::source_text;
use super::wrt::is_place;
use crate::diagnostics::{Diagnostics, messages};

/// What `#[differentiable(..)]` says.
#[derive(Clone, Debug, Default)]
pub struct DifferentiableArgs {
    /// The parameters to differentiate, or parts of them, such as `net.w`; all of floating-point type where it is `None`.
    pub wrt: Option<Vec<syn::Expr>>,
    /// What is generated only because it is named here, and where it is named.
    pub requests: Vec<(Request, Ident)>,
    /// The parameters that `batched` has for each example; `batched` is requested if there are any.
    pub batched: Vec<Ident>,
    /// Where the crate `bilevel` is found, if not at `::bilevel`.
    pub crate_path: Option<syn::Path>,
}

/// An item of a companion module that is generated on request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Forward mode along several directions at once.
    JvpMany,
    /// Hessian-vector products along several directions at once.
    HvpMany,
    /// The derivative of every element of the result by every element of the arguments.
    Jacobian,
    /// All second derivatives.
    Hessian,
}

impl Request {
    const ALL: [Request; 4] = [Request::JvpMany, Request::HvpMany, Request::Jacobian, Request::Hessian];

    /// Its name in the attribute, which is that of the item.
    pub fn name(self) -> &'static str {
        match self {
            Request::JvpMany => "jvp_many",
            Request::HvpMany => "hvp_many",
            Request::Jacobian => "jacobian",
            Request::Hessian => "hessian",
        }
    }
}

/// What `#[derivative(..)]` says.
#[derive(Clone, Debug, Default)]
pub struct DerivativeArgs {
    /// The function that the rule belongs to.
    pub of: Option<Ident>,
    /// Where the crate `bilevel` is found, if not at `::bilevel`.
    pub crate_path: Option<syn::Path>,
}

/// Reads the arguments of `#[derivative]` on `item`.
pub fn parse_derivative(tokens: TokenStream, item: &TokenStream, diags: &mut Diagnostics) -> DerivativeArgs {
    const UNDERSTOOD: &str = "`#[derivative(of = f)]` or `#[derivative(of = f, crate = path)]`";
    let mut args = DerivativeArgs::default();
    let before = diags.n_errors();
    for meta in parse_metas(tokens, diags) {
        if meta.path().is_ident("of") {
            args.of = parse_names(&meta, diags).into_iter().next();
        } else if let Some(path) = crate_path(&meta) {
            args.crate_path = Some(path);
        } else {
            diags.error(&meta, messages::ATTRIBUTE_ARGUMENT, &["derivative", &source_text(&meta), UNDERSTOOD]);
        }
    }
    if args.of.is_none() && diags.n_errors() == before {
        let first: TokenStream = item.clone().into_iter().take(1).collect();
        diags.error(first, messages::ATTRIBUTE_ARGUMENT, &["derivative", "nothing", UNDERSTOOD]);
    }
    args
}

/// What `#[bilevel(..)]` says.
#[derive(Clone, Debug, Default)]
pub struct BilevelArgs {
    /// The method and the inner solver.
    pub configuration: Option<Configuration>,
    /// Where the crate `bilevel` is found, if not at `::bilevel`.
    pub crate_path: Option<syn::Path>,
}

/// Reads the arguments of `#[differentiable]`.
pub fn parse_differentiable(tokens: TokenStream, diags: &mut Diagnostics) -> DifferentiableArgs {
    const UNDERSTOOD: &str = "`#[differentiable]`, with any of `wrt(a, b)`, `batched(x, y)`, `jvp_many`, `hvp_many`, `jacobian`, `hessian` and \
                              `crate = path` in parentheses";
    let mut args = DifferentiableArgs::default();
    for meta in parse_metas(tokens, diags) {
        if meta.path().is_ident("wrt") {
            args.wrt = Some(parse_places(&meta, diags));
        } else if meta.path().is_ident("batched") {
            args.batched = parse_names(&meta, diags);
        } else if let Some(request) = request(&meta) {
            args.requests.push(request);
        } else if let Some(path) = crate_path(&meta) {
            args.crate_path = Some(path);
        } else {
            diags.error(&meta, messages::ATTRIBUTE_ARGUMENT, &["differentiable", &source_text(&meta), UNDERSTOOD]);
        }
    }
    args
}

/// Reads the arguments of `#[bilevel]`.
pub fn parse_bilevel(tokens: TokenStream, diags: &mut Diagnostics) -> BilevelArgs {
    const UNDERSTOOD: &str = "`#[bilevel]`, with any of `hypergradient = implicit(cg)`, `inner = lbfgs` and `crate = path` in parentheses";
    let mut args = BilevelArgs::default();
    let (mut hypergradient, mut inner): (Option<syn::Expr>, Option<syn::Expr>) = (None, None);
    for meta in parse_metas(tokens, diags) {
        let chosen = match &meta {
            Meta::NameValue(pair) if pair.path.is_ident("hypergradient") => Some((&mut hypergradient, &pair.value)),
            Meta::NameValue(pair) if pair.path.is_ident("inner") => Some((&mut inner, &pair.value)),
            Meta::NameValue(_) | Meta::List(_) | Meta::Path(_) => None,
        };
        if let Some((slot, value)) = chosen {
            if slot.is_some() {
                diags.error(&meta, messages::SETTING_TWICE, &[&source_text(meta.path()), "bilevel"]);
            } else {
                *slot = Some(value.clone());
            }
        } else if let Some(path) = crate_path(&meta) {
            args.crate_path = Some(path);
        } else {
            diags.error(&meta, messages::ATTRIBUTE_ARGUMENT, &["bilevel", &source_text(&meta), UNDERSTOOD]);
        }
    }
    let method = hypergradient.as_ref().and_then(|expr| read_method(expr, diags));
    let read = inner.as_ref().map(|expr| read_inner(expr, method.as_ref().map(|(family, _)| *family), diags));
    if let (Some(inner), None) = (&inner, &hypergradient) {
        diags.error(inner, messages::INNER_WITHOUT_METHOD, &[]);
    }
    if let Some((family, method)) = method {
        if inner.is_none() && family.inner == InnerKind::Update {
            diags.error(&method.name, messages::SETTING_MISSING, &[family.name, "an `inner`", "`inner = gradient_descent(0.1)`"]);
        }
        args.configuration = Some(Configuration { family, method, inner: read.flatten() });
    }
    args
}

/// Reads the arguments of `#[params(..)]` on a struct that derives `Params`: where this crate is found.
pub fn parse_params(attrs: &[syn::Attribute], diags: &mut Diagnostics) -> Option<syn::Path> {
    let mut path = None;
    for attr in attrs.iter().filter(|a| a.path().is_ident("params")) {
        let tokens = match &attr.meta {
            Meta::List(list) => list.tokens.clone(),
            Meta::Path(_) | Meta::NameValue(_) => TokenStream::new(),
        };
        for meta in parse_metas(tokens, diags) {
            match crate_path(&meta) {
                Some(found) => path = Some(found),
                None => diags.error(&meta, messages::ATTRIBUTE_ARGUMENT, &["params", &source_text(&meta), "`#[params(crate = path)]`"]),
            }
        }
    }
    path
}

/// What `#[inner(..)]` or `#[outer(..)]` says.
#[derive(Clone, Debug, Default)]
pub struct RoleArgs {
    /// The variables that the loss is minimized over.
    pub minimize: Vec<Ident>,
    /// Further outer variables, which no function takes.
    pub optimizer: Vec<OptimizerVariable>,
    /// The data of which a step of the inner optimiser sees some rows: `sample(x, y)` in `#[inner]`.
    pub sample: Vec<Ident>,
}

/// An outer variable that is a hyperparameter of the inner optimiser and nothing else.
#[derive(Clone, Debug)]
pub struct OptimizerVariable {
    /// Its name.
    pub name: Ident,
    /// Its type, without a reference.
    pub ty: syn::Type,
}

impl syn::parse::Parse for OptimizerVariable {
    fn parse(input: syn::parse::ParseStream) -> syn::Result<Self> {
        let name = input.parse()?;
        input.parse::<Token![:]>()?;
        Ok(OptimizerVariable { name, ty: input.parse()? })
    }
}

/// `#[step]` says nothing in parentheses.
pub fn refuse_step_arguments(attr: &syn::Attribute, diags: &mut Diagnostics) {
    if !matches!(attr.meta, Meta::Path(_)) {
        diags.error(attr, messages::ATTRIBUTE_ARGUMENT, &["step", &source_text(attr), "`#[step]`"]);
    }
}

/// Reads the arguments of `#[inner(minimize = w, sample(x, y))]`, `#[fixed_point(solve = w)]` or `#[outer(minimize = w, optimizer(log_rate: f64))]`. `example` is a parameter that could be meant.
/// `#[outer]` alone is a problem without an outer variable.
pub fn parse_role(attr: &syn::Attribute, role: &str, example: &str, diags: &mut Diagnostics) -> RoleArgs {
    let before = diags.n_errors();
    let mut args = RoleArgs::default();
    let (key, variable) =
        if role == FIXED_POINT { ("solve", "what it solves for".to_owned()) } else { ("minimize", format!("the {role} variable")) };
    let tokens = match &attr.meta {
        Meta::Path(_) => TokenStream::new(),
        Meta::List(list) => list.tokens.clone(),
        Meta::NameValue(_) => {
            diags.error(attr, messages::MISSING_MINIMIZE, &[role, example, key, &variable]);
            return args;
        }
    };
    for meta in parse_metas(tokens, diags) {
        if meta.path().is_ident(key) {
            args.minimize.extend(parse_names(&meta, diags));
        } else if meta.path().is_ident("sample") && role == "inner" {
            args.sample.extend(parse_names(&meta, diags));
        } else if meta.path().is_ident("optimizer") && role == "outer" {
            args.optimizer.extend(parse_optimizer(&meta, diags));
        } else {
            let understood = match role {
                "outer" => format!("`#[outer(minimize = {example})]` or `#[outer(minimize = {example}, optimizer(log_rate: f64))]`"),
                FIXED_POINT => format!("`#[{role}({key} = {example})]`"),
                _ => format!("`#[{role}(minimize = {example})]` or `#[{role}(minimize = {example}, sample(x, y))]`"),
            };
            diags.error(&meta, messages::ATTRIBUTE_ARGUMENT, &[role, &source_text(&meta), &understood]);
        }
    }
    if args.minimize.is_empty() && role != "outer" && diags.n_errors() == before {
        diags.error(attr, messages::MISSING_MINIMIZE, &[role, example, key, &variable]);
    }
    for of in &args.optimizer {
        if args.minimize.contains(&of.name) {
            diags.error(&of.name, messages::NAMED_TWICE, &[&of.name.to_string()]);
        }
    }
    args
}

/// The variables in `optimizer(log_rate: f64, ..)`, each once.
fn parse_optimizer(meta: &Meta, diags: &mut Diagnostics) -> Vec<OptimizerVariable> {
    let Meta::List(list) = meta else {
        diags.error(
            meta,
            messages::ATTRIBUTE_ARGUMENT,
            &["outer", &source_text(meta), "`optimizer(log_rate: f64)`, with the types of the variables"],
        );
        return Vec::new();
    };
    let parsed = match Punctuated::<OptimizerVariable, Token![,]>::parse_terminated.parse2(list.tokens.clone()) {
        Ok(parsed) => parsed,
        Err(_) => {
            let understood = "`optimizer(log_rate: f64)`, with the types of the variables";
            diags.error(meta, messages::ATTRIBUTE_ARGUMENT, &["outer", &source_text(meta), understood]);
            return Vec::new();
        }
    };
    let mut variables: Vec<OptimizerVariable> = Vec::new();
    for of in parsed {
        if variables.iter().any(|known| known.name == of.name) {
            diags.error(&of.name, messages::NAMED_TWICE, &[&of.name.to_string()]);
        } else {
            variables.push(of);
        }
    }
    variables
}

fn parse_metas(tokens: TokenStream, diags: &mut Diagnostics) -> Vec<Meta> {
    match Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens) {
        Ok(metas) => metas.into_iter().collect(),
        Err(error) => {
            diags.syntax_error(&error);
            Vec::new()
        }
    }
}

/// The expressions in `key = a` or `key(a, b)`; there is at least one, or an error.
fn parse_exprs(meta: &Meta, diags: &mut Diagnostics) -> Vec<syn::Expr> {
    let exprs: Vec<syn::Expr> = match meta {
        Meta::Path(_) => Vec::new(),
        Meta::NameValue(pair) => match &pair.value {
            syn::Expr::Tuple(tuple) => tuple.elems.iter().cloned().collect(),
            value => vec![value.clone()],
        },
        Meta::List(list) => match Punctuated::<syn::Expr, Token![,]>::parse_terminated.parse2(list.tokens.clone()) {
            Ok(exprs) => exprs.into_iter().collect(),
            Err(error) => {
                diags.syntax_error(&error);
                return Vec::new();
            }
        },
    };
    if exprs.is_empty() {
        diags.error(meta, messages::NOT_A_NAME, &[&source_text(meta)]);
    }
    exprs
}

/// The names of parameters and their parts in `key = a` or `key(a, b.c)`.
fn parse_places(meta: &Meta, diags: &mut Diagnostics) -> Vec<syn::Expr> {
    let (places, others): (Vec<syn::Expr>, Vec<syn::Expr>) = parse_exprs(meta, diags).into_iter().partition(is_place);
    for other in others {
        diags.error(&other, messages::NOT_A_NAME, &[&source_text(&other)]);
    }
    places
}

/// The names in `key = a` or `key(a, b)`, each once.
fn parse_names(meta: &Meta, diags: &mut Diagnostics) -> Vec<Ident> {
    let mut names: Vec<Ident> = Vec::new();
    for expr in parse_exprs(meta, diags) {
        match &expr {
            syn::Expr::Path(path) if path.path.get_ident().is_some() => {
                let name = path.path.require_ident().expect("checked by the guard").clone();
                if names.contains(&name) {
                    diags.error(&name, messages::NAMED_TWICE, &[&name.to_string()]);
                } else {
                    names.push(name);
                }
            }
            _ => diags.error(&expr, messages::NOT_A_NAME, &[&source_text(&expr)]),
        }
    }
    names
}

/// The item that is requested by its bare name.
fn request(meta: &Meta) -> Option<(Request, Ident)> {
    let Meta::Path(path) = meta else { return None };
    let name = path.get_ident()?;
    let request = Request::ALL.into_iter().find(|request| name == request.name())?;
    Some((request, name.clone()))
}

/// The path in `crate = path`.
fn crate_path(meta: &Meta) -> Option<syn::Path> {
    match meta {
        Meta::NameValue(pair) if pair.path.is_ident("crate") => syn::parse2(pair.value.to_token_stream()).ok(),
        _ => None,
    }
}
