//! Loops, branches and early exits through the real macro: emitted code against the reference evaluator, and both against closed forms.

#![allow(unreachable_pub, reason = "the functions of a problem are public, as users write them")]
#![allow(clippy::reversed_empty_ranges, reason = "empty loops are tested too")]
#![allow(
    clippy::type_complexity,
    clippy::op_ref,
    clippy::needless_range_loop,
    clippy::explicit_counter_loop,
    clippy::while_let_loop,
    clippy::needless_return,
    clippy::manual_memcpy,
    clippy::manual_swap,
    clippy::assign_op_pattern,
    reason = "the spellings are what is tested"
)]

#[path = "../common/mod.rs"]
mod common;
#[macro_use]
#[path = "../common/harness.rs"]
mod harness;

mod assignment;
mod iteration;
mod ragged;

use bilevel::prelude::*;
use common::{Argument, Outcome, matrix, vector};

fn positive(n: usize) -> Array1<f64> {
    vector(n).mapv(|v| v * v + 0.2)
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance * (1.0 + expected.abs()), "found {found}, expected {expected}");
}

agree! {
    #[scalar]
    while_with_a_bound: (&2.0, &0.3), (&0.7, &-1.1), 1.5, 1e-13, {
        fn f(x: &f64, y: &f64) -> f64 {
            let mut s = *x;
            let mut k = 0_usize;
            #[bound(9)]
            while s.sin() + s < 7.0 && k < 8 {
                s = s * 1.3 + y.sin();
                k += 1;
            }
            s * s + k as f64
        }
    }
    #[scalar]
    loop_with_breaks_in_the_middle: (&positive(4), 3.0), (&vector(4).cos(), 0.4), 0.9, 1e-13, {
        fn f(x: &Array1<f64>, limit: f64) -> f64 {
            let mut s = 0.1;
            let mut v = x.clone();
            #[bound(x.len() + 10)]
            loop {
                v = &v * 1.2 + 0.1;
                s += v.sum().sin();
                if s > limit {
                    s *= 2.0;
                    break;
                }
                if v[0] > 2.0 {
                    v = v.exp();
                    s += 0.3;
                    if s > 1.0 {
                        break;
                    }
                    s += 0.1;
                }
                s = s + v[1];
            }
            s * v.sum()
        }
    }
    #[scalar]
    continue_and_break_in_for: (&vector(9), 0.8), (&vector(9).sin(), -0.6), 1.1, 1e-13, {
        fn f(x: &Array1<f64>, t: f64) -> f64 {
            let mut s = t;
            for i in 0..x.len() {
                if x[i] < 0.0 {
                    s += x[i].cos();
                    continue;
                }
                if i % 2 == 0 {
                    s += t * x[i];
                } else {
                    if s > 6.0 {
                        break;
                    }
                    s *= 1.0 + x[i].sin();
                    if s < 0.1 { continue; }
                }
                s += x[i] * x[i];
            }
            s
        }
    }
    #[scalar]
    early_returns: (&vector(5), 0.4), (&vector(5).cos(), 0.9), 0.7, 1e-13, {
        fn f(x: &Array1<f64>, t: f64) -> f64 {
            if t < -1.0 {
                return x.sum();
            }
            let mut y = x * t;
            if t > 0.0 {
                y = y.exp();
                if y[0] > 5.0 {
                    return y[1];
                }
                y = y + t;
            } else if y[0] > 3.0 {
                return 0.0;
            }
            let z = {
                if y[2] < 0.1 {
                    return -t;
                }
                y.sum()
            };
            return z.sin() * t;
        }
    }
    #[scalar]
    match_on_integers: (&vector(7), 2_usize), (&vector(7).sin()), 0.8, 1e-13, {
        fn f(x: &Array1<f64>, k: usize) -> f64 {
            let mut s = 0.0;
            for i in 0..x.len() {
                let v = x[i];
                s += match i {
                    0 => v,
                    1 | 5 => v * v,
                    n @ 2..=3 if n == k => v.sin() * n as f64,
                    2..=3 => 1.0,
                    n => v.exp() / n as f64,
                };
                match (i % 2 == 0, k) {
                    (true, 0) => s += v,
                    (false, _) => s -= v * s,
                    (true, 1..) => {}
                }
            }
            s
        }
    }
    match_on_floats: (1.3, &vector(3)), (0.2, &vector(3).cos()), &vector(3).exp(), 1e-13, {
        fn f(t: f64, x: &Array1<f64>) -> Array1<f64> {
            let scale = match t * 2.0 {
                v if v < 0.0 => -v,
                v if v > 100.0 => 1.0,
                v => v.sqrt(),
            };
            let y = match t < scale {
                true => x * scale,
                false => x.exp(),
            };
            y + t
        }
    }
    returns_in_closures: (&vector(6), 0.3), (&vector(6).cos(), 0.5), &vector(6).exp(), 1e-13, {
        fn f(x: &Array1<f64>, t: f64) -> Array1<f64> {
            let g = |v: f64| {
                if v < t {
                    return v * t;
                }
                let w = if v > 0.8 { v.sqrt() } else { v };
                w.exp()
            };
            x.mapv(|v| {
                if v < -0.5 {
                    return 0.0;
                }
                let mut w = v;
                if v > 0.0 {
                    if v > 1.0 {
                        return v.ln() + t;
                    }
                    w = w * w;
                }
                match w > 0.1 {
                    true => w.sqrt(),
                    false => w,
                }
            }) + x.mapv(g) + g(t)
        }
    }
    single_precision: (2.5_f32, &array![0.5_f32, 1.5]), (0.3_f32, &array![1.0_f32, -0.5]), &array![0.2_f32, 0.9], 1e-5, {
        fn f(t: f32, x: &Array1<f32>) -> Array1<f32> {
            if t < 0.0 {
                return x.clone();
            }
            let mut y = x * t;
            #[bound(5)]
            while y[0] < 9.0 {
                y = &y * 1.5 + t;
            }
            y
        }
    }
}

