//! The derivatives of every operation, at points from its sampler: one row per operation and way of using it.
//!
//! For each row the adjoint identity, first and second derivatives against differences, the symmetry of the Hessian, its three ways to be computed, and
//! the same derivatives in `f32`. `place_in_table` makes sure that no operation is without a row.

use bilevel_compiler::derive::{batch, grad, hvp, jvp, vjp};
use bilevel_compiler::ir::eval::{Data, Tensor};
use bilevel_compiler::ir::{
    Builder, Control, Dim, Einsum, Elem, Elementwise, Func, Index, Linalg, Literal, Note, Op, Pick, Reduce, Shape, Triangle, Type, ValueId,
    Window,
};
use bilevel_compiler::testing::Random;
use bilevel_compiler::testing::check::{assert_near, difference, inner, run, size};
use bilevel_compiler::testing::examples::assert_batch;

/// An operation in use: a function of float parameters, and arguments at which it is smooth.
struct Row {
    name: String,
    /// The function with floats of the given type, and its float parameters.
    make: Box<dyn Fn(Elem) -> Func>,
    args: Vec<Tensor>,
}

/// Builds a row: parameters of the arguments' types (floats as the element type asks), and the statements.
fn row(name: impl Into<String>, args: Vec<Tensor>, stmts: impl Fn(&mut Builder, &[ValueId]) -> Vec<ValueId> + 'static) -> Row {
    let types: Vec<Type> =
        args.iter().map(|a| Type::tensor(a.elem(), a.shape.iter().map(|&n| Dim::Const(n as u64)).collect::<Vec<_>>())).collect();
    let name = name.into();
    let title = name.clone();
    let make = move |elem: Elem| {
        let mut b = Builder::new(title.clone());
        let typed = types.iter().map(|ty| if ty.elem.is_float() { ty.with_elem(elem) } else { ty.clone() });
        let params: Vec<ValueId> = typed.map(|ty| b.param(ty, Note::default())).collect();
        let results = stmts(&mut b, &params);
        b.finish(results)
    };
    Row { name, make: Box::new(make), args }
}

fn float_params(f: &Func) -> Vec<usize> {
    (0..f.n_params()).filter(|&k| f.ty(f.params()[k]).elem.is_float()).collect()
}

/// Every place in the table, and the place of an operation. An operation that is added needs a place here to compile, and a row to fill it.
const PLACES: &[&str] = &[
    "const",
    "reduce_sum",
    "reduce_max",
    "reduce_min",
    "log_sum_exp",
    "reduce_prod",
    "arg_max",
    "arg_min",
    "einsum",
    "broadcast",
    "permute",
    "reshape",
    "concat",
    "unfold",
    "fold",
    "iota",
    "dim_size",
    "bind_dim",
    "read",
    "add_to",
    "write",
    "gather",
    "scatter_add",
    "take_along",
    "put_along",
    "lu",
    "lu_solve",
    "log_det",
    "cholesky",
    "solve_triangular",
    "eigh",
    "for",
    "if",
    "while",
    "check",
    "powi",
    "cast",
];

fn place_in_table(op: &Op) -> &'static str {
    match op {
        Op::Const(..) => "const",
        Op::Elementwise(Elementwise::Powi(_)) => "powi",
        Op::Elementwise(Elementwise::Cast(_)) => "cast",
        // The name comes from an exhaustive match of its own, and `Elementwise::PLAIN` from the same list.
        Op::Elementwise(op) => op.name(),
        Op::Reduce(Reduce::Sum { .. }) => "reduce_sum",
        Op::Reduce(Reduce::Max { .. }) => "reduce_max",
        Op::Reduce(Reduce::Min { .. }) => "reduce_min",
        Op::Reduce(Reduce::LogSumExp { .. }) => "log_sum_exp",
        Op::Reduce(Reduce::Prod { .. }) => "reduce_prod",
        Op::Reduce(Reduce::ArgMax { .. }) => "arg_max",
        Op::Reduce(Reduce::ArgMin { .. }) => "arg_min",
        Op::Einsum(_) => "einsum",
        Op::Shape(Shape::Broadcast { .. }) => "broadcast",
        Op::Shape(Shape::Permute { .. }) => "permute",
        Op::Shape(Shape::Reshape { .. }) => "reshape",
        Op::Shape(Shape::Concat { .. }) => "concat",
        Op::Shape(Shape::Unfold { .. }) => "unfold",
        Op::Shape(Shape::Fold { .. }) => "fold",
        Op::Shape(Shape::Iota { .. }) => "iota",
        Op::Shape(Shape::DimSize { .. }) => "dim_size",
        Op::Shape(Shape::BindDim { .. }) => "bind_dim",
        Op::Index(Index::Read(_)) => "read",
        Op::Index(Index::Add(_)) => "add_to",
        Op::Index(Index::Write(_)) => "write",
        Op::Index(Index::Gather { .. }) => "gather",
        Op::Index(Index::ScatterAdd { .. }) => "scatter_add",
        Op::Index(Index::TakeAlong { .. }) => "take_along",
        Op::Index(Index::PutAlong { .. }) => "put_along",
        Op::Linalg(Linalg::Lu) => "lu",
        Op::Linalg(Linalg::LuSolve { .. }) => "lu_solve",
        Op::Linalg(Linalg::LogDet) => "log_det",
        Op::Linalg(Linalg::Cholesky) => "cholesky",
        Op::Linalg(Linalg::SolveTriangular(_)) => "solve_triangular",
        Op::Linalg(Linalg::Eigh) => "eigh",
        Op::Call(_) => "call",
        Op::Control(Control::For { .. }) => "for",
        Op::Control(Control::If) => "if",
        Op::Control(Control::While) => "while",
        Op::Control(Control::Check { .. }) => "check",
    }
}

