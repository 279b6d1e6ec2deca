//! Forward mode: every statement is followed by the one that computes its tangent.
//!
//! Control flow keeps its shape: a loop carries the tangents of what it carries, a branch gives the tangents of what it gives. Which carried
//! values have a tangent at all is found by a fixpoint before anything is built.

use super::call::{Mode, refuse_tangents_of_calls, tangents};
use super::copy::{Env, copy, copy_params};
use super::dependence::{Marks, spread};
use super::{DeriveError, check_wrt, checked};
use crate::ir::{Body, Builder, Control, Func, Linalg, Note, Op, Stmt, ValueId};
use crate::ops::linalg::eigenvalues_dot;

/// Forward mode: the parameters of `f`, then one tangent for each parameter in `wrt`; gives the results of `f`, then the tangent of each float
/// result, that is, the Jacobian applied to the given tangents.
///
/// # Errors
/// [`DeriveError`] if a function is called that has a rule of reverse mode only.
///
/// # Panics
/// If `wrt` is not an ascending list of positions of float parameters.
pub fn jvp(f: &Func, wrt: &[usize]) -> Result<Func, DeriveError> {
    let jvp = labelled(f, wrt, Note::tangent, Mode::Forward);
    refuse_tangents_of_calls(&jvp)?;
    Ok(jvp)
}

/// [`jvp`] with a choice of the notes on tangents, and for functions with rules of which to take.
pub(super) fn labelled(f: &Func, wrt: &[usize], label: fn(&Note) -> Note, mode: Mode) -> Func {
    check_wrt(f, wrt);
    let mut b = Builder::with_dims_of(format!("{}_jvp", f.name), f);
    let mut primal = Env::new(f);
    let mut dots = Env::new(f);
    let mut active = Marks::default();
    copy_params(&mut b, f, f.params(), &mut primal);
    for &k in wrt {
        let p = f.params()[k];
        let dot = b.param(f.ty(p).clone(), label(f.note(p)));
        dots.set(p, dot);
        active.add(p);
    }
    spread(&f.body, &mut active, &|stmt, active| {
        let moves = |&out: &ValueId| f.ty(out).elem.is_float() && stmt.args.iter().any(|&a| f.ty(a).elem.is_float() && active.has(a));
        !matches!(stmt.op, Op::Control(_)) && !stmt.op.is_flat() && stmt.outs.iter().any(moves)
    });
    let mut pass = Forward { f, b, primal, dots, active, label, mode };
    pass.stmts(&f.body);
    let mut results = pass.primal.get_all(f.results());
    for &r in f.results() {
        if f.ty(r).elem.is_float() {
            results.push(pass.dot_or_zeros(r));
        }
    }
    checked(pass.b.finish(results), "jvp")
}

struct Forward<'f> {
    f: &'f Func,
    b: Builder,
    /// The copy of each value of `f`.
    primal: Env,
    /// The tangent of each value of `f`; none for zero.
    dots: Env,
    /// The values of `f` that have a tangent, with those beside them that are no floats; see [`is_active`](Self::is_active).
    active: Marks,
    label: fn(&Note) -> Note,
    mode: Mode,
}

