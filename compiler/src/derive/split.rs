//! Partial evaluation: what depends only on some of the parameters is computed first, the rest later.
//!
//! The values that the second part needs of the first are the *residuals*. Three phases: mark what is unknown (depends on an unknown
//! parameter); find from the back which known values the unknown statements need, and of these which are residuals and which are cheaper to make
//! again (shapes, not values: broadcasts, permutations, positions, constants); build the two functions.
//!
//! A loop may have both known and unknown carried values and is then divided in two. A residual inside of a loop becomes a stacked result
//! of the known loop, of which the unknown loop reads the row of its turn (see [`ragged`](super::ragged) for lengths that change from turn to turn); what is
//! defined outside of the loop is used as it is. A branch whose condition
//! is known is divided likewise, and residuals of the body that is not taken are zero. A `while` loop is not divided, since there is no array with a row for
//! each of its turns: where anything in it is unknown, all of it is.

use std::collections::HashMap;

use super::copy::{Env, copy, copy_params};
use super::dependence::{Marks, spread};
use super::lengths::{bind_free_dims, rename_bound_dims};
use super::ragged::Padding;
use super::{DeriveError, checked};

use crate::ir::{Body, Builder, Control, Dim, DimId, Func, Index, Op, Shape, Stmt, Type, ValueId};

/// A function in two parts.
#[derive(Clone, Debug)]
pub struct Split {
    /// From the known parameters to the known results, then the residuals.
    pub known: Func,
    /// From the residuals, then the unknown parameters, to the other results.
    pub unknown: Func,
    /// Number of residuals.
    pub n_residuals: usize,
}

/// Splits `f` into what depends only on the parameters at the positions `known` and the rest. The results at the positions `results` come from the known
/// part, all others from the unknown part, whether they depend on unknown parameters or not.
///
/// # Errors
/// [`DeriveError`] if a result from the known part depends on a `while` loop of which something is unknown.
///
/// # Panics
/// If a result at a position in `results` depends on an unknown parameter.
pub fn split(f: &Func, known: &[usize], results: &[usize]) -> Result<Split, DeriveError> {
    let mut parts = divide(f, known, results, Lengths::OfKnown)?;
    bind_free_dims(&mut parts);
    Ok(Split { known: checked(parts.known, "split"), unknown: checked(parts.unknown, "split"), n_residuals: parts.n_residuals })
}

/// Which lengths the known part has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lengths {
    /// Those of the known parameters.
    OfKnown,
    /// All of them: the caller puts both parts into one function, which has the dimensions of the unknown part. A dimension that both parts
    /// bind, in a nested body, has another name in the unknown part.
    Shared,
}

/// [`split`] without the lengths among the residuals: a dimension that the unknown part uses need not be bound in it.
pub(super) fn divide(f: &Func, known: &[usize], results: &[usize], lengths: Lengths) -> Result<Split, DeriveError> {
    let (known, unknown): (Vec<usize>, Vec<usize>) = (0..f.params().len()).partition(|k| known.contains(k));
    let mut marks = Marks::default();
    for &k in &unknown {
        marks.add(f.params()[k]);
    }
    if lengths == Lengths::OfKnown {
        let dims = |positions: &[usize]| positions.iter().flat_map(|&k| f.ty(f.params()[k]).dims.clone()).collect::<Vec<_>>();
        let bound = dims(&known);
        for d in dims(&unknown).into_iter().filter(|d| !bound.contains(d)) {
            marks.add_dim(d);
        }
    }
    spread_unknown(&f.body, &mut marks);
    let unbounded = unknown_loop(&f.body, &marks);
    if let (Some(stmt), Lengths::Shared) = (unbounded, lengths) {
        return Err(DeriveError::unbounded_loop(f.note(stmt.outs[0])));
    }
    let mut plan = Plan::new(f, marks);
    let (early, late): (Vec<usize>, Vec<usize>) = (0..f.results().len()).partition(|k| results.contains(k));
    for &k in &early {
        if let (true, Some(stmt)) = (plan.unknown.has(f.results()[k]), unbounded) {
            return Err(DeriveError::unbounded_loop(f.note(stmt.outs[0])));
        }
        assert!(!plan.unknown.has(f.results()[k]), "result {k} of `{}` depends on an unknown parameter", f.name);
    }
    for &k in &late {
        plan.need(f.results()[k]);
    }
    plan.need_in(&f.body, true);
    plan.plan_padding(&f.body);

    let pick = |positions: &[usize], of: &[ValueId]| positions.iter().map(|&k| of[k]).collect::<Vec<_>>();
    let residuals = plan.residuals(&f.body);
    let known = plan.known_part(&pick(&known, f.params()), &pick(&early, f.results()), &residuals);
    let mut unknown = plan.unknown_part(&known, &pick(&unknown, f.params()), &pick(&late, f.results()), &residuals);
    if lengths == Lengths::Shared {
        rename_bound_dims(&mut unknown);
    }
    Ok(Split { known, unknown, n_residuals: residuals.len() })
}

