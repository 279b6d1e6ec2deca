//! Lowering of Rust source text, for tests.
#![allow(dead_code, reason = "each test file uses a part")]

use bilevel_compiler::diagnostics::Diagnostics;
use bilevel_compiler::ir::eval::{Tensor, eval};
use bilevel_compiler::ir::verify::verify;
use bilevel_compiler::lower::lower;
use bilevel_compiler::syntax::Lowered;
use bilevel_compiler::syntax::signature::{Use, parse_signature};
use bilevel_compiler::syntax::{Items, Place, TypeNames};

/// The last function of the source, lowered, the others being helpers; or the texts of all errors.
pub(crate) fn try_lower(source: &str) -> Result<Lowered, Vec<String>> {
    let file: syn::File = syn::parse_str(source).unwrap_or_else(|e| panic!("{e}: {source}"));
    let items = Items::of(&file.items);
    let Some(syn::Item::Fn(f)) = file.items.last() else { panic!("the last item is the function: {source}") };
    let mut diags = Diagnostics::new();
    let names = TypeNames::new(&items, Place::HERE);
    let signature = parse_signature(f, Use::Differentiated, &names, &mut diags);
    let lowered = signature.and_then(|signature| lower(f, signature, &items, &mut diags));
    let texts: Vec<String> = diags.texts().iter().map(|t| (*t).to_owned()).collect();
    let _ = diags.finish();
    match lowered {
        Some(lowered) if texts.is_empty() => {
            if let Err(violations) = verify(&lowered.func) {
                panic!("{violations:?}\n{}", lowered.func);
            }
            Ok(lowered)
        }
        Some(_) => panic!("errors and a result: {texts:?}"),
        None => {
            assert!(!texts.is_empty(), "failed without an error: {source}");
            Err(texts)
        }
    }
}

/// The last function of the source, lowered.
#[track_caller]
pub(crate) fn lowered(source: &str) -> Lowered {
    try_lower(source).unwrap_or_else(|errors| panic!("{}\n{source}", errors.join("\n")))
}

/// What the reference evaluator gives for the last function of the source.
#[track_caller]
pub(crate) fn run(source: &str, args: &[Tensor]) -> Vec<Tensor> {
    let lowered = lowered(source);
    eval(&lowered.func, args).unwrap_or_else(|e| panic!("{e:?}\n{}", lowered.func))
}

/// The texts of the errors that the source has.
#[track_caller]
pub(crate) fn errors(source: &str) -> Vec<String> {
    match try_lower(source) {
        Ok(lowered) => panic!("no error\n{}", lowered.func),
        Err(errors) => errors,
    }
}
