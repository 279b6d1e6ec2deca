//! Reductions: axes removed by combining the elements along them.

use super::batch::Batched;
use super::{Operand, exactly, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::eval::{Data, EvalError, Tensor, ill_formed, places, strides};
use crate::ir::{Builder, Elem, Elementwise, Reduce, Type, ValueId};

impl Reduce {
    /// The axes that the operation removes.
    pub fn axes(&self) -> &[usize] {
        match self {
            Reduce::Sum { axes } | Reduce::Max { axes } | Reduce::Min { axes } | Reduce::LogSumExp { axes } => axes,
        }
    }

    /// Type rule: the operand's type without the axes; sums and extremes of numbers, log-sum-exp of floats.
    pub(super) fn infer(&self, types: &[&Type]) -> Result<Type, TypeError> {
        let [x] = exactly(types)?;
        let axes = self.axes();
        if !axes.is_sorted_by(|a, b| a < b) || axes.iter().any(|&a| a >= x.rank()) {
            return mismatch(format!("axes {axes:?} are not ascending axes of a tensor of rank {}", x.rank()));
        }
        let fits = match self {
            Reduce::Sum { .. } | Reduce::Max { .. } | Reduce::Min { .. } => x.elem != Elem::Bool,
            Reduce::LogSumExp { .. } => x.elem.is_float(),
        };
        if !fits {
            return mismatch(format!("cannot reduce elements of type {}", x.elem));
        }
        let dims: Vec<_> = x.dims.iter().enumerate().filter(|(k, _)| !axes.contains(k)).map(|(_, &d)| d).collect();
        Ok(x.with_dims(dims))
    }

    /// Linear rule.
    pub(super) fn jvp(&self, b: &mut Builder, args: &[ValueId], out: ValueId, dots: &[Option<ValueId>]) -> Option<ValueId> {
        let (x, dot) = (args[0], dots[0]?);
        let ty = b.ty(x).clone();
        match self {
            Reduce::Sum { axes } => Some(b.sum(dot, axes)),
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
        }
    }

    /// Transpose rule: a sum's cotangent goes to every summand.
    pub(super) fn transpose(&self, b: &mut Builder, args: &[Operand], bar: ValueId) -> Vec<Option<ValueId>> {
        match (self, args) {
            (Reduce::Sum { axes }, [Operand::Linear(ty)]) => vec![Some(b.broadcast_over(bar, axes, &ty.dims))],
            (Reduce::Sum { .. } | Reduce::Max { .. } | Reduce::Min { .. } | Reduce::LogSumExp { .. }, _) => {
                unreachable!("{self:?} is not linear in {args:?}")
            }
        }
    }
}

impl Reduce {
    /// The same reduction of other axes.
    fn with_axes(&self, axes: Vec<usize>) -> Reduce {
        match self {
            Reduce::Sum { .. } => Reduce::Sum { axes },
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

    fn reduce_int(&self, mut group: impl Iterator<Item = i64>) -> Result<i64, EvalError> {
        match self {
            Reduce::Sum { .. } => group
                .try_fold(0i64, i64::checked_add)
                .ok_or_else(|| EvalError::Arithmetic("a sum of integers leaves the range of its type".into())),
            Reduce::Max { .. } => group.max().ok_or(EvalError::EmptyExtreme),
            Reduce::Min { .. } => group.min().ok_or(EvalError::EmptyExtreme),
            Reduce::LogSumExp { .. } => ill_formed("log-sum-exp of integers"),
        }
    }
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
                    Reduce::Max { .. } => extreme(<$float>::max, <$float>::NEG_INFINITY),
                    Reduce::Min { .. } => extreme(<$float>::min, <$float>::INFINITY),
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