/// The first `while` loop that is unknown.
fn unknown_loop<'f>(body: &'f Body, unknown: &Marks) -> Option<&'f Stmt> {
    body.stmts.iter().find_map(|stmt| match stmt.op {
        Op::Control(Control::While) if unknown.has_any(&stmt.outs) => Some(stmt),
        _ => stmt.bodies.iter().find_map(|nested| unknown_loop(nested, unknown)),
    })
}

/// Marks what depends on unknown values or dimensions.
pub(super) fn spread_unknown(body: &Body, marks: &mut Marks) {
    // A dimension bound from an unknown length is itself unknown wherever it appears later, which one pass in order finds, except in loops; there the
    // statement that binds it is inside of the fixpoint.
    spread(body, marks, &|stmt, marks| {
        let mut unknown_dim = false;
        stmt.op.for_each_dim(|d| unknown_dim |= marks.has_dim(d));
        match &stmt.op {
            Op::Control(Control::For { .. }) => unknown_dim,
            Op::Control(Control::If) => marks.has_any(&stmt.args),
            Op::Control(Control::While) => uses_any(stmt, marks),
            Op::Control(Control::Check { .. }) => false,
            Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Index(_)
            | Op::Call(_)
            | Op::Linalg(_) => unknown_dim || marks.has_any(&stmt.args),
        }
    });
}

/// Whether a statement, or one inside of it, uses marked values or dimensions.
fn uses_any(stmt: &Stmt, marks: &Marks) -> bool {
    let mut found = marks.has_any(&stmt.args);
    stmt.op.for_each_dim(|d| found |= marks.has_dim(d));
    found || stmt.bodies.iter().any(|body| marks.has_any(&body.results) || body.stmts.iter().any(|nested| uses_any(nested, marks)))
}

/// What is decided before anything is built.
pub(super) struct Plan<'f> {
    pub(super) f: &'f Func,
    pub(super) unknown: Marks,
    /// Known values that the unknown part needs and gets from the known part.
    pub(super) residual: Marks,
    /// Known values that the unknown part makes again, and dimensions of nested bodies that it binds again.
    again: Marks,
    /// Dimensions in operations of the unknown part.
    used: Marks,
    /// For each value the statement that defines it, and the number of loops around it.
    defined: Vec<(Option<&'f Stmt>, u32)>,
    /// The indices of loops: both parts have their own.
    index: Marks,
    /// The names of the dimensions that both parts have beside those of the source: the largest of lengths that change from turn to turn.
    pub(super) padded: Vec<String>,
    pub(super) paddings: Vec<Padding<'f>>,
    /// The statements that bind dimensions.
    binders: HashMap<DimId, &'f Stmt>,
}

/// A residual at some level: the value, and its type there, with an axis for each loop in between.
pub(super) type Residual = (ValueId, Type);

impl<'f> Plan<'f> {
    fn new(f: &'f Func, unknown: Marks) -> Self {
        let mut plan = Plan {
            f,
            unknown,
            residual: Marks::default(),
            again: Marks::default(),
            used: Marks::default(),
            defined: vec![(None, 0); f.types.len()],
            index: Marks::default(),
            padded: Vec::new(),
            paddings: Vec::new(),
            binders: f.binders(),
        };
        plan.locate(&f.body, 0);
        plan
    }

    fn locate(&mut self, body: &'f Body, level: u32) {
        for &p in &body.params {
            self.defined[p.0 as usize] = (None, level);
        }
        for stmt in &body.stmts {
            for &out in &stmt.outs {
                self.defined[out.0 as usize] = (Some(stmt), level);
            }
            let is_for = matches!(stmt.op, Op::Control(Control::For { .. }));
            let is_loop = is_for || matches!(stmt.op, Op::Control(Control::While));
            for nested in &stmt.bodies {
                if is_for {
                    self.index.add(nested.params[0]);
                }
                self.locate(nested, level + u32::from(is_loop));
            }
        }
    }

