//! The textual form prints and reads back.

use bilevel_compiler::ir::text::{parse, print, same};
use bilevel_compiler::ir::{Builder, Elem, Elementwise, Func, Literal, Note, Op, Type};

/// Every kind of statement once.
const EVERYTHING: &str = "\
func train(%w: f64[w_rows, w_cols], %x: f64[x_rows, w_rows], %y: usize[x_rows], %t: usize, %c: bool) -> (%last, %all, %12, %loss) {
  %logits: f64[x_rows, w_cols] = einsum[ij,jk->ik](%x, %w)
  %1: f64[x_rows, w_cols] = exp(%logits)
  %2: f64[x_rows, w_cols] = powi[-2](%1)
  %3: f32[x_rows, w_cols] = cast(%2)
  %4: f64[x_rows] = log_sum_exp[1](%logits)
  %5: f64[x_rows] = take_along[1](%logits, %y)
  %6: f64[x_rows, w_cols] = put_along[1](%5, %y)
  %7: f64 = reduce_sum[0, 1](%6)
  %8: f64[w_cols, x_rows] = permute[1, 0](%6)
  %9: f64[w_cols, 1, x_rows] = reshape(%8)
  %10: usize[w_cols] = iota()
  %11: usize = dim_size[x_rows]()
  bind[turns](%t)
  %half: f64 = 0.5
  %last: f64, %all: f64[turns, w_cols] = for[turns, reverse](%half) (%i: usize, %sum: f64) -> (%next, %row) {
    %row: f64[w_cols] = read[0](%logits, %i)
    %next: f64 = if(%c) () -> (%sum) {
    } () -> (%13) {
      %14: f64 = -0.0
      %13: f64 = add(%sum, %14)
    }
  }
  %12: f64[x_rows, w_cols] = broadcast[](%7)
  %loss: f64[x_rows, 3, w_cols] = broadcast[0, 2](%12)
}
";

#[test]
fn the_printed_form_is_the_canonical_one() {
    let f = parse(EVERYTHING).unwrap();
    let printed = print(&f);
    let again = parse(&printed).unwrap();
    assert!(same(&f, &again), "{printed}");
    assert_eq!(print(&again), printed);
    // Unnamed values are numbered in order of definition, which the sample follows but for the two inside the branch.
    let expected: Vec<&str> = EVERYTHING.lines().filter(|l| !l.contains("%13") && !l.contains("%14") && !l.contains("%12")).collect();
    for line in expected {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
}

#[test]
fn every_plain_elementwise_operation_reads_back() {
    for &op in Elementwise::PLAIN {
        let mut b = Builder::new("f");
        let elem = match op {
            Elementwise::And | Elementwise::Or | Elementwise::Not => Elem::Bool,
            Elementwise::Rem => Elem::I64,
            _ => Elem::F32,
        };
        let mut args: Vec<_> = (0..op.arity()).map(|_| b.param(Type::scalar(elem), Note::default())).collect();
        if op == Elementwise::Select {
            args[0] = b.param(Type::scalar(Elem::Bool), Note::named("c"));
        }
        let out = b.map(op, &args);
        let f = b.finish(vec![out]);
        assert!(same(&f, &parse(&print(&f)).unwrap()), "{op:?}");
    }
}

fn literal(elem: Elem, literal: Literal) -> Func {
    let mut b = Builder::new("f");
    let c = b.op(Op::Const(elem, literal), &[]);
    b.finish(vec![c])
}

#[test]
fn literals_keep_their_bits() {
    let special = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        0.1,
        1.0 / 3.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        -f64::NAN,
        f64::from_bits(0x7ff0_0000_0000_0001),
    ];
    let extreme =
        [f64::MIN_POSITIVE, f64::from_bits(1), -f64::from_bits(0xf_ffff_ffff_ffff), f64::MAX, f64::EPSILON, 1e300, 1e-300, 123456789.125];
    // All exponents and a spread of mantissas.
    let swept = (0..4096u64).map(|k| f64::from_bits((k << 52) | k.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 12));
    for x in special.into_iter().chain(extreme).chain(swept) {
        let f = literal(Elem::F64, Literal::Float(x));
        assert!(same(&f, &parse(&print(&f)).unwrap()), "{x:?} {}", print(&f));
        let narrow = literal(Elem::F32, Literal::Float(f64::from(x as f32)));
        assert!(same(&narrow, &parse(&print(&narrow)).unwrap()), "{x:?} {}", print(&narrow));
    }
    for i in [0, 1, -1, i64::MAX, i64::MIN] {
        let f = literal(Elem::I64, Literal::Int(i));
        assert!(same(&f, &parse(&print(&f)).unwrap()), "{i}");
    }
    assert!(!same(&literal(Elem::F64, Literal::Float(0.0)), &literal(Elem::F64, Literal::Float(-0.0))));
}

