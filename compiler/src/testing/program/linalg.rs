//! Factorisations and linear systems, of matrices far from those that have none.

use super::Draw;
use crate::ir::{Elementwise, Linalg, Triangle, ValueId};
use crate::ops::linalg::identity;

impl Draw {
    pub(super) fn linalg(&mut self) {
        let (x, _) = self.float();
        let mut dims = self.dims_of(x);
        let Some(&n) = dims.last() else { return };
        if dims.len() > 2 {
            return;
        }
        dims.push(n);
        let a = self.dominant(x, &dims);
        *dims.last_mut().expect("two axes") = *self.random.pick(&self.dims);
        let (b, bound) = self.float();
        let b = self.coerce(b, &dims);
        let [transposed, lower, unit] = [(); 3].map(|()| self.random.one_in(2));
        match self.random.below(5) {
            0 => {
                let lu = self.b.stmt(Linalg::Lu, &[a], Vec::new());
                let y = self.b.op(Linalg::LuSolve { transposed }, &[a, lu[0], lu[1], b]);
                self.put((y, bound));
            }
            1 => {
                let lu = self.b.stmt(Linalg::Lu, &[a], Vec::new());
                let y = self.b.op(Linalg::LogDet, &[a, lu[0], lu[1]]);
                self.put((y, 6.0));
            }
            2 => {
                let y = self.b.op(Linalg::Cholesky, &[a]);
                self.put((y, 4.0));
            }
            3 => {
                let y = self.b.op(Linalg::SolveTriangular(Triangle { lower, transposed, unit }), &[a, b]);
                self.put((y, 2.0 * bound));
            }
            _ => {
                let outs = self.b.stmt(Linalg::Eigh, &[a], Vec::new());
                self.put((outs[0], 10.0));
                self.put((outs[1], 1.0));
            }
        }
    }

    /// Square matrices that depend on `x`, with 3, 6, 9, … on their diagonals, and next to nothing elsewhere.
    fn dominant(&mut self, x: ValueId, dims: &[crate::ir::Dim]) -> ValueId {
        let (y, _) = self.float();
        let (x, y) = (self.coerce(x, dims), self.coerce(y, dims));
        let ty = self.b.ty(x).clone();
        let sum = self.b.add(x, y);
        let noise = self.squashed(sum, 0.3);
        let numbers = self.b.op(crate::ir::Shape::Iota { dim: dims[dims.len() - 1] }, &[]);
        let numbers = self.b.map(Elementwise::Cast(self.elem), &[numbers]);
        let numbers = self.b.broadcast(numbers, &[dims.len() - 1], dims);
        let one = self.constant(x, 1.0);
        let numbers = self.b.add(numbers, one);
        let diagonal = identity(&mut self.b, &ty);
        let diagonal = self.b.mul(diagonal, numbers);
        let diagonal = self.scaled(diagonal, 3.0);
        self.b.add(diagonal, noise)
    }
}
