//! Factorisations and linear systems: each statement is one call of a kernel, which may give several arrays.

use proc_macro2::TokenStream;
use quote::quote;

use super::access::length;
use super::emitter::Emitter;
use crate::ir::{Linalg, Stmt, Triangle, ValueId};

impl Emitter<'_> {
    /// `rt::lu(…)` and its peers.
    pub(super) fn linalg(&mut self, stmt: &Stmt, op: Linalg) -> TokenStream {
        let rt = self.rt.clone();
        let square = self.matrices(stmt.args[0], 1);
        let memory = |emitter: &Self, k: usize| emitter.memory(stmt.args[k]);
        match op {
            Linalg::Lu => {
                let (factors, pivots, a) = (self.destination(stmt.outs[0]), self.destination(stmt.outs[1]), memory(self, 0));
                quote!(#rt::lu(#factors, #pivots, #a, #square))
            }
            Linalg::LuSolve { transposed } => {
                let (factors, pivots, b) = (memory(self, 1), memory(self, 2), memory(self, 3));
                let (dest, shape) = (self.destination(stmt.outs[0]), self.matrices(stmt.args[3], 2));
                quote!(#rt::lu_solve(#dest, #factors, #pivots, #b, #shape, #transposed))
            }
            Linalg::LogDet => {
                let factors = memory(self, 1);
                if self.func.ty(stmt.outs[0]).rank() == 0 {
                    let dest = self.one_element(stmt.outs[0]);
                    return quote!(#rt::log_det(#dest, #factors, #square)[0]);
                }
                let dest = self.destination(stmt.outs[0]);
                quote!(#rt::log_det(#dest, #factors, #square))
            }
            Linalg::Cholesky => {
                let (dest, a) = (self.destination(stmt.outs[0]), memory(self, 0));
                quote!(#rt::cholesky(#dest, #a, #square))
            }
            Linalg::SolveTriangular(Triangle { lower, transposed, unit }) => {
                let (t, b) = (memory(self, 0), memory(self, 1));
                let (dest, shape) = (self.destination(stmt.outs[0]), self.matrices(stmt.args[1], 2));
                let triangle = quote!(#rt::Triangle { lower: #lower, transposed: #transposed, unit: #unit });
                quote!(#rt::solve_triangular(#dest, #t, #b, #shape, #triangle))
            }
            Linalg::Eigh => {
                let (values, vectors, a) = (self.destination(stmt.outs[0]), self.destination(stmt.outs[1]), memory(self, 0));
                quote!(#rt::eigh(#values, #vectors, #a, #square))
            }
        }
    }

    /// The number of matrices in an array, and the lengths of the first `n_axes` of their two axes.
    fn matrices(&self, value: ValueId, n_axes: usize) -> TokenStream {
        let dims = &self.func.ty(value).dims;
        let (batch, own) = dims.split_at(dims.len() - 2);
        let batch = self.length(&length(batch.iter().copied()));
        let own = own[..n_axes].iter().map(|&d| self.dim(d));
        quote!([#batch, #(#own),*])
    }
}
