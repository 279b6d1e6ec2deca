//! Emitted kernels: their text against golden files, and, where a C++ compiler is found, their results against the reference evaluator.
//!
//! `BILEVEL_BLESS=1 cargo test -p bilevel-codegen-cuda` rewrites the golden files; the difference in version control is the review.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bilevel_codegen_cuda::{Argument, EmitError, Kernel, fused_kernel};
use bilevel_compiler::ir::eval::{Data, Tensor, eval};
use bilevel_compiler::ir::text::parse;
use bilevel_compiler::ir::verify::verify;
use bilevel_compiler::ir::{Builder, Dim, Elem, Elementwise, Func, Literal, Note, Op, Type, ValueId};

fn read(text: &str) -> Func {
    let f = parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    verify(&f).unwrap_or_else(|v| panic!("{v:#?}"));
    f
}

/// The functions in `tests/golden`, by file name.
fn golden() -> Vec<(PathBuf, Func)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "ir"));
    files.sort();
    assert!(!files.is_empty());
    files.into_iter().map(|path| (path.clone(), read(&fs::read_to_string(path).unwrap()))).collect()
}

#[test]
fn golden_kernels() {
    for (path, f) in golden() {
        let source = fused_kernel(&f).unwrap().source;
        let path = path.with_extension("cu");
        if std::env::var_os("BILEVEL_BLESS").is_some() {
            fs::write(&path, source).unwrap();
        } else {
            let expected = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(source, expected, "{} is out of date; BILEVEL_BLESS=1 rewrites it", path.display());
        }
    }
}

/// The C++ compiler, or a printed note that the test is skipped.
fn compiler() -> Option<String> {
    let candidates = std::env::var("CXX").into_iter().chain(["g++", "clang++", "c++"].map(str::to_owned));
    let found = candidates.into_iter().find(|c| Command::new(c).arg("--version").output().is_ok_and(|o| o.status.success()));
    if found.is_none() {
        println!("skipped: no C++ compiler found");
    }
    found
}

fn bytes(data: &Data) -> Vec<u8> {
    match data {
        Data::F64(x) => x.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::F32(x) => x.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::Int(_, x) => x.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Data::Bool(x) => x.iter().map(|&b| u8::from(b)).collect(),
    }
}

fn c_type(elem: Elem) -> (&'static str, usize) {
    match elem {
        Elem::F64 => ("double", 8),
        Elem::F32 => ("float", 4),
        Elem::Usize => ("unsigned long long", 8),
        Elem::I64 => ("long long", 8),
        Elem::Bool => ("bool", 1),
        Elem::Generic(_) => panic!("a kernel is for one float type"),
    }
}

/// A program that reads `n` and the parameters, runs the kernel on a grid of 3 blocks of 4 threads, and writes the results.
fn driver(kernel: &Kernel) -> String {
    let (mut reads, mut passed, mut writes) = (String::new(), Vec::new(), String::new());
    for (k, argument) in kernel.arguments.iter().enumerate() {
        match *argument {
            Argument::Scalar { elem, .. } => {
                let ty = c_type(elem).0;
                reads += &format!("    {ty} a{k}; read(&a{k}, sizeof a{k});\n");
                passed.push(format!("a{k}"));
            }
            Argument::Array { elem, .. } => {
                let ty = c_type(elem).0;
                reads += &format!("    auto a{k} = new {ty}[n + 1]; read(a{k}, n * sizeof *a{k});\n");
                passed.push(format!("a{k}"));
            }
            Argument::Result { elem, .. } => {
                let ty = c_type(elem).0;
                reads += &format!("    auto a{k} = new {ty}[n + 1];\n");
                passed.push(format!("a{k}"));
                writes += &format!("    std::fwrite(a{k}, sizeof *a{k}, n, stdout);\n");
            }
            Argument::Count => passed.push("n".to_owned()),
        }
    }
    let (name, passed, source) = (&kernel.name, passed.join(", "), &kernel.source);
    format!(
        "#include \"device.h\"\n{source}\n#include <cstdio>\n#include <cstdlib>\n\
         static void read(void *to, size_t n) {{ if (std::fread(to, 1, n, stdin) != n) std::abort(); }}\n\
         int main() {{\n    unsigned long long n; read(&n, sizeof n);\n{reads}    launch(3, 4, [&] {{ {name}({passed}); }});\n{writes}}}\n"
    )
}

