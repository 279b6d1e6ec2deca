//! Operators: arithmetic with broadcasting, comparisons, logic, and compound assignment.

use super::value::{Number, Value, describe_type};
use super::{Lowering, text};
use crate::diagnostics::messages;
use crate::ir::{Dim, Elem, Elementwise, Literal, Op, Shape, Type, ValueId};

/// An operand of an operation on each element: its value, and whether it is one number per element of a closure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub(super) value: ValueId,
    pub(super) lane: bool,
}

impl Operand {
    /// The operand as a value of the user's program.
    pub(super) fn wrap(value: Option<ValueId>, lane: bool) -> Value {
        match (value, lane) {
            (Some(v), true) => Value::Lane(v),
            (Some(v), false) => Value::Tensor(v),
            (None, _) => Value::Poison,
        }
    }
}

impl Lowering<'_> {
    /// A binary operator.
    pub(super) fn binary_expr(&mut self, e: &syn::Expr, binary: &syn::ExprBinary) -> Value {
        use Elementwise as E;
        use syn::BinOp as B;
        let op = match binary.op {
            B::Add(_) => E::Add,
            B::Sub(_) => E::Sub,
            B::Mul(_) => E::Mul,
            B::Div(_) => E::Div,
            B::Rem(_) => E::Rem,
            B::Lt(_) | B::Gt(_) => E::Lt,
            B::Le(_) | B::Ge(_) => E::Le,
            B::Eq(_) => E::Eq,
            B::Ne(_) => E::Ne,
            B::And(_) | B::Or(_) => return self.logic(e, binary),
            B::AddAssign(_) => return self.compound_assign(e, binary, E::Add),
            B::SubAssign(_) => return self.compound_assign(e, binary, E::Sub),
            B::MulAssign(_) => return self.compound_assign(e, binary, E::Mul),
            B::DivAssign(_) => return self.compound_assign(e, binary, E::Div),
            B::RemAssign(_) => return self.compound_assign(e, binary, E::Rem),
            _ => {
                let found = text(&binary.op);
                let help = "use arithmetic, comparisons, `&&` and `||`";
                return self.fail(&binary.op, messages::UNSUPPORTED_OPERATOR, &[&found, "numbers and arrays", help]);
            }
        };
        let (left, right) = (self.expr(&binary.left), self.expr(&binary.right));
        let swap = matches!(binary.op, B::Gt(_) | B::Ge(_));
        let operands = ((&*binary.left, left), (&*binary.right, right));
        let (a, b) = if swap { (operands.1, operands.0) } else { operands };
        if let (Value::Number(m), Value::Number(n)) = (&a.1, &b.1) {
            return self.fold(e, op, *m, *n);
        }
        self.binary(e, op, a, b)
    }

    /// An operation on each element of two operands, broadcast against each other.
    pub(super) fn binary(&mut self, e: &syn::Expr, op: Elementwise, a: (&syn::Expr, Value), b: (&syn::Expr, Value)) -> Value {
        let (a_expr, b_expr) = (a.0, b.0);
        let literals = [&a.1, &b.1].map(|value| matches!(value, Value::Number(_)));
        // Both operands are read, so that errors in either appear.
        let hint = self.elem_of(&a.1).or(self.elem_of(&b.1)).unwrap_or(self.default_float);
        let (a, b) = (self.operand(a.1, hint, a_expr), self.operand(b.1, hint, b_expr));
        let (Some(a), Some(b)) = (a, b) else { return Value::Poison };
        let (a_ty, b_ty) = (self.b.ty(a.value).clone(), self.b.ty(b.value).clone());
        if a_ty.elem != b_ty.elem {
            let (a_elem, b_elem) = (a_ty.elem.name(), b_ty.elem.name());
            let generic = matches!((a_ty.elem, b_ty.elem), (Elem::Generic(_), _) | (_, Elem::Generic(_)));
            let message = if generic { messages::GENERIC_MISMATCH } else { messages::ELEMENT_MISMATCH };
            return self.fail(e, message, &[&text(a_expr), a_elem, &text(b_expr), b_elem]);
        }
        let compares = matches!(op, Elementwise::Lt | Elementwise::Le | Elementwise::Eq | Elementwise::Ne);
        for (operand, ty, expr) in [(a, &a_ty, a_expr), (b, &b_ty, b_expr)] {
            if compares && !operand.lane && ty.rank() > 0 {
                return self.fail(expr, messages::CONDITION, &[&describe_type(ty)]);
            }
        }
        let integers = [(a, literals[0]), (b, literals[1])].map(|(x, is_literal)| (!is_literal).then_some(x.value));
        // Integers have no infinity: what a branch not taken computes must not leave their range.
        let b = match op {
            Elementwise::Div | Elementwise::Rem => self.guarded(b, 1.0, b_expr),
            Elementwise::Sub if b_ty.elem.is_integer() => self.guarded(b, 0.0, b_expr),
            _ => Some(b),
        };
        let Some(b) = b else { return Value::Poison };
        let Some((x, y, lane)) = self.broadcast_pair(e, (a, a_expr), (b, b_expr)) else { return Value::Poison };
        let value = self.emit(e, op, &[x, y]);
        if a_ty.elem.is_integer() {
            self.counters.combine(integers, value.filter(|_| !compares), (op == Elementwise::Sub).then_some(e));
        }
        Operand::wrap(value, lane)
    }

    /// An operation on each element of one operand.
    pub(super) fn map_unary(&mut self, e: &syn::Expr, op: Elementwise, operand: Value, operand_expr: &syn::Expr) -> Value {
        let Some(x) = self.operand(operand, self.default_float, operand_expr) else { return Value::Poison };
        let ty = self.b.ty(x.value).clone();
        let fits = match op {
            Elementwise::Not => ty.elem == Elem::Bool,
            Elementwise::Neg => ty.elem != Elem::Bool && ty.elem != Elem::Usize,
            _ => ty.elem.is_float(),
        };
        if !fits {
            let ty = describe_type(&if x.lane { Type::scalar(ty.elem) } else { ty });
            let help = "convert it first, for example with `as f64`";
            return self.fail(operand_expr, messages::EXPECTED_KIND, &["an operand that the operation is defined for", &ty, help]);
        }
        Operand::wrap(self.emit(e, op, &[x.value]), x.lane)
    }

    /// A value as an operand; literals get the type `elem`. Anything but a number or an array is an error.
    pub(super) fn operand(&mut self, value: Value, elem: Elem, at: &syn::Expr) -> Option<Operand> {
        match value {
            Value::Tensor(value) => Some(Operand { value, lane: false }),
            Value::Lane(value) => Some(Operand { value, lane: true }),
            Value::Number(n) => {
                let elem = match n {
                    Number::Int(_) if elem == Elem::Bool => Elem::Usize,
                    _ => elem,
                };
                self.constant(n, elem, at).map(|value| Operand { value, lane: false })
            }
            Value::Option(_, method) => {
                self.error(at, messages::OPTION_NOT_UNWRAPPED, &[&text(at), method]);
                None
            }
            Value::Poison => None,
            Value::Tuple(_)
            | Value::Struct(_)
            | Value::Lengths(_)
            | Value::Axis(_)
            | Value::Fixed(_)
            | Value::Iter(_)
            | Value::Closure(_)
            | Value::Unit => {
                let found = self.describe(&value);
                self.error(at, messages::EXPECTED_KIND, &["a number or an array", &found, "combine numbers and arrays"]);
                None
            }
        }
    }

    /// The element type of a value, where it is known.
    pub(super) fn elem_of(&self, value: &Value) -> Option<Elem> {
        match value {
            Value::Tensor(v) | Value::Lane(v) => Some(self.b.ty(*v).elem),
            Value::Number(Number::Int(_)) => None,
            Value::Number(Number::Float(..)) | Value::Tuple(_) | Value::Struct(_) | Value::Option(..) | Value::Lengths(_) => None,
            Value::Axis(_) | Value::Fixed(_) | Value::Iter(_) | Value::Closure(_) | Value::Unit | Value::Poison => None,
        }
    }

    /// Inside a branch of an element-wise `if`, all elements go through both branches. Where a branch is not taken, an operation such as `ln` must
    /// not give an infinite derivative, which would become NaN when multiplied by zero: the operand is replaced by `safe` there.
    pub(super) fn guarded(&mut self, x: Operand, safe: f64, at: &syn::Expr) -> Option<Operand> {
        let Some(closure) = self.closure.clone() else { return Some(x) };
        let Some(reached) = closure.reached else { return Some(x) };
        let ty = self.b.ty(x.value).clone();
        if !x.lane && ty.rank() > 0 {
            return Some(x);
        }
        let value = self.spread(x, &closure.dims, at)?;
        let safe = if ty.elem.is_float() { Literal::Float(safe) } else { Literal::Int(safe as i64) };
        let safe = self.part(at, Op::Const(ty.elem, safe), &[])?;
        let safe = self.spread(Operand { value: safe, lane: false }, &closure.dims, at)?;
        let value = self.part(at, Elementwise::Select, &[reached, value, safe])?;
        Some(Operand { value, lane: true })
    }

    /// A number as one number per element.
    pub(super) fn spread(&mut self, x: Operand, dims: &[Dim], at: &dyn quote::ToTokens) -> Option<ValueId> {
        if x.lane {
            return Some(x.value);
        }
        let dims: Vec<Dim> = dims.iter().map(|&d| self.b.current_dim(d)).collect();
        if dims.is_empty() {
            return Some(x.value);
        }
        self.part(at, Shape::Broadcast { axes: Vec::new(), dims }, &[x.value])
    }

    /// Two operands of one shape, by `ndarray`'s rules for broadcasting.
    pub(super) fn broadcast_pair(
        &mut self,
        e: &syn::Expr,
        (a, a_expr): (Operand, &syn::Expr),
        (b, b_expr): (Operand, &syn::Expr),
    ) -> Option<(ValueId, ValueId, bool)> {
        let (a_rank, b_rank) = (self.b.ty(a.value).rank(), self.b.ty(b.value).rank());
        if a.lane != b.lane {
            let (other, rank, expr) = if a.lane { (b, b_rank, b_expr) } else { (a, a_rank, a_expr) };
            if rank > 0 {
                self.error(expr, messages::ARRAY_IN_CLOSURE, &[&text(expr)]);
                return None;
            }
            let lane = if a.lane { a } else { b };
            let dims = self.b.ty(lane.value).dims.clone();
            let spread = self.spread(other, &dims, expr)?;
            return Some(if a.lane { (a.value, spread, true) } else { (spread, b.value, true) });
        }
        let rank = a_rank.max(b_rank);
        // Position of an axis of the result in an operand: the trailing axes are aligned.
        let axis_of = |own: usize, k: usize| (k + own).checked_sub(rank);
        for k in 0..rank {
            let (Some(i), Some(j)) = (axis_of(a_rank, k), axis_of(b_rank, k)) else { continue };
            let (x, y) = (self.b.ty(a.value).dims[i], self.b.ty(b.value).dims[j]);
            if x != Dim::Const(1) && y != Dim::Const(1) && !self.unify(x, y, e, a_expr, b_expr) {
                return None;
            }
        }
        let dims: Vec<Dim> = (0..rank)
            .map(|k| {
                let x = axis_of(a_rank, k).map(|i| self.b.ty(a.value).dims[i]);
                let y = axis_of(b_rank, k).map(|j| self.b.ty(b.value).dims[j]);
                match (x, y) {
                    (Some(Dim::Const(1)), Some(y)) => y,
                    (Some(x), _) => x,
                    (None, y) => y.unwrap_or(Dim::Const(1)),
                }
            })
            .collect();
        let x = self.stretch(a.value, &dims, a_expr)?;
        let y = self.stretch(b.value, &dims, b_expr)?;
        Some((x, y, a.lane))
    }

    /// An array repeated to a larger shape, the trailing axes aligned: missing axes are new, axes of the constant length one are stretched.
    pub(super) fn stretch(&mut self, x: ValueId, dims: &[Dim], at: &syn::Expr) -> Option<ValueId> {
        let ty = self.b.ty(x).clone();
        if ty.dims == dims {
            return Some(x);
        }
        let offset = dims.len() - ty.rank();
        let kept: Vec<usize> = (0..ty.rank()).filter(|&k| ty.dims[k] == dims[offset + k]).collect();
        let mut value = x;
        if kept.len() < ty.rank() {
            let dims: Vec<Dim> = kept.iter().map(|&k| ty.dims[k]).collect();
            value = self.part(at, Shape::Reshape { dims }, &[value])?;
        }
        let axes: Vec<usize> = kept.iter().map(|&k| offset + k).collect();
        self.part(at, Shape::Broadcast { axes, dims: dims.to_vec() }, &[value])
    }

    /// Makes two lengths equal, or reports that they cannot be. Of computed ones it is checked when they are.
    pub(super) fn unify(&mut self, x: Dim, y: Dim, e: &syn::Expr, x_expr: &syn::Expr, y_expr: &syn::Expr) -> bool {
        let (x, y) = (self.b.current_dim(x), self.b.current_dim(y));
        if x == y {
            return true;
        }
        if [x, y].iter().any(|d| matches!(d, Dim::Sym(id) if self.computed.contains(id))) {
            let known = self.check_equal(x, y);
            if !known {
                let (length, other) = (self.dim_text(x), self.dim_text(y));
                self.error(e, messages::RUNTIME_LENGTH, &[&length, &format!("`{other}`")]);
            }
            return known;
        }
        let allowed = self.may_be_equal((x, x_expr), (y, y_expr), e);
        if allowed {
            self.make_equal(x, y, e);
        }
        allowed
    }

    /// An operation on two literals, in every type they may turn out to have.
    pub(super) fn fold(&mut self, e: &syn::Expr, op: Elementwise, m: Number, n: Number) -> Value {
        use Elementwise as E;
        let truth = |this: &mut Self, holds: bool| Operand::wrap(this.emit(e, Op::Const(Elem::Bool, Literal::Bool(holds)), &[]), false);
        let float = |n: Number| match n {
            Number::Float(wide, narrow) => (wide, narrow),
            Number::Int(i) => (i as f64, i as f32),
        };
        if let (Number::Int(m), Number::Int(n)) = (m, n) {
            let folded = match op {
                E::Add => m.checked_add(n),
                E::Sub => m.checked_sub(n),
                E::Mul => m.checked_mul(n),
                E::Div => m.checked_div(n),
                E::Rem => m.checked_rem(n),
                E::Lt => return truth(self, m < n),
                E::Le => return truth(self, m <= n),
                E::Eq => return truth(self, m == n),
                E::Ne => return truth(self, m != n),
                _ => None,
            };
            return match folded {
                Some(i) => Value::Number(Number::Int(i)),
                None => self.fail(e, messages::NUMBER_TOO_LARGE, &[&text(e)]),
            };
        }
        let ((a, x), (b, y)) = (float(m), float(n));
        match op {
            E::Add => Value::Number(Number::Float(a + b, x + y)),
            E::Sub => Value::Number(Number::Float(a - b, x - y)),
            E::Mul => Value::Number(Number::Float(a * b, x * y)),
            E::Div => Value::Number(Number::Float(a / b, x / y)),
            // What is compared may be of either type.
            E::Lt | E::Le | E::Eq | E::Ne if a.partial_cmp(&b) != x.partial_cmp(&y) => self.fail(e, messages::FLOAT_TYPE, &[&text(e)]),
            E::Lt => truth(self, a < b),
            E::Le => truth(self, a <= b),
            E::Eq => truth(self, a == b),
            E::Ne => truth(self, a != b),
            _ => {
                let help = "use arithmetic and comparisons";
                self.fail(e, messages::UNSUPPORTED_OPERATOR, &[&text(e), "literals", help])
            }
        }
    }

    /// `a && b`, `a || b`. The right side is only evaluated where it counts, since it may index out of range elsewhere.
    fn logic(&mut self, e: &syn::Expr, binary: &syn::ExprBinary) -> Value {
        let is_and = matches!(binary.op, syn::BinOp::And(_));
        let left = self.condition(&binary.left);
        if self.closure.is_some() || is_total(&binary.right) {
            let right = self.condition(&binary.right);
            let op = if is_and { Elementwise::And } else { Elementwise::Or };
            let (Some(a), Some(b)) = (left, right) else { return Value::Poison };
            let Some((x, y, lane)) = self.broadcast_pair(e, (a, &binary.left), (b, &binary.right)) else { return Value::Poison };
            return Operand::wrap(self.emit(e, op, &[x, y]), lane);
        }
        self.short_circuit(e, left, is_and, &binary.right)
    }

    /// `x += e` and its peers.
    fn compound_assign(&mut self, e: &syn::Expr, binary: &syn::ExprBinary, op: Elementwise) -> Value {
        let right = self.expr(&binary.right);
        if let Some(place) = self.field_place(&binary.left) {
            let left = self.value_at(&place);
            let value = self.compound_value(e, binary, op, left, right);
            self.assign_field(&place, value);
            return Value::Unit;
        }
        if self.is_part(&binary.left) {
            self.update_part(e, &binary.left, op, right, &binary.right);
            return Value::Unit;
        }
        let Some(position) = self.place(&binary.left) else { return Value::Unit };
        let left = self.scope.at(position).value.clone();
        let value = self.compound_value(e, binary, op, left, right);
        self.assign_to(position, value);
        Value::Unit
    }

    /// What a place holds after `left op= right`.
    fn compound_value(&mut self, e: &syn::Expr, binary: &syn::ExprBinary, op: Elementwise, left: Value, right: Value) -> Value {
        if let (Value::Number(m), Value::Number(n)) = (&left, &right) {
            return self.fold(e, op, *m, *n);
        }
        if let (Value::Tensor(a), Value::Tensor(b)) = (&left, &right) {
            let (a_rank, b_rank) = (self.b.ty(*a).rank(), self.b.ty(*b).rank());
            if b_rank > a_rank {
                let (a, b) = (super::value::describe_rank(a_rank), super::value::describe_rank(b_rank));
                let help = "the right side must fit into the variable; write `let` with a new name instead";
                return self.fail(e, messages::RANK_MISMATCH, &[&text(&binary.left), &a, &text(&binary.right), &b, &text(e), help]);
            }
            // The variable keeps its shape: its axes of length one are not stretched.
            for k in 0..b_rank {
                let (x, y) = (self.b.ty(*a).dims[a_rank - b_rank + k], self.b.ty(*b).dims[k]);
                if y != Dim::Const(1) && !self.unify(x, y, e, &binary.left, &binary.right) {
                    return Value::Poison;
                }
            }
        }
        self.binary(e, op, (&binary.left, left), (&binary.right, right))
    }
}

/// Whether an expression gives a value wherever it is evaluated: no positions, no integer arithmetic, no calls.
fn is_total(e: &syn::Expr) -> bool {
    match e {
        syn::Expr::Path(_) | syn::Expr::Lit(_) => true,
        syn::Expr::Paren(p) => is_total(&p.expr),
        syn::Expr::Group(p) => is_total(&p.expr),
        syn::Expr::Reference(r) => is_total(&r.expr),
        syn::Expr::Unary(u) => is_total(&u.expr),
        syn::Expr::Binary(b) => {
            use syn::BinOp as B;
            matches!(b.op, B::Lt(_) | B::Le(_) | B::Gt(_) | B::Ge(_) | B::Eq(_) | B::Ne(_) | B::And(_) | B::Or(_))
                && is_total(&b.left)
                && is_total(&b.right)
        }
        _ => false,
    }
}
