//! `if`: a branch of the IR, or inside element-wise closures a selection.

use super::operators::Operand;
use super::value::{Number, Value};
use super::{Lowering, span_of, text};
use crate::diagnostics::messages;
use crate::ir::{Body, Control, Elem, Elementwise, Literal, Note, Op, ValueId};

/// One side of a branch after lowering: its value, and what the variables around it stand for at its end.
struct Side {
    value: Value,
    state: Vec<Value>,
    body: Body,
}

impl Lowering<'_> {
    /// `if c { … } else { … }`, as an expression or a statement.
    pub(super) fn branch(&mut self, e: &syn::ExprIf) -> Value {
        if let syn::Expr::Let(condition) = &*e.cond {
            let instead = "a comparison, or `.unwrap()` on the `Option` that `mean` gives";
            return self.fail(condition, messages::UNSUPPORTED_EXPRESSION, &["`if let`", instead]);
        }
        let condition = self.condition(&e.cond);
        let then = |this: &mut Self| this.block(&e.then_branch);
        let otherwise = |this: &mut Self| match &e.else_branch {
            Some((_, other)) => this.expr(other),
            None => Value::Unit,
        };
        if self.closure.is_some() {
            return self.select(e, condition, then, otherwise);
        }
        let before = self.scope.values();
        let then = self.side(&before, then);
        let otherwise = self.side(&before, otherwise);
        self.scope.restore(&before);
        let Some(condition) = condition else {
            self.poison_changed(&before, &then.state, &otherwise.state);
            return Value::Poison;
        };
        self.join(e, condition.value, before, then, otherwise, e.else_branch.is_some())
    }

    /// `left && right` or `left || right`, where the right side is only evaluated if it counts.
    pub(super) fn short_circuit(&mut self, e: &syn::Expr, left: Option<Operand>, is_and: bool, right: &syn::Expr) -> Value {
        let before = self.scope.values();
        let lower_right = |this: &mut Self| Operand::wrap(this.condition(right).map(|c| c.value), false);
        let settled = |this: &mut Self| {
            let constant = Op::Const(Elem::Bool, Literal::Bool(!is_and));
            Operand::wrap(this.part(e, constant, &[]), false)
        };
        let (then, otherwise) = if is_and {
            (self.side(&before, lower_right), self.side(&before, settled))
        } else {
            (self.side(&before, settled), self.side(&before, lower_right))
        };
        self.scope.restore(&before);
        match left {
            Some(left) => self.join(e, left.value, before, then, otherwise, true),
            None => Value::Poison,
        }
    }

    /// Lowers one side into a body of its own.
    fn side(&mut self, before: &[Value], lower: impl FnOnce(&mut Self) -> Value) -> Side {
        self.scope.restore(before);
        self.b.open();
        let value = lower(self);
        let state = self.scope.values();
        let body = self.b.close(Vec::new());
        self.forget_inner_lengths();
        Side { value, state, body }
    }

    /// Appends the branch, with the value of the `if` and the changed variables as its results.
    fn join(
        &mut self,
        e: &dyn quote::ToTokens,
        condition: ValueId,
        before: Vec<Value>,
        mut then: Side,
        mut otherwise: Side,
        has_else: bool,
    ) -> Value {
        if !has_else && !matches!(then.value, Value::Unit | Value::Poison) {
            self.error(e, messages::IF_WITHOUT_ELSE, &[]);
            self.poison_changed(&before, &then.state, &otherwise.state);
            return Value::Poison;
        }
        let changed: Vec<usize> =
            (0..before.len()).filter(|&k| !then.state[k].is_same(&before[k]) || !otherwise.state[k].is_same(&before[k])).collect();
        let mut outs: Vec<Option<Value>> = Vec::new();
        let pairs = std::iter::once((then.value.clone(), otherwise.value.clone()))
            .chain(changed.iter().map(|&k| (then.state[k].clone(), otherwise.state[k].clone())))
            .collect::<Vec<_>>();
        let mut n_leaves = Vec::new();
        for (a, b) in &pairs {
            let joined = self.join_leaves(e, a, b);
            n_leaves.push(joined.as_ref().map(Vec::len));
            outs.push(joined.as_ref().map(|_| a.clone()));
            for (x, y) in joined.into_iter().flatten() {
                then.body.results.push(x);
                otherwise.body.results.push(y);
            }
        }
        self.b.set_default_note(Note::of_source(&text(e), span_of(e)));
        let mut results = match self.b.try_stmt(Op::Control(Control::If), vec![condition], vec![then.body, otherwise.body]) {
            Ok(results) => results.into_iter(),
            Err(why) => {
                self.error(e, messages::OPERANDS, &[&text(e), &why.0]);
                self.poison_changed(&before, &then.state, &otherwise.state);
                return Value::Poison;
            }
        };
        let mut values = outs.into_iter().zip(n_leaves).map(|(tree, n)| match (tree, n) {
            (Some(tree), Some(n)) => tree.with_leaves(&mut results.by_ref().take(n).map(Value::Tensor)),
            _ => Value::Poison,
        });
        let value = values.next().unwrap_or(Value::Unit);
        let values: Vec<Value> = values.collect();
        for (&k, value) in changed.iter().zip(values) {
            self.assign_to(k, value);
        }
        value
    }

    /// The leaves of both sides as IR values of equal types, literals made constants in front of the branch.
    fn join_leaves(&mut self, e: &dyn quote::ToTokens, a: &Value, b: &Value) -> Option<Vec<(ValueId, ValueId)>> {
        if a.is_poisoned() || b.is_poisoned() {
            return None;
        }
        let mismatch = |this: &mut Self| {
            let (a, b) = (this.describe(a), this.describe(b));
            this.error(e, messages::BRANCH_TYPES, &[&a, &b]);
            None
        };
        let (Some(xs), Some(ys)) = (a.leaves(), b.leaves()) else { return mismatch(self) };
        if xs.len() != ys.len() {
            return mismatch(self);
        }
        let mut out = Vec::new();
        for (x, y) in xs.into_iter().zip(ys) {
            let elem = self.elem_of(&x).or(self.elem_of(&y));
            let (Some(x), Some(y)) = (self.leaf(x, elem, e), self.leaf(y, elem, e)) else { return None };
            let (x_ty, y_ty) = (self.b.ty(x).clone(), self.b.ty(y).clone());
            if (x_ty.elem, x_ty.rank()) != (y_ty.elem, y_ty.rank()) {
                return mismatch(self);
            }
            let whole: syn::Expr = syn::Expr::Verbatim(e.to_token_stream());
            for (&i, &j) in x_ty.dims.iter().zip(&y_ty.dims) {
                if !self.unify(i, j, &whole, &whole, &whole) {
                    return None;
                }
            }
            out.push((x, y));
        }
        Some(out)
    }

    /// A leaf as an IR value; a literal becomes a constant of the given or its own type.
    pub(super) fn leaf(&mut self, leaf: Value, elem: Option<Elem>, at: &dyn quote::ToTokens) -> Option<ValueId> {
        match leaf {
            Value::Tensor(v) | Value::Lane(v) => Some(v),
            Value::Number(n) => match (n, elem) {
                (_, Some(elem)) => self.constant(n, elem, at),
                (Number::Float(..), None) => self.constant(n, self.default_float, at),
                // Rust would take `i32`, or whatever a use elsewhere asks for; a guess could wrap around where Rust does not.
                (Number::Int(_), None) => {
                    self.error(at, messages::INTEGER_TYPE, &[&text(at)]);
                    None
                }
            },
            Value::Tuple(_) | Value::Option(..) | Value::Lengths(_) | Value::Axis(_) => None,
            Value::Closure(_) | Value::Unit | Value::Poison => None,
        }
    }

    fn poison_changed(&mut self, before: &[Value], then: &[Value], otherwise: &[Value]) {
        for k in 0..before.len() {
            if !then[k].is_same(&before[k]) || !otherwise[k].is_same(&before[k]) {
                self.scope.assign(k, Value::Poison);
            }
        }
    }

    /// `if` inside an element-wise closure: both sides are computed for every element, and each element takes one.
    fn select(
        &mut self,
        e: &syn::ExprIf,
        condition: Option<Operand>,
        then: impl FnOnce(&mut Self) -> Value,
        otherwise: impl FnOnce(&mut Self) -> Value,
    ) -> Value {
        let (Some(closure), Some(condition)) = (self.closure.clone(), condition) else {
            // The sides may still have errors of their own.
            let before = self.scope.values();
            then(self);
            otherwise(self);
            self.scope.restore(&before);
            return Value::Poison;
        };
        let Some(condition) = self.spread(condition, &closure.dims, &e.cond) else { return Value::Poison };
        let Some(opposite) = self.part(&e.cond, Elementwise::Not, &[condition]) else { return Value::Poison };
        let before = self.scope.values();
        let mut sides = Vec::new();
        let mut run = |this: &mut Self, condition: ValueId, lower: &mut dyn FnMut(&mut Self) -> Value| {
            this.scope.restore(&before);
            let reached = match closure.reached {
                Some(outer) => this.part(&e.cond, Elementwise::And, &[outer, condition]),
                None => Some(condition),
            };
            this.set_reached(reached);
            let value = lower(this);
            sides.push((value, this.scope.values()));
        };
        let (mut then, mut otherwise) = (Some(then), Some(otherwise));
        run(self, condition, &mut |this| then.take().map_or(Value::Poison, |f| f(this)));
        run(self, opposite, &mut |this| otherwise.take().map_or(Value::Poison, |f| f(this)));
        self.set_reached(closure.reached);
        self.scope.restore(&before);
        let (b_value, b_state) = sides.pop().unwrap_or((Value::Poison, Vec::new()));
        let (a_value, a_state) = sides.pop().unwrap_or((Value::Poison, Vec::new()));
        if e.else_branch.is_none() && !matches!(a_value, Value::Unit | Value::Poison) {
            return self.fail(e, messages::IF_WITHOUT_ELSE, &[]);
        }
        for k in 0..before.len() {
            if !a_state[k].is_same(&before[k]) || !b_state[k].is_same(&before[k]) {
                let value = self.select_value(e, condition, &a_state[k], &b_state[k]);
                self.assign_to(k, value);
            }
        }
        self.select_value(e, condition, &a_value, &b_value)
    }

    fn set_reached(&mut self, reached: Option<ValueId>) {
        if let Some(closure) = &mut self.closure {
            closure.reached = reached;
        }
    }

    /// For each element the value of one side.
    fn select_value(&mut self, e: &syn::ExprIf, condition: ValueId, a: &Value, b: &Value) -> Value {
        if a.is_same(b) {
            return a.clone();
        }
        let whole = syn::Expr::If(e.clone());
        let Some(pairs) = (match (a.leaves(), b.leaves()) {
            (Some(xs), Some(ys)) if xs.len() == ys.len() => Some(xs.into_iter().zip(ys).collect::<Vec<_>>()),
            _ => None,
        }) else {
            if a.is_poisoned() || b.is_poisoned() {
                return Value::Poison;
            }
            let (a, b) = (self.describe(a), self.describe(b));
            return self.fail(e, messages::BRANCH_TYPES, &[&a, &b]);
        };
        let mut out = Vec::new();
        for (x, y) in pairs {
            let elem = self.elem_of(&x).or(self.elem_of(&y)).unwrap_or(self.default_float);
            let (x, y) = (self.operand(x, elem, &whole), self.operand(y, elem, &whole));
            let (Some(x), Some(y)) = (x, y) else { return Value::Poison };
            let dims = self.b.ty(condition).dims.clone();
            for side in [x, y] {
                if !side.lane && self.b.ty(side.value).rank() > 0 {
                    return self.fail(e, messages::ARRAY_IN_CLOSURE, &[&text(e)]);
                }
            }
            let (Some(x), Some(y)) = (self.spread(x, &dims, e), self.spread(y, &dims, e)) else { return Value::Poison };
            if self.b.ty(x).elem != self.b.ty(y).elem {
                let (x, y) = (self.b.ty(x).elem.name(), self.b.ty(y).elem.name());
                return self.fail(e, messages::BRANCH_TYPES, &[&format!("`{x}`"), &format!("`{y}`")]);
            }
            out.push(Operand::wrap(self.emit(e, Elementwise::Select, &[condition, x, y]), true));
        }
        a.with_leaves(&mut out.into_iter())
    }
}