    /// Notes that the unknown part needs `v`.
    fn need(&mut self, v: ValueId) {
        if self.unknown.has(v) || self.index.has(v) || self.residual.has(v) || self.again.has(v) {
            return;
        }
        let (stmt, level) = self.defined[v.0 as usize];
        match stmt {
            Some(stmt) if self.is_cheap(stmt, level) => {
                self.again.add(v);
                self.use_dims(&stmt.op);
                for &a in &stmt.args {
                    self.need(a);
                }
            }
            _ => {
                self.residual.add(v);
                // In a nested body, what is kept of it has the lengths of its type, which the unknown part then needs as well.
                let dims = &self.f.ty(v).dims;
                dims.iter().for_each(|&d| {
                    self.used.add_dim(d);
                });
            }
        }
    }

    /// Whether a known statement with one result is rather done again than its result kept: it is free, or its operands are smaller than the
    /// result, or come from outside of the loop, where they are kept once instead of once per turn.
    fn is_cheap(&self, stmt: &Stmt, level: u32) -> bool {
        match &stmt.op {
            Op::Const(..) => true,
            Op::Shape(shape) => match shape {
                Shape::Broadcast { .. }
                | Shape::Permute { .. }
                | Shape::Reshape { .. }
                | Shape::Unfold { .. }
                | Shape::Iota { .. }
                | Shape::DimSize { .. } => true,
                Shape::Concat { .. } | Shape::Fold { .. } | Shape::BindDim { .. } => false,
            },
            Op::Index(Index::Read(_)) => self.defined[stmt.args[0].0 as usize].1 < level,
            // Arithmetic on positions.
            Op::Elementwise(_) => {
                let ty = self.f.ty(stmt.outs[0]);
                ty.rank() == 0 && ty.elem.is_integer() && stmt.args.iter().all(|&a| self.f.ty(a).elem.is_integer())
            }
            Op::Call(_)
            | Op::Index(
                Index::Add(_)
                | Index::Write(_)
                | Index::Gather { .. }
                | Index::ScatterAdd { .. }
                | Index::TakeAlong { .. }
                | Index::PutAlong { .. },
            )
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Linalg(_)
            | Op::Control(_) => false,
        }
    }

    /// Whether a statement is the one that binds its dimension, and not a check.
    pub(super) fn is_binder(&self, stmt: &Stmt) -> bool {
        match stmt.op {
            Op::Shape(Shape::BindDim { dim: Dim::Sym(id) }) => self.binders.get(&id).is_some_and(|binder| std::ptr::eq(*binder, stmt)),
            _ => false,
        }
    }

    fn use_dims(&mut self, op: &Op) {
        op.for_each_dim(|d| {
            self.used.add_dim(d);
        });
    }

    /// Notes what the unknown statements of a body need. Backwards, so that all uses of a dimension are known where it is bound.
    fn need_in(&mut self, body: &Body, outermost: bool) {
        for stmt in body.stmts.iter().rev() {
            if let Op::Shape(Shape::BindDim { dim }) = stmt.op {
                // The outermost dimensions are looked after by `bind_free_dims`. What is known is checked once.
                if !outermost && self.is_binder(stmt) && !self.unknown.has_dim(dim) && self.used.has_dim(dim) {
                    self.again.add_dim(dim);
                    self.need(stmt.args[0]);
                }
            } else if self.is_wholly_unknown(stmt) {
                self.need_all(stmt);
            } else if self.unknown.has_any(&stmt.outs) || self.has_unknown_check(stmt) {
                self.use_dims(&stmt.op);
                match &stmt.op {
                    Op::Control(Control::For { .. }) => {
                        let body = &stmt.bodies[0];
                        for (k, &carried) in body.params[1..].iter().enumerate() {
                            if self.unknown.has(carried) {
                                self.need(stmt.args[k]);
                                self.need(body.results[k]);
                            }
                        }
                        self.need_in(body, false);
                    }
                    Op::Control(Control::If) => {
                        self.need(stmt.args[0]);
                        for body in &stmt.bodies {
                            for (&out, &r) in stmt.outs.iter().zip(&body.results) {
                                if self.unknown.has(out) {
                                    self.need(r);
                                }
                            }
                            self.need_in(body, false);
                        }
                    }
                    Op::Control(Control::While | Control::Check { .. }) => unreachable!("known or wholly unknown"),
                    Op::Const(..)
                    | Op::Elementwise(_)
                    | Op::Reduce(_)
                    | Op::Einsum(_)
                    | Op::Shape(_)
                    | Op::Index(_)
                    | Op::Call(_)
                    | Op::Linalg(_) => {
                        for &a in &stmt.args {
                            self.need(a);
                        }
                    }
                }
            }
        }
    }