/// Operands for an element-wise operation on 7 elements, from its domain.
fn operands(op: Elementwise, random: &mut Random) -> Vec<Tensor> {
    const N: usize = 7;
    let domain = op.domain();
    let mut columns: Vec<Vec<f64>> = vec![Vec::new(); op.arity()];
    while columns[0].len() < N {
        let point: Vec<f64> = domain.operands.iter().map(|i| if i.is_empty() { 0.0 } else { random.from(i) }).collect();
        if domain.apart == 0.0 || (point[0] - point[1]).abs() >= domain.apart {
            columns.iter_mut().zip(point).for_each(|(column, x)| column.push(x));
        }
    }
    let intervals = domain.operands.iter();
    columns
        .into_iter()
        .zip(intervals)
        .map(|(column, i)| match i.is_empty() {
            true => random.tensor(Elem::Bool, &[N]),
            false => Tensor::f64s(&[N], column),
        })
        .collect()
}

fn elementwise_rows(random: &mut Random) -> Vec<Row> {
    let powers = [-3, -2, -1, 0, 1, 2, 3, 5].map(Elementwise::Powi);
    let mut rows = Vec::new();
    for op in Elementwise::PLAIN.iter().copied().chain(powers) {
        let name = format!("{op:?}");
        let mut args = operands(op, random);
        let n = args.len();
        // Where the result, or every operand, is no float, it scales one.
        args.push(random.tensor(Elem::F64, &[7]));
        rows.push(row(name, args, move |b, p| {
            let mut operands = p[..n].to_vec();
            if op == Elementwise::StopGradient {
                // Differences see through it: only of what is constant near the point do they agree. `kinks.rs` has the rest.
                operands = vec![b.map(Elementwise::Floor, &operands)];
            }
            let y = b.map(op, &operands);
            if b.ty(y).elem.is_float() {
                let scaled = b.mul(y, p[n]);
                return vec![y, scaled];
            }
            let to = b.ty(p[n]).elem;
            let y = b.map(Elementwise::Cast(to), &[y]);
            vec![b.mul(y, p[n])]
        }));
        // One operand held, the other a parameter, and the other way round.
        if op.arity() == 2 {
            for held in 0..2 {
                let args = operands(op, random);
                if args[0].elem().is_float() {
                    let constant = args[held].as_f64()[0];
                    let other: Vec<f64> = args[1 - held].as_f64().iter().copied().filter(|x| (x - constant).abs() > 0.2).collect();
                    let other = Tensor::f64s(&[other.len()], other);
                    rows.push(row(format!("{op:?} with operand {held} constant"), vec![other.clone(), other], move |b, p| {
                        let elem = b.ty(p[0]).elem;
                        let x = if elem == Elem::F32 { f64::from(constant as f32) } else { constant };
                        let c = b.constant_like(p[0], x);
                        let y = if held == 0 { b.map(op, &[c, p[0]]) } else { b.map(op, &[p[0], c]) };
                        let y = b.map(Elementwise::Cast(elem), &[y]);
                        vec![b.mul(y, p[1])]
                    }));
                }
            }
        }
    }
    let x = random.tensor(Elem::F64, &[5]);
    let i = Tensor::usizes(&[5], vec![3, 1, 4, 1, 5]);
    rows.push(row("Cast from floats and integers", vec![x, i], |b, p| {
        let elem = b.ty(p[0]).elem;
        let same = b.map(Elementwise::Cast(elem), &[p[0]]);
        let counted = b.map(Elementwise::Cast(elem), &[p[1]]);
        let cut = b.map(Elementwise::Cast(Elem::I64), &[p[0]]);
        let cut = b.map(Elementwise::Cast(elem), &[cut]);
        let product = b.mul(same, counted);
        vec![b.mul(product, cut)]
    }));
    let x = random.tensor(Elem::F64, &[4]);
    let (i, j) = (Tensor::usizes(&[4], vec![7, 3, 12, 5]), Tensor::usizes(&[4], vec![4, 5, 5, 1]));
    rows.push(row("Rem of integers", vec![x, i, j], |b, p| {
        let elem = b.ty(p[0]).elem;
        let rest = b.map(Elementwise::Rem, &[p[1], p[2]]);
        let rest = b.map(Elementwise::Cast(elem), &[rest]);
        vec![b.mul(rest, p[0])]
    }));
    let x = random.tensor(Elem::F64, &[]);
    rows.push(row("Const", vec![x], |b, p| {
        let elem = b.ty(p[0]).elem;
        let c = b.op(Op::Const(elem, Literal::Float(2.5)), &[]);
        vec![b.mul(c, p[0])]
    }));
    rows
}

