//! Operations on positions and layout.

use super::Draw;
use crate::ir::{Dim, Elementwise, Index, Shape, ValueId};

impl Draw {
    pub(super) fn shape(&mut self) {
        let (x, bound) = self.float();
        let mut dims = self.dims_of(x);
        let rank = dims.len();
        let y = match self.random.below(6) {
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
                self.b.stmt(Shape::BindDim { dim }, &[n], Vec::new());
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

    pub(super) fn index(&mut self) {
        let (x, bound) = self.float();
        let dims = self.dims_of(x);
        if dims.is_empty() {
            return;
        }
        let axis = self.random.below(dims.len());
        let mut rest = dims.clone();
        let dim = rest.remove(axis);
        // An axis without elements has positions only where nothing is executed.
        if self.empty.contains(&dim) && !self.indices.iter().any(|(_, trip)| *trip == dim) {
            return;
        }
        let (y, bound) = match self.random.below(4) {
            0 => {
                let i = self.position(dim);
                (self.b.op(Index::At { axis }, &[x, i]), bound)
            }
            1 => {
                let (v, v_bound) = self.float();
                let v = self.coerce(v, &rest);
                let i = self.position(dim);
                (self.b.op(Index::AddAt { axis }, &[x, i, v]), bound + v_bound)
            }
            2 => {
                let idx = self.positions(dim, &rest);
                (self.b.op(Index::TakeAlong { axis }, &[x, idx]), bound)
            }
            _ if dims.len() < 3 => {
                let dim = *self.random.pick(&self.dims);
                if self.empty.contains(&dim) && !self.indices.iter().any(|(_, trip)| *trip == dim) {
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
