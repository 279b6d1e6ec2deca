//! Random functions in the accepted language: what the macro makes of each, against what the evaluator gives for its lowered form.

use std::fmt::Write;

use bilevel_compiler::derive::{self, DeriveError};
use bilevel_compiler::diagnostics::Diagnostics;
use bilevel_compiler::ir::eval::{Tensor, eval};
use bilevel_compiler::ir::{Einsum, Elem, Elementwise, Func, Op, Reduce};
use bilevel_compiler::optimize::optimize;
use bilevel_compiler::program::read_function;
use bilevel_compiler::syntax::{Differentiable, Form, Items, Param, source_text};
use bilevel_compiler::testing::Random;
use bilevel_compiler::testing::check::distance;

use crate::source::Function;
use crate::types::{Axis, LENGTHS, Ty};
use crate::written::{argument, owned};

/// What the compiler does itself may differ from the evaluator by this, relative to the largest element.
const TOLERANCE: f64 = 1e-13;

/// What is known of the functions of a run.
#[derive(Default, Debug)]
pub(crate) struct Summary {
    pub(crate) n_functions: usize,
    /// Derivatives that are compared bit for bit.
    pub(crate) n_exact: usize,
    pub(crate) n_compared: usize,
}

/// The module that tests one function; `None` if it does not give moderate numbers throughout.
pub(crate) fn test_of(f: &Function, summary: &mut Summary) -> Option<String> {
    let read = lowered(f);
    let func = optimize(&read.lowered.func);
    let wrt = read.wrt_leaves();
    let signature = &read.lowered.signature;
    let args: Vec<Argument> = signature.params.iter().map(|p| Argument::of(p, f.seed)).collect();
    let leaves: Vec<Tensor> = args.iter().flat_map(|a| a.leaves.clone()).collect();
    let mut random = Random::new(!f.seed);
    let tangents: Vec<Argument> = args.iter().filter(|a| a.is_float()).map(|a| a.direction(&mut random)).collect();
    let dots: Vec<Tensor> = tangents.iter().flat_map(|a| a.leaves.clone()).collect();
    let value = finite(&func, &leaves)?;
    let bars: Vec<Tensor> = value.iter().map(|t| random.tensor(t.elem(), &t.shape)).collect();

    let name = &f.name;
    let list = |args: &[Argument]| args.iter().map(Argument::text).collect::<Vec<_>>().join(", ");
    let (args_text, dots_text) = (list(&args), list(&tangents));
    let bar = match &bars[..] {
        [bar] => argument(bar),
        several => format!("&{}", assembled(&signature.output, several)),
    };
    let text = &f.text;
    let mut out = format!("\nmod function_{name} {{\n    use crate::*;\n\n{text}\n    #[test]\n    fn agrees() {{\n");
    let mut check = |what: &str, call: String, derived: Result<Func, DeriveError>, args: &[&[Tensor]]| {
        let derived = derived.unwrap_or_else(|e| panic!("{e}\n{text}"));
        let optimized = optimize(&derived);
        let expected = finite(&optimized, &args.concat())?;
        // The optimiser is held to the same, here and at once.
        let before = eval(&derived, &args.concat()).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let difference = distance(&before, &expected);
        assert!(difference <= 1e-10, "{what}: optimised by {difference}\n{text}");
        let exact = is_exact(&optimized);
        summary.n_exact += usize::from(exact);
        summary.n_compared += 1;
        let tolerance = if exact { 0.0 } else { TOLERANCE };
        let bits: Vec<f64> = expected.iter().flat_map(Tensor::to_f64).collect();
        writeln!(out, "        check(\"{what} of {name}\", &{call}, &{bits:?}, {tolerance:e});").expect("a string");
        Some(())
    };
    check("jvp", format!("{name}::jvp({args_text}, {dots_text})"), derive::jvp(&func, &wrt), &[&leaves, &dots])?;
    check("vjp", format!("{name}::vjp({args_text}, {bar})"), derive::vjp(&func, &wrt), &[&leaves, &bars])?;
    if value.len() == 1 && value[0].shape.is_empty() {
        check("gradient", format!("{name}::value_and_grad({args_text})"), derive::grad(&func, &wrt), &[&leaves])?;
        check("hvp", format!("{name}::hvp({args_text}, {dots_text})"), derive::hvp(&func, &wrt), &[&leaves, &dots])?;
    }
    // What ndarray computes in its own order is not ours to compare bit for bit.
    let bits: Vec<f64> = value.iter().flat_map(Tensor::to_f64).collect();
    writeln!(out, "        check(\"value of {name}\", &{name}({args_text}), &{bits:?}, {TOLERANCE:e});").expect("a string");
    out.push_str("    }\n}\n");
    summary.n_functions += 1;
    Some(out)
}

/// The function, lowered. That the macro accepts it is a part of what is tested.
pub(crate) fn lowered(f: &Function) -> Differentiable {
    let file: syn::File = syn::parse_str(&f.text).unwrap_or_else(|e| panic!("{e}\n{}", f.text));
    let item = file.items.iter().find_map(|item| match item {
        syn::Item::Fn(item) if item.sig.ident == f.name => Some(item.clone()),
        _ => None,
    });
    let mut diags = Diagnostics::new();
    let item = item.expect("the function is in its text");
    let read = read_function(Default::default(), &item, &Items::of(&file.items), &mut diags);
    let errors = diags.texts().join("\n");
    assert!(diags.finish().is_ok(), "{errors}\n{}", f.text);
    read.expect("a function without errors")
}

