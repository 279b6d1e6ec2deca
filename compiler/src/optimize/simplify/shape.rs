//! Rules for shapes. All are exact.
//!
//! | rule |
//! | --- |
//! | a broadcast, permutation or reshape to the same type is its operand (a permutation only if it is the identity) |
//! | two broadcasts, permutations or reshapes in a row are one |
//! | `concat` of one operand is that operand; a reshape that has to be checked at run time stays |
//! | `permute(broadcast x)` → `broadcast(permute x)`; `reshape` of a repeated scalar repeats the scalar |
//! | `permute` of an einsum used here only → an einsum with its result's labels in that order |
//! | `dim_size` of a number is the number, of a bound dimension the value that it was bound to |

use super::Rewriter;
use crate::ir::{Dim, Einsum, Elem, Literal, Op, Shape, ValueId};

pub(super) fn rewrite(r: &mut Rewriter, op: &Shape, args: &[ValueId]) -> Option<ValueId> {
    match op {
        Shape::Broadcast { axes, dims } => broadcast(r, axes, dims, args[0]),
        Shape::Permute { perm } => permute(r, perm, args[0]),
        Shape::Reshape { dims } => reshape(r, dims, args[0]),
        Shape::DimSize { dim: Dim::Const(n) } => Some(r.emit(Op::Const(Elem::Usize, Literal::Int(i64::try_from(*n).ok()?)), &[])),
        Shape::DimSize { dim: Dim::Sym(dim) } => r.lengths.get(dim).copied(),
        Shape::Concat { axis, dim } if args.len() == 1 && r.ty(args[0]).dims[*axis] == *dim => Some(args[0]),
        Shape::Concat { .. } | Shape::Unfold { .. } | Shape::Fold { .. } | Shape::Iota { .. } | Shape::BindDim { .. } => None,
    }
}

fn broadcast(r: &mut Rewriter, axes: &[usize], dims: &[Dim], x: ValueId) -> Option<ValueId> {
    if r.ty(x).rank() == dims.len() {
        return Some(x);
    }
    let (inner, inner_axes) = r.as_broadcast(x)?;
    let axes = inner_axes.iter().map(|&k| axes[k]).collect();
    Some(r.emit(Shape::Broadcast { axes, dims: dims.to_vec() }, &[inner]))
}

fn permute(r: &mut Rewriter, perm: &[usize], x: ValueId) -> Option<ValueId> {
    if perm.is_sorted() {
        return Some(x);
    }
    if let Some((inner, first)) = r.as_permute(x) {
        let perm = perm.iter().map(|&p| first[p]).collect();
        return Some(r.emit(Shape::Permute { perm }, &[inner]));
    }
    if let Some((inner, of_inner)) = r.as_broadcast(x) {
        let dims = perm.iter().map(|&p| r.ty(x).dims[p]).collect();
        // The axes of the inner operand, in the order in which they stand after the permutation.
        let placed: Vec<(usize, usize)> =
            perm.iter().enumerate().filter_map(|(k, p)| of_inner.iter().position(|a| a == p).map(|axis| (k, axis))).collect();
        let inner = r.emit(Shape::Permute { perm: placed.iter().map(|&(_, axis)| axis).collect() }, &[inner]);
        return Some(r.emit(Shape::Broadcast { axes: placed.iter().map(|&(k, _)| k).collect(), dims }, &[inner]));
    }
    match r.def(x) {
        Some((Op::Einsum(Einsum { lhs, rhs, out }), args)) if r.is_used_here_only(x) => {
            let einsum = Einsum { lhs: lhs.clone(), rhs: rhs.clone(), out: perm.iter().map(|&p| out[p]).collect() };
            let args = args.to_vec();
            Some(r.emit(einsum, &args))
        }
        Some(_) | None => None,
    }
}

fn reshape(r: &mut Rewriter, dims: &[Dim], x: ValueId) -> Option<ValueId> {
    if r.ty(x).dims == dims {
        return Some(x);
    }
    match r.def(x) {
        // What is checked at run time stays.
        Some(_) if Shape::same_elements(&r.ty(x).dims, dims) != Some(true) => None,
        Some((Op::Shape(Shape::Reshape { .. }), args)) if Shape::same_elements(&r.ty(args[0]).dims, dims) == Some(true) => {
            let inner = args[0];
            Some(r.emit(Shape::Reshape { dims: dims.to_vec() }, &[inner]))
        }
        Some((Op::Shape(Shape::Broadcast { axes, .. }), args)) if axes.is_empty() => {
            let scalar = args[0];
            Some(r.emit(Shape::Broadcast { axes: Vec::new(), dims: dims.to_vec() }, &[scalar]))
        }
        Some(_) | None => None,
    }
}
