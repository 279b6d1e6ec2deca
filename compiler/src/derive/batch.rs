//! Many examples at once: the function with a leading axis on some of its parameters, as one program.
//!
//! Every value is either the same for all examples and computed once, or has a leading axis along which the examples stand. Which it is, a
//! fixpoint finds before anything is built. Statements of the second kind follow the batching rule of their operation; control flow keeps its shape
//! where it is the same for all examples:
//!
//! - A branch whose condition differs between examples computes both sides and chooses. A loop whose number of turns differs runs as often as the longest, and
//!   examples that are done keep what they have.
//! - Whatever is computed for an example that does not need it is computed for the operands of one that does. It then fails only where that one fails,
//!   and has finite derivatives if that one has, so that choosing gives the others zeros and not `0 * inf`. A side that no example takes is not
//!   computed. Sides of nothing but [harmless](Op::is_harmless) operations need none of this.
//!
//! A length that differs between examples may be the number of turns of a loop, and nothing else: arrays are not ragged. Only what such a loop keeps of each
//! turn may be read again row by row in another such loop, as derivatives do; it has rows for the longest.

use std::collections::{HashMap, HashSet};

use super::copy::{Env, copy};
use super::dependence::Marks;
use super::{DeriveError, checked};
use crate::ir::{Body, Builder, Control, Dim, DimId, Elementwise, Func, Index, Note, Op, Shape, Stmt, Type, ValueId, Window};
use crate::ops::batch::{Batched, any, batched_type, choose, example, first, largest};

/// Maps `f` over a leading axis of the parameters at the positions `batched`, the others being the same for all examples: the parameters of `f`, those
/// with one axis more; gives the results of `f`, each with the leading axis.
///
/// # Errors
/// [`DeriveError`] if an array has a length that differs between examples.
///
/// # Panics
/// If `batched` is empty, or not an ascending list of positions of parameters.
pub fn batch(f: &Func, batched: &[usize]) -> Result<Func, DeriveError> {
    batch_some(f, batched, &(0..f.results().len()).collect::<Vec<_>>())
}

/// [`batch`], where only the results at the positions `results` have the leading axis.
///
/// # Errors
/// [`DeriveError`] as for [`batch`], and if another result differs between examples.
///
/// # Panics
/// As [`batch`].
pub fn batch_some(f: &Func, batched: &[usize], results: &[usize]) -> Result<Func, DeriveError> {
    assert!(!batched.is_empty() && batched.is_sorted_by(|a, b| a < b), "`{}`: positions {batched:?}", f.name);
    let mut differs = Marks::default();
    for &k in batched {
        differs.add(f.params()[k]);
    }
    while spread(&f.body, &mut differs) {}
    let mut b = Builder::with_dims_of(format!("{}_batched", f.name), f);
    let dim = Dim::Sym(b.dim("batch"));
    let mut pass = Pass { f, b, dim, env: Env::new(f), differs, lengths: Vec::new(), binders: f.binders(), turns: HashSet::new() };
    f.body.walk(&mut |stmt| {
        if let Op::Control(Control::For { trip, .. }) = stmt.op {
            pass.turns.insert((stmt.bodies[0].params[0], trip));
        }
    });
    for &p in f.params() {
        pass.param(p);
    }
    pass.stmts(&f.body)?;
    let mut outs = Vec::with_capacity(f.results().len());
    for (k, &r) in f.results().iter().enumerate() {
        pass.refuse_ragged_value(r)?;
        let out = match pass.operand(r) {
            operand if results.contains(&k) => {
                let out = operand.each(&mut pass.b, dim);
                pass.b.set_note(out, f.note(r).clone());
                out
            }
            Batched::Shared(v) => v,
            Batched::Each(_) => return Err(DeriveError::new(f.note(r), "this result differs between the examples of a batch")),
        };
        outs.push(out);
    }
    Ok(checked(pass.b.finish(outs), "batch"))
}