/// An argument: its leaves, and how it is passed.
struct Argument {
    leaves: Vec<Tensor>,
    form: Form,
    by_ref: bool,
}

impl Argument {
    /// What is passed for a parameter: its name says which shape it has.
    fn of(param: &Param, seed: u64) -> Argument {
        let name = param.name.to_string();
        let mut random = Random::new(seed ^ name.bytes().fold(17, |hash, b| hash * 31 + u64::from(b)));
        let (n, m) = (Axis::N, Axis::M);
        let types = match name.as_str() {
            "w" => vec![Ty::Matrix(n, m)],
            "x" | "u" => vec![Ty::Vector(n)],
            "y" => vec![Ty::Vector(m)],
            "v" => vec![Ty::Matrix(m, m)],
            "q" => vec![Ty::Vector(m), Ty::Number],
            "p" => vec![Ty::Number, Ty::Vector(n), Ty::Matrix(n, m)],
            _ => vec![Ty::Number],
        };
        // The trailing axes of the operands of broadcasting are those that meet.
        let trailing = name.strip_prefix('a').and_then(|rank| rank.parse::<usize>().ok());
        let leaves = match name.as_str() {
            _ if let Some(rank) = trailing => vec![random.tensor(Elem::F64, &[2, 3, 2, 3][4 - rank..])],
            "k" => vec![Tensor::usize(1 + random.below(2))],
            "flag" => vec![Tensor::bool(random.one_in(2))],
            "l" => vec![Tensor::usizes(&[LENGTHS[0]], (0..LENGTHS[0]).map(|_| random.below(LENGTHS[1])).collect())],
            _ => types.into_iter().map(|ty| random.tensor(Elem::F64, &ty.shape())).collect(),
        };
        Argument { leaves, form: param.form.clone(), by_ref: param.by_ref }
    }

    fn is_float(&self) -> bool {
        self.leaves[0].elem().is_float()
    }

    fn direction(&self, random: &mut Random) -> Argument {
        let leaves = self.leaves.iter().map(|t| random.tensor(t.elem(), &t.shape)).collect();
        Argument { leaves, form: self.form.clone(), by_ref: self.by_ref }
    }

    fn text(&self) -> String {
        format!("{}{}", if self.by_ref { "&" } else { "" }, assembled(&self.form, &self.leaves))
    }
}

/// A value of a form as Rust text.
fn assembled(form: &Form, leaves: &[Tensor]) -> String {
    match form {
        Form::Scalar(_) | Form::Array { view: false, rank: 1.., .. } | Form::Fixed { .. } => owned(&leaves[0]),
        Form::Array { view: false, rank: 0, .. } => format!("bilevel::ndarray::arr0({})", owned(&leaves[0])),
        Form::Array { view: true, .. } => format!("{}.view()", owned(&leaves[0])),
        Form::Tuple(parts) => {
            // A part of a random function is one leaf.
            let parts: Vec<String> = parts.iter().zip(leaves).map(|(part, leaf)| assembled(part, std::slice::from_ref(leaf))).collect();
            format!("({},)", parts.join(", "))
        }
        Form::Struct(of) => {
            let [c, d, e] = leaves else { panic!("the struct of random functions has three fields") };
            format!("{} {{ c: {}, d: {}, e: {} }}", source_text(&of.path), owned(c), owned(d), owned(e))
        }
    }
}

/// Whether emitted code computes the same as the evaluator to the last bit: nothing is added up in an order of the kernels' own, and
/// nothing is a function that they approximate themselves.
fn is_exact(f: &Func) -> bool {
    use Elementwise as E;
    let mut exact = true;
    f.body.walk(&mut |stmt| {
        exact &= match &stmt.op {
            Op::Elementwise(op) => match op {
                E::Exp | E::ExpM1 | E::Ln | E::Ln1p | E::Sin | E::Cos | E::Tan | E::Asin | E::Acos | E::Atan | E::Sinh | E::Cosh => false,
                E::Tanh | E::Sigmoid | E::Softplus | E::Erf | E::Powf | E::Atan2 | E::Powi(_) => false,
                E::Neg | E::Sqrt | E::Abs | E::Sign | E::Relu | E::Floor | E::StopGradient => true,
                E::Add | E::Sub | E::Mul | E::Div | E::Rem | E::Max | E::Min => true,
                E::Lt | E::Le | E::Eq | E::Ne | E::And | E::Or | E::Not | E::Select | E::Cast(_) => true,
            },
            Op::Reduce(Reduce::Max { .. } | Reduce::Min { .. } | Reduce::ArgMax { .. } | Reduce::ArgMin { .. }) => true,
            Op::Reduce(Reduce::Sum { .. } | Reduce::Prod { .. } | Reduce::LogSumExp { .. }) => false,
            Op::Einsum(Einsum { lhs, rhs, out }) => lhs.iter().chain(rhs).all(|l| out.contains(l)),
            Op::Linalg(_) | Op::Call(_) => false,
            Op::Const(..) | Op::Shape(_) | Op::Index(_) | Op::Control(_) => true,
        };
    });
    exact
}

/// The results, if all are finite and of moderate size.
fn finite(f: &Func, args: &[Tensor]) -> Option<Vec<Tensor>> {
    let results = eval(f, args).unwrap_or_else(|e| panic!("{e}\n{f}"));
    results.iter().flat_map(Tensor::to_f64).all(|x| x.abs() < 1e5).then_some(results)
}
