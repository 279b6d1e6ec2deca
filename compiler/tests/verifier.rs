//! For every invariant, functions that break it, and nothing else reported for them.

use bilevel_compiler::ir::text::parse;
use bilevel_compiler::ir::verify::{Invariant, verify};
use bilevel_compiler::ir::{Body, Control, Dim, DimId, Func, Note, Op, Shape, Stmt, ValueId};

/// The invariants that a function breaks.
fn broken(f: &Func) -> Vec<Invariant> {
    verify(f).err().unwrap_or_default().into_iter().map(|v| v.invariant).collect()
}

fn broken_text(text: &str) -> Vec<Invariant> {
    broken(&parse(text).unwrap())
}

/// A correct function with a loop, a branch, captures, and a bound dimension; [`edit`] breaks it.
const GOOD: &str = "\
func f(%x: f64[n, m], %k: usize, %c: bool) -> (%last, %rows) {
  bind[turns](%k)
  %start: f64 = 0.5
  %last: f64, %rows: f64[turns, m] = for[turns](%start) (%i: usize, %sum: f64) -> (%next, %row) {
    %row: f64[m] = read[0](%x, %i)
    %next: f64 = if(%c) () -> (%total) {
      %total: f64 = reduce_sum[0](%row)
    } () -> (%sum) {
    }
  }
}";

/// The correct function with one part of its text replaced.
fn edit(from: &str, to: &str) -> Vec<Invariant> {
    assert!(GOOD.contains(from), "{from}");
    broken_text(&GOOD.replace(from, to))
}

#[test]
fn a_correct_function_passes() {
    assert_eq!(verify(&parse(GOOD).unwrap()), Ok(()));
}

#[test]
fn tables() {
    let mut f = parse(GOOD).unwrap();
    f.notes.push(Note::default());
    assert_eq!(broken(&f), [Invariant::Tables]);
    let mut f = parse(GOOD).unwrap();
    f.body.results.push(ValueId(1000));
    assert_eq!(broken(&f), [Invariant::Tables]);
    let mut f = parse(GOOD).unwrap();
    f.body.stmts[1].args.push(ValueId(1000));
    assert_eq!(broken(&f), [Invariant::Tables]);
    let mut f = parse(GOOD).unwrap();
    f.body.stmts[1].outs[0] = ValueId(1000);
    assert!(broken(&f).starts_with(&[Invariant::Tables]));
    let mut f = parse("func f(%x: f64) -> (%1) {\n %1: f64[n] = broadcast[](%x)\n}").unwrap();
    f.dims.clear();
    // Once in the attribute and once in the type.
    assert_eq!(broken(&f), [Invariant::Tables, Invariant::Tables]);
    let mut f = parse(GOOD).unwrap();
    f.body.stmts[0].op = Op::Shape(Shape::BindDim { dim: Dim::Sym(DimId(9)) });
    assert!(broken(&f).starts_with(&[Invariant::Tables]));
}

#[test]
fn dimension_names() {
    let mut f = parse(GOOD).unwrap();
    f.dims[1].name = "n".into();
    assert_eq!(broken(&f), [Invariant::DimNames]);
    for name in ["", "3n", "n m", "a.b"] {
        let mut f = parse(GOOD).unwrap();
        f.dims[1].name = name.into();
        assert_eq!(broken(&f), [Invariant::DimNames], "{name}");
    }
}

#[test]
fn single_definition() {
    // The same value as result of two statements of one body, ...
    let mut f = parse("func f(%x: f64) -> (%1) {\n %1: f64 = neg(%x)\n %2: f64 = neg(%x)\n}").unwrap();
    f.body.stmts[1].outs = f.body.stmts[0].outs.clone();
    assert_eq!(broken(&f), [Invariant::SingleDefinition]);
    // ... of two bodies that never see each other, ...
    let mut f = parse("func f(%x: f64, %c: bool) -> (%r) {\n %r: f64 = if(%c) () -> (%1) {\n %1: f64 = neg(%x)\n } () -> (%2) {\n %2: f64 = exp(%x)\n }\n}").unwrap();
    let branches = &mut f.body.stmts[0].bodies;
    branches[1].stmts[0].outs = branches[0].stmts[0].outs.clone();
    branches[1].results = branches[0].results.clone();
    assert_eq!(broken(&f), [Invariant::SingleDefinition]);
    // ... and as a parameter.
    let mut f = parse("func f(%x: f64) -> (%1) {\n %1: f64 = neg(%x)\n}").unwrap();
    f.body.stmts[0].outs = f.body.params.clone();
    f.body.results = f.body.params.clone();
    assert_eq!(broken(&f), [Invariant::SingleDefinition]);
}

#[test]
fn scope() {
    assert_eq!(broken_text("func f(%x: f64) -> (%1) {\n %1: f64 = neg(%2)\n %2: f64 = neg(%x)\n}"), [Invariant::Scope]);
    assert_eq!(broken_text("func f(%x: f64) -> (%1) {\n %1: f64 = neg(%1)\n}"), [Invariant::Scope]);
    // From one branch into the other, out of a nested body, and a result of the statement within its own body.
    assert_eq!(edit("() -> (%sum) {", "() -> (%total) {"), [Invariant::Scope]);
    assert_eq!(edit("-> (%last, %rows)", "-> (%last, %row)"), [Invariant::Scope]);
    assert_eq!(edit("() -> (%sum) {", "() -> (%last) {"), [Invariant::Scope]);
}

