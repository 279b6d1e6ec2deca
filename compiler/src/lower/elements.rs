//! Methods that work on each element: functions of one, two or three numbers.

use super::compositions::Composer;
use super::methods::Call;
use super::operators::Operand;
use super::spellings::{Binary, Compute, Method, On, Unary};
use super::value::Value;
use super::{Lowering, part_of, text};
use crate::diagnostics::messages;
use crate::ir::{Elem, Elementwise, Literal, Note, Op, ValueId};
use crate::syntax::{Assumed, Origin};

impl Lowering<'_> {
    /// A function of each element, without arguments.
    pub(super) fn unary_method(&mut self, call: Call<'_>, method: &Method, unary: Unary, receiver: Value) -> Value {
        let Some(x) = self.operand(receiver, self.default_float, call.receiver) else { return Value::Poison };
        let ty = self.b.ty(x.value).clone();
        let is_number = x.lane || ty.rank() == 0;
        let fits = match method.on {
            On::Arrays => !is_number,
            On::Numbers => is_number,
            On::Both | On::Anything | On::Iterators | On::Places | On::Nothing => true,
        };
        let integer_abs = method.name == "abs" && ty.elem == Elem::I64;
        if !fits || !(ty.elem.is_float() || integer_abs) {
            let found = self.describe(&Operand::wrap(Some(x.value), x.lane));
            let help = match (fits, is_number) {
                (true, _) => "convert it to floats first, for example with `as f64`".to_owned(),
                (false, true) => "write it with operators".to_owned(),
                (false, false) => format!("write it for each element: `.mapv(|v| v.{}())`", method.name),
            };
            return self.fail(call.name, messages::UNKNOWN_METHOD, &[method.name, &found, &help]);
        }
        if unary.is_own {
            let origin = Origin::OwnMethod { elem: ty.elem, rank: if is_number { 0 } else { ty.rank() } };
            self.assumed.push(Assumed { name: call.name.clone(), origin });
        }
        let guarded = match unary.safe {
            Some(safe) => self.guarded(x, safe, call.receiver),
            None => Some(x),
        };
        let Some(x) = guarded else { return Value::Poison };
        match unary.compute {
            Compute::Op(op) => Operand::wrap(self.emit(call.whole, op, &[x.value]), x.lane),
            Compute::Composed(f) => Operand::wrap(Some(self.compose(call.whole, |c| f(c, x.value))), x.lane),
        }
    }

    /// A composition of operations that computes the expression `e`.
    pub(super) fn compose(&mut self, e: &syn::Expr, f: impl FnOnce(&mut Composer<'_>) -> ValueId) -> ValueId {
        self.b.set_default_note(part_of(e));
        let value = f(&mut Composer { b: &mut self.b });
        self.describe_as(value, e);
        value
    }

    /// Gives the last value of a composition the source text of the whole.
    pub(super) fn describe_as(&mut self, value: ValueId, e: &syn::Expr) {
        let note = self.b.note(value).clone();
        self.b.set_note(value, Note { name: note.name, ..Note::of_source(&text(e), note.span) });
    }

    /// `x.powi(n)`
    pub(super) fn powi(&mut self, call: Call<'_>, receiver: Value) -> Value {
        let exponent = call.args[0];
        let x = self.operand(receiver, self.default_float, call.receiver);
        let is_cast = matches!(exponent, syn::Expr::Cast(_));
        let n = match if is_cast { Some(Err(())) } else { self.literal_int(exponent) } {
            Some(Ok(n)) => n,
            Some(Err(())) => return self.fail(exponent, messages::EXPONENT_NOT_LITERAL, &[]),
            None => return Value::Poison,
        };
        let Ok(n) = i32::try_from(n) else {
            return self.fail(exponent, messages::NUMBER_TOO_LARGE, &[&text(exponent)]);
        };
        let Some(x) = x else { return Value::Poison };
        if !self.b.ty(x.value).elem.is_float() {
            let found = self.describe(&Operand::wrap(Some(x.value), x.lane));
            return self.fail(call.name, messages::UNKNOWN_METHOD, &["powi", &found, "convert it to a float first"]);
        }
        let Some(x) = self.guarded(x, 1.0, call.receiver) else { return Value::Poison };
        Operand::wrap(self.emit(call.whole, Elementwise::Powi(n), &[x.value]), x.lane)
    }

    /// A function of two numbers, of which the first may be an array if the table says so.
    pub(super) fn binary_method(
        &mut self,
        call: Call<'_>,
        method: &Method,
        binary: Binary,
        (receiver, x_expr): (Value, &syn::Expr),
        (other, y_expr): (Value, &syn::Expr),
    ) -> Value {
        let hint = self.elem_of(&receiver).or(self.elem_of(&other)).unwrap_or(self.default_float);
        let (x, y) = (self.operand(receiver, hint, x_expr), self.operand(other, hint, y_expr));
        let (Some(mut x), Some(mut y)) = (x, y) else { return Value::Poison };
        if !self.are_numbers(call, &[(x, x_expr, method.on == On::Both), (y, y_expr, false)]) {
            return Value::Poison;
        }
        let (x_elem, y_elem) = (self.b.ty(x.value).elem, self.b.ty(y.value).elem);
        if x_elem != y_elem {
            return self.fail(call.whole, messages::ELEMENT_MISMATCH, &[&text(x_expr), x_elem.name(), &text(y_expr), y_elem.name()]);
        }
        if !(x_elem.is_float() && binary.floats || x_elem.is_integer() && binary.integers) {
            let found = self.describe(&Operand::wrap(Some(x.value), x.lane));
            let help = if binary.floats { "convert it to a float first" } else { "it is a function of integers" };
            return self.fail(call.name, messages::UNKNOWN_METHOD, &[method.name, &found, help]);
        }
        if let Some([x_safe, y_safe]) = binary.safe {
            let (Some(a), Some(b)) = (self.guarded(x, x_safe, x_expr), self.guarded(y, y_safe, y_expr)) else { return Value::Poison };
            (x, y) = (a, b);
        }
        let Some((a, b, lane)) = self.broadcast_pair(call.whole, (x, x_expr), (y, y_expr)) else { return Value::Poison };
        let value = self.compose(call.whole, |c| (binary.compute)(c, a, b));
        Operand::wrap(Some(value), lane)
    }

    /// A function of three numbers, of which the first may be an array if the table says so.
    pub(super) fn ternary_method(
        &mut self,
        call: Call<'_>,
        method: &Method,
        f: fn(&mut Composer<'_>, ValueId, ValueId, ValueId) -> ValueId,
        receiver: Value,
    ) -> Value {
        let values = [receiver, self.expr(call.args[0]), self.expr(call.args[1])];
        let exprs = [call.receiver, call.args[0], call.args[1]];
        let hint = values.iter().find_map(|v| self.elem_of(v)).unwrap_or(self.default_float);
        let operands: Vec<Option<Operand>> = values.into_iter().zip(exprs).map(|(v, e)| self.operand(v, hint, e)).collect();
        let Some(operands) = operands.into_iter().collect::<Option<Vec<_>>>() else { return Value::Poison };
        let on_arrays = method.on == On::Both;
        if !self.are_numbers(call, &[(operands[0], exprs[0], on_arrays), (operands[1], exprs[1], false), (operands[2], exprs[2], false)]) {
            return Value::Poison;
        }
        for k in 1..3 {
            let (x, y) = (self.b.ty(operands[0].value).elem, self.b.ty(operands[k].value).elem);
            if x != y {
                return self.fail(call.whole, messages::ELEMENT_MISMATCH, &[&text(exprs[0]), x.name(), &text(exprs[k]), y.name()]);
            }
        }
        let Some((x, a, lane)) = self.broadcast_pair(call.whole, (operands[0], exprs[0]), (operands[1], exprs[1])) else {
            return Value::Poison;
        };
        let first = Operand { value: x, lane };
        let Some((x, b, lane)) = self.broadcast_pair(call.whole, (first, exprs[0]), (operands[2], exprs[2])) else {
            return Value::Poison;
        };
        // The third operand may have made lanes of numbers.
        let dims = self.b.ty(x).dims.clone();
        let Some(a) = (if self.b.ty(a).dims == dims { Some(a) } else { self.spread(Operand { value: a, lane: false }, &dims, call.whole) })
        else {
            return Value::Poison;
        };
        let value = self.compose(call.whole, |c| f(c, x, a, b));
        Operand::wrap(Some(value), lane)
    }

    /// A literal scalar float constant of an element type.
    pub(super) fn float(&mut self, elem: Elem, x: f64, at: &syn::Expr) -> Option<ValueId> {
        self.part(at, Op::Const(elem, Literal::Float(x)), &[])
    }
}