/// Compiles the kernel of `f` and runs it on the CPU.
fn run(compiler: &str, f: &Func, args: &[Tensor]) -> Vec<Tensor> {
    let kernel = fused_kernel(f).unwrap();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&kernel.name);
    fs::create_dir_all(&folder).unwrap();
    let (source, program) = (folder.join("driver.cpp"), folder.join("driver"));
    fs::write(&source, driver(&kernel)).unwrap();
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host");
    // No contraction of products and sums, as the evaluator has none.
    let built = Command::new(compiler)
        .args(["-std=c++17", "-O1", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-ffp-contract=off", "-I"])
        .args([&header, &source])
        .arg("-o")
        .arg(&program)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}\n{}", String::from_utf8_lossy(&built.stderr), kernel.source);

    let shape = f.param_types().zip(args).find(|(ty, _)| ty.rank() > 0).map_or(Vec::new(), |(_, a)| a.shape.clone());
    let n: usize = shape.iter().product();
    let mut input = (n as u64).to_le_bytes().to_vec();
    args.iter().for_each(|a| input.extend(bytes(&a.data)));
    let mut child = Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", kernel.source);

    let mut rest = &output.stdout[..];
    let mut results = Vec::new();
    for ty in f.result_types() {
        let width = c_type(ty.elem).1;
        let (these, others) = rest.split_at(n * width);
        let chunks = these.chunks_exact(width);
        let data = match ty.elem {
            Elem::F64 => Data::F64(chunks.map(|c| f64::from_le_bytes(c.try_into().unwrap())).collect()),
            Elem::F32 => Data::F32(chunks.map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect()),
            Elem::Usize | Elem::I64 => Data::Int(ty.elem, chunks.map(|c| i64::from_le_bytes(c.try_into().unwrap())).collect()),
            Elem::Bool => Data::Bool(chunks.map(|c| c[0] != 0).collect()),
            Elem::Generic(_) => panic!("a kernel is for one float type"),
        };
        results.push(Tensor { shape: shape.clone(), data });
        rest = others;
    }
    assert!(rest.is_empty());
    results
}

/// Asserts that the kernel of `f` gives what the evaluator gives, floats up to the difference between two mathematical libraries.
fn assert_runs_alike(compiler: &str, f: &Func, args: &[Tensor]) {
    let (have, want) = (run(compiler, f, args), eval(f, args).unwrap());
    for (k, (have, want)) in have.iter().zip(&want).enumerate() {
        let tolerance = if want.elem() == Elem::F32 { 4e-7 } else { 1e-15 };
        let alike = |(x, y): (&f64, &f64)| (x.is_nan() && y.is_nan()) || x == y || (x - y).abs() <= tolerance * y.abs();
        let all_alike = have.to_f64().iter().zip(&want.to_f64()).all(alike);
        assert!(have.elem() == want.elem() && have.shape == want.shape && all_alike, "result {k}: {have:?} instead of {want:?}\n{f}");
    }
}

#[test]
fn golden_kernels_run_as_the_evaluator() {
    let Some(compiler) = compiler() else { return };
    for (_, f) in golden() {
        for n in [0usize, 1, 11, 12, 13, 40] {
            let args: Vec<Tensor> = f
                .param_types()
                .enumerate()
                .map(|(k, ty)| {
                    let shape: Vec<usize> = ty.dims.iter().enumerate().map(|(axis, _)| if axis == 0 { n } else { 3 }).collect();
                    let number = |i: usize| ((i * 37 + k * 11) % 23) as f64 / 4.0 - 2.5;
                    let len = shape.iter().product();
                    let data = match ty.elem {
                        Elem::F64 => Data::F64((0..len).map(number).collect()),
                        Elem::F32 => Data::F32((0..len).map(|i| number(i) as f32).collect()),
                        Elem::Usize | Elem::I64 => Data::Int(ty.elem, (0..len).map(|i| (i % 3) as i64).collect()),
                        Elem::Bool => Data::Bool((0..len).map(|i| i % 2 == 0).collect()),
                        Elem::Generic(_) => panic!("a kernel is for one float type"),
                    };
                    Tensor { shape, data }
                })
                .collect();
            assert_runs_alike(&compiler, &f, &args);
        }
    }
}

/// A function of vectors of the given element types, with the results that `build` makes.
fn vectors(name: &str, elems: &[Elem], build: impl FnOnce(&mut Builder, &[ValueId]) -> Vec<ValueId>) -> Func {
    let mut b = Builder::new(name);
    let n = Dim::Sym(b.dim("n"));
    let params: Vec<ValueId> = elems.iter().map(|&e| b.param(Type::tensor(e, [n]), Note::named("x"))).collect();
    let results = build(&mut b, &params);
    b.finish(results)
}