    /// Whether control flow goes to the unknown part with everything inside.
    pub(super) fn is_wholly_unknown(&self, stmt: &Stmt) -> bool {
        match &stmt.op {
            Op::Control(Control::For { trip, .. }) => self.unknown.has_dim(*trip),
            Op::Control(Control::If | Control::Check { .. }) => self.unknown.has(stmt.args[0]),
            Op::Control(Control::While) => self.unknown.has_any(&stmt.outs),
            Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Index(_)
            | Op::Call(_)
            | Op::Linalg(_) => false,
        }
    }

    /// Whether there is a check inside that depends on unknown values, so that the unknown part has the control flow around it.
    fn has_unknown_check(&self, stmt: &Stmt) -> bool {
        stmt.has_effect()
            && stmt.bodies.iter().flat_map(|body| &body.stmts).any(|nested| {
                let is_check = matches!(nested.op, Op::Control(Control::Check { .. }));
                is_check && self.unknown.has(nested.args[0]) || self.has_unknown_check(nested)
            })
    }

    fn need_all(&mut self, stmt: &Stmt) {
        self.use_dims(&stmt.op);
        for &a in &stmt.args {
            self.need(a);
        }
        for body in &stmt.bodies {
            for &r in &body.results {
                self.need(r);
            }
            for nested in &body.stmts {
                self.need_all(nested);
            }
        }
    }

    /// The residuals in a body, in the order of their definition, with their types as seen from there.
    pub(super) fn residuals(&self, body: &Body) -> Vec<Residual> {
        let own = |v: &ValueId| self.residual.has(*v).then(|| (*v, self.f.ty(*v).clone()));
        let mut found: Vec<Residual> = body.params.iter().filter_map(own).collect();
        for stmt in &body.stmts {
            match &stmt.op {
                Op::Control(Control::For { trip, .. }) => found.extend(self.rows(stmt, *trip)),
                Op::Control(Control::If) => {
                    let inside = stmt.bodies.iter().flat_map(|body| self.residuals(body));
                    found.extend(inside.map(|(v, ty)| (v, self.padded_type(stmt, &ty))));
                }
                // Wholly on one side.
                Op::Control(Control::While | Control::Check { .. }) => {}
                Op::Const(..)
                | Op::Elementwise(_)
                | Op::Reduce(_)
                | Op::Einsum(_)
                | Op::Shape(_)
                | Op::Index(_)
                | Op::Call(_)
                | Op::Linalg(_) => {}
            }
            found.extend(stmt.outs.iter().filter_map(own));
        }
        found
    }

    /// The residuals in the body of a loop, as seen from around it.
    fn rows(&self, stmt: &Stmt, trip: Dim) -> Vec<Residual> {
        let row = |(v, ty): Residual| {
            let ty = self.padded_type(stmt, &ty);
            (v, ty.with_dims([&[trip], &ty.dims[..]].concat()))
        };
        self.residuals(&stmt.bodies[0]).into_iter().map(row).collect()
    }

    fn known_part(&self, params: &[ValueId], results: &[ValueId], residuals: &[Residual]) -> Func {
        let mut b = self.start(format!("{}_known", self.f.name));
        let mut env = Env::new(self.f);
        copy_params(&mut b, self.f, params, &mut env);
        self.known_stmts(&self.f.body, &mut b, &mut env);
        let results = results.iter().copied().chain(residuals.iter().map(|(v, _)| *v));
        let results = results.map(|v| env.get(v)).collect();
        b.finish(results)
    }

