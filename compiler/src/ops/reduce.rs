//! Reductions: axes removed by combining the elements along them.

use super::batch::Batched;
use super::{Operand, exactly, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::eval::{Data, EvalError, Tensor, ill_formed, places, strides};
use crate::ir::{Builder, Control, Elem, Elementwise, Index, Note, Reduce, Type, ValueId, Window};

impl Reduce {
    /// The axes that the operation removes.
    pub fn axes(&self) -> &[usize] {
        match self {
            Reduce::Sum { axes } | Reduce::Prod { axes } | Reduce::Max { axes } | Reduce::Min { axes } | Reduce::LogSumExp { axes } => axes,
            Reduce::ArgMax { axis } | Reduce::ArgMin { axis } => std::slice::from_ref(axis),
        }
    }

    /// Type rule: the operand's type without the axes; sums, products and extremes of numbers, log-sum-exp of floats; positions are `usize`.
    pub(super) fn infer(&self, types: &[&Type]) -> Result<Type, TypeError> {
        let [x] = exactly(types)?;
        let axes = self.axes();
        if !axes.is_sorted_by(|a, b| a < b) || axes.iter().any(|&a| a >= x.rank()) {
            return mismatch(format!("axes {axes:?} are not ascending axes of a tensor of rank {}", x.rank()));
        }
        let fits = match self {
            Reduce::Sum { .. } | Reduce::Prod { .. } | Reduce::Max { .. } | Reduce::Min { .. } => x.elem != Elem::Bool,
            Reduce::ArgMax { .. } | Reduce::ArgMin { .. } => x.elem != Elem::Bool,
            Reduce::LogSumExp { .. } => x.elem.is_float(),
        };
        if !fits {
            return mismatch(format!("cannot reduce elements of type {}", x.elem));
        }
        let dims: Vec<_> = x.dims.iter().enumerate().filter(|(k, _)| !axes.contains(k)).map(|(_, &d)| d).collect();
        let elem = match self {
            Reduce::Sum { .. } | Reduce::Prod { .. } | Reduce::Max { .. } | Reduce::Min { .. } | Reduce::LogSumExp { .. } => x.elem,
            Reduce::ArgMax { .. } | Reduce::ArgMin { .. } => Elem::Usize,
        };
        Ok(Type::tensor(elem, dims))
    }

    /// Linear rule.
    pub(super) fn jvp(&self, b: &mut Builder, args: &[ValueId], out: ValueId, dots: &[Option<ValueId>]) -> Option<ValueId> {
        let (x, dot) = (args[0], dots[0]?);
        let ty = b.ty(x).clone();
        match self {
            Reduce::Sum { axes } => Some(b.sum(dot, axes)),
            Reduce::Prod { axes } => Some(product_tangent(b, x, dot, axes)),
            Reduce::Max { axes } | Reduce::Min { axes } => {
                // The sum over the elements that attain the extreme, divided by their number.
                let extreme = b.broadcast_over(out, axes, &ty.dims);
                let attains = b.map(Elementwise::Eq, &[x, extreme]);
                let ones = b.map(Elementwise::Cast(ty.elem), &[attains]);
                let n_ties = b.sum(ones, axes);
                let share = b.map(Elementwise::Powi(-1), &[n_ties]);
                let zero = b.zeros(&ty);
                let kept = b.select(attains, dot, zero);
                let total = b.sum(kept, axes);
                Some(b.mul(share, total))
            }
            Reduce::LogSumExp { axes } => {
                // The softmax-weighted sum. A row of nothing but -inf has no derivative: its softmax is NaN.
                let shift = b.broadcast_over(out, axes, &ty.dims);
                let centred = b.sub(x, shift);
                let softmax = b.map(Elementwise::Exp, &[centred]);
                let weighted = b.mul(softmax, dot);
                Some(b.sum(weighted, axes))
            }
            Reduce::ArgMax { .. } | Reduce::ArgMin { .. } => None,
        }
    }

    /// Transpose rule: a sum's cotangent goes to every summand.
    pub(super) fn transpose(&self, b: &mut Builder, args: &[Operand], bar: ValueId) -> Vec<Option<ValueId>> {
        match (self, args) {
            (Reduce::Sum { axes }, [Operand::Linear(ty)]) => vec![Some(b.broadcast_over(bar, axes, &ty.dims))],
            (
                Reduce::Sum { .. }
                | Reduce::Prod { .. }
                | Reduce::Max { .. }
                | Reduce::Min { .. }
                | Reduce::LogSumExp { .. }
                | Reduce::ArgMax { .. }
                | Reduce::ArgMin { .. },
                _,
            ) => {
                unreachable!("{self:?} is not linear in {args:?}")
            }
        }
    }
}

impl Reduce {
    /// The same reduction of other axes.
    pub(crate) fn with_axes(&self, axes: Vec<usize>) -> Reduce {
        match self {
            Reduce::Sum { .. } => Reduce::Sum { axes },
            Reduce::Prod { .. } => Reduce::Prod { axes },
            Reduce::ArgMax { .. } => Reduce::ArgMax { axis: axes[0] },
            Reduce::ArgMin { .. } => Reduce::ArgMin { axis: axes[0] },
            Reduce::Max { .. } => Reduce::Max { axes },
            Reduce::Min { .. } => Reduce::Min { axes },
            Reduce::LogSumExp { .. } => Reduce::LogSumExp { axes },
        }
    }

    /// Batching rule: the axes stand one place further.
    pub(super) fn batch(&self, b: &mut Builder, args: &[Batched]) -> ValueId {
        let axes = self.axes().iter().map(|a| a + 1).collect();
        b.op(self.with_axes(axes), &[args[0].value()])
    }
}

impl Reduce {
    /// The reduction, each group of elements in row-major order.
    pub(super) fn eval(&self, x: &Tensor) -> Result<Tensor, EvalError> {
        let reduced = self.axes();
        let kept: Vec<usize> = (0..x.shape.len()).filter(|axis| !reduced.contains(axis)).collect();
        let lens = |axes: &[usize]| axes.iter().map(|&a| x.shape[a]).collect::<Vec<_>>();
        let step = |axes: &[usize]| axes.iter().map(|&a| strides(&x.shape)[a]).collect::<Vec<_>>();
        let starts = places(&lens(&kept), &step(&kept));
        let members = places(&lens(reduced), &step(reduced));
        fn each<T: Copy>(x: &[T], starts: &[usize], members: &[usize], f: impl Fn(&[T]) -> T) -> Vec<T> {
            starts.iter().map(|&s| f(&members.iter().map(|&m| x[s + m]).collect::<Vec<T>>())).collect()
        }
        if let Reduce::ArgMax { .. } | Reduce::ArgMin { .. } = self {
            let positions: Result<Vec<i64>, EvalError> = starts
                .iter()
                .map(|&s| match &x.data {
                    Data::F64(x) => self.position(members.iter().map(|&m| x[s + m])),
                    Data::F32(x) => self.position(members.iter().map(|&m| x[s + m])),
                    Data::Int(_, x) => self.position(members.iter().map(|&m| x[s + m])),
                    Data::Bool(_) => ill_formed("extreme of bool"),
                })
                .collect();
            return Ok(Tensor { shape: lens(&kept), data: Data::Int(Elem::Usize, positions?) });
        }
        let data = match &x.data {
            Data::F64(x) => Data::F64(each(x, &starts, &members, |group| self.reduce_f64(group))),
            Data::F32(x) => Data::F32(each(x, &starts, &members, |group| self.reduce_f32(group))),
            Data::Int(elem, x) => {
                let groups = starts.iter().map(|&s| self.reduce_int(members.iter().map(|&m| x[s + m])));
                Data::Int(*elem, groups.collect::<Result<_, _>>()?)
            }
            Data::Bool(_) => return ill_formed("reduction of bool"),
        };
        Ok(Tensor { shape: lens(&kept), data })
    }

    /// Where the first extreme of a group is, or its first NaN.
    fn position<T: PartialOrd>(&self, group: impl Iterator<Item = T>) -> Result<i64, EvalError> {
        let mut best: Option<(i64, T)> = None;
        for (k, x) in (0..).zip(group) {
            let replaces = best.as_ref().is_none_or(|(_, b)| {
                let is_nan = |x: &T| x.partial_cmp(x).is_none();
                let beyond = if matches!(self, Reduce::ArgMax { .. }) { x > *b } else { x < *b };
                !is_nan(b) && (is_nan(&x) || beyond)
            });
            if replaces {
                best = Some((k, x));
            }
        }
        best.map(|(k, _)| k).ok_or(EvalError::EmptyExtreme)
    }

    fn reduce_int(&self, mut group: impl Iterator<Item = i64>) -> Result<i64, EvalError> {
        match self {
            Reduce::Sum { .. } => group
                .try_fold(0i64, i64::checked_add)
                .ok_or_else(|| EvalError::Arithmetic("a sum of integers leaves the range of its type".into())),
            Reduce::Prod { .. } => group
                .try_fold(1i64, i64::checked_mul)
                .ok_or_else(|| EvalError::Arithmetic("a product of integers leaves the range of its type".into())),
            Reduce::Max { .. } => group.max().ok_or(EvalError::EmptyExtreme),
            Reduce::Min { .. } => group.min().ok_or(EvalError::EmptyExtreme),
            Reduce::LogSumExp { .. } => ill_formed("log-sum-exp of integers"),
            Reduce::ArgMax { .. } | Reduce::ArgMin { .. } => group.max().ok_or(EvalError::EmptyExtreme),
        }
    }
}

/// The tangent of a product over axes, by the product rule: a loop that carries the product so far and its tangent. Nothing is divided, so that zeros
/// among the elements do no harm, and what passes make of the loop is again only products.
fn product_tangent(b: &mut Builder, x: ValueId, dot: ValueId, axes: &[usize]) -> ValueId {
    let (mut product, mut tangent) = (x, dot);
    for &axis in axes.iter().rev() {
        let dims = b.ty(product).dims.clone();
        let to_front: Vec<usize> = std::iter::once(axis).chain((0..dims.len()).filter(|&k| k != axis)).collect();
        let (rows, row_tangents) = (b.permute(product, &to_front), b.permute(tangent, &to_front));
        let row = b.ty(product).with_dims(to_front[1..].iter().map(|&k| dims[k]).collect::<Vec<_>>());
        let (one, zero) = (b.constant(&row, 1.0), b.zeros(&row));
        b.open();
        let i = b.param(Type::scalar(Elem::Usize), Note::default());
        let (so_far, its_tangent) = (b.param(row.clone(), Note::default()), b.param(row, Note::default()));
        let factor = b.op(Index::Read(Window::at(0)), &[rows, i]);
        let factor_tangent = b.op(Index::Read(Window::at(0)), &[row_tangents, i]);
        let next = b.mul(so_far, factor);
        let (p, q) = (b.mul(factor, its_tangent), b.mul(so_far, factor_tangent));
        let next_tangent = b.add(p, q);
        let body = b.close(vec![next, next_tangent]);
        let outs = b.stmt(Control::For { trip: dims[axis], reverse: false }, &[one, zero], vec![body]);
        (product, tangent) = (outs[0], outs[1]);
    }
    tangent
}

macro_rules! reduce_float {
    ($name:ident, $float:ty) => {
        impl Reduce {
            /// One group of floats. The extremes of no elements are the infinities, and any NaN makes the result one.
            fn $name(&self, group: &[$float]) -> $float {
                let extreme = |pick: fn($float, $float) -> $float, none: $float| {
                    group.iter().fold(none, |a, &b| if a.is_nan() || b.is_nan() { <$float>::NAN } else { pick(a, b) })
                };
                match self {
                    Reduce::Sum { .. } => group.iter().fold(0.0, |a, b| a + b),
                    Reduce::Prod { .. } => group.iter().fold(1.0, |a, b| a * b),
                    Reduce::Max { .. } => extreme(<$float>::max, <$float>::NEG_INFINITY),
                    Reduce::Min { .. } => extreme(<$float>::min, <$float>::INFINITY),
                    Reduce::ArgMax { .. } | Reduce::ArgMin { .. } => unreachable!("positions are no floats"),
                    Reduce::LogSumExp { .. } => {
                        let largest = extreme(<$float>::max, <$float>::NEG_INFINITY);
                        if largest.is_finite() {
                            largest + group.iter().map(|x| (x - largest).exp()).fold(0.0, |a, b| a + b).ln()
                        } else {
                            largest
                        }
                    }
                }
            }
        }
    };
}
reduce_float!(reduce_f64, f64);
reduce_float!(reduce_f32, f32);
