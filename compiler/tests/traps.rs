//! What differentiating compilers are known to get wrong, one test each. The conventions at kinks themselves are in `kinks.rs`, the sizes of derivatives in
//! `derivative_size.rs`, and compiled code meets the same traps in `tests/many_functions`.

mod common;

use bilevel_compiler::derive::{grad, hvp, jvp, vjp};
use bilevel_compiler::ir::eval::Tensor;
use bilevel_compiler::ir::{Body, Elem, Func, Index, Op, Stmt};
use bilevel_compiler::optimize::optimize;
use bilevel_compiler::testing::Random;
use bilevel_compiler::testing::check::{assert_near, difference, inner, run, size};
use common::lowered;

fn floats(f: &Func) -> Vec<usize> {
    (0..f.n_params()).filter(|&k| f.ty(f.params()[k]).elem.is_float()).collect()
}

/// Forward and reverse mode against differences and each other; the Hessian too where the result is one number.
#[track_caller]
fn check(source: &str, args: &[Tensor]) {
    let f = lowered(source).func;
    let wrt = floats(&f);
    let mut random = Random::new(5);
    let mut directions = || wrt.iter().map(|&k| random.tensor(Elem::F64, &args[k].shape)).collect::<Vec<_>>();
    let (dots, other) = (directions(), directions());
    let out = run(&jvp(&f, &wrt).unwrap(), &[args, &dots].concat());
    let (values, tangents) = out.split_at(f.results().len());
    let (differences, fit) = difference(&f, args, &wrt, &dots);
    assert!(fit, "not at a kink: {source}");
    assert_near(tangents, &differences, 1e-6, source);
    let bars: Vec<Tensor> = values.iter().map(|v| random.tensor(Elem::F64, &v.shape)).collect();
    let cotangents = run(&vjp(&f, &wrt).unwrap(), &[args, &bars].concat()).split_off(values.len());
    for (bar, &k) in cotangents.iter().zip(&wrt) {
        assert_eq!(bar.shape, args[k].shape, "{source}");
    }
    let difference = (inner(tangents, &bars) - inner(&cotangents, &dots)).abs();
    assert!(difference <= 1e-12 * size(tangents).max(size(&cotangents)).max(1.0), "adjoint identity of {source}: {difference}");
    if let [value] = values
        && value.shape.is_empty()
    {
        let products = hvp(&f, &wrt).unwrap();
        let (hv, hu) = (run(&products, &[args, &dots].concat()), run(&products, &[args, &other].concat()));
        let asymmetry = (inner(&hv, &other) - inner(&hu, &dots)).abs();
        assert!(asymmetry <= 1e-10 * size(&hv).max(size(&hu)).max(1.0), "symmetry of {source}: {asymmetry}");
    }
}

/// The gradient of a function of one array.
fn gradient(source: &str, x: &[f64]) -> Vec<f64> {
    let f = lowered(source).func;
    run(&grad(&f, &[0]).unwrap(), &[Tensor::f64s(&[x.len()], x.to_vec())])[1].as_f64().to_vec()
}

/// The Hessian of a function of one array, applied to ones.
fn curvature(source: &str, x: &[f64]) -> Vec<f64> {
    let f = lowered(source).func;
    let ones = Tensor::f64s(&[x.len()], vec![1.0; x.len()]);
    run(&hvp(&f, &[0]).unwrap(), &[Tensor::f64s(&[x.len()], x.to_vec()), ones])[0].as_f64().to_vec()
}

