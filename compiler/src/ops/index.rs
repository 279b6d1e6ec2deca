//! Access at positions that are data.

use super::{Operand, exactly, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::{Builder, Dim, Elem, Index, Type, ValueId};

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

    /// Linear rule.
    pub(super) fn jvp(&self, _b: &mut Builder, _args: &[ValueId], _dots: &[Option<ValueId>]) -> Option<ValueId> {
        todo!()
    }

    /// Transpose rule.
    pub(super) fn transpose(&self, _b: &mut Builder, _args: &[Operand], _bar: ValueId) -> Vec<Option<ValueId>> {
        todo!()
    }
}