impl Forward<'_> {
    fn stmts(&mut self, body: &Body) {
        for stmt in &body.stmts {
            match &stmt.op {
                Op::Control(Control::For { .. }) => self.run_loop(stmt),
                Op::Control(Control::If) => self.branch(stmt),
                Op::Control(Control::While) => self.run_while(stmt),
                Op::Control(Control::Check { .. }) => copy(&mut self.b, self.f, stmt, &mut self.primal),
                Op::Const(..)
                | Op::Elementwise(_)
                | Op::Reduce(_)
                | Op::Einsum(_)
                | Op::Shape(_)
                | Op::Index(_)
                | Op::Call(_)
                | Op::Linalg(_) => self.simple(stmt),
            }
        }
    }

    fn simple(&mut self, stmt: &Stmt) {
        let args = self.primal.get_all(&stmt.args);
        let outs = self.b.copy_stmt(self.f, stmt, &args, Vec::new());
        self.primal.set_all(&stmt.outs, &outs);
        let Some(&first) = stmt.outs.iter().find(|&&out| self.is_active(out)) else { return };
        let dots: Vec<Option<ValueId>> = stmt.args.iter().map(|&a| self.dots.find(a)).collect();
        let outer = self.b.set_default_note(self.f.note(first).derivative_part());
        if let (Op::Linalg(Linalg::Eigh), Some(dot)) = (&stmt.op, dots[0])
            && !self.is_read(stmt.outs[1])
        {
            // Eigenvectors that nobody reads need no derivative, which they might not have.
            let (dot, _) = eigenvalues_dot(&mut self.b, outs[1], dot);
            self.b.set_default_note(outer);
            self.b.set_note(dot, (self.label)(self.f.note(first)));
            self.dots.set(first, dot);
            return;
        }
        let out_dots = match &stmt.op {
            Op::Call(call) => tangents(&mut self.b, call, &args, &dots, self.mode),
            op => op.jvp(&mut self.b, &args, &outs, &dots),
        };
        self.b.set_default_note(outer);
        for (&out, dot) in stmt.outs.iter().zip(out_dots).filter(|&(&out, _)| self.f.ty(out).elem.is_float()) {
            let dot = dot.unwrap_or_else(|| panic!("{:?} gives no tangent, although it is not flat", stmt.op));
            // A rule may hand an operand's tangent on; that keeps its own name.
            if !dots.contains(&Some(dot)) {
                self.b.set_note(dot, (self.label)(self.f.note(out)));
            }
            self.dots.set(out, dot);
        }
    }

    /// Whether anything reads a value.
    fn is_read(&self, v: ValueId) -> bool {
        let mut read = self.f.results().contains(&v);
        self.f.body.walk(&mut |stmt| read |= stmt.args.contains(&v) || stmt.bodies.iter().any(|body| body.results.contains(&v)));
        read
    }

    /// Whether a value has a tangent. A statement with a tangent may have results beside it that have none, such as positions.
    fn is_active(&self, v: ValueId) -> bool {
        self.f.ty(v).elem.is_float() && self.active.has(v)
    }

    fn run_loop(&mut self, stmt: &Stmt) {
        let body = &stmt.bodies[0];
        let carried = &body.params[1..];
        let (next, stacked) = body.results.split_at(carried.len());
        // The tangents of active carried values are carried too.
        let active: Vec<usize> = (0..carried.len()).filter(|&k| self.is_active(carried[k])).collect();
        let mut args = self.primal.get_all(&stmt.args);
        for &k in &active {
            let dot = self.dot_or_zeros(stmt.args[k]);
            args.push(dot);
        }
        self.b.open();
        copy_params(&mut self.b, self.f, &body.params, &mut self.primal);
        for &k in &active {
            let dot = self.b.param(self.f.ty(carried[k]).clone(), (self.label)(self.f.note(carried[k])));
            self.dots.set(carried[k], dot);
        }
        self.stmts(body);
        let mut results = self.primal.get_all(next);
        for &k in &active {
            let dot = self.dot_or_zeros(next[k]);
            results.push(dot);
        }
        results.extend(self.primal.get_all(stacked));
        results.extend(stacked.iter().filter_map(|&s| self.dots.find(s)));
        let bodies = vec![self.b.close(results)];
        let outs = self.b.stmt(stmt.op.clone(), &args, bodies);
        // In the order of the results: carried, their tangents, stacked, their tangents.
        let (last, rows) = stmt.outs.split_at(carried.len());
        let mut outs = outs.into_iter();
        let mut next_out = || outs.next().expect("as many results as the body has");
        for &out in last {
            self.note_primal(out, next_out());
        }
        for &k in &active {
            self.note_dot(last[k], next_out());
        }
        for &out in rows {
            self.note_primal(out, next_out());
        }
        for (&out, &s) in rows.iter().zip(stacked) {
            if self.dots.find(s).is_some() {
                self.note_dot(out, next_out());
            }
        }
    }

    /// The condition looks at the primal values only, but is handed the tangents as well.
    fn run_while(&mut self, stmt: &Stmt) {
        let [condition, turn] = &stmt.bodies[..] else { unreachable!("a `while` loop has two bodies") };
        let active: Vec<usize> = (0..stmt.args.len()).filter(|&k| self.active.has(turn.params[k])).collect();
        let mut args = self.primal.get_all(&stmt.args);
        for &k in &active {
            let dot = self.dot_or_zeros(stmt.args[k]);
            args.push(dot);
        }
        self.b.open();
        self.while_params(condition, &active);
        for stmt in &condition.stmts {
            copy(&mut self.b, self.f, stmt, &mut self.primal);
        }
        let holds = self.primal.get_all(&condition.results);
        let first = self.b.close(holds);
        self.b.open();
        self.while_params(turn, &active);
        self.stmts(turn);
        let mut results = self.primal.get_all(&turn.results);
        for &k in &active {
            let dot = self.dot_or_zeros(turn.results[k]);
            results.push(dot);
        }
        let bodies = vec![first, self.b.close(results)];
        let outs = self.b.stmt(Control::While, &args, bodies);
        let (values, dots) = outs.split_at(stmt.outs.len());
        for (&out, &value) in stmt.outs.iter().zip(values) {
            self.note_primal(out, value);
        }
        for (&k, &dot) in active.iter().zip(dots) {
            self.note_dot(stmt.outs[k], dot);
        }
    }

    /// The parameters of a body of a `while` loop: the carried values, then the tangents of the active ones.
    fn while_params(&mut self, body: &Body, active: &[usize]) {
        copy_params(&mut self.b, self.f, &body.params, &mut self.primal);
        for &k in active {
            let carried = body.params[k];
            let dot = self.b.param(self.f.ty(carried).clone(), (self.label)(self.f.note(carried)));
            self.dots.set(carried, dot);
        }
    }

    fn branch(&mut self, stmt: &Stmt) {
        let active: Vec<usize> = (0..stmt.outs.len()).filter(|&k| self.is_active(stmt.outs[k])).collect();
        let mut bodies = Vec::with_capacity(2);
        for body in &stmt.bodies {
            self.b.open();
            self.stmts(body);
            let mut results = self.primal.get_all(&body.results);
            for &k in &active {
                let dot = self.dot_or_zeros(body.results[k]);
                results.push(dot);
            }
            bodies.push(self.b.close(results));
        }
        let args = self.primal.get_all(&stmt.args);
        let outs = self.b.stmt(stmt.op.clone(), &args, bodies);
        let (values, dots) = outs.split_at(stmt.outs.len());
        for (&out, &value) in stmt.outs.iter().zip(values) {
            self.note_primal(out, value);
        }
        for (&k, &dot) in active.iter().zip(dots) {
            self.note_dot(stmt.outs[k], dot);
        }
    }

    fn dot_or_zeros(&mut self, v: ValueId) -> ValueId {
        match self.dots.find(v) {
            Some(dot) => dot,
            None => self.b.zeros(self.f.ty(v)),
        }
    }

    fn note_primal(&mut self, v: ValueId, new: ValueId) {
        self.b.set_note(new, self.f.note(v).clone());
        self.primal.set(v, new);
    }

    fn note_dot(&mut self, v: ValueId, dot: ValueId) {
        self.b.set_note(dot, (self.label)(self.f.note(v)));
        self.dots.set(v, dot);
    }
}
