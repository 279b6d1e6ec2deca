//! Properties of derivatives on random programs. Every failure names its seed; a seed that once failed stays in `REGRESSIONS`.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use bilevel_compiler::derive::{grad, hvp, jvp, linearity, linearize, split, vjp};
use bilevel_compiler::ir::eval::Tensor;
use bilevel_compiler::ir::text::{parse, print, same};
use bilevel_compiler::ir::verify::verify;
use bilevel_compiler::ir::{Elem, Func};
use bilevel_compiler::optimize::{dead::dead, hoist::hoist, optimize, share::share, simplify::simplify};
use bilevel_compiler::testing::check::{assert_near, difference, inner, run, size};
use bilevel_compiler::testing::{Limits, Program, Random, program};

/// Seeds on which some version of a transformation was wrong.
const REGRESSIONS: &[u64] = &[];

/// How many programs each property sees; more with `BILEVEL_RANDOM_PROGRAMS`.
fn n_programs() -> u64 {
    std::env::var("BILEVEL_RANDOM_PROGRAMS").map_or(1500, |n| n.parse().expect("a number of programs"))
}

/// Runs a property on many programs, and says on which seed it failed. The property says whether the point was fit for its comparisons.
fn for_programs(limits: Limits, property: impl Fn(&Program, &mut Random) -> bool) {
    let mut unfit = 0;
    let n_programs = n_programs();
    for seed in REGRESSIONS.iter().copied().chain(0..n_programs) {
        let limits = Limits { n_draws: limits.n_draws + seed as usize % 6, ..limits };
        let p = program(seed, &limits);
        match catch_unwind(AssertUnwindSafe(|| property(&p, &mut Random::new(!seed)))) {
            Ok(fit) => unfit += u64::from(!fit),
            Err(panic) => {
                eprintln!("seed {seed} with {limits:?}:\n{}arguments: {:?}", p.func, p.args);
                resume_unwind(panic);
            }
        }
    }
    assert!(unfit * 20 <= n_programs, "{unfit} of {n_programs} programs were unfit: the test compares too little");
}

/// A direction for each of some parameters.
fn directions(p: &Program, random: &mut Random) -> Vec<Tensor> {
    p.wrt.iter().map(|&k| random.tensor(p.args[k].elem(), &p.args[k].shape)).collect()
}

#[test]
fn programs_are_well_formed_and_read_back() {
    for control in [false, true] {
        for_programs(Limits { n_draws: 10, elem: Elem::F32, control, scalar: false }, |p, _| {
            verify(&p.func).unwrap_or_else(|v| panic!("{v:?}"));
            let again = parse(&print(&p.func)).unwrap_or_else(|e| panic!("{e}"));
            assert!(same(&p.func, &again), "{again}");
            let out = run(&p.func, &p.args);
            assert!(out.iter().zip(run(&again, &p.args)).all(|(a, b)| a.same_bits(&b)));
            out.iter().flat_map(Tensor::to_f64).all(f64::is_finite)
        });
    }
}

/// Asserts that every pass, and all of them together, keep what a function gives, up to the rounding of reordered sums.
fn assert_passes_keep(f: &Func, args: &[Tensor]) {
    let before = run(f, args);
    type Pass = fn(&Func) -> Func;
    let passes: [(&str, Pass); 5] = [("simplify", simplify), ("share", share), ("hoist", hoist), ("dead", dead), ("optimize", optimize)];
    for (name, pass) in passes {
        let after = pass(f);
        verify(&after).unwrap_or_else(|v| panic!("{name}: {v:?}\n{after}"));
        assert_near(&before, &run(&after, args), 1e-13, name);
    }
}

#[test]
fn passes_keep_the_results() {
    for_programs(Limits { n_draws: 8, elem: Elem::F64, control: true, scalar: false }, |p, random| {
        assert_passes_keep(&p.func, &p.args);
        let dots = directions(p, random);
        assert_passes_keep(&jvp(&p.func, &p.wrt).unwrap(), &[&p.args[..], &dots].concat());
        true
    });
}

