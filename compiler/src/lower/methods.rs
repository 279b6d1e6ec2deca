//! Method calls.

use syn::ext::IdentExt;

use super::operators::Operand;
use super::spellings::{self, Composer, INSTEAD, METHODS, Meaning, Method, On, Unary};
use super::value::{Number, Value, describe_rank};
use super::{Closure, Lowering, part_of, text};
use crate::diagnostics::messages;
use crate::ir::{Dim, Einsum, Elem, Elementwise, Index, Literal, Note, Op, Reduce, Shape, ValueId, Window};
use crate::syntax::{Assumed, Origin};

/// A call as all methods see it: the whole expression, the name, the receiver's expression, and the arguments.
#[derive(Clone, Copy)]
pub(super) struct Call<'e> {
    pub(super) whole: &'e syn::Expr,
    pub(super) name: &'e syn::Ident,
    pub(super) receiver: &'e syn::Expr,
    pub(super) args: &'e [&'e syn::Expr],
}

impl Lowering<'_> {
    /// `receiver.method(args)`
    pub(super) fn method_call(&mut self, e: &syn::ExprMethodCall) -> Value {
        let receiver = self.expr(&e.receiver);
        let whole = syn::Expr::MethodCall(e.clone());
        let args: Vec<&syn::Expr> = e.args.iter().collect();
        self.call_method(Call { whole: &whole, name: &e.method, receiver: &e.receiver, args: &args }, receiver)
    }

    /// A method, also in the form `f64::method(receiver, args)`.
    pub(super) fn call_method(&mut self, call: Call<'_>, receiver: Value) -> Value {
        let name = call.name.unraw().to_string();
        if let Some(unary) = spellings::unary(&name) {
            if !self.expect_args(call, 0) {
                return Value::Poison;
            }
            return self.unary_method(call, unary, receiver);
        }
        let Some(&(_, method, n_args)) = METHODS.iter().find(|m| m.0 == name) else {
            return self.unknown_method(call, &name, &receiver);
        };
        if !self.expect_args(call, n_args) {
            return Value::Poison;
        }
        if receiver.is_poisoned() {
            // The arguments may have errors of their own; a closure's names depend on the receiver.
            for arg in call.args.iter().filter(|a| !matches!(a, syn::Expr::Closure(_))) {
                self.expr(arg);
            }
            return Value::Poison;
        }
        if let (Value::Option(_, made_by), false) = (&receiver, matches!(method, Method::Unwrap | Method::Same)) {
            return self.fail(call.receiver, messages::OPTION_NOT_UNWRAPPED, &[&text(call.receiver), made_by]);
        }
        match method {
            Method::Same => receiver,
            Method::Unwrap => match receiver {
                Value::Option(inner, _) => (*inner).clone(),
                other => {
                    let found = self.describe(&other);
                    self.fail(call.name, messages::EXPECTED_KIND, &["an `Option`", &found, "leave `unwrap` out"])
                }
            },
            Method::Powi => self.powi(call, receiver),
            Method::Powf | Method::Log | Method::Max | Method::Min | Method::Atan2 => self.binary_method(call, method, receiver),
            Method::Clamp | Method::MulAdd => self.ternary_method(call, method, receiver),
            Method::Dot
            | Method::T
            | Method::Sum
            | Method::Mean
            | Method::SumAxis
            | Method::MeanAxis
            | Method::Len
            | Method::Nrows
            | Method::Ncols
            | Method::LenOf
            | Method::Ndim
            | Method::Shape
            | Method::Dim
            | Method::InsertAxis
            | Method::IndexAxis
            | Method::Row
            | Method::Column
            | Method::Map => match receiver {
                Value::Tensor(x) if self.b.ty(x).rank() > 0 => self.array_method(call, method, x),
                other => {
                    let found = self.describe(&other);
                    self.fail(call.name, messages::METHOD_ON_NUMBER, &[&name, &text(call.receiver), &found])
                }
            },
        }
    }

    fn expect_args(&mut self, call: Call<'_>, n: usize) -> bool {
        if call.args.len() == n {
            return true;
        }
        let takes = match n {
            0 => "no arguments".to_owned(),
            1 => "one argument".to_owned(),
            n => format!("{n} arguments"),
        };
        self.error(call.name, messages::ARGUMENT_COUNT, &[&call.name.to_string(), &takes, &call.args.len().to_string()]);
        false
    }

    fn unknown_method(&mut self, call: Call<'_>, name: &str, receiver: &Value) -> Value {
        // A macro, such as `s![..]`, is the business of the method.
        for arg in call.args.iter().filter(|a| !matches!(a, syn::Expr::Closure(_) | syn::Expr::Macro(_))) {
            self.expr(arg);
        }
        if receiver.is_poisoned() {
            return Value::Poison;
        }
        let instead = INSTEAD.iter().find(|i| i.0 == name).map(|i| i.1.to_owned());
        let close = || spellings::closest(name, spellings::method_names()).map(|c| format!("a method with a similar name is `{c}`"));
        let help = instead
            .or_else(close)
            .unwrap_or_else(|| "write it with operators and the methods that the documentation of `#[differentiable]` lists".to_owned());
        let found = self.describe(receiver);
        self.fail(call.name, messages::UNKNOWN_METHOD, &[name, &found, &help])
    }

    /// A function of each element, without arguments.
    fn unary_method(&mut self, call: Call<'_>, unary: &Unary, receiver: Value) -> Value {
        let Some(x) = self.operand(receiver, self.default_float, call.receiver) else { return Value::Poison };
        let ty = self.b.ty(x.value).clone();
        let is_number = x.lane || ty.rank() == 0;
        let fits = match unary.on {
            On::Arrays => !is_number,
            On::Both => true,
        };
        let integer_abs = unary.name == "abs" && ty.elem == Elem::I64;
        if !fits || !(ty.elem.is_float() || integer_abs) {
            let found = self.describe(&Operand::wrap(Some(x.value), x.lane));
            let help = if fits { "convert it to floats first, for example with `as f64`" } else { "write it with operators" };
            return self.fail(call.name, messages::UNKNOWN_METHOD, &[unary.name, &found, help]);
        }
        if spellings::OWN_METHODS.contains(&unary.name) {
            let origin = Origin::OwnMethod { elem: ty.elem, rank: if is_number { 0 } else { ty.rank() } };
            self.assumed.push(Assumed { name: call.name.clone(), origin });
        }
        let guarded = match unary.safe {
            Some(safe) => self.guarded(x, safe, call.receiver),
            None => Some(x),
        };
        let Some(x) = guarded else { return Value::Poison };
        match unary.meaning {
            Meaning::Op(op) => Operand::wrap(self.emit(call.whole, op, &[x.value]), x.lane),
            Meaning::Composed(f) => {
                self.b.set_default_note(part_of(call.whole));
                let value = f(&mut Composer { lowering: self }, x.value);
                self.describe_as(value, call.whole);
                Operand::wrap(Some(value), x.lane)
            }
        }
    }

    /// Gives the last value of a composition the source text of the whole.
    pub(super) fn describe_as(&mut self, value: ValueId, e: &syn::Expr) {
        let note = self.b.note(value).clone();
        self.b.set_note(value, Note { name: note.name, ..Note::of_source(&text(e), note.span) });
    }

    fn powi(&mut self, call: Call<'_>, receiver: Value) -> Value {
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

    /// Methods of two numbers; for `powf` and `log` the first may be an array.
    fn binary_method(&mut self, call: Call<'_>, method: Method, receiver: Value) -> Value {
        let arg = call.args[0];
        let other = self.expr(arg);
        let hint = self.elem_of(&receiver).or(self.elem_of(&other)).unwrap_or(self.default_float);
        let (x, y) = (self.operand(receiver, hint, call.receiver), self.operand(other, hint, arg));
        let (Some(mut x), Some(mut y)) = (x, y) else { return Value::Poison };
        let on_arrays = matches!(method, Method::Powf | Method::Log);
        if !self.are_numbers(call, &[(x, call.receiver, on_arrays), (y, arg, false)]) {
            return Value::Poison;
        }
        let (x_elem, y_elem) = (self.b.ty(x.value).elem, self.b.ty(y.value).elem);
        if x_elem != y_elem {
            return self.fail(call.whole, messages::ELEMENT_MISMATCH, &[&text(call.receiver), x_elem.name(), &text(arg), y_elem.name()]);
        }
        if !x_elem.is_float() && !matches!(method, Method::Max | Method::Min) {
            let found = self.describe(&Operand::wrap(Some(x.value), x.lane));
            return self.fail(call.name, messages::UNKNOWN_METHOD, &[&call.name.to_string(), &found, "convert it to a float first"]);
        }
        if matches!(method, Method::Powf | Method::Log | Method::Atan2) {
            let guarded = (self.guarded(x, 1.0, call.receiver), self.guarded(y, if method == Method::Log { 2.0 } else { 1.0 }, arg));
            let (Some(a), Some(b)) = guarded else { return Value::Poison };
            (x, y) = (a, b);
        }
        let Some((a, b, lane)) = self.broadcast_pair(call.whole, (x, call.receiver), (y, arg)) else { return Value::Poison };
        let op = match method {
            Method::Powf => Elementwise::Powf,
            Method::Max => Elementwise::Max,
            Method::Min => Elementwise::Min,
            Method::Atan2 => Elementwise::Atan2,
            _ => {
                // The logarithm to a base.
                let (Some(a), Some(b)) = (self.part(call.whole, Elementwise::Ln, &[a]), self.part(call.whole, Elementwise::Ln, &[b]))
                else {
                    return Value::Poison;
                };
                return Operand::wrap(self.emit(call.whole, Elementwise::Div, &[a, b]), lane);
            }
        };
        Operand::wrap(self.emit(call.whole, op, &[a, b]), lane)
    }

    /// `x.clamp(low, high)` of a number or an array, `x.mul_add(a, b)` of numbers.
    fn ternary_method(&mut self, call: Call<'_>, method: Method, receiver: Value) -> Value {
        let values = [receiver, self.expr(call.args[0]), self.expr(call.args[1])];
        let exprs = [call.receiver, call.args[0], call.args[1]];
        let hint = values.iter().find_map(|v| self.elem_of(v)).unwrap_or(self.default_float);
        let operands: Vec<Option<Operand>> = values.into_iter().zip(exprs).map(|(v, e)| self.operand(v, hint, e)).collect();
        let Some(operands) = operands.into_iter().collect::<Option<Vec<_>>>() else { return Value::Poison };
        let on_arrays = method == Method::Clamp;
        if !self.are_numbers(call, &[(operands[0], exprs[0], on_arrays), (operands[1], exprs[1], false), (operands[2], exprs[2], false)]) {
            return Value::Poison;
        }
        let (first, second) = match method {
            Method::Clamp => (Elementwise::Max, Elementwise::Min),
            _ => (Elementwise::Mul, Elementwise::Add),
        };
        let Some((a, b, lane)) = self.broadcast_pair(call.whole, (operands[0], exprs[0]), (operands[1], exprs[1])) else {
            return Value::Poison;
        };
        let Some(inner) = self.part(call.whole, first, &[a, b]) else { return Value::Poison };
        let inner = Operand { value: inner, lane };
        let Some((inner, b, lane)) = self.broadcast_pair(call.whole, (inner, call.whole), (operands[2], exprs[2])) else {
            return Value::Poison;
        };
        if method == Method::MulAdd || !self.b.ty(a).elem.is_float() {
            return Operand::wrap(self.emit(call.whole, second, &[inner, b]), lane);
        }
        // `max` and `min` prefer a number to a NaN; `clamp` keeps it.
        let (is_nan, bounded) = (self.part(call.whole, Elementwise::Ne, &[a, a]), self.part(call.whole, second, &[inner, b]));
        let (Some(is_nan), Some(bounded)) = (is_nan, bounded) else { return Value::Poison };
        Operand::wrap(self.emit(call.whole, Elementwise::Select, &[is_nan, a, bounded]), lane)
    }

    /// Checks that operands are numbers, where they may not be arrays.
    fn are_numbers(&mut self, call: Call<'_>, operands: &[(Operand, &syn::Expr, bool)]) -> bool {
        for &(x, expr, may_be_array) in operands {
            let ty = self.b.ty(x.value);
            if !x.lane && ty.rank() > 0 && !may_be_array {
                let found = self.describe(&Value::Tensor(x.value));
                let help = format!("write it for each element: `.mapv(|v| v.{}(..))`", call.name);
                self.error(expr, messages::EXPECTED_KIND, &["a number", &found, &help]);
                return false;
            }
        }
        true
    }

    /// Methods whose receiver is an array.
    fn array_method(&mut self, call: Call<'_>, method: Method, x: ValueId) -> Value {
        let ty = self.b.ty(x).clone();
        let rank = ty.rank();
        let whole = call.whole;
        match method {
            Method::Dot => self.dot(call, x),
            Method::T => Operand::wrap(self.emit(whole, Shape::Permute { perm: (0..rank).rev().collect() }, &[x]), false),
            Method::Sum => Operand::wrap(self.sum(whole, x, (0..rank).collect()), false),
            Method::Mean => self.mean(whole, x, (0..rank).collect(), "mean()"),
            Method::SumAxis | Method::MeanAxis => {
                let Some(axis) = self.axis_of(call, rank) else { return Value::Poison };
                match method {
                    Method::SumAxis => Operand::wrap(self.sum(whole, x, vec![axis]), false),
                    _ => self.mean(whole, x, vec![axis], "mean_axis(..)"),
                }
            }
            Method::Len => {
                let mut product: Option<ValueId> = None;
                for &dim in &ty.dims {
                    let Some(n) = self.length(dim, whole) else { return Value::Poison };
                    product = match product {
                        None => Some(n),
                        Some(m) => self.emit(whole, Elementwise::Mul, &[m, n]),
                    };
                }
                Operand::wrap(product, false)
            }
            Method::Nrows | Method::Ncols => {
                let axis = usize::from(method == Method::Ncols);
                if rank != 2 {
                    let have = describe_rank(rank);
                    let help = "write `x.len()`, or `x.shape()[k]`";
                    return self.fail(call.name, messages::EXPECTED_KIND, &["a matrix", &format!("an array with {have}"), help]);
                }
                Operand::wrap(self.length(ty.dims[axis], whole), false)
            }
            Method::LenOf => match self.axis_of(call, rank) {
                Some(axis) => Operand::wrap(self.length(ty.dims[axis], whole), false),
                None => Value::Poison,
            },
            Method::Ndim => Value::Number(Number::Int(rank as i64)),
            Method::Shape => Value::Lengths(ty.dims),
            Method::Dim => {
                let lengths: Vec<Value> = ty.dims.iter().map(|&d| Operand::wrap(self.length(d, whole), false)).collect();
                match <[Value; 1]>::try_from(lengths) {
                    Ok([only]) => only,
                    Err(lengths) => Value::Tuple(lengths),
                }
            }
            Method::InsertAxis => {
                let Some(axis) = self.axis_of(call, rank + 1) else { return Value::Poison };
                let mut dims = ty.dims;
                dims.insert(axis, Dim::Const(1));
                Operand::wrap(self.emit(whole, Shape::Reshape { dims }, &[x]), false)
            }
            Method::IndexAxis => {
                let axis = self.axis_of(call, rank);
                let position = self.position(call.args[1]);
                let (Some(axis), Some(i)) = (axis, position) else { return Value::Poison };
                Operand::wrap(self.emit(whole, Index::Read(Window::at(axis)), &[x, i]), false)
            }
            Method::Row | Method::Column => {
                let axis = usize::from(method == Method::Column);
                let position = self.position(call.args[0]);
                if rank != 2 {
                    let have = describe_rank(rank);
                    let help = "write `x[i]` for an element";
                    return self.fail(call.name, messages::EXPECTED_KIND, &["a matrix", &format!("an array with {have}"), help]);
                }
                match position {
                    Some(i) => Operand::wrap(self.emit(whole, Index::Read(Window::at(axis)), &[x, i]), false),
                    None => Value::Poison,
                }
            }
            Method::Map => self.mapv(call, x),
            Method::Same
            | Method::Unwrap
            | Method::Powi
            | Method::Powf
            | Method::Log
            | Method::Max
            | Method::Min
            | Method::Clamp
            | Method::MulAdd
            | Method::Atan2 => Value::Poison,
        }
    }

    /// The axis in the first argument, checked against the rank.
    fn axis_of(&mut self, call: Call<'_>, rank: usize) -> Option<usize> {
        let axis = self.axis(call.args[0])?;
        if axis >= rank {
            self.error(call.args[0], messages::AXIS_OUT_OF_RANGE, &[&text(call.receiver), &describe_rank(rank), &axis.to_string()]);
            return None;
        }
        Some(axis)
    }

    fn sum(&mut self, whole: &syn::Expr, x: ValueId, axes: Vec<usize>) -> Option<ValueId> {
        if self.b.ty(x).elem == Elem::Bool {
            let found = self.describe(&Value::Tensor(x));
            self.error(whole, messages::EXPECTED_KIND, &["numbers to sum", &found, "convert them first: `.mapv(|b| ...)`"]);
            return None;
        }
        self.emit(whole, Reduce::Sum { axes }, &[x])
    }

    /// Sum over axes, divided by how many elements there are along them.
    pub(super) fn mean(&mut self, whole: &syn::Expr, x: ValueId, axes: Vec<usize>, method: &'static str) -> Value {
        if !self.b.ty(x).elem.is_float() {
            let found = self.describe(&Value::Tensor(x));
            let help = "convert it first: `.mapv(|v| v as f64)`";
            return self.fail(whole, messages::EXPECTED_KIND, &["floats to take the mean of", &found, help]);
        }
        match self.mean_value(whole, x, axes) {
            Some(mean) => Value::Option(std::rc::Rc::new(Value::Tensor(mean)), method),
            None => Value::Poison,
        }
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

    /// The product of matrices and vectors.
    fn dot(&mut self, call: Call<'_>, x: ValueId) -> Value {
        let arg = call.args[0];
        let y = match self.expr(arg) {
            Value::Tensor(y) => y,
            Value::Poison => return Value::Poison,
            other => {
                let found = self.describe(&other);
                return self.fail(arg, messages::EXPECTED_KIND, &["a vector or a matrix", &found, "write `*` for a number"]);
            }
        };
        let (x_ty, y_ty) = (self.b.ty(x).clone(), self.b.ty(y).clone());
        let spec = match (x_ty.rank(), y_ty.rank()) {
            (1, 1) => "i,i->",
            (1, 2) => "i,ij->j",
            (2, 1) => "ij,j->i",
            (2, 2) => "ij,jk->ik",
            (m, n) => {
                let (m, n) = (describe_rank(m), describe_rank(n));
                let help = "`dot` multiplies vectors and matrices";
                return self.fail(call.name, messages::RANK_MISMATCH, &[&text(call.receiver), &m, &text(arg), &n, &text(call.whole), help]);
            }
        };
        if x_ty.elem != y_ty.elem {
            return self.fail(
                call.whole,
                messages::ELEMENT_MISMATCH,
                &[&text(call.receiver), x_ty.elem.name(), &text(arg), y_ty.elem.name()],
            );
        }
        if !x_ty.elem.is_float() {
            let found = self.describe(&Value::Tensor(x));
            let help = "convert both first: `.mapv(|v| v as f64)`";
            return self.fail(call.receiver, messages::EXPECTED_KIND, &["floats", &found, help]);
        }
        if !self.unify(x_ty.dims[x_ty.rank() - 1], y_ty.dims[0], call.whole, call.receiver, arg) {
            return Value::Poison;
        }
        match spec.parse::<Einsum>() {
            Ok(spec) => Operand::wrap(self.emit(call.whole, spec, &[x, y]), false),
            Err(_) => Value::Poison,
        }
    }

    /// `x.mapv(f)`
    fn mapv(&mut self, call: Call<'_>, x: ValueId) -> Value {
        if self.closure.is_some() {
            return self.fail(call.name, messages::ARRAY_IN_CLOSURE, &[&text(call.receiver)]);
        }
        let f = call.args[0];
        self.closure = Some(Closure { dims: self.b.ty(x).dims.clone(), mark: self.scope.mark(), reached: None });
        let value = self.apply(f, vec![Value::Lane(x)], &[call.receiver]);
        let dims = self.b.ty(x).dims.clone();
        self.closure = None;
        let Some(value) = self.operand(value, self.default_float, f) else { return Value::Poison };
        if !value.lane && self.b.ty(value.value).rank() > 0 {
            let found = self.describe(&Value::Tensor(value.value));
            return self.fail(f, messages::EXPECTED_KIND, &["a closure that gives a number", &found, "use whole-array operations"]);
        }
        let Some(value) = self.spread(value, &dims, f) else { return Value::Poison };
        Value::Tensor(value)
    }

    /// A literal scalar float constant of an element type.
    pub(super) fn float(&mut self, elem: Elem, x: f64, at: &syn::Expr) -> Option<ValueId> {
        self.part(at, Op::Const(elem, Literal::Float(x)), &[])
    }
}
