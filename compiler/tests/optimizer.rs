//! What differentiation and optimisation together make of whole functions: what a person would have written.

use bilevel_compiler::derive::{grad, hvp, linearize};
use bilevel_compiler::ir::text::{parse, same};
use bilevel_compiler::ir::verify::verify;
use bilevel_compiler::ir::{Elem, Func};
use bilevel_compiler::optimize::optimize;
use bilevel_compiler::testing::{Limits, program};

fn read(text: &str) -> Func {
    let f = parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    verify(&f).unwrap_or_else(|v| panic!("{v:#?}"));
    f
}

/// Asserts that a function has these statements and results; its parameters are as they are.
#[track_caller]
fn assert_is(have: &Func, body: &str, results: &str) {
    let text = have.to_string();
    let (head, _) = text.split_once(" -> ").expect("a function");
    let want = read(&format!("{head} -> ({results}) {{\n{body}\n}}"));
    assert!(same(have, &want), "\n{have}\ninstead of\n{want}");
}

/// `½‖X w − y‖² + ½ Σ exp(l) w²`
const RIDGE: &str = "
func ridge(%w: f64[d], %l: f64[d], %x: f64[n, d], %y: f64[n]) -> (%loss) {
  %half: f64 = 0.5
  %z: f64[n] = einsum[ij,j->i](%x, %w)
  %r: f64[n] = sub(%z, %y)
  %r2: f64[n] = powi[2](%r)
  %s: f64 = reduce_sum[0](%r2)
  %fit: f64 = mul(%half, %s)
  %e: f64[d] = exp(%l)
  %t: f64[d] = mul(%e, %w)
  %t2: f64[d] = mul(%t, %w)
  %p: f64 = reduce_sum[0](%t2)
  %penalty: f64 = mul(%half, %p)
  %loss: f64 = add(%fit, %penalty)
}";

/// The gradient of a function alone, without its value.
fn gradient(text: &str, wrt: &[usize]) -> Func {
    let mut gradient = grad(&read(text), wrt).unwrap();
    gradient.body.results.remove(0);
    optimize(&gradient)
}

#[test]
fn the_gradient_of_ridge_regression() {
    assert_is(
        &gradient(RIDGE, &[0]),
        "%z: f64[n] = einsum[ij,j->i](%x, %w)
         %r: f64[n] = sub(%z, %y)
         %e: f64[d] = exp(%l)
         %t: f64[d] = mul(%e, %w)
         %g: f64[d] = einsum[ij,i->j](%x, %r)
         %w_bar: f64[d] = add(%t, %g)",
        "%w_bar",
    );
}

#[test]
fn the_curvature_of_ridge_regression() {
    assert_is(
        &hvp(&read(RIDGE), &[0]).unwrap(),
        "%z_dot: f64[n] = einsum[ij,j->i](%x, %w_dot)
         %e: f64[d] = exp(%l)
         %t_dot: f64[d] = mul(%e, %w_dot)
         %g: f64[d] = einsum[ij,i->j](%x, %z_dot)
         %w_bar: f64[d] = add(%t_dot, %g)",
        "%w_bar",
    );
}

#[test]
fn what_does_not_depend_on_the_direction_is_a_residual() {
    let gradient = gradient(RIDGE, &[0]);
    let linear = linearize(&gradient, &[0]).unwrap().linear;
    assert_is(
        &linear,
        "%z_dot: f64[n] = einsum[ij,j->i](%x, %w_dot)
         %t_dot: f64[d] = mul(%e, %w_dot)
         %g: f64[d] = einsum[ij,i->j](%x, %z_dot)
         %w_bar: f64[d] = add(%t_dot, %g)",
        "%w_bar",
    );
    let residuals: Vec<_> = linear.params().iter().filter_map(|&p| linear.note(p).name.as_deref()).collect();
    assert_eq!(residuals, ["x", "e", "w_dot"]);
}

