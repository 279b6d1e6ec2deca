//! The comparison of emitted code with the evaluator, for the test binaries that make it.

use bilevel_compiler::derive;
use bilevel_compiler::diagnostics::Diagnostics;
use bilevel_compiler::ir::eval::{Tensor, eval};
use bilevel_compiler::ir::{Elem, Func};
use bilevel_compiler::program::read_function;
use bilevel_compiler::syntax::items::Items;

/// The function of the source, lowered, and the leaves that it is differentiated in.
pub(crate) fn lowered(source: &str) -> (Func, Vec<usize>) {
    let item: syn::ItemFn = syn::parse_str(source).unwrap_or_else(|e| panic!("{e}: {source}"));
    let mut diags = Diagnostics::new();
    let function = read_function(Default::default(), &item, &Items::default(), &mut diags);
    let errors = diags.texts().join("\n");
    assert!(diags.finish().is_ok(), "{errors}\n{source}");
    let function = function.expect("no errors, so a function");
    let wrt = function.wrt_leaves();
    (function.lowered.func, wrt)
}

/// What the evaluator gives for a derived function.
pub(crate) fn reference(func: Result<Func, derive::DeriveError>, args: &[&[Tensor]], source: &str) -> Vec<f64> {
    let func = func.unwrap_or_else(|e| panic!("{e}: {source}"));
    let results = eval(&func, &args.concat()).unwrap_or_else(|e| panic!("{e:?}\n{func}"));
    results.iter().flat_map(Tensor::to_f64).collect()
}

/// The function at the width of the arguments, if it is generic.
pub(crate) fn at_width_of(func: &Func, args: &[Tensor]) -> Func {
    let given = func.param_types().zip(args).find(|(ty, _)| matches!(ty.elem, Elem::Generic(_)));
    given.map_or_else(|| func.clone(), |(_, arg)| func.at_width(arg.elem()))
}

#[track_caller]
pub(crate) fn compare(what: &str, emitted: &[f64], reference: &[f64], tolerance: f64, source: &str) {
    assert_eq!(emitted.len(), reference.len(), "{what} of {source}");
    assert!(reference.iter().any(|v| *v != 0.0), "{what} shows something: {source}");
    let largest = reference.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
    for (e, r) in emitted.iter().zip(reference) {
        assert!((e - r).abs() <= tolerance * largest, "{what}: emitted {emitted:?}\nreference {reference:?}\n{source}");
    }
}

/// Central differences of the lowered function along the tangents, if all of it is in `f64`.
pub(crate) fn differences(func: &Func, wrt: &[usize], primals: &[Tensor], tangents: &[Tensor]) -> Option<Vec<f64>> {
    if tangents.iter().any(|t| t.elem() != Elem::F64) {
        return None;
    }
    let step = 1e-6;
    let moved = |sign: f64| {
        let mut args = primals.to_vec();
        for (&k, tangent) in wrt.iter().zip(tangents) {
            let moved = args[k].as_f64().iter().zip(tangent.as_f64()).map(|(x, t)| x + sign * step * t);
            args[k] = Tensor::f64s(&args[k].shape.clone(), moved.collect());
        }
        let results = eval(func, &args).unwrap_or_else(|e| panic!("{e:?}\n{func}"));
        results.iter().flat_map(Tensor::to_f64).collect::<Vec<f64>>()
    };
    Some(moved(1.0).iter().zip(moved(-1.0)).map(|(a, b)| (a - b) / (2.0 * step)).collect())
}

/// `name: (primals), (tangents), cotangent, { function }`, with `scalar` before the name where the function has a gradient.
macro_rules! agree {
    ($($(#$scalar:tt)? $name:ident: ($($p:expr),*), ($($t:expr),*), $y_bar:expr, $tolerance:expr, { fn f $($function:tt)* })*) => {
        /// The functions of this file.
        #[allow(dead_code)]
        pub(crate) const SOURCES: &[&str] = &[$(stringify!(fn f $($function)*)),*];
        $(
        #[test]
        fn $name() {
            #[differentiable]
            fn f $($function)*
            let source = stringify!(fn f $($function)*);
            let (func, wrt) = $crate::harness::lowered(source);
            use bilevel_compiler::derive;
            use bilevel_compiler::ir::eval::Tensor;
            let primals: Vec<Tensor> = [$(Argument::tensors(&$p)),*].concat();
            let func = $crate::harness::at_width_of(&func, &primals);
            let tangents: Vec<Tensor> = [$(Argument::tensors(&$t)),*].concat();
            let cotangents: Vec<Tensor> = Argument::tensors(&$y_bar);
            let check = |what: &str, emitted: Vec<f64>, reference: Vec<f64>| $crate::harness::compare(what, &emitted, &reference, $tolerance, source);

            let value = f($($p),*).numbers();
            let (y, y_dot) = f::jvp($($p,)* $($t),*);
            check("value", y.numbers(), value.clone());
            check("lowered", $crate::harness::reference(Ok(func.clone()), &[&primals], source), value.clone());
            check("jvp", [value.clone(), y_dot.numbers()].concat(), $crate::harness::reference(derive::jvp(&func, &wrt), &[&primals, &tangents], source));
            if let Some(differences) = $crate::harness::differences(&func, &wrt, &primals, &tangents) {
                $crate::harness::compare("differences", &y_dot.numbers(), &differences, 1e-7, source);
            }
            check("linearize", f::linearize($($p),*)($($t),*).numbers(), y_dot.numbers());
            let (y, bars) = f::vjp($($p,)* $y_bar);
            check("vjp", [y.numbers(), bars.numbers()].concat(), $crate::harness::reference(derive::vjp(&func, &wrt), &[&primals, &cotangents], source));
            agree!(@$($scalar)? check, func, wrt, primals, tangents, source, ($($p),*), ($($t),*));
        }
    )* };
    (@[scalar] $check:ident, $func:ident, $wrt:ident, $primals:ident, $tangents:ident, $source:ident, ($($p:expr),*), ($($t:expr),*)) => {
        let (y, bars) = f::value_and_grad($($p),*);
        $check("gradient", [y.numbers(), bars.numbers()].concat(), $crate::harness::reference(derive::grad(&$func, &$wrt), &[&$primals], $source));
        assert_eq!(f::grad($($p),*).numbers(), bars.numbers(), "{}", $source);
        let products = f::hvp($($p,)* $($t),*).numbers();
        let expected = $crate::harness::reference(derive::hvp(&$func, &$wrt), &[&$primals, &$tangents], $source);
        if expected.iter().any(|v| *v != 0.0) {
            $check("hvp", products, expected);
        } else {
            assert_eq!(products, expected, "{}", $source);
        }
    };
    (@ $($unused:tt)*) => {};
}