/// Numbers that keep a distance from each other, in no order.
fn apart(random: &mut Random, shape: &[usize]) -> Tensor {
    let n = shape.iter().product();
    let mut values: Vec<f64> = (0..n).map(|k| 0.15 * k as f64 - 1.0).collect();
    for k in (1..n).rev() {
        values.swap(k, random.below(k + 1));
    }
    Tensor::f64s(shape, values)
}

fn reduce_rows(random: &mut Random) -> Vec<Row> {
    let mut rows = Vec::new();
    for axes in [vec![], vec![0], vec![1], vec![2], vec![0, 2], vec![0, 1, 2]] {
        for op in [
            Reduce::Sum { axes: axes.clone() },
            Reduce::Prod { axes: axes.clone() },
            Reduce::Max { axes: axes.clone() },
            Reduce::Min { axes: axes.clone() },
            Reduce::LogSumExp { axes: axes.clone() },
        ] {
            rows.push(row(format!("{op:?}"), vec![apart(random, &[2, 3, 2])], move |b, p| vec![b.op(op.clone(), p)]));
        }
    }
    rows
}

fn position_rows(random: &mut Random) -> Vec<Row> {
    let mut rows = Vec::new();
    for axis in 0..3 {
        for op in [Reduce::ArgMax { axis }, Reduce::ArgMin { axis }] {
            // The position scales the elements that are left.
            rows.push(row(format!("{op:?}"), vec![apart(random, &[2, 3, 2])], move |b, p| {
                let elem = b.ty(p[0]).elem;
                let position = b.op(op.clone(), p);
                let scale = b.map(Elementwise::Cast(elem), &[position]);
                let rest = b.sum(p[0], &[axis]);
                vec![b.mul(scale, rest)]
            }));
        }
    }
    // A product with zeros among its factors: one, several, and none.
    let x = Tensor::f64s(&[3, 4], vec![0.0, 1.5, -0.7, 2.0, 0.0, 0.6, 0.0, -1.1, 0.9, 1.2, -0.8, 1.3]);
    rows.push(row("Prod with zeros", vec![x], |b, p| vec![b.op(Reduce::Prod { axes: vec![1] }, p)]));
    rows
}

fn product_rows(random: &mut Random) -> Vec<Row> {
    let specs = [
        "ij,jk->ik",
        "ij,kj->ki",
        "ji,jk->ki",
        "i,j->ij",
        "i,i->",
        "i,->i",
        ",i->i",
        ",->",
        "ij,j->i",
        "bij,bjk->bik",
        "ij,ij->ji",
        "ij,ij->",
    ];
    let of = |spec: &str| {
        let op: Einsum = spec.parse().expect("a specification");
        let mut tensor = |labels: &[u8]| {
            let shape: Vec<usize> = labels.iter().map(|l| 2 + usize::from(*l) % 3).collect();
            random.tensor(Elem::F64, &shape)
        };
        let args = vec![tensor(&op.lhs), tensor(&op.rhs)];
        row(format!("einsum {spec}"), args, move |b, p| vec![b.op(op.clone(), p)])
    };
    specs.into_iter().map(of).collect()
}

