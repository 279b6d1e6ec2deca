//! What the operations mean: one file per family, each with type rule, linear rule, transpose rule, cost and reference evaluation.
//!
//! The rules are inherent methods of the enums in [`crate::ir::op`]; this file hands each call to its family. Control flow has its type
//! rule here like every other operation, but its derivatives are part of the passes in `derive`, since they need to enter the bodies.

pub(crate) mod batch;
mod call;
mod control;
mod elementwise;
mod eval_elementwise;
mod eval_index;
mod eval_linalg;
mod index;
pub(crate) mod linalg;
mod product;
mod reduce;
pub mod sample;
mod shape;

use crate::ir::builder::TypeError;
use crate::ir::eval::{EvalError, Tensor, ill_formed};
use crate::ir::{Body, Builder, Dim, Func, Op, Type, ValueId};

/// An operand of a linear operation as the transpose rule sees it.
#[derive(Clone, Debug)]
pub enum Operand {
    /// The value is at hand: the operation's coefficient.
    Known(ValueId),
    /// The operation is linear in this operand; only its type is known.
    Linear(Type),
}

impl Operand {
    /// Whether the operation is linear in this operand.
    pub fn is_linear(&self) -> bool {
        match self {
            Operand::Known(_) => false,
            Operand::Linear(_) => true,
        }
    }

    /// The value, if it is at hand.
    pub fn known(&self) -> Option<ValueId> {
        match self {
            Operand::Known(value) => Some(*value),
            Operand::Linear(_) => None,
        }
    }
}

impl Op {
    /// The types of the results, or why the operation does not fit its operands. `func` holds the operands' types; nested bodies have
    /// been checked.
    pub fn infer(&self, func: &Func, args: &[ValueId], bodies: &[Body]) -> Result<Vec<Type>, TypeError> {
        let types: Vec<&Type> = args.iter().map(|&a| func.ty(a)).collect();
        if !matches!(self, Op::Control(_)) && !bodies.is_empty() {
            return Err(TypeError("only control flow has nested bodies".into()));
        }
        match self {
            Op::Const(elem, literal) => elementwise::infer_const(*elem, *literal, &types).map(|t| vec![t]),
            Op::Elementwise(op) => op.infer(&types).map(|t| vec![t]),
            Op::Reduce(op) => op.infer(&types).map(|t| vec![t]),
            Op::Einsum(op) => op.infer(&types).map(|t| vec![t]),
            Op::Shape(op) => op.infer(&types),
            Op::Index(op) => op.infer(&types).map(|t| vec![t]),
            Op::Linalg(op) => op.infer(&types),
            Op::Call(call) => call.infer(&types),
            Op::Control(op) => op.infer(func, &types, bodies),
        }
    }

    /// The linear rule: the tangent of each result, given the operands' tangents (`None` is zero), as new statements of `b`. `args` and `outs` are
    /// the primal operands and results. Statements that do not depend on a tangent come out as such, so that `derive::split` can separate them.
    ///
    /// # Panics
    /// On calls and control flow, which `derive::jvp` handles itself.
    pub fn jvp(&self, b: &mut Builder, args: &[ValueId], outs: &[ValueId], dots: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        if !outs.iter().any(|&out| b.ty(out).elem.is_float()) || dots.iter().all(Option::is_none) {
            return vec![None; outs.len()];
        }
        match self {
            Op::Const(..) => vec![None],
            Op::Elementwise(op) => vec![op.jvp(b, args, outs[0], dots)],
            Op::Reduce(op) => vec![op.jvp(b, args, outs[0], dots)],
            Op::Einsum(op) => vec![op.jvp(b, args, dots)],
            Op::Shape(op) => vec![op.jvp(b, args, dots)],
            Op::Index(op) => vec![op.jvp(b, args, dots)],
            Op::Linalg(op) => op.jvp(b, args, outs, dots),
            Op::Call(_) => unreachable!("`derive::jvp` puts rules in the place of calls itself"),
            Op::Control(_) => unreachable!("`derive::jvp` enters control flow itself"),
        }
    }

