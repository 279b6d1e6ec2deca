//! Operations that move, repeat or measure.

use super::batch::Batched;
use super::{Operand, exactly, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::eval::{Data, EvalError, Tensor, ill_formed, places, strides};
use crate::ir::{Builder, Dim, Elem, Index, Pick, Shape, Type, ValueId, Window};

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
                if Shape::same_elements(&x.dims, dims) == Some(false) {
                    return mismatch(format!("{:?} and {dims:?} have different numbers of elements", x.dims));
                }
                Ok(vec![x.with_dims(dims.clone())])
            }
            Shape::Concat { axis, dim } => {
                let Some(&first) = types.first() else { return mismatch("takes at least one operand") };
                if *axis >= first.rank() {
                    return mismatch(format!("there is no axis {axis} in a tensor of rank {}", first.rank()));
                }
                let along = |len: Dim| {
                    let mut dims = first.dims.clone();
                    dims[*axis] = len;
                    first.with_dims(dims)
                };
                if let Some(other) = types.iter().find(|ty| ty.rank() != first.rank() || ***ty != along(ty.dims[*axis])) {
                    return mismatch(format!("{first:?} and {other:?} differ by more than their length along axis {axis}"));
                }
                let lens: Option<u64> = types.iter().map(|ty| constant(ty.dims[*axis])).sum();
                if let (Some(sum), Some(len)) = (lens, constant(*dim))
                    && sum != len
                {
                    return mismatch(format!("the operands have {sum} positions along axis {axis}, not {len}"));
                }
                Ok(vec![along(*dim)])
            }
            Shape::Unfold { axis, out, len, step, dilation } => {
                let [x] = exactly(types)?;
                if *axis >= x.rank() {
                    return mismatch(format!("there is no axis {axis} in a tensor of rank {}", x.rank()));
                }
                fits(*out, *len, *step, *dilation, x.dims[*axis])?;
                let mut dims = x.dims.clone();
                dims.splice(axis..=axis, [*out, *len]);
                Ok(vec![x.with_dims(dims)])
            }
            Shape::Fold { axis, dim, step, dilation } => {
                let [x] = exactly(types)?;
                if !x.elem.is_float() || axis + 1 >= x.rank() {
                    return mismatch(format!("takes floats with axes {axis} and {}", axis + 1));
                }
                fits(x.dims[*axis], x.dims[axis + 1], *step, *dilation, *dim)?;
                let mut dims = x.dims.clone();
                dims.splice(axis..=&(axis + 1), [*dim]);
                Ok(vec![x.with_dims(dims)])
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
    pub(super) fn jvp(&self, b: &mut Builder, args: &[ValueId], dots: &[Option<ValueId>]) -> Option<ValueId> {
        match self {
            Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Reshape { .. } | Shape::Unfold { .. } | Shape::Fold { .. } => {
                dots[0].map(|dot| b.op(self.clone(), &[dot]))
            }
            Shape::Concat { .. } => {
                let part = |(&arg, dot): (&ValueId, &Option<ValueId>)| {
                    let ty = b.ty(arg).clone();
                    dot.unwrap_or_else(|| b.zeros(&ty))
                };
                let parts: Vec<ValueId> = args.iter().zip(dots).map(part).collect();
                Some(b.op(self.clone(), &parts))
            }
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
            (Shape::Unfold { axis, step, dilation, .. }, [Operand::Linear(ty)]) => {
                vec![Some(b.op(Shape::Fold { axis: *axis, dim: ty.dims[*axis], step: *step, dilation: *dilation }, &[bar]))]
            }
            (Shape::Fold { axis, step, dilation, .. }, [Operand::Linear(ty)]) => {
                let (out, len) = (ty.dims[*axis], ty.dims[axis + 1]);
                vec![Some(b.op(Shape::Unfold { axis: *axis, out, len, step: *step, dilation: *dilation }, &[bar]))]
            }
            (Shape::Concat { axis, .. }, args) => {
                let mut start = b.index(0);
                let mut shares = Vec::with_capacity(args.len());
                for (k, arg) in args.iter().enumerate() {
                    let len = match arg {
                        Operand::Linear(ty) => ty.dims[*axis],
                        Operand::Known(value) => b.ty(*value).dims[*axis],
                    };
                    let window = Window { axes: vec![(*axis, Pick::Slice { step: 1, len })] };
                    shares.push(arg.is_linear().then(|| b.op(Index::Read(window), &[bar, start])));
                    if k + 1 < args.len() {
                        let n = b.dim_size(len);
                        start = b.add(start, n);
                    }
                }
                shares
            }
            (
                Shape::Broadcast { .. }
                | Shape::Permute { .. }
                | Shape::Reshape { .. }
                | Shape::Unfold { .. }
                | Shape::Fold { .. }
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
            Shape::Concat { axis, dim: len } => {
                let parts: Vec<ValueId> = args.iter().map(|arg| arg.each(b, dim)).collect();
                return b.op(Shape::Concat { axis: axis + 1, dim: *len }, &parts);
            }
            Shape::Unfold { axis, out, len, step, dilation } => {
                Shape::Unfold { axis: axis + 1, out: *out, len: *len, step: *step, dilation: *dilation }
            }
            Shape::Fold { axis, dim, step, dilation } => Shape::Fold { axis: axis + 1, dim: *dim, step: *step, dilation: *dilation },
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
            (Shape::Reshape { dims }, [x]) => {
                let shape = lens(dims)?;
                if shape.iter().product::<usize>() != x.data.len() {
                    return Err(EvalError::Lengths(format!("{:?} cannot be reshaped to {shape:?}", x.shape)));
                }
                Ok(Tensor { shape, data: x.data.clone() })
            }
            (Shape::Concat { axis, dim }, [first, ..]) => {
                let total = len(*dim)?;
                if args.iter().map(|x| x.shape[*axis]).sum::<usize>() != total {
                    return Err(EvalError::Lengths(format!("operands of {total} positions in all along axis {axis}")));
                }
                let outer: usize = first.shape[..*axis].iter().product();
                let inner: usize = first.shape[axis + 1..].iter().product();
                let all = Data::concat(first.elem(), args.iter().map(|x| &x.data));
                let mut places = Vec::with_capacity(outer * total * inner);
                for o in 0..outer {
                    let mut start = 0;
                    for x in args {
                        let block = x.shape[*axis] * inner;
                        places.extend((0..block).map(|k| start + o * block + k));
                        start += x.data.len();
                    }
                }
                let mut shape = first.shape.clone();
                shape[*axis] = total;
                Ok(Tensor { shape: vec![all.len()], data: all }.gather(shape, &places))
            }
            (Shape::Unfold { axis, out, len: window, step, dilation }, [x]) => {
                let (out, window) = (len(*out)?, len(*window)?);
                let places = windows(&x.shape, *axis, [out, window], [*step, *dilation])?;
                let mut shape = x.shape.clone();
                shape.splice(axis..=axis, [out, window]);
                Ok(x.gather(shape, &places))
            }
            (Shape::Fold { axis, dim, step, dilation }, [x]) => {
                let mut shape = x.shape.clone();
                shape.splice(axis..=&(axis + 1), [len(*dim)?]);
                let places = windows(&shape, *axis, [x.shape[*axis], x.shape[axis + 1]], [*step, *dilation])?;
                let n = shape.iter().product();
                let data = match &x.data {
                    Data::F64(x) => Data::F64(summed(x, &places, vec![0.0; n])),
                    Data::F32(x) => Data::F32(summed(x, &places, vec![0.0; n])),
                    Data::Int(..) | Data::Bool(_) => return ill_formed("fold of floats"),
                };
                Ok(Tensor { shape, data })
            }
            (Shape::Iota { dim }, []) => {
                let n = len(*dim)?;
                Ok(Tensor::usizes(&[n], (0..n).collect()))
            }
            (Shape::DimSize { dim }, []) => Ok(Tensor::usize(len(*dim)?)),
            (
                Shape::Broadcast { .. }
                | Shape::Permute { .. }
                | Shape::Reshape { .. }
                | Shape::Concat { .. }
                | Shape::Unfold { .. }
                | Shape::Fold { .. }
                | Shape::Iota { .. }
                | Shape::DimSize { .. },
                _,
            ) => ill_formed(format!("{self:?} of {} operands", args.len())),
            (Shape::BindDim { .. }, _) => unreachable!("the evaluator binds dimensions itself"),
        }
    }
}

fn constant(dim: Dim) -> Option<u64> {
    match dim {
        Dim::Const(n) => Some(n),
        Dim::Sym(_) => None,
    }
}

/// Fails if `out` windows of `len` positions cannot lie on an axis of length `n`, as far as the lengths are known.
fn fits(out: Dim, len: Dim, step: u64, dilation: u64, n: Dim) -> Result<(), TypeError> {
    if step == 0 || dilation == 0 {
        return mismatch("steps and dilations are not zero");
    }
    match (constant(out), constant(len), constant(n)) {
        (Some(out), Some(len), Some(n)) if out > 0 && len > 0 && (out - 1) * step + (len - 1) * dilation >= n => {
            mismatch(format!("{out} windows of {len} positions are more than fits an axis of length {n}"))
        }
        _ => Ok(()),
    }
}

/// The place of every element of all windows along an axis of a tensor, in the order of the tensor in which that axis is replaced by windows and positions.
fn windows(shape: &[usize], axis: usize, [out, len]: [usize; 2], [step, dilation]: [u64; 2]) -> Result<Vec<usize>, EvalError> {
    let (n, step, dilation) = (shape[axis], step as usize, dilation as usize);
    if out > 0 && len > 0 && (out - 1) * step + (len - 1) * dilation >= n {
        return Err(EvalError::Lengths(format!("{out} windows of {len} positions on an axis of length {n}")));
    }
    let of_whole = strides(shape);
    let mut lens = shape.to_vec();
    lens.splice(axis..=axis, [out, len]);
    let mut steps = of_whole.clone();
    steps.splice(axis..=axis, [of_whole[axis] * step, of_whole[axis] * dilation]);
    Ok(places(&lens, &steps))
}

/// `into` with the elements of `x` added at `places`, one after the other.
fn summed<T: Copy + std::ops::AddAssign>(x: &[T], places: &[usize], mut into: Vec<T>) -> Vec<T> {
    for (&x, &place) in x.iter().zip(places) {
        into[place] += x;
    }
    into
}
