//! Dead code: what no result depends on goes.
//!
//! Notation: a value is *live* if a result of the function depends on it. Liveness is followed from the results back through operands, one component
//! of control flow at a time: the `k`-th result of a loop makes live what the `k`-th carried (or stacked) value is computed from, and
//! nothing of the others; a carried value that only feeds itself is dead. A live value makes the dimensions of its type live,
//! and with them the statements that bind them.
//!
//! Operations are pure, so a dead one goes even where it would have failed at run time. Checks are live, and with them the control flow around
//! them. Parameters of the function stay.
//!
//! Cost: linear in the size of the function.

use super::hash::FastMap;
use crate::ir::{Body, Control, Dim, DimId, Func, Op, Shape, Stmt, ValueId};

/// Removes dead statements, dead results of branches, and dead carried and stacked values of loops.
pub fn dead(f: &Func) -> Func {
    let mut func = f.clone();
    dead_in_place(&mut func);
    func
}

/// [`dead`] of a function that its caller does not need any more; whether anything was removed.
pub(super) fn dead_in_place(f: &mut Func) -> bool {
    let live = liveness(f);
    let mut body = std::mem::take(&mut f.body);
    let n_before = n_kept(&body);
    live.sweep(&mut body);
    let changed = n_kept(&body) != n_before;
    f.body = body;
    changed
}

/// The number of statements and of their results, which tells whether a sweep removed any.
fn n_kept(body: &Body) -> usize {
    let mut n = 0;
    body.walk(&mut |stmt| n += 1 + stmt.outs.len());
    n
}

/// What the results of a function depend on.
fn liveness(f: &Func) -> Live {
    let mut liveness = Liveness {
        func: f,
        origins: FastMap::default(),
        binders: FastMap::default(),
        live: Live { values: vec![false; f.types.len()], dims: vec![false; f.dims.len()] },
        pending: Vec::new(),
    };
    liveness.record(&f.body);
    liveness.mark_all(&f.body.results);
    liveness.mark_checks(&f.body);
    while let Some(value) = liveness.pending.pop() {
        liveness.follow(value);
    }
    liveness.live
}

/// Where a value comes from.
#[derive(Clone, Copy)]
enum Origin<'f> {
    /// It is the `k`-th result of a statement.
    Result(&'f Stmt, usize),
    /// It is the `k`-th carried value of a loop, inside the body.
    Carried(&'f Stmt, usize),
}

/// Which values and dimensions the results depend on, by their handles.
struct Live {
    values: Vec<bool>,
    dims: Vec<bool>,
}

struct Liveness<'f> {
    func: &'f Func,
    /// Parameters of the function and indices of loops have none.
    origins: FastMap<ValueId, Origin<'f>>,
    /// For each dimension that statements bind or check, the values of its length.
    binders: FastMap<DimId, Vec<ValueId>>,
    live: Live,
    /// Live values whose operands have not been marked so far.
    pending: Vec<ValueId>,
}

impl<'f> Liveness<'f> {
    fn record(&mut self, body: &'f Body) {
        for stmt in &body.stmts {
            for (k, &out) in stmt.outs.iter().enumerate() {
                self.origins.insert(out, Origin::Result(stmt, k));
            }
            if let Op::Shape(Shape::BindDim { dim }) = stmt.op {
                match dim {
                    Dim::Sym(dim) => self.binders.entry(dim).or_default().push(stmt.args[0]),
                    // A check that stays in any case.
                    Dim::Const(_) => self.mark(stmt.args[0]),
                }
            }
            for nested in &stmt.bodies {
                // The index of a loop is not carried.
                let n_before = nested.params.len() - carried_params(stmt, nested).len();
                for (k, &param) in nested.params.iter().skip(n_before).enumerate() {
                    self.origins.insert(param, Origin::Carried(stmt, k));
                }
                self.record(nested);
            }
        }
    }

    fn mark_all(&mut self, values: &[ValueId]) {
        for &value in values {
            self.mark(value);
        }
    }

    fn mark(&mut self, value: ValueId) {
        if !std::mem::replace(&mut self.live.values[value.0 as usize], true) {
            self.pending.push(value);
        }
    }

    fn mark_dim(&mut self, dim: Dim) {
        if let Dim::Sym(id) = dim
            && !std::mem::replace(&mut self.live.dims[id.0 as usize], true)
            && let Some(lengths) = self.binders.get(&id).cloned()
        {
            self.mark_all(&lengths);
        }
    }

