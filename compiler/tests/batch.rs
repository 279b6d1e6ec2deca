//! `batch`: the same as one example after the other.

use bilevel_compiler::derive::{batch, grad, has_symmetric_hessian, hessian, hvp, hvp_many, jacobian, jvp, jvp_many, vjp};
use bilevel_compiler::ir::eval::Tensor;
use bilevel_compiler::ir::{Control, Elem, Func, Op};
use bilevel_compiler::testing::check::{assert_near, read, run};
use bilevel_compiler::testing::examples::{assert_batch, batched_args, one_by_one, stack};
use bilevel_compiler::testing::{Limits, Random, program};

/// A random value of the shape and type of `like`.
fn another(random: &mut Random, like: &Tensor) -> Tensor {
    random.tensor(like.elem(), &like.shape)
}

/// How many programs each property sees; more with `BILEVEL_BATCHED_PROGRAMS`.
fn n_programs() -> u64 {
    std::env::var("BILEVEL_BATCHED_PROGRAMS").map_or(1500, |n| n.parse().expect("a number of programs"))
}

const N: usize = 3;

/// Some values for each of a random part of the arguments, among them always one of `among`.
fn examples(args: &[Tensor], among: &[usize], random: &mut Random) -> Vec<Vec<Tensor>> {
    let sure = *random.pick(among);
    let mut all: Vec<Vec<Tensor>> = Vec::new();
    for (k, arg) in args.iter().enumerate() {
        let n = if k == sure || random.one_in(2) { N } else { 1 };
        all.push((0..n).map(|e| if e == 0 { arg.clone() } else { another(random, arg) }).collect());
    }
    all
}

#[test]
fn random_programs() {
    for seed in 0..n_programs() {
        let p = program(seed, &Limits { n_draws: 6 + seed as usize % 8, elem: Elem::F64, control: true, scalar: false, empty: false });
        let mut random = Random::new(!seed);
        let all: Vec<usize> = (0..p.args.len()).collect();
        let args = examples(&p.args, &all, &mut random);
        assert_batch(&p.func, &args, N, &format!("seed {seed}"));
    }
}

#[test]
fn batches_of_batches() {
    for seed in 0..n_programs() / 8 {
        let p = program(seed, &Limits { n_draws: 6, elem: Elem::F64, control: true, scalar: false, empty: false });
        let mut random = Random::new(!seed);
        let all: Vec<usize> = (0..p.args.len()).collect();
        let inner = examples(&p.args, &all, &mut random);
        let batched: Vec<usize> = all.iter().copied().filter(|&k| inner[k].len() > 1).collect();
        let once = batch(&p.func, &batched).unwrap();
        let outer = examples(&batched_args(&inner), &all, &mut random);
        assert_batch(&once, &outer, N, &format!("seed {seed}, the second time"));
    }
}

/// The derivative of a batch is the batch of the derivative.
#[test]
fn derivatives_commute() {
    for seed in 0..n_programs() / 2 {
        let p = program(seed, &Limits { n_draws: 6, elem: Elem::F64, control: true, scalar: false, empty: false });
        let mut random = Random::new(!seed);
        let n = p.args.len();
        let values = examples(&p.args, &p.wrt, &mut random);
        let args = batched_args(&values);
        let of_args: Vec<usize> = (0..n).filter(|&k| values[k].len() > 1).collect();
        let together = batch(&p.func, &of_args).unwrap();
        let dots: Vec<Tensor> = p.wrt.iter().map(|&k| another(&mut random, &args[k])).collect();
        let of_dots = (0..p.wrt.len()).filter(|&j| of_args.contains(&p.wrt[j])).map(|j| n + j);
        let batch_of_jvp = batch(&jvp(&p.func, &p.wrt).unwrap(), &of_args.iter().copied().chain(of_dots).collect::<Vec<_>>()).unwrap();
        let jvp_of_batch = jvp(&together, &p.wrt).unwrap();
        let at = [&args[..], &dots].concat();
        let tangents = run(&jvp_of_batch, &at);
        assert_near(&tangents, &run(&batch_of_jvp, &at), 1e-12, &format!("seed {seed}, forward mode"));

        // Of parameters that differ between examples, the cotangents do too; those of the others are sums over the examples.
        let wrt: Vec<usize> = p.wrt.iter().copied().filter(|k| of_args.contains(k)).collect();
        let n_results = p.func.results().len();
        let bars: Vec<Tensor> = tangents[..n_results].iter().map(|r| another(&mut random, r)).collect();
        let of_bars = n..n + n_results;
        let batch_of_vjp = batch(&vjp(&p.func, &wrt).unwrap(), &of_args.iter().copied().chain(of_bars).collect::<Vec<_>>()).unwrap();
        let at = [&args[..], &bars].concat();
        let cotangents = run(&vjp(&together, &wrt).unwrap(), &at);
        assert_near(&cotangents, &run(&batch_of_vjp, &at), 1e-12, &format!("seed {seed}, reverse mode"));
    }
}

