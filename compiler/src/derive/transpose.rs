//! A linear function, turned around: from the cotangents of its results to the cotangents of its parameters.
//!
//! First [`split`](super::split) takes out everything that does not depend on the linear parameters, so that no loop carries anything but linear values
//! and its turns can run in the opposite order. Then each body is walked twice: forwards for the coefficients that are made on the spot, backwards for the
//! cotangents.
//!
//! A loop of the transposed function runs the other way round. It carries the cotangents of the carried values, and running cotangents of the linear
//! values that the body captures; reading a part of such a value adds to the running cotangent in place.

use super::call::shares;
use super::copy::{Env, copy, splice};
use super::dependence::Marks;
use super::lengths::refuse_free_dims;
use super::split::{self, Lengths, spread_unknown};
use super::{DeriveError, checked, linearity};
use crate::ir::{Body, Builder, Control, Dim, Func, Index, Note, Op, Stmt, Type, ValueId};
use crate::ops::Operand;

/// Transposes `f`, which is linear in the parameters at the positions `linear`: the other parameters of `f`, then one cotangent for each
/// result; gives the cotangent of each parameter in `linear`.
///
/// # Errors
/// [`DeriveError`] if `f` is not linear in those parameters as far as [`linearity`] can prove, if a length that the result needs is known from none of
/// the other parameters and results, and as for [`split`](super::split).
///
/// # Panics
/// If `linear` is not an ascending list of positions of float parameters.
pub fn transpose(f: &Func, linear: &[usize]) -> Result<Func, DeriveError> {
    linearity(f, linear)?;
    if let Some(&r) = f.results().iter().find(|&&r| !f.ty(r).elem.is_float()) {
        return Err(DeriveError::new(f.note(r), "a linear function has only float results"));
    }
    let held: Vec<usize> = (0..f.params().len()).filter(|k| !linear.contains(k)).collect();
    let parts = split::divide(f, &held, &[], Lengths::Shared)?;
    let mut b = Builder::with_dims_of(format!("{}_transpose", f.name), &parts.unknown);
    let held: Vec<ValueId> = held.iter().map(|&k| f.params()[k]).collect();
    let held: Vec<ValueId> = held.iter().map(|&p| b.param(f.ty(p).clone(), f.note(p).clone())).collect();
    let bars: Vec<ValueId> = f.results().iter().map(|&r| b.param(f.ty(r).clone(), f.note(r).cotangent())).collect();
    let residuals = splice(&mut b, &parts.known, &held);
    let results = pull_back(&mut b, &parts.unknown, &residuals, &bars);
    let transposed = b.finish(results);
    refuse_free_dims(&transposed)?;
    Ok(checked(transposed, "transpose"))
}

/// Appends the transpose of `f`, the unknown part of a [`split::divide`], for given residuals and cotangents of the results; gives the cotangents of the other
/// parameters.
pub(super) fn pull_back(b: &mut Builder, f: &Func, residuals: &[ValueId], bars: &[ValueId]) -> Vec<ValueId> {
    let (known, inputs) = f.params().split_at(residuals.len());
    let mut linear = Marks::default();
    for &p in inputs {
        linear.add(p);
    }
    spread_unknown(&f.body, &mut linear);
    let mut pass = Backward { f, b, linear, reached: Marks::default(), known: Env::new(f), bars: Env::new(f) };
    pass.known.set_all(known, residuals);
    for (&r, &bar) in f.results().iter().zip(bars) {
        pass.accumulate(r, bar);
        pass.reach(r);
    }
    pass.reach_in(&f.body);
    pass.body(&f.body);
    inputs.iter().map(|&p| pass.bar_or_zeros(p)).collect()
}

struct Backward<'f, 'b> {
    f: &'f Func,
    b: &'b mut Builder,
    /// The values that depend on the linear parameters.
    linear: Marks,
    /// The linear values that get a cotangent.
    reached: Marks,
    /// The copies of the others.
    known: Env,
    /// The cotangents so far; none for zero.
    bars: Env,
}

impl Backward<'_, '_> {
    fn reach(&mut self, v: ValueId) -> bool {
        self.linear.has(v) && self.reached.add(v)
    }

