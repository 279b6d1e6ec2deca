//! Residuals whose length changes from turn to turn of the loop around them.
//!
//! An array with a row for each turn has rows of one length. So a residual with a length that is bound in the body of a loop is kept in rows of the largest such
//! length of all turns, and the unknown part reads no more of a row than was written. How much that is has to be known before the loop: a copy of the
//! loop in front of it computes only the lengths (dead code elimination removes the rest of it) and gives the largest. Where loops are nested, the largest
//! length within a turn of the outer one is itself such a length for the outer one. A branch is a loop of at most one turn in this respect.

use super::copy::Env;
use super::split::{Plan, Residual, loop_params};
use crate::ir::{Body, Builder, Control, Dim, DimId, Elem, Elementwise, Func, Index, Op, Pick, Shape, Stmt, Type, ValueId, Window};

/// For the bodies of a statement: each length that a residual has in there, and the dimension that is as long as the largest.
pub(super) struct Padding<'f> {
    stmt: &'f Stmt,
    largest: Vec<(DimId, DimId)>,
}

impl<'f> Plan<'f> {
    /// Finds the lengths that need a largest one, inner statements first.
    pub(super) fn plan_padding(&mut self, body: &'f Body) {
        for stmt in &body.stmts {
            let mut largest: Vec<(DimId, DimId)> = Vec::new();
            for nested in &stmt.bodies {
                self.plan_padding(nested);
                for (_, ty) in self.residuals(nested) {
                    for dim in ty.dims {
                        if let Dim::Sym(id) = dim
                            && self.binds(nested, id)
                            && !largest.iter().any(|&(d, _)| d == id)
                        {
                            let new = DimId((self.f.dims.len() + self.padded.len()) as u32);
                            let name = format!("longest_{}", self.name_of(id));
                            self.padded.push(name);
                            largest.push((id, new));
                        }
                    }
                }
            }
            if !largest.is_empty() {
                self.paddings.push(Padding { stmt, largest });
            }
        }
    }

    fn name_of(&self, dim: DimId) -> String {
        match (dim.0 as usize).checked_sub(self.f.dims.len()) {
            None => self.f.dim_name(dim).to_owned(),
            Some(k) => self.padded[k].trim_start_matches("longest_").to_owned(),
        }
    }

    /// A function of the name, with the dimensions of the source and the largest lengths.
    pub(super) fn start(&self, name: String) -> Builder {
        let mut b = Builder::with_dims_of(name, self.f);
        for name in &self.padded {
            b.dim(name);
        }
        b
    }

    fn padding(&self, stmt: &Stmt) -> &[(DimId, DimId)] {
        self.paddings.iter().find(|p| std::ptr::eq(p.stmt, stmt)).map_or(&[], |p| &p.largest)
    }

    /// Whether a dimension is bound by a statement of this very body, or in front of one.
    fn binds(&self, body: &Body, dim: DimId) -> bool {
        body.stmts.iter().any(|stmt| {
            (self.is_binder(stmt) && stmt.op == Op::Shape(Shape::BindDim { dim: Dim::Sym(dim) }))
                || self.padding(stmt).iter().any(|&(_, largest)| largest == dim)
        })
    }

    /// The type, outside of the statement, of a row of a residual from inside.
    pub(super) fn padded_type(&self, stmt: &Stmt, ty: &Type) -> Type {
        let padding = self.padding(stmt);
        let largest = |d: &Dim| match padding.iter().find(|(own, _)| *d == Dim::Sym(*own)) {
            Some(&(_, largest)) => Dim::Sym(largest),
            None => *d,
        };
        ty.with_dims(ty.dims.iter().map(largest).collect::<Vec<_>>())
    }

    /// A residual at the end of a body of a statement, at the beginning of a row of zeros if the row is longer.
    pub(super) fn pad(&self, stmt: &Stmt, (v, ty): &Residual, b: &mut Builder, env: &Env) -> ValueId {
        let row = self.padded_type(stmt, ty);
        let own = env.get(*v);
        if row == *ty {
            return own;
        }
        let zeros = b.zeros(&row);
        let (window, starts) = beginning(ty, &row, b);
        b.op(Index::Write(window), &[&[zeros], &starts[..], &[own]].concat())
    }

    /// In front of a statement of the known part: the largest lengths in it.
    pub(super) fn bind_largest(&self, stmt: &Stmt, b: &mut Builder, env: &Env) {
        if self.padding(stmt).is_empty() {
            return;
        }
        // The copy overwrites what the values of the bodies have become, which nothing has asked for yet.
        let mut copies = Copies { env: env.clone(), dims: Vec::new(), largest: Vec::new() };
        self.lengths(stmt, b, &mut copies);
        for &(_, dim) in self.padding(stmt) {
            let length = copies.largest_length(dim);
            b.stmt(Shape::BindDim { dim: Dim::Sym(dim) }, &[length], Vec::new());
        }
    }

