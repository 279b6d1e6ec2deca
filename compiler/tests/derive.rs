//! Derivatives of written-out functions: the shapes that the transformations give, and values against differences.

use bilevel_compiler::derive::{Reason, grad, hvp, jvp, linearity, linearize, transpose, vjp};
use bilevel_compiler::ir::eval::{EvalError, Tensor, eval};
use bilevel_compiler::ir::{Control, Elem, Func, Literal, Op, Stmt};
use bilevel_compiler::optimize::optimize;
use bilevel_compiler::testing::check::{assert_near, difference, inner, read, run};

/// Numbers without a pattern, between 0.5 and 1.5.
fn numbers(shape: &[usize], salt: u64) -> Tensor {
    let n = shape.iter().product::<usize>() as u64;
    let value = |k: u64| 0.5 + ((k + 1 + 31 * salt) as f64 * 0.754_877_666).fract();
    Tensor::f64s(shape, (0..n).map(value).collect())
}

/// All derivatives of a function with float results: forward mode against differences, and the others against forward mode.
#[track_caller]
fn check_all(f: &Func, args: &[Tensor], wrt: &[usize]) {
    let dots: Vec<Tensor> = wrt.iter().map(|&k| numbers(&args[k].shape, k as u64 + 7)).collect();
    let with = |more: &[Tensor]| [args, more].concat();

    let forward = jvp(f, wrt).unwrap();
    let out = run(&forward, &with(&dots));
    let (values, tangents) = out.split_at(f.results().len());
    assert_near(tangents, &difference(f, args, wrt, &dots).0, 1e-9, "tangent against differences");

    let parts = linearize(f, wrt).unwrap();
    let tangent_params: Vec<usize> = (parts.n_residuals..parts.linear.n_params()).collect();
    linearity(&parts.linear, &tangent_params).unwrap_or_else(|e| panic!("{e}\n{}", parts.linear));
    let mut out = run(&parts.primal, args);
    let residuals = out.split_off(values.len());
    assert_eq!(out, values);
    assert_near(&run(&parts.linear, &[residuals, dots.clone()].concat()), tangents, 1e-13, "linearize against jvp");

    let bars: Vec<Tensor> = values.iter().enumerate().map(|(k, v)| numbers(&v.shape, k as u64 + 19)).collect();
    let reverse = vjp(f, wrt).unwrap();
    let cotangents = run(&reverse, &with(&bars)).split_off(values.len());
    let (forwards, backwards) = (inner(tangents, &bars), inner(&cotangents, &dots));
    assert!((forwards - backwards).abs() <= 1e-12 * forwards.abs().max(1.0), "adjoint identity: {forwards} and {backwards}\n{reverse}");

    // Reverse mode once more, differentiated forwards: a second derivative.
    let second = jvp(&reverse, wrt).unwrap();
    let seconds = run(&second, &[with(&bars), dots.clone()].concat()).split_off(2 * values.len() + wrt.len());
    let differences = difference(&reverse, &with(&bars), wrt, &dots).0.split_off(values.len());
    assert_near(&seconds, &differences, 1e-9, "second derivative against differences");
}

const STRAIGHT: &str = "
func f(%x: f64[n, m], %w: f64[m, k], %y: usize[n]) -> (%loss) {
  %z: f64[n, k] = einsum[ij,jk->ik](%x, %w)
  %t: f64[n, k] = tanh(%z)
  %lse: f64[n] = log_sum_exp[1](%t)
  %hit: f64[n] = take_along[1](%t, %y)
  %d: f64[n] = sub(%lse, %hit)
  %total: f64 = reduce_sum[0](%d)
  %len: usize = dim_size[n]()
  %count: f64 = cast(%len)
  %loss: f64 = div(%total, %count)
}";

