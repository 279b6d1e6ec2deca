//! The crate's functions for networks, as compositions: their derivatives are derived like those of any program.

use super::Lowering;
use super::text;
use super::value::{Value, describe_rank};
use crate::diagnostics::messages;
use crate::ir::{Dim, Elem, Elementwise, Index, Literal, Op, Reduce, Shape, Type, ValueId};

/// What queries do not see in attention.
enum Hidden {
    Nothing,
    /// The positions behind the query's.
    Later,
    /// The positions where the mask is false.
    Masked(ValueId),
}

impl Lowering<'_> {
    /// `x - log_sum_exp(x)` over the last axis.
    pub(super) fn log_softmax(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let x = self.array_argument(args[0])?;
        let ty = self.b.ty(x).clone();
        let axes: Vec<usize> = (0..ty.rank() - 1).collect();
        let normalizer = self.part(whole, Reduce::LogSumExp { axes: vec![ty.rank() - 1] }, &[x])?;
        let normalizer = self.part(whole, Shape::Broadcast { axes, dims: ty.dims }, &[normalizer])?;
        self.emit(whole, Elementwise::Sub, &[x, normalizer])
    }

    /// Each row along the last axis with mean zero and variance one.
    pub(super) fn layer_norm(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let x = self.float_array(args[0], 1, "an array of floats")?;
        let last = self.b.ty(x).rank() - 1;
        self.normalized(whole, args, x, vec![last], last)
    }

    /// Each channel, a position on axis 1, with mean zero and variance one over all other axes.
    pub(super) fn batch_norm(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let x = self.float_array(args[0], 2, "an array of floats with channels on axis 1")?;
        let axes = (0..self.b.ty(x).rank()).filter(|&axis| axis != 1).collect();
        self.normalized(whole, args, x, axes, 1)
    }

    /// `(x - mean) / sqrt(variance + eps) * gamma + beta` with moments over `axes`, and `gamma` and `beta` along `channel`.
    fn normalized(&mut self, whole: &syn::Expr, args: &[&syn::Expr], x: ValueId, axes: Vec<usize>, channel: usize) -> Option<ValueId> {
        let elem = self.b.ty(x).elem;
        let parameters = [1, 2].map(|k| self.array_argument(args[k]));
        let eps = self.expr(args[3]);
        let eps = self.operand(eps, elem, args[3])?.value;
        if *self.b.ty(eps) != Type::scalar(elem) {
            let found = self.describe(&Value::Tensor(eps));
            let expected = format!("a number of type `{elem}`");
            self.error(args[3], messages::EXPECTED_KIND, &[&expected, &found, "write for example `1e-5`"]);
            return None;
        }
        for (k, parameter) in parameters.iter().enumerate() {
            let ty = self.b.ty((*parameter)?).clone();
            if ty.rank() != 1 {
                let (m, n) = (describe_rank(self.b.ty(x).rank()), describe_rank(ty.rank()));
                let help = "`gamma` and `beta` are vectors with one element for each channel";
                self.error(whole, messages::RANK_MISMATCH, &[&text(args[0]), &m, &text(args[k + 1]), &n, &text(whole), help]);
                return None;
            }
            if ty.elem != elem {
                self.error(whole, messages::ELEMENT_MISMATCH, &[&text(args[0]), elem.name(), &text(args[k + 1]), ty.elem.name()]);
                return None;
            }
            let dim = self.b.ty(x).dims[channel];
            if !self.unify(dim, ty.dims[0], whole, args[0], args[k + 1]) {
                return None;
            }
        }
        let dims = self.b.ty(x).dims.clone();
        let kept: Vec<usize> = (0..dims.len()).filter(|axis| !axes.contains(axis)).collect();
        let over = |axes: &[usize]| Shape::Broadcast { axes: axes.to_vec(), dims: dims.clone() };
        let mean = self.mean_value(whole, x, axes.clone())?;
        let mean = self.part(whole, over(&kept), &[mean])?;
        let centred = self.part(whole, Elementwise::Sub, &[x, mean])?;
        let squares = self.part(whole, Elementwise::Mul, &[centred, centred])?;
        let variance = self.mean_value(whole, squares, axes)?;
        let eps = self.stretch(eps, &self.b.ty(variance).dims.clone(), whole)?;
        let shifted = self.part(whole, Elementwise::Add, &[variance, eps])?;
        let deviation = self.part(whole, Elementwise::Sqrt, &[shifted])?;
        let scale = self.part(whole, Elementwise::Powi(-1), &[deviation])?;
        let scale = self.part(whole, over(&kept), &[scale])?;
        let normalized = self.part(whole, Elementwise::Mul, &[centred, scale])?;
        let gamma = self.part(whole, over(&[channel]), &[parameters[0]?])?;
        let beta = self.part(whole, over(&[channel]), &[parameters[1]?])?;
        let scaled = self.part(whole, Elementwise::Mul, &[normalized, gamma])?;
        self.emit(whole, Elementwise::Add, &[scaled, beta])
    }

    /// The rows of a table at positions.
    pub(super) fn embedding(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let table = self.float_array(args[0], 2, "a matrix of floats")?;
        let ids = self.array_argument(args[1])?;
        if self.b.ty(table).rank() != 2 || self.b.ty(ids).elem != Elem::Usize {
            let (at, v, expected) = if self.b.ty(table).rank() != 2 {
                (args[0], table, "a matrix of floats")
            } else {
                (args[1], ids, "positions of type `usize`")
            };
            let found = self.describe(&Value::Tensor(v));
            self.error(at, messages::EXPECTED_KIND, &[expected, &found, "the table is a matrix, and the positions are of type `usize`"]);
            return None;
        }
        self.emit(whole, Index::Gather { axis: 0 }, &[table, ids])
    }

    /// `softmax(q kᵀ / √d) v`, or with `causal` only of the positions up to the query's.
    pub(super) fn attention(&mut self, whole: &syn::Expr, args: &[&syn::Expr], causal: bool) -> Option<ValueId> {
        self.attend(whole, args, if causal { Hidden::Later } else { Hidden::Nothing })
    }

    /// `attention` to the positions where the mask is true.
    pub(super) fn masked_attention(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let mask = self.array_argument(args[3])?;
        let ty = self.b.ty(mask);
        if ty.rank() != 2 || ty.elem != Elem::Bool {
            let found = self.describe(&Value::Tensor(mask));
            let help = "a mask says of each query, a row, which positions it sees";
            self.error(args[3], messages::EXPECTED_KIND, &["a matrix of `bool`", &found, help]);
            return None;
        }
        self.attend(whole, args, Hidden::Masked(mask))
    }

    fn attend(&mut self, whole: &syn::Expr, args: &[&syn::Expr], hidden: Hidden) -> Option<ValueId> {
        let arrays = [0, 1, 2].map(|k| self.float_array(args[k], 2, "an array of floats with two or more axes"));
        let [q, k, v] = [arrays[0]?, arrays[1]?, arrays[2]?];
        let rank = self.b.ty(q).rank();
        for (other, e) in [(k, args[1]), (v, args[2])] {
            let (x, y) = (self.b.ty(q).clone(), self.b.ty(other).clone());
            if y.rank() != rank {
                let (m, n) = (describe_rank(rank), describe_rank(y.rank()));
                let help = "queries, keys and values have equally many axes";
                self.error(whole, messages::RANK_MISMATCH, &[&text(args[0]), &m, &text(e), &n, &text(whole), help]);
                return None;
            }
            if x.elem != y.elem {
                self.error(whole, messages::ELEMENT_MISMATCH, &[&text(args[0]), x.elem.name(), &text(e), y.elem.name()]);
                return None;
            }
        }
        let equal = (0..rank - 2).flat_map(|axis| [(q, 0, k, 1, axis), (q, 0, v, 2, axis)]);
        for (x, i, y, j, axis) in equal.chain([(q, 0, k, 1, rank - 1), (k, 1, v, 2, rank - 2)]) {
            let (m, n) = (self.b.ty(x).dims[axis], self.b.ty(y).dims[axis]);
            if !self.unify(m, n, whole, args[i], args[j]) {
                return None;
            }
        }
        let n_batch = (rank - 2) as u8;
        let labels = |own: [u8; 2]| (0..n_batch).chain(own.map(|l| n_batch + l)).collect::<Vec<u8>>();
        let einsum = |lhs, rhs, out| crate::ir::Einsum { lhs: labels(lhs), rhs: labels(rhs), out: labels(out) };
        let scores = self.part(whole, einsum([0, 2], [1, 2], [0, 1]), &[q, k])?;
        let (of_q, ty) = (self.b.ty(q).clone(), self.b.ty(scores).clone());
        self.b.set_default_note(super::part_of(whole));
        let d = self.b.count(&of_q, &[rank - 1]);
        let root = self.part(whole, Elementwise::Sqrt, &[d])?;
        let share = self.part(whole, Elementwise::Powi(-1), &[root])?;
        let share = self.stretch(share, &ty.dims, whole)?;
        let mut scores = self.part(whole, Elementwise::Mul, &[scores, share])?;
        if let Some(hidden) = self.hidden(whole, args, hidden, &ty.dims[rank - 2..])? {
            let hidden = if rank == 2 {
                hidden
            } else {
                self.part(whole, Shape::Broadcast { axes: vec![rank - 2, rank - 1], dims: ty.dims.clone() }, &[hidden])?
            };
            let nothing = self.part(whole, Op::Const(ty.elem, Literal::Float(f64::NEG_INFINITY)), &[])?;
            let nothing = self.stretch(nothing, &ty.dims, whole)?;
            scores = self.part(whole, Elementwise::Select, &[hidden, nothing, scores])?;
        }
        let normalizer = self.part(whole, Reduce::LogSumExp { axes: vec![rank - 1] }, &[scores])?;
        let axes: Vec<usize> = (0..rank - 1).collect();
        let normalizer = self.part(whole, Shape::Broadcast { axes, dims: ty.dims.clone() }, &[normalizer])?;
        let shifted = self.part(whole, Elementwise::Sub, &[scores, normalizer])?;
        let weights = self.part(whole, Elementwise::Exp, &[shifted])?;
        self.emit(whole, einsum([0, 1], [1, 2], [0, 2]), &[weights, v])
    }

    /// Where each query does not look.
    fn hidden(&mut self, whole: &syn::Expr, args: &[&syn::Expr], hidden: Hidden, dims: &[Dim]) -> Option<Option<ValueId>> {
        match hidden {
            Hidden::Nothing => Some(None),
            Hidden::Later => {
                let [i, j] = [0, 1].map(|axis| {
                    let numbers = self.part(whole, Shape::Iota { dim: dims[axis] }, &[])?;
                    self.part(whole, Shape::Broadcast { axes: vec![axis], dims: dims.to_vec() }, &[numbers])
                });
                self.part(whole, Elementwise::Lt, &[i?, j?]).map(Some)
            }
            Hidden::Masked(mask) => {
                for axis in 0..2 {
                    let (own, dim) = (self.b.ty(mask).dims[axis], self.b.current_dim(dims[axis]));
                    if !self.unify(own, dim, whole, args[3], args[axis]) {
                        return None;
                    }
                }
                self.b.set_default_note(super::part_of(whole));
                let seen = self.b.map(Elementwise::Cast(Elem::Usize), &[mask]);
                let n_seen = self.b.op(Reduce::Sum { axes: vec![1] }, &[seen]);
                let zero = self.b.index(0);
                let zeros = self.b.broadcast_scalar(zero, &self.b.ty(n_seen).dims.clone());
                let some = self.b.map(Elementwise::Ne, &[n_seen, zeros]);
                self.require_all(some, format!("the mask `{}` in `{}` lets a query see nothing", text(args[3]), text(whole)));
                Some(Some(self.b.map(Elementwise::Not, &[mask])))
            }
        }
    }

    /// One where the last axis' position is the label, else zero.
    pub(super) fn one_hot(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let (labels, length) = (self.array_argument(args[0])?, self.expr(args[1]));
        let dim = self.dim_of_length(&length, "classes", args[1])?;
        let ty = self.b.ty(labels).clone();
        if ty.elem != Elem::Usize {
            let found = self.describe(&Value::Tensor(labels));
            let help = "convert them outside: `labels.mapv(|l| l as usize)`";
            self.error(args[0], messages::EXPECTED_KIND, &["labels of type `usize`", &found, help]);
            return None;
        }
        self.b.set_default_note(super::part_of(whole));
        let n = self.b.dim_size(dim);
        let n = self.b.broadcast_scalar(n, &ty.dims);
        let inside = self.b.map(Elementwise::Lt, &[labels, n]);
        self.require_all(inside, format!("a label in `{}` is not below the number of classes", text(whole)));
        let dims = [&ty.dims[..], &[dim]].concat();
        let positions = self.b.op(Shape::Iota { dim }, &[]);
        let positions = self.b.broadcast(positions, &[ty.rank()], &dims);
        let labels = self.b.broadcast(labels, &(0..ty.rank()).collect::<Vec<_>>(), &dims);
        let here = self.b.map(Elementwise::Eq, &[positions, labels]);
        self.emit(whole, Elementwise::Cast(self.default_float), &[here])
    }

    /// An argument that must be an array of floats with at least so many axes.
    fn float_array(&mut self, e: &syn::Expr, rank: usize, expected: &str) -> Option<ValueId> {
        let x = self.array_argument(e)?;
        let ty = self.b.ty(x);
        if ty.rank() < rank || !ty.elem.is_float() {
            let found = self.describe(&Value::Tensor(x));
            self.error(e, messages::EXPECTED_KIND, &[expected, &found, "pass an array of that kind"]);
            return None;
        }
        Some(x)
    }
}
