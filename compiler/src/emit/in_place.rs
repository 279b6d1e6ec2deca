//! Where an array may be changed where it stands.
//!
//! A statement that adds to or writes a part of an array changes the array's own buffer if nothing reads the array as it was afterwards: neither by itself,
//! nor through a value that is a slice of it, nor through one that is computed only where it is used. A loop whose carried array is only changed
//! in this way keeps it in one buffer, and so does a branch.

use proc_macro2::Ident;

use super::emitter::{Emitter, Open};
use super::index::Part;
use crate::ir::{Body, Control, Index, Op, Shape, Stmt, ValueId};

impl<'f> Emitter<'f> {
    /// The buffer of an array that the statement, one of the body that is being written, may change in place.
    pub(super) fn buffer_to_take(&self, array: ValueId, stmt: &Stmt) -> Option<Ident> {
        let Open { body, lent } = self.here();
        let is_local = body.params.contains(&array) || body.stmts.iter().any(|s| s.outs.contains(&array));
        let field = self.own_buffer(array)?;
        ((is_local || lent.contains(&array)) && self.is_last_reader(array, stmt, body)).then(|| field.clone())
    }

    /// Whether a carried array of a loop is in each turn only changed in place.
    pub(super) fn is_changed_in_place(&self, body: &Body, param: ValueId, next: ValueId) -> bool {
        self.origin(body, next) == Some(param) && next != param
    }

    /// The array from which `value` is made by changes in place within a body alone: a parameter of the body, or a value from outside.
    pub(super) fn origin(&self, body: &Body, mut value: ValueId) -> Option<ValueId> {
        loop {
            let Some(stmt) = body.stmts.iter().find(|s| s.outs.contains(&value)) else { return Some(value) };
            let before = self.changed_array(stmt, value)?;
            if !self.is_last_reader(before, stmt, body) {
                return None;
            }
            value = before;
        }
    }

    /// The array that a statement may change in place to give `out`.
    fn changed_array(&self, stmt: &Stmt, out: ValueId) -> Option<ValueId> {
        let k = stmt.outs.iter().position(|&o| o == out).expect("the statement gives it");
        match &stmt.op {
            Op::Index(Index::Add(_) | Index::Write(_) | Index::ScatterAdd { .. }) => Some(stmt.args[0]),
            Op::Control(Control::For { .. }) => {
                let body = &stmt.bodies[0];
                let &init = stmt.args.get(k)?;
                (self.func.ty(out).rank() > 0 && self.is_changed_in_place(body, body.params[k + 1], body.results[k])).then_some(init)
            }
            Op::Control(Control::While) => {
                // The condition is computed before each turn, and only reads.
                let turn = &stmt.bodies[1];
                (self.func.ty(out).rank() > 0 && self.is_changed_in_place(turn, turn.params[k], turn.results[k])).then_some(stmt.args[k])
            }
            Op::Control(Control::If) => self.changed_by_branch(stmt, k),
            Op::Call(_)
            | Op::Index(Index::Read(_) | Index::Gather { .. } | Index::TakeAlong { .. } | Index::PutAlong { .. })
            | Op::Control(Control::Check { .. })
            | Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Linalg(_) => None,
        }
    }

    /// The array from outside of a branch that either body changes in place, or leaves as it is, to give result `k`.
    pub(super) fn changed_by_branch(&self, stmt: &Stmt, k: usize) -> Option<ValueId> {
        let origins = [0, 1].map(|b: usize| self.origin(&stmt.bodies[b], stmt.bodies[b].results[k]));
        let array = origins[0]?;
        let changes = stmt.bodies.iter().any(|body| body.results[k] != array);
        // Nothing else that the branch gives is the array as it was.
        let others = stmt.bodies.iter().any(|body| (0..body.results.len()).any(|j| j != k && self.may_show(body, body.results[j], array)));
        (origins[1] == Some(array) && changes && !others && self.func.ty(array).rank() > 0).then_some(array)
    }

    /// Whether a value of a body may be a part of an array from around it, or not be computed yet.
    fn may_show(&self, body: &Body, value: ValueId, array: ValueId) -> bool {
        value == array || body.stmts.iter().any(|s| s.outs.contains(&value) && self.shows_operands(s, value))
    }

    /// Whether no one reads an array, as it is before the statement, once the statement begins to change it.
    fn is_last_reader(&self, array: ValueId, stmt: &Stmt, body: &Body) -> bool {
        let at = body.stmts.iter().position(|s| s.outs == stmt.outs).expect("a statement of the body");
        let by_itself = match &stmt.op {
            // Both bodies are looked at by themselves.
            Op::Control(Control::If | Control::Check { .. }) => true,
            Op::Control(Control::For { .. } | Control::While) => !stmt.bodies.iter().any(|b| b.captures().contains(&array)),
            Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Index(_)
            | Op::Call(_)
            | Op::Linalg(_) => true,
        };
        by_itself && stmt.args.iter().filter(|&&a| a == array).count() <= 1 && self.reads_end_before(array, at, body, true)
    }

    /// Whether everything that reads the elements of `value` is a statement before number `at`; with `itself` that one may use the value too.
    fn reads_end_before(&self, value: ValueId, at: usize, body: &Body, itself: bool) -> bool {
        if body.results.contains(&value) {
            return false;
        }
        body.stmts.iter().enumerate().all(|(k, stmt)| {
            let used = stmt.args.contains(&value) || stmt.bodies.iter().any(|b| b.captures().contains(&value));
            if !used || (itself && k == at) {
                return true;
            }
            let shown = stmt.outs.iter().filter(|&&out| self.shows_operands(stmt, out));
            k < at && shown.copied().all(|out| self.reads_end_before(out, at, body, false))
        })
    }

    /// Whether a result of a statement may be a part of an operand's memory, or is computed only where it is used.
    fn shows_operands(&self, stmt: &Stmt, out: ValueId) -> bool {
        if self.func.ty(out).rank() == 0 {
            return self.plan.inlined[out.0 as usize];
        }
        !self.plan.in_memory[out.0 as usize]
            || matches!(stmt.op, Op::Control(_) | Op::Shape(Shape::Reshape { .. }))
            || Part::read_by(self.func, stmt) == Some(Part::Slice)
    }
}