    /// Builds the known statements of a body. Afterwards `env` has the residuals of nested bodies as they are seen from this one.
    fn known_stmts(&self, body: &Body, b: &mut Builder, env: &mut Env) {
        for stmt in &body.stmts {
            if self.is_wholly_unknown(stmt) {
                continue;
            }
            match &stmt.op {
                Op::Control(Control::For { trip, .. }) => self.known_loop(stmt, *trip, b, env),
                Op::Control(Control::If) => self.known_branch(stmt, b, env),
                Op::Control(Control::While | Control::Check { .. }) => copy(b, self.f, stmt, env),
                Op::Const(..)
                | Op::Elementwise(_)
                | Op::Reduce(_)
                | Op::Einsum(_)
                | Op::Shape(_)
                | Op::Index(_)
                | Op::Call(_)
                | Op::Linalg(_) => {
                    if !self.is_unknown_simple(stmt) {
                        copy(b, self.f, stmt, env);
                    }
                }
            }
        }
    }

    pub(super) fn is_unknown_simple(&self, stmt: &Stmt) -> bool {
        if let Op::Shape(Shape::BindDim { dim }) = stmt.op {
            return self.unknown.has_dim(dim) || self.unknown.has(stmt.args[0]);
        }
        self.unknown.has_any(&stmt.outs)
    }

    fn known_loop(&self, stmt: &Stmt, trip: Dim, b: &mut Builder, env: &mut Env) {
        let body = &stmt.bodies[0];
        let n_carried = stmt.args.len();
        let known: Vec<usize> = (0..stmt.outs.len()).filter(|&k| !self.unknown.has(stmt.outs[k])).collect();
        let rows = self.rows(stmt, trip);
        if known.is_empty() && rows.is_empty() && !stmt.has_effect() {
            return;
        }
        self.bind_largest(stmt, b, env);
        let args: Vec<ValueId> = known.iter().filter(|&&k| k < n_carried).map(|&k| env.get(stmt.args[k])).collect();
        b.open();
        copy_params(b, self.f, &loop_params(body, &known, n_carried), env);
        self.known_stmts(body, b, env);
        let mut results: Vec<ValueId> = known.iter().map(|&k| env.get(body.results[k])).collect();
        for residual in &self.residuals(body) {
            let row = self.pad(stmt, residual, b, env);
            results.push(row);
        }
        let bodies = vec![b.close(results)];
        let outs = b.stmt(stmt.op.clone(), &args, bodies);
        self.bring_out(stmt, &known, &rows, &outs, b, env);
    }

    fn known_branch(&self, stmt: &Stmt, b: &mut Builder, env: &mut Env) {
        let known: Vec<usize> = (0..stmt.outs.len()).filter(|&k| !self.unknown.has(stmt.outs[k])).collect();
        let taken: Vec<Vec<Residual>> = stmt.bodies.iter().map(|body| self.residuals(body)).collect();
        let residuals = taken.concat();
        if known.is_empty() && residuals.is_empty() && !stmt.has_effect() {
            return;
        }
        self.bind_largest(stmt, b, env);
        let args = env.get_all(&stmt.args);
        let mut bodies = Vec::with_capacity(2);
        for (body, own) in stmt.bodies.iter().zip(&taken) {
            b.open();
            self.known_stmts(body, b, env);
            let mut results: Vec<ValueId> = known.iter().map(|&k| env.get(body.results[k])).collect();
            for residual in &residuals {
                let is_own = own.iter().any(|(o, _)| *o == residual.0);
                results.push(if is_own { self.pad(stmt, residual, b, env) } else { b.zeros(&self.padded_type(stmt, &residual.1)) });
            }
            bodies.push(b.close(results));
        }
        let outs = b.stmt(stmt.op.clone(), &args, bodies);
        self.bring_out(stmt, &known, &residuals, &outs, b, env);
    }

    /// Registers the results of a known loop or branch: first those of the statement, then the residuals.
    fn bring_out(&self, stmt: &Stmt, known: &[usize], residuals: &[Residual], outs: &[ValueId], b: &mut Builder, env: &mut Env) {
        let values = known.iter().map(|&k| stmt.outs[k]).chain(residuals.iter().map(|(v, _)| *v));
        for (v, &new) in values.zip(outs) {
            b.set_note(new, self.f.note(v).clone());
            env.set(v, new);
        }
    }