    /// Marks the values of a body, and of the bodies around it, that get a cotangent from the marked ones. Says whether any is new.
    fn reach_in(&mut self, body: &Body) -> bool {
        let mut changed = false;
        for stmt in body.stmts.iter().rev() {
            match &stmt.op {
                Op::Control(Control::For { .. }) => loop {
                    let body = &stmt.bodies[0];
                    let mut again = false;
                    for (k, &r) in body.results.iter().enumerate() {
                        // A carried value's cotangent goes on to the turn before.
                        let carried = body.params[1..].get(k).filter(|_| k < stmt.args.len());
                        let has_bar = self.reached.has(stmt.outs[k]) || carried.is_some_and(|&p| self.reached.has(p));
                        if has_bar {
                            again |= self.reach(r);
                            if let Some(&init) = stmt.args.get(k) {
                                again |= self.reach(init);
                            }
                        }
                    }
                    again |= self.reach_in(body);
                    changed |= again;
                    if !again {
                        break;
                    }
                },
                // Nothing in a `while` loop is linear: `split` refuses the others.
                Op::Control(Control::While | Control::Check { .. }) => {}
                Op::Control(Control::If) => {
                    for body in &stmt.bodies {
                        for (&out, &r) in stmt.outs.iter().zip(&body.results) {
                            if self.reached.has(out) {
                                changed |= self.reach(r);
                            }
                        }
                        changed |= self.reach_in(body);
                    }
                }
                Op::Const(..)
                | Op::Elementwise(_)
                | Op::Reduce(_)
                | Op::Einsum(_)
                | Op::Shape(_)
                | Op::Index(_)
                | Op::Call(_)
                | Op::Linalg(_) => {
                    if self.reached.has_any(&stmt.outs) {
                        for &a in &stmt.args {
                            changed |= self.reach(a);
                        }
                    }
                }
            }
        }
        changed
    }

    /// The statements of a body: the coefficients in order, then the cotangents backwards. The cotangents of the results are there.
    fn body(&mut self, body: &Body) {
        let (linear, known): (Vec<&Stmt>, Vec<&Stmt>) = body.stmts.iter().partition(|stmt| self.linear.has_any(&stmt.outs));
        for stmt in known {
            copy(self.b, self.f, stmt, &mut self.known);
        }
        for stmt in linear.into_iter().rev() {
            match &stmt.op {
                Op::Control(Control::For { trip, reverse }) => self.run_loop(stmt, *trip, *reverse),
                Op::Control(Control::If) => self.branch(stmt),
                Op::Control(Control::While | Control::Check { .. }) => unreachable!("`split` refuses linear `while` loops"),
                Op::Index(index) => match index.accumulating() {
                    Some(add) => self.read(stmt, add),
                    None => self.simple(stmt),
                },
                Op::Const(..) | Op::Elementwise(_) | Op::Reduce(_) | Op::Einsum(_) | Op::Shape(_) | Op::Linalg(_) | Op::Call(_) => {
                    self.simple(stmt)
                }
            }
        }
    }

    fn simple(&mut self, stmt: &Stmt) {
        let bars: Vec<Option<ValueId>> = stmt.outs.iter().map(|&out| self.bars.find(out)).collect();
        let Some(first) = bars.iter().position(Option::is_some) else { return };
        let operand = |&a: &ValueId| match self.linear.has(a) {
            true => Operand::Linear(self.f.ty(a).clone()),
            false => Operand::Known(self.known.get(a)),
        };
        let operands: Vec<Operand> = stmt.args.iter().map(operand).collect();
        let note = self.f.note(stmt.outs[first]).cotangent();
        let outer = self.b.set_default_note(Note { name: None, ..note });
        let shares = match &stmt.op {
            Op::Call(call) => {
                let types: Vec<Type> = stmt.outs.iter().map(|&out| self.f.ty(out).clone()).collect();
                shares(self.b, call, &operands, &types, &bars)
            }
            op => op.transpose(self.b, &operands, &bars),
        };
        self.b.set_default_note(outer);
        for (&a, share) in stmt.args.iter().zip(shares) {
            if let Some(share) = share {
                if !bars.contains(&Some(share)) {
                    self.b.set_note(share, self.f.note(a).cotangent());
                }
                self.accumulate(a, share);
            }
        }
    }

    /// Reading a part of `x`: its cotangent is added in place.
    fn read(&mut self, stmt: &Stmt, add: Index) {
        let Some(bar) = self.bars.find(stmt.outs[0]) else { return };
        let (&x, positions) = stmt.args.split_first().expect("reading has an operand");
        let so_far = self.bar_or_zeros(x);
        let positions = self.known.get_all(positions);
        let sum = self.b.op(add, &[&[so_far], &positions[..], &[bar]].concat());
        self.set_bar(x, sum);
    }