    /// Marks what a live value directly depends on.
    fn follow(&mut self, value: ValueId) {
        for &dim in &self.func.ty(value).dims {
            self.mark_dim(dim);
        }
        match self.origins.get(&value).copied() {
            None => (),
            Some(Origin::Carried(stmt, k)) => self.mark_carried(stmt, k),
            Some(Origin::Result(stmt, k)) => {
                stmt.op.for_each_dim(|dim| self.mark_dim(dim));
                match &stmt.op {
                    Op::Control(Control::For { .. }) if k < stmt.args.len() => self.mark_carried(stmt, k),
                    Op::Control(Control::For { .. }) => self.mark(stmt.bodies[0].results[k]),
                    Op::Control(Control::While) => self.mark_carried(stmt, k),
                    Op::Control(Control::Check { .. }) => unreachable!("a check has no result"),
                    Op::Control(Control::If) => {
                        self.mark_all(&stmt.args);
                        self.mark_all(&[stmt.bodies[0].results[k], stmt.bodies[1].results[k]]);
                    }
                    Op::Const(..)
                    | Op::Elementwise(_)
                    | Op::Reduce(_)
                    | Op::Einsum(_)
                    | Op::Shape(_)
                    | Op::Index(_)
                    | Op::Call(_)
                    | Op::Linalg(_) => self.mark_all(&stmt.args),
                }
            }
        }
    }

    /// A carried value is one thing with its initial value, its parameter, what a turn makes of it, and its result.
    fn mark_carried(&mut self, stmt: &Stmt, k: usize) {
        let turn = stmt.bodies.last().expect("a loop has a body");
        self.mark_all(&[stmt.args[k], carried_params(stmt, turn)[k], turn.results[k], stmt.outs[k]]);
        self.mark_condition(stmt);
    }

    /// What decides whether the bodies of a live statement run.
    fn mark_condition(&mut self, stmt: &Stmt) {
        stmt.op.for_each_dim(|dim| self.mark_dim(dim));
        match &stmt.op {
            Op::Control(Control::If | Control::Check { .. }) => self.mark_all(&stmt.args),
            Op::Control(Control::While) => self.mark_all(&stmt.bodies[0].results),
            Op::Control(Control::For { .. }) => (),
            Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Index(_)
            | Op::Call(_)
            | Op::Linalg(_) => (),
        }
    }

    fn mark_checks(&mut self, body: &'f Body) {
        for stmt in body.stmts.iter().filter(|stmt| stmt.has_effect()) {
            self.mark_condition(stmt);
            for nested in &stmt.bodies {
                self.mark_checks(nested);
            }
        }
    }
}

impl Live {
    fn sweep(&self, body: &mut Body) {
        body.stmts.retain_mut(|stmt| {
            let keep: Vec<bool> = stmt.outs.iter().map(|&o| self.values[o.0 as usize]).collect();
            match &stmt.op {
                Op::Shape(Shape::BindDim { dim: Dim::Sym(dim) }) => self.dims[dim.0 as usize],
                Op::Shape(Shape::BindDim { dim: Dim::Const(_) }) => true,
                Op::Control(_) => {
                    let alive = keep.contains(&true) || stmt.has_effect();
                    if alive {
                        self.narrow(stmt, &keep);
                    }
                    alive
                }
                Op::Const(..)
                | Op::Elementwise(_)
                | Op::Reduce(_)
                | Op::Einsum(_)
                | Op::Shape(_)
                | Op::Index(_)
                | Op::Call(_)
                | Op::Linalg(_) => keep.contains(&true),
            }
        });
    }

    /// Removes the results of control flow that are not to be kept, what belongs to them, and what is dead in the bodies.
    fn narrow(&self, stmt: &mut Stmt, keep: &[bool]) {
        fn retain(values: &mut Vec<ValueId>, keep: impl IntoIterator<Item = bool>) {
            let mut keep = keep.into_iter();
            values.retain(|_| keep.next().expect("one for each value"));
        }
        let is_while = matches!(stmt.op, Op::Control(Control::While));
        if matches!(stmt.op, Op::Control(Control::For { .. })) {
            // The carried values come first among the results; the parameters have the index before them.
            retain(&mut stmt.args, keep.iter().copied());
            retain(&mut stmt.bodies[0].params, std::iter::once(true).chain(keep.iter().copied()));
        } else if is_while {
            retain(&mut stmt.args, keep.iter().copied());
            for body in &mut stmt.bodies {
                retain(&mut body.params, keep.iter().copied());
            }
        }
        for (k, nested) in stmt.bodies.iter_mut().enumerate() {
            // The condition of a `while` loop is its first body's only result.
            if !(is_while && k == 0) {
                retain(&mut nested.results, keep.iter().copied());
            }
            self.sweep(nested);
        }
        retain(&mut stmt.outs, keep.iter().copied());
    }
}

