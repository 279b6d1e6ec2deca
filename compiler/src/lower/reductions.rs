//! Reductions of arrays: sums, means, variances, products.

use std::rc::Rc;

use super::compositions::Composer;
use super::methods::Call;
use super::operators::Operand;
use super::value::{Value, describe_rank};
use super::{Lowering, part_of, text};
use crate::diagnostics::messages;
use crate::ir::{Elem, Elementwise, Literal, Op, Reduce, ValueId};

impl Lowering<'_> {
    /// All axes of an array.
    pub(super) fn all_axes(&self, x: ValueId) -> Vec<usize> {
        (0..self.b.ty(x).rank()).collect()
    }

    /// The axis in the first argument, checked against the rank.
    pub(super) fn axis_of(&mut self, call: Call<'_>, rank: usize) -> Option<usize> {
        let axis = self.axis(call.args[0])?;
        if axis >= rank {
            self.error(call.args[0], messages::AXIS_OUT_OF_RANGE, &[&text(call.receiver), &describe_rank(rank), &axis.to_string()]);
            return None;
        }
        Some(axis)
    }

    fn one_axis(&mut self, call: Call<'_>, x: ValueId) -> Option<Vec<usize>> {
        self.axis_of(call, self.b.ty(x).rank()).map(|axis| vec![axis])
    }

    /// `x.sum()`
    pub(super) fn sum_method(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let axes = self.all_axes(x);
        Operand::wrap(self.reduce_numbers(call.whole, x, Reduce::Sum { axes }), false)
    }

    /// `x.sum_axis(Axis(k))`
    pub(super) fn sum_axis(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let Some(axes) = self.one_axis(call, x) else { return Value::Poison };
        Operand::wrap(self.reduce_numbers(call.whole, x, Reduce::Sum { axes }), false)
    }

    /// `x.product()`
    pub(super) fn product_method(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let axes = self.all_axes(x);
        Operand::wrap(self.reduce_numbers(call.whole, x, Reduce::Prod { axes }), false)
    }

    /// `x.product_axis(Axis(k))`
    pub(super) fn product_axis(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let Some(axes) = self.one_axis(call, x) else { return Value::Poison };
        Operand::wrap(self.reduce_numbers(call.whole, x, Reduce::Prod { axes }), false)
    }

    /// A sum or product, which truth values do not have.
    pub(super) fn reduce_numbers(&mut self, whole: &syn::Expr, x: ValueId, op: Reduce) -> Option<ValueId> {
        if self.b.ty(x).elem == Elem::Bool {
            let found = self.describe(&Value::Tensor(x));
            self.error(whole, messages::EXPECTED_KIND, &["numbers to reduce", &found, "convert them first: `.mapv(|b| ...)`"]);
            return None;
        }
        self.emit(whole, op, &[x])
    }

    /// `x.mean()`
    pub(super) fn mean_method(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let axes = self.all_axes(x);
        self.mean(call.whole, x, axes, "mean()")
    }

    /// `x.mean_axis(Axis(k))`
    pub(super) fn mean_axis(&mut self, call: Call<'_>, x: ValueId) -> Value {
        match self.one_axis(call, x) {
            Some(axes) => self.mean(call.whole, x, axes, "mean_axis(..)"),
            None => Value::Poison,
        }
    }

    /// Sum over axes, divided by how many elements there are along them.
    fn mean(&mut self, whole: &syn::Expr, x: ValueId, axes: Vec<usize>, method: &'static str) -> Value {
        if !self.expect_floats(whole, x, "floats to take the mean of") {
            return Value::Poison;
        }
        match self.mean_value(whole, x, axes) {
            Some(mean) => Value::Option(Rc::new(Value::Tensor(mean)), method),
            None => Value::Poison,
        }
    }

    fn expect_floats(&mut self, at: &syn::Expr, x: ValueId, expected: &str) -> bool {
        if self.b.ty(x).elem.is_float() {
            return true;
        }
        let found = self.describe(&Value::Tensor(x));
        self.error(at, messages::EXPECTED_KIND, &[expected, &found, "convert it first: `.mapv(|v| v as f64)`"]);
        false
    }

    /// The mean over axes, as the sum times `1/n`: the number of elements is no variable, so that its reciprocal is computed once and also serves
    /// the derivatives.
    pub(super) fn mean_value(&mut self, whole: &syn::Expr, x: ValueId, axes: Vec<usize>) -> Option<ValueId> {
        let ty = self.b.ty(x).clone();
        let sum = self.part(whole, Reduce::Sum { axes: axes.clone() }, &[x])?;
        self.b.set_default_note(part_of(whole));
        let n = self.b.count(&ty, &axes);
        let share = self.part(whole, Elementwise::Powi(-1), &[n])?;
        let share = self.stretch(share, &self.b.ty(sum).dims.clone(), whole)?;
        self.emit(whole, Elementwise::Mul, &[sum, share])
    }

    /// `x.var(ddof)`
    pub(super) fn var_method(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let axes = self.all_axes(x);
        Operand::wrap(self.variance(call, x, axes, call.args[0]), false)
    }

    /// `x.var_axis(Axis(k), ddof)`
    pub(super) fn var_axis(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let Some(axes) = self.one_axis(call, x) else { return Value::Poison };
        Operand::wrap(self.variance(call, x, axes, call.args[1]), false)
    }

    /// `x.std(ddof)`
    pub(super) fn std_method(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let variance = self.var_method(call, x);
        self.root(call, variance)
    }

    /// `x.std_axis(Axis(k), ddof)`
    pub(super) fn std_axis(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let variance = self.var_axis(call, x);
        self.root(call, variance)
    }

    fn root(&mut self, call: Call<'_>, variance: Value) -> Value {
        match variance {
            Value::Tensor(v) => Operand::wrap(self.emit(call.whole, Elementwise::Sqrt, &[v]), false),
            _ => Value::Poison,
        }
    }

    /// The sum of the squared distances from the mean over `n - ddof`.
    fn variance(&mut self, call: Call<'_>, x: ValueId, axes: Vec<usize>, ddof_expr: &syn::Expr) -> Option<ValueId> {
        let whole = call.whole;
        let ddof = self.expr(ddof_expr);
        if !self.expect_floats(call.receiver, x, "floats to take the variance of") {
            return None;
        }
        let ty = self.b.ty(x).clone();
        let ddof = self.operand(ddof, ty.elem, ddof_expr)?;
        let ddof_ty = self.b.ty(ddof.value).clone();
        if ddof_ty.rank() > 0 || ddof_ty.elem != ty.elem {
            let (found, expected) = (self.describe(&Value::Tensor(ddof.value)), format!("a number of type `{}`", ty.elem));
            self.error(ddof_expr, messages::EXPECTED_KIND, &[&expected, &found, "write the degrees of freedom that are taken off: `1.0`"]);
            return None;
        }
        let mean = self.mean_value(whole, x, axes.clone())?;
        self.b.set_default_note(part_of(whole));
        let mean = self.b.broadcast_over(mean, &axes, &ty.dims);
        let distance = self.part(whole, Elementwise::Sub, &[x, mean])?;
        let square = self.part(whole, Elementwise::Mul, &[distance, distance])?;
        let sum = self.part(whole, Reduce::Sum { axes: axes.clone() }, &[square])?;
        let n = self.b.count(&ty, &axes);
        let n = self.part(whole, Elementwise::Sub, &[n, ddof.value])?;
        let share = self.part(whole, Elementwise::Powi(-1), &[n])?;
        let share = self.stretch(share, &self.b.ty(sum).dims.clone(), whole)?;
        self.emit(whole, Elementwise::Mul, &[sum, share])
    }

    /// Whether any element passes a test, or none: `x.is_any_nan()`, and what `ndarray` calls `x.is_all_nan()`.
    pub(super) fn any_of(&mut self, call: Call<'_>, x: ValueId, test: fn(&mut Composer<'_>, ValueId) -> ValueId, any: bool) -> Value {
        if !self.expect_floats(call.receiver, x, "floats") {
            return Value::Poison;
        }
        let passes = self.compose(call.whole, |c| test(c, x));
        Operand::wrap(self.counts_zero(call.whole, passes, !any), false)
    }

    /// Whether the number of elements that are true is zero, or is not.
    pub(super) fn counts_zero(&mut self, whole: &syn::Expr, truths: ValueId, zero: bool) -> Option<ValueId> {
        let ones = self.part(whole, Elementwise::Cast(Elem::Usize), &[truths])?;
        let axes = self.all_axes(ones);
        let n = self.part(whole, Reduce::Sum { axes }, &[ones])?;
        let none = self.part(whole, Op::Const(Elem::Usize, Literal::Int(0)), &[])?;
        self.emit(whole, if zero { Elementwise::Eq } else { Elementwise::Ne }, &[n, none])
    }
}
