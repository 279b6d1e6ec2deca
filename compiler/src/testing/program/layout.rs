//! Operations on positions and layout.

use super::Draw;
use crate::ir::{Dim, Elementwise, Index, Pick, Shape, ValueId, Window};

impl Draw {
    pub(super) fn shape(&mut self) {
        let (x, bound) = self.float();
        let mut dims = self.dims_of(x);
        let rank = dims.len();
        let y = match self.random.below(9) {
            6 if rank > 0 && self.depth == 0 => {
                let axis = self.random.below(rank);
                let (other, other_bound) = self.float();
                let other = self.coerce(other, &dims);
                let n = self.b.dim_size(dims[axis]);
                let n = self.b.add(n, n);
                let dim = self.b.dim("joined");
                self.b.stmt(Shape::BindDim { dim: Dim::Sym(dim) }, &[n], Vec::new());
                let joined = self.b.op(Shape::Concat { axis, dim: Dim::Sym(dim) }, &[x, other]);
                // The length is known nowhere else: half of it is taken.
                let start = self.b.dim_size(dims[axis]);
                let window = Window { axes: vec![(axis, Pick::Slice { step: 1, len: dims[axis] })] };
                let half = self.b.op(Index::Read(window), &[joined, start]);
                let all = self.b.sum(joined, &[axis]);
                self.put((all, 3.0 * (bound + other_bound)));
                self.put((half, other_bound));
                return;
            }
            7 if rank > 0 && rank < 3 => {
                let axis = self.random.below(rank);
                // All windows of one position, or one window of all.
                let one = Dim::Const(1);
                let (out, len) = if self.random.one_in(2) { (dims[axis], one) } else { (one, dims[axis]) };
                self.b.op(Shape::Unfold { axis, out, len, step: 1, dilation: 1 }, &[x])
            }
            8 if rank > 1 && self.depth == 0 => {
                let axis = self.random.below(rank - 1);
                let [n, m] = [axis, axis + 1].map(|axis| self.b.dim_size(dims[axis]));
                let n = self.b.add(n, m);
                let dim = self.b.dim("span");
                self.b.stmt(Shape::BindDim { dim: Dim::Sym(dim) }, &[n], Vec::new());
                let folded = self.b.op(Shape::Fold { axis, dim: Dim::Sym(dim), step: 1, dilation: 1 }, &[x]);
                let squares = self.b.mul(folded, folded);
                let all = self.b.sum(squares, &[axis]);
                self.put((all, 9.0 * bound * bound));
                return;
            }
            0 if rank < 3 => {
                let place = self.random.below(rank + 1);
                dims.insert(place, *self.random.pick(&self.dims));
                let axes: Vec<usize> = (0..=rank).filter(|&k| k != place).collect();
                self.b.broadcast(x, &axes, &dims)
            }
            1 if rank < 3 => {
                dims.insert(self.random.below(rank + 1), Dim::Const(1));
                self.b.op(Shape::Reshape { dims }, &[x])
            }
            2 if dims.contains(&Dim::Const(1)) => {
                let place = dims.iter().position(|&d| d == Dim::Const(1)).expect("there is one");
                dims.remove(place);
                self.b.op(Shape::Reshape { dims }, &[x])
            }
            3 => {
                let numbers = self.b.op(Shape::Iota { dim: *self.random.pick(&self.dims) }, &[]);
                let numbers = self.b.map(Elementwise::Cast(self.elem), &[numbers]);
                self.put((numbers, 3.0));
                return;
            }
            4 if self.depth == 0 => {
                let length = *self.random.pick(&self.given);
                let n = self.b.dim_size(length);
                let dim = self.b.dim("q");
                self.b.stmt(Shape::BindDim { dim: Dim::Sym(dim) }, &[n], Vec::new());
                if self.empty.contains(&length) {
                    self.empty.push(Dim::Sym(dim));
                }
                self.dims.push(Dim::Sym(dim));
                return;
            }
            _ if rank > 1 => {
                let mut perm: Vec<usize> = (0..rank).collect();
                perm.swap(0, rank - 1);
                self.b.permute(x, &perm)
            }
            _ => return,
        };
        self.put((y, bound));
    }

