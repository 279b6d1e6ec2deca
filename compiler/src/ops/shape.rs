//! Operations that move, repeat or measure.

use super::batch::Batched;
use super::{Operand, exactly, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::eval::{EvalError, Tensor, ill_formed, places, strides};
use crate::ir::{Builder, Dim, Elem, Shape, Type, ValueId};

impl Shape {
    /// Type rule.
    pub(super) fn infer(&self, types: &[&Type]) -> Result<Vec<Type>, TypeError> {
        match self {
            Shape::Broadcast { axes, dims } => {
                let [x] = exactly(types)?;
                let fits = axes.len() == x.rank()
                    && axes.is_sorted_by(|a, b| a < b)
                    && axes.iter().zip(&x.dims).all(|(&a, d)| dims.get(a) == Some(d));
                if !fits {
                    return mismatch(format!("axes {axes:?} do not place {:?} in {dims:?}", x.dims));
                }
                Ok(vec![x.with_dims(dims.clone())])
            }
            Shape::Permute { perm } => {
                let [x] = exactly(types)?;
                let mut sorted = perm.clone();
                sorted.sort_unstable();
                if !sorted.into_iter().eq(0..x.rank()) {
                    return mismatch(format!("{perm:?} is not a permutation of {} axes", x.rank()));
                }
                Ok(vec![x.with_dims(perm.iter().map(|&p| x.dims[p]).collect::<Vec<_>>())])
            }
            Shape::Reshape { dims } => {
                let [x] = exactly(types)?;
                let longer = |dims: &[Dim]| dims.iter().copied().filter(|&d| d != Dim::Const(1)).collect::<Vec<_>>();
                if longer(&x.dims) != longer(dims) {
                    return mismatch(format!("{:?} and {dims:?} differ by more than axes of length one", x.dims));
                }
                Ok(vec![x.with_dims(dims.clone())])
            }
            Shape::Iota { dim } => {
                let [] = exactly(types)?;
                Ok(vec![Type::tensor(Elem::Usize, [*dim])])
            }
            Shape::DimSize { .. } => {
                let [] = exactly(types)?;
                Ok(vec![Type::scalar(Elem::Usize)])
            }
            Shape::BindDim { .. } => {
                let [n] = exactly(types)?;
                if *n != Type::scalar(Elem::Usize) {
                    return mismatch("takes a usize scalar");
                }
                Ok(Vec::new())
            }
        }
    }

    /// Linear rule: what rearranges elements rearranges their tangents.
    pub(super) fn jvp(&self, b: &mut Builder, dots: &[Option<ValueId>]) -> Option<ValueId> {
        match self {
            Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Reshape { .. } => dots[0].map(|dot| b.op(self.clone(), &[dot])),
            Shape::Iota { .. } | Shape::DimSize { .. } | Shape::BindDim { .. } => None,
        }
    }

    /// Transpose rule.
    pub(super) fn transpose(&self, b: &mut Builder, args: &[Operand], bar: ValueId) -> Vec<Option<ValueId>> {
        match (self, args) {
            (Shape::Broadcast { axes, dims }, [Operand::Linear(_)]) => {
                let new: Vec<usize> = (0..dims.len()).filter(|k| !axes.contains(k)).collect();
                vec![Some(b.sum(bar, &new))]
            }
            (Shape::Permute { perm }, [Operand::Linear(_)]) => {
                let mut inverse = vec![0; perm.len()];
                for (k, &p) in perm.iter().enumerate() {
                    inverse[p] = k;
                }
                vec![Some(b.permute(bar, &inverse))]
            }
            (Shape::Reshape { .. }, [Operand::Linear(ty)]) => vec![Some(b.op(Shape::Reshape { dims: ty.dims.clone() }, &[bar]))],
            (
                Shape::Broadcast { .. }
                | Shape::Permute { .. }
                | Shape::Reshape { .. }
                | Shape::Iota { .. }
                | Shape::DimSize { .. }
                | Shape::BindDim { .. },
                _,
            ) => unreachable!("{self:?} is not linear in {args:?}"),
        }
    }
}

impl Shape {
    /// Batching rule: the axes stand one place further.
    pub(super) fn batch(&self, b: &mut Builder, args: &[Batched], dim: Dim) -> ValueId {
        let shifted = |axes: &[usize]| std::iter::once(0).chain(axes.iter().map(|a| a + 1)).collect::<Vec<_>>();
        let with = |dims: &[Dim]| [&[dim], dims].concat();
        let op = match self {
            Shape::Broadcast { axes, dims } => Shape::Broadcast { axes: shifted(axes), dims: with(dims) },
            Shape::Permute { perm } => Shape::Permute { perm: shifted(perm) },
            Shape::Reshape { dims } => Shape::Reshape { dims: with(dims) },
            Shape::Iota { .. } | Shape::DimSize { .. } => unreachable!("without operands, it is the same for all examples"),
            Shape::BindDim { .. } => unreachable!("`derive::batch` binds dimensions itself"),
        };
        b.op(op, &[args[0].value()])
    }
}

impl Shape {
    /// The rearrangement, or the length that `len` knows.
    pub(super) fn eval(&self, args: &[&Tensor], len: &dyn Fn(Dim) -> Result<usize, EvalError>) -> Result<Tensor, EvalError> {
        let lens = |dims: &[Dim]| dims.iter().map(|&d| len(d)).collect::<Result<Vec<_>, _>>();
        match (self, args) {
            (Shape::Broadcast { axes, dims }, [x]) => {
                let (shape, of_x) = (lens(dims)?, strides(&x.shape));
                let mut steps = vec![0; shape.len()];
                for (&axis, &step) in axes.iter().zip(&of_x) {
                    steps[axis] = step;
                }
                let places = places(&shape, &steps);
                Ok(x.gather(shape, &places))
            }
            (Shape::Permute { perm }, [x]) => {
                let of_x = strides(&x.shape);
                let shape: Vec<usize> = perm.iter().map(|&p| x.shape[p]).collect();
                let places = places(&shape, &perm.iter().map(|&p| of_x[p]).collect::<Vec<_>>());
                Ok(x.gather(shape, &places))
            }
            (Shape::Reshape { dims }, [x]) => Ok(Tensor { shape: lens(dims)?, data: x.data.clone() }),
            (Shape::Iota { dim }, []) => {
                let n = len(*dim)?;
                Ok(Tensor::usizes(&[n], (0..n).collect()))
            }
            (Shape::DimSize { dim }, []) => Ok(Tensor::usize(len(*dim)?)),
            (Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Reshape { .. } | Shape::Iota { .. } | Shape::DimSize { .. }, _) => {
                ill_formed(format!("{self:?} of {} operands", args.len()))
            }
            (Shape::BindDim { .. }, _) => unreachable!("the evaluator binds dimensions itself"),
        }
    }
}