    fn run_loop(&mut self, stmt: &Stmt, trip: Dim, reverse: bool) {
        let body = &stmt.bodies[0];
        let (&index, carried) = body.params.split_first().expect("a loop has an index");
        // Which carried values have a cotangent in some turn, and which captured ones get one.
        let active: Vec<usize> = (0..carried.len()).filter(|&k| self.reached.has(carried[k]) || self.reached.has(stmt.outs[k])).collect();
        let captured = self.captured(&[body]);
        let mut args = Vec::new();
        for &k in &active {
            let bar = self.bar_or_zeros(stmt.outs[k]);
            args.push(bar);
        }
        for &x in &captured {
            let bar = self.bar_or_zeros(x);
            args.push(bar);
        }

        self.b.open();
        let i = self.b.param(self.f.ty(index).clone(), self.f.note(index).clone());
        self.known.set(index, i);
        let mut given = Vec::new();
        for v in active.iter().map(|&k| carried[k]).chain(captured.iter().copied()) {
            given.push(self.b.param(self.f.ty(v).clone(), self.f.note(v).cotangent()));
        }
        let (next_bars, sums) = given.split_at(active.len());
        for (&x, &sum) in captured.iter().zip(sums) {
            self.bars.set(x, sum);
        }
        for (&k, &bar) in active.iter().zip(next_bars) {
            self.accumulate(body.results[k], bar);
        }
        for k in carried.len()..stmt.outs.len() {
            if let Some(rows) = self.bars.find(stmt.outs[k]) {
                let bar = self.b.read_at(rows, 0, i);
                self.b.set_note(bar, self.f.note(body.results[k]).cotangent());
                self.accumulate(body.results[k], bar);
            }
        }
        self.body(body);
        let mut results = Vec::new();
        for v in active.iter().map(|&k| carried[k]).chain(captured.iter().copied()) {
            let bar = self.bar_or_zeros(v);
            results.push(bar);
        }
        let bodies = vec![self.b.close(results)];
        let outs = self.b.stmt(Control::For { trip, reverse: !reverse }, &args, bodies);

        let (first, sums) = outs.split_at(active.len());
        for (&x, &sum) in captured.iter().zip(sums) {
            self.set_bar(x, sum);
        }
        for (&k, &bar) in active.iter().zip(first) {
            self.b.set_note(bar, self.f.note(stmt.args[k]).cotangent());
            self.accumulate(stmt.args[k], bar);
        }
    }

    fn branch(&mut self, stmt: &Stmt) {
        let captured = self.captured(&stmt.bodies.iter().collect::<Vec<_>>());
        let before: Vec<Option<ValueId>> = captured.iter().map(|&x| self.bars.find(x)).collect();
        let cond = self.known.get(stmt.args[0]);
        let mut bodies = Vec::with_capacity(2);
        for body in &stmt.bodies {
            self.b.open();
            for (&out, &r) in stmt.outs.iter().zip(&body.results) {
                if let Some(bar) = self.bars.find(out) {
                    self.accumulate(r, bar);
                }
            }
            self.body(body);
            let mut results = Vec::new();
            for (&x, &bar) in captured.iter().zip(&before) {
                results.push(self.bar_or_zeros(x));
                self.bars.replace(x, bar);
            }
            bodies.push(self.b.close(results));
        }
        let outs = self.b.stmt(Control::If, &[cond], bodies);
        for (&x, &bar) in captured.iter().zip(&outs) {
            self.set_bar(x, bar);
        }
    }

    /// The linear values from outside of the bodies that get a cotangent from within.
    fn captured(&self, bodies: &[&Body]) -> Vec<ValueId> {
        let mut captured: Vec<ValueId> = Vec::new();
        for v in bodies.iter().flat_map(|body| body.captures()) {
            if self.reached.has(v) && !captured.contains(&v) {
                captured.push(v);
            }
        }
        captured
    }

    /// Adds to the cotangent of `v`, if it is linear.
    fn accumulate(&mut self, v: ValueId, share: ValueId) {
        if !self.linear.has(v) {
            return;
        }
        match self.bars.find(v) {
            None => self.bars.set(v, share),
            Some(bar) => {
                let sum = self.b.add(bar, share);
                self.set_bar(v, sum);
            }
        }
    }

    fn set_bar(&mut self, v: ValueId, bar: ValueId) {
        self.b.set_note(bar, self.f.note(v).cotangent());
        self.bars.set(v, bar);
    }

    fn bar_or_zeros(&mut self, v: ValueId) -> ValueId {
        match self.bars.find(v) {
            Some(bar) => bar,
            None => self.b.zeros(self.f.ty(v)),
        }
    }
}
