//! Rules for access at positions. All are exact.
//!
//! | rule |
//! | --- |
//! | `take_along(put_along(v, idx), idx)` → `v` |
//! | `read` of a `write` to the same part → what was written |
//! | `read` of a `read` along other axes → one `read` |
//! | `read` of a permutation → the permutation of a `read` |
//! | `read` of a broadcast → the broadcast of a `read`; along a new axis, with the index of a loop of that length, that axis just goes |

use super::Rewriter;
use crate::ir::{Index, Op, Pick, Shape, ValueId, Window};

pub(super) fn rewrite(r: &mut Rewriter, op: &Index, args: &[ValueId]) -> Option<ValueId> {
    match op {
        Index::TakeAlong { axis } => match r.def(args[0]) {
            Some((Op::Index(Index::PutAlong { axis: put, .. }), of_put)) if put == axis && of_put[1] == args[1] => Some(of_put[0]),
            Some(_) | None => None,
        },
        Index::Read(window) => read(r, window, args[0], &args[1..]),
        Index::Add(_) | Index::Write(_) | Index::Gather { .. } | Index::ScatterAdd { .. } | Index::PutAlong { .. } => None,
    }
}

fn read(r: &mut Rewriter, window: &Window, x: ValueId, starts: &[ValueId]) -> Option<ValueId> {
    if let Some((inner, perm)) = r.as_permute(x) {
        return Some(read_of_permuted(r, window, inner, &perm, starts));
    }
    if let Some((inner, axes)) = r.as_broadcast(x) {
        return read_of_broadcast(r, window, x, inner, &axes, starts);
    }
    match r.def(x).map(|(op, args)| (op.clone(), args.to_vec()))? {
        (Op::Index(Index::Write(written)), args) if written == *window && args[1..args.len() - 1] == *starts => args.last().copied(),
        (Op::Index(Index::Read(first)), args) => {
            let kept = first.kept(r.ty(args[0]).rank());
            let mut picks: Vec<(usize, Pick, ValueId)> = picks(window, starts).map(|(axis, pick, i)| (kept[axis], pick, i)).collect();
            if picks.iter().any(|&(axis, ..)| first.axes.iter().any(|&(a, _)| a == axis)) {
                return None;
            }
            picks.extend(self::picks(&first, &args[1..]));
            Some(emit_read(r, args[0], picks))
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

/// The indexed axes, each with what becomes of it and its (first) position.
fn picks(window: &Window, starts: &[ValueId]) -> impl Iterator<Item = (usize, Pick, ValueId)> {
    window.axes.iter().zip(starts).map(|(&(axis, pick), &start)| (axis, pick, start))
}

fn emit_read(r: &mut Rewriter, x: ValueId, mut picks: Vec<(usize, Pick, ValueId)>) -> ValueId {
    if picks.is_empty() {
        return x;
    }
    picks.sort_unstable_by_key(|&(axis, ..)| axis);
    let window = Window { axes: picks.iter().map(|&(axis, pick, _)| (axis, pick)).collect() };
    let args: Vec<ValueId> = [x].into_iter().chain(picks.iter().map(|&(.., start)| start)).collect();
    r.emit(Index::Read(window), &args)
}

fn read_of_permuted(r: &mut Rewriter, window: &Window, inner: ValueId, perm: &[usize], starts: &[ValueId]) -> ValueId {
    let of_inner: Vec<(usize, Pick, ValueId)> = picks(window, starts).map(|(axis, pick, i)| (perm[axis], pick, i)).collect();
    let gone = |axis: &usize| of_inner.iter().any(|&(a, pick, _)| a == *axis && pick == Pick::At);
    // The axes that are left, by their place in `inner`, in the order of the result.
    let left: Vec<usize> = perm.iter().copied().filter(|axis| !gone(axis)).collect();
    let mut sorted = left.clone();
    sorted.sort_unstable();
    let part = emit_read(r, inner, of_inner);
    let perm = left.iter().map(|axis| sorted.binary_search(axis).expect("one of them")).collect();
    r.emit(Shape::Permute { perm }, &[part])
}

fn read_of_broadcast(
    r: &mut Rewriter,
    window: &Window,
    x: ValueId,
    inner: ValueId,
    of_inner: &[usize],
    starts: &[ValueId],
) -> Option<ValueId> {
    let dims = r.ty(x).dims.clone();
    let mut picked = Vec::new();
    for (axis, pick, start) in picks(window, starts) {
        match of_inner.iter().position(|&a| a == axis) {
            Some(k) => picked.push((k, pick, start)),
            // Without the access, nothing would check a position that may be out of range.
            None if pick == Pick::At && r.turns.get(&start) == Some(&dims[axis]) => {}
            None => return None,
        }
    }
    let inner = emit_read(r, inner, picked);
    let kept = window.kept(dims.len());
    let axes = (0..kept.len()).filter(|&k| of_inner.contains(&kept[k])).collect();
    Some(r.emit(Shape::Broadcast { axes, dims: window.dims(&dims) }, &[inner]))
}