fn shape_rows(random: &mut Random) -> Vec<Row> {
    let (three, two) = (Dim::Const(3), Dim::Const(2));
    let mut matrix = || random.tensor(Elem::F64, &[3, 2]);
    vec![
        row("Broadcast", vec![matrix()], move |b, p| vec![b.broadcast(p[0], &[1, 2], &[two, three, two])]),
        row("Broadcast to a last axis", vec![matrix()], move |b, p| vec![b.broadcast(p[0], &[0, 1], &[three, two, three])]),
        row("Permute", vec![matrix()], |b, p| vec![b.permute(p[0], &[1, 0])]),
        row("Permute three axes", vec![matrix()], move |b, p| {
            let x = b.broadcast(p[0], &[0, 1], &[three, two, three]);
            vec![b.permute(x, &[2, 0, 1])]
        }),
        row("Reshape", vec![matrix()], move |b, p| {
            let dims = vec![Dim::Const(1), three, Dim::Const(1), two];
            let x = b.op(Shape::Reshape { dims }, &[p[0]]);
            let back = b.op(Shape::Reshape { dims: vec![three, two] }, &[x]);
            vec![x, back]
        }),
        row("Reshape to other lengths", vec![matrix()], move |b, p| {
            let x = b.op(Shape::Reshape { dims: vec![two, three] }, &[p[0]]);
            let flat = b.op(Shape::Reshape { dims: vec![Dim::Const(6)] }, &[x]);
            vec![x, flat]
        }),
        row("Concat", vec![matrix(), matrix()], move |b, p| {
            let rows = b.op(Shape::Concat { axis: 0, dim: Dim::Const(9) }, &[p[0], p[1], p[0]]);
            let cols = b.op(Shape::Concat { axis: 1, dim: Dim::Const(4) }, &[p[1], p[0]]);
            let zeros = b.constant_like(p[0], 0.5);
            vec![rows, cols, b.op(Shape::Concat { axis: 0, dim: Dim::Const(6) }, &[zeros, p[0]])]
        }),
        row("Unfold", vec![matrix()], move |b, p| {
            let overlapping = Shape::Unfold { axis: 0, out: two, len: two, step: 1, dilation: 1 };
            let dilated = Shape::Unfold { axis: 0, out: Dim::Const(1), len: two, step: 5, dilation: 2 };
            let none = Shape::Unfold { axis: 1, out: Dim::Const(0), len: three, step: 1, dilation: 1 };
            [overlapping, dilated, none].map(|op| b.op(op, p)).to_vec()
        }),
        row("Fold", vec![matrix()], move |b, p| {
            let overlapping = Shape::Fold { axis: 0, dim: Dim::Const(4), step: 1, dilation: 1 };
            let gaps = Shape::Fold { axis: 0, dim: Dim::Const(9), step: 3, dilation: 2 };
            [overlapping, gaps].map(|op| b.op(op, p)).to_vec()
        }),
        row("Iota and DimSize", vec![matrix()], move |b, p| {
            let elem = b.ty(p[0]).elem;
            let (i, n) = (b.op(Shape::Iota { dim: two }, &[]), b.dim_size(three));
            let (i, n) = (b.map(Elementwise::Cast(elem), &[i]), b.map(Elementwise::Cast(elem), &[n]));
            let (i, n) = (b.broadcast(i, &[1], &[three, two]), b.broadcast_scalar(n, &[three, two]));
            let x = b.mul(i, p[0]);
            vec![b.mul(n, x)]
        }),
        row("BindDim", vec![matrix(), Tensor::usize(4)], |b, p| {
            let turns = b.dim("turns");
            b.stmt(Shape::BindDim { dim: Dim::Sym(turns) }, &[p[1]], Vec::new());
            let wide = b.broadcast(p[0], &[1, 2], &[Dim::Sym(turns), Dim::Const(3), Dim::Const(2)]);
            let squares = b.mul(wide, wide);
            vec![b.sum(squares, &[0])]
        }),
    ]
}

