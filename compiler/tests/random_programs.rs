//! What holds of every program, on many random ones: its text reads back, every pass keeps its results, and its derivatives agree with each other and
//! with differences.
//!
//! `BILEVEL_RANDOM_PROGRAMS=1000..1500` says which seeds there are. A failure names the seed, what failed, and the smallest program on which that
//! still fails; put its text into a file in `regressions/`, and every run begins with it.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Once;

use bilevel_compiler::derive::{grad, hvp, jvp, linearity, linearize, split, vjp};
use bilevel_compiler::ir::eval::Tensor;
use bilevel_compiler::ir::text::{parse, print, same};
use bilevel_compiler::ir::verify::verify;
use bilevel_compiler::ir::{Elem, Elementwise, Func};
use bilevel_compiler::optimize::{dead::dead, hoist::hoist, optimize, share::share, simplify::simplify};
use bilevel_compiler::testing::check::{assert_near, difference, inner, run, size};
use bilevel_compiler::testing::places::{PLACES, place};
use bilevel_compiler::testing::shrink::shrink;
use bilevel_compiler::testing::{Limits, Program, Random, program, regression};

/// The seeds of a run, of which each of the `N_TESTS` tests takes a part, so that all cores have something to do.
const SEEDS: std::ops::Range<u64> = 0..20_000;
const N_TESTS: u64 = 8;

/// About how many operations a program has at least.
const N_DRAWS: usize = 4;

fn seeds(part: u64) -> std::ops::Range<u64> {
    let all = std::env::var("BILEVEL_RANDOM_PROGRAMS").map_or(SEEDS, |range| {
        let (first, end) = range.split_once("..").expect("a range of seeds");
        first.parse().expect("the first seed")..end.parse().expect("the end of the seeds")
    });
    let n = all.end - all.start;
    all.start + part * n / N_TESTS..all.start + (part + 1) * n / N_TESTS
}

thread_local! {
    /// What is being checked.
    static STAGE: Cell<&'static str> = const { Cell::new("") };
    /// Whether panics on this thread are expected, so that their messages are not printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs all properties on a program: whether the point was fit for comparing with differences, or what failed and how.
fn check(p: &Program, seed: u64) -> Result<bool, (&'static str, String)> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
    QUIET.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| properties(p, &mut Random::new(!seed))));
    QUIET.set(false);
    outcome.map_err(|panic| (STAGE.get(), text_of(&*panic)))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Fails with the smallest program that fails in the same way.
fn report(p: &Program, seed: u64, (stage, text): (&'static str, String)) -> ! {
    eprintln!("seed {seed} fails in {stage}: {text}\nlooking for a smaller program ...");
    let fails = |p: &Program| check(p, seed).is_err_and(|(s, _)| s == stage);
    let smallest = shrink(p, &fails);
    let text = check(&smallest, seed).err().map_or(text, |(_, text)| text);
    panic!("seed {seed} fails in {stage}: {text}\nThe smallest program:\n{}", regression::write(&smallest));
}

fn random_programs(part: u64) {
    let seeds = seeds(part);
    println!("seeds {seeds:?}");
    let mut unfit = 0;
    for seed in seeds.clone() {
        let p = program(seed, &Limits::of_seed(seed, N_DRAWS));
        match check(&p, seed) {
            Ok(fit) => unfit += u64::from(!fit),
            Err(failure) => report(&p, seed, failure),
        }
    }
    let n = seeds.end - seeds.start;
    assert!(unfit * 20 <= n, "{unfit} of {n} programs were unfit: the test compares too little with differences");
}

macro_rules! parts {
    ($($name:ident: $part:literal)*) => { $(
        #[test]
        fn $name() {
            random_programs($part);
        }
    )* };
}
parts! {
    random_programs_0: 0
    random_programs_1: 1
    random_programs_2: 2
    random_programs_3: 3
    random_programs_4: 4
    random_programs_5: 5
    random_programs_6: 6
    random_programs_7: 7
}

#[test]
fn programs_that_once_failed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let mut n = 0;
    for file in std::fs::read_dir(&folder).expect("the folder of regressions") {
        let path = file.expect("a readable folder").path();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        if let Err((stage, text)) = check(&regression::read(&text), 0) {
            panic!("{} fails in {stage}: {text}", path.display());
        }
        n += 1;
    }
    assert!(n > 0, "there are regressions");
}