/// Of two sides each may only be computed for the examples that take it: one of them would read out of range, and has infinite derivatives, for the
/// others.
const GUARDED: &str = "
func f(%x: f64[n], %i: usize, %t: f64) -> (%y) {
  %n: usize = dim_size[n]()
  %inside: bool = lt(%i, %n)
  %y: f64 = if(%inside) () -> (%l) {
    %xi: f64 = read[0](%x, %i)
    %s: f64 = sub(%xi, %t)
    %l: f64 = ln(%s)
  } () -> (%r) {
    %r: f64 = sqrt(%t)
  }
}";

#[test]
fn sides_are_computed_where_they_are_taken() {
    let f = read(GUARDED);
    let x = Tensor::f64s(&[2], vec![3.0, 5.0]);
    let i = [1, 7, 0, 9].map(Tensor::usize).to_vec();
    // Where the side is not taken, `ln` would have a pole, and `sqrt` be NaN.
    let t = [1.0, 3.0, -2.0, 0.25].map(Tensor::f64).to_vec();
    assert_batch(&f, &[vec![x.clone()], i.clone(), t.clone()], 4, "both differ");
    assert_batch(&f, &[vec![x.clone()], i[..1].to_vec(), vec![t[0].clone(), t[0].clone()]], 2, "one side is never taken");
    let derivative = grad(&f, &[0, 2]).unwrap();
    assert_batch(&derivative, &[vec![x.clone()], i.clone(), t.clone()], 4, "the gradient");
    let of_batch = vjp(&batch(&f, &[1, 2]).unwrap(), &[0, 2]).unwrap();
    let args = [x, stack(&i), stack(&t), Tensor::f64s(&[4], vec![1.0; 4])];
    let got = run(&of_batch, &args);
    let want = one_by_one(&derivative, &[vec![args[0].clone()], i, t], 4);
    assert_eq!(got[2], want[2]);
    let sums: Vec<f64> = (0..2).map(|j| (0..4).map(|e| want[1].as_f64()[2 * e + j]).sum()).collect();
    assert_near(&got[1..2], &[Tensor::f64s(&[2], sums)], 1e-13, "the gradient of what is shared");
}

/// A loop whose number of turns differs, with a length computed from data, an inner branch, and a position that is in range only while the loop runs.
const RAGGED: &str = "
func f(%x: f64[m], %n: usize, %h: f64) -> (%last, %count, %twice) {
  bind[turns](%n)
  %zero: usize = 0
  %last: f64, %count: usize = for[turns](%h, %zero) (%i: usize, %s: f64, %c: usize) -> (%next, %more) {
    %xi: f64 = read[0](%x, %c)
    %product: f64 = mul(%xi, %s)
    %positive: bool = lt(%xi, %s)
    %next: f64 = if(%positive) () -> (%a) {
      %a: f64 = sin(%product)
    } () -> (%b) {
      %power: f64 = mul(%product, %product)
      %one: f64 = 1.0
      %above: f64 = add(%one, %power)
      %b: f64 = sqrt(%above)
    }
    %step: usize = 1
    %more: usize = add(%c, %step)
  }
  %size: usize = dim_size[turns]()
  %two: usize = 2
  %twice: usize = mul(%size, %two)
}";

