//! Random programs of the IR, loops and branches among them, emitted with their derivatives, compiled, and run against the reference evaluator.
//!
//! The programs go into one file, which `trybuild` compiles and runs. `BILEVEL_EMITTED_PROGRAMS=100..200` says which seeds there are; a failure names
//! the seed.

use std::fmt::Write;
use std::path::PathBuf;

use bilevel_compiler::ir::eval::{Data, Tensor, eval};
use bilevel_compiler::ir::{Elem, Func, Type};
use bilevel_compiler::syntax::{Differentiable, Lowered};
use bilevel_compiler::syntax::{Form, Param, Signature};
use bilevel_compiler::testing::{Limits, Program, Random, program};
use bilevel_compiler::{derive, emit};
use syn::parse_quote;

fn seeds() -> std::ops::Range<u64> {
    let Ok(range) = std::env::var("BILEVEL_EMITTED_PROGRAMS") else { return 0..16 };
    let (first, end) = range.split_once("..").expect("a range of seeds");
    first.parse().expect("the first seed")..end.parse().expect("the end of the seeds")
}

#[test]
fn emitted_programs_agree_with_the_evaluator() {
    let mut file = String::from(PRELUDE);
    let mut calls = String::new();
    for seed in seeds() {
        let elem = if seed % 4 == 3 { Elem::F32 } else { Elem::F64 };
        let limits = Limits { n_draws: 6 + seed as usize % 8, elem, control: seed % 2 == 0, scalar: seed % 3 == 0, empty: false };
        if let Some(text) = test_of(seed, &program(seed, &limits)) {
            file.push_str(&text);
            writeln!(calls, "    program_{seed}::run();").expect("a string");
        }
    }
    write!(file, "\nfn main() {{\n{calls}}}\n").expect("a string");
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("random_programs.rs");
    std::fs::write(&path, file).expect("a writable directory");
    trybuild::TestCases::new().pass(path);
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
    let mut text = format!("\n/*\n{f}*/\nmod program_{seed} {{\n    use crate::*;\n\n    {tokens}\n\n    pub fn run() {{\n");
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
    let lowered = Lowered { func: p.func.clone(), signature, assumed: Vec::new() };
    Differentiable { lowered, wrt: p.wrt.clone(), requests: Vec::new(), batched: Vec::new(), crate_path: parse_quote!(::bilevel) }
}

/// A tensor as an argument: numbers by value, arrays by reference.
fn argument(t: &Tensor) -> String {
    if t.shape.is_empty() { owned(t) } else { format!("&{}", owned(t)) }
}

fn owned(t: &Tensor) -> String {
    let elements: Vec<String> = match &t.data {
        Data::F64(x) => x.iter().map(|x| format!("{x:?}_f64")).collect(),
        Data::F32(x) => x.iter().map(|x| format!("{x:?}_f32")).collect(),
        Data::Int(elem, x) => x.iter().map(|x| format!("{x}_{elem}")).collect(),
        Data::Bool(x) => x.iter().map(|x| x.to_string()).collect(),
    };
    match &t.shape[..] {
        [] => elements[0].clone(),
        [n] => format!("array::<_, 1>([{n}], vec![{}])", elements.join(", ")),
        shape => format!("array::<_, {}>({shape:?}, vec![{}])", shape.len(), elements.join(", ")),
    }
}

/// What every generated file starts with.
const PRELUDE: &str = "\
//! Random programs with their derivatives; see the test that writes this.
#![allow(warnings)]

use bilevel::ndarray::{Array, Dim, Dimension, IntoDimension};

fn array<T, const R: usize>(shape: [usize; R], elements: Vec<T>) -> Array<T, Dim<[usize; R]>>
where
    [usize; R]: IntoDimension<Dim = Dim<[usize; R]>>,
    Dim<[usize; R]>: Dimension,
{
    Array::from_shape_vec(shape, elements).unwrap()
}

trait Numbers {
    fn numbers(&self) -> Vec<f64>;
}

macro_rules! numbers {
    ($($T:ident)*) => { $( impl Numbers for $T { fn numbers(&self) -> Vec<f64> { vec![*self as f64] } } )* };
}
numbers!(f64 f32 usize i64);

impl Numbers for bool {
    fn numbers(&self) -> Vec<f64> {
        vec![f64::from(*self)]
    }
}

impl<T: Numbers, D: Dimension> Numbers for Array<T, D> {
    fn numbers(&self) -> Vec<f64> {
        self.iter().flat_map(T::numbers).collect()
    }
}

macro_rules! tuples {
    ($($A:ident $k:tt),*) => {
        impl<$($A: Numbers),*> Numbers for ($($A,)*) {
            fn numbers(&self) -> Vec<f64> {
                [$(self.$k.numbers()),*].concat()
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);

fn check(what: &str, found: &impl Numbers, expected: &[f64], tolerance: f64) {
    let found = found.numbers();
    assert_eq!(found.len(), expected.len(), \"{what}\");
    let largest = expected.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
    let fine = found.iter().zip(expected).all(|(f, e)| (f - e).abs() <= tolerance * largest);
    assert!(fine, \"{what}: found {found:?}, expected {expected:?}\");
}
";