#[test]
fn select_around_a_partial_function_at_the_guarded_point() {
    let of = |body: &str| format!("fn f(x: &Array1<f64>) -> f64 {{ x.mapv(|v| {body}).sum() }}");
    // The guard, and the derivative on its other side at 2.
    let cases = [
        ("if v > 0.0 { v.ln() } else { 0.0 }", 0.5),
        ("if v > 0.0 { v.sqrt() } else { v }", 0.5 / 2f64.sqrt()),
        ("if v == 0.0 { 1.0 } else { v.sin() / v }", 2f64.cos() / 2.0 - 2f64.sin() / 4.0),
        ("if v == 0.0 { 0.0 } else { 1.0 / v }", -0.25),
        ("if v > 0.0 { v.powf(0.5) } else { 0.0 }", 0.5 / 2f64.sqrt()),
        ("if v > 1.0 { (v - 1.0).sqrt().ln() } else { 0.0 }", 0.5),
        ("if v <= 0.0 { 0.0 } else { (1.0 / v).ln() * v }", -(2f64.ln()) - 1.0),
    ];
    for (body, expected) in cases {
        let g = gradient(&of(body), &[0.0, -1.0, 2.0]);
        assert!(g.iter().all(|x| x.is_finite()), "{body}: {g:?}");
        assert!((g[2] - expected).abs() < 1e-14, "{body}: {g:?} instead of {expected}");
        let h = curvature(&of(body), &[0.0, -1.0, 2.0]);
        assert!(h.iter().all(|x| x.is_finite()), "{body}: second derivatives {h:?}");
    }
    // The same as statements of numbers, where only one side is computed.
    let g = gradient("fn f(x: &Array1<f64>) -> f64 { if x[0] > 0.0 { x[0].ln() * x[1] } else { x[1] } }", &[0.0, 3.0]);
    assert_eq!(g, [0.0, 1.0]);
}

#[test]
fn ties_and_kinks_follow_the_convention() {
    let of = |body: &str| format!("fn f(x: &Array1<f64>) -> f64 {{ {body} }}");
    assert_eq!(gradient(&of("x[0].max(x[1])"), &[1.5, 1.5]), [0.5, 0.5]);
    assert_eq!(gradient(&of("x.mapv(|v| v.min(0.25)).sum()"), &[0.25, 1.0, 0.0]), [0.5, 0.0, 1.0]);
    assert_eq!(gradient(&of("x.abs().sum()"), &[0.0, -2.0]), [0.0, -1.0]);
    assert_eq!(gradient(&of("x.relu().sum()"), &[0.0, 2.0]), [0.0, 1.0]);
    assert_eq!(gradient(&of("x.sqrt().sum()"), &[0.0, 4.0]), [0.0, 0.25]);
    assert_eq!(gradient(&of("x.dot(x).sqrt()"), &[0.0, 0.0]), [0.0, 0.0]);
}

/// The statements that each turn of a loop executes, with the parameters of its body.
fn loop_bodies(body: &Body) -> Vec<&Body> {
    let mut found = Vec::new();
    body.walk(&mut |stmt: &Stmt| {
        if matches!(stmt.op, Op::Control(_)) {
            found.extend(&stmt.bodies);
        }
    });
    found
}

#[test]
fn elements_in_a_loop_transpose_in_linear_time() {
    for source in [
        "fn f(x: &Array1<f64>) -> f64 { let mut s = 0.0; for i in 0..x.len() { s += x[i] * x[i]; } s }",
        "fn f(x: &Array1<f64>) -> f64 { let mut s = 1.0; for i in 0..x.len() { s = (s * x[i]).sin() + x[i]; } s }",
        "fn f(x: &Array1<f64>) -> f64 { let mut s = 0.0; for i in (1..x.len()).rev() { s += x[i] * x[i - 1]; } s }",
    ] {
        let f = lowered(source).func;
        for derived in [grad(&f, &[0]).unwrap(), hvp(&f, &[0]).unwrap()] {
            let bodies = loop_bodies(&derived.body);
            assert!(!bodies.is_empty(), "there is a loop\n{derived}");
            for body in bodies {
                let mut carried = body.params.clone();
                for stmt in &body.stmts {
                    let arrays = stmt.outs.iter().any(|&o| derived.ty(o).rank() > 0);
                    // What a turn may do to a whole array is to add to a carried one, in place.
                    let in_place = matches!(stmt.op, Op::Index(Index::Add(_))) && carried.contains(&stmt.args[0]);
                    assert!(!arrays || in_place, "a turn makes a whole array: {:?}\n{derived}", stmt.op);
                    carried.extend(&stmt.outs);
                }
            }
        }
        check(source, &[Tensor::f64s(&[4], vec![0.3, -0.7, 1.1, 0.4])]);
    }
}

