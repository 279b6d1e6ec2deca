//! How much larger derivatives are than what they are derived from.

use bilevel_compiler::derive::{grad, jvp, vjp};
use bilevel_compiler::ir::{Builder, Elementwise, Index, Note, Reduce, Type};
use bilevel_compiler::ir::{Dim, Elem, Func};
use bilevel_compiler::optimize::optimize;
use bilevel_compiler::testing::{Limits, program};

/// A network with `depth` layers, all with the same parameters, and a softmax loss with a penalty.
fn network(depth: usize) -> Func {
    let mut b = Builder::new("network");
    let (n, d) = (Dim::Sym(b.dim("n")), Dim::Sym(b.dim("d")));
    let mut param = |name: &str, dims: &[Dim], elem| b.param(Type::tensor(elem, dims), Note::named(name));
    let (w, bias, log_penalty) = (param("w", &[d, d], Elem::F64), param("bias", &[d], Elem::F64), param("log_penalty", &[d, d], Elem::F64));
    let (x, y) = (param("x", &[n, d], Elem::F64), param("y", &[n], Elem::Usize));
    let mut h = x;
    for _ in 0..depth {
        let z = b.einsum("ij,jk->ik", h, w);
        let shift = b.broadcast(bias, &[1], &[n, d]);
        let z = b.add(z, shift);
        h = b.map(Elementwise::Tanh, &[z]);
    }
    let lse = b.op(Reduce::LogSumExp { axes: vec![1] }, &[h]);
    let hit = b.op(Index::TakeAlong { axis: 1 }, &[h, y]);
    let losses = b.sub(lse, hit);
    let total = b.sum(losses, &[0]);
    let count = b.dim_size(n);
    let count = b.map(Elementwise::Cast(Elem::F64), &[count]);
    let mean = b.div(total, count);
    let penalty = b.map(Elementwise::Exp, &[log_penalty]);
    let squares = b.mul(w, w);
    let weighted = b.mul(penalty, squares);
    let weighted = b.sum(weighted, &[0, 1]);
    let loss = b.add(mean, weighted);
    b.finish(vec![loss])
}

fn second_order(f: &Func, wrt: &[usize]) -> Func {
    optimize(&jvp(&grad(f, wrt).unwrap(), wrt).unwrap())
}

/// How many times as large `jvp(vjp(f))` is, whether the cotangent is a parameter or the constant one.
fn ratio(f: &Func, wrt: &[usize]) -> f64 {
    let of_vjp = optimize(&jvp(&vjp(f, wrt).unwrap(), wrt).unwrap());
    second_order(f, wrt).n_stmts().max(of_vjp.n_stmts()) as f64 / optimize(f).n_stmts() as f64
}

#[test]
fn second_order_is_at_most_twelve_times_as_large() {
    for depth in [1, 2, 4, 8, 16, 32, 64] {
        let ratio = ratio(&network(depth), &[0, 1, 2]);
        assert!(ratio <= 12.0, "{depth} layers: {ratio}");
    }
}

/// Random programs, as they come.
#[test]
fn second_order_of_random_programs() {
    let mut worst = (0.0, String::new());
    for n_draws in [10, 20, 40, 80, 160] {
        for seed in 0..8 {
            let p = program(seed, &Limits { n_draws, elem: Elem::F64, control: false, scalar: true, empty: false });
            let ratio = ratio(&p.func, &p.wrt);
            if ratio > worst.0 {
                worst = (ratio, format!("{n_draws} draws, seed {seed}"));
            }
        }
    }
    assert!(worst.0 <= 12.0, "{worst:?}");
}

#[test]
fn third_order_grows_in_proportion() {
    let third = |depth: usize| {
        let f = network(depth);
        optimize(&jvp(&second_order(&f, &[0]), &[0]).unwrap()).n_stmts()
    };
    let (a, b, c) = (third(8), third(16), third(32));
    assert_eq!(c - b, 2 * (b - a), "{a}, {b}, {c}");
}
