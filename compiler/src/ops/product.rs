//! Products of two tensors with sums over shared labels.

use super::{Operand, exactly, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::{Builder, Dim, Einsum, Type, ValueId};

impl Einsum {
    /// Type rule: see [`Einsum`].
    pub(super) fn infer(&self, types: &[&Type]) -> Result<Type, TypeError> {
        let [lhs, rhs] = exactly(types)?;
        if lhs.elem != rhs.elem || !lhs.elem.is_float() {
            return mismatch(format!("operands must be floats of one type, found {} and {}", lhs.elem, rhs.elem));
        }
        if (lhs.rank(), rhs.rank()) != (self.lhs.len(), self.rhs.len()) {
            return mismatch(format!("`{self}` does not fit ranks {} and {}", lhs.rank(), rhs.rank()));
        }
        for labels in [&self.lhs, &self.rhs, &self.out] {
            if labels.iter().enumerate().any(|(k, l)| labels[..k].contains(l)) {
                return mismatch(format!("`{self}` repeats a label within one tensor"));
            }
        }
        let mut dims: [Option<Dim>; 256] = [None; 256];
        for (labels, ty) in [(&self.lhs, lhs), (&self.rhs, rhs)] {
            for (&l, &d) in labels.iter().zip(&ty.dims) {
                if *dims[usize::from(l)].get_or_insert(d) != d {
                    return mismatch(format!("`{self}`: label `{}` has two dimensions", char::from(b'a' + l)));
                }
            }
        }
        let count = |l: &u8| [&self.lhs, &self.rhs, &self.out].iter().filter(|labels| labels.contains(l)).count();
        if self.lhs.iter().chain(&self.rhs).chain(&self.out).any(|l| count(l) < 2) {
            return mismatch(format!("`{self}`: every label must occur in at least two of the three"));
        }
        let out: Vec<Dim> = self.out.iter().map(|&l| dims[usize::from(l)].expect("it occurs in an operand")).collect();
        Ok(lhs.with_dims(out))
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
