//! Batches against single examples, for tests of `derive::batch`. All of them panic where something does not fit.

use super::check::{assert_near, run};
use crate::derive::batch;
use crate::ir::eval::{Data, Tensor, eval};
use crate::ir::{Elem, Func};
use crate::optimize::optimize;

/// Examples of one shape and type along a new leading axis.
pub fn stack(examples: &[Tensor]) -> Tensor {
    let first = &examples[0];
    let data = match first.elem() {
        // A tensor has a width.
        Elem::F64 | Elem::Generic(_) => Data::F64(examples.iter().flat_map(|t| t.as_f64().to_vec()).collect()),
        Elem::F32 => Data::F32(examples.iter().flat_map(|t| t.as_f32().to_vec()).collect()),
        elem @ (Elem::Usize | Elem::I64) => Data::Int(elem, examples.iter().flat_map(|t| t.as_int().to_vec()).collect()),
        Elem::Bool => Data::Bool(examples.iter().flat_map(|t| t.as_bool().to_vec()).collect()),
    };
    Tensor::new(&[&[examples.len()], &first.shape[..]].concat(), data)
}

/// The results of `f` for each example, stacked; `args[k][e]` is argument `k` of example `e`, or the only one if the argument is shared.
pub fn one_by_one(f: &Func, args: &[Vec<Tensor>], n: usize) -> Vec<Tensor> {
    let of = |e: usize| run(f, &args.iter().map(|a| a[if a.len() > 1 { e } else { 0 }].clone()).collect::<Vec<_>>());
    let each: Vec<Vec<Tensor>> = (0..n).map(of).collect();
    (0..each[0].len()).map(|k| stack(&each.iter().map(|results| results[k].clone()).collect::<Vec<_>>())).collect()
}

/// The arguments of a batch: those that have several values stacked.
pub fn batched_args(args: &[Vec<Tensor>]) -> Vec<Tensor> {
    args.iter().map(|a| if a.len() > 1 { stack(a) } else { a[0].clone() }).collect()
}

/// Asserts that the batch over the arguments that have several values gives bit for bit what `f` gives one after the other, also optimised.
#[track_caller]
pub fn assert_batch(f: &Func, args: &[Vec<Tensor>], n: usize, what: &str) {
    let batched: Vec<usize> = (0..args.len()).filter(|&k| args[k].len() > 1).collect();
    let want = one_by_one(f, args, n);
    let together = batch(f, &batched).unwrap_or_else(|e| panic!("{what}: {e}\n{f}"));
    let args = batched_args(args);
    let got = run(&together, &args);
    for (got, want) in got.iter().zip(&want) {
        assert!(got.same_bits(want), "{what}: batch over {batched:?}\n{got:?}\n{want:?}\n{together}");
    }
    assert_near(&run(&optimize(&together), &args), &want, 1e-13, what);
    // No examples: nothing to compute, and nothing to fail.
    let none: Vec<Tensor> = args.iter().enumerate().map(|(k, a)| if batched.contains(&k) { no_examples(a) } else { a.clone() }).collect();
    for (got, want) in eval(&together, &none).unwrap_or_else(|e| panic!("{what}: no examples: {e}\n{together}")).iter().zip(&want) {
        assert_eq!(got.shape, no_examples(want).shape, "{what}");
    }
}

/// A batch of the same shape without examples.
fn no_examples(stacked: &Tensor) -> Tensor {
    let mut shape = stacked.shape.clone();
    shape[0] = 0;
    let data = match stacked.elem() {
        Elem::F64 | Elem::Generic(_) => Data::F64(Vec::new()),
        Elem::F32 => Data::F32(Vec::new()),
        elem @ (Elem::Usize | Elem::I64) => Data::Int(elem, Vec::new()),
        Elem::Bool => Data::Bool(Vec::new()),
    };
    Tensor::new(&shape, data)
}