    /// `known` is the known part, of which this one has all dimensions.
    fn unknown_part(&self, known: &Func, params: &[ValueId], results: &[ValueId], residuals: &[Residual]) -> Func {
        let mut b = Builder::with_dims_of(format!("{}_unknown", self.f.name), known);
        let mut env = Env::new(self.f);
        let types = params.iter().map(|&p| (p, self.f.ty(p).clone()));
        for (v, ty) in residuals.iter().cloned().chain(types) {
            let param = b.param(ty, self.f.note(v).clone());
            env.set(v, param);
        }
        self.unknown_stmts(&self.f.body, true, &mut b, &mut env);
        let results = env.get_all(results);
        b.finish(results)
    }

    fn unknown_stmts(&self, body: &Body, outermost: bool, b: &mut Builder, env: &mut Env) {
        let mut unbound: Vec<DimId> = Vec::new();
        unbound.extend(body.stmts.iter().filter_map(|stmt| match stmt.op {
            Op::Shape(Shape::BindDim { dim: Dim::Sym(dim) }) if !outermost && self.is_binder(stmt) => Some(dim),
            _ => None,
        }));
        let mut rows = self.padded_rows(body, b, env);
        self.take_from_rows(&mut rows, &unbound, b, env);
        for stmt in &body.stmts {
            if self.is_wholly_unknown(stmt) {
                copy(b, self.f, stmt, env);
                continue;
            }
            match &stmt.op {
                Op::Control(Control::For { .. }) => self.unknown_loop(stmt, b, env),
                Op::Control(Control::If) => self.unknown_branch(stmt, b, env),
                // Known: the known part has it.
                Op::Control(Control::While | Control::Check { .. }) => {}
                Op::Shape(Shape::BindDim { dim }) => {
                    let again = !outermost && self.is_binder(stmt) && self.again.has_dim(*dim);
                    if again || self.is_unknown_simple(stmt) {
                        copy(b, self.f, stmt, env);
                        unbound.retain(|d| Dim::Sym(*d) != *dim);
                        self.take_from_rows(&mut rows, &unbound, b, env);
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
                    if self.unknown.has_any(&stmt.outs) || stmt.outs.iter().any(|&v| self.again.has(v)) {
                        copy(b, self.f, stmt, env);
                    }
                }
            }
        }
    }

    fn unknown_loop(&self, stmt: &Stmt, b: &mut Builder, env: &mut Env) {
        let body = &stmt.bodies[0];
        let n_carried = stmt.args.len();
        let unknown: Vec<usize> = (0..stmt.outs.len()).filter(|&k| self.unknown.has(stmt.outs[k])).collect();
        if unknown.is_empty() && !self.has_unknown_check(stmt) {
            return;
        }
        let args: Vec<ValueId> = unknown.iter().filter(|&&k| k < n_carried).map(|&k| env.get(stmt.args[k])).collect();
        b.open();
        copy_params(b, self.f, &loop_params(body, &unknown, n_carried), env);
        for (v, _) in self.residuals(body) {
            let row = b.read_at(env.get(v), 0, env.get(body.params[0]));
            b.set_note(row, self.f.note(v).clone());
            env.set(v, row);
        }
        self.unknown_stmts(body, false, b, env);
        let results = unknown.iter().map(|&k| env.get(body.results[k])).collect();
        let bodies = vec![b.close(results)];
        let outs = b.stmt(stmt.op.clone(), &args, bodies);
        self.bring_out(stmt, &unknown, &[], &outs, b, env);
    }

    fn unknown_branch(&self, stmt: &Stmt, b: &mut Builder, env: &mut Env) {
        let unknown: Vec<usize> = (0..stmt.outs.len()).filter(|&k| self.unknown.has(stmt.outs[k])).collect();
        if unknown.is_empty() && !self.has_unknown_check(stmt) {
            return;
        }
        let args = env.get_all(&stmt.args);
        let mut bodies = Vec::with_capacity(2);
        for body in &stmt.bodies {
            b.open();
            self.unknown_stmts(body, false, b, env);
            let results = unknown.iter().map(|&k| env.get(body.results[k])).collect();
            bodies.push(b.close(results));
        }
        let outs = b.stmt(stmt.op.clone(), &args, bodies);
        self.bring_out(stmt, &unknown, &[], &outs, b, env);
    }
}

/// The index of a loop, and those of its carried values that are among the given results.
pub(super) fn loop_params(body: &Body, results: &[usize], n_carried: usize) -> Vec<ValueId> {
    let carried = results.iter().filter(|&&k| k < n_carried).map(|&k| body.params[k + 1]);
    [body.params[0]].into_iter().chain(carried).collect()
}
