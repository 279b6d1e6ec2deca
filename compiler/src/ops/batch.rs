//! Batching rules: each operation on many examples at once, an example being one position along a leading axis.
//!
//! A rule is given operands of which some have that axis, and gives results that all have it. It is asked only if at least one operand has the
//! axis, so that what is the same for all examples is computed once. The pass itself, which also enters control flow, is `derive::batch`.

use crate::ir::{Builder, Control, Dim, Elem, Elementwise, Literal, Note, Op, Reduce, Shape, Type, ValueId};

/// An operand as the batching rule sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Batched {
    /// The same value for all examples.
    Shared(ValueId),
    /// One value for each example, along a leading axis.
    Each(ValueId),
}

impl Batched {
    /// The value, with the leading axis or without.
    pub fn value(self) -> ValueId {
        match self {
            Batched::Shared(v) | Batched::Each(v) => v,
        }
    }

    /// Whether the value has the leading axis.
    pub fn is_each(self) -> bool {
        match self {
            Batched::Shared(_) => false,
            Batched::Each(_) => true,
        }
    }

    /// The value with the leading axis, along which a shared one is repeated.
    pub fn each(self, b: &mut Builder, dim: Dim) -> ValueId {
        match self {
            Batched::Each(v) => v,
            Batched::Shared(v) => {
                let dims = b.ty(v).dims.clone();
                b.broadcast_over(v, &[0], &[&[dim], &dims[..]].concat())
            }
        }
    }
}

/// The type of one value for each example.
pub(crate) fn batched_type(ty: &Type, dim: Dim) -> Type {
    ty.with_dims([&[dim], &ty.dims[..]].concat())
}

/// The value of one example.
pub(crate) fn example(b: &mut Builder, x: ValueId, i: ValueId) -> ValueId {
    b.read_at(x, 0, i)
}

/// One choice for each example: `x` where `choose` (a `bool` for each example), else `y`, which both have the leading axis.
pub(crate) fn choose(b: &mut Builder, choose: ValueId, x: ValueId, y: ValueId) -> ValueId {
    let dims = b.ty(x).dims.clone();
    let choose = b.broadcast(choose, &[0], &dims);
    b.select(choose, x, y)
}

/// A loop over the examples: for operations at positions that differ between examples, where nothing is gained by treating them together.
pub(super) fn one_by_one(
    b: &mut Builder,
    args: &[Batched],
    dim: Dim,
    op: impl FnOnce(&mut Builder, &[ValueId]) -> Vec<ValueId>,
) -> Vec<ValueId> {
    b.open();
    let i = b.param(Type::scalar(Elem::Usize), Note::default());
    let args: Vec<ValueId> = args
        .iter()
        .map(|arg| match *arg {
            Batched::Shared(v) => v,
            Batched::Each(v) => example(b, v, i),
        })
        .collect();
    let results = op(b, &args);
    let body = b.close(results);
    b.stmt(Control::For { trip: dim, reverse: false }, &[], vec![body])
}

impl Op {
    /// The batching rule: the results for all examples, each with the leading axis, as new statements of `b`. At least one operand has the axis, whose
    /// length is `dim`.
    ///
    /// # Panics
    /// On control flow and on what binds a dimension, which `derive::batch` handles itself, and if no operand has the axis.
    pub fn batch(&self, b: &mut Builder, args: &[Batched], dim: Dim) -> Vec<ValueId> {
        assert!(args.iter().any(|arg| arg.is_each()), "{self:?} is the same for all examples");
        match self {
            Op::Elementwise(op) => {
                let args: Vec<ValueId> = args.iter().map(|arg| arg.each(b, dim)).collect();
                vec![b.op(*op, &args)]
            }
            Op::Reduce(op) => vec![op.batch(b, args)],
            Op::Einsum(op) => vec![op.batch(b, args)],
            Op::Shape(op) => vec![op.batch(b, args, dim)],
            Op::Index(op) => op.batch(b, args, dim),
            Op::Linalg(op) => op.batch(b, args, dim),
            Op::Call(_) => one_by_one(b, args, dim, |b, args| b.stmt(self.clone(), args, Vec::new())),
            Op::Const(..) => unreachable!("a constant has no operands"),
            Op::Control(_) => unreachable!("`derive::batch` enters control flow itself"),
        }
    }