#[test]
fn types() {
    assert_eq!(edit("%row: f64[m] =", "%row: f64[n] ="), [Invariant::Types, Invariant::Types]);
    assert_eq!(edit("%start: f64 = 0.5", "%start: f32 = 0.5"), [Invariant::Types]);
    assert_eq!(edit("reduce_sum[0]", "reduce_sum[1]"), [Invariant::Types]);
    assert_eq!(edit("for[turns](%start)", "for[turns]()"), [Invariant::Types]);
    assert_eq!(edit("-> (%next, %row)", "-> (%next)"), [Invariant::Types]);
    assert_eq!(edit("-> (%next, %row)", "-> (%row, %next)"), [Invariant::Types]);
    assert_eq!(edit("(%i: usize, %sum: f64)", "(%sum: f64, %i: usize)"), [Invariant::Types]);
    assert_eq!(edit("() -> (%sum) {", "() -> (%i) {"), [Invariant::Types]);
    assert_eq!(edit("() -> (%sum) {\n    }", ""), [Invariant::Types]);
    assert_eq!(edit("%rows: f64[turns, m]", "%rows: f64[n, m]"), [Invariant::Types]);
    assert_eq!(edit("bind[turns](%k)", "bind[turns](%c)"), [Invariant::Types]);
    let mut f = parse("func f(%x: f64) -> (%1) {\n %1: f64 = neg(%x)\n}").unwrap();
    f.body.stmts[0].bodies.push(Body::default());
    assert_eq!(broken(&f), [Invariant::Types]);
    let mut f = parse("func f() -> () {\n}").unwrap();
    f.body.stmts.push(Stmt { outs: vec![], op: Control::For { trip: Dim::Const(1), reverse: false }.into(), args: vec![], bodies: vec![] });
    assert_eq!(broken(&f), [Invariant::Types]);
}

#[test]
fn dimensions_are_bound_before_use() {
    assert_eq!(edit("for[turns](", "for[later]("), [Invariant::BoundDims, Invariant::Types]);
    // Before its `bind`, in an attribute and in a type.
    let late = "func f(%k: usize) -> (%1, %2) {\n %1: usize = dim_size[n]()\n %2: usize[n] = iota()\n bind[n](%k)\n}";
    assert_eq!(broken_text(late), [Invariant::BoundDims; 3]);
    // In a body that is not nested in later statements of the one that binds.
    let sideways = "\
func f(%k: usize, %c: bool) -> (%r) {
  %r: usize = if(%c) () -> (%k) {
    bind[n](%k)
  } () -> (%1) {
    %1: usize = dim_size[n]()
  }
}";
    assert_eq!(broken_text(sideways), [Invariant::BoundDims]);
}

#[test]
fn dimensions_are_bound_once() {
    // Where it is bound already, a second statement is a check.
    assert_eq!(edit("bind[turns](%k)", "bind[turns](%k)\n  bind[turns](%k)"), []);
    assert_eq!(edit("bind[turns](%k)", "bind[turns](%k)\n  bind[n](%k)\n  bind[3](%k)"), []);
    let twice = "func f(%c: bool, %k: usize) -> (%y) {
  %y: usize = if(%c) () -> (%a) {
    bind[m](%k)
    %a: usize = dim_size[m]()
  } () -> (%b) {
    bind[m](%k)
    %b: usize = dim_size[m]()
  }
}";
    assert_eq!(broken_text(twice), [Invariant::SingleBinding]);
}

#[test]
fn no_dimension_escapes_its_body() {
    let escaping = "\
func f(%k: usize, %c: bool) -> (%r) {
  %r: usize[n] = if(%c) () -> (%1) {
    bind[n](%k)
    %1: usize[n] = iota()
  } () -> (%1) {
  }
}";
    let found = broken_text(escaping);
    assert!(found.contains(&Invariant::NoEscape), "{found:?}");
}

#[test]
fn literals_of_f32_are_exact() {
    assert_eq!(broken_text("func f() -> (%1) {\n %1: f32 = 0.1\n}"), [Invariant::Literals]);
    for exact in ["0.10000000149011612", "-0.0", "inf", "nan", "1e-45"] {
        let exact = if exact == "1e-45" { f64::from(1e-45f32).to_string() } else { exact.to_owned() };
        assert_eq!(broken_text(&format!("func f() -> (%1) {{\n %1: f32 = {exact}\n}}")), [], "{exact}");
    }
}

#[test]
fn all_violations_are_reported_with_the_names_of_the_text() {
    let text = "func f(%x: f64[n]) -> (%y) {\n  %y: f32[n] = neg(%x)\n  %z: f64[m] = exp(%w)\n  %w: f64[n] = neg(%x)\n}";
    let messages: Vec<String> = verify(&parse(text).unwrap()).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "Types: `%y: f32[n] = neg(%x)`: the rule of `neg` gives (f64[n])",
            "Scope: %w is not in scope where it is used by `%z: f64[m] = exp(%w)`",
            "Types: `%z: f64[m] = exp(%w)`: the rule of `exp` gives (f64[n])",
            "BoundDims: `m` is not bound in the type of %z",
        ]
    );
}
