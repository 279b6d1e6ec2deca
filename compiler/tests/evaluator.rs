//! The reference evaluator against values worked out by hand.

use bilevel_compiler::ir::eval::{Data, EvalError, Tensor, eval};
use bilevel_compiler::ir::{Builder, Control, Dim, Elem, Elementwise, Func, Index, Literal, Note, Op, Reduce, Shape, Type, Window};

fn f64s(shape: &[usize], data: &[f64]) -> Tensor {
    Tensor::f64s(shape, data.to_vec())
}

/// A function of tensors of the given types whose body `build` makes.
fn func(types: &[Type], build: impl FnOnce(&mut Builder, &[bilevel_compiler::ir::ValueId]) -> Vec<bilevel_compiler::ir::ValueId>) -> Func {
    let mut b = Builder::new("f");
    let params: Vec<_> = types.iter().map(|t| b.param(t.clone(), Note::default())).collect();
    let results = build(&mut b, &params);
    b.finish(results)
}

fn unary(op: Elementwise, x: &[f64]) -> Vec<f64> {
    let f = func(&[Type::tensor(Elem::F64, [Dim::Const(x.len() as u64)])], |b, p| vec![b.map(op, p)]);
    eval(&f, &[f64s(&[x.len()], x)]).unwrap()[0].as_f64().to_vec()
}

#[test]
fn functions_that_rust_does_not_have() {
    assert_eq!(unary(Elementwise::Sign, &[-3.0, -0.0, 0.0, 2.0]), [-1.0, 0.0, 0.0, 1.0]);
    assert!(unary(Elementwise::Sign, &[f64::NAN])[0].is_nan());
    assert_eq!(unary(Elementwise::Relu, &[-3.0, 0.0, 2.0, f64::INFINITY]), [0.0, 0.0, 2.0, f64::INFINITY]);
    assert_eq!(unary(Elementwise::Sigmoid, &[0.0, -1000.0, 1000.0]), [0.5, 0.0, 1.0]);
    assert_eq!(unary(Elementwise::Softplus, &[0.0, -1000.0, 1000.0]), [2f64.ln(), 0.0, 1000.0]);
    let ln3 = 3f64.ln();
    assert!((unary(Elementwise::Sigmoid, &[ln3])[0] - 0.75).abs() < 1e-15);
    assert!((unary(Elementwise::Softplus, &[-ln3])[0] - (4.0f64 / 3.0).ln()).abs() < 1e-15);
}

#[test]
fn f32_is_computed_in_f32() {
    let f = func(&[Type::scalar(Elem::F32), Type::scalar(Elem::F32)], |b, p| vec![b.add(p[0], p[1])]);
    let tiny = 2f32.powi(-25);
    assert_eq!(eval(&f, &[Tensor::f32(1.0), Tensor::f32(tiny)]).unwrap(), [Tensor::f32(1.0)]);
}

#[test]
fn a_dimension_has_one_length() {
    let mut b = Builder::new("f");
    let n = Dim::Sym(b.dim("n"));
    let x = b.param(Type::tensor(Elem::F64, [n]), Note::default());
    let y = b.param(Type::tensor(Elem::F64, [n]), Note::default());
    let z = b.mul(x, y);
    let f = b.finish(vec![z]);
    assert_eq!(eval(&f, &[f64s(&[2], &[2.0, 3.0]), f64s(&[2], &[5.0, 7.0])]).unwrap(), [f64s(&[2], &[10.0, 21.0])]);
    let error = eval(&f, &[f64s(&[2], &[2.0, 3.0]), f64s(&[1], &[5.0])]).unwrap_err();
    assert!(matches!(error, EvalError::Arguments(_)), "{error}");
    let error = eval(&f, &[f64s(&[2], &[2.0, 3.0])]).unwrap_err();
    assert!(matches!(error, EvalError::Arguments(_)), "{error}");
    let error = eval(&f, &[f64s(&[2], &[2.0, 3.0]), Tensor::f32s(&[2], vec![5.0, 7.0])]).unwrap_err();
    assert!(matches!(error, EvalError::Arguments(_)), "{error}");
}

