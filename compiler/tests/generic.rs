//! Functions that are generic over their float type mean what they mean at each width: random programs, with their `f64` made a type parameter, derived and
//! optimized as they are, and then run at one width.

use bilevel_compiler::derive;
use bilevel_compiler::ir::eval::Tensor;
use bilevel_compiler::ir::{Elem, Func};
use bilevel_compiler::optimize::optimize;
use bilevel_compiler::testing::check::{assert_near, read, run};
use bilevel_compiler::testing::{Limits, Random, program};

/// What is made of a function that is differentiated in some parameters.
type Stage = fn(&Func, &[usize]) -> Result<Func, derive::DeriveError>;

/// The function with a type parameter in the place of `f64`.
fn generalized(f: &Func) -> Func {
    read(&f.to_string().replace("f64", "F"))
}

/// The arguments in `f32`.
fn narrow(args: &[Tensor]) -> Vec<Tensor> {
    let tensor = |t: &Tensor| match t.elem() {
        Elem::F64 => Tensor::f32s(&t.shape, t.as_f64().iter().map(|&x| x as f32).collect()),
        _ => t.clone(),
    };
    args.iter().map(tensor).collect()
}

#[test]
fn derived_and_optimized_functions_are_those_of_each_width() {
    for seed in 0..150 {
        let p = program(seed, &Limits { n_draws: 8, elem: Elem::F64, control: true, scalar: false, empty: false });
        let generic = generalized(&p.func);
        assert_eq!(generic.at_width(Elem::F64).to_string(), p.func.to_string(), "seed {seed}");
        let mut random = Random::new(seed);
        let tangents: Vec<Tensor> = p.wrt.iter().map(|&k| random.tensor(Elem::F64, &p.args[k].shape)).collect();
        let args = [&p.args[..], &tangents].concat();
        let stages: [Stage; 2] = [|f, _| Ok(f.clone()), |f, wrt| derive::jvp(f, wrt)];
        for (stage, args) in stages.into_iter().zip([&p.args, &args]) {
            let (Ok(concrete), Ok(generic)) = (stage(&p.func, &p.wrt), stage(&generic, &p.wrt)) else { continue };
            let optimized = optimize(&generic);
            assert!(optimized.is_generic() == generic.is_generic() || optimized.n_stmts() < generic.n_stmts());
            assert_near(&run(&optimized.at_width(Elem::F64), args), &run(&optimize(&concrete), args), 1e-9, &format!("seed {seed}"));
            // In `f32` for the shapes and types alone: a random program may lose all digits there.
            let results = run(&optimized.at_width(Elem::F32), &narrow(args));
            assert_eq!(results.len(), concrete.results().len(), "seed {seed}");
        }
    }
}

#[test]
fn literals_are_combined_where_both_widths_agree() {
    let f = read(
        "func f(%x: F) -> (%b, %d, %l) {\n%h: F = 0.5\n%q: F = 0.25\n%a: F = mul(%h, %q)\n%b: F = mul(%x, %a)\n%t: F = 0.1\n%c: F = mul(%t, %h)\n\
         %d: F = mul(%x, %c)\n%e: F = 1e-7_or_2e-7\n%l: F = add(%x, %e)\n}",
    );
    let text = optimize(&f).to_string();
    assert!(text.contains("0.125"), "{text}");
    // A tenth is another number in each width, and the last literal is two.
    assert!(text.contains("F = 0.1\n") && text.contains("1e-7_or_2e-7"), "{text}");
    let at = |float: Elem, x: Tensor| run(&optimize(&f).at_width(float), &[x]).iter().map(|t| t.to_f64()[0]).collect::<Vec<_>>();
    assert_eq!(at(Elem::F64, Tensor::f64(0.0))[2], 1e-7);
    assert_eq!(at(Elem::F32, Tensor::f32(0.0))[2], f64::from(2e-7_f32));
}