    /// Appends a copy of a loop or branch that gives the largest lengths in it, and takes note of them.
    fn lengths(&self, stmt: &Stmt, b: &mut Builder, copies: &mut Copies) {
        let padding = self.padding(stmt);
        match &stmt.op {
            Op::Control(Control::For { trip, reverse }) => {
                let body = &stmt.bodies[0];
                let n_carried = stmt.args.len();
                let known = (0..stmt.outs.len()).filter(|&k| !self.unknown.has(stmt.outs[k]));
                let (carried, stacked): (Vec<usize>, Vec<usize>) = known.partition(|&k| k < n_carried);
                let mut args: Vec<ValueId> = carried.iter().map(|&k| copies.env.get(stmt.args[k])).collect();
                args.extend(padding.iter().map(|_| b.index(0)));
                b.open();
                copies.params(self.f, &loop_params(body, &carried, n_carried), b);
                let sofar: Vec<ValueId> = padding.iter().map(|_| b.param(Type::scalar(Elem::Usize), Default::default())).collect();
                self.copy_known(body, b, copies);
                let mut results: Vec<ValueId> = carried.iter().map(|&k| copies.env.get(body.results[k])).collect();
                for (&(dim, _), &sofar) in padding.iter().zip(&sofar) {
                    let length = self.length_in(body, dim, copies);
                    results.push(b.map(Elementwise::Max, &[sofar, length]));
                }
                results.extend(stacked.iter().map(|&k| copies.env.get(body.results[k])));
                let bodies = vec![b.close(results)];
                let outs = b.stmt(Control::For { trip: copies.dim(*trip), reverse: *reverse }, &args, bodies);
                let (last, others) = outs.split_at(carried.len());
                let (lengths, rows) = others.split_at(padding.len());
                for (&k, &out) in carried.iter().zip(last).chain(stacked.iter().zip(rows)) {
                    copies.env.set(stmt.outs[k], out);
                }
                copies.largest.extend(padding.iter().map(|&(_, largest)| largest).zip(lengths.iter().copied()));
            }
            Op::Control(Control::If) => {
                let known: Vec<usize> = (0..stmt.outs.len()).filter(|&k| !self.unknown.has(stmt.outs[k])).collect();
                let mut bodies = Vec::with_capacity(2);
                for body in &stmt.bodies {
                    b.open();
                    self.copy_known(body, b, copies);
                    let mut results: Vec<ValueId> = known.iter().map(|&k| copies.env.get(body.results[k])).collect();
                    for &(dim, _) in padding {
                        results.push(if self.binds(body, dim) { self.length_in(body, dim, copies) } else { b.index(0) });
                    }
                    bodies.push(b.close(results));
                }
                let condition = copies.env.get(stmt.args[0]);
                let outs = b.stmt(Control::If, &[condition], bodies);
                for (&k, &out) in known.iter().zip(&outs) {
                    copies.env.set(stmt.outs[k], out);
                }
                copies.largest.extend(padding.iter().map(|&(_, largest)| largest).zip(outs[known.len()..].iter().copied()));
            }
            Op::Control(Control::While | Control::Check { .. }) => unreachable!("has no residuals inside"),
            Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Index(_)
            | Op::Call(_)
            | Op::Linalg(_) => {
                unreachable!("has no bodies")
            }
        }
    }

    /// The length of a dimension that a body binds, at the end of its copy.
    fn length_in(&self, body: &Body, dim: DimId, copies: &Copies) -> ValueId {
        let by_user = body.stmts.iter().find(|stmt| self.is_binder(stmt) && stmt.op == Op::Shape(Shape::BindDim { dim: Dim::Sym(dim) }));
        by_user.map_or_else(|| copies.largest_length(dim), |stmt| copies.env.get(stmt.args[0]))
    }

    /// Appends copies of the known statements of a body, without checks: those are in the statements that are copied.
    fn copy_known(&self, body: &Body, b: &mut Builder, copies: &mut Copies) {
        for stmt in &body.stmts {
            if self.is_wholly_unknown(stmt) {
                continue;
            }
            match &stmt.op {
                Op::Control(Control::For { .. } | Control::If) => self.lengths(stmt, b, copies),
                Op::Control(Control::Check { .. }) => {}
                Op::Control(Control::While)
                | Op::Const(..)
                | Op::Elementwise(_)
                | Op::Reduce(_)
                | Op::Einsum(_)
                | Op::Shape(_)
                | Op::Index(_)
                | Op::Linalg(_)
                | Op::Call(_) => {
                    if !self.is_unknown_simple(stmt) {
                        copies.copy(self.f, stmt, b);
                    }
                }
            }
        }
    }