#[test]
fn straight_line() {
    let f = read(STRAIGHT);
    let args = [numbers(&[4, 3], 1), numbers(&[3, 2], 2), Tensor::usizes(&[4], vec![0, 1, 1, 0])];
    check_all(&f, &args, &[0, 1]);
    check_all(&f, &args, &[1]);

    let gradient = run(&grad(&f, &[1]).unwrap(), &args);
    let want = run(&vjp(&f, &[1]).unwrap(), &[&args[..], &[Tensor::f64(1.0)]].concat());
    assert_eq!(gradient, want);
    let v = numbers(&[3, 2], 5);
    let product = run(&hvp(&f, &[1]).unwrap(), &[&args[..], std::slice::from_ref(&v)].concat());
    assert_near(&product, &difference(&grad(&f, &[1]).unwrap(), &args, &[1], &[v]).0[1..], 1e-9, "hvp");
}

/// A recurrence with a matrix from outside, elements of an outer array, a stacked result, and a carried value that has no tangent.
const LOOP: &str = "
func f(%x: f64[n], %w: f64[n, n], %s: f64[turns]) -> (%last, %rows) {
  %one: f64 = 1.0
  %zero: usize = 0
  %last: f64[n], %time: f64, %count: usize, %rows: f64[turns, n] = for[turns](%x, %one, %zero)
      (%i: usize, %h: f64[n], %t: f64, %c: usize) -> (%next, %later, %more, %square) {
    %a: f64 = read[0](%s, %i)
    %wh: f64[n] = einsum[ij,j->i](%w, %h)
    %ab: f64[n] = broadcast[](%a)
    %scaled: f64[n] = mul(%ab, %wh)
    %tb: f64[n] = broadcast[](%t)
    %timed: f64[n] = div(%scaled, %tb)
    %next: f64[n] = sin(%timed)
    %square: f64[n] = mul(%h, %ab)
    %step: f64 = 0.25
    %later: f64 = add(%t, %step)
    %oneu: usize = 1
    %more: usize = add(%c, %oneu)
  }
}";

#[test]
fn a_loop() {
    let f = read(LOOP);
    let args = [numbers(&[3], 1), numbers(&[3, 3], 2), numbers(&[5], 3)];
    check_all(&f, &args, &[0, 1, 2]);
    check_all(&f, &args, &[2]);
    check_all(&f, &[numbers(&[3], 1), numbers(&[3, 3], 2), numbers(&[0], 3)], &[0, 1, 2]);
    let reversed = read(&LOOP.replace("for[turns]", "for[turns, reverse]"));
    check_all(&reversed, &args, &[0, 1, 2]);
}

/// What a loop captures is one residual, what it makes is one row per turn, and what is cheap is made again.
#[test]
fn residuals_of_a_loop() {
    let f = read(LOOP);
    let parts = linearize(&f, &[0]).unwrap();
    let types: Vec<String> = parts.linear.params()[..parts.n_residuals]
        .iter()
        .map(|&p| {
            let ty = parts.linear.ty(p);
            format!("{}{}", ty.elem, ty.rank())
        })
        .collect();
    // The matrix, the scales, and for each turn the reciprocal of the time and the cosine.
    assert_eq!(types, ["f642", "f641", "f641", "f642"], "{}", parts.linear);
}

const NESTED: &str = "
func f(%x: f64[n], %w: f64[n], %c: bool) -> (%r) {
  %r: f64[n] = for[n](%x) (%i: usize, %h: f64[n]) -> (%k) {
    %g: f64[n] = for[3](%h) (%j: usize, %p: f64[n]) -> (%q) {
      %wi: f64 = read[0](%w, %i)
      %pj: f64 = read[0](%p, %j)
      %v: f64 = mul(%wi, %pj)
      %e: f64 = sin(%v)
      %two: usize = 2
      %early: bool = lt(%i, %two)
      %u: f64 = if(%early) () -> (%then) {
        %wj: f64 = read[0](%w, %j)
        %then: f64 = mul(%e, %wj)
      } () -> (%e) {
      }
      %q: f64[n] = add_to[0](%p, %j, %u)
    }
    %k: f64[n] = if(%c) () -> (%a) {
      %a: f64[n] = mul(%g, %w)
    } () -> (%w) {
    }
  }
}";

