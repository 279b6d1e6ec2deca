//! Calls of functions without a body. Their derivatives are functions of the user's, which `derive` puts in their place.

use super::{Operand, mismatch};
use crate::ir::builder::TypeError;
use crate::ir::eval::{EvalError, Tensor};
use crate::ir::{Call, CallPart, Type};

impl Call {
    pub(super) fn infer(&self, types: &[&Type]) -> Result<Vec<Type>, TypeError> {
        let n = self.function.params.len().min(types.len());
        let (args, dots) = types.split_at(n);
        let Some(dims) = self.function.dims(args) else {
            return mismatch(format!("`{}` takes {:?}", self.function.name, self.function.params));
        };
        match self.part {
            CallPart::Value if dots.is_empty() => {}
            CallPart::Tangent if dots.iter().copied().eq(self.function.float_params().iter().map(|&k| args[k])) => {}
            CallPart::Value | CallPart::Tangent => return mismatch("the tangents of a call have the types of its float operands"),
        }
        let result = |ty: &Type| ty.with_dims(ty.dims.iter().map(|&d| dims(d)).collect::<Vec<_>>());
        Ok(self.function.results.iter().map(result).collect())
    }

    pub(super) fn eval(&self) -> Result<Vec<Tensor>, EvalError> {
        Err(EvalError::NoBody(self.function.name.clone()))
    }

    /// The positions of the linear operands among the tangents of a [`CallPart::Tangent`].
    pub(crate) fn linear_tangents(&self, args: &[Operand]) -> Vec<usize> {
        args[self.function.params.len()..].iter().enumerate().filter(|(_, arg)| arg.is_linear()).map(|(k, _)| k).collect()
    }
}