#[test]
fn transposes_and_signs_disappear() {
    // ‖yᵀ − (Xᵀ)ᵀ w‖², with the transposes and the order that a user may choose.
    let text = "
        func fit(%w: f64[d, c], %xt: f64[d, n], %yt: f64[c, n]) -> (%loss) {
          %x: f64[n, d] = permute[1, 0](%xt)
          %z: f64[n, c] = einsum[ij,jk->ik](%x, %w)
          %zt: f64[c, n] = permute[1, 0](%z)
          %r: f64[c, n] = sub(%yt, %zt)
          %r2: f64[c, n] = mul(%r, %r)
          %loss: f64 = reduce_sum[0, 1](%r2)
        }";
    assert_is(
        &gradient(text, &[0]),
        "%zt: f64[c, n] = einsum[ij,ik->kj](%xt, %w)
         %r: f64[c, n] = sub(%yt, %zt)
         %two: f64 = -2.0
         %twos: f64[c, n] = broadcast[](%two)
         %r_bar: f64[c, n] = mul(%twos, %r)
         %w_bar: f64[d, c] = einsum[ij,kj->ik](%xt, %r_bar)",
        "%w_bar",
    );
}

#[test]
fn penalties_on_groups_of_weights_become_products() {
    // ½ Σ_ij exp(l_j) w_ij²: in reverse mode the cotangent of the broadcast is a sum of products.
    let text = "
        func penalty(%w: f64[d, c], %l: f64[c]) -> (%loss) {
          %e: f64[c] = exp(%l)
          %es: f64[d, c] = broadcast[1](%e)
          %t: f64[d, c] = mul(%es, %w)
          %t2: f64[d, c] = mul(%t, %w)
          %s: f64 = reduce_sum[0, 1](%t2)
          %half: f64 = 0.5
          %loss: f64 = mul(%half, %s)
        }";
    assert_is(
        &gradient(text, &[0]),
        "%e: f64[c] = exp(%l)
         %es: f64[d, c] = broadcast[1](%e)
         %t: f64[d, c] = mul(%es, %w)",
        "%t",
    );
    let both = gradient(text, &[0, 1]);
    assert!(both.n_stmts() <= 9, "{both}");
}

#[test]
fn unrolled_descent_keeps_the_loop_small() {
    // turns × (w ← w − rate · (A w − b)), then ½‖w‖²; the matrix and the rate do not change.
    let text = "
        func unrolled(%w0: f64[d], %a: f64[d, d], %b: f64[d], %log_rate: f64, %turns: usize) -> (%loss) {
          bind[k](%turns)
          %w: f64[d] = for[k](%w0) (%i: usize, %v: f64[d]) -> (%next) {
            %rate: f64 = exp(%log_rate)
            %av: f64[d] = einsum[ij,j->i](%a, %v)
            %g: f64[d] = sub(%av, %b)
            %rates: f64[d] = broadcast[](%rate)
            %step: f64[d] = mul(%rates, %g)
            %next: f64[d] = sub(%v, %step)
          }
          %w2: f64[d] = mul(%w, %w)
          %s: f64 = reduce_sum[0](%w2)
          %half: f64 = 0.5
          %loss: f64 = mul(%half, %s)
        }";
    assert_is(
        &gradient(text, &[0]),
        "bind[k](%turns)
         %rate: f64 = exp(%log_rate)
         %w: f64[d] = for[k](%w0) (%i: usize, %v: f64[d]) -> (%next) {
           %av: f64[d] = einsum[ij,j->i](%a, %v)
           %g: f64[d] = sub(%av, %b)
           %rates: f64[d] = broadcast[](%rate)
           %step: f64[d] = mul(%rates, %g)
           %next: f64[d] = sub(%v, %step)
         }
         %w0_bar: f64[d] = for[k, reverse](%w) (%j: usize, %next_bar: f64[d]) -> (%v_bar) {
           %rates2: f64[d] = broadcast[](%rate)
           %step_bar: f64[d] = mul(%rates2, %next_bar)
           %av_bar: f64[d] = einsum[ij,i->j](%a, %step_bar)
           %v_bar: f64[d] = sub(%next_bar, %av_bar)
         }",
        "%w0_bar",
    );
}

#[test]
fn optimising_again_changes_nothing() {
    for seed in 0..400 {
        let p = program(seed, &Limits { n_draws: 8 + seed as usize % 6, elem: Elem::F64, control: true, scalar: true, empty: false });
        let once = grad(&p.func, &p.wrt).map_or_else(|_| optimize(&p.func), |g| optimize(&g));
        let twice = optimize(&once);
        assert!(same(&once, &twice), "seed {seed}\n{once}\n{twice}");
    }
}