    /// Whether the operation may be done with operands that it was not meant for: it never fails, and its derivative is finite wherever the
    /// operands are moderate. What is computed for all examples though only some need it consists of such operations, or is shielded.
    pub fn is_harmless(&self, elem: Option<Elem>) -> bool {
        use Elementwise as E;
        let of_integers = elem.is_some_and(Elem::is_integer);
        match self {
            Op::Const(..) => true,
            Op::Elementwise(op) => match op {
                // Integer arithmetic may leave the range of its type.
                E::Neg | E::Abs | E::Add | E::Sub | E::Mul | E::Cast(_) => !of_integers,
                E::Powi(n) => *n >= 0,
                E::Sin
                | E::Cos
                | E::Atan
                | E::Tanh
                | E::Sigmoid
                | E::Softplus
                | E::Erf
                | E::Sign
                | E::Relu
                | E::Floor
                | E::StopGradient
                | E::Max
                | E::Min
                | E::Lt
                | E::Le
                | E::Eq
                | E::Ne
                | E::And
                | E::Or
                | E::Not
                | E::Select => true,
                E::Exp
                | E::ExpM1
                | E::Ln
                | E::Ln1p
                | E::Sqrt
                | E::Tan
                | E::Asin
                | E::Acos
                | E::Sinh
                | E::Cosh
                | E::Div
                | E::Rem
                | E::Powf
                | E::Atan2 => false,
            },
            Op::Reduce(Reduce::Sum { .. }) => !of_integers,
            Op::Reduce(Reduce::Prod { .. }) => !of_integers,
            Op::Reduce(
                Reduce::Max { .. } | Reduce::Min { .. } | Reduce::LogSumExp { .. } | Reduce::ArgMax { .. } | Reduce::ArgMin { .. },
            ) => false,
            Op::Einsum(_) => true,
            Op::Shape(Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Iota { .. } | Shape::DimSize { .. }) => true,
            // These check lengths.
            Op::Shape(Shape::Reshape { .. } | Shape::Concat { .. } | Shape::Unfold { .. } | Shape::Fold { .. }) => false,
            Op::Shape(Shape::BindDim { .. }) | Op::Index(_) | Op::Call(_) | Op::Linalg(_) | Op::Control(_) => false,
        }
    }
}

/// Whether any of the truth values, one for each example, holds; false for no examples.
pub(crate) fn any(b: &mut Builder, flags: ValueId) -> ValueId {
    let counts = b.map(Elementwise::Cast(Elem::Usize), &[flags]);
    let count = b.sum(counts, &[0]);
    let zero = b.index(0);
    b.map(Elementwise::Lt, &[zero, count])
}

/// The first of the truth values, one for each example, that holds. At least one does.
pub(crate) fn first(b: &mut Builder, flags: ValueId, dim: Dim) -> ValueId {
    let places = b.op(Shape::Iota { dim }, &[]);
    let none = b.dim_size(dim);
    let none = b.broadcast_scalar(none, &[dim]);
    let places = b.select(flags, places, none);
    b.op(Reduce::Min { axes: vec![0] }, &[places])
}

/// The largest of `numbers`, one for each example, and the first example that has it; zero for no examples.
pub(crate) fn largest(b: &mut Builder, numbers: ValueId, dim: Dim) -> (ValueId, ValueId) {
    let (zero, len) = (b.index(0), b.dim_size(dim));
    let is_some = b.map(Elementwise::Lt, &[zero, len]);
    b.open();
    let largest = b.op(Reduce::Max { axes: vec![0] }, &[numbers]);
    let all = b.broadcast_scalar(largest, &[dim]);
    let attains = b.map(Elementwise::Eq, &[numbers, all]);
    let place = first(b, attains, dim);
    let some = b.close(vec![largest, place]);
    b.open();
    let zero = b.op(Op::Const(Elem::Usize, Literal::Int(0)), &[]);
    let none = b.close(vec![zero, zero]);
    let outs = b.stmt(Control::If, &[is_some], vec![some, none]);
    (outs[0], outs[1])
}