#[test]
fn nested_loops_and_branches() {
    let f = read(NESTED);
    for c in [true, false] {
        let args = [numbers(&[3], 1), numbers(&[3], 2), Tensor::bool(c)];
        check_all(&f, &args, &[0, 1]);
        check_all(&f, &args, &[0]);
        check_all(&f, &args, &[1]);
    }
}

/// The inner length changes from turn to turn.
const RAGGED: &str = "
func f(%x: f64[n], %w: f64[n]) -> (%r) {
  %zero: f64 = 0.0
  %r: f64 = for[n](%zero) (%i: usize, %s: f64) -> (%t) {
    bind[m](%i)
    %t: f64 = for[m](%s) (%j: usize, %p: f64) -> (%q) {
      %xi: f64 = read[0](%x, %i)
      %wj: f64 = read[0](%w, %j)
      %v: f64 = mul(%xi, %wj)
      %q: f64 = add(%p, %v)
    }
  }
}";

#[test]
fn a_triangular_loop() {
    let f = read(RAGGED);
    let args = [numbers(&[4], 1), numbers(&[4], 2)];
    check_all(&f, &args, &[0, 1]);
    // Now every turn of the inner loop is needed backwards.
    let f = read(&RAGGED.replace("add(%p, %v)", "mul(%p, %v)").replace("zero: f64 = 0.0", "zero: f64 = 1.5"));
    check_all(&f, &args, &[0, 1]);
    // Without turns there is no longest inner loop.
    check_all(&f, &[numbers(&[0], 1), numbers(&[0], 2)], &[0, 1]);
}

/// Three loops, the inner ones as long as the position in the one around, or as a count that the loop carries; arrays of such a length; a branch.
const NESTED_RAGGED: &str = "
func f(%x: f64[n], %w: f64[n]) -> (%r) {
  %start: f64 = 0.3
  %zero: usize = 0
  %one: usize = 1
  %r: f64, %last: usize = for[n](%start, %zero) (%i: usize, %s: f64, %count: usize) -> (%t4, %count3) {
    bind[m](%i)
    %t: f64 = for[m](%s) (%j: usize, %p: f64) -> (%q) {
      bind[k](%j)
      %part: f64[k] = read[0: k by 1](%w, %zero)
      %xi: f64 = read[0](%x, %i)
      %xs: f64[k] = broadcast[](%xi)
      %y: f64[k] = mul(%part, %xs)
      %z: f64[k] = sin(%y)
      %sum: f64 = reduce_sum[0](%z)
      %q0: f64 = for[k](%p) (%l: usize, %a: f64) -> (%c) {
        %zl: f64 = read[0](%z, %l)
        %b: f64 = mul(%a, %zl)
        %c: f64 = sin(%b)
      }
      %q: f64 = add(%q0, %sum)
    }
    %odd: bool = lt(%count, %i)
    %t3: f64, %count3: usize = if(%odd) () -> (%t2, %count2) {
      %count2: usize = add(%count, %one)
      bind[c](%count2)
      %t2: f64 = for[c](%t) (%h: usize, %u: f64) -> (%v) {
        %wh: f64 = read[0](%w, %h)
        %u1: f64 = mul(%u, %wh)
        %v: f64 = cos(%u1)
      }
    } () -> (%t, %count) {
    }
    %t4: f64 = mul(%t3, %t3)
  }
}";

#[test]
fn lengths_that_change_in_nested_loops() {
    for n in [5, 3, 1, 0] {
        check_all(&read(NESTED_RAGGED), &[numbers(&[n], 1), numbers(&[n], 2)], &[0, 1]);
    }
}

/// Residuals of a triangular loop: what does not change from turn to turn is kept once, and the largest length is computed by a loop of its own in which
/// nothing else is left.
#[test]
fn residuals_of_a_triangular_loop() {
    let parts = linearize(&read(&RAGGED.replace("add(%p, %v)", "mul(%p, %v)")), &[0, 1]).unwrap();
    let residuals: Vec<usize> = parts.primal.results()[1..].iter().map(|&r| parts.primal.ty(r).rank()).collect();
    assert_eq!(residuals, [1, 1, 2, 2], "the arguments, and both factors of every inner turn: {}", parts.primal);
    let first = parts.primal.body.stmts.iter().find(|stmt| !stmt.bodies.is_empty()).unwrap();
    assert!(first.bodies[0].n_stmts() <= 1, "the largest length alone: {}", parts.primal);
}