#[test]
fn loops_of_different_lengths() {
    let x = Random::new(1).tensor(Elem::F64, &[4]);
    let n = [2, 0, 4, 3].map(Tensor::usize).to_vec();
    let h = [0.3, 0.5, -0.7, 0.9].map(Tensor::f64).to_vec();
    for text in [RAGGED.to_owned(), RAGGED.replace("for[turns]", "for[turns, reverse]")] {
        let f = read(&text);
        assert_batch(&f, &[vec![x.clone()], n.clone(), h.clone()], 4, "the lengths differ");
        assert_batch(&f, &[vec![x.clone()], n[2..3].to_vec(), h.clone()], 4, "the lengths are the same");
        let forward = jvp(&f, &[0, 2]).unwrap();
        let dots = [Random::new(2).tensor(Elem::F64, &[4]), Tensor::f64(0.8)];
        let args = [vec![x.clone()], n.clone(), h.clone(), vec![dots[0].clone()], vec![dots[1].clone()]];
        assert_batch(&forward, &args, 4, "forward mode");
        // Reverse mode keeps rows of each turn.
        let mut scalar = f.clone();
        scalar.body.results.truncate(1);
        assert_batch(&grad(&scalar, &[0, 2]).unwrap(), &args[..3], 4, "reverse mode");

        // Inside of a branch that not all examples take, the others run as long as one that does; the length is bound inside or outside.
        let (head, rest) = text.split_once("{\n").unwrap();
        let head = head.replace("-> (%last, %count, %twice)", "-> (%r)").replace("%n: usize,", "%n: usize, %flag: bool,");
        let rest = rest.trim_end().trim_end_matches('}');
        let (bind, unbound) = rest.split_once('\n').unwrap();
        for (outside, inside) in [("", rest), (bind, unbound)] {
            let branch = format!("{head}{{\n{outside}\n%r: f64 = if(%flag) () -> (%last) {{\n{inside}\n}} () -> (%h) {{\n}}\n}}");
            let flag = [true, false, false, true].map(Tensor::bool).to_vec();
            assert_batch(&read(&branch), &[vec![x.clone()], n.clone(), flag, h.clone()], 4, "in a branch");
        }
    }
}

#[test]
fn ragged_arrays_are_refused() {
    let f = read(
        "
func f(%x: f64, %n: usize) -> (%s) {
  bind[len](%n)
  %wide: f64[len] = broadcast[](%x)
  %s: f64 = reduce_sum[0](%wide)
}",
    );
    assert!(batch(&f, &[0]).is_ok());
    let error = batch(&f, &[1]).unwrap_err().message;
    assert_eq!(error, "the length `len` differs between the examples of a batch, so that no array can have it");
}

/// What does not depend on the batch is computed once: only the product with the batched operand has the axis.
#[test]
fn shared_values_stay_shared() {
    let f = read(
        "
func f(%a: f64[n, n], %b: f64[n, n], %x: f64[n]) -> (%y) {
  %ab: f64[n, n] = einsum[ij,jk->ik](%a, %b)
  %s: f64[n, n] = sin(%ab)
  %y: f64[n] = einsum[ij,j->i](%s, %x)
}",
    );
    let ranks = |f: &Func| f.body.stmts.iter().map(|s| f.ty(s.outs[0]).rank()).collect::<Vec<_>>();
    assert_eq!(ranks(&batch(&f, &[2]).unwrap()), [2, 2, 2]);
    assert_eq!(ranks(&batch(&f, &[1]).unwrap()), [3, 3, 2]);
}

/// Every derivative of `f` in turn along each element of some arguments, as rows with the elements of the result.
fn directions(f: &Func, args: &[Tensor], wrt: &[usize]) -> Vec<Vec<Vec<Tensor>>> {
    let of = |&k: &usize| {
        let unit = |e: usize| {
            let data = (0..args[k].data.len()).map(|j| f64::from(u8::from(j == e))).collect();
            Tensor::f64s(&args[k].shape, data)
        };
        (0..args[k].data.len()).map(|e| run(f, &[args, &[unit(e)]].concat())).collect()
    };
    wrt.iter().map(of).collect()
}

#[test]
fn jacobians() {
    for seed in 0..n_programs() / 8 {
        let mut p = program(seed, &Limits { n_draws: 6, elem: Elem::F64, control: true, scalar: false, empty: false });
        p.func.body.results.truncate(1);
        let together = jacobian(&p.func, &p.wrt).unwrap();
        let got = run(&together, &p.args);
        let result = &run(&p.func, &p.args)[0];
        for (j, &k) in p.wrt.iter().enumerate() {
            let mut tangent = jvp(&p.func, &[k]).unwrap();
            tangent.body.results.remove(0);
            let columns = &directions(&tangent, &p.args, &[k])[0];
            let (n_in, n_out) = (columns.len(), result.data.len());
            let elements = (0..n_out).flat_map(|o| columns.iter().map(move |c| c[0].as_f64()[o])).collect();
            let shape = [&result.shape[..], &p.args[k].shape[..]].concat();
            assert_eq!(n_in * n_out, shape.iter().product::<usize>());
            assert_near(&[Tensor::f64s(&shape, elements)], &got[j..=j], 1e-12, &format!("seed {seed}, parameter {k}"));
        }
    }
}