/// The parameters of a body that stand for carried values.
fn carried_params<'s>(stmt: &Stmt, body: &'s Body) -> &'s [ValueId] {
    match &stmt.op {
        Op::Control(Control::For { .. }) => &body.params[1..],
        Op::Control(Control::While) => &body.params,
        Op::Control(Control::If | Control::Check { .. }) => &[],
        Op::Const(..) | Op::Elementwise(_) | Op::Reduce(_) | Op::Einsum(_) | Op::Shape(_) | Op::Index(_) | Op::Call(_) | Op::Linalg(_) => {
            &[]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::dead;
    use crate::optimize::testing::{check, unchanged};

    #[test]
    fn what_no_result_needs_goes() {
        check(
            dead,
            "func f(%x: f64[n], %unused: f64) -> (%2) {
               %1: f64[n] = exp(%x)
               %3: f64[n] = exp(%1)
               %2: f64[n] = neg(%1)
               %4: f64[n] = mul(%3, %2)
             }",
            "func f(%x: f64[n], %unused: f64) -> (%2) {
               %1: f64[n] = exp(%x)
               %2: f64[n] = neg(%1)
             }",
        );
    }

    #[test]
    fn carried_values_that_only_feed_themselves_go() {
        check(
            dead,
            "func f(%x: f64, %r: f64[n]) -> (%a2) {
               %one: f64 = 1.0
               %a2: f64, %b2: f64, %c2: f64, %rows: f64[n] = for[n](%x, %x, %one) (%i: usize, %a: f64, %b: f64, %c: f64) -> (%a1, %b1, %c1, %b) {
                 %a1: f64 = mul(%a, %c)
                 %b1: f64 = mul(%b, %a)
                 %c1: f64 = exp(%c)
               }
             }",
            "func f(%x: f64, %r: f64[n]) -> (%a2) {
               %one: f64 = 1.0
               %a2: f64, %c2: f64 = for[n](%x, %one) (%i: usize, %a: f64, %c: f64) -> (%a1, %c1) {
                 %a1: f64 = mul(%a, %c)
                 %c1: f64 = exp(%c)
               }
             }",
        );
    }

    #[test]
    fn unused_stacked_values_go_and_used_ones_keep_what_they_need() {
        check(
            dead,
            "func f(%x: f64, %r: f64[n]) -> (%rows) {
               %a2: f64, %rows: f64[n], %more: f64[n] = for[n](%x) (%i: usize, %a: f64) -> (%a1, %a1, %e) {
                 %a1: f64 = mul(%a, %x)
                 %e: f64 = exp(%a)
               }
             }",
            "func f(%x: f64, %r: f64[n]) -> (%rows) {
               %a2: f64, %rows: f64[n] = for[n](%x) (%i: usize, %a: f64) -> (%a1, %a1) {
                 %a1: f64 = mul(%a, %x)
               }
             }",
        );
    }

    #[test]
    fn unused_results_of_branches_go() {
        check(
            dead,
            "func f(%x: f64, %c: bool) -> (%b) {
               %a: f64, %b: f64 = if(%c) () -> (%1, %2) {
                 %1: f64 = exp(%x)
                 %2: f64 = neg(%x)
               } () -> (%3, %3) {
                 %3: f64 = exp(%x)
               }
             }",
            "func f(%x: f64, %c: bool) -> (%b) {
               %b: f64 = if(%c) () -> (%2) {
                 %2: f64 = neg(%x)
               } () -> (%3) {
                 %3: f64 = exp(%x)
               }
             }",
        );
    }

    #[test]
    fn whole_loops_and_branches_go_with_their_conditions() {
        check(
            dead,
            "func f(%x: f64, %y: f64, %r: f64[n]) -> (%x) {
               %c: bool = lt(%x, %y)
               %b: f64 = if(%c) () -> (%1) {
                 %1: f64 = for[n](%x) (%i: usize, %a: f64) -> (%2) {
                   %2: f64 = exp(%a)
                 }
               } () -> (%y) {
               }
             }",
            "func f(%x: f64, %y: f64, %r: f64[n]) -> (%x) {
             }",
        );
    }

    #[test]
    fn dimensions_are_bound_as_long_as_they_are_used() {
        check(
            dead,
            "func f(%x: f64, %k: usize, %j: usize) -> (%a, %size) {
               %1: usize = add(%k, %j)
               bind[turns](%1)
               bind[other](%j)
               %2: usize[other] = iota()
               %a: f64 = for[turns](%x) (%i: usize, %b: f64) -> (%c) {
                 bind[inner](%i)
                 bind[dead](%j)
                 %row: f64[inner] = broadcast[](%b)
                 %c: f64 = reduce_sum[0](%row)
               }
               bind[asked](%k)
               %size: usize = dim_size[asked]()
             }",
            "func f(%x: f64, %k: usize, %j: usize) -> (%a, %size) {
               %1: usize = add(%k, %j)
               bind[turns](%1)
               %a: f64 = for[turns](%x) (%i: usize, %b: f64) -> (%c) {
                 bind[inner](%i)
                 %row: f64[inner] = broadcast[](%b)
                 %c: f64 = reduce_sum[0](%row)
               }
               bind[asked](%k)
               %size: usize = dim_size[asked]()
             }",
        );
    }

    #[test]
    fn nothing_live_goes() {
        unchanged(
            dead,
            "func f(%x: f64, %c: bool, %r: f64[n]) -> (%a2) {
               %two: f64 = 2.0
               %a2: f64 = for[n](%x) (%i: usize, %a: f64) -> (%a1) {
                 %s: f64 = mul(%two, %a)
                 %a1: f64 = if(%c) () -> (%s) {
                 } () -> (%t) {
                   %t: f64 = neg(%s)
                 }
               }
             }",
        );
    }
}