fn index_rows(random: &mut Random) -> Vec<Row> {
    let mut rows = Vec::new();
    for axis in 0..2 {
        let x = random.tensor(Elem::F64, &[3, 2]);
        let (rest, len) = ([2, 3][axis], [3, 2][axis]);
        let v = random.tensor(Elem::F64, &[rest]);
        let places = Tensor::usizes(&[rest], (0..rest).map(|_| random.below(len)).collect());
        let dim = Dim::Const(len as u64);
        let at = move || Window::at(axis);
        rows.push(row(format!("Read {axis}"), vec![x.clone(), Tensor::usize(1)], move |b, p| vec![b.op(Index::Read(at()), p)]));
        for op in [Index::Add(at()), Index::Write(at())] {
            let one = op.clone();
            rows.push(row(format!("{op:?}"), vec![x.clone(), Tensor::usize(1), v.clone()], move |b, p| vec![b.op(one.clone(), p)]));
            rows.push(row(format!("{op:?} of constants"), vec![x.clone(), v.clone(), v.clone()], move |b, p| {
                let i = b.index(0);
                let like_x = b.constant_like(p[0], 1.0);
                let like_v = b.constant_like(p[1], 1.0);
                vec![b.op(op.clone(), &[like_x, i, p[1]]), b.op(op.clone(), &[p[0], i, like_v])]
            }));
        }
        // The same position twice: what is added adds up.
        let twice = Tensor::usizes(&[2, 2], vec![1, 0, 1, 1]);
        rows.push(row(format!("Gather {axis}"), vec![x.clone(), twice.clone()], move |b, p| vec![b.op(Index::Gather { axis }, p)]));
        let mut shape = vec![2, 2];
        shape.insert(if axis == 0 { 2 } else { 0 }, rest);
        let many = random.tensor(Elem::F64, &shape);
        rows.push(row(format!("ScatterAdd {axis}"), vec![x.clone(), twice, many], move |b, p| vec![b.op(Index::ScatterAdd { axis }, p)]));
        rows.push(row(format!("TakeAlong {axis}"), vec![x, places.clone()], move |b, p| vec![b.op(Index::TakeAlong { axis }, p)]));
        rows.push(row(format!("PutAlong {axis}"), vec![v, places], move |b, p| vec![b.op(Index::PutAlong { axis, dim }, p)]));
    }
    // One position, every second one upwards, and two downwards; starts are 0 or 1, and one more on the last axis.
    let picks = [(0, Pick::At), (1, Pick::Slice { step: 2, len: Dim::Const(2) }), (2, Pick::Slice { step: -1, len: Dim::Const(2) })];
    for axes in [&picks[..], &picks[1..], &picks[..2], &picks[1..2], &picks[2..]] {
        let window = Window { axes: axes.to_vec() };
        let starts = vec![Tensor::usize(1); axes.len()];
        let has = |axis: usize| axes.iter().any(|&(a, _)| a == axis);
        let x = random.tensor(Elem::F64, &[2, 4, 3]);
        let lens: Vec<usize> =
            [(!has(0)).then_some(2), Some(if has(1) { 2 } else { 4 }), Some(if has(2) { 2 } else { 3 })].into_iter().flatten().collect();
        let v = random.tensor(Elem::F64, &lens);
        let last_start = has(2).then_some(axes.len());
        let args = move |b: &mut Builder, p: &[ValueId]| {
            let mut args = p.to_vec();
            if let Some(k) = last_start {
                let one = b.index(1);
                args[k] = b.add(one, args[k]);
            }
            args
        };
        let read = Index::Read(window.clone());
        rows.push(row(format!("{read:?}"), [std::slice::from_ref(&x), &starts[..]].concat(), move |b, p| {
            let args = args(b, p);
            vec![b.op(read.clone(), &args)]
        }));
        for op in [Index::Add(window.clone()), Index::Write(window.clone())] {
            rows.push(row(format!("{op:?}"), [std::slice::from_ref(&x), &starts[..], std::slice::from_ref(&v)].concat(), move |b, p| {
                let args = args(b, p);
                vec![b.op(op.clone(), &args)]
            }));
        }
    }
    rows
}

/// Matrices that depend on `x`, with 3, 6, 9, … on their diagonals: away from the singular ones, and with eigenvalues that keep their distance.
fn dominant(b: &mut Builder, x: ValueId) -> ValueId {
    let ty = b.ty(x).clone();
    let square = &ty.dims[ty.rank() - 2..];
    let numbers = b.op(Shape::Iota { dim: square[0] }, &[]);
    let (i, j) = (b.broadcast(numbers, &[0], square), b.broadcast(numbers, &[1], square));
    let on_diagonal = b.map(Elementwise::Eq, &[i, j]);
    let on_diagonal = b.map(Elementwise::Cast(ty.elem), &[on_diagonal]);
    let numbers = b.map(Elementwise::Cast(ty.elem), &[i]);
    let one = b.constant_like(numbers, 1.0);
    let numbers = b.add(numbers, one);
    let diagonal = b.mul(on_diagonal, numbers);
    let diagonal = b.scale(diagonal, 3.0);
    let diagonal = b.broadcast(diagonal, &[ty.rank() - 2, ty.rank() - 1], &ty.dims);
    let share = b.float(ty.elem, 0.25);
    let share = b.broadcast_scalar(share, &ty.dims);
    let rest = b.mul(share, x);
    b.add(diagonal, rest)
}