/// Reading the elements of an array in a loop takes one update per turn in reverse, and no array of zeros.
#[test]
fn elements_in_a_loop_are_added_in_place() {
    let f = read(
        "
func f(%x: f64[n]) -> (%r) {
  %zero: f64 = 0.0
  %r: f64 = for[n](%zero) (%i: usize, %s: f64) -> (%t) {
    %xi: f64 = read[0](%x, %i)
    %v: f64 = mul(%xi, %xi)
    %t: f64 = add(%s, %v)
  }
}",
    );
    check_all(&f, &[numbers(&[4], 1)], &[0]);
    let reverse = grad(&f, &[0]).unwrap();
    fn in_loops<'a>(stmts: &'a [Stmt], inside: bool, found: &mut Vec<&'a Stmt>) {
        for stmt in stmts {
            if inside {
                found.push(stmt);
            }
            for body in &stmt.bodies {
                in_loops(&body.stmts, true, found);
            }
        }
    }
    let mut found = Vec::new();
    in_loops(&reverse.body.stmts, false, &mut found);
    let zero = Op::Const(Elem::F64, Literal::Float(0.0));
    assert!(found.iter().all(|stmt| stmt.op != zero), "{reverse}");
}

#[test]
fn transposing_twice_gives_the_function_back() {
    let f = read(
        "
func f(%a: f64[n, m], %x: f64[m], %y: f64[n]) -> (%r) {
  %ax: f64[n] = einsum[ij,j->i](%a, %x)
  %r: f64[n] = sub(%ax, %y)
}",
    );
    let args = [numbers(&[3, 2], 1), numbers(&[2], 2), numbers(&[3], 3)];
    let once = transpose(&f, &[1, 2]).unwrap();
    let twice = transpose(&once, &[1]).unwrap();
    assert_near(&run(&twice, &args), &run(&f, &args), 1e-15, "twice");
    assert!(transpose(&f, &[0, 1]).unwrap_err().message.contains("not a linear function"));
    assert!(transpose(&f, &[1]).unwrap_err().message.contains("not a linear function"));
}

#[test]
fn names_follow_the_user() {
    let reverse = vjp(&read(STRAIGHT), &[1]).unwrap().to_string();
    for name in ["%z_bar", "%t_bar", "%w_bar", "%loss_bar"] {
        assert!(reverse.contains(name), "{name}\n{reverse}");
    }
    let forward = jvp(&read(STRAIGHT), &[1]).unwrap().to_string();
    for name in ["%z_dot", "%t_dot", "%w_dot", "%loss_dot"] {
        assert!(forward.contains(name), "{name}\n{forward}");
    }
}

#[test]
fn a_cotangent_brings_a_computed_length() {
    let f = read(
        "
func f(%x: f64, %t: usize) -> (%y) {
  bind[turns](%t)
  %z: f64[turns] = broadcast[](%x)
  %y: f64[turns] = mul(%z, %z)
}",
    );
    check_all(&f, &[Tensor::f64(1.5), Tensor::usize(3)], &[0]);
    // One of another length is an error.
    let reverse = vjp(&f, &[0]).unwrap();
    let args = [Tensor::f64(1.5), Tensor::usize(3), Tensor::f64s(&[2], vec![1.0, 1.0])];
    let error = bilevel_compiler::ir::eval::eval(&reverse, &args).unwrap_err();
    assert!(error.to_string().contains("must be `turns`, which is 2, is 3"), "{error}");
    let refused = grad(&f, &[0]).unwrap_err();
    assert!(refused.message.contains("one scalar float result"), "{refused}");
}

