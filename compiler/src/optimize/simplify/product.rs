//! Rules for einsums and reductions.
//!
//! | rule | why it is allowed |
//! | --- | --- |
//! | an einsum of a permuted operand has that operand's labels in another order | exact |
//! | an einsum of a broadcast operand leaves the new axes' labels out: the other operand is summed over them, or the result broadcast | sums have no order |
//! | an einsum's labels are `i`, `j`, `k` in order of their occurrence | exact |
//! | an einsum without summed labels (`i,->i`, `i,j->ij`, `ij,ij->ij`) → `mul` of broadcasts | exact, up to `0.0 + -0.0` |
//! | an einsum whose operands have the same labels, some of them kept (`ij,ij->i`) → `reduce_sum(mul)`, which fuses | sums have no order |
//! | `reduce_sum(x * y)` → an einsum, if a matrix product can do it: something is summed over both, something is kept of one only, nothing of both | sums have no order |
//! | two sums (or extremes) in a row are one | sums have no order |
//! | a reduction of a permutation → the permutation of a reduction | sums have no order |
//! | a reduction of a broadcast → the broadcast of a reduction; only summing over new axes alone stays | sums have no order |
//! | a sum or extreme over axes of length one → `reshape` | exact, up to `0.0 + -0.0` |
//! | `reduce_sum(put_along(v, idx))` over the new axis → `v`, or its sum | zeros of `put_along` |

use super::Rewriter;
use crate::ir::{Dim, Einsum, Elementwise, Index, Op, Reduce, Shape, ValueId};

pub(super) fn rewrite_einsum(r: &mut Rewriter, op: &Einsum, lhs: ValueId, rhs: ValueId) -> Option<ValueId> {
    permuted_operand(r, op, lhs, rhs)
        .or_else(|| broadcast_operand(r, op, lhs, rhs))
        .or_else(|| broadcast_operand(r, &swapped(op), rhs, lhs))
        .or_else(|| elementwise_product(r, op, lhs, rhs))
        .or_else(|| sum_of_products(r, op, lhs, rhs))
        .or_else(|| {
            let renamed = op.renamed();
            (renamed != *op).then(|| r.emit(renamed, &[lhs, rhs]))
        })
}

/// The same einsum with its operands exchanged.
fn swapped(op: &Einsum) -> Einsum {
    Einsum { lhs: op.rhs.clone(), rhs: op.lhs.clone(), out: op.out.clone() }
}

fn permuted_operand(r: &mut Rewriter, op: &Einsum, lhs: ValueId, rhs: ValueId) -> Option<ValueId> {
    let before = |labels: &[u8], perm: &[usize]| {
        let mut before = labels.to_vec();
        for (&label, &axis) in labels.iter().zip(perm) {
            before[axis] = label;
        }
        before
    };
    let (of_lhs, of_rhs) = (r.as_permute(lhs), r.as_permute(rhs));
    if of_lhs.is_none() && of_rhs.is_none() {
        return None;
    }
    let mut op = op.clone();
    let (mut lhs, mut rhs) = (lhs, rhs);
    if let Some((x, perm)) = of_lhs {
        (lhs, op.lhs) = (x, before(&op.lhs, &perm));
    }
    if let Some((x, perm)) = of_rhs {
        (rhs, op.rhs) = (x, before(&op.rhs, &perm));
    }
    Some(r.emit(op, &[lhs, rhs]))
}

/// `lhs` is a broadcast.
fn broadcast_operand(r: &mut Rewriter, op: &Einsum, lhs: ValueId, rhs: ValueId) -> Option<ValueId> {
    let (inner, axes) = r.as_broadcast(lhs)?;
    let new: Vec<u8> = op.lhs.iter().enumerate().filter(|(k, _)| !axes.contains(k)).map(|(_, &l)| l).collect();
    // Summed labels that are now the other operand's alone; kept labels that are now the result's alone.
    let summed: Vec<usize> = (0..op.rhs.len()).filter(|&k| new.contains(&op.rhs[k]) && !op.out.contains(&op.rhs[k])).collect();
    let repeated = |l: &u8| new.contains(l) && !op.rhs.contains(l);
    let smaller = Einsum {
        lhs: op.lhs.iter().copied().filter(|l| !new.contains(l)).collect(),
        rhs: (0..op.rhs.len()).filter(|k| !summed.contains(k)).map(|k| op.rhs[k]).collect(),
        out: op.out.iter().copied().filter(|l| !repeated(l)).collect(),
    };
    let dims: Vec<Dim> = op.out.iter().map(|l| label_dim(r, op, lhs, rhs, *l)).collect();
    let axes: Vec<usize> = (0..op.out.len()).filter(|&k| !repeated(&op.out[k])).collect();
    let rhs = r.emit(Reduce::Sum { axes: summed }, &[rhs]);
    let value = r.emit(smaller, &[inner, rhs]);
    Some(r.emit(Shape::Broadcast { axes, dims }, &[value]))
}