fn linalg_rows(random: &mut Random) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in [vec![], vec![2]] {
        let x = random.tensor(Elem::F64, &[&batch[..], &[3, 3]].concat());
        let right = random.tensor(Elem::F64, &[&batch[..], &[3, 2]].concat());
        for transposed in [false, true] {
            let name = format!("LuSolve, transposed: {transposed}, batch {batch:?}");
            rows.push(row(name, vec![x.clone(), right.clone()], move |b, p| {
                let a = dominant(b, p[0]);
                let lu = b.stmt(Linalg::Lu, &[a], Vec::new());
                vec![b.op(Linalg::LuSolve { transposed }, &[a, lu[0], lu[1], p[1]])]
            }));
            for (lower, unit) in [(false, false), (false, true), (true, false), (true, true)] {
                let op = Linalg::SolveTriangular(Triangle { lower, transposed, unit });
                rows.push(row(format!("{op:?}, batch {batch:?}"), vec![x.clone(), right.clone()], move |b, p| {
                    let t = dominant(b, p[0]);
                    vec![b.op(op, &[t, p[1]])]
                }));
            }
        }
        rows.push(row(format!("LogDet, batch {batch:?}"), vec![x.clone()], |b, p| {
            let a = dominant(b, p[0]);
            let lu = b.stmt(Linalg::Lu, &[a], Vec::new());
            vec![b.op(Linalg::LogDet, &[a, lu[0], lu[1]])]
        }));
        for (op, results) in [(Linalg::Cholesky, 0..1), (Linalg::Eigh, 0..1), (Linalg::Eigh, 1..2), (Linalg::Eigh, 0..2)] {
            rows.push(row(format!("{op:?}, batch {batch:?}, results {results:?}"), vec![x.clone()], move |b, p| {
                let a = dominant(b, p[0]);
                b.stmt(op, &[a], Vec::new())[results.clone()].to_vec()
            }));
        }
    }
    // More right sides than matrices.
    let (x, right) = (random.tensor(Elem::F64, &[2, 3, 3]), random.tensor(Elem::F64, &[2, 2, 3, 2]));
    rows.push(row("solutions of matrices for several right sides", vec![x, right], |b, p| {
        let a = dominant(b, p[0]);
        let lu = b.stmt(Linalg::Lu, &[a], Vec::new());
        let triangle = Triangle { lower: true, transposed: false, unit: false };
        vec![b.op(Linalg::LuSolve { transposed: false }, &[a, lu[0], lu[1], p[1]]), b.op(Linalg::SolveTriangular(triangle), &[a, p[1]])]
    }));
    rows
}

fn control_rows(random: &mut Random) -> Vec<Row> {
    let mut rows = Vec::new();
    for reverse in [false, true] {
        let (x, w) = (random.tensor(Elem::F64, &[3]), random.tensor(Elem::F64, &[4]));
        rows.push(row(format!("For, reverse: {reverse}"), vec![x, w], move |b, p| {
            b.open();
            let i = b.param(Type::scalar(Elem::Usize), Note::default());
            let ty = b.ty(p[0]).clone();
            let carried = b.param(ty, Note::default());
            let wi = b.read_at(p[1], 0, i);
            let wi = b.broadcast_scalar(wi, &[Dim::Const(3)]);
            let scaled = b.mul(wi, carried);
            let next = b.map(Elementwise::Sin, &[scaled]);
            let body = b.close(vec![next, scaled]);
            b.stmt(Control::For { trip: Dim::Const(4), reverse }, &[p[0]], vec![body])
        }));
    }
    for cond in [false, true] {
        let (x, y) = (random.tensor(Elem::F64, &[3]), random.tensor(Elem::F64, &[3]));
        rows.push(row(format!("If {cond}"), vec![x, y, Tensor::bool(cond)], |b, p| {
            b.open();
            let product = b.mul(p[0], p[1]);
            let then = b.close(vec![product, p[0]]);
            b.open();
            let sine = b.map(Elementwise::Sin, &[p[0]]);
            let otherwise = b.close(vec![sine, p[1]]);
            b.stmt(Control::If, &[p[2]], vec![then, otherwise])
        }));
    }
    rows
}

/// A loop of `turns` turns that counts, and a check that it does; neither stands between the float and the result. What a `while` loop does to
/// floats is in `derive.rs`, since it has no reverse mode.
fn while_rows(random: &mut Random) -> Vec<Row> {
    let counted = |turns: usize, x: Tensor| {
        row(format!("While {turns}"), vec![x, Tensor::usize(turns)], |b, p| {
            let zero = b.index(0);
            b.open();
            let count = b.param(Type::scalar(Elem::Usize), Note::default());
            let goes_on = b.map(Elementwise::Lt, &[count, p[1]]);
            let condition = b.close(vec![goes_on]);
            b.open();
            let count = b.param(Type::scalar(Elem::Usize), Note::default());
            let one = b.index(1);
            let next = b.add(count, one);
            let turn = b.close(vec![next]);
            let count = b.stmt(Control::While, &[zero], vec![condition, turn])[0];
            let holds = b.map(Elementwise::Eq, &[count, p[1]]);
            b.stmt(Control::Check { message: "the loop counts its turns".into() }, &[holds], Vec::new());
            let elem = b.ty(p[0]).elem;
            let count = b.map(Elementwise::Cast(elem), &[count]);
            let count = b.broadcast_scalar(count, &[Dim::Const(3)]);
            let scaled = b.mul(count, p[0]);
            vec![b.map(Elementwise::Sin, &[scaled])]
        })
    };
    [0, 3].map(|turns| counted(turns, random.tensor(Elem::F64, &[3]))).into()
}