/// The square root by Newton's method, which runs until the square is near enough, and the number of its turns.
const NEWTON: &str = "func newton(%x: f64) -> (%root, %count) {
   %zero: usize = 0
   %root: f64, %count: usize = while(%x, %zero) (%r: f64, %k: usize) -> (%far) {
     %square: f64 = mul(%r, %r)
     %rest: f64 = sub(%square, %x)
     %error: f64 = abs(%rest)
     %tolerance: f64 = 1e-13
     %far: bool = lt(%tolerance, %error)
   } (%s: f64, %l: usize) -> (%t, %m) {
     %quotient: f64 = div(%x, %s)
     %sum: f64 = add(%s, %quotient)
     %half: f64 = 0.5
     %t: f64 = mul(%half, %sum)
     %one: usize = 1
     %m: usize = add(%l, %one)
   }
 }";

#[test]
fn a_while_loop_has_a_forward_mode_of_any_order() {
    let f = read(NEWTON);
    let (x, one) = (Tensor::f64(3.0), Tensor::f64(1.0));
    let first = jvp(&f, &[0]).unwrap();
    let out = run(&first, &[x.clone(), one.clone()]);
    assert!(out[1].as_int()[0] > 3, "the loop has turns");
    assert_near(&[Tensor::f64(0.5 / 3f64.sqrt())], &out[2..], 1e-12, "derivative of the root");
    let second = jvp(&optimize(&first), &[0]).unwrap();
    let out = run(&second, &[x, one.clone(), one]);
    assert_near(&[Tensor::f64(-0.25 * 3f64.powf(-1.5))], &out[4..], 1e-10, "second derivative of the root");
}

#[test]
fn a_while_loop_has_no_reverse_mode() {
    let f = read(NEWTON);
    for error in [vjp(&f, &[0]).map(drop), linearize(&f, &[0]).map(drop)] {
        assert_eq!(error.unwrap_err().reason, Reason::UnboundedLoop);
    }
    // Where the loop does not depend on what is differentiated, it is computed once and held.
    let scaled = read(
        &NEWTON
            .replace("newton(%x: f64) -> (%root, %count)", "scaled(%x: f64, %y: f64) -> (%scaled)")
            .replace("\n }", "\n   %scaled: f64 = mul(%root, %y)\n }"),
    );
    check_all(&scaled, &[Tensor::f64(3.0), Tensor::f64(-0.7)], &[1]);
}

/// A check among what is known, in a loop that gives nothing else.
const CHECKED: &str = "func checked(%x: f64[n], %limit: usize) -> (%sum) {
   for[n]() (%i: usize) -> () {
     %holds: bool = lt(%i, %limit)
     check[\"too long\"](%holds)
   }
   %1: f64[n] = exp(%x)
   %sum: f64 = reduce_sum[0](%1)
 }";

#[test]
fn checks_survive_every_transformation() {
    let f = read(CHECKED);
    let x = numbers(&[4], 1);
    check_all(&f, &[x.clone(), Tensor::usize(4)], &[0]);
    let one = Tensor::f64(1.0);
    let linear = linearize(&f, &[0]).unwrap();
    let all: [(Func, Vec<Tensor>); 5] = [
        (optimize(&f), vec![]),
        (jvp(&f, &[0]).unwrap(), vec![x.clone()]),
        (vjp(&f, &[0]).unwrap(), vec![one]),
        (hvp(&f, &[0]).unwrap(), vec![x.clone()]),
        (linear.primal, vec![]),
    ];
    for (g, others) in all {
        let mut n_checks = 0;
        g.body.walk(&mut |stmt| n_checks += usize::from(matches!(stmt.op, Op::Control(Control::Check { .. }))));
        assert_eq!(n_checks, 1, "{g}");
        let args = |limit: usize| [vec![x.clone(), Tensor::usize(limit)], others.clone()].concat();
        assert!(eval(&g, &args(4)).is_ok(), "{g}");
        assert_eq!(eval(&g, &args(3)).unwrap_err(), EvalError::Check("too long".into()), "{g}");
    }
}