#[test]
fn every_operation_is_drawn() {
    let mut drawn: BTreeMap<&'static str, usize> = BTreeMap::new();
    for seed in 0..3000 {
        let p = program(seed, &Limits::of_seed(seed, N_DRAWS));
        p.func.body.walk(&mut |stmt| *drawn.entry(place(&stmt.op)).or_default() += 1);
    }
    let plain = Elementwise::PLAIN.iter().map(|op| op.name());
    let missing: Vec<&str> = PLACES.iter().copied().chain(plain).filter(|p| drawn.get(p).is_none_or(|&n| n < 5)).collect();
    assert!(missing.is_empty(), "hardly ever drawn: {missing:?}");
}

#[test]
fn programs_in_f32_read_back() {
    for seed in 0..2000 {
        let p = program(seed, &Limits { elem: Elem::F32, ..Limits::of_seed(seed, N_DRAWS) });
        if let Err((stage, text)) = check_text(&p) {
            panic!("seed {seed} fails in {stage}: {text}\n{}", p.func);
        }
    }
}

fn check_text(p: &Program) -> Result<(), (&'static str, String)> {
    catch_unwind(AssertUnwindSafe(|| reads_back(p))).map_err(|panic| (STAGE.get(), text_of(&*panic)))
}

/// All that is claimed of a program. Whether the point was fit for comparing with differences.
fn properties(p: &Program, random: &mut Random) -> bool {
    reads_back(p);
    passes_keep_the_results(p, random);
    parts_of_a_split_make_the_whole(p, random);
    first_derivatives(p, random) & second_derivatives(&p.loss(), random)
}

/// A direction for each float parameter.
fn directions(p: &Program, random: &mut Random) -> Vec<Tensor> {
    p.wrt.iter().map(|&k| random.tensor(p.args[k].elem(), &p.args[k].shape)).collect()
}

fn reads_back(p: &Program) {
    STAGE.set("printing and parsing");
    verify(&p.func).unwrap_or_else(|v| panic!("{v:?}"));
    let again = parse(&print(&p.func)).unwrap_or_else(|e| panic!("{e}"));
    assert!(same(&p.func, &again), "{again}");
    let out = run(&p.func, &p.args);
    assert!(out.iter().zip(run(&again, &p.args)).all(|(a, b)| a.same_bits(&b)));
    assert!(out.iter().flat_map(Tensor::to_f64).all(f64::is_finite), "the results are finite");
}