    /// In the unknown part, where the rows of residuals have been read: those that are defined in this very body and are longer than the residual.
    pub(super) fn padded_rows(&self, body: &Body, b: &Builder, env: &Env) -> Vec<ValueId> {
        let values = body.params.iter().chain(body.stmts.iter().flat_map(|stmt| &stmt.outs));
        values.copied().filter(|&v| self.residual.has(v) && b.ty(env.get(v)) != self.f.ty(v)).collect()
    }

    /// After a dimension has been bound: takes the residuals out of those rows for which all lengths are known.
    pub(super) fn take_from_rows(&self, rows: &mut Vec<ValueId>, unbound: &[DimId], b: &mut Builder, env: &mut Env) {
        rows.retain(|&v| {
            let ty = self.f.ty(v);
            if unbound.iter().any(|&d| ty.dims.contains(&Dim::Sym(d))) {
                return true;
            }
            let row = env.get(v);
            let (window, starts) = beginning(ty, &b.ty(row).clone(), b);
            let own = b.op(Index::Read(window), &[&[row], &starts[..]].concat());
            b.set_note(own, self.f.note(v).clone());
            env.set(v, own);
            false
        });
    }
}

/// The part of a row of the type `row` that a value of the type `ty` is written to, from the start of each axis.
fn beginning(ty: &Type, row: &Type, b: &mut Builder) -> (Window, Vec<ValueId>) {
    let shorter = (0..ty.rank()).filter(|&k| ty.dims[k] != row.dims[k]);
    let axes: Vec<(usize, Pick)> = shorter.map(|k| (k, Pick::Slice { step: 1, len: ty.dims[k] })).collect();
    let starts = axes.iter().map(|_| b.index(0)).collect();
    (Window { axes }, starts)
}

/// A copy of known statements that is there for the lengths in it.
struct Copies {
    env: Env,
    /// The dimensions that copied statements bind, and their names here.
    dims: Vec<(DimId, DimId)>,
    /// The largest lengths found so far.
    largest: Vec<(DimId, ValueId)>,
}

impl Copies {
    fn largest_length(&self, dim: DimId) -> ValueId {
        self.largest.iter().rev().find(|(d, _)| *d == dim).expect("the statement that has the length has been copied").1
    }

    fn dim(&self, dim: Dim) -> Dim {
        match self.dims.iter().rev().find(|(own, _)| dim == Dim::Sym(*own)) {
            Some(&(_, new)) => Dim::Sym(new),
            None => dim,
        }
    }

    fn params(&mut self, source: &Func, params: &[ValueId], b: &mut Builder) {
        for &p in params {
            let ty = source.ty(p);
            let ty = ty.with_dims(ty.dims.iter().map(|&d| self.dim(d)).collect::<Vec<_>>());
            let param = b.param(ty, source.note(p).clone());
            self.env.set(p, param);
        }
    }

    fn copy(&mut self, source: &Func, stmt: &Stmt, b: &mut Builder) {
        if let Op::Shape(Shape::BindDim { dim }) = stmt.op {
            // What is a check there is not repeated.
            if let Dim::Sym(dim) = dim
                && source.binders().get(&dim).is_some_and(|binder| std::ptr::eq(*binder, stmt))
            {
                let new = b.dim(source.dim_name(dim));
                self.dims.push((dim, new));
                let length = self.env.get(stmt.args[0]);
                b.stmt(Shape::BindDim { dim: Dim::Sym(new) }, &[length], Vec::new());
            }
            return;
        }
        let mut bodies = Vec::with_capacity(stmt.bodies.len());
        for body in &stmt.bodies {
            b.open();
            self.params(source, &body.params, b);
            for nested in body.stmts.iter().filter(|nested| !matches!(nested.op, Op::Control(Control::Check { .. }))) {
                self.copy(source, nested, b);
            }
            bodies.push(b.close(self.env.get_all(&body.results)));
        }
        let args = self.env.get_all(&stmt.args);
        let op = stmt.op.with_dims(|d| self.dim(d));
        let outs = b.stmt(op, &args, bodies);
        for (&out, &new) in stmt.outs.iter().zip(&outs) {
            b.set_note(new, source.note(out).clone());
            self.env.set(out, new);
        }
    }
}
