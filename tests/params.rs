//! Structs that derive `Params`: as values, and as the variables and data of a problem.

#![deny(warnings)]
#![allow(clippy::needless_range_loop, reason = "elements of several arrays by one position are what is tested")]
#![allow(unreachable_pub, reason = "a variable's struct is as public as `Problem`")]

use bilevel::Error;
use bilevel::prelude::*;

#[bilevel]
mod network {
    use super::*;

    pub const HIDDEN: usize = 4;

    /// A layer: weights and a bias.
    #[derive(Clone, Debug, PartialEq, Params)]
    pub struct Dense {
        pub w: Array2<f64>,
        pub b: Array1<f64>,
    }

    /// A network with one hidden layer. Its width is data.
    #[derive(Clone, Debug, PartialEq, Params)]
    pub struct Mlp {
        pub first: Dense,
        pub last: Dense,
        pub scale: (f64, [f64; 2]),
        pub n_seen: usize,
    }

    /// A penalty for each layer, on the logarithmic scale.
    #[derive(Clone, Debug, PartialEq, Params)]
    pub struct Penalty(pub f64, pub [f64; HIDDEN]);

    /// What does not change.
    #[derive(Clone, Params)]
    pub struct Data {
        pub x: Array2<f64>,
        pub y: Array2<f64>,
    }

    fn dense(layer: &Dense, x: &Array2<f64>) -> Array2<f64> {
        let Dense { w, b } = layer;
        x.dot(w) + b
    }

    fn predict(net: &Mlp, x: &Array2<f64>) -> Array2<f64> {
        let Mlp { first, last, scale: (scale, _), .. } = net;
        dense(last, &dense(first, x).tanh()) * *scale
    }

    fn square(layer: &Dense) -> f64 {
        (&layer.w * &layer.w).sum() + (&layer.b * &layer.b).sum()
    }

    #[inner(minimize = net)]
    pub fn train(net: &Mlp, penalty: &Penalty, data: &Data) -> f64 {
        let Penalty(all, rows) = penalty;
        let mut weighted = 0.0;
        for j in 0..HIDDEN {
            weighted += (rows[j] + net.first.b[j]).exp() * net.first.w.column(j).dot(&net.first.w.column(j));
        }
        let scales = (net.scale.0 - 1.0).powi(2) + (net.scale.1[0] - 0.1).powi(2) + net.scale.1[1].powi(2);
        let fit = mse(&predict(net, &data.x), &data.y);
        fit + all.exp() * (square(&net.first) + square(&net.last)) + 0.1 * weighted + scales
    }

    #[outer(minimize = penalty)]
    pub fn validate(net: &Mlp, penalty: &Penalty, held_out: &Data) -> f64 {
        mse(&predict(net, &held_out.x), &held_out.y) + 1e-3 * penalty.0 * penalty.0 + net.scale.1[0]
    }
}

use network::{Data, Dense, Mlp, Penalty};

fn matrix(n: usize, m: usize, phase: f64) -> Array2<f64> {
    Array2::from_shape_fn((n, m), |(i, j)| (0.9 * i as f64 - 1.3 * j as f64 + phase).sin())
}

fn net() -> Mlp {
    let layer = |n: usize, m: usize, phase: f64| Dense { w: matrix(n, m, phase) * 0.5, b: matrix(1, m, phase).row(0).to_owned() * 0.1 };
    Mlp { first: layer(3, 4, 0.3), last: layer(4, 2, 1.1), scale: (1.2, [0.0, 0.3]), n_seen: 7 }
}

fn data() -> (Data, Data) {
    let of = |n: usize, phase: f64| Data { x: matrix(n, 3, phase), y: matrix(n, 2, 2.0 * phase) };
    (of(12, 0.2), of(9, 0.7))
}

