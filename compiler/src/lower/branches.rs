//! `if`: a branch of the IR, or inside element-wise closures a selection.

use super::exits::{Joining, is_hidden};
use super::operators::Operand;
use super::value::{Number, Value};
use super::{Lowering, span_of, text};
use crate::diagnostics::messages;
use crate::ir::{Body, Control, Dim, Elem, Elementwise, Literal, Note, Op, ValueId};

/// One side of a branch after lowering: its value, and what the variables around it stand for at its end.
struct Side {
    value: Value,
    state: Vec<Value>,
    body: Body,
    /// Whether its end is not reached.
    ended: bool,
}

/// Two sides of a branch that become one value, and whether one of them need not give it.
struct Pair {
    then: Value,
    otherwise: Value,
    optional: bool,
}

impl Lowering<'_> {
    /// `if c { … } else { … }`, as an expression or a statement.
    pub(super) fn branch(&mut self, e: &syn::ExprIf) -> Value {
        self.branch_at(e, false)
    }

    /// [`branch`](Self::branch), perhaps at the tail of the body that exits leave.
    pub(super) fn branch_at(&mut self, e: &syn::ExprIf, tail: bool) -> Value {
        if let Some(condition) = let_in(&e.cond) {
            let instead = "a comparison, or `.unwrap()` on the `Option` that `mean` gives";
            return self.fail(condition, messages::UNSUPPORTED_EXPRESSION, &["`let` in a condition", instead]);
        }
        let condition = self.condition(&e.cond);
        let then = |this: &mut Self| this.block_at(&e.then_branch, tail);
        let otherwise = |this: &mut Self| match &e.else_branch {
            Some((_, other)) if tail => this.tail_expr(other),
            Some((_, other)) => this.expr(other),
            None => Value::Unit,
        };
        self.choose(e, &e.cond, condition, then, otherwise, self.joining(tail, e.else_branch.is_some()))
    }

    /// One value or another, and what the variables stand for after it: a branch, or inside element-wise closures a selection.
    pub(super) fn choose(
        &mut self,
        e: &dyn quote::ToTokens,
        condition_expr: &syn::Expr,
        condition: Option<Operand>,
        then: impl FnOnce(&mut Self) -> Value,
        otherwise: impl FnOnce(&mut Self) -> Value,
        joining: Joining,
    ) -> Value {
        if self.closure.is_some() {
            return self.select(e, condition_expr, condition, then, otherwise, joining);
        }
        let before = self.scope.values();
        let then = self.side(&before, then);
        let otherwise = self.side(&before, otherwise);
        self.scope.restore(&before);
        let Some(condition) = condition else {
            self.poison_changed(&before, &then.state, &otherwise.state);
            return Value::Poison;
        };
        self.join(e, condition.value, before, then, otherwise, joining)
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
            Some(left) => self.join(e, left.value, before, then, otherwise, Joining { has_else: true, variables: true }),
            None => Value::Poison,
        }
    }

    /// Lowers one side into a body of its own.
    fn side(&mut self, before: &[Value], lower: impl FnOnce(&mut Self) -> Value) -> Side {
        self.scope.restore(before);
        self.b.open();
        let outer_ended = std::mem::replace(&mut self.ended, false);
        let value = lower(self);
        let ended = std::mem::replace(&mut self.ended, outer_ended);
        let state = self.scope.values();
        let body = self.b.close(Vec::new());
        self.forget_inner_lengths();
        Side { value, state, body, ended }
    }

    /// Appends the branch, with the value of the `if` and the changed variables as its results.
    fn join(
        &mut self,
        e: &dyn quote::ToTokens,
        condition: ValueId,
        before: Vec<Value>,
        mut then: Side,
        mut otherwise: Side,
        joining: Joining,
    ) -> Value {
        if !joining.has_else && !then.ended && !matches!(then.value, Value::Unit | Value::Poison) {
            self.error(e, messages::IF_WITHOUT_ELSE, &[]);
            self.poison_changed(&before, &then.state, &otherwise.state);
            return Value::Poison;
        }
        self.ended = then.ended && otherwise.ended;
        let changed: Vec<usize> = (0..before.len())
            .filter(|_| joining.variables)
            .filter(|&k| !then.state[k].is_same(&before[k]) || !otherwise.state[k].is_same(&before[k]))
            .collect();
        let mut outs: Vec<Option<Value>> = Vec::new();
        // A side whose end is not reached gives no value.
        let value = Pair {
            then: if then.ended { Value::Unit } else { then.value.clone() },
            otherwise: if otherwise.ended { Value::Unit } else { otherwise.value.clone() },
            optional: then.ended || otherwise.ended,
        };
        let variable = |&k: &usize| Pair {
            then: then.state[k].clone(),
            otherwise: otherwise.state[k].clone(),
            optional: is_hidden(&self.scope.at(k).name),
        };
        let pairs: Vec<Pair> = std::iter::once(value).chain(changed.iter().map(variable)).collect();
        let mut n_leaves = Vec::new();
        for pair in &pairs {
            let joined = self.join_leaves(e, pair);
            n_leaves.push(joined.as_ref().map(Vec::len));
            outs.push(joined.as_ref().map(|_| pair.tree().clone()));
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
    fn join_leaves(&mut self, e: &dyn quote::ToTokens, pair: &Pair) -> Option<Vec<(ValueId, ValueId)>> {
        let (a, b) = (&pair.then, &pair.otherwise);
        if a.is_poisoned() || b.is_poisoned() {
            return None;
        }
        if pair.optional && matches!(a, Value::Unit) != matches!(b, Value::Unit) {
            let mut out = Vec::new();
            for leaf in pair.tree().leaves()? {
                let elem = self.elem_of(&leaf);
                let given = self.leaf(leaf, elem, e)?;
                let absent = self.absent(e, given)?;
                out.push(if matches!(a, Value::Unit) { (absent, given) } else { (given, absent) });
            }
            return Some(out);
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

    /// What stands for a value on the side that does not give it: zeros, which nobody looks at.
    fn absent(&mut self, e: &dyn quote::ToTokens, given: ValueId) -> Option<ValueId> {
        let ty = self.b.ty(given).clone();
        if let Some(&dim) = ty.dims.iter().find(|&&d| matches!(d, Dim::Sym(id) if self.computed.contains(&id) && !self.b.is_bound(id))) {
            let length = self.dim_text(dim);
            self.error(e, messages::RUNTIME_LENGTH, &[&length, "that of the other branch"]);
            return None;
        }
        self.b.set_default_note(Note::of_source(&text(e), span_of(e)).part());
        Some(self.b.zeros(&ty))
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
            Value::Tuple(_) | Value::Struct(_) | Value::Option(..) | Value::Lengths(_) | Value::Axis(_) => None,
            Value::Fixed(_) | Value::Iter(_) | Value::Closure(_) | Value::Unit | Value::Poison => None,
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
        e: &dyn quote::ToTokens,
        condition_expr: &syn::Expr,
        condition: Option<Operand>,
        then: impl FnOnce(&mut Self) -> Value,
        otherwise: impl FnOnce(&mut Self) -> Value,
        joining: Joining,
    ) -> Value {
        let (Some(closure), Some(condition)) = (self.closure.clone(), condition) else {
            // The sides may still have errors of their own.
            let before = self.scope.values();
            then(self);
            otherwise(self);
            self.scope.restore(&before);
            return Value::Poison;
        };
        let Some(condition) = self.spread(condition, &closure.dims, condition_expr) else { return Value::Poison };
        let Some(opposite) = self.part(condition_expr, Elementwise::Not, &[condition]) else { return Value::Poison };
        let before = self.scope.values();
        let mut sides = Vec::new();
        let mut run = |this: &mut Self, condition: ValueId, lower: &mut dyn FnMut(&mut Self) -> Value| {
            this.scope.restore(&before);
            let reached = match closure.reached {
                Some(outer) => this.part(condition_expr, Elementwise::And, &[outer, condition]),
                None => Some(condition),
            };
            this.set_reached(reached);
            let outer_ended = std::mem::replace(&mut this.ended, false);
            let value = lower(this);
            let ended = std::mem::replace(&mut this.ended, outer_ended);
            sides.push((if ended { Value::Unit } else { value }, this.scope.values(), ended));
        };
        let (mut then, mut otherwise) = (Some(then), Some(otherwise));
        run(self, condition, &mut |this| then.take().map_or(Value::Poison, |f| f(this)));
        run(self, opposite, &mut |this| otherwise.take().map_or(Value::Poison, |f| f(this)));
        self.set_reached(closure.reached);
        self.scope.restore(&before);
        let (b_value, b_state, b_ended) = sides.pop().unwrap_or((Value::Poison, Vec::new(), false));
        let (a_value, a_state, a_ended) = sides.pop().unwrap_or((Value::Poison, Vec::new(), false));
        if !joining.has_else && !a_ended && !matches!(a_value, Value::Unit | Value::Poison) {
            return self.fail(e, messages::IF_WITHOUT_ELSE, &[]);
        }
        self.ended = a_ended && b_ended;
        for k in (0..before.len()).filter(|_| joining.variables) {
            if !a_state[k].is_same(&before[k]) || !b_state[k].is_same(&before[k]) {
                let optional = is_hidden(&self.scope.at(k).name);
                let pair = Pair { then: a_state[k].clone(), otherwise: b_state[k].clone(), optional };
                let value = self.select_value(e, condition, &pair);
                self.assign_to(k, value);
            }
        }
        self.select_value(e, condition, &Pair { then: a_value, otherwise: b_value, optional: a_ended || b_ended })
    }

    fn set_reached(&mut self, reached: Option<ValueId>) {
        if let Some(closure) = &mut self.closure {
            closure.reached = reached;
        }
    }

    /// For each element the value of one side.
    fn select_value(&mut self, e: &dyn quote::ToTokens, condition: ValueId, pair: &Pair) -> Value {
        let (a, b) = (&pair.then, &pair.otherwise);
        if a.is_same(b) {
            return a.clone();
        }
        let whole = syn::Expr::Verbatim(e.to_token_stream());
        if pair.optional && matches!(a, Value::Unit) != matches!(b, Value::Unit) {
            // Elements for which there is no value, of which nobody looks at the one they get.
            return match pair.tree() {
                tree if self.elem_of(tree) != Some(Elem::Bool) => tree.clone(),
                noted => match self.operand(noted.clone(), Elem::Bool, &whole) {
                    Some(noted) => {
                        let dims = self.b.ty(condition).dims.clone();
                        let noted = self.spread(noted, &dims, e);
                        let Some(noted) = noted else { return Value::Poison };
                        let here = if matches!(a, Value::Unit) { self.part(e, Elementwise::Not, &[condition]) } else { Some(condition) };
                        Operand::wrap(here.and_then(|here| self.part(e, Elementwise::And, &[here, noted])), true)
                    }
                    None => Value::Poison,
                },
            };
        }
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

impl Pair {
    /// The side that has a value.
    fn tree(&self) -> &Value {
        if self.optional && matches!(self.then, Value::Unit) { &self.otherwise } else { &self.then }
    }
}

/// The `let` in a condition, which may be a chain.
fn let_in(condition: &syn::Expr) -> Option<&syn::Expr> {
    match condition {
        syn::Expr::Let(_) => Some(condition),
        syn::Expr::Binary(b) => let_in(&b.left).or(let_in(&b.right)),
        _ => None,
    }
}
