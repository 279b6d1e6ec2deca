//! `return`, `break` and `continue`: ways to leave a body before its end.
//!
//! The IR has none, so the rest of the body becomes conditional. Where a statement leaves the body on one side of an `if`, the rest is the other side
//! ([`Lowering::sequence`]); that is all it takes for `if x < 0.0 { return y; }`. Otherwise the exit is noted in a hidden variable, and the rest runs where that
//! says so. At the end of a body (its *tail*) leaving it changes nothing, and `return x` is `x`.
//!
//! Hidden variables have names that begin with a space. They are [`Value::Unit`] as long as nothing has been noted, and zero, which is also `false`, in the
//! branches that do not note anything.

use syn::visit::Visit;

use super::operators::Operand;
use super::value::Value;
use super::{Lowering, text};
use crate::diagnostics::messages;
use crate::ir::{Elem, Literal, Op};

/// A body that can be left early.
pub(super) struct Target {
    kind: TargetKind,
    /// The position of the hidden variable that says whether the body has been left.
    left: usize,
}

#[derive(Clone, Copy)]
pub(super) enum TargetKind {
    /// The body of a function or closure, which `return` leaves. Its value stands in the hidden variable of this position.
    Function { result: usize },
    /// A turn of a loop, which `continue` leaves, and `break` for good: the hidden variable of this position says whether the loop goes on. It is there if
    /// the loop has a `break`.
    Loop { running: Option<usize> },
}

/// Whether a variable is hidden.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with(' ')
}