#[test]
fn einsum_sums_over_labels_that_the_result_does_not_have() {
    let mat = |r, c| Type::tensor(Elem::F64, [Dim::Const(r), Dim::Const(c)]);
    let a = f64s(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let b = f64s(&[3, 2], &[1.0, 10.0, 100.0, 2.0, 20.0, 200.0]);
    let product = func(&[mat(2, 3), mat(3, 2)], |f, p| vec![f.einsum("ij,jk->ik", p[0], p[1]), f.einsum("ij,ji->", p[0], p[1])]);
    let results = eval(&product, &[a.clone(), b]).unwrap();
    assert_eq!(results[0], f64s(&[2, 2], &[261.0, 614.0, 624.0, 1250.0]));
    assert_eq!(results[1], f64s(&[], &[1.0 + 200.0 + 60.0 + 40.0 + 10.0 + 1200.0]));
    let outer = func(&[mat(2, 3), Type::tensor(Elem::F64, [Dim::Const(0)])], |f, p| vec![f.einsum("ij,k->jki", p[0], p[1])]);
    assert_eq!(eval(&outer, &[a, f64s(&[0], &[])]).unwrap(), [f64s(&[3, 0, 2], &[])]);
}

#[test]
fn reductions_over_any_axes() {
    let ty = Type::tensor(Elem::F64, [Dim::Const(2), Dim::Const(3)]);
    let f = func(&[ty], |b, p| {
        vec![
            b.sum(p[0], &[0]),
            b.sum(p[0], &[0, 1]),
            b.op(Reduce::Max { axes: vec![1] }, p),
            b.op(Reduce::Min { axes: vec![0] }, p),
            b.op(Reduce::LogSumExp { axes: vec![1] }, p),
        ]
    });
    let results = eval(&f, &[f64s(&[2, 3], &[1.0, 5.0, 3.0, 1000.0, 1000.0, f64::NEG_INFINITY])]).unwrap();
    assert_eq!(results[0], f64s(&[3], &[1001.0, 1005.0, f64::NEG_INFINITY]));
    assert_eq!(results[2], f64s(&[2], &[5.0, 1000.0]));
    assert_eq!(results[3], f64s(&[3], &[1.0, 5.0, f64::NEG_INFINITY]));
    let expected = [5.0 + (1.0 + (-2f64).exp() + (-4f64).exp()).ln(), 1000.0 + 2f64.ln()];
    assert!(results[4].as_f64().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-13), "{:?}", results[4]);
}

#[test]
fn log_sum_exp_of_infinities_and_nothing() {
    let f = func(&[Type::tensor(Elem::F64, [Dim::Const(2), Dim::Const(0)])], |b, p| vec![b.op(Reduce::LogSumExp { axes: vec![1] }, p)]);
    assert_eq!(eval(&f, &[f64s(&[2, 0], &[])]).unwrap(), [f64s(&[2], &[f64::NEG_INFINITY; 2])]);
    let f = func(&[Type::tensor(Elem::F64, [Dim::Const(2)])], |b, p| vec![b.op(Reduce::LogSumExp { axes: vec![0] }, p)]);
    let lse = |x: f64, y: f64| eval(&f, &[f64s(&[2], &[x, y])]).unwrap()[0].as_f64()[0];
    assert_eq!(lse(f64::INFINITY, 1.0), f64::INFINITY);
    assert_eq!(lse(f64::NEG_INFINITY, f64::NEG_INFINITY), f64::NEG_INFINITY);
    assert!(lse(f64::NAN, f64::NEG_INFINITY).is_nan() && lse(f64::INFINITY, f64::NAN).is_nan());
}

