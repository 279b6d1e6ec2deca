//! Element-wise operations: each result element depends on the elements at the same place.

use super::{Operand, exactly, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::{Builder, Elem, Elementwise, Literal, Type, ValueId};

/// Type rule of literals.
pub(super) fn infer_const(elem: Elem, literal: Literal, types: &[&Type]) -> Result<Type, TypeError> {
    let [] = exactly(types)?;
    let fits = match literal {
        Literal::Float(_) => elem.is_float(),
        Literal::Int(i) => elem == Elem::I64 || (elem == Elem::Usize && i >= 0),
        Literal::Bool(_) => elem == Elem::Bool,
    };
    if fits { Ok(Type::scalar(elem)) } else { mismatch(format!("{literal:?} is not a value of {elem}")) }
}

impl Elementwise {
    /// Type rule: operands have one shape; see the operation for the element types.
    pub(super) fn infer(self, types: &[&Type]) -> Result<Type, TypeError> {
        use Elementwise as E;
        if types.len() != self.arity() {
            return mismatch(format!("takes {} operands, not {}", self.arity(), types.len()));
        }
        let first = types[0];
        if let Some(other) = types.iter().find(|t| t.dims != first.dims) {
            return mismatch(format!("operands have different shapes: {:?} and {:?}", first.dims, other.dims));
        }
        let all = |ok: fn(Elem) -> bool, what: &str| -> Result<Elem, TypeError> {
            match types.iter().find(|t| !ok(t.elem) || t.elem != first.elem) {
                None => Ok(first.elem),
                Some(t) => mismatch(format!("operands must all be {what}, of one type; found {} and {}", first.elem, t.elem)),
            }
        };
        let elem = match self {
            E::Exp
            | E::ExpM1
            | E::Ln
            | E::Ln1p
            | E::Sqrt
            | E::Sin
            | E::Cos
            | E::Tan
            | E::Asin
            | E::Acos
            | E::Atan
            | E::Sinh
            | E::Cosh
            | E::Tanh
            | E::Sigmoid
            | E::Softplus
            | E::Relu
            | E::Floor
            | E::Powi(_)
            | E::Powf
            | E::Atan2 => all(Elem::is_float, "floats")?,
            E::Neg | E::Abs | E::Sign | E::Add | E::Sub | E::Mul | E::Div | E::Max | E::Min => all(|e| e != Elem::Bool, "numbers")?,
            E::Rem => all(Elem::is_integer, "integers")?,
            E::Lt | E::Le => {
                all(|e| e != Elem::Bool, "numbers")?;
                Elem::Bool
            }
            E::Eq | E::Ne => {
                all(|_| true, "comparable")?;
                Elem::Bool
            }
            E::And | E::Or | E::Not => all(|e| e == Elem::Bool, "bool")?,
            E::Select => {
                if first.elem != Elem::Bool || types[1].elem != types[2].elem {
                    return mismatch("takes a bool and two operands of one type");
                }
                types[1].elem
            }
            E::Cast(to) => to,
        };
        Ok(first.with_elem(elem))
    }

    /// Linear rule.
    pub(super) fn jvp(self, _b: &mut Builder, _args: &[ValueId], _out: ValueId, _dots: &[Option<ValueId>]) -> Option<ValueId> {
        todo!()
    }

    /// Transpose rule.
    pub(super) fn transpose(self, _b: &mut Builder, _args: &[Operand], _bar: ValueId) -> Vec<Option<ValueId>> {
        todo!()
    }
}