#[test]
fn names_are_made_legible_and_unique() {
    let mut b = Builder::new("f");
    let scalar = Type::scalar(Elem::F64);
    let x = b.param(scalar.clone(), Note::named("x"));
    let other = b.param(scalar.clone(), Note::named("x"));
    let odd = b.param(scalar.clone(), Note::named("model.w[0]"));
    let taken = b.param(scalar, Note::named("x_2"));
    let y = b.add(x, other);
    b.set_note(y, Note { source: Some("x\n    + x".into()), ..Note::default() });
    let z = b.mul(odd, taken);
    let f = b.finish(vec![y, z]);
    let expected = "\
func f(%x: f64, %x_2: f64, %model_w_0_: f64, %x_2_2: f64) -> (%1, %2) {
  %1: f64 = add(%x, %x_2)  // `x + x`
  %2: f64 = mul(%model_w_0_, %x_2_2)
}
";
    assert_eq!(print(&f), expected);
    assert!(same(&f, &parse(expected).unwrap()));
}

#[test]
fn same_sees_every_difference_that_matters() {
    let base = "func f(%x: f64[n], %y: f64[n], %i: usize) -> (%2) {\n %1: f64[n] = sub(%x, %y)\n %2: f64 = read[0](%1, %i)\n}";
    let f = parse(base).unwrap();
    let renamed = base.replace("%1", "%difference").replace("%x", "%a");
    assert!(same(&f, &parse(&renamed).unwrap()));
    for (from, to) in [
        ("sub(%x, %y)", "sub(%y, %x)"),
        ("sub(%x, %y)", "add(%x, %y)"),
        ("sub(%x, %y)", "sub(%x, %x)"),
        ("[n]", "[m]"),
        ("%y: f64[n]", "%y: f64[m]"),
        ("%y: f64[n]", "%y: f32[n]"),
        ("%y: f64[n]", "%y: f64[3]"),
        ("-> (%2)", "-> (%1)"),
        ("-> (%2)", "-> (%2, %2)"),
        (", %i: usize)", ", %i: usize, %j: usize)"),
        ("read[0]", "read[1]"),
        ("%2: f64 = read", "%3: f64 = 0.5\n %2: f64 = read"),
        ("read[0]", "read[0: 2 by 1]"),
    ] {
        assert!(base.contains(from), "{from}");
        assert!(!same(&f, &parse(&base.replace(from, to)).unwrap()), "{from} -> {to}");
    }
}

#[test]
fn errors_name_the_line() {
    for (text, line, part) in [
        ("fun f() -> () {\n}", 1, "expected `func`"),
        ("func f() -> () {\n  %1: f64 = wat()\n}", 2, "no operation `wat`"),
        ("func f() -> () {\n  %1: f16 = 0.5\n}", 2, "`f16` is not an element type"),
        ("func f(%x: f64) -> () {\n\n  %x: f64 = 0.5\n}", 3, "defined twice"),
        ("func f() -> (%y) {\n}\n", 3, "`%y` is not defined"),
        ("func f(%x: f64) -> (%x) {\n}\nfunc", 3, "the end of the text"),
        ("func f(%x: f64) -> (%x) {\n", 2, "expected a name"),
        ("func f(%x: f64) -> () {\n  %1: f64 = einsum[ij](%x, %x)\n}", 2, "`ij` is not of the form"),
        ("func f(%x: f64) -> () {\n  neg(%x, )\n}", 2, "expected `%`"),
        ("func f(%x: usize) -> () {\n  bind[](%x)\n}", 2, "expected a name"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.line == line && error.message.contains(part), "{text}\n{error}");
    }
}