#[test]
fn hessians() {
    for seed in 0..n_programs() / 8 {
        let p = program(seed, &Limits { n_draws: 5, elem: Elem::F64, control: true, scalar: true, empty: false });
        let got = run(&hessian(&p.func, &p.wrt).unwrap(), &p.args);
        let n = p.wrt.len();
        for (j, &k) in p.wrt.iter().enumerate() {
            let mut product = jvp(&grad(&p.func, &p.wrt).unwrap(), &[k]).unwrap();
            product.body.results.drain(..n + 2);
            let columns = &directions(&product, &p.args, &[k])[0];
            for i in 0..n {
                let size = p.args[p.wrt[i]].data.len();
                let elements = (0..size).flat_map(|e| columns.iter().map(move |c| c[i].as_f64()[e])).collect();
                let shape = [&p.args[p.wrt[i]].shape[..], &p.args[k].shape[..]].concat();
                let block = &got[i * n + j];
                assert_near(&[Tensor::f64s(&shape, elements)], std::slice::from_ref(block), 1e-12, &format!("seed {seed}, block {i} {j}"));
                // Symmetric to the bit, where it is symmetric at all.
                if !has_symmetric_hessian(&p.func) {
                    continue;
                }
                let mirror = got[j * n + i].as_f64();
                for (e, x) in block.as_f64().iter().enumerate() {
                    let (row, column) = (e / columns.len(), e % columns.len());
                    assert_eq!(x.to_bits(), mirror[column * size + row].to_bits(), "seed {seed}, block {i} {j}");
                }
            }
        }
    }
}

#[test]
fn many_directions() {
    for seed in 0..n_programs() / 8 {
        let p = program(seed, &Limits { n_draws: 6, elem: Elem::F64, control: true, scalar: true, empty: false });
        let mut random = Random::new(!seed);
        let all: Vec<Vec<Tensor>> = p.wrt.iter().map(|&k| (0..N).map(|_| another(&mut random, &p.args[k])).collect()).collect();
        let args: Vec<Vec<Tensor>> = p.args.iter().map(|a| vec![a.clone()]).chain(all).collect();
        let at = batched_args(&args);
        let got = run(&jvp_many(&p.func, &p.wrt).unwrap(), &at);
        assert_eq!(got[0].shape, [0; 0], "the value comes once");
        assert_near(&got[1..], &one_by_one(&jvp(&p.func, &p.wrt).unwrap(), &args, N)[1..], 1e-12, "tangents");
        let got = run(&hvp_many(&p.func, &p.wrt).unwrap(), &at);
        assert_near(&got, &one_by_one(&hvp(&p.func, &p.wrt).unwrap(), &args, N), 1e-12, "products with the Hessian");
    }
}

/// Forward mode for few parameters, reverse mode for few results, and both where only the run shows which is cheaper.
#[test]
fn jacobians_choose_their_mode() {
    let count = |text: &str, wrt: &[usize]| {
        let f = jacobian(&read(text), wrt).unwrap();
        let mut branches = 0;
        f.body.walk(&mut |stmt| branches += usize::from(matches!(stmt.op, Op::Control(Control::If))));
        branches
    };
    let of = |a: &str, y: &str, spec: &str| {
        format!("func f(%a: f64[{a}], %x: f64[3]) -> (%z) {{\n  %y: f64[{y}] = einsum[{spec}](%a, %x)\n  %z: f64[{y}] = sin(%y)\n}}")
    };
    assert_eq!(count(&of("n, 3", "n", "ij,j->i"), &[1]), 1);
    assert_eq!(count(&of("n, 3", "n", "ij,j->i"), &[0]), 0);
    assert_eq!(count(&of("2, 3", "2", "ij,j->i"), &[0, 1]), 0);
    assert_eq!(count(&of("n", "n, 3", "i,j->ij"), &[0]), 0);
}

/// What is held constant is so in derivatives of every order, so that second derivatives stay symmetric and are what products with the Hessian give.
#[test]
fn hessian_of_what_is_held_constant() {
    let f = read(
        "
func f(%x: f64, %y: f64) -> (%z) {
  %held: f64 = stop_gradient(%x)
  %p: f64 = mul(%held, %y)
  %q: f64 = mul(%x, %x)
  %pq: f64 = mul(%p, %q)
  %z: f64 = sin(%pq)
}",
    );
    let args = [Tensor::f64(0.7), Tensor::f64(1.3)];
    let h = run(&hessian(&f, &[0, 1]).unwrap(), &args);
    let product = hvp(&f, &[0, 1]).unwrap();
    for (j, v) in [[1.0, 0.0], [0.0, 1.0]].into_iter().enumerate() {
        let column = run(&product, &[&args[..], &v.map(Tensor::f64)].concat());
        assert_near(&[h[j].clone(), h[2 + j].clone()], &column, 1e-14, "a column");
        assert_near(&[h[2 * j].clone(), h[2 * j + 1].clone()], &column, 1e-14, "a row");
    }
}
