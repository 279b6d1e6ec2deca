//! Access at positions that are data.

use super::batch::{Batched, one_by_one};
use super::{Operand, exactly, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::eval::{Data, EvalError, Tensor, ill_formed};
use crate::ir::{Builder, Dim, Elem, Elementwise, Index, Type, ValueId};

/// The dimensions without one axis, or why there is no such axis.
fn without(dims: &[Dim], axis: usize) -> Result<Vec<Dim>, TypeError> {
    if axis >= dims.len() {
        return mismatch(format!("there is no axis {axis} in a tensor of rank {}", dims.len()));
    }
    let mut dims = dims.to_vec();
    dims.remove(axis);
    Ok(dims)
}

impl Index {
    /// Type rule.
    pub(super) fn infer(&self, types: &[&Type]) -> Result<Type, TypeError> {
        match self {
            Index::At { axis } => {
                let [x, i] = exactly(types)?;
                if *i != Type::scalar(Elem::Usize) {
                    return mismatch("the position must be a usize scalar");
                }
                Ok(x.with_dims(without(&x.dims, *axis)?))
            }
            Index::AddAt { axis } => {
                let [x, i, v] = exactly(types)?;
                if *i != Type::scalar(Elem::Usize) || !x.elem.is_float() || *v != x.with_dims(without(&x.dims, *axis)?) {
                    return mismatch("takes floats, a usize scalar, and floats of the shape without the axis");
                }
                Ok(x.clone())
            }
            Index::TakeAlong { axis } => {
                let [x, idx] = exactly(types)?;
                let rest = x.with_dims(without(&x.dims, *axis)?);
                if *idx != rest.with_elem(Elem::Usize) {
                    return mismatch("positions must be usize of the shape without the axis");
                }
                Ok(rest)
            }
            Index::PutAlong { axis, dim } => {
                let [v, idx] = exactly(types)?;
                if *idx != v.with_elem(Elem::Usize) || !v.elem.is_float() || *axis > v.rank() {
                    return mismatch("takes floats and usize positions of one shape");
                }
                let mut dims = v.dims.clone();
                dims.insert(*axis, *dim);
                Ok(v.with_dims(dims))
            }
        }
    }

    /// Linear rule: all of these are linear in what is read or written, the positions being held.
    pub(super) fn jvp(&self, b: &mut Builder, args: &[ValueId], dots: &[Option<ValueId>]) -> Option<ValueId> {
        match self {
            Index::At { .. } | Index::TakeAlong { .. } | Index::PutAlong { .. } => dots[0].map(|dot| b.op(self.clone(), &[dot, args[1]])),
            Index::AddAt { .. } => match (dots[0], dots[2]) {
                (x, None) => x,
                (x, Some(v)) => {
                    let ty = b.ty(args[0]).clone();
                    let x = x.unwrap_or_else(|| b.zeros(&ty));
                    Some(b.op(self.clone(), &[x, args[1], v]))
                }
            },
        }
    }

    /// Transpose rule. For `At` this is the cotangent from this one element; `derive::transpose` adds it into the operand's running cotangent
    /// instead, so that a loop over the elements costs no dense array per turn.
    pub(super) fn transpose(&self, b: &mut Builder, args: &[Operand], bar: ValueId) -> Vec<Option<ValueId>> {
        match (self, args) {
            (Index::At { axis }, [Operand::Linear(ty), Operand::Known(i)]) => {
                let zero = b.zeros(ty);
                vec![Some(b.op(Index::AddAt { axis: *axis }, &[zero, *i, bar])), None]
            }
            (Index::AddAt { axis }, [x, Operand::Known(i), v]) => {
                let x = x.is_linear().then_some(bar);
                let v = v.is_linear().then(|| b.op(Index::At { axis: *axis }, &[bar, *i]));
                vec![x, None, v]
            }
            (Index::TakeAlong { axis }, [Operand::Linear(ty), Operand::Known(idx)]) => {
                vec![Some(b.op(Index::PutAlong { axis: *axis, dim: ty.dims[*axis] }, &[bar, *idx])), None]
            }
            (Index::PutAlong { axis, .. }, [Operand::Linear(_), Operand::Known(idx)]) => {
                vec![Some(b.op(Index::TakeAlong { axis: *axis }, &[bar, *idx])), None]
            }
            (Index::At { .. } | Index::AddAt { .. } | Index::TakeAlong { .. } | Index::PutAlong { .. }, _) => {
                unreachable!("{self:?} is not linear in {args:?}")
            }
        }
    }
}

impl Index {
    /// The same access along the next axis.
    fn shifted(&self) -> Index {
        match self {
            Index::At { axis } => Index::At { axis: axis + 1 },
            Index::AddAt { axis } => Index::AddAt { axis: axis + 1 },
            Index::TakeAlong { axis } => Index::TakeAlong { axis: axis + 1 },
            Index::PutAlong { axis, dim } => Index::PutAlong { axis: axis + 1, dim: *dim },
        }
    }

    /// Batching rule: at a position that all examples share, the same access one axis further. Positions that differ are taken one example after the other.
    pub(super) fn batch(&self, b: &mut Builder, args: &[Batched], dim: Dim) -> Vec<ValueId> {
        match self {
            Index::At { .. } | Index::AddAt { .. } if args[1].is_each() => {
                one_by_one(b, args, dim, |b, args| vec![b.op(self.clone(), args)])
            }
            Index::At { .. } => vec![b.op(self.shifted(), &[args[0].value(), args[1].value()])],
            Index::AddAt { .. } => {
                let (x, v) = (args[0].each(b, dim), args[2].each(b, dim));
                vec![b.op(self.shifted(), &[x, args[1].value(), v])]
            }
            Index::TakeAlong { .. } | Index::PutAlong { .. } => {
                let (x, idx) = (args[0].each(b, dim), args[1].each(b, dim));
                vec![b.op(self.shifted(), &[x, idx])]
            }
        }
    }
}

/// A tensor's elements seen along one axis: `outer` blocks of `len` rows of `inner` elements.
struct Along {
    outer: usize,
    len: usize,
    inner: usize,
}

impl Along {
    fn of(shape: &[usize], axis: usize) -> Result<Along, EvalError> {
        if axis >= shape.len() {
            return ill_formed(format!("there is no axis {axis} in {shape:?}"));
        }
        Ok(Along { outer: shape[..axis].iter().product(), len: shape[axis], inner: shape[axis + 1..].iter().product() })
    }

    /// For each element of the shape without the axis, in row-major order, the place in the whole where the axis' position is `position(k)`.
    fn places(&self, position: impl Fn(usize) -> i64) -> Result<Vec<usize>, EvalError> {
        let place = |k: usize| match usize::try_from(position(k)) {
            Ok(i) if i < self.len => Ok((k / self.inner * self.len + i) * self.inner + k % self.inner),
            Ok(_) | Err(_) => Err(EvalError::OutOfRange { index: position(k), len: self.len }),
        };
        (0..self.outer * self.inner).map(place).collect()
    }
}

/// [`Along::places`] for one position throughout, which is checked also where there are no elements.
fn one_position(shape: &[usize], axis: usize, i: &Tensor) -> Result<Vec<usize>, EvalError> {
    let along = Along::of(shape, axis)?;
    match i.as_int()[0] {
        i if (0..along.len as i64).contains(&i) => along.places(|_| i),
        index => Err(EvalError::OutOfRange { index, len: along.len }),
    }
}

/// `into` with the elements of `values` at `places`.
fn write(into: &Tensor, places: &[usize], values: &Tensor) -> Result<Tensor, EvalError> {
    fn put<T: Copy>(into: &[T], places: &[usize], values: &[T]) -> Vec<T> {
        let mut all = into.to_vec();
        for (&place, &value) in places.iter().zip(values) {
            all[place] = value;
        }
        all
    }
    let data = match (&into.data, &values.data) {
        (Data::F64(into), Data::F64(values)) => Data::F64(put(into, places, values)),
        (Data::F32(into), Data::F32(values)) => Data::F32(put(into, places, values)),
        (Data::F64(_) | Data::F32(_) | Data::Int(..) | Data::Bool(_), _) => return ill_formed("writing takes floats of one type"),
    };
    Ok(Tensor { shape: into.shape.clone(), data })
}

/// A shape without one axis.
fn shape_without(shape: &[usize], axis: usize) -> Vec<usize> {
    let mut shape = shape.to_vec();
    shape.remove(axis);
    shape
}

impl Index {
    /// The access; a position that is not below the axis' length is an error, also where there are no elements to access.
    pub(super) fn eval(&self, args: &[&Tensor], len: &dyn Fn(Dim) -> Result<usize, EvalError>) -> Result<Tensor, EvalError> {
        match (self, args) {
            (Index::At { axis }, [x, i]) => {
                let places = one_position(&x.shape, *axis, i)?;
                Ok(x.gather(shape_without(&x.shape, *axis), &places))
            }
            (Index::AddAt { axis }, [x, i, v]) => {
                let places = one_position(&x.shape, *axis, i)?;
                let row = Elementwise::Add.eval(&[&x.gather(v.shape.clone(), &places), v])?;
                write(x, &places, &row)
            }
            (Index::TakeAlong { axis }, [x, idx]) => {
                let places = Along::of(&x.shape, *axis)?.places(|k| idx.as_int()[k])?;
                Ok(x.gather(shape_without(&x.shape, *axis), &places))
            }
            (Index::PutAlong { axis, dim }, [v, idx]) => {
                let mut shape = v.shape.clone();
                shape.insert(*axis, len(*dim)?);
                let n = shape.iter().product();
                let zeros = match &v.data {
                    Data::F64(_) => Data::F64(vec![0.0; n]),
                    Data::F32(_) => Data::F32(vec![0.0; n]),
                    Data::Int(..) | Data::Bool(_) => return ill_formed("put of floats"),
                };
                let places = Along::of(&shape, *axis)?.places(|k| idx.as_int()[k])?;
                write(&Tensor { shape, data: zeros }, &places, v)
            }
            (Index::At { .. } | Index::AddAt { .. } | Index::TakeAlong { .. } | Index::PutAlong { .. }, _) => {
                ill_formed(format!("{self:?} of {} operands", args.len()))
            }
        }
    }
}
