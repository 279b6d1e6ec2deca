//! Methods about axes, lengths and parts of arrays, and products over axes.

use std::rc::Rc;

use super::methods::Call;
use super::operators::Operand;
use super::value::{Number, Value, describe_rank};
use super::{Lowering, text};
use crate::diagnostics::messages;
use crate::ir::{Dim, Einsum, Elementwise, Index, Shape, ValueId, Window};

impl Lowering<'_> {
    /// `x.t()`
    pub(super) fn reversed_axes(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let perm = (0..self.b.ty(x).rank()).rev().collect();
        Operand::wrap(self.emit(call.whole, Shape::Permute { perm }, &[x]), false)
    }

    /// `x.permuted_axes([1, 0, 2])`
    pub(super) fn permuted_axes(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let rank = self.b.ty(x).rank();
        let axes: Vec<&syn::Expr> = match call.args[0] {
            syn::Expr::Array(array) => array.elems.iter().collect(),
            syn::Expr::Tuple(tuple) => tuple.elems.iter().collect(),
            other => vec![other],
        };
        let mut perm = Vec::new();
        for axis in axes {
            let Some(axis) = self.literal_axis(axis) else { return Value::Poison };
            perm.push(axis);
        }
        let mut sorted = perm.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..rank) {
            let expected = format!("each axis of `{}` once", text(call.receiver));
            let (found, help) = (format!("{perm:?}"), format!("it has {}, counted from 0", describe_rank(rank)));
            return self.fail(call.args[0], messages::EXPECTED_KIND, &[&expected, &found, &help]);
        }
        Operand::wrap(self.emit(call.whole, Shape::Permute { perm }, &[x]), false)
    }

    /// `x.insert_axis(Axis(k))`
    pub(super) fn insert_axis(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let mut dims = self.b.ty(x).dims.clone();
        let Some(axis) = self.axis_of(call, dims.len() + 1) else { return Value::Poison };
        dims.insert(axis, Dim::Const(1));
        Operand::wrap(self.emit(call.whole, Shape::Reshape { dims }, &[x]), false)
    }

    /// `x.remove_axis(Axis(k))`: the part at position 0.
    pub(super) fn remove_axis(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let Some(axis) = self.axis_of(call, self.b.ty(x).rank()) else { return Value::Poison };
        let zero = self.b.index(0);
        self.part_at(call, x, axis, zero)
    }

    /// `x.broadcast(shape)`, an `Option`.
    pub(super) fn broadcast_method(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let Some(dims) = self.lengths(call.args[0]) else { return Value::Poison };
        let ty = self.b.ty(x).clone();
        let Some(offset) = dims.len().checked_sub(ty.rank()) else {
            let (have, want) = (describe_rank(ty.rank()), describe_rank(dims.len()));
            let help = "an array is broadcast to more axes, not to fewer";
            let (x, shape, whole) = (text(call.receiver), text(call.args[0]), text(call.whole));
            return self.fail(call.args[0], messages::RANK_MISMATCH, &[&x, &have, &shape, &want, &whole, help]);
        };
        for (k, &own) in ty.dims.iter().enumerate() {
            if own != Dim::Const(1) && !self.unify(own, dims[offset + k], call.whole, call.receiver, call.args[0]) {
                return Value::Poison;
            }
        }
        let dims: Vec<Dim> = dims.into_iter().map(|d| self.b.current_dim(d)).collect();
        match self.stretch(x, &dims, call.whole) {
            Some(wide) => Value::Option(Rc::new(Value::Tensor(wide)), "broadcast(..)"),
            None => Value::Poison,
        }
    }

    /// `x.index_axis(Axis(k), i)`
    pub(super) fn index_axis(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let axis = self.axis_of(call, self.b.ty(x).rank());
        let position = self.position(call.args[1]);
        let (Some(axis), Some(i)) = (axis, position) else { return Value::Poison };
        self.part_at(call, x, axis, i)
    }

    /// `x.row(i)`, `x.column(j)`
    pub(super) fn row(&mut self, call: Call<'_>, x: ValueId, axis: usize) -> Value {
        let position = self.position(call.args[0]);
        let rank = self.b.ty(x).rank();
        if rank != 2 {
            let have = describe_rank(rank);
            let help = "write `x[i]` for an element, or `x.index_axis(Axis(k), i)`";
            return self.fail(call.name, messages::EXPECTED_KIND, &["a matrix", &format!("an array with {have}"), help]);
        }
        match position {
            Some(i) => self.part_at(call, x, axis, i),
            None => Value::Poison,
        }
    }

    fn part_at(&mut self, call: Call<'_>, x: ValueId, axis: usize, i: ValueId) -> Value {
        Operand::wrap(self.emit(call.whole, Index::Read(Window::at(axis)), &[x, i]), false)
    }

    /// `x.diag()` of a square matrix.
    pub(super) fn diag(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let ty = self.b.ty(x).clone();
        if ty.rank() != 2 {
            let have = format!("an array with {}", describe_rank(ty.rank()));
            return self.fail(call.name, messages::EXPECTED_KIND, &["a matrix", &have, "take the part first that is a matrix"]);
        }
        if !self.unify(ty.dims[0], ty.dims[1], call.whole, call.receiver, call.receiver) {
            return Value::Poison;
        }
        let dim = self.b.current_dim(ty.dims[0]);
        let Some(positions) = self.part(call.whole, Shape::Iota { dim }, &[]) else { return Value::Poison };
        Operand::wrap(self.emit(call.whole, Index::TakeAlong { axis: 1 }, &[x, positions]), false)
    }

    /// `x.len()`
    pub(super) fn len(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let dims = self.b.ty(x).dims.clone();
        Operand::wrap(self.count_of(call.whole, &dims), false)
    }

    /// The product of lengths, a `usize`.
    pub(super) fn count_of(&mut self, at: &syn::Expr, dims: &[Dim]) -> Option<ValueId> {
        let mut product: Option<ValueId> = None;
        for &dim in dims {
            let n = self.length(dim, at)?;
            product = match product {
                None => Some(n),
                Some(m) => Some(self.emit(at, Elementwise::Mul, &[m, n])?),
            };
        }
        product
    }

    /// `x.nrows()`, `x.ncols()`
    pub(super) fn rows_or_columns(&mut self, call: Call<'_>, x: ValueId, axis: usize) -> Value {
        let dims = self.b.ty(x).dims.clone();
        if dims.len() != 2 {
            let have = describe_rank(dims.len());
            let help = "write `x.len()`, or `x.shape()[k]`";
            return self.fail(call.name, messages::EXPECTED_KIND, &["a matrix", &format!("an array with {have}"), help]);
        }
        Operand::wrap(self.length(dims[axis], call.whole), false)
    }

    /// `x.len_of(Axis(k))`
    pub(super) fn len_of(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let dims = self.b.ty(x).dims.clone();
        match self.axis_of(call, dims.len()) {
            Some(axis) => Operand::wrap(self.length(dims[axis], call.whole), false),
            None => Value::Poison,
        }
    }

    /// `x.ndim()`
    pub(super) fn ndim(&mut self, x: ValueId) -> Value {
        Value::Number(Number::Int(self.b.ty(x).rank() as i64))
    }

    /// `x.shape()`, `x.raw_dim()`
    pub(super) fn shape(&mut self, x: ValueId) -> Value {
        Value::Lengths(self.b.ty(x).dims.clone())
    }

    /// `x.dim()`
    pub(super) fn dim_tuple(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let dims = self.b.ty(x).dims.clone();
        let lengths: Vec<Value> = dims.iter().map(|&d| Operand::wrap(self.length(d, call.whole), false)).collect();
        match <[Value; 1]>::try_from(lengths) {
            Ok([only]) => only,
            Err(lengths) => Value::Tuple(lengths),
        }
    }

    /// `x.dot(&y)`: the product of matrices and vectors.
    pub(super) fn dot(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let arg = call.args[0];
        let y = match self.expr(arg) {
            Value::Tensor(y) => y,
            Value::Poison => return Value::Poison,
            other => {
                let found = self.describe(&other);
                return self.fail(arg, messages::EXPECTED_KIND, &["a vector or a matrix", &found, "write `*` for a number"]);
            }
        };
        let (x_rank, y_rank) = (self.b.ty(x).rank(), self.b.ty(y).rank());
        let spec = match (x_rank, y_rank) {
            (1, 1) => "i,i->",
            (1, 2) => "i,ij->j",
            (2, 1) => "ij,j->i",
            (2, 2) => "ij,jk->ik",
            (m, n) => {
                let (m, n) = (describe_rank(m), describe_rank(n));
                let help = "`dot` multiplies vectors and matrices; `batched_dot` multiplies stacks of matrices";
                return self.fail(call.name, messages::RANK_MISMATCH, &[&text(call.receiver), &m, &text(arg), &n, &text(call.whole), help]);
            }
        };
        Operand::wrap(self.einsum(call.whole, spec, (x, call.receiver), (y, arg)), false)
    }

    /// A product with sums, its operands checked: one type of floats, and one length for each label.
    pub(super) fn einsum(
        &mut self,
        whole: &syn::Expr,
        spec: &str,
        (x, x_expr): (ValueId, &syn::Expr),
        (y, y_expr): (ValueId, &syn::Expr),
    ) -> Option<ValueId> {
        let (x_elem, y_elem) = (self.b.ty(x).elem, self.b.ty(y).elem);
        if x_elem != y_elem {
            self.error(whole, messages::ELEMENT_MISMATCH, &[&text(x_expr), x_elem.name(), &text(y_expr), y_elem.name()]);
            return None;
        }
        if !x_elem.is_float() {
            let found = self.describe(&Value::Tensor(x));
            self.error(x_expr, messages::EXPECTED_KIND, &["floats", &found, "convert both first: `.mapv(|v| v as f64)`"]);
            return None;
        }
        let Ok(spec) = spec.parse::<Einsum>() else { return None };
        for (i, label) in spec.lhs.iter().enumerate() {
            if let Some(j) = spec.rhs.iter().position(|l| l == label) {
                let (m, n) = (self.b.ty(x).dims[i], self.b.ty(y).dims[j]);
                if !self.unify(m, n, whole, x_expr, y_expr) {
                    return None;
                }
            }
        }
        self.emit(whole, spec, &[x, y])
    }
}