impl Lowering<'_> {
    /// The body of a function or a closure, which `return` leaves.
    pub(super) fn returning(&mut self, lower: impl FnOnce(&mut Self) -> Value) -> Value {
        let mark = self.scope.mark();
        self.scope.bind(" result", Value::Unit);
        let outer_ended = std::mem::replace(&mut self.ended, false);
        let value = self.with_target(TargetKind::Function { result: mark }, lower);
        self.ended = outer_ended;
        self.scope.cut(mark);
        value
    }

    /// One turn of a loop; `running` as in [`TargetKind::Loop`].
    pub(super) fn turn(&mut self, body: &syn::Block, running: Option<usize>) -> Value {
        let mark = self.scope.mark();
        let value = self.with_target(TargetKind::Loop { running }, |this| this.sequence(&body.stmts, true));
        self.scope.cut(mark);
        value
    }

    fn with_target(&mut self, kind: TargetKind, lower: impl FnOnce(&mut Self) -> Value) -> Value {
        let left = self.scope.mark();
        self.scope.bind(" left", Value::Unit);
        self.targets.push(Target { kind, left });
        let value = lower(self);
        self.targets.pop();
        value
    }

    /// Statements in the open block, and the value of the last one, if it has no semicolon. At the `tail` of the body that exits leave, nothing follows.
    pub(super) fn sequence(&mut self, stmts: &[syn::Stmt], tail: bool) -> Value {
        for (k, stmt) in stmts.iter().enumerate() {
            let rest = &stmts[k + 1..];
            if let syn::Stmt::Expr(e, semicolon) = stmt {
                if rest.is_empty() && semicolon.is_none() {
                    return if tail { self.tail_expr(e) } else { self.expr(e) };
                }
                if always_exits(e) {
                    return if tail { self.tail_expr(e) } else { self.expr(e) };
                }
                if may_exit_stmt(stmt)
                    && let Some(value) = self.exit_or_rest(e, rest, tail)
                {
                    return value;
                }
            }
            let value = self.statement(stmt);
            if self.ended {
                return self.left_value(tail);
            }
            if rest.is_empty() {
                return value;
            }
            if may_exit_stmt(stmt)
                && let Some(left) = self.left()
            {
                return self.unless_left(stmt, left, tail, |this| this.sequence(rest, tail));
            }
        }
        Value::Unit
    }

    /// A statement that is an `if` or `match` of which all sides but one leave the body: on that one, the rest follows. `None` for other statements.
    fn exit_or_rest(&mut self, e: &syn::Expr, rest: &[syn::Stmt], tail: bool) -> Option<Value> {
        match e {
            syn::Expr::If(branch) if !matches!(&*branch.cond, syn::Expr::Let(_)) => {
                let otherwise = branch.else_branch.as_ref().map(|(_, e)| &**e);
                let ends = [block_exits(&branch.then_branch), otherwise.is_some_and(always_exits)];
                if !ends.contains(&true) {
                    return None;
                }
                let condition = self.condition(&branch.cond);
                let side = |this: &mut Self, ends: bool, lower: &dyn Fn(&mut Self, bool) -> Value| {
                    if ends { lower(this, tail) } else { this.then_rest(e, rest, tail, |this| lower(this, false)) }
                };
                let then = |this: &mut Self, tail: bool| this.block_at(&branch.then_branch, tail);
                let other = |this: &mut Self, tail: bool| match otherwise {
                    Some(e) if tail => this.tail_expr(e),
                    Some(e) => this.expr(e),
                    None => Value::Unit,
                };
                Some(self.choose(
                    &e,
                    &branch.cond,
                    condition,
                    |this| side(this, ends[0], &then),
                    |this| side(this, ends[1], &other),
                    self.joining(tail, true),
                ))
            }
            syn::Expr::Match(m) if m.arms.iter().filter(|arm| !always_exits(&arm.body)).count() <= 1 => Some(self.match_arms(
                m,
                &|this: &mut Self, body: &syn::Expr| match always_exits(body) {
                    true if tail => this.tail_expr(body),
                    true => this.expr(body),
                    false => this.then_rest(e, rest, tail, |this| this.expr(body)),
                },
                self.joining(tail, true),
            )),
            _ => None,
        }
    }

    /// Something that may leave the body, and then the rest of the statements.
    fn then_rest(&mut self, at: &syn::Expr, rest: &[syn::Stmt], tail: bool, first: impl FnOnce(&mut Self) -> Value) -> Value {
        first(self);
        if self.ended {
            return self.left_value(tail);
        }
        match self.left() {
            Some(left) => self.unless_left(at, left, tail, |this| this.sequence(rest, tail)),
            None => self.sequence(rest, tail),
        }
    }

    /// The rest of a body, where it has not been left.
    fn unless_left(&mut self, at: &dyn quote::ToTokens, left: Operand, tail: bool, rest: impl FnOnce(&mut Self) -> Value) -> Value {
        let joining = self.joining(tail, true);
        let condition = syn::Expr::Verbatim(at.to_token_stream());
        let left_already = |this: &mut Self| {
            if !tail {
                this.ended = true;
                return Value::Unit;
            }
            this.left_value(tail)
        };
        let rest = |this: &mut Self| {
            this.forget_exit();
            rest(this)
        };
        self.choose(at, &condition, Some(left), left_already, rest, joining)
    }

    /// How the sides of a branch come together. What variables stand for no longer matters where the function ends with the branch.
    pub(super) fn joining(&self, tail: bool, has_else: bool) -> Joining {
        let function_ends = tail && matches!(self.targets.last(), Some(Target { kind: TargetKind::Function { .. }, .. }));
        Joining { has_else, variables: !function_ends }
    }

    /// A block whose end is the tail or is not.
    pub(super) fn block_at(&mut self, block: &syn::Block, tail: bool) -> Value {
        let mark = self.scope.mark();
        let value = self.sequence(&block.stmts, tail);
        self.scope.cut(mark);
        value
    }

    /// An expression at the tail of the body.
    pub(super) fn tail_expr(&mut self, e: &syn::Expr) -> Value {
        match e {
            syn::Expr::Return(_) | syn::Expr::Break(_) | syn::Expr::Continue(_) => self.exit(e, true),
            syn::Expr::Paren(p) => self.tail_expr(&p.expr),
            syn::Expr::Group(p) => self.tail_expr(&p.expr),
            syn::Expr::Block(b) if b.label.is_none() && may_exit(e) => self.block_at(&b.block, true),
            syn::Expr::If(branch) if may_exit(e) => self.branch_at(branch, true),
            syn::Expr::Match(m) if may_exit(e) => self.match_at(m, true),
            _ => {
                let value = self.expr(e);
                match self.left() {
                    Some(left) if !self.ended && may_exit(e) => self.unless_left(e, left, true, |_| value),
                    _ if self.ended => self.left_value(true),
                    _ => value,
                }
            }
        }
    }

    /// `return`, `break` or `continue`.
    pub(super) fn exit(&mut self, e: &syn::Expr, tail: bool) -> Value {
        let target = self.targets.last().map(|target| (target.kind, target.left));
        let value = match (e, target) {
            (syn::Expr::Return(r), Some((TargetKind::Function { result }, _))) => {
                let value = r.expr.as_ref().map_or(Value::Unit, |e| self.expr(e));
                if tail {
                    return value;
                }
                self.scope.assign(result, value);
                Value::Unit
            }
            (syn::Expr::Return(r), _) => return self.fail(&r.return_token, messages::RETURN_IN_A_LOOP, &[]),
            (syn::Expr::Break(b), _) if b.label.is_some() || b.expr.is_some() => {
                let what = if b.expr.is_some() { "gives the loop a value" } else { "names a loop" };
                return self.fail(e, messages::LOOP_EXIT, &[&text(e), what]);
            }
            (syn::Expr::Continue(c), _) if c.label.is_some() => {
                return self.fail(e, messages::LOOP_EXIT, &[&text(e), "names a loop"]);
            }
            (syn::Expr::Break(_), Some((TargetKind::Loop { running: Some(running) }, _))) => {
                let stopped = self.truth(e, false);
                self.scope.assign(running, stopped);
                Value::Unit
            }
            (syn::Expr::Continue(_), Some((TargetKind::Loop { .. }, _))) => Value::Unit,
            // rustc reports it.
            _ => return Value::Poison,
        };
        if !tail && let Some((_, left)) = target {
            let noted = self.truth(e, true);
            self.scope.assign(left, noted);
            self.ended = true;
        }
        value
    }

    pub(super) fn truth(&mut self, at: &dyn quote::ToTokens, holds: bool) -> Value {
        Operand::wrap(self.part(at, Op::Const(Elem::Bool, Literal::Bool(holds)), &[]), false)
    }

    /// Whether the body has been left, if that has been noted.
    fn left(&self) -> Option<Operand> {
        match self.scope.at(self.targets.last()?.left).value {
            Value::Tensor(value) => Some(Operand { value, lane: false }),
            Value::Lane(value) => Some(Operand { value, lane: true }),
            _ => None,
        }
    }

    /// The value of a body that has been left, which at its tail is what `return` has noted.
    fn left_value(&mut self, tail: bool) -> Value {
        if !tail {
            return Value::Unit;
        }
        self.ended = false;
        let value = match self.targets.last() {
            Some(Target { kind: TargetKind::Function { result }, .. }) => self.scope.at(*result).value.clone(),
            Some(Target { kind: TargetKind::Loop { .. }, .. }) | None => Value::Unit,
        };
        self.forget_exit();
        value
    }

    /// In a branch that is taken where the body has not been left, or in which the exit has had its effect.
    fn forget_exit(&mut self) {
        let Some(target) = self.targets.last() else { return };
        let (left, kind) = (target.left, target.kind);
        self.scope.assign(left, Value::Unit);
        if let TargetKind::Function { result } = kind {
            self.scope.assign(result, Value::Unit);
        }
    }
}