#[test]
fn parts_of_a_split_make_the_whole() {
    for_programs(Limits { n_draws: 8, elem: Elem::F64, control: true, scalar: false }, |p, random| {
        let (known, unknown): (Vec<usize>, Vec<usize>) = (0..p.args.len()).partition(|_| random.one_in(2));
        let parts = split(&p.func, &known, &[]).unwrap();
        let pick = |positions: &[usize]| positions.iter().map(|&k| p.args[k].clone()).collect::<Vec<_>>();
        let residuals = run(&parts.known, &pick(&known));
        assert_eq!(residuals.len(), parts.n_residuals);
        let results = run(&parts.unknown, &[residuals, pick(&unknown)].concat());
        assert!(results.iter().zip(run(&p.func, &p.args)).all(|(a, b)| a.same_bits(&b)), "{}\n{}", parts.known, parts.unknown);
        true
    });
}

#[test]
fn first_derivatives() {
    for_programs(Limits { n_draws: 8, elem: Elem::F64, control: true, scalar: false }, |p, random| {
        let n_results = p.func.results().len();
        let dots = directions(p, random);
        let forward = run(&jvp(&p.func, &p.wrt).unwrap(), &[&p.args[..], &dots].concat());
        let (values, tangents) = forward.split_at(n_results);
        assert_near(values, &run(&p.func, &p.args), 1e-13, "the values beside the tangents");

        let bars: Vec<Tensor> = values.iter().map(|v| random.tensor(Elem::F64, &v.shape)).collect();
        let reverse = run(&vjp(&p.func, &p.wrt).unwrap(), &[&p.args[..], &bars].concat());
        let (values_again, cotangents) = reverse.split_at(n_results);
        assert_near(values, values_again, 1e-13, "the values beside the cotangents");
        let (forwards, backwards) = (inner(tangents, &bars), inner(cotangents, &dots));
        let scale = size(tangents).max(size(cotangents)).max(1.0);
        assert!((forwards - backwards).abs() <= 1e-12 * scale, "adjoint identity: {forwards} and {backwards}");

        let parts = linearize(&p.func, &p.wrt).unwrap();
        let tangent_params: Vec<usize> = (parts.n_residuals..parts.linear.n_params()).collect();
        linearity(&parts.linear, &tangent_params).unwrap_or_else(|e| panic!("{e}\n{}", parts.linear));
        let residuals = run(&parts.primal, &p.args).split_off(n_results);
        let applied = run(&parts.linear, &[residuals, dots.clone()].concat());
        assert_near(tangents, &applied, 1e-13, "linearize against jvp");

        let (differences, fit) = difference(&p.func, &p.args, &p.wrt, &dots);
        if fit {
            assert_near(tangents, &differences, 1e-6, "jvp against differences");
        }
        fit
    });
}

#[test]
fn second_derivatives() {
    for_programs(Limits { n_draws: 5, elem: Elem::F64, control: true, scalar: true }, |p, random| {
        let (u, v) = (directions(p, random), directions(p, random));
        let n = p.wrt.len();
        let gradient = grad(&p.func, &p.wrt).unwrap();
        let forward_over_reverse = run(&hvp(&p.func, &p.wrt).unwrap(), &[&p.args[..], &v].concat());

        let directional = vjp(&jvp(&p.func, &p.wrt).unwrap(), &p.wrt).unwrap();
        let seeds = [Tensor::f64(0.0), Tensor::f64(1.0)];
        let reverse_over_forward = run(&directional, &[&p.args[..], &v, &seeds].concat()).split_off(2);
        assert_near(&forward_over_reverse, &reverse_over_forward, 1e-9, "reverse over forward");

        let twice = vjp(&gradient, &p.wrt).unwrap();
        let reverse_over_reverse = run(&twice, &[&p.args[..], &seeds[..1], &v].concat()).split_off(1 + n);
        assert_near(&forward_over_reverse, &reverse_over_reverse, 1e-9, "reverse over reverse");

        let other = run(&hvp(&p.func, &p.wrt).unwrap(), &[&p.args[..], &u].concat());
        let (uhv, vhu) = (inner(&u, &forward_over_reverse), inner(&v, &other));
        let scale = size(&forward_over_reverse).max(size(&other)).max(1.0);
        assert!((uhv - vhu).abs() <= 1e-10 * scale, "symmetry: {uhv} and {vhu}");

        let (differences, fit) = difference(&gradient, &p.args, &p.wrt, &v);
        if fit {
            assert_near(&forward_over_reverse, &differences[1..], 1e-6, "hvp against differences of the gradient");
        }
        fit
    });
}