#[test]
fn a_struct_is_a_vector_of_its_floats() {
    let net = net();
    assert_eq!(net.lengths(), [12, 4, 8, 2, 1, 2]);
    assert_eq!(net.n_elements(), 29);
    let flat = net.flat();
    assert_eq!((flat[0], flat[12], flat[26], flat[28]), (net.first.w[[0, 0]], net.first.b[0], 1.2, 0.3));
    assert_eq!(net.with_elements(flat.as_slice().unwrap()), net);
    // What is no float comes along.
    let zeros = net.zeros_like();
    assert_eq!((zeros.n_seen, zeros.l2_norm(), &zeros.first.w), (7, 0.0, &Array2::zeros((3, 4))));
    let mut moved = zeros.clone();
    moved.add_scaled(-2.0, &net);
    assert!((moved.dot_product(&net) + 2.0 * net.l2_norm().powi(2)).abs() < 1e-12);
    assert_eq!(Penalty(1.0, [2.0; 4]).flat().len(), 5);
}

#[test]
fn the_hypergradient_is_that_of_the_problem_solved_again() {
    let (train, held_out) = data();
    let problem = network::Problem { data: &train, held_out: &held_out };
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-12)).inner(NewtonCg::default().tolerance(1e-12));
    let (penalty, start) = (Penalty(-2.0, [-1.0, -0.5, 0.0, -0.3]), net());
    let h = solver.hypergradient(&penalty, &start).unwrap();
    let (gradient, inner): (&Penalty, &Mlp) = (&h.gradient, &h.inner);
    assert_eq!(inner.n_seen, 7);
    assert!((network::validate(inner, &penalty, &held_out) - h.value).abs() < 1e-14);
    let (point, found) = (penalty.flat(), gradient.flat());
    for k in 0..point.len() {
        let mut value = |t: f64| {
            let mut moved = point.clone();
            moved[k] += t;
            let moved = penalty.with_elements(moved.as_slice().unwrap());
            solver.hypergradient(&moved, inner).unwrap().value
        };
        let step = 1e-3;
        let expected = (8.0 * (value(step) - value(-step)) - (value(2.0 * step) - value(-2.0 * step))) / (12.0 * step);
        assert!((found[k] - expected).abs() < 1e-8, "{k}: {} and {expected}", found[k]);
    }
    let tuned = solver.minimize(&penalty, &start, Adam::new(0.05), 5).unwrap();
    assert!(tuned.value < h.value);
    let _: (Penalty, Mlp) = (tuned.outer, tuned.inner);
}

#[test]
fn errors_name_the_field() {
    let (train, held_out) = data();
    let problem = network::Problem { data: &train, held_out: &held_out };
    let penalty = Penalty(-2.0, [0.0; 4]);
    let error = |penalty: &Penalty, net: &Mlp| problem.solver(Implicit::cg()).hypergradient(penalty, net).unwrap_err();
    let mut wrong = net();
    wrong.last.b[1] = f64::NAN;
    let found = error(&penalty, &wrong);
    assert!(matches!(found, Error::NonFiniteElement { name: "net.last.b", position: 1, .. }), "{found}");
    let found = error(&Penalty(0.0, [0.0, 0.0, f64::INFINITY, 0.0]), &net());
    assert!(matches!(found, Error::NonFiniteElement { name: "penalty.1", position: 2, .. }), "{found}");
    let mut wrong = net();
    wrong.first.w = Array2::zeros((3, 5));
    let text = error(&penalty, &wrong).to_string();
    assert!(text.contains("`net.first.w`") && text.contains("[3, 5]"), "{text}");
    let short = Data { x: train.x.clone(), y: Array2::zeros((11, 2)) };
    let text = network::Problem { data: &short, held_out: &held_out }.solver(Implicit::cg()).hypergradient(&penalty, &net()).unwrap_err();
    assert!(text.to_string().contains("`data.y`"), "{text}");
}

/// In the same file as what uses it.
#[derive(Clone, Debug, PartialEq, Params)]
struct Line {
    slope: f64,
    offset: [f64; 1],
}

#[differentiable]
fn residual(line: &Line, x: f64, y: f64) -> f64 {
    line.slope * x + line.offset[0] - y
}

#[differentiable]
fn moved(line: &Line, by: &Line) -> Line {
    let mut out = Line { slope: line.slope * by.slope, ..line.clone() };
    out.slope += by.offset[0];
    let Line { offset, .. } = by;
    Line { offset: offset.map(|o| o * out.slope), ..out }
}

