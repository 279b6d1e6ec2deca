//! `while` and `loop`.
//!
//! Without a bound they are [`Control::While`]. With `#[bound(n)]` they are a counted loop of `n` turns whose body is a branch: after the last real turn the
//! others do nothing. A check after the loop says that `n` turns were enough.

use super::exits::{Joining, has_break};
use super::loops::Changing;
use super::operators::Operand;
use super::value::Value;
use super::{Lowering, span_of, text};
use crate::diagnostics::messages;
use crate::ir::{Control, Elem, Elementwise, Note, Op, Type};

/// A loop whose number of turns is not known before it.
struct Repetition<'e> {
    /// `while` or `loop`.
    token: &'e dyn quote::ToTokens,
    /// The condition of a `while` loop.
    condition: Option<&'e syn::Expr>,
    body: &'e syn::Block,
    attributes: &'e [syn::Attribute],
    /// The head of the loop, for messages.
    head: String,
}

impl Lowering<'_> {
    pub(super) fn while_loop(&mut self, e: &syn::ExprWhile) -> Value {
        if let syn::Expr::Let(condition) = &*e.cond {
            let instead = "a comparison";
            return self.fail(condition, messages::UNSUPPORTED_EXPRESSION, &["`while let`", instead]);
        }
        let head = format!("while {}", text(&e.cond));
        self.repetition(&Repetition { token: &e.while_token, condition: Some(&e.cond), body: &e.body, attributes: &e.attrs, head })
    }

    pub(super) fn endless_loop(&mut self, e: &syn::ExprLoop) -> Value {
        if !has_break(&e.body) {
            return self.fail(&e.loop_token, messages::ENDLESS_LOOP, &[]);
        }
        self.repetition(&Repetition { token: &e.loop_token, condition: None, body: &e.body, attributes: &e.attrs, head: "loop".to_owned() })
    }

    fn repetition(&mut self, e: &Repetition) -> Value {
        if self.closure.is_some() {
            return self.fail(&e.token, messages::ELEMENT_LOOP, &[]);
        }
        let (mark, n_errors) = (self.scope.mark(), self.diags.n_errors());
        let running = has_break(e.body).then(|| {
            let on = self.truth(&e.token, true);
            self.scope.bind(" running", on);
            mark
        });
        match e.attributes.iter().find(|attribute| attribute.path().is_ident("bound")) {
            Some(attribute) => match attribute.parse_args::<syn::Expr>() {
                Ok(bound) => self.bounded(e, &bound, running),
                Err(_) => {
                    self.error(attribute, messages::BOUND_ATTRIBUTE, &["has one argument"]);
                    self.unbounded(e, running);
                }
            },
            None => self.unbounded(e, running),
        }
        self.scope.cut(mark);
        if self.diags.n_errors() > n_errors { Value::Poison } else { Value::Unit }
    }

    /// Whether there is another turn.
    fn goes_on(&mut self, e: &Repetition, running: Option<usize>) -> Option<Operand> {
        let running = running.map(|position| self.scope.at(position).value.clone());
        match (running, e.condition) {
            (Some(Value::Tensor(value)), None) => Some(Operand { value, lane: false }),
            (None, Some(condition)) => self.condition(condition),
            // After a `break`, the condition is not asked.
            (Some(Value::Tensor(value)), Some(condition)) => {
                let ask = |this: &mut Self| Operand::wrap(this.condition(condition).map(|c| c.value), false);
                let running = Some(Operand { value, lane: false });
                let joining = Joining { has_else: true, variables: true };
                match self.choose(condition, condition, running, ask, |this| this.truth(condition, false), joining) {
                    Value::Tensor(value) => Some(Operand { value, lane: false }),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What the loop changes, the hidden variable of its `break` included.
    fn changed_by(&mut self, e: &Repetition, running: Option<usize>) -> Changing {
        let condition = e.condition.map(|condition| syn::Stmt::Expr(condition.clone(), None));
        self.changing(condition.iter().chain(&e.body.stmts), running, &e.token)
    }

    fn unbounded(&mut self, e: &Repetition, running: Option<usize>) {
        let changing = self.changed_by(e, running);
        self.b.open();
        self.carried_parameters(&changing, &e.token);
        let state = self.scope.values();
        let goes_on = self.goes_on(e, running);
        let changes = (0..state.len()).find(|&k| !state[k].is_same(&self.scope.at(k).value));
        if let (Some(k), Some(condition)) = (changes, e.condition) {
            let name = self.scope.at(k).name.trim_start().to_owned();
            self.error(condition, messages::CONDITION_CHANGES, &[&name]);
        }
        let condition = self.b.close(goes_on.iter().map(|c| c.value).collect());
        self.forget_inner_lengths();
        self.scope.restore(&changing.before);

        self.b.open();
        self.carried_parameters(&changing, &e.token);
        self.turn_of(e, running);
        let next = self.next_values(&changing, &e.token);
        let failed = next.is_none() || goes_on.is_none() || changes.is_some();
        let turn = self.b.close(next.unwrap_or_default());
        let bodies = vec![condition, turn];
        self.finish_loop(&changing, Op::Control(Control::While), bodies, failed, &e.token, &e.head);
    }

    fn bounded(&mut self, e: &Repetition, bound: &syn::Expr, running: Option<usize>) {
        let limit = self.expr(bound);
        let trip = self.dim_of_length(&limit, "turns", bound);
        let changing = self.changed_by(e, running);
        self.b.open();
        self.b.param(Type::scalar(Elem::Usize), Note::at(span_of(&e.token)));
        self.carried_parameters(&changing, &e.token);
        let goes_on = self.goes_on(e, running);
        let failed = goes_on.is_none() || trip.is_none();
        let whole = syn::Expr::Verbatim(e.token.to_token_stream());
        let joining = Joining { has_else: true, variables: true };
        let turn = |this: &mut Self| {
            this.turn_of(e, running);
            Value::Unit
        };
        self.choose(&e.token, e.condition.unwrap_or(&whole), goes_on, turn, |_| Value::Unit, joining);
        let next = self.next_values(&changing, &e.token);
        let failed = failed || next.is_none();
        let body = self.b.close(next.unwrap_or_default());
        let trip = trip.map_or(crate::ir::Dim::Const(0), |trip| self.b.current_dim(trip));
        self.finish_loop(&changing, Op::Control(Control::For { trip, reverse: false }), vec![body], failed, &e.token, &e.head);
        if failed {
            return;
        }
        let Some(goes_on) = self.goes_on(e, running) else { return };
        let Some(ended) = self.part(&e.token, Elementwise::Not, &[goes_on.value]) else { return };
        let message = format!("`{}` takes more turns than `#[bound({})]` allows; state a larger bound", e.head, text(bound));
        self.part(&e.token, Op::Control(Control::Check { message: message.into() }), &[ended]);
    }

    fn turn_of(&mut self, e: &Repetition, running: Option<usize>) {
        let value = self.turn(e.body, running);
        self.nothing_at_the_end(value, e.body);
    }
}
