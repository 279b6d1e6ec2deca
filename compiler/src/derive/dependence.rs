//! Which values depend on which: one forward dataflow for all passes.

use crate::ir::{Body, Control, Dim, Op, Shape, Stmt, ValueId};

/// A set of values and dimensions of one function.
#[derive(Clone, Default)]
pub(super) struct Marks {
    values: Vec<bool>,
    dims: Vec<bool>,
}

impl Marks {
    /// Whether the value is in the set.
    pub(super) fn has(&self, v: ValueId) -> bool {
        self.values.get(v.0 as usize).copied().unwrap_or(false)
    }

    /// Whether any of the values is in the set.
    pub(super) fn has_any(&self, values: &[ValueId]) -> bool {
        values.iter().any(|&v| self.has(v))
    }

    /// Adds a value; says whether it is new.
    pub(super) fn add(&mut self, v: ValueId) -> bool {
        set(&mut self.values, v.0)
    }

    /// Whether a symbolic dimension is in the set.
    pub(super) fn has_dim(&self, dim: Dim) -> bool {
        match dim {
            Dim::Const(_) => false,
            Dim::Sym(id) => self.dims.get(id.0 as usize).copied().unwrap_or(false),
        }
    }

    /// Adds a symbolic dimension; says whether it is new.
    pub(super) fn add_dim(&mut self, dim: Dim) -> bool {
        match dim {
            Dim::Const(_) => false,
            Dim::Sym(id) => set(&mut self.dims, id.0),
        }
    }
}

fn set(flags: &mut Vec<bool>, k: u32) -> bool {
    let k = k as usize;
    if flags.len() <= k {
        flags.resize(k + 1, false);
    }
    !std::mem::replace(&mut flags[k], true)
}

/// Marks every value of `body` that depends on marked ones. `rule` says whether the results of a statement are marked, given the marks so far; of control
/// flow it is asked whether the statement as a whole depends on marked values, however its bodies look (its condition does, or its number of
/// turns), and everything inside is then marked. Otherwise the bodies decide, by a fixpoint over what a loop carries.
pub(super) fn spread(body: &Body, marks: &mut Marks, rule: &impl Fn(&Stmt, &Marks) -> bool) {
    for stmt in &body.stmts {
        let whole = rule(stmt, marks);
        match &stmt.op {
            _ if whole => mark_all(stmt, marks),
            Op::Control(Control::For { .. }) => spread_loop(stmt, marks, rule),
            Op::Control(Control::While) => spread_while(stmt, marks, rule),
            Op::Control(Control::Check { .. }) => {}
            Op::Control(Control::If) => {
                for body in &stmt.bodies {
                    spread(body, marks, rule);
                    mark_where(&stmt.outs, &body.results, marks);
                }
            }
            Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Index(_)
            | Op::Call(_)
            | Op::Linalg(_) => {}
        }
    }
}

fn spread_loop(stmt: &Stmt, marks: &mut Marks, rule: &impl Fn(&Stmt, &Marks) -> bool) {
    let body = &stmt.bodies[0];
    let carried = &body.params[1..];
    mark_where(carried, &stmt.args, marks);
    loop {
        spread(body, marks, rule);
        if !mark_where(carried, &body.results, marks) {
            break;
        }
    }
    mark_where(&stmt.outs, carried, marks);
    mark_where(&stmt.outs, &body.results, marks);
}

fn spread_while(stmt: &Stmt, marks: &mut Marks, rule: &impl Fn(&Stmt, &Marks) -> bool) {
    let (condition, turn) = (&stmt.bodies[0], &stmt.bodies[1]);
    mark_where(&turn.params, &stmt.args, marks);
    loop {
        mark_where(&condition.params, &turn.params, marks);
        spread(condition, marks, rule);
        spread(turn, marks, rule);
        if marks.has(condition.results[0]) {
            return mark_all(stmt, marks);
        }
        if !mark_where(&turn.params, &turn.results, marks) {
            break;
        }
    }
    mark_where(&stmt.outs, &turn.params, marks);
}

/// Marks each value whose counterpart is marked; says whether any mark is new. Surplus values of either list are not looked at.
fn mark_where(values: &[ValueId], counterparts: &[ValueId], marks: &mut Marks) -> bool {
    let mut changed = false;
    for (&v, &c) in values.iter().zip(counterparts) {
        changed |= marks.has(c) && marks.add(v);
    }
    changed
}

fn mark_all(stmt: &Stmt, marks: &mut Marks) {
    for &out in &stmt.outs {
        marks.add(out);
    }
    if let Op::Shape(Shape::BindDim { dim }) = stmt.op {
        marks.add_dim(dim);
    }
    for body in &stmt.bodies {
        for &p in &body.params {
            marks.add(p);
        }
        for nested in &body.stmts {
            mark_all(nested, marks);
        }
    }
}