    /// Whether the derivative is identically zero, so that no tangent passes although a float operand has one. Together with the results' element
    /// types this says exactly for which results [`Op::jvp`] gives `None`.
    pub fn is_flat(&self) -> bool {
        match self {
            Op::Elementwise(op) => op.is_flat(),
            Op::Linalg(op) => op.is_flat(),
            Op::Const(..) | Op::Reduce(_) | Op::Einsum(_) | Op::Shape(_) | Op::Index(_) | Op::Call(_) | Op::Control(_) => false,
        }
    }

    /// The transpose rule: for each linear operand its share of the cotangent, given the results' cotangents (`None` is zero; at least one is
    /// not), as new statements of `b`. `None` for operands that are not linear, and where the share is zero.
    ///
    /// # Panics
    /// If the operation is not linear in those operands, and on calls and control flow, which `derive::transpose` handles itself.
    pub fn transpose(&self, b: &mut Builder, args: &[Operand], bars: &[Option<ValueId>]) -> Vec<Option<ValueId>> {
        // The only result of operations that have one.
        let bar = bars.iter().copied().flatten().next().expect("a result has a cotangent");
        match self {
            Op::Const(..) => Vec::new(),
            Op::Elementwise(op) => op.transpose(b, args, bar),
            Op::Reduce(op) => op.transpose(b, args, bar),
            Op::Einsum(op) => op.transpose(b, args, bar),
            Op::Shape(op) => op.transpose(b, args, bar),
            Op::Index(op) => op.transpose(b, args, bar),
            Op::Linalg(op) => op.transpose(b, args, bar),
            Op::Call(_) => unreachable!("`derive::transpose` puts rules in the place of calls itself"),
            Op::Control(_) => unreachable!("`derive::transpose` enters control flow itself"),
        }
    }
}

impl Op {
    /// The values of the results, given the operands' values; `len` knows the lengths of dimensions.
    ///
    /// # Errors
    /// What Rust would refuse at run time, see [`EvalError`].
    ///
    /// # Panics
    /// On control flow and on [`Shape::BindDim`](crate::ir::Shape::BindDim), which the evaluator handles itself.
    pub fn eval(&self, args: &[&Tensor], len: &dyn Fn(Dim) -> Result<usize, EvalError>) -> Result<Vec<Tensor>, EvalError> {
        match (self, args) {
            (Op::Const(elem, literal), []) => Ok(vec![Tensor::literal(*elem, *literal)]),
            (Op::Elementwise(op), _) => op.eval(args).map(|t| vec![t]),
            (Op::Reduce(op), [x]) => op.eval(x).map(|t| vec![t]),
            (Op::Einsum(op), [lhs, rhs]) => op.eval(lhs, rhs).map(|t| vec![t]),
            (Op::Shape(op), _) => op.eval(args, len).map(|t| vec![t]),
            (Op::Index(op), _) => op.eval(args, len).map(|t| vec![t]),
            (Op::Linalg(op), _) => op.eval(args),
            (Op::Call(call), _) => call.eval(),
            (Op::Const(..) | Op::Reduce(_) | Op::Einsum(_), _) => ill_formed(format!("{self:?} of {} operands", args.len())),
            (Op::Control(_), _) => unreachable!("the evaluator enters control flow itself"),
        }
    }
}

/// A type error, from its sentence.
fn mismatch<T>(why: impl Into<String>) -> Result<T, TypeError> {
    Err(TypeError(why.into()))
}

/// The operands' types if there are exactly `N` of them.
fn exactly<'a, const N: usize>(types: &[&'a Type]) -> Result<[&'a Type; N], TypeError> {
    match types.try_into() {
        Ok(array) => Ok(array),
        Err(_) => mismatch(format!("takes {N} operands, not {}", types.len())),
    }
}
