//! The crate's functions of whole arrays: positions of extremes, cumulative sums, choices, products.

use super::value::{Value, describe_rank};
use super::{Lowering, part_of, text};
use crate::diagnostics::messages;
use crate::ir::{Control, Elem, Elementwise, Index, Note, Reduce, Type, ValueId, Window};

impl Lowering<'_> {
    /// An array with exactly one axis, or another number of them.
    fn array_of_rank(&mut self, e: &syn::Expr, rank: usize) -> Option<ValueId> {
        let x = self.array_argument(e)?;
        if self.b.ty(x).rank() == rank {
            return Some(x);
        }
        let found = self.describe(&Value::Tensor(x));
        let expected = format!("an array with {}", describe_rank(rank));
        self.error(e, messages::EXPECTED_KIND, &[&expected, &found, "take a part of it, or insert an axis"]);
        None
    }

    /// An array of numbers and one of its axes.
    pub(super) fn array_and_axis(&mut self, args: &[&syn::Expr]) -> Option<(ValueId, usize)> {
        let (x, axis) = (self.array_argument(args[0]), self.axis(args[1]));
        let (x, axis) = (x?, axis?);
        let rank = self.b.ty(x).rank();
        if axis >= rank {
            self.error(args[1], messages::AXIS_OUT_OF_RANGE, &[&text(args[0]), &describe_rank(rank), &axis.to_string()]);
            return None;
        }
        self.expect_numbers(args[0], x)?;
        Some((x, axis))
    }

    fn expect_numbers(&mut self, at: &syn::Expr, x: ValueId) -> Option<()> {
        if self.b.ty(x).elem != Elem::Bool {
            return Some(());
        }
        let found = self.describe(&Value::Tensor(x));
        self.error(at, messages::EXPECTED_KIND, &["numbers", &found, "convert them first: `.mapv(|b| ...)`"]);
        None
    }

    /// `argmax(&x)`, `argmin(&x)` of a vector.
    pub(super) fn arg_extreme(&mut self, whole: &syn::Expr, args: &[&syn::Expr], largest: bool) -> Option<ValueId> {
        let x = self.array_of_rank(args[0], 1)?;
        self.expect_numbers(args[0], x)?;
        self.emit(whole, if largest { Reduce::ArgMax { axis: 0 } } else { Reduce::ArgMin { axis: 0 } }, &[x])
    }

    /// `argmax_axis(&x, Axis(k))`, `argmin_axis(&x, Axis(k))`
    pub(super) fn arg_extreme_axis(&mut self, whole: &syn::Expr, args: &[&syn::Expr], largest: bool) -> Option<ValueId> {
        let (x, axis) = self.array_and_axis(args)?;
        self.emit(whole, if largest { Reduce::ArgMax { axis } } else { Reduce::ArgMin { axis } }, &[x])
    }

    /// `max_axis(&x, Axis(k))`, `min_axis(&x, Axis(k))`
    pub(super) fn extreme_axis(&mut self, whole: &syn::Expr, args: &[&syn::Expr], largest: bool) -> Option<ValueId> {
        let (x, axis) = self.array_and_axis(args)?;
        let axes = vec![axis];
        self.emit(whole, if largest { Reduce::Max { axes } } else { Reduce::Min { axes } }, &[x])
    }

    /// `cumsum(&x, Axis(k))`
    pub(super) fn cumulative_sum(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let (x, axis) = self.array_and_axis(args)?;
        self.accumulated(whole, x, axis)
    }

    /// All partial sums along an axis: a loop over its positions that carries the sum so far and stacks it.
    fn accumulated(&mut self, whole: &syn::Expr, x: ValueId, axis: usize) -> Option<ValueId> {
        let ty = self.b.ty(x).clone();
        self.b.set_default_note(part_of(whole));
        let to_front: Vec<usize> = std::iter::once(axis).chain((0..ty.rank()).filter(|&k| k != axis)).collect();
        let rows = self.b.permute(x, &to_front);
        let row = ty.with_dims(to_front[1..].iter().map(|&k| ty.dims[k]).collect::<Vec<_>>());
        let zero = self.b.zeros(&row);
        self.b.open();
        let i = self.b.param(Type::scalar(Elem::Usize), Note::at(super::span_of(whole)));
        let so_far = self.b.param(row, part_of(whole));
        let next = self.b.op(Index::Read(Window::at(0)), &[rows, i]);
        let sum = self.b.map(Elementwise::Add, &[so_far, next]);
        let body = self.b.close(vec![sum, sum]);
        let outs = self.b.stmt(Control::For { trip: ty.dims[axis], reverse: false }, &[zero], vec![body]);
        // The axis goes back to its place.
        let mut back: Vec<usize> = (1..ty.rank()).collect();
        back.insert(axis, 0);
        let sums = self.b.permute(outs[1], &back);
        self.describe_as(sums, whole);
        Some(sums)
    }

    /// `select(&condition, &a, &b)`: for each element that of `a` where the condition holds, else that of `b`.
    pub(super) fn select_elements(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let condition = self.array_argument(args[0]);
        let (a, b) = self.two_arrays(&args[1..])?;
        let condition = condition?;
        if self.b.ty(condition).elem != Elem::Bool {
            let found = self.describe(&Value::Tensor(condition));
            self.error(args[0], messages::EXPECTED_KIND, &["an array of `bool`", &found, "compare the elements: `x.mapv(|v| v > 0.0)`"]);
            return None;
        }
        let (a_elem, b_elem) = (self.b.ty(a).elem, self.b.ty(b).elem);
        if a_elem != b_elem {
            self.error(whole, messages::ELEMENT_MISMATCH, &[&text(args[1]), a_elem.name(), &text(args[2]), b_elem.name()]);
            return None;
        }
        for (other, e) in [(a, args[1]), (b, args[2])] {
            let (m, n) = (self.b.ty(condition).rank(), self.b.ty(other).rank());
            if m != n {
                let (m, n) = (describe_rank(m), describe_rank(n));
                let help = "all three have one shape";
                self.error(e, messages::RANK_MISMATCH, &[&text(args[0]), &m, &text(e), &n, &text(whole), help]);
                return None;
            }
            for k in 0..m {
                let (x, y) = (self.b.ty(condition).dims[k], self.b.ty(other).dims[k]);
                if !self.unify(x, y, whole, args[0], e) {
                    return None;
                }
            }
        }
        self.emit(whole, Elementwise::Select, &[condition, a, b])
    }

    /// `outer(&a, &b)` of two vectors.
    pub(super) fn outer_product(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let (a, b) = (self.array_of_rank(args[0], 1), self.array_of_rank(args[1], 1));
        self.einsum(whole, "i,j->ij", (a?, args[0]), (b?, args[1]))
    }

    /// `batched_dot(&a, &b)` of two stacks of matrices.
    pub(super) fn batched_dot(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let (a, b) = (self.array_of_rank(args[0], 3), self.array_of_rank(args[1], 3));
        self.einsum(whole, "bij,bjk->bik", (a?, args[0]), (b?, args[1]))
    }

    /// `norm(&x)`: the root of the sum of all squares.
    pub(super) fn norm(&mut self, whole: &syn::Expr, args: &[&syn::Expr]) -> Option<ValueId> {
        let x = self.array_argument(args[0])?;
        if !self.b.ty(x).elem.is_float() {
            let found = self.describe(&Value::Tensor(x));
            self.error(args[0], messages::EXPECTED_KIND, &["floats", &found, "convert it first: `.mapv(|v| v as f64)`"]);
            return None;
        }
        let squares = self.part(whole, Elementwise::Mul, &[x, x])?;
        let axes = self.all_axes(x);
        let sum = self.part(whole, Reduce::Sum { axes }, &[squares])?;
        self.emit(whole, Elementwise::Sqrt, &[sum])
    }
}
