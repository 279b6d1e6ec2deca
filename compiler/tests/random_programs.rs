//! Properties of derivatives on random programs. Every failure names its seed; a seed that once failed stays in `REGRESSIONS`.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use bilevel_compiler::derive::{grad, hvp, jvp, linearity, linearize, vjp};
use bilevel_compiler::ir::eval::{Tensor, eval};
use bilevel_compiler::ir::text::{parse, print, same};
use bilevel_compiler::ir::verify::verify;
use bilevel_compiler::ir::{Elem, Func};
use bilevel_compiler::testing::{Limits, Program, Random, program};

/// Seeds on which some version of a transformation was wrong.
const REGRESSIONS: &[u64] = &[];
const N_PROGRAMS: u64 = 1500;

/// Runs a property on many programs, and says on which seed it failed. The property says whether the point was fit for its comparisons.
fn for_programs(limits: Limits, property: impl Fn(&Program, &mut Random) -> bool) {
    let mut unfit = 0;
    for seed in REGRESSIONS.iter().copied().chain(0..N_PROGRAMS) {
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
    assert!(unfit * 20 <= N_PROGRAMS, "{unfit} of {N_PROGRAMS} programs were unfit: the test compares too little");
}

fn run(f: &Func, args: &[Tensor]) -> Vec<Tensor> {
    eval(f, args).unwrap_or_else(|e| panic!("{e}\n{f}"))
}

fn dot(a: &[Tensor], b: &[Tensor]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.to_f64().iter().zip(b.to_f64()).map(|(x, y)| x * y).sum::<f64>()).sum()
}

/// The sum of the absolute values of all elements, and one: what differences are measured by.
fn size(a: &[Tensor]) -> f64 {
    a.iter().flat_map(Tensor::to_f64).fold(1.0, |s, x| s + x.abs())
}

fn distance(a: &[Tensor], b: &[Tensor]) -> f64 {
    assert_eq!(a.len(), b.len());
    let of = |(a, b): (&Tensor, &Tensor)| -> f64 {
        assert_eq!(a.shape, b.shape);
        a.to_f64().iter().zip(b.to_f64()).map(|(x, y)| (x - y).abs()).sum()
    };
    a.iter().zip(b).map(of).sum()
}

#[track_caller]
fn assert_near(a: &[Tensor], b: &[Tensor], tolerance: f64, what: &str) {
    let (d, s) = (distance(a, b), size(a));
    assert!(d <= tolerance * s, "{what}: differ by {d:e} of {s:e}\n{a:?}\n{b:?}");
}

/// A direction for each of some parameters.
fn directions(p: &Program, random: &mut Random) -> Vec<Tensor> {
    p.wrt.iter().map(|&k| random.tensor(p.args[k].elem(), &p.args[k].shape)).collect()
}

fn moved(args: &[Tensor], wrt: &[usize], dots: &[Tensor], t: f64) -> Vec<Tensor> {
    let mut args = args.to_vec();
    for (&k, dot) in wrt.iter().zip(dots) {
        let data = args[k].as_f64().iter().zip(dot.as_f64()).map(|(x, d)| x + t * d).collect();
        args[k] = Tensor::f64s(&args[k].shape, data);
    }
    args
}

/// The derivative along `dots` by central differences of sixth order, and whether two step sizes agree on it: they do not next to a kink.
fn difference(f: &Func, args: &[Tensor], wrt: &[usize], dots: &[Tensor]) -> (Vec<Tensor>, bool) {
    let slope = |h: f64| -> Vec<Tensor> {
        let at = |t: f64| run(f, &moved(args, wrt, dots, t));
        let points: Vec<(f64, Vec<Tensor>)> =
            [(45.0, 1.0), (-9.0, 2.0), (1.0, 3.0)].into_iter().flat_map(|(w, t)| [(w, at(t * h)), (-w, at(-t * h))]).collect();
        let combine = |k: usize| {
            let n = points[0].1[k].to_f64().len();
            let element = |j: usize| points.iter().map(|(w, out)| w * out[k].to_f64()[j]).sum::<f64>() / (60.0 * h);
            Tensor::f64s(&points[0].1[k].shape, (0..n).map(element).collect())
        };
        (0..points[0].1.len()).map(combine).collect()
    };
    let (coarse, fine) = (slope(1e-3), slope(5e-4));
    let agree = distance(&coarse, &fine) <= 2e-8 * size(&fine);
    (fine, agree)
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

#[test]
fn first_derivatives() {
    for_programs(Limits { n_draws: 8, elem: Elem::F64, control: true, scalar: false }, |p, random| {
        let n_results = p.func.results().len();
        let dots = directions(p, random);
        let forward = run(&jvp(&p.func, &p.wrt).unwrap(), &[&p.args[..], &dots].concat());
        let (values, tangents) = forward.split_at(n_results);
        assert_eq!(values, run(&p.func, &p.args));

        let bars: Vec<Tensor> = values.iter().map(|v| random.tensor(Elem::F64, &v.shape)).collect();
        let reverse = run(&vjp(&p.func, &p.wrt).unwrap(), &[&p.args[..], &bars].concat());
        let (values_again, cotangents) = reverse.split_at(n_results);
        assert_eq!(values, values_again);
        let (forwards, backwards) = (dot(tangents, &bars), dot(cotangents, &dots));
        let scale = size(tangents).max(size(cotangents));
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
        let (uhv, vhu) = (dot(&u, &forward_over_reverse), dot(&v, &other));
        let scale = size(&forward_over_reverse).max(size(&other));
        assert!((uhv - vhu).abs() <= 1e-10 * scale, "symmetry: {uhv} and {vhu}");

        let (differences, fit) = difference(&gradient, &p.args, &p.wrt, &v);
        if fit {
            assert_near(&forward_over_reverse, &differences[1..], 1e-6, "hvp against differences of the gradient");
        }
        fit
    });
}