/// Marks what differs between examples. Says whether any mark is new.
fn spread(body: &Body, differs: &mut Marks) -> bool {
    let mut changed = false;
    for stmt in &body.stmts {
        match &stmt.op {
            Op::Control(Control::For { trip, .. }) => {
                let body = &stmt.bodies[0];
                let n_carried = stmt.args.len();
                let carried = &body.params[1..];
                let whole = differs.has_dim(*trip);
                loop {
                    let mut again = false;
                    for (k, &p) in carried.iter().enumerate() {
                        if whole || differs.has(stmt.args[k]) || differs.has(body.results[k]) {
                            again |= differs.add(p);
                        }
                    }
                    again |= spread(body, differs);
                    changed |= again;
                    if !again {
                        break;
                    }
                }
                for (k, &out) in stmt.outs.iter().enumerate() {
                    let is_rows = k >= n_carried;
                    if differs.has(body.results[k]) || is_rows && whole || !is_rows && differs.has(carried[k]) {
                        changed |= differs.add(out);
                    }
                }
            }
            Op::Control(Control::If) => {
                for body in &stmt.bodies {
                    changed |= spread(body, differs);
                }
                for (k, &out) in stmt.outs.iter().enumerate() {
                    if differs.has(stmt.args[0]) || stmt.bodies.iter().any(|body| differs.has(body.results[k])) {
                        changed |= differs.add(out);
                    }
                }
            }
            Op::Control(Control::While) => changed |= spread_while(stmt, differs),
            Op::Control(Control::Check { .. }) => {}
            Op::Shape(Shape::BindDim { dim }) => {
                if differs.has(stmt.args[0]) {
                    changed |= differs.add_dim(*dim);
                }
            }
            Op::Shape(Shape::DimSize { dim }) => {
                if differs.has_dim(*dim) {
                    changed |= differs.add(stmt.outs[0]);
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
                if differs.has_any(&stmt.args) {
                    for &out in &stmt.outs {
                        changed |= differs.add(out);
                    }
                }
            }
        }
    }
    changed
}

/// Carried values of a `while` loop differ if their initial or next ones do, and all of them if the condition does: examples that are done keep theirs.
fn spread_while(stmt: &Stmt, differs: &mut Marks) -> bool {
    let [condition, turn] = &stmt.bodies[..] else { unreachable!("a `while` loop has two bodies") };
    let mut changed = false;
    loop {
        let mut again = false;
        for k in 0..stmt.args.len() {
            if differs.has(condition.results[0]) || differs.has(stmt.args[k]) || differs.has(turn.results[k]) {
                for carried in [condition.params[k], turn.params[k], stmt.outs[k]] {
                    again |= differs.add(carried);
                }
            }
        }
        again |= spread(condition, differs);
        again |= spread(turn, differs);
        changed |= again;
        if !again {
            return changed;
        }
    }
}

/// A length that differs between examples.
#[derive(Clone, Copy)]
struct Length {
    /// The dimension in the source.
    dim: DimId,
    /// One number for each example.
    numbers: ValueId,
    /// The dimension as long as the largest of them.
    longest: Dim,
    /// An example that has the largest.
    holder: ValueId,
}

struct Pass<'f> {
    f: &'f Func,
    b: Builder,
    /// The length of the leading axis.
    dim: Dim,
    /// The counterpart of each value: with the leading axis if it differs between examples.
    env: Env,
    /// The values and dimensions of `f` that differ between examples.
    differs: Marks,
    /// Of the dimensions that differ, what they are; the latest last.
    lengths: Vec<Length>,
    /// The indices of all loops, each with the number of turns.
    turns: HashSet<(ValueId, Dim)>,
    /// The statements of `f` that bind dimensions.
    binders: HashMap<DimId, &'f Stmt>,
}