fn table() -> Vec<Row> {
    let mut random = Random::new(2024);
    let families =
        [elementwise_rows, reduce_rows, position_rows, product_rows, shape_rows, index_rows, linalg_rows, control_rows, while_rows];
    families.into_iter().flat_map(|rows| rows(&mut random)).collect()
}

#[test]
fn every_operation_has_a_row() {
    let mut found = std::collections::BTreeSet::new();
    for row in table() {
        (row.make)(Elem::F64).body.walk(&mut |stmt| {
            found.insert(place_in_table(&stmt.op));
        });
    }
    for place in Elementwise::PLAIN.iter().map(|op| op.name()).chain(PLACES.iter().copied()) {
        assert!(found.remove(place), "no row for {place}");
    }
    assert!(found.is_empty(), "not in the list of places: {found:?}");
}

#[test]
fn first_derivatives() {
    let mut random = Random::new(1);
    for row in table() {
        let f = (row.make)(Elem::F64);
        let wrt = float_params(&f);
        let dots: Vec<Tensor> = wrt.iter().map(|&k| random.tensor(Elem::F64, &row.args[k].shape)).collect();
        let tangents = run(&jvp(&f, &wrt).unwrap(), &[&row.args[..], &dots].concat()).split_off(f.results().len());
        let (differences, _) = difference(&f, &row.args, &wrt, &dots);
        assert_near(&tangents, &differences, 1e-9, &row.name);

        let bars: Vec<Tensor> = tangents.iter().map(|t| random.tensor(Elem::F64, &t.shape)).collect();
        let cotangents = run(&vjp(&f, &wrt).unwrap(), &[&row.args[..], &bars].concat()).split_off(bars.len());
        let (forwards, backwards) = (inner(&tangents, &bars), inner(&cotangents, &dots));
        assert!((forwards - backwards).abs() <= 1e-12 * size(&tangents).max(1.0), "{}: {forwards} and {backwards}", row.name);
    }
}

/// Forward over forward against differences of forward mode, for the operation as it stands.
#[test]
fn second_derivatives() {
    let mut random = Random::new(2);
    for row in table() {
        let f = (row.make)(Elem::F64);
        let wrt = float_params(&f);
        let mut directions = || wrt.iter().map(|&k| random.tensor(Elem::F64, &row.args[k].shape)).collect::<Vec<_>>();
        let (u, v) = (directions(), directions());
        let forward = jvp(&f, &wrt).unwrap();
        let args = [&row.args[..], &u].concat();
        let twice = run(&jvp(&forward, &wrt).unwrap(), &[&args[..], &v].concat()).split_off(2 * f.results().len());
        let (differences, _) = difference(&forward, &args, &wrt, &v);
        assert_near(&twice, &differences, 1e-9, &row.name);
    }
}

/// `sum(sin(r) r)` over the results `r` of a row.
fn scalar(row: &Row, elem: Elem) -> Func {
    let f = (row.make)(elem);
    let mut b = Builder::new(row.name.clone());
    let args: Vec<ValueId> = f.params().iter().map(|&p| b.param(f.ty(p).clone(), Note::default())).collect();
    let mut total = b.float(elem, 0.0);
    for r in b.inline(&f, &args) {
        let sine = b.map(Elementwise::Sin, &[r]);
        let product = b.mul(sine, r);
        let axes: Vec<usize> = (0..b.ty(r).rank()).collect();
        let sum = b.sum(product, &axes);
        total = b.add(total, sum);
    }
    b.finish(vec![total])
}

#[test]
fn hessians() {
    let mut random = Random::new(3);
    for row in table() {
        let f = scalar(&row, Elem::F64);
        let wrt = float_params(&f);
        let mut directions = || wrt.iter().map(|&k| random.tensor(Elem::F64, &row.args[k].shape)).collect::<Vec<_>>();
        let (u, v) = (directions(), directions());
        let gradient = grad(&f, &wrt).unwrap();
        let product = hvp(&f, &wrt).unwrap();
        let hv = run(&product, &[&row.args[..], &v].concat());
        let hu = run(&product, &[&row.args[..], &u].concat());
        let scale = size(&hv).max(size(&hu)).max(1.0);
        assert!((inner(&u, &hv) - inner(&v, &hu)).abs() <= 1e-10 * scale, "{}: not symmetric", row.name);

        let (differences, _) = difference(&gradient, &row.args, &wrt, &v);
        assert_near(&hv, &differences[1..], 1e-9, &row.name);

        let seeds = [Tensor::f64(0.0), Tensor::f64(1.0)];
        let over_forward = vjp(&jvp(&f, &wrt).unwrap(), &wrt).unwrap();
        let over_forward = run(&over_forward, &[&row.args[..], &v, &seeds].concat()).split_off(2);
        assert_near(&hv, &over_forward, 1e-9, &row.name);
        let over_reverse = vjp(&gradient, &wrt).unwrap();
        let over_reverse = run(&over_reverse, &[&row.args[..], &seeds[..1], &v].concat()).split_off(1 + wrt.len());
        assert_near(&hv, &over_reverse, 1e-9, &row.name);
    }
}