/// Asserts that every pass, and all of them together, keep what a function gives, up to the rounding of reordered sums.
fn assert_passes_keep(f: &Func, args: &[Tensor]) {
    let before = run(f, args);
    type Pass = fn(&Func) -> Func;
    let passes: [(&'static str, Pass); 5] =
        [("simplify", simplify), ("share", share), ("hoist", hoist), ("dead", dead), ("optimize", optimize)];
    for (name, pass) in passes {
        STAGE.set(name);
        let after = pass(f);
        verify(&after).unwrap_or_else(|v| panic!("{v:?}\n{after}"));
        assert_near(&before, &run(&after, args), 1e-13, "the results after the pass");
    }
}

fn passes_keep_the_results(p: &Program, random: &mut Random) {
    assert_passes_keep(&p.func, &p.args);
    STAGE.set("forward mode");
    let dots = directions(p, random);
    assert_passes_keep(&jvp(&p.func, &p.wrt).unwrap(), &[&p.args[..], &dots].concat());
}

fn parts_of_a_split_make_the_whole(p: &Program, random: &mut Random) {
    STAGE.set("split");
    let (known, unknown): (Vec<usize>, Vec<usize>) = (0..p.args.len()).partition(|_| random.one_in(2));
    let parts = split(&p.func, &known, &[]).unwrap();
    let pick = |positions: &[usize]| positions.iter().map(|&k| p.args[k].clone()).collect::<Vec<_>>();
    let residuals = run(&parts.known, &pick(&known));
    assert_eq!(residuals.len(), parts.n_residuals);
    let results = run(&parts.unknown, &[residuals, pick(&unknown)].concat());
    assert!(results.iter().zip(run(&p.func, &p.args)).all(|(a, b)| a.same_bits(&b)), "{}\n{}", parts.known, parts.unknown);
}

fn first_derivatives(p: &Program, random: &mut Random) -> bool {
    STAGE.set("forward mode");
    let n_results = p.func.results().len();
    let dots = directions(p, random);
    let forward = run(&jvp(&p.func, &p.wrt).unwrap(), &[&p.args[..], &dots].concat());
    let (values, tangents) = forward.split_at(n_results);
    assert_near(values, &run(&p.func, &p.args), 1e-13, "the values beside the tangents");

    STAGE.set("reverse mode");
    let bars: Vec<Tensor> = values.iter().map(|v| random.tensor(Elem::F64, &v.shape)).collect();
    let reverse = run(&vjp(&p.func, &p.wrt).unwrap(), &[&p.args[..], &bars].concat());
    let (values_again, cotangents) = reverse.split_at(n_results);
    assert_near(values, values_again, 1e-13, "the values beside the cotangents");
    let (forwards, backwards) = (inner(tangents, &bars), inner(cotangents, &dots));
    let scale = size(tangents).max(size(cotangents)).max(1.0);
    assert!((forwards - backwards).abs() <= 1e-12 * scale, "adjoint identity: {forwards} and {backwards}");

    STAGE.set("linearize");
    let parts = linearize(&p.func, &p.wrt).unwrap();
    let tangent_params: Vec<usize> = (parts.n_residuals..parts.linear.n_params()).collect();
    linearity(&parts.linear, &tangent_params).unwrap_or_else(|e| panic!("{e}\n{}", parts.linear));
    let residuals = run(&parts.primal, &p.args).split_off(n_results);
    let applied = run(&parts.linear, &[residuals, dots.clone()].concat());
    assert_near(tangents, &applied, 1e-13, "linearize against jvp");

    STAGE.set("differences");
    let (differences, fit) = difference(&p.func, &p.args, &p.wrt, &dots);
    if fit {
        assert_near(tangents, &differences, 1e-6, "jvp against differences");
    }
    fit
}

/// Of a program with one scalar result.
fn second_derivatives(p: &Program, random: &mut Random) -> bool {
    STAGE.set("forward over reverse");
    let (u, v) = (directions(p, random), directions(p, random));
    let n = p.wrt.len();
    let gradient = grad(&p.func, &p.wrt).unwrap();
    let products = hvp(&p.func, &p.wrt).unwrap();
    let forward_over_reverse = run(&products, &[&p.args[..], &v].concat());

    STAGE.set("reverse over forward");
    let directional = vjp(&jvp(&p.func, &p.wrt).unwrap(), &p.wrt).unwrap();
    let seeds = [Tensor::f64(0.0), Tensor::f64(1.0)];
    let reverse_over_forward = run(&directional, &[&p.args[..], &v, &seeds].concat()).split_off(2);
    assert_near(&forward_over_reverse, &reverse_over_forward, 1e-9, "against forward over reverse");

    STAGE.set("reverse over reverse");
    let twice = vjp(&gradient, &p.wrt).unwrap();
    let reverse_over_reverse = run(&twice, &[&p.args[..], &seeds[..1], &v].concat()).split_off(1 + n);
    assert_near(&forward_over_reverse, &reverse_over_reverse, 1e-9, "against forward over reverse");

    STAGE.set("symmetry of the Hessian");
    let other = run(&products, &[&p.args[..], &u].concat());
    let (uhv, vhu) = (inner(&u, &forward_over_reverse), inner(&v, &other));
    let scale = size(&forward_over_reverse).max(size(&other)).max(1.0);
    assert!((uhv - vhu).abs() <= 1e-10 * scale, "{uhv} and {vhu}");

    STAGE.set("differences of the gradient");
    let (differences, fit) = difference(&gradient, &p.args, &p.wrt, &v);
    if fit {
        assert_near(&forward_over_reverse, &differences[1..], 1e-6, "hvp against differences");
    }
    fit
}