/// The square root by Newton's method.
#[differentiable]
fn newton(x: f64) -> f64 {
    let mut root = x;
    while (root * root - x).abs() > 1e-13 {
        root = 0.5 * (root + x / root);
    }
    root
}

#[test]
fn a_while_loop_without_a_bound_has_a_forward_mode() {
    close(newton(3.0), 3f64.sqrt(), 1e-13);
    let (value, tangent) = newton::jvp(3.0, 2.0);
    close(value, 3f64.sqrt(), 1e-13);
    close(tangent, 1.0 / 3f64.sqrt(), 1e-12);
}

/// The same with a bound, so that reverse mode works.
#[differentiable]
fn bounded_newton(x: f64, n: usize) -> f64 {
    let mut root = x;
    #[bound(n)]
    while (root * root - x).abs() > 1e-13 {
        root = 0.5 * (root + x / root);
    }
    root
}

#[test]
fn a_bounded_while_loop_has_every_mode() {
    close(bounded_newton::grad(3.0, 30), 0.5 / 3f64.sqrt(), 1e-12);
    close(bounded_newton::hvp(3.0, 30, 1.0), -0.25 * 3f64.powf(-1.5), 1e-10);
    // Exactly as many turns as it takes, which are five.
    close(bounded_newton::grad(3.0, 6), 0.5 / 3f64.sqrt(), 1e-12);
    assert_eq!(bounded_newton(3.0, 0), bounded_newton(3.0, 30), "the function itself knows nothing of the bound");
}

#[test]
#[should_panic(
    expected = "`bounded_newton`: `while (root * root - x).abs() > 1e-13` takes more turns than `#[bound(n)]` allows; state a larger bound"
)]
fn more_turns_than_the_bound_panic() {
    let _ = bounded_newton::grad(3.0, 2);
}

/// A loop that none of its parameters is differentiated through.
#[differentiable]
fn counted(x: &Array1<f64>, n: usize) -> f64 {
    let mut k = 1_usize;
    while k * k < n {
        k += 1;
    }
    (x * k as f64).sin().sum()
}

#[test]
fn a_while_loop_of_integers_needs_no_bound() {
    let x = vector(4);
    assert_eq!(counted::grad(&x, 20), (&x * 5.0).cos() * 5.0);
}

#[bilevel]
mod relaxation {
    use super::*;

    /// Weights that are damped as often as it takes.
    #[inner(minimize = w)]
    pub fn train(w: &Array1<f64>, l: &f64, x: &Array2<f64>, y: &Array1<f64>, n: usize) -> f64 {
        let mut p = x.dot(w) - y;
        #[bound(n)]
        while p.dot(&p) > 4.0 {
            p = p * 0.5;
        }
        p.dot(&p) + l.exp() * w.dot(w)
    }

    #[outer(minimize = l)]
    pub fn validate(w: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        (x.dot(w) - y).pow2().sum()
    }
}

#[test]
fn more_turns_than_the_bound_are_an_error_of_a_problem() {
    let (x, y) = (matrix(6, 3), vector(6));
    let solve = |n: usize, w: f64| {
        let problem = relaxation::Problem { x: &x, y: &y, n };
        let mut solver = problem.solver(Implicit::cg()).inner(Lbfgs::default().tolerance(1e-8));
        solver.hypergradient(&0.1, &Array1::from_elem(3, w))
    };
    let enough = solve(40, 50.0).unwrap();
    let check = |a: &Array1<f64>| a.iter().all(|v| v.is_finite());
    assert!(check(&enough.inner));
    let error = solve(1, 50.0).unwrap_err();
    let expected = "`train`: `while p.dot(&p) > 4.0` takes more turns than `#[bound(n)]` allows; state a larger bound";
    assert_eq!(error.to_string(), expected);
    // The same kernels, at a point where one turn is enough.
    assert!(solve(1, 0.1).is_ok());
}