/// How the sides of a branch come together.
#[derive(Clone, Copy)]
pub(super) struct Joining {
    /// Whether the branch has an `else`.
    pub(super) has_else: bool,
    /// Whether variables are looked at afterwards.
    pub(super) variables: bool,
}

/// Whether every way through an expression leaves the body.
pub(super) fn always_exits(e: &syn::Expr) -> bool {
    match e {
        syn::Expr::Return(_) | syn::Expr::Break(_) | syn::Expr::Continue(_) => true,
        syn::Expr::Paren(p) => always_exits(&p.expr),
        syn::Expr::Group(p) => always_exits(&p.expr),
        syn::Expr::Block(b) => b.label.is_none() && block_exits(&b.block),
        syn::Expr::If(branch) => {
            block_exits(&branch.then_branch) && branch.else_branch.as_ref().is_some_and(|(_, otherwise)| always_exits(otherwise))
        }
        syn::Expr::Match(m) => !m.arms.is_empty() && m.arms.iter().all(|arm| always_exits(&arm.body)),
        _ => false,
    }
}

fn block_exits(block: &syn::Block) -> bool {
    block.stmts.iter().any(|stmt| matches!(stmt, syn::Stmt::Expr(e, _) if always_exits(e)))
}

/// Whether an expression may leave the body in which it stands.
pub(super) fn may_exit(e: &syn::Expr) -> bool {
    let mut exits = Exits::default();
    exits.visit_expr(e);
    exits.found
}

fn may_exit_stmt(stmt: &syn::Stmt) -> bool {
    let mut exits = Exits::default();
    exits.visit_stmt(stmt);
    exits.found
}

/// Whether a loop with this body has a `break` of its own.
pub(super) fn has_break(body: &syn::Block) -> bool {
    let mut exits = Exits { only_break: true, ..Exits::default() };
    exits.visit_block(body);
    exits.found
}

/// Looks for exits, outside of closures, and for those of loops outside of nested loops.
#[derive(Default)]
struct Exits {
    found: bool,
    in_loop: bool,
    only_break: bool,
}

impl Exits {
    fn nested(&mut self, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.in_loop, true);
        visit(self);
        self.in_loop = outer;
    }
}

impl<'ast> Visit<'ast> for Exits {
    fn visit_expr_return(&mut self, _: &'ast syn::ExprReturn) {
        self.found |= !self.only_break;
    }

    fn visit_expr_break(&mut self, _: &'ast syn::ExprBreak) {
        self.found |= !self.in_loop;
    }

    fn visit_expr_continue(&mut self, _: &'ast syn::ExprContinue) {
        self.found |= !self.in_loop && !self.only_break;
    }

    fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}

    fn visit_item(&mut self, _: &'ast syn::Item) {}

    fn visit_expr_for_loop(&mut self, e: &'ast syn::ExprForLoop) {
        self.nested(|this| syn::visit::visit_expr_for_loop(this, e));
    }

    fn visit_expr_while(&mut self, e: &'ast syn::ExprWhile) {
        self.nested(|this| syn::visit::visit_expr_while(this, e));
    }

    fn visit_expr_loop(&mut self, e: &'ast syn::ExprLoop) {
        self.nested(|this| syn::visit::visit_expr_loop(this, e));
    }
}