/// Whether an operation takes floats and gives floats.
fn is_of_floats(op: &&Elementwise) -> bool {
    let types: Vec<Type> = vec![Type::scalar(Elem::F64); op.arity()];
    let mut b = Builder::new("f");
    let args: Vec<ValueId> = types.into_iter().map(|t| b.param(t, Note::default())).collect();
    b.try_stmt(Op::Elementwise(**op), args, Vec::new()).is_ok()
}

#[test]
fn every_operation_of_floats_runs_as_the_evaluator() {
    let Some(compiler) = compiler() else { return };
    const SPECIAL: [f64; 14] = [0.0, -0.0, 1.0, -1.0, 0.5, -0.75, 2.5, -2.5, 30.0, -30.0, 1e-9, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let pairs: Vec<(f64, f64)> = SPECIAL.iter().flat_map(|&x| SPECIAL.iter().map(move |&y| (x, y))).collect();
    for (name, elem) in [("doubles", Elem::F64), ("floats", Elem::F32)] {
        let f = vectors(name, &[elem, elem], |b, x| {
            let plain = Elementwise::PLAIN.iter().filter(is_of_floats).copied();
            let powers = [-5, -1, 0, 1, 2, 7].map(Elementwise::Powi);
            let ops: Vec<Elementwise> = plain.chain(powers).collect();
            assert!(ops.len() > 35, "{ops:?}");
            ops.into_iter().map(|op| b.map(op, &x[..op.arity()])).collect()
        });
        let column = |pick: fn(&(f64, f64)) -> f64| {
            let data = match elem {
                Elem::F32 => Data::F32(pairs.iter().map(|p| pick(p) as f32).collect()),
                _ => Data::F64(pairs.iter().map(pick).collect()),
            };
            Tensor::new(&[pairs.len()], data)
        };
        assert_runs_alike(&compiler, &f, &[column(|p| p.0), column(|p| p.1)]);
    }
}

#[test]
fn integers_truth_values_and_conversions_run_as_the_evaluator() {
    use Elementwise as E;
    let Some(compiler) = compiler() else { return };
    let f = vectors("integers", &[Elem::I64, Elem::I64, Elem::Bool, Elem::Bool, Elem::F64, Elem::F32], |b, x| {
        let mut out: Vec<ValueId> = [E::Neg, E::Abs, E::Sign].map(|op| b.map(op, &x[..1])).to_vec();
        out.extend([E::Add, E::Sub, E::Mul, E::Div, E::Rem, E::Max, E::Min, E::Lt, E::Le, E::Eq, E::Ne].map(|op| b.map(op, &x[..2])));
        out.extend([E::And, E::Or, E::Eq, E::Ne].map(|op| b.map(op, &x[2..4])));
        out.push(b.map(E::Not, &x[2..3]));
        out.push(b.select(x[2], x[0], x[1]));
        for from in [x[0], x[2], x[4], x[5]] {
            out.extend([Elem::F64, Elem::F32, Elem::I64, Elem::Bool].map(|to| b.map(E::Cast(to), &[from])));
        }
        let not_negative = b.map(E::Abs, &x[..1]);
        let size = b.map(E::Cast(Elem::Usize), &[not_negative]);
        out.push(b.map(E::Rem, &[size, size]));
        out
    });
    let floats = [2.7, -2.7, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e18];
    let n = floats.len();
    let ints = |x: [i64; 6]| Tensor::new(&[n], Data::Int(Elem::I64, x.to_vec()));
    let bools = |x: [bool; 6]| Tensor::new(&[n], Data::Bool(x.to_vec()));
    let args = [
        ints([7, -7, 7, -7, 1, i64::from(i32::MAX)]),
        ints([3, 3, -3, -3, 5, 2]),
        bools([true, true, false, false, true, false]),
        bools([true, false, true, false, true, false]),
        Tensor::f64s(&[n], floats.to_vec()),
        Tensor::f32s(&[n], floats.iter().map(|&x| x as f32).collect()),
    ];
    assert_runs_alike(&compiler, &f, &args);

    let to_usize = vectors("to_usize", &[Elem::F64], |b, x| vec![b.map(E::Cast(Elem::Usize), x)]);
    assert_runs_alike(&compiler, &to_usize, &[Tensor::f64s(&[5], vec![-1.0, f64::NAN, 2.7, 1e18, f64::NEG_INFINITY])]);
}

#[test]
fn literals_keep_their_bits() {
    let Some(compiler) = compiler() else { return };
    let doubles = [0.0, -0.0, 0.1, -1e300, 1e16, f64::MIN_POSITIVE / 8.0, f64::MAX, f64::INFINITY, f64::NEG_INFINITY];
    let f = vectors("literals", &[Elem::F64], |b, x| {
        let dims = b.ty(x[0]).dims.clone();
        let mut all: Vec<Op> = doubles.iter().map(|&x| Op::Const(Elem::F64, Literal::Float(x))).collect();
        all.extend(doubles.iter().map(|&x| Op::Const(Elem::F32, Literal::Float(f64::from(x as f32)))));
        all.extend([i64::MIN, i64::MAX, -1, 0].map(|i| Op::Const(Elem::I64, Literal::Int(i))));
        all.extend([Op::Const(Elem::Bool, Literal::Bool(true)), Op::Const(Elem::Usize, Literal::Int(7))]);
        all.into_iter()
            .map(|op| {
                let scalar = b.op(op, &[]);
                b.broadcast_scalar(scalar, &dims)
            })
            .collect()
    });
    let args = [Tensor::f64s(&[1], vec![0.0])];
    let (have, want) = (run(&compiler, &f, &args), eval(&f, &args).unwrap());
    assert!(have.iter().zip(&want).all(|(a, b)| a.same_bits(b)), "{have:?}\n{want:?}");
}

#[test]
fn what_is_not_one_element_wise_pass_is_refused() {
    let refused = |text: &str| fused_kernel(&read(text)).unwrap_err();
    assert_eq!(
        refused("func f(%x: f64[n]) -> (%sum) {\n%sum: f64 = reduce_sum[0](%x)\n}"),
        EmitError::Operation { operation: "reduce_sum", value: "sum".into() }
    );
    assert_eq!(
        refused("func f(%x: f64[n]) -> (%grid) {\n%grid: f64[n, 3] = broadcast[0](%x)\n}"),
        EmitError::Shape { value: "grid".into(), found: "f64[n, 3]".into(), expected: "f64[n]".into() }
    );
    assert_eq!(
        refused("func f(%x: f64[n, n]) -> (%turned) {\n%turned: f64[n, n] = permute[1, 0](%x)\n}"),
        EmitError::Operation { operation: "permute", value: "turned".into() }
    );
    assert_eq!(
        refused("func f(%x: f64[n], %y: f64[m]) -> (%x) {\n}"),
        EmitError::Shape { value: "y".into(), found: "f64[m]".into(), expected: "f64[n]".into() }
    );
    assert_eq!(refused("func f(%x: f64[n], %s: f64) -> (%e) {\n%e: f64 = exp(%s)\n}"), EmitError::ScalarResult { value: "e".into() });
    assert_eq!(refused("func f(%x: f64[n]) -> () {\n}"), EmitError::NoResults);
    assert_eq!(refused("func f(%x: F[n]) -> (%e) {\n%e: F[n] = exp(%x)\n}"), EmitError::Generic);
    let message = refused("func f(%x: f64[n]) -> (%sum) {\n%sum: f64 = reduce_sum[0](%x)\n}").to_string();
    assert!(message.contains("`reduce_sum`") && message.contains("`sum`"), "{message}");
}

#[test]
fn user_names_and_sources_are_made_harmless() {
    let mut b = Builder::new("while");
    let ty = Type::tensor(Elem::F64, [Dim::Const(3)]);
    let x = b.param(ty.clone(), Note::named("i"));
    let y = b.param(ty, Note::named("model.w[0]"));
    let z = b.add(x, y);
    b.set_note(z, Note { source: Some("x +\n y \\".into()), ..Note::named("exp") });
    let kernel = fused_kernel(&b.finish(vec![z])).unwrap();
    assert_eq!(kernel.name, "while_2");
    assert!(kernel.source.contains("const double exp_2 = i_2[i] + model_w_0[i];  // `x + y \\`\n"), "{}", kernel.source);
    let arguments = [
        Argument::Array { param: 0, elem: Elem::F64 },
        Argument::Array { param: 1, elem: Elem::F64 },
        Argument::Result { result: 0, elem: Elem::F64 },
        Argument::Count,
    ];
    assert_eq!(kernel.arguments, arguments);
}
