//! The way of one expansion: from the tokens under an attribute to what stands in their place.
//!
//! An expansion may end with a [question](crate::syntax::question) for the tokens of other items, and begins anew when it is answered. The user's item
//! is given back by the first beginning, whatever happens afterwards.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};

use crate::diagnostics::{Diagnostics, messages};
use crate::ir::Opaque;
use crate::lower::read_constant;
use crate::syntax::attributes::{parse_bilevel, parse_derivative, parse_differentiable};
use crate::syntax::bounds::without_bounds;
use crate::syntax::carrier::{carrier, faulty_carrier};
use crate::syntax::derivative::{CarriedCall, DerivativeUse, derivative_uses, owner, with_calls};
use crate::syntax::helpers::without_helpers;
use crate::syntax::items::{Item, Items, Place};
use crate::syntax::params::parse_params_struct;
use crate::syntax::question::{Answered, Entry, Question};
use crate::syntax::rule::{Rules, check_rules_module, rule_functions, rules_item};
use crate::syntax::shapes::{strip_function, strip_items};
use crate::syntax::structs::missing_structs;
use crate::syntax::witness::{carried_witness, name_checks, rules_witness, signature_witness, types_witness, witness};
use crate::{derive, emit, program, syntax};

/// How deep delimiters may be nested in what the macros read, so that no input makes the parser run out of stack.
const MAX_NESTING: usize = 100;

/// The expansion of an attribute: the item, with what is generated from it, and errors. What editors send while a person is typing is given back
/// without the attributes that only the macros know, and without a word about it.
pub(crate) fn begin(mut expansion: Question) -> TokenStream {
    let item = expansion.item.clone();
    let mut half_typed = false;
    let nesting = nesting(item.clone(), &mut half_typed).max(nesting(expansion.attr.clone(), &mut half_typed));
    // A derive stands beside its item, the other macros replace it. What is nested too deeply is not gone through, whatever attributes there are.
    let original = match expansion.entry {
        Entry::Params => TokenStream::new(),
        _ if nesting > MAX_NESTING => item.clone(),
        _ => without_helpers(item.clone()),
    };
    if half_typed {
        return original;
    }
    let mut diags = Diagnostics::new();
    let tokens = if nesting > MAX_NESTING {
        diags.error(first_token(&item), messages::TOO_DEEP, &[]);
        original
    } else {
        read(&item, &mut diags, original, |mut parsed, diags| {
            let generated = generate(&mut expansion, &mut parsed, diags);
            if expansion.entry == Entry::Params {
                return generated;
            }
            call_derivatives(expansion.entry, &mut parsed, &expansion.crate_path, diags.has_errors());
            with_generated(expansion.entry, parsed, generated)
        })
    };
    with_errors(tokens, diags)
}