#[test]
fn broadcasting_of_every_rank_pair() {
    const LENGTHS: [usize; 4] = [2, 3, 2, 3];
    let ty = |rank: usize| if rank == 0 { "f64".to_owned() } else { format!("&Array{rank}<f64>") };
    let mut random = Random::new(3);
    for a in 0..=4 {
        for b in 0..=4 {
            let rank = a.max(b);
            let (a_ty, b_ty) = (ty(a), ty(b));
            let output = if rank == 0 { "f64".to_owned() } else { format!("Array{rank}<f64>") };
            // The trailing axes are those that meet.
            let args = [a, b].map(|r| random.tensor(Elem::F64, &LENGTHS[4 - r..]));
            for op in ["+", "-", "*", "/"] {
                let divisor = if op == "/" { "(b * b + 1.0)" } else { "b" };
                check(&format!("fn f(a: {a_ty}, b: {b_ty}) -> {output} {{ a {op} {divisor} }}"), &args);
            }
        }
    }
}

#[test]
fn one_array_as_both_arguments() {
    let x = || Tensor::f64s(&[3], vec![0.3, -0.7, 1.1]);
    check("fn f(x: &Array1<f64>, y: &Array1<f64>) -> f64 { (x * y).sin().sum() + x.dot(y) }", &[x(), x()]);
    check("fn g(a: &Array1<f64>, b: &Array1<f64>) -> f64 { a.dot(&(a * b)) } fn f(x: &Array1<f64>) -> f64 { g(x, x) }", &[x()]);
    // The derivative of a product of an array with itself is not that of one of its factors.
    let g = gradient("fn g(a: &Array1<f64>, b: &Array1<f64>) -> f64 { a.dot(b) } fn f(x: &Array1<f64>) -> f64 { g(x, x) }", &[1.0, 2.0]);
    assert_eq!(g, [2.0, 4.0]);
}

#[test]
fn axes_without_elements() {
    let nothing = |shape: &[usize]| Tensor::f64s(shape, Vec::new());
    check("fn f(x: &Array1<f64>, w: f64) -> f64 { (x * w).sum() + x.dot(x) * w + w * w }", &[nothing(&[0]), Tensor::f64(0.5)]);
    check(
        "fn f(a: &Array2<f64>, x: &Array1<f64>) -> Array1<f64> { a.dot(x).sin() + a.sum_axis(Axis(1)) }",
        &[nothing(&[3, 0]), nothing(&[0])],
    );
    check("fn f(a: &Array2<f64>, x: &Array1<f64>) -> Array1<f64> { a.dot(x) }", &[nothing(&[0, 2]), Tensor::f64s(&[2], vec![1.0, 2.0])]);
    check("fn f(a: &Array2<f64>) -> Array2<f64> { softmax(a) * a }", &[nothing(&[0, 3])]);
}

#[test]
fn loops_without_turns() {
    let source = "fn f(x: &Array1<f64>, w: f64, n: usize) -> f64 {
        let mut s = w * w;
        let mut v = x.clone();
        for i in 0..n { s = s.sin() * x[i]; v = &v * s; }
        for j in 0..x.len() { s += x[j] * v[j]; }
        s + v.sum()
    }";
    let x = Tensor::f64s(&[3], vec![0.3, -0.7, 1.1]);
    for n in [0, 1, 3] {
        check(source, &[x.clone(), Tensor::f64(0.5), Tensor::usize(n)]);
    }
    check(source, &[Tensor::f64s(&[0], Vec::new()), Tensor::f64(0.5), Tensor::usize(0)]);
}

#[test]
fn a_loop_whose_bound_depends_on_data() {
    let source = "fn f(x: &Array1<f64>, w: f64) -> f64 {
        let n = (x[0] * 10.0).floor() as usize;
        let mut s = w;
        for i in 0..n { s = (s + x[1] * i as f64).sin() * w; }
        s
    }";
    for first in [0.05, 0.25, 0.55] {
        check(source, &[Tensor::f64s(&[2], vec![first, 0.7]), Tensor::f64(0.9)]);
    }
}

#[test]
fn nothing_known_to_be_zero_is_made_an_array() {
    // The derivative in `w` does not need the part that does not depend on it, in any mode.
    let f = lowered("fn f(w: f64, x: &Array2<f64>) -> f64 { (x * x).sin().sum() + w * w }").func;
    let derived = optimize(&grad(&f, &[0]).unwrap());
    let mut n_arrays = 0;
    derived.body.walk(&mut |stmt| n_arrays += stmt.outs.iter().filter(|&&o| derived.ty(o).rank() > 0).count());
    assert_eq!(n_arrays, 2, "the square and its sine, of the value\n{derived}");
}