    /// A valid position on an axis.
    pub(super) fn position(&mut self, dim: Dim) -> ValueId {
        match self.indices.iter().find(|(_, trip)| *trip == dim) {
            Some(&(i, _)) => i,
            None if self.random.one_in(2) => self.b.index(0),
            None => {
                let (n, one) = (self.b.dim_size(dim), self.b.index(1));
                self.b.sub(n, one)
            }
        }
    }

    /// Valid positions on an axis of length `dim`, of the given shape.
    pub(super) fn positions(&mut self, dim: Dim, dims: &[Dim]) -> ValueId {
        let scalar = match dims {
            [] => return self.position(dim),
            [.., last] => self.b.op(Shape::Iota { dim: *last }, &[]),
        };
        let all = self.b.broadcast(scalar, &[dims.len() - 1], dims);
        let n = self.b.dim_size(dim);
        let n = self.b.broadcast_scalar(n, dims);
        self.b.map(Elementwise::Rem, &[all, n])
    }

    /// Whether an axis of this length has positions. One without elements has them only where nothing is executed.
    fn has_positions(&self, dim: Dim) -> bool {
        !self.empty.contains(&dim) || self.indices.iter().any(|(_, trip)| *trip == dim)
    }

    /// A part of a tensor: some axes at one position, at one of a few, or at all positions downwards. None if the axes have no positions.
    fn window(&mut self, dims: &[Dim]) -> Option<(Window, Vec<ValueId>)> {
        let first = self.random.below(dims.len());
        let last = if self.random.one_in(2) { first } else { dims.len() - 1 };
        let (mut axes, mut starts) = (Vec::new(), Vec::new());
        for (axis, &dim) in dims.iter().enumerate().take(last + 1).skip(first) {
            if !self.has_positions(dim) {
                return None;
            }
            let (pick, start) = match self.random.below(4) {
                0 | 1 => (Pick::At, self.position(dim)),
                2 => (Pick::Slice { step: 2, len: Dim::Const(1) }, self.position(dim)),
                _ => {
                    let (n, one) = (self.b.dim_size(dim), self.b.index(1));
                    (Pick::Slice { step: -1, len: dim }, self.b.sub(n, one))
                }
            };
            axes.push((axis, pick));
            starts.push(start);
        }
        Some((Window { axes }, starts))
    }

    pub(super) fn index(&mut self) {
        let (x, bound) = self.float();
        let dims = self.dims_of(x);
        if dims.is_empty() {
            return;
        }
        let axis = self.random.below(dims.len());
        let mut rest = dims.clone();
        let dim = rest.remove(axis);
        if !self.has_positions(dim) {
            return;
        }
        let (y, bound) = match self.random.below(6) {
            0 => {
                let Some((window, starts)) = self.window(&dims) else { return };
                (self.b.op(Index::Read(window), &[&[x], &starts[..]].concat()), bound)
            }
            1 => {
                let Some((window, starts)) = self.window(&dims) else { return };
                let (v, v_bound) = self.float();
                let v = self.coerce(v, &window.dims(&dims));
                let args = [&[x], &starts[..], &[v]].concat();
                if self.random.one_in(2) {
                    (self.b.op(Index::Add(window), &args), bound + v_bound)
                } else {
                    (self.b.op(Index::Write(window), &args), bound.max(v_bound))
                }
            }
            2 => {
                let idx = self.positions(dim, &rest);
                (self.b.op(Index::TakeAlong { axis }, &[x, idx]), bound)
            }
            3 | 4 => {
                // As many positions as keep the rank at most three.
                let n_axes = self.random.below(5 - dims.len()).min(2);
                let of_idx: Vec<Dim> = (0..n_axes).map(|_| *self.random.pick(&self.dims)).collect();
                let idx = self.positions(dim, &of_idx);
                let gathered = self.b.op(Index::Gather { axis }, &[x, idx]);
                if self.random.one_in(2) {
                    (gathered, bound)
                } else {
                    let (v, v_bound) = self.float();
                    let v = self.coerce(v, &self.dims_of(gathered));
                    (self.b.op(Index::ScatterAdd { axis }, &[x, idx, v]), bound + 9.0 * v_bound)
                }
            }
            _ if dims.len() < 3 => {
                let dim = *self.random.pick(&self.dims);
                if !self.has_positions(dim) {
                    return;
                }
                let idx = self.positions(dim, &dims);
                (self.b.op(Index::PutAlong { axis, dim }, &[x, idx]), bound)
            }
            _ => return,
        };
        self.put((y, bound));
    }
}