#[test]
fn rearranging() {
    let dims = [Dim::Const(2), Dim::Const(3)];
    let f = func(&[Type::tensor(Elem::F64, dims)], |b, p| {
        let turned = b.permute(p[0], &[1, 0]);
        let repeated = b.broadcast(p[0], &[0, 2], &[dims[0], Dim::Const(2), dims[1]]);
        let column = b.op(Shape::Reshape { dims: vec![dims[0], Dim::Const(1), dims[1]] }, p);
        let iota = b.op(Shape::Iota { dim: dims[1] }, &[]);
        vec![turned, repeated, column, iota, b.dim_size(dims[1])]
    });
    let results = eval(&f, &[f64s(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]).unwrap();
    assert_eq!(results[0], f64s(&[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    assert_eq!(results[1], f64s(&[2, 2, 3], &[1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 4.0, 5.0, 6.0]));
    assert_eq!(results[2].shape, [2, 1, 3]);
    assert_eq!(results[3], Tensor::usizes(&[3], vec![0, 1, 2]));
    assert_eq!(results[4], Tensor::usize(3));
}

#[test]
fn access_at_positions() {
    let dims = [Dim::Const(2), Dim::Const(3)];
    let x = Type::tensor(Elem::F64, dims);
    let idx = Type::tensor(Elem::Usize, [dims[0]]);
    let f = func(&[x, idx, Type::scalar(Elem::Usize)], |b, p| {
        let taken = b.op(Index::TakeAlong { axis: 1 }, &p[..2]);
        let put = b.op(Index::PutAlong { axis: 1, dim: dims[1] }, &[taken, p[1]]);
        let column = b.read_at(p[0], 1, p[2]);
        let added = b.op(Index::Add(Window::at(1)), &[p[0], p[2], column]);
        vec![taken, put, column, added]
    });
    let x = f64s(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let results = eval(&f, &[x.clone(), Tensor::usizes(&[2], vec![2, 0]), Tensor::usize(1)]).unwrap();
    assert_eq!(results[0], f64s(&[2], &[3.0, 4.0]));
    assert_eq!(results[1], f64s(&[2, 3], &[0.0, 0.0, 3.0, 4.0, 0.0, 0.0]));
    assert_eq!(results[2], f64s(&[2], &[2.0, 5.0]));
    assert_eq!(results[3], f64s(&[2, 3], &[1.0, 4.0, 3.0, 4.0, 10.0, 6.0]));
    let error = eval(&f, &[x.clone(), Tensor::usizes(&[2], vec![2, 3]), Tensor::usize(1)]).unwrap_err();
    assert_eq!(error, EvalError::OutOfRange { index: 3, len: 3 });
    let error = eval(&f, &[x, Tensor::usizes(&[2], vec![2, 2]), Tensor::usize(7)]).unwrap_err();
    assert_eq!(error, EvalError::OutOfRange { index: 7, len: 3 });
}

/// `for i in 0..n { sum = 2 * sum + i }`, giving every `sum` before its turn as well.
fn doubling_loop(reverse: bool) -> Func {
    let mut b = Builder::new("doubling");
    let n = b.dim("n");
    let trip = Dim::Sym(n);
    b.param(Type::tensor(Elem::F64, [trip]), Note::default());
    let start = b.float(Elem::F64, 0.0);
    let two = b.float(Elem::F64, 2.0);
    b.open();
    let i = b.param(Type::scalar(Elem::Usize), Note::default());
    let sum = b.param(Type::scalar(Elem::F64), Note::default());
    let twice = b.mul(two, sum);
    let i = b.map(Elementwise::Cast(Elem::F64), &[i]);
    let next = b.add(twice, i);
    let body = b.close(vec![next, sum]);
    let outs = b.stmt(Control::For { trip, reverse }, &[start], vec![body]);
    b.finish(outs)
}

#[test]
fn loops_carry_and_stack() {
    let x = |n: usize| [f64s(&[n], &vec![0.0; n])];
    assert_eq!(eval(&doubling_loop(false), &x(4)).unwrap(), [f64s(&[], &[11.0]), f64s(&[4], &[0.0, 0.0, 1.0, 4.0])]);
    assert_eq!(eval(&doubling_loop(true), &x(4)).unwrap(), [f64s(&[], &[34.0]), f64s(&[4], &[17.0, 8.0, 3.0, 0.0])]);
    assert_eq!(eval(&doubling_loop(true), &x(0)).unwrap(), [f64s(&[], &[0.0]), f64s(&[0], &[])]);
}

#[test]
fn branches_run_one_body_only() {
    let f = func(&[Type::scalar(Elem::Bool), Type::scalar(Elem::Usize)], |b, p| {
        b.open();
        let one = b.index(1);
        let less = b.op(Elementwise::Sub, &[p[1], one]);
        let then = b.close(vec![less]);
        b.open();
        let otherwise = b.close(vec![p[1]]);
        b.stmt(Control::If, &[p[0]], vec![then, otherwise])
    });
    assert_eq!(eval(&f, &[Tensor::bool(true), Tensor::usize(3)]).unwrap(), [Tensor::usize(2)]);
    assert_eq!(eval(&f, &[Tensor::bool(false), Tensor::usize(0)]).unwrap(), [Tensor::usize(0)]);
    assert!(matches!(eval(&f, &[Tensor::bool(true), Tensor::usize(0)]), Err(EvalError::Arithmetic(_))));
}

#[test]
fn a_statement_can_bind_a_dimension() {
    let mut b = Builder::new("f");
    let n = b.param(Type::scalar(Elem::Usize), Note::default());
    let dim = b.dim("n");
    b.stmt(Shape::BindDim { dim: Dim::Sym(dim) }, &[n], Vec::new());
    let iota = b.op(Shape::Iota { dim: Dim::Sym(dim) }, &[]);
    let f = b.finish(vec![iota]);
    assert_eq!(eval(&f, &[Tensor::usize(3)]).unwrap(), [Tensor::usizes(&[3], vec![0, 1, 2])]);
}

#[test]
fn conversions_are_those_of_rust() {
    let cast = |from: Tensor, to: Elem| {
        let f = func(&[Type::scalar(from.elem())], |b, p| vec![b.map(Elementwise::Cast(to), p)]);
        eval(&f, &[from]).map(|mut r| r.remove(0))
    };
    assert_eq!(cast(Tensor::f64(-2.7), Elem::I64), Ok(Tensor::i64(-2)));
    assert_eq!(cast(Tensor::f64(-2.7), Elem::Usize), Ok(Tensor::usize(0)));
    assert_eq!(cast(Tensor::f64(f64::NAN), Elem::I64), Ok(Tensor::i64(0)));
    assert_eq!(cast(Tensor::f64(0.1), Elem::F32), Ok(Tensor::f32(0.1)));
    assert_eq!(cast(Tensor::bool(true), Elem::F64), Ok(Tensor::f64(1.0)));
    assert!(matches!(cast(Tensor::i64(-1), Elem::Usize), Err(EvalError::Arithmetic(_))));
}

#[test]
fn integers_do_not_wrap() {
    let int = |op, x: i64, y: i64| {
        let f = func(&[Type::scalar(Elem::I64), Type::scalar(Elem::I64)], |b, p| vec![b.map(op, p)]);
        eval(&f, &[Tensor::i64(x), Tensor::i64(y)])
    };
    assert_eq!(int(Elementwise::Rem, -7, 3), Ok(vec![Tensor::i64(-1)]));
    assert_eq!(int(Elementwise::Div, -7, 3), Ok(vec![Tensor::i64(-2)]));
    assert!(matches!(int(Elementwise::Div, 1, 0), Err(EvalError::Arithmetic(_))));
    assert!(matches!(int(Elementwise::Add, i64::MAX, 1), Err(EvalError::Arithmetic(_))));
}

#[test]
fn literals_have_their_type() {
    let f = func(&[], |b, _| {
        vec![b.op(Op::Const(Elem::F32, Literal::Float(0.5)), &[]), b.op(Op::Const(Elem::Bool, Literal::Bool(true)), &[]), b.index(7)]
    });
    let results = eval(&f, &[]).unwrap();
    assert_eq!(results[0].data, Data::F32(vec![0.5]));
    assert_eq!(results[1], Tensor::bool(true));
    assert_eq!(results[2], Tensor::usize(7));
}