/// Goes on after an answer: what is generated from the item, which itself stands there already.
pub(crate) fn resume(state: TokenStream) -> TokenStream {
    if CarriedCall::is_state(&state) {
        return match syn::parse2::<CarriedCall>(state) {
            Ok(call) => call.tokens(),
            Err(error) => error.to_compile_error(),
        };
    }
    let mut diags = Diagnostics::new();
    let tokens = match syn::parse2::<Answered>(state) {
        Ok(Answered { mut question, witness, faulty }) => {
            let item = question.item.clone();
            let generated = read(&item, &mut diags, TokenStream::new(), |mut parsed, diags| {
                if faulty {
                    without_body(&question, &parsed)
                } else if question.pending.is_empty() {
                    generate(&mut question, &mut parsed, diags)
                } else {
                    question.ask()
                }
            });
            quote!(#witness #generated)
        }
        Err(error) => {
            diags.syntax_error(&error);
            TokenStream::new()
        }
    };
    with_errors(tokens, diags)
}

/// `grad!` and its kin where no attribute has taken them for derivatives: an error.
pub(crate) fn derivative_outside(name: &str, tokens: &TokenStream) -> TokenStream {
    let mut diags = Diagnostics::new();
    diags.error(first_token(tokens), messages::DERIVATIVE_OUTSIDE, &[name]);
    // An expression can hold one `compile_error!` only.
    diags.finish().err().unwrap_or_default()
}

/// Parses the item and hands it on. Gives `otherwise` on an error of the parser, and on a defect of the compiler, which must not take the user's item
/// with it.
fn read(
    item: &TokenStream,
    diags: &mut Diagnostics,
    otherwise: TokenStream,
    then: impl FnOnce(syn::Item, &mut Diagnostics) -> TokenStream,
) -> TokenStream {
    match syn::parse2::<syn::Item>(item.clone()) {
        Ok(parsed) => match catch_unwind(AssertUnwindSafe(|| then(parsed, diags))) {
            Ok(tokens) => tokens,
            Err(defect) => {
                diags.error(first_token(item), messages::DEFECT, &[&panic_text(&*defect)]);
                otherwise
            }
        },
        Err(error) => {
            diags.syntax_error(&error);
            otherwise
        }
    }
}

fn with_errors(tokens: TokenStream, diags: Diagnostics) -> TokenStream {
    match diags.finish() {
        Ok(()) => tokens,
        Err(errors) => quote!(#tokens #errors),
    }
}

/// The user's item with what is generated from it: beside a function, inside of the module of a problem.
fn with_generated(entry: Entry, item: syn::Item, generated: TokenStream) -> TokenStream {
    let of_rules = entry == Entry::Derivative;
    // Nothing that is generated calls a rule, which is looked into instead.
    let unused = of_rules.then(|| quote!(#[allow(dead_code)]));
    match item {
        syn::Item::Mod(mut module) => {
            if let Some((_, items)) = &mut module.content {
                strip_items(items);
                for item in items.iter_mut() {
                    *item = syn::Item::Verbatim(without_bounds(item.to_token_stream()));
                }
                if !of_rules {
                    items.push(syn::Item::Verbatim(generated));
                    return module.into_token_stream();
                }
            }
            quote!(#unused #module #generated)
        }
        syn::Item::Fn(mut f) => {
            strip_function(&mut f);
            let original = without_bounds(f.to_token_stream());
            quote!(#unused #original #generated)
        }
        other => quote!(#other #generated),
    }
}

/// Puts calls of generated functions in the place of macros such as `grad!` in the functions of an item, in which they compute what the macros stand for. After
/// an error, nothing is generated that could be called.
fn call_derivatives(entry: Entry, item: &mut syn::Item, crate_path: &syn::Path, failed: bool) {
    let own: Items = match &*item {
        syn::Item::Mod(module) if entry == Entry::Bilevel => Items::of(module.content.as_ref().map_or(&[][..], |(_, items)| items)),
        _ => Items::default(),
    };
    let Some(owner) = owner_of(item) else { return };
    let functions: Vec<&mut syn::ItemFn> = match item {
        syn::Item::Fn(f) => vec![f],
        syn::Item::Mod(module) => functions_of(module).collect(),
        _ => Vec::new(),
    };
    for f in functions {
        let block = f.block.to_token_stream();
        if !derivative_uses(block.clone(), &owner).is_empty()
            && let Ok(block) = syn::parse2(with_calls(block, &owner, (!failed).then_some(&own), crate_path))
        {
            *f.block = block;
        }
    }
}

fn functions_of(module: &mut syn::ItemMod) -> impl Iterator<Item = &mut syn::ItemFn> {
    module.content.iter_mut().flat_map(|(_, items)| items).filter_map(|item| match item {
        syn::Item::Fn(f) => Some(f),
        _ => None,
    })
}

/// What tells the item under the attribute from all others.
fn owner_of(item: &syn::Item) -> Option<String> {
    match item {
        syn::Item::Fn(f) => Some(owner(&f.sig.ident)),
        syn::Item::Mod(module) => Some(owner(&module.ident)),
        _ => None,
    }
}

/// What macros such as `grad!` in the given tokens call.
fn derivatives(expansion: &Question, tokens: TokenStream, owner: &str, items: &Items, diags: &mut Diagnostics) -> TokenStream {
    let mut out = TokenStream::new();
    for DerivativeUse { call, module } in derivative_uses(tokens, owner) {
        let Some((function, is_here)) = program::read_derivative(&call, items, &expansion.crate_path, diags) else { continue };
        if is_here {
            out.extend(witness(&function.lowered, &syn::ReturnType::Default, &expansion.crate_path));
        }
        match emit::derivative(&function, call.kind, &module) {
            Ok(tokens) => out.extend(tokens),
            Err(error) => diags.error(&call.path, messages::NOT_DIFFERENTIABLE, &[&error.message]),
        }
    }
    out
}

/// What is generated from an item, or a question for what is missing. Takes the attributes that it has read from the item.
fn generate(expansion: &mut Question, item: &mut syn::Item, diags: &mut Diagnostics) -> TokenStream {
    let mut items = match (expansion.entry, &*item) {
        (Entry::Bilevel, syn::Item::Mod(module)) => Items::of(module.content.as_ref().map_or(&[][..], |(_, items)| items)),
        _ => Items::default(),
    };
    if let Err(error) = expansion.answer(&mut items) {
        diags.syntax_error(&error);
        return TokenStream::new();
    }
    if let Some(owner) = owner_of(item) {
        items.set_owner(owner);
    }
    let generated = match (expansion.entry, &mut *item) {
        (Entry::Derivative, item) => rules(expansion, item, &mut items, diags),
        (Entry::Differentiable, syn::Item::Fn(f)) => function(expansion, f, &items, diags),
        (Entry::Differentiable, syn::Item::Const(c)) => constant(expansion, c, &items, diags),
        (Entry::Bilevel, syn::Item::Mod(module)) => problem(expansion, module, &items, diags),
        (Entry::Params, item) => return params(expansion, item, &items, diags),
        (Entry::Differentiable, other) => wrong_item(other, "differentiable", "a function", diags),
        (Entry::Bilevel, other) => wrong_item(other, "bilevel", "an inline module", diags),
    };
    if diags.has_errors() {
        return without_body(expansion, item);
    }
    if diags.asked().is_empty() {
        return generated;
    }
    expansion.pending = diags.asked().to_vec();
    expansion.ask()
}

/// Beside a function: the module with its derivatives, and its carrier.
fn function(expansion: &mut Question, f: &syn::ItemFn, items: &Items, diags: &mut Diagnostics) -> TokenStream {
    let args = parse_differentiable(expansion.attr.clone(), diags);
    expansion.crate_path = args.crate_path.clone().unwrap_or_else(program::default_crate_path);
    let Some(function) = program::read_function(args, f, items, diags) else { return TokenStream::new() };
    let witness = witness(&function.lowered, &f.sig.output, &function.crate_path);
    let called = carried_witness(items, &expansion.paths, &function.crate_path);
    let companion = derived(emit::companion(&function), diags);
    let derivatives = derivatives(expansion, f.block.to_token_stream(), &owner(&f.sig.ident), items, diags);
    let carrier = carrier(&Item::Function(f.clone()), items);
    let adaptors = adaptors(items, &expansion.crate_path);
    quote!(#witness #called #derivatives #adaptors #companion #carrier)
}

/// Beside a rule, or a module of rules: the module with the derivatives of the function that it belongs to, and that function's carrier.
fn rules(expansion: &mut Question, item: &syn::Item, items: &mut Items, diags: &mut Diagnostics) -> TokenStream {
    let args = parse_derivative(expansion.attr.clone(), &expansion.item, diags);
    expansion.crate_path = args.crate_path.unwrap_or_else(program::default_crate_path);
    if let syn::Item::Mod(module) = item {
        check_rules_module(module, diags);
    }
    let functions = rule_functions(item).unwrap_or_default();
    let (Some(of), Some(first)) = (args.of, functions.first()) else {
        if diags.has_errors() {
            return TokenStream::new();
        }
        return wrong_item(item, "derivative", "a function or an inline module of functions", diags);
    };
    // A module of rules is private to those beside it; the rules in it say who sees the function's derivatives.
    let vis = first.vis.clone();
    items.add_rules(&of, &vis, &functions);
    let Some((function, rules)) = program::read_rule(&of, items, &expansion.crate_path, diags) else { return TokenStream::new() };
    let witness = rules_witness(rules.all().map(|rule| (&rule.signature, &rule.item.sig.output)), &items.assumed(), &expansion.crate_path);
    let signature = signature_witness(&function.lowered.signature, first);
    let called = carried_witness(items, &expansion.paths, &expansion.crate_path);
    let companion = derived(emit::companion(&function), diags);
    let blocks: TokenStream = functions.iter().map(|f| f.block.to_token_stream()).collect();
    let derivatives = derivatives(expansion, blocks, &owner_of(item).unwrap_or_default(), items, diags);
    let adaptors = adaptors(items, &expansion.crate_path);
    let carrier = carrier(&rules_item(&of, &vis, &functions), items);
    quote!(#witness #signature #called #derivatives #adaptors #companion #carrier)
}

/// The witnesses of the rules that stand in a module.
fn own_rules(items: &Items, crate_path: &syn::Path) -> TokenStream {
    let called = items.called_opaque();
    let own = called.iter().filter(|(opaque, _)| items.rules(Place::HERE, &opaque.name).is_some_and(|found| found.place.is_here()));
    let rules = own.flat_map(|(_, rules)| rules.all()).map(|rule| (&rule.signature, &rule.item.sig.output));
    rules_witness(rules, &items.assumed(), crate_path)
}

/// What generated code calls functions with rules by.
fn adaptors(items: &Items, crate_path: &syn::Path) -> TokenStream {
    let adaptor = |(opaque, rules): (Rc<Opaque>, Rc<Rules>)| {
        // A function that only bodies from elsewhere call is called by its name, which the witness compares.
        let path = items.path_to(&opaque.id).unwrap_or(&opaque.name).parse::<TokenStream>().unwrap_or_default();
        emit::adaptor(&opaque, &rules, &path, crate_path)
    };
    items.called_opaque().into_iter().map(adaptor).collect()
}

/// Beside a constant: its carrier.
fn constant(expansion: &mut Question, item: &syn::ItemConst, items: &Items, diags: &mut Diagnostics) -> TokenStream {
    let args = parse_differentiable(expansion.attr.clone(), diags);
    expansion.crate_path = args.crate_path.unwrap_or_else(program::default_crate_path);
    let Some(assumed) = read_constant(item, items, diags) else { return TokenStream::new() };
    let names = name_checks(&assumed, &expansion.crate_path);
    let called = carried_witness(items, &expansion.paths, &expansion.crate_path);
    let carrier = carrier(&Item::Const(item.clone()), items);
    let (vis, name) = (&item.vis, &item.ident);
    quote! {
        #[doc(hidden)]
        #[allow(unused)]
        const _: () = { #names };
        #called
        #[doc(hidden)]
        #[allow(non_snake_case)]
        #vis mod #name {
            #[allow(unused_imports, unreachable_pub)]
            pub mod home { pub use super::super::*; }
        }
        #carrier
    }
}

/// Beside a struct: what makes it a variable, and its carrier, for which those of the structs in its fields are asked first.
fn params(expansion: &mut Question, item: &syn::Item, items: &Items, diags: &mut Diagnostics) -> TokenStream {
    let is_first = expansion.paths.is_empty();
    let parsed = parse_params_struct(item, program::default_crate_path(), diags);
    let (Some(of), syn::Item::Struct(item)) = (parsed, item) else { return without_body(expansion, item) };
    expansion.crate_path = of.crate_path.clone();
    let implementation = is_first.then(|| emit::params(&of));
    expansion.pending = missing_structs(item, items);
    let carrier = if expansion.pending.is_empty() { carrier(&Item::Struct(item.clone()), items) } else { expansion.ask() };
    quote!(#implementation #carrier)
}

/// Inside of a module: the `Problem` and its kernels.
fn problem(expansion: &mut Question, module: &mut syn::ItemMod, items: &Items, diags: &mut Diagnostics) -> TokenStream {
    let args = parse_bilevel(expansion.attr.clone(), diags);
    expansion.crate_path = args.crate_path.clone().unwrap_or_else(program::default_crate_path);
    let (stripped, problem) = program::read_problem(args, module.clone(), items, diags);
    *module = stripped;
    let blocks: TokenStream = functions_of(module).map(|f| f.block.to_token_stream()).collect();
    let derivatives = match diags.has_errors() {
        true => TokenStream::new(),
        false => derivatives(expansion, blocks, &owner(&module.ident), items, diags),
    };
    let Some(problem) = problem else { return TokenStream::new() };
    for wrong in emit::misplaced(&problem) {
        diags.error_at(wrong.span, messages::SAMPLE, &[&wrong.name, &wrong.reason, &wrong.help]);
    }
    let inner = witness(&problem.inner, &output_of(module, &problem.inner), &problem.crate_path);
    let outer = witness(&problem.outer, &output_of(module, &problem.outer), &problem.crate_path);
    let step = problem.step.as_ref().map(|step| witness(&step.lowered, &output_of(module, &step.lowered), &problem.crate_path));
    let of_optimizer = problem.outer_variables.iter().filter(|v| v.is_in_no_loss() && v.in_step.is_none()).map(|v| &v.param);
    let optimizer = types_witness(of_optimizer, &problem.crate_path);
    let called = carried_witness(items, &expansion.paths, &problem.crate_path);
    let generated = derived(emit::problem(&problem), diags);
    let adaptors = adaptors(items, &expansion.crate_path);
    let rules = own_rules(items, &expansion.crate_path);
    quote!(#inner #outer #step #optimizer #called #rules #derivatives #adaptors #generated)
}

/// In the place of what an item with an error, here or elsewhere, has no generated code for: nothing, for itself and for those who ask for it.
fn without_body(expansion: &Question, item: &syn::Item) -> TokenStream {
    match item {
        _ if expansion.entry == Entry::Derivative => {
            // The errors in the attribute have been reported.
            let mut diags = Diagnostics::new();
            let of = parse_derivative(expansion.attr.clone(), &expansion.item, &mut diags).of;
            let _ = diags.finish();
            let functions = rule_functions(item).unwrap_or_default();
            match (of, functions.first()) {
                (Some(of), Some(first)) => faulty_carrier(&rules_item(&of, &first.vis, &functions)),
                _ => TokenStream::new(),
            }
        }
        syn::Item::Fn(f) if f.sig.receiver().is_none() => faulty_carrier(&Item::Function(f.clone())),
        syn::Item::Const(c) => faulty_carrier(&Item::Const(c.clone())),
        syn::Item::Struct(s) => faulty_carrier(&Item::Struct(s.clone())),
        _ => TokenStream::new(),
    }
}

/// What was generated, or nothing and an error where the derivative does not exist.
fn derived(generated: Result<TokenStream, derive::DeriveError>, diags: &mut Diagnostics) -> Option<TokenStream> {
    match generated {
        Ok(tokens) => Some(tokens),
        Err(error) => {
            match error.reason {
                derive::Reason::Inexact => diags.error_at(error.span, messages::NOT_DIFFERENTIABLE, &[&error.message]),
                derive::Reason::UnboundedLoop => diags.error_at(error.span, messages::LOOP_WITHOUT_BOUND, &[]),
            }
            None
        }
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
    diags.error(first_token(&item.to_token_stream()), messages::ATTRIBUTE_ON_WRONG_ITEM, &[attribute, expected, found]);
    TokenStream::new()
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