#[test]
fn a_struct_of_the_same_file_is_parameter_result_tangent_and_cotangent() {
    let (line, by) = (Line { slope: 2.0, offset: [3.0] }, Line { slope: -1.0, offset: [0.5] });
    assert_eq!(residual::grad(&line, 1.5, 1.0), (Line { slope: 1.5, offset: [1.0] }, 2.0, -1.0));
    let dot = Line { slope: 1.0, offset: [10.0] };
    let (value, tangent) = moved::jvp(&line, &by, &dot, &dot);
    assert_eq!(value, moved(&line, &by));
    // slope = s t + p, offset = p (s t + p) for line (s, o) and by (t, p).
    let slope_dot = -1.0 + 2.0 + 10.0;
    assert_eq!(tangent, Line { slope: slope_dot, offset: [10.0 * -1.5 + 0.5 * slope_dot] });
    assert_eq!(moved::linearize(&line, &by)(&dot, &dot), tangent);
    let (_, (line_bar, by_bar)) = moved::vjp(&line, &by, &dot);
    assert_eq!(line_bar.dot_product(&dot) + by_bar.dot_product(&dot), tangent.dot_product(&dot));
    assert_eq!(line_bar.offset, [0.0]);
}

mod inside {
    use super::*;

    /// A layer and its activation's scale.
    #[derive(Clone, Debug, PartialEq, Params)]
    pub(super) struct Scaled {
        pub(super) layer: elsewhere::nets::Dense,
        pub(super) scale: f64,
        pub(super) n_seen: usize,
    }
}

/// A network of another crate and a struct of another module, with functions of another crate.
#[differentiable]
fn fit(net: &elsewhere::nets::Net, last: &inside::Scaled, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
    let hidden = elsewhere::nets::affine(&net.hidden, x).tanh();
    let inside::Scaled { layer, scale, .. } = last;
    let out = elsewhere::nets::affine(layer, &(elsewhere::nets::affine(&net.last, &hidden) * *scale));
    mse(&out, y) + 0.0 * net.n_seen as f64
}

#[test]
fn structs_of_other_modules_and_crates_are_one_value() {
    let layer =
        |n: usize, m: usize, phase: f64| elsewhere::nets::Dense { w: matrix(n, m, phase), b: matrix(1, m, phase).row(0).to_owned() };
    let net = elsewhere::nets::Net { hidden: layer(3, 4, 0.1), last: layer(4, 2, 0.2), n_seen: 3 };
    let last = inside::Scaled { layer: layer(2, 2, 0.4), scale: 0.7, n_seen: 5 };
    let (x, y) = (matrix(6, 3, 0.5), matrix(6, 2, 0.9));
    let (net_bar, last_bar, ..): (elsewhere::nets::Net, inside::Scaled, _, _) = fit::grad(&net, &last, &x, &y);
    assert_eq!((net_bar.n_seen, last_bar.n_seen), (3, 5));
    let at = |t: f64| {
        let (mut net, mut last) = (net.clone(), last.clone());
        net.add_scaled(t, &net_bar);
        last.add_scaled(t, &last_bar);
        fit(&net, &last, &x, &y)
    };
    let step = 1e-3;
    let expected = (8.0 * (at(step) - at(-step)) - (at(2.0 * step) - at(-2.0 * step))) / (12.0 * step);
    let found = net_bar.dot_product(&net_bar) + last_bar.dot_product(&last_bar);
    assert!((found - expected).abs() < 1e-8 * expected.abs(), "{found} and {expected}");
    // A network is its own direction, and the Hessian is symmetric.
    let (x_dot, y_dot) = (x.mapv(|v| v.cos()), y.mapv(|v| 0.3 * v));
    let (net_hvp, last_hvp, x_hvp, _) = fit::hvp(&net, &last, &x, &y, &net, &last, &x_dot, &y_dot);
    let (net_hvp_2, last_hvp_2, x_hvp_2, y_hvp_2) = fit::hvp(&net, &last, &x, &y, &net_bar, &last_bar, &(&x * 0.0), &(&y * 0.0));
    let left = net_hvp.dot_product(&net_bar) + last_hvp.dot_product(&last_bar);
    let right = net_hvp_2.dot_product(&net) + last_hvp_2.dot_product(&last) + (x_hvp_2 * x_dot).sum() + (y_hvp_2 * y_dot).sum();
    assert!((left - right).abs() < 1e-10 * left.abs().max(1.0), "{left} and {right}");
    assert_eq!(x_hvp.dim(), x.dim());
}