fn label_dim(r: &Rewriter, op: &Einsum, lhs: ValueId, rhs: ValueId, label: u8) -> Dim {
    match op.lhs.iter().position(|&l| l == label) {
        Some(k) => r.ty(lhs).dims[k],
        None => r.ty(rhs).dims[op.rhs.iter().position(|&l| l == label).expect("a label of an operand")],
    }
}

/// No label is summed.
fn elementwise_product(r: &mut Rewriter, op: &Einsum, lhs: ValueId, rhs: ValueId) -> Option<ValueId> {
    if op.lhs.iter().chain(&op.rhs).any(|l| !op.out.contains(l)) {
        return None;
    }
    let dims: Vec<Dim> = op.out.iter().map(|&l| label_dim(r, op, lhs, rhs, l)).collect();
    let mut spread = |x: ValueId, labels: &[u8]| {
        let placed: Vec<(usize, usize)> =
            op.out.iter().enumerate().filter_map(|(k, l)| labels.iter().position(|m| m == l).map(|axis| (k, axis))).collect();
        let x = r.emit(Shape::Permute { perm: placed.iter().map(|&(_, axis)| axis).collect() }, &[x]);
        r.emit(Shape::Broadcast { axes: placed.iter().map(|&(k, _)| k).collect(), dims: dims.clone() }, &[x])
    };
    let (x, y) = (spread(lhs, &op.lhs), spread(rhs, &op.rhs));
    Some(r.emit(Elementwise::Mul, &[x, y]))
}

/// Both operands have all labels, and some are kept: nothing that a matrix product could do.
fn sum_of_products(r: &mut Rewriter, op: &Einsum, lhs: ValueId, rhs: ValueId) -> Option<ValueId> {
    let same = op.lhs.len() == op.rhs.len() && op.lhs.iter().all(|l| op.rhs.contains(l));
    if !same || op.out.is_empty() {
        return None;
    }
    let position = |labels: &[u8], l: &u8| labels.iter().position(|m| m == l).expect("a label of both operands");
    let rhs = r.emit(Shape::Permute { perm: op.lhs.iter().map(|l| position(&op.rhs, l)).collect() }, &[rhs]);
    let product = r.emit(Elementwise::Mul, &[lhs, rhs]);
    let sum = r.emit(Reduce::Sum { axes: (0..op.lhs.len()).filter(|&k| !op.out.contains(&op.lhs[k])).collect() }, &[product]);
    let kept: Vec<u8> = op.lhs.iter().copied().filter(|l| op.out.contains(l)).collect();
    Some(r.emit(Shape::Permute { perm: op.out.iter().map(|l| position(&kept, l)).collect() }, &[sum]))
}

pub(super) fn rewrite_reduce(r: &mut Rewriter, op: &Reduce, x: ValueId) -> Option<ValueId> {
    if let Reduce::ArgMax { .. } | Reduce::ArgMin { .. } = op {
        return None;
    }
    let axes = op.axes();
    let dims = r.ty(x).dims.clone();
    let kept: Vec<usize> = (0..dims.len()).filter(|k| !axes.contains(k)).collect();
    if axes.is_empty() && !matches!(op, Reduce::LogSumExp { .. }) {
        return Some(x);
    }
    if axes.iter().all(|&k| dims[k] == Dim::Const(1)) && !matches!(op, Reduce::LogSumExp { .. }) {
        return Some(r.emit(Shape::Reshape { dims: kept.iter().map(|&k| dims[k]).collect() }, &[x]));
    }
    if let Some((inner, perm)) = r.as_permute(x) {
        let mut before: Vec<usize> = axes.iter().map(|&k| perm[k]).collect();
        before.sort_unstable();
        let left: Vec<usize> = (0..dims.len()).filter(|k| !before.contains(k)).collect();
        let value = r.emit(op.with_axes(before), &[inner]);
        let perm = kept.iter().map(|&k| left.iter().position(|&l| l == perm[k]).expect("a kept axis")).collect();
        return Some(r.emit(Shape::Permute { perm }, &[value]));
    }
    if let Some((inner, of_inner)) = r.as_broadcast(x) {
        return reduced_broadcast(r, op, inner, &of_inner, &dims, &kept);
    }
    match r.def(x).map(|(op, args)| (op.clone(), args.to_vec()))? {
        (Op::Reduce(first), args) if is_associative(op, &first) => {
            let left: Vec<usize> = (0..r.ty(args[0]).rank()).filter(|k| !first.axes().contains(k)).collect();
            let mut all: Vec<usize> = first.axes().iter().copied().chain(axes.iter().map(|&k| left[k])).collect();
            all.sort_unstable();
            Some(r.emit(op.with_axes(all), &args))
        }
        (Op::Index(Index::PutAlong { axis, .. }), args) if matches!(op, Reduce::Sum { .. }) && axes.contains(&axis) => {
            let rest = axes.iter().filter(|&&k| k != axis).map(|&k| k - usize::from(k > axis)).collect();
            Some(r.emit(Reduce::Sum { axes: rest }, &[args[0]]))
        }
        (Op::Elementwise(Elementwise::Mul), args) if matches!(op, Reduce::Sum { .. }) && r.elem(x).is_float() && r.is_used_here_only(x) => {
            contraction(r, axes, &kept, args[0], args[1])
        }
        (
            Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Index(_)
            | Op::Call(_)
            | Op::Linalg(_)
            | Op::Control(_),
            _,
        ) => None,
    }
}

