//! Random programs of the IR, loops and branches among them, emitted with their derivatives.

use std::fmt::Write;
use std::ops::Range;

use bilevel_compiler::ir::eval::{Tensor, eval};
use bilevel_compiler::ir::{Elem, Func, Type};
use bilevel_compiler::syntax::wrt::Wrt;
use bilevel_compiler::syntax::{Differentiable, Form, Lowered, Param, Signature};
use bilevel_compiler::testing::{Limits, Program, Random, program};
use bilevel_compiler::{derive, emit};
use syn::parse_quote;

use crate::written::{argument, owned};

/// The file for the programs of these seeds.
pub(crate) fn file(seeds: Range<u64>) -> String {
    let mut file = String::from("use written::*;\n");
    for seed in seeds {
        let elem = if seed % 4 == 3 { Elem::F32 } else { Elem::F64 };
        let limits = Limits { n_draws: 6 + seed as usize % 8, elem, control: seed % 2 == 0, scalar: seed % 3 == 0, empty: false };
        if let Some(text) = test_of(seed, &program(seed, &limits)) {
            file.push_str(&text);
        }
    }
    file
}

/// The module of one program; `None` if it does not give finite numbers throughout, or has no exact derivative.
fn test_of(seed: u64, p: &Program) -> Option<String> {
    let function = differentiable(&format!("f{seed}"), p);
    let f = &p.func;
    let mut random = Random::new(!seed);
    let dots: Vec<Tensor> = p.wrt.iter().map(|&k| random.tensor(p.args[k].elem(), &p.args[k].shape)).collect();
    let value = finite(f, &p.args)?;
    let bars: Vec<Tensor> = value.iter().filter(|t| t.elem().is_float()).map(|t| random.tensor(t.elem(), &t.shape)).collect();
    let jvp = finite(&derive::jvp(f, &p.wrt).ok()?, &[&p.args[..], &dots].concat())?;
    let vjp = finite(&derive::vjp(f, &p.wrt).ok()?, &[&p.args[..], &bars].concat())?;
    let tokens = emit::companion(&function).ok()?;

    let list = |tensors: &[Tensor]| tensors.iter().map(argument).collect::<Vec<_>>().join(", ");
    let (args, dots) = (list(&p.args), list(&dots));
    let bar = match &bars[..] {
        [bar] => argument(bar),
        _ => format!("&({},)", bars.iter().map(owned).collect::<Vec<_>>().join(", ")),
    };
    let tangents_only = &jvp[value.len()..];
    let mut text = format!("\n/*\n{f}*/\nmod program_{seed} {{\n    use crate::*;\n\n    {tokens}\n\n    #[test]\n    fn agrees() {{\n");
    let mut check = |what: &str, call: String, expected: &[Tensor]| {
        let expected: Vec<f64> = expected.iter().flat_map(Tensor::to_f64).collect();
        let tolerance = if p.func.types.iter().any(|t| t.elem == Elem::F32) { 1e-4 } else { 1e-12 };
        writeln!(text, "        check(\"{what} of seed {seed}\", &{call}, &{expected:?}, {tolerance:e});").expect("a string");
    };
    check("jvp", format!("f{seed}::jvp({args}, {dots})"), &jvp);
    check("vjp", format!("f{seed}::vjp({args}, {bar})"), &vjp);
    check("linearize", format!("f{seed}::linearize({args})({dots})"), tangents_only);
    text.push_str("    }\n}\n");
    Some(text)
}

/// The results, if all are finite and of moderate size.
fn finite(f: &Func, args: &[Tensor]) -> Option<Vec<Tensor>> {
    let results = eval(f, args).ok()?;
    results.iter().flat_map(Tensor::to_f64).all(|x| x.abs() < 1e6).then_some(results)
}

/// The program as a function that a user could have written.
fn differentiable(name: &str, p: &Program) -> Differentiable {
    let form = |ty: &Type| match ty.rank() {
        0 => Form::Scalar(ty.elem),
        rank => Form::Array { elem: ty.elem, rank, view: false },
    };
    let params = p.func.param_types().enumerate().map(|(k, ty)| Param {
        name: quote::format_ident!("x{k}"),
        ty: parse_quote!(Unused),
        by_ref: ty.rank() > 0,
        form: form(ty),
    });
    let mut results: Vec<Form> = p.func.result_types().map(form).collect();
    let output = if results.len() == 1 { results.remove(0) } else { Form::Tuple(results) };
    let (name, generics) = (quote::format_ident!("{name}"), syn::Generics::default());
    let signature = Signature { name, vis: parse_quote!(pub), generics, types: Default::default(), params: params.collect(), output };
    let wrt = p.wrt.iter().map(|&k| Wrt::whole(&signature, k)).collect();
    let lowered = Lowered { func: p.func.clone(), signature, assumed: Vec::new() };
    Differentiable { lowered, wrt, requests: Vec::new(), batched: Vec::new(), crate_path: parse_quote!(::bilevel) }
}
