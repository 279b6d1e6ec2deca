//! Reductions: axes removed by combining the elements along them.

use super::{Operand, exactly, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::{Builder, Elem, Reduce, Type, ValueId};

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
    pub(super) fn jvp(&self, _b: &mut Builder, _args: &[ValueId], _out: ValueId, _dots: &[Option<ValueId>]) -> Option<ValueId> {
        todo!()
    }

    /// Transpose rule.
    pub(super) fn transpose(&self, _b: &mut Builder, _args: &[Operand], _bar: ValueId) -> Vec<Option<ValueId>> {
        todo!()
    }
}
