//! Positions, slices and computed lengths through the real macro: emitted code against the reference evaluator, and both against closed forms and
//! differences.

#![allow(
    clippy::type_complexity,
    clippy::op_ref,
    clippy::needless_range_loop,
    clippy::assign_op_pattern,
    clippy::reversed_empty_ranges,
    reason = "the spellings are what is tested"
)]

mod common;
#[macro_use]
#[path = "common/harness.rs"]
mod harness;

use bilevel::prelude::*;
use bilevel_compiler::ir::{Body, Control, Dim, DimId, Index, Op};
use common::{Argument, Outcome, matrix, vector};

agree! {
    #[scalar]
    elements_by_two_positions: (&matrix(3, 4), 2_usize), (&matrix(3, 4).cos()), 0.7, 1e-13, {
        fn f(x: &Array2<f64>, i: usize) -> f64 {
            let mut s = 0.0;
            for j in 0..x.ncols() {
                s += x[[i, j]] * x[[0, j]].sin() * x[[i, 1]];
            }
            s
        }
    }
    rows_and_columns: (&matrix(3, 4), 1_usize, 3_usize), (&matrix(3, 4).sin()), &vector(3), 1e-13, {
        fn f(x: &Array2<f64>, i: usize, j: usize) -> Array1<f64> {
            &x.column(j) * &x.column(i) * x.row(i)[j] + x.t().row(j).dot(&x.column(0))
        }
    }
    #[scalar]
    slices_of_one_axis: (&vector(7)), (&vector(7).cos()), 1.3, 1e-13, {
        fn f(x: &Array1<f64>) -> f64 {
            let d = &x.slice(s![1..]) - &x.slice(s![..-1]);
            let e = &x.slice(s![2..]) - &x.slice(s![..-2]);
            d.mapv(|v| v * v * v).sum() + e.exp().sum() * d.sum()
        }
    }
    second_differences: (&vector(6)), (&vector(6).cos()), &vector(4), 1e-13, {
        fn f(x: &Array1<f64>) -> Array1<f64> {
            (&x.slice(s![..-2]) - &x.slice(s![1..-1]) * 2.0 + x.slice(s![2..])).mapv(|v| v * v)
        }
    }
    reversed_and_skipping: (&matrix(4, 5)), (&matrix(4, 5).sin()), &matrix(4, 3), 1e-13, {
        fn f(x: &Array2<f64>) -> Array2<f64> {
            &x.slice(s![..;-1, ..;2]) * &x.slice(s![.., 2..]).mapv(f64::exp)
        }
    }
    windows_of_a_matrix: (&matrix(4, 5), &matrix(3, 2)), (&matrix(4, 5).cos(), &matrix(3, 2).sin()), &matrix(4, 2), 1e-13, {
        fn f(x: &Array2<f64>, w: &Array2<f64>) -> Array2<f64> {
            x.slice(s![.., 1..-1]).dot(w) + x.slice(s![1, 0..=1]).sum()
        }
    }
}

/// Numbers of elements that a function writes, where changing a part of an array writes only that part, as emitted code does in place.
fn writes(f: &bilevel_compiler::ir::Func, body: &Body, n: usize) -> usize {
    let len = |d: &Dim| match d {
        Dim::Const(n) => *n as usize,
        Dim::Sym(DimId(_)) => n,
    };
    let elements = |v| f.ty(v).dims.iter().map(len).product::<usize>();
    let mut total = 0;
    for stmt in &body.stmts {
        total += match &stmt.op {
            Op::Control(Control::For { trip, .. }) => len(trip) * writes(f, &stmt.bodies[0], n),
            Op::Index(Index::Add(_) | Index::Write(_)) => elements(*stmt.args.last().unwrap()),
            _ => stmt.outs.iter().map(|&out| elements(out)).sum(),
        };
    }
    total
}

/// A loop that reads one element, or one row, at each turn has a gradient that touches as much in all, and no whole array at each turn.
#[test]
fn loops_over_elements_are_transposed_in_linear_time() {
    let sources = [
        ("fn f(x: &Array1<f64>) -> f64 { let mut s = 0.0; for i in 0..x.len() { s += x[i].sin() * s; } s }", 1),
        (
            "fn f(x: &Array2<f64>) -> f64 { let mut s = 0.0; for i in 0..x.nrows() { for j in 0..x.ncols() { s += x[[i, j]].sin() * s; } } s }",
            2,
        ),
        ("fn f(x: &Array2<f64>) -> f64 { let mut s = 0.0; for i in 0..x.nrows() { s += x.row(i).dot(&x.row(i)) * s; } s }", 2),
        ("fn f(x: &Array1<f64>) -> f64 { let mut s = 0.0; for i in 0..x.len() { s += x.slice(s![i..i + 1]).sum() * s; } s }", 1),
    ];
    for (source, power) in sources {
        let (func, wrt) = harness::lowered(source);
        for f in [bilevel_compiler::derive::grad(&func, &wrt).unwrap(), bilevel_compiler::derive::hvp(&func, &wrt).unwrap()] {
            let (few, many) = (writes(&f, &f.body, 10), writes(&f, &f.body, 100));
            assert!(many <= 11 * few * 10usize.pow(power - 1), "{few} and {many} writes in {f}");
        }
    }
}

#[test]
fn differences_of_neighbours_have_a_tridiagonal_hessian() {
    #[differentiable]
    fn energy(x: &Array1<f64>) -> f64 {
        let d = &x.slice(s![1..]) - &x.slice(s![..-1]);
        (&d * &d).sum() * 0.5
    }
    let x = vector(5);
    for k in 0..5 {
        let mut direction = Array1::zeros(5);
        direction[k] = 1.0;
        let product = energy::hvp(&x, &direction);
        for i in 0..5 {
            let diagonal = if i == 0 || i == 4 { 1.0 } else { 2.0 };
            let expected = if i == k {
                diagonal
            } else if i.abs_diff(k) == 1 {
                -1.0
            } else {
                0.0
            };
            assert!((product[i] - expected).abs() < 1e-14, "{product}");
        }
    }
    // One element has no neighbours, and an axis without elements no place to start from.
    assert_eq!(energy::grad(&array![3.0]), array![0.0]);
}

#[test]
fn lengths_that_have_to_be_equal_are_checked() {
    #[differentiable]
    fn scaled(x: &Array1<f64>, n: usize) -> f64 {
        (x * &Array1::from_elem(n, 2.0)).sum()
    }
    assert_eq!(scaled::grad(&vector(3), 3), array![2.0, 2.0, 2.0]);
    let panic = std::panic::catch_unwind(|| scaled::grad(&vector(3), 4)).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("`x_len`"), "{message}");
}

#[test]
fn ranges_outside_of_the_axis_are_refused() {
    #[differentiable]
    fn part(x: &Array1<f64>, i: usize) -> f64 {
        x.slice(s![i..i + 2]).sum()
    }
    assert_eq!(part::grad(&vector(4), 2), array![0.0, 0.0, 1.0, 1.0]);
    let panic = std::panic::catch_unwind(|| part::grad(&vector(4), 3)).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("along an axis of length 4"), "{message}");
}

#[test]
fn single_precision_and_results_of_computed_length() {
    #[differentiable]
    fn pairs(x: &Array1<f32>) -> Array1<f32> {
        &x.slice(s![1..;2]) * &x.slice(s![..-1;2])
    }
    let x = array![1.0_f32, 2.0, 3.0, 4.0];
    let (y, bar) = pairs::vjp(&x, &array![1.0, 10.0]);
    assert_eq!((y, bar), (array![2.0, 12.0], array![2.0, 1.0, 40.0, 30.0]));
}