impl Pass<'_> {
    fn operand(&self, v: ValueId) -> Batched {
        let new = self.env.get(v);
        if self.differs.has(v) { Batched::Each(new) } else { Batched::Shared(new) }
    }

    /// The counterpart of `v` with the leading axis.
    fn each(&mut self, v: ValueId) -> ValueId {
        self.operand(v).each(&mut self.b, self.dim)
    }

    /// The counterpart of `v`, with the leading axis if `like` has it.
    fn as_in(&mut self, v: ValueId, like: ValueId) -> ValueId {
        if self.differs.has(like) { self.each(v) } else { self.env.get(v) }
    }

    fn type_of(&self, v: ValueId) -> Type {
        let ty = self.f.ty(v);
        if self.differs.has(v) { batched_type(ty, self.dim) } else { ty.clone() }
    }

    fn param(&mut self, p: ValueId) {
        let ty = self.type_of(p);
        let param = self.b.param(ty, self.f.note(p).clone());
        self.env.set(p, param);
    }

    fn put(&mut self, v: ValueId, new: ValueId) {
        self.b.set_note(new, self.f.note(v).clone());
        self.env.set(v, new);
    }

    fn stmts(&mut self, body: &Body) -> Result<(), DeriveError> {
        for stmt in &body.stmts {
            match &stmt.op {
                Op::Control(Control::For { trip, reverse }) => match self.length(*trip) {
                    None => self.run_loop(stmt)?,
                    Some(length) => self.ragged_loop(stmt, length, *reverse)?,
                },
                Op::Control(Control::If) if self.differs.has(stmt.args[0]) => self.choice(stmt)?,
                Op::Control(Control::If) => self.branch(stmt)?,
                Op::Control(Control::While) => self.run_while(stmt)?,
                Op::Control(Control::Check { .. }) => {
                    let mut holds = self.env.get(stmt.args[0]);
                    if self.differs.has(stmt.args[0]) {
                        let fails = self.b.map(Elementwise::Not, &[holds]);
                        let any_fails = any(&mut self.b, fails);
                        holds = self.b.map(Elementwise::Not, &[any_fails]);
                    }
                    self.b.stmt(stmt.op.clone(), &[holds], Vec::new());
                }
                Op::Shape(Shape::BindDim { dim }) if self.differs.has(stmt.args[0]) => {
                    let numbers = self.env.get(stmt.args[0]);
                    match *dim {
                        Dim::Sym(id) if self.binders.get(&id).is_some_and(|binder| std::ptr::eq(*binder, stmt)) => self.bind(id, numbers),
                        Dim::Sym(_) | Dim::Const(_) => {
                            let why = "a length that differs between the examples of a batch has to be equal to another";
                            return Err(DeriveError::new(self.f.note(stmt.args[0]), why));
                        }
                    }
                }
                Op::Shape(Shape::DimSize { dim }) if self.differs.has_dim(*dim) => {
                    let length = self.length(*dim).expect("a dimension is bound before its first use");
                    self.env.set(stmt.outs[0], length.numbers);
                }
                Op::Const(..)
                | Op::Elementwise(_)
                | Op::Reduce(_)
                | Op::Einsum(_)
                | Op::Shape(_)
                | Op::Index(_)
                | Op::Call(_)
                | Op::Linalg(_) => self.simple(stmt)?,
            }
        }
        Ok(())
    }

    fn simple(&mut self, stmt: &Stmt) -> Result<(), DeriveError> {
        let mut ragged = None;
        stmt.op.for_each_dim(|d| ragged = ragged.or(self.length(d)));
        if let Some(length) = ragged {
            let note = stmt.outs.first().map(|&v| self.f.note(v).clone()).unwrap_or_default();
            return Err(self.refuse_ragged(&note, length));
        }
        for &a in &stmt.args {
            // The rows of turns are read in the turns of a loop that has as many.
            let is_row = if let (Op::Index(Index::Read(window)), [rows, rest @ ..]) = (&stmt.op, &self.f.ty(a).dims[..])
                && *window == Window::at(0)
            {
                self.turns.contains(&(stmt.args[1], *rows)) && rest.iter().all(|&d| self.length(d).is_none())
            } else {
                false
            };
            if !is_row {
                self.refuse_ragged_value(a)?;
            }
        }
        if !self.differs.has_any(&stmt.args) {
            copy(&mut self.b, self.f, stmt, &mut self.env);
            return Ok(());
        }
        let args: Vec<Batched> = stmt.args.iter().map(|&a| self.operand(a)).collect();
        let note = stmt.outs.first().map(|&v| self.f.note(v).clone()).unwrap_or_default();
        let outer = self.b.set_default_note(note.part());
        let outs = stmt.op.batch(&mut self.b, &args, self.dim);
        self.b.set_default_note(outer);
        for (&out, new) in stmt.outs.iter().zip(outs) {
            self.put(out, new);
        }
        Ok(())
    }

    fn refuse_ragged(&self, note: &Note, length: Length) -> DeriveError {
        let name = self.f.dim_name(length.dim);
        DeriveError::new(note, format!("the length `{name}` differs between the examples of a batch, so that no array can have it"))
    }

    fn refuse_ragged_value(&self, v: ValueId) -> Result<(), DeriveError> {
        match self.f.ty(v).dims.iter().find_map(|&d| self.length(d)) {
            None => Ok(()),
            Some(length) => Err(self.refuse_ragged(self.f.note(v), length)),
        }
    }

    /// What a dimension of the source is that differs between examples.
    fn length(&self, dim: Dim) -> Option<Length> {
        self.lengths.iter().rev().find(|l| dim == Dim::Sym(l.dim)).copied()
    }

    /// Notes that a dimension has another length for each example.
    fn bind(&mut self, dim: DimId, numbers: ValueId) {
        let (number, holder) = largest(&mut self.b, numbers, self.dim);
        let longest = self.b.dim(&format!("longest_{}", self.f.dim_name(dim)));
        self.b.stmt(Shape::BindDim { dim: Dim::Sym(longest) }, &[number], Vec::new());
        self.lengths.push(Length { dim, numbers, longest: Dim::Sym(longest), holder });
    }

    /// A loop that has as many turns for all examples.
    fn run_loop(&mut self, stmt: &Stmt) -> Result<(), DeriveError> {
        let body = &stmt.bodies[0];
        let carried = &body.params[1..];
        let args = stmt.args.iter().zip(carried).map(|(&a, &p)| self.as_in(a, p)).collect::<Vec<_>>();
        self.b.open();
        for &p in &body.params {
            self.param(p);
        }
        self.stmts_of(body)?;
        let mut results = Vec::with_capacity(body.results.len());
        for (k, &r) in body.results.iter().enumerate() {
            results.push(if k < carried.len() { self.as_in(r, carried[k]) } else { self.env.get(r) });
        }
        let bodies = vec![self.b.close(results)];
        let outs = self.b.stmt(stmt.op.clone(), &args, bodies);
        for (k, (&out, &new)) in stmt.outs.iter().zip(&outs).enumerate() {
            self.refuse_ragged_value(out)?;
            if k >= carried.len() && self.differs.has(out) {
                self.put_rows(out, new);
            } else {
                self.put(out, new);
            }
        }
        Ok(())
    }

    /// What a loop keeps of each turn: turns stand outside of examples, but belong inside.
    fn put_rows(&mut self, out: ValueId, rows: ValueId) {
        self.put(out, rows);
        let perm: Vec<usize> = [1, 0].into_iter().chain(2..self.b.ty(rows).rank()).collect();
        let rows = self.b.permute(rows, &perm);
        self.put(out, rows);
    }

    /// The statements of a nested body; lengths that it binds are forgotten at its end.
    fn stmts_of(&mut self, body: &Body) -> Result<(), DeriveError> {
        let n_lengths = self.lengths.len();
        self.stmts(body)?;
        self.lengths.truncate(n_lengths);
        Ok(())
    }

    /// A loop whose number of turns differs: examples that are done keep what they carry.
    fn ragged_loop(&mut self, stmt: &Stmt, length: Length, reverse: bool) -> Result<(), DeriveError> {
        for &out in &stmt.outs {
            // Of rows only the first axis may differ.
            let inner = &self.f.ty(out).dims[usize::from(!stmt.outs[..stmt.args.len()].contains(&out))..];
            if inner.iter().any(|&d| self.length(d).is_some()) {
                return Err(self.refuse_ragged(self.f.note(out), length));
            }
        }
        let body = &stmt.bodies[0];
        let carried = &body.params[1..];
        let args: Vec<ValueId> = stmt.args.iter().map(|&a| self.each(a)).collect();
        self.b.open();
        for &p in &body.params {
            self.param(p);
        }
        let before = self.env.get_all(carried);
        let turn = self.b.broadcast_scalar(self.env.get(body.params[0]), &[self.dim]);
        let runs = self.b.map(Elementwise::Lt, &[turn, length.numbers]);
        let after = self.shielded(body, runs, length.holder, carried)?;
        let (next, rows) = after.split_at(before.len());
        let mut results: Vec<ValueId> =
            next.iter().zip(&before).map(|(&after, &before)| choose(&mut self.b, runs, after, before)).collect();
        results.extend(rows);
        let bodies = vec![self.b.close(results)];
        let outs = self.b.stmt(Control::For { trip: length.longest, reverse }, &args, bodies);
        for (k, (&out, &new)) in stmt.outs.iter().zip(&outs).enumerate() {
            if k < before.len() { self.put(out, new) } else { self.put_rows(out, new) }
        }
        Ok(())
    }

    /// A loop that runs until its condition holds for no example. Examples that are done keep what they carry.
    fn run_while(&mut self, stmt: &Stmt) -> Result<(), DeriveError> {
        let [condition, turn] = &stmt.bodies[..] else { unreachable!("a `while` loop has two bodies") };
        let differs = self.differs.has(condition.results[0]);
        let args = stmt.args.iter().zip(&turn.params).map(|(&a, &p)| self.as_in(a, p)).collect::<Vec<_>>();
        self.b.open();
        for &p in &condition.params {
            self.param(p);
        }
        self.stmts_of(condition)?;
        let mut goes_on = self.env.get(condition.results[0]);
        if differs {
            goes_on = any(&mut self.b, goes_on);
        }
        let first_body = self.b.close(vec![goes_on]);

        self.b.open();
        for &p in &turn.params {
            self.param(p);
        }
        let results = if differs {
            let before = self.env.get_all(&turn.params);
            for (&p, &carried) in condition.params.iter().zip(&before) {
                self.env.set(p, carried);
            }
            self.stmts_of(condition)?;
            let runs = self.env.get(condition.results[0]);
            let holder = first(&mut self.b, runs, self.dim);
            let after = self.shielded(turn, runs, holder, &turn.params)?;
            after.iter().zip(&before).map(|(&after, &before)| choose(&mut self.b, runs, after, before)).collect()
        } else {
            self.stmts_of(turn)?;
            turn.results.iter().zip(&turn.params).map(|(&r, &p)| self.as_in(r, p)).collect()
        };
        let bodies = vec![first_body, self.b.close(results)];
        let outs = self.b.stmt(stmt.op.clone(), &args, bodies);
        for (&out, &new) in stmt.outs.iter().zip(&outs) {
            self.put(out, new);
        }
        Ok(())
    }

    /// A branch that all examples take to the same side.
    fn branch(&mut self, stmt: &Stmt) -> Result<(), DeriveError> {
        let mut bodies = Vec::with_capacity(2);
        for body in &stmt.bodies {
            self.b.open();
            self.stmts_of(body)?;
            let results = stmt.outs.iter().zip(&body.results).map(|(&out, &r)| self.as_in(r, out)).collect();
            bodies.push(self.b.close(results));
        }
        let args = self.env.get_all(&stmt.args);
        let outs = self.b.stmt(stmt.op.clone(), &args, bodies);
        for (&out, &new) in stmt.outs.iter().zip(&outs) {
            self.refuse_ragged_value(out)?;
            self.put(out, new);
        }
        Ok(())
    }

    /// A branch on a condition that differs between examples: both sides, and for each example the results of one.
    fn choice(&mut self, stmt: &Stmt) -> Result<(), DeriveError> {
        for &out in &stmt.outs {
            self.refuse_ragged_value(out)?;
        }
        let then_taken = self.env.get(stmt.args[0]);
        let mut sides = Vec::with_capacity(2);
        for (side, body) in stmt.bodies.iter().enumerate() {
            let taken = if side == 0 { then_taken } else { self.b.map(Elementwise::Not, &[then_taken]) };
            sides.push(self.side(stmt, body, taken)?);
        }
        for (k, &out) in stmt.outs.iter().enumerate() {
            let new = choose(&mut self.b, then_taken, sides[0][k], sides[1][k]);
            self.put(out, new);
        }
        Ok(())
    }

    /// One side of such a branch: its results, of use where `taken`.
    fn side(&mut self, stmt: &Stmt, body: &Body, taken: ValueId) -> Result<Vec<ValueId>, DeriveError> {
        if self.is_harmless(body) {
            self.stmts_of(body)?;
            return Ok(body.results.iter().map(|&r| self.each(r)).collect());
        }
        let is_taken = any(&mut self.b, taken);
        self.b.open();
        let holder = first(&mut self.b, taken, self.dim);
        let results = self.shielded(body, taken, holder, &[])?;
        let computed = self.b.close(results);
        self.b.open();
        let zeros = stmt.outs.iter().map(|&out| self.b.zeros(&batched_type(self.f.ty(out), self.dim))).collect();
        let skipped = self.b.close(zeros);
        Ok(self.b.stmt(Control::If, &[is_taken], vec![computed, skipped]))
    }

    fn is_harmless(&self, body: &Body) -> bool {
        body.stmts.iter().all(|stmt| stmt.op.is_harmless(stmt.args.first().map(|&a| self.f.ty(a).elem)))
    }

    /// The statements of a body, all examples where `runs` does not hold computing what the example `holder`, where it holds, computes; gives the results,
    /// with the leading axis. `params` are the parameters of the body that the examples have values of their own for.
    fn shielded(&mut self, body: &Body, runs: ValueId, holder: ValueId, params: &[ValueId]) -> Result<Vec<ValueId>, DeriveError> {
        let n_lengths = self.lengths.len();
        let mut replaced: Vec<(ValueId, ValueId)> = Vec::new();
        if !self.is_harmless(body) {
            let mut given = body.captures();
            given.extend(params);
            given.retain(|&v| self.differs.has(v));
            for v in given {
                let own = self.env.get(v);
                let shielded = self.shield(own, runs, holder);
                replaced.push((v, own));
                self.put(v, shielded);
            }
            for length in self.lengths_in(body) {
                let numbers = self.shield(length.numbers, runs, holder);
                self.bind(length.dim, numbers);
            }
        }
        self.stmts(body)?;
        self.lengths.truncate(n_lengths);
        let results = body.results.iter().map(|&r| self.each(r)).collect();
        for (v, own) in replaced {
            self.env.set(v, own);
        }
        Ok(results)
    }

    /// `x` of each example where `runs` holds, and that of `holder` elsewhere.
    fn shield(&mut self, x: ValueId, runs: ValueId, holder: ValueId) -> ValueId {
        let substitute = example(&mut self.b, x, holder);
        let substitute = Batched::Shared(substitute).each(&mut self.b, self.dim);
        choose(&mut self.b, runs, x, substitute)
    }

    /// The lengths from outside that differ between examples and that a body uses.
    fn lengths_in(&self, body: &Body) -> Vec<Length> {
        let mut found: Vec<Length> = Vec::new();
        body.walk(&mut |stmt| {
            stmt.op.for_each_dim(|d| {
                if let Some(length) = self.length(d)
                    && !found.iter().any(|l| l.dim == length.dim)
                {
                    found.push(length);
                }
            });
        });
        found
    }
}