/// Whether the second reduction after the first is one over the axes of both.
fn is_associative(second: &Reduce, first: &Reduce) -> bool {
    match (second, first) {
        (Reduce::Sum { .. }, Reduce::Sum { .. }) | (Reduce::Max { .. }, Reduce::Max { .. }) | (Reduce::Min { .. }, Reduce::Min { .. }) => {
            true
        }
        // The order of factors is kept: rounding of products is not licensed to change.
        (
            Reduce::Sum { .. }
            | Reduce::Prod { .. }
            | Reduce::Max { .. }
            | Reduce::Min { .. }
            | Reduce::LogSumExp { .. }
            | Reduce::ArgMax { .. }
            | Reduce::ArgMin { .. },
            _,
        ) => false,
    }
}

/// `op` of a broadcast of `inner` to `dims`: over the axes of `inner` first, then over the new ones, and what is new and kept is broadcast at the end.
fn reduced_broadcast(r: &mut Rewriter, op: &Reduce, inner: ValueId, of_inner: &[usize], dims: &[Dim], kept: &[usize]) -> Option<ValueId> {
    let own: Vec<usize> = (0..of_inner.len()).filter(|&k| !kept.contains(&of_inner[k])).collect();
    let new: Vec<usize> = op.axes().iter().copied().filter(|k| !of_inner.contains(k)).collect();
    let spread = kept.iter().any(|k| !of_inner.contains(k));
    if own.is_empty() && !spread {
        return None;
    }
    let mut value = inner;
    if !own.is_empty() {
        value = r.emit(op.with_axes(own), &[value]);
    }
    let own_kept: Vec<usize> = kept.iter().copied().filter(|k| of_inner.contains(k)).collect();
    if !new.is_empty() {
        let space: Vec<usize> = (0..dims.len()).filter(|k| own_kept.contains(k) || new.contains(k)).collect();
        let places = |axes: &[usize]| axes.iter().map(|k| space.binary_search(k).expect("an axis of the space")).collect::<Vec<_>>();
        value = r.emit(Shape::Broadcast { axes: places(&own_kept), dims: space.iter().map(|&k| dims[k]).collect() }, &[value]);
        value = r.emit(op.with_axes(places(&new)), &[value]);
    }
    let axes = own_kept.iter().map(|k| kept.binary_search(k).expect("a kept axis")).collect();
    Some(r.emit(Shape::Broadcast { axes, dims: kept.iter().map(|&k| dims[k]).collect() }, &[value]))
}

/// The sum over `axes` of `lhs * rhs`, if a matrix product can do it.
fn contraction(r: &mut Rewriter, axes: &[usize], kept: &[usize], lhs: ValueId, rhs: ValueId) -> Option<ValueId> {
    let rank = axes.len() + kept.len();
    let operand = |x: ValueId| r.as_broadcast(x).unwrap_or_else(|| (x, (0..rank).collect()));
    let ((x, of_x), (y, of_y)) = (operand(lhs), operand(rhs));
    let in_x = |k: &usize| of_x.contains(k);
    let in_y = |k: &usize| of_y.contains(k);
    let contracts = axes.iter().any(|k| in_x(k) && in_y(k)) && axes.iter().all(|k| in_x(k) || in_y(k));
    let expands = !kept.is_empty() && kept.iter().all(|k| in_x(k) != in_y(k));
    if !contracts || !expands {
        return None;
    }
    // What is summed over one operand alone is summed before.
    let mut alone = |value: ValueId, own: &[usize], other: &[usize]| {
        let summed = (0..own.len()).filter(|&k| axes.contains(&own[k]) && !other.contains(&own[k])).collect();
        let value = r.emit(Reduce::Sum { axes: summed }, &[value]);
        let labels = own.iter().filter(|k| kept.contains(k) || other.contains(k)).map(|&k| k as u8).collect();
        (value, labels)
    };
    let ((x, lhs), (y, rhs)) = (alone(x, &of_x, &of_y), alone(y, &of_y, &of_x));
    Some(r.emit(Einsum { lhs, rhs, out: kept.iter().map(|&k| k as u8).collect() }, &[x, y]))
}