/// The values of another example: those of the first one in another order, so that each stays where the operation is defined.
fn another_example(of: &Tensor, e: usize) -> Tensor {
    let n = of.data.len();
    match (of.elem(), n) {
        (_, 0) => of.clone(),
        (Elem::Usize, 1) => Tensor::usize((of.as_int()[0] as usize + e) % 2),
        (Elem::Bool, 1) => Tensor::bool(of.as_bool()[0] ^ (e % 2 == 1)),
        (Elem::F64, 1) => Tensor::f64s(&of.shape, vec![of.as_f64()[0] * (1.0 - 0.1 * e as f64)]),
        (_, n) => {
            let places: Vec<usize> = (0..n).map(|k| (k + e) % n).collect();
            let data = match &of.data {
                Data::F64(x) => Data::F64(places.iter().map(|&p| x[p]).collect()),
                Data::F32(x) => Data::F32(places.iter().map(|&p| x[p]).collect()),
                Data::Int(elem, x) => Data::Int(*elem, places.iter().map(|&p| x[p]).collect()),
                Data::Bool(x) => Data::Bool(places.iter().map(|&p| x[p]).collect()),
            };
            Tensor::new(&of.shape, data)
        }
    }
}

/// Every batching rule against one example after the other, for every set of operands that have the axis.
#[test]
fn batches() {
    for row in table() {
        let f = (row.make)(Elem::F64);
        for set in 1..1usize << row.args.len() {
            let batched: Vec<usize> = (0..row.args.len()).filter(|k| set >> k & 1 == 1).collect();
            if let Err(error) = batch(&f, &batched) {
                // Here a length comes from data.
                assert!(row.name == "BindDim" && batched.contains(&1), "{}: {error}", row.name);
                continue;
            }
            let values = |(k, arg): (usize, &Tensor)| {
                let n = if batched.contains(&k) { 3 } else { 1 };
                (0..n).map(|e| another_example(arg, e)).collect()
            };
            let args: Vec<Vec<Tensor>> = row.args.iter().enumerate().map(values).collect();
            assert_batch(&f, &args, 3, &row.name);
        }
    }
}

/// The derivatives in `f32` are those in `f64`, rounded.
#[test]
fn single_precision() {
    let mut random = Random::new(4);
    let single =
        |t: &Tensor| if t.elem().is_float() { Tensor::f32s(&t.shape, t.to_f64().iter().map(|&x| x as f32).collect()) } else { t.clone() };
    let double = |t: &Tensor| if t.elem().is_float() { Tensor::f64s(&t.shape, t.to_f64()) } else { t.clone() };
    for row in table() {
        let (f, g) = (scalar(&row, Elem::F32), scalar(&row, Elem::F64));
        let wrt = float_params(&f);
        let dots = wrt.iter().map(|&k| random.tensor(Elem::F32, &row.args[k].shape));
        let args: Vec<Tensor> = row.args.iter().map(single).chain(dots).collect();
        let doubles: Vec<Tensor> = args.iter().map(double).collect();
        for derivative in [jvp, hvp] {
            let out = run(&derivative(&f, &wrt).unwrap(), &args);
            assert!(out.iter().all(|t| t.elem() == Elem::F32), "{}", row.name);
            assert_near(&out, &run(&derivative(&g, &wrt).unwrap(), &doubles), 1e-4, &row.name);
        }
    }
}

/// Between the two widths a cast is linear, and its transpose casts back.
#[test]
fn casts_between_the_widths() {
    let mut b = Builder::new("cast");
    let x = b.param(Type::tensor(Elem::F64, [Dim::Const(3)]), Note::default());
    let y = b.map(Elementwise::Cast(Elem::F32), &[x]);
    let f = b.finish(vec![y]);
    let (x, dot) = (Tensor::f64s(&[3], vec![0.1, 0.2, 0.3]), Tensor::f64s(&[3], vec![0.7, 0.8, 0.9]));
    let out = run(&jvp(&f, &[0]).unwrap(), &[x.clone(), dot]);
    assert_eq!(out[1], Tensor::f32s(&[3], vec![0.7, 0.8, 0.9]));
    let out = run(&vjp(&f, &[0]).unwrap(), &[x, Tensor::f32s(&[3], vec![0.7, 0.8, 0.9])]);
    assert_eq!(out[1], Tensor::f64s(&[3], vec![f64::from(0.7f32), f64::from(0.8f32), f64::from(0.9f32)]));
}
