//! Loop-invariant motion: what every turn of a loop computes anew from the same operands is computed once, before it.
//!
//! Notation: a statement in the body of a loop is *invariant* if neither its operands, nor what its nested bodies capture, nor the dimensions it
//! mentions come from inside the body. A stacked value that comes from outside is the same in every row: it becomes a broadcast after the loop.
//!
//! Two things stay where they are. What may fail at run time (positions that are data, integer arithmetic), since a loop without turns must not
//! fail. And what costs nothing where it is used (literals, lengths, broadcasts, rearrangements), unless something that
//! moves needs it: hoisted alone, it would only become an array to keep.
//!
//! Cost: one walk; a statement moves out of all the loops it can at once, since inner loops are treated first.

use super::hash::FastSet;
use crate::ir::{Body, Control, Dim, DimId, Elem, Elementwise, Func, Op, Reduce, Shape, Stmt, ValueId};

/// Moves invariant statements out of loops.
pub fn hoist(f: &Func) -> Func {
    let mut func = f.clone();
    hoist_in_place(&mut func);
    func
}

/// [`hoist`] of a function that its caller does not need any more; whether anything moved.
pub(super) fn hoist_in_place(f: &mut Func) -> bool {
    let mut body = std::mem::take(&mut f.body);
    let changed = hoist_body(f, &mut body);
    f.body = body;
    changed
}

fn hoist_body(func: &Func, body: &mut Body) -> bool {
    let mut changed = false;
    let stmts = std::mem::take(&mut body.stmts);
    for mut stmt in stmts {
        for nested in &mut stmt.bodies {
            changed |= hoist_body(func, nested);
        }
        match stmt.op {
            Op::Control(Control::For { trip, .. }) => {
                let invariant = take_invariant(func, &mut stmt.bodies[0]);
                let rows = take_constant_rows(&mut stmt, trip, func);
                changed |= !(invariant.is_empty() && rows.is_empty());
                body.stmts.extend(invariant);
                body.stmts.push(stmt);
                body.stmts.extend(rows);
            }
            Op::Control(Control::If | Control::While | Control::Check { .. })
            | Op::Const(..)
            | Op::Elementwise(_)
            | Op::Reduce(_)
            | Op::Einsum(_)
            | Op::Shape(_)
            | Op::Index(_)
            | Op::Linalg(_)
            | Op::Call(_) => {
                body.stmts.push(stmt);
            }
        }
    }
    changed
}

/// What a body defines and binds itself, nested bodies included.
#[derive(Default)]
struct Inside {
    values: FastSet<ValueId>,
    dims: FastSet<DimId>,
}

impl Inside {
    fn of(body: &Body) -> Inside {
        let mut inside = Inside::default();
        inside.values.extend(&body.params);
        body.walk(&mut |stmt| inside.add(stmt));
        inside
    }

    fn add(&mut self, stmt: &Stmt) {
        self.values.extend(&stmt.outs);
        self.values.extend(stmt.bodies.iter().flat_map(|b| &b.params));
        if let Op::Shape(Shape::BindDim { dim: Dim::Sym(dim) }) = stmt.op {
            self.dims.insert(dim);
        }
    }

    fn has_dim(&self, dim: Dim) -> bool {
        match dim {
            Dim::Const(_) => false,
            Dim::Sym(id) => self.dims.contains(&id),
        }
    }

    /// Whether a statement or anything nested in it mentions a dimension from inside.
    fn has_dim_of(&self, func: &Func, stmt: &Stmt) -> bool {
        let mut found = stmt.outs.iter().any(|&o| func.ty(o).dims.iter().any(|&d| self.has_dim(d)));
        stmt.op.for_each_dim(|d| found |= self.has_dim(d));
        found || stmt.bodies.iter().any(|b| b.stmts.iter().any(|s| self.has_dim_of(func, s)))
    }

    /// Whether a statement uses nothing from inside.
    fn is_free_of(&self, func: &Func, stmt: &Stmt) -> bool {
        let mut used = stmt.args.iter().copied().chain(stmt.bodies.iter().flat_map(Body::captures));
        !used.any(|v| self.values.contains(&v)) && !self.has_dim_of(func, stmt)
    }
}

/// Removes the invariant statements from the body of a loop.
fn take_invariant(func: &Func, body: &mut Body) -> Vec<Stmt> {
    let mut inside = Inside::of(body);
    let mut moves = Vec::with_capacity(body.stmts.len());
    for stmt in &body.stmts {
        let invariant = !may_fail(func, stmt) && inside.is_free_of(func, stmt);
        if invariant {
            for out in &stmt.outs {
                inside.values.remove(out);
            }
        }
        moves.push(invariant);
    }
    // What costs nothing where it stands moves only for something else that moves; users come after definitions.
    let mut needed: FastSet<ValueId> = FastSet::default();
    for (stmt, moves) in body.stmts.iter().zip(&mut moves).rev() {
        *moves &= !costs_nothing(&stmt.op) || stmt.outs.iter().any(|o| needed.contains(o));
        if *moves {
            needed.extend(&stmt.args);
            needed.extend(stmt.bodies.iter().flat_map(Body::captures));
        }
    }
    let mut moves = moves.into_iter();
    body.stmts.extract_if(.., |_| moves.next().expect("one for each statement")).collect()
}

/// Removes the stacked values that come from outside the loop, and gives the broadcasts that replace them.
fn take_constant_rows(stmt: &mut Stmt, trip: Dim, func: &Func) -> Vec<Stmt> {
    let inside = Inside::of(&stmt.bodies[0]);
    let n_carried = stmt.args.len();
    let results = std::mem::take(&mut stmt.bodies[0].results);
    let outs = std::mem::take(&mut stmt.outs);
    let mut broadcasts = Vec::new();
    for (k, (result, out)) in results.into_iter().zip(outs).enumerate() {
        if k < n_carried || inside.values.contains(&result) {
            stmt.bodies[0].results.push(result);
            stmt.outs.push(out);
        } else {
            let dims = func.ty(out).dims.clone();
            debug_assert_eq!(dims[0], trip, "rows are stacked along the outermost axis");
            let op = Shape::Broadcast { axes: (1..dims.len()).collect(), dims };
            broadcasts.push(Stmt { outs: vec![out], op: op.into(), args: vec![result], bodies: Vec::new() });
        }
    }
    broadcasts
}

/// Whether emitted code computes the value where it is used, so that it needs no memory and hardly any time.
fn costs_nothing(op: &Op) -> bool {
    match op {
        Op::Shape(Shape::Concat { .. } | Shape::Fold { .. }) => false,
        Op::Const(..) | Op::Shape(_) => true,
        Op::Elementwise(_) | Op::Reduce(_) | Op::Einsum(_) | Op::Index(_) | Op::Call(_) | Op::Linalg(_) | Op::Control(_) => false,
    }
}

/// Whether the statement may fail at run time, or has an effect beyond its results.
fn may_fail(func: &Func, stmt: &Stmt) -> bool {
    let of_integers = || stmt.outs.iter().chain(&stmt.args).any(|&v| func.ty(v).elem.is_integer());
    match &stmt.op {
        Op::Shape(Shape::BindDim { .. }) | Op::Index(_) | Op::Call(_) => true,
        Op::Shape(Shape::Reshape { dims }) => Shape::same_elements(&func.ty(stmt.args[0]).dims, dims) != Some(true),
        // Lengths known at compile time have been checked.
        Op::Shape(Shape::Concat { .. } | Shape::Unfold { .. } | Shape::Fold { .. }) => {
            stmt.args.iter().chain(&stmt.outs).any(|&v| func.ty(v).dims.iter().any(|d| matches!(d, Dim::Sym(_))))
        }
        // A matrix without a factorisation gives NaN.
        Op::Linalg(_) => false,
        // A `while` loop may not end.
        Op::Control(Control::While | Control::Check { .. }) => true,
        Op::Control(Control::For { .. } | Control::If) => stmt.bodies.iter().any(|b| b.stmts.iter().any(|s| may_fail(func, s))),
        Op::Reduce(Reduce::Sum { .. } | Reduce::Prod { .. } | Reduce::Max { .. } | Reduce::Min { .. } | Reduce::LogSumExp { .. }) => {
            of_integers()
        }
        // An empty axis has no extreme.
        Op::Reduce(Reduce::ArgMax { .. } | Reduce::ArgMin { .. }) => true,
        Op::Elementwise(op) => match op {
            Elementwise::Add
            | Elementwise::Sub
            | Elementwise::Mul
            | Elementwise::Div
            | Elementwise::Rem
            | Elementwise::Neg
            | Elementwise::Abs
            | Elementwise::Cast(Elem::Usize | Elem::I64) => of_integers(),
            Elementwise::Exp
            | Elementwise::ExpM1
            | Elementwise::Ln
            | Elementwise::Ln1p
            | Elementwise::Sqrt
            | Elementwise::Sin
            | Elementwise::Cos
            | Elementwise::Tan
            | Elementwise::Asin
            | Elementwise::Acos
            | Elementwise::Atan
            | Elementwise::Sinh
            | Elementwise::Cosh
            | Elementwise::Tanh
            | Elementwise::Sigmoid
            | Elementwise::Softplus
            | Elementwise::Erf
            | Elementwise::Sign
            | Elementwise::Relu
            | Elementwise::Floor
            | Elementwise::StopGradient
            | Elementwise::Powi(_)
            | Elementwise::Powf
            | Elementwise::Atan2
            | Elementwise::Max
            | Elementwise::Min
            | Elementwise::Lt
            | Elementwise::Le
            | Elementwise::Eq
            | Elementwise::Ne
            | Elementwise::And
            | Elementwise::Or
            | Elementwise::Not
            | Elementwise::Select
            | Elementwise::Cast(Elem::F64 | Elem::F32 | Elem::Generic(_) | Elem::Bool) => false,
        },
        Op::Const(..) | Op::Einsum(_) | Op::Shape(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::hoist;
    use crate::optimize::testing::{check, unchanged};

    #[test]
    fn invariant_statements_move_out_of_all_loops() {
        check(
            hoist,
            "func f(%x: f64, %r: f64[n]) -> (%a) {
               %a: f64 = for[n](%x) (%i: usize, %b: f64) -> (%c) {
                 %1: f64 = exp(%x)
                 %c: f64 = for[3](%b) (%j: usize, %d: f64) -> (%e) {
                   %2: f64 = neg(%1)
                   %3: f64 = exp(%b)
                   %4: f64 = mul(%2, %3)
                   %e: f64 = add(%d, %4)
                 }
               }
             }",
            "func f(%x: f64, %r: f64[n]) -> (%a) {
               %1: f64 = exp(%x)
               %2: f64 = neg(%1)
               %a: f64 = for[n](%x) (%i: usize, %b: f64) -> (%c) {
                 %3: f64 = exp(%b)
                 %4: f64 = mul(%2, %3)
                 %c: f64 = for[3](%b) (%j: usize, %d: f64) -> (%e) {
                   %e: f64 = add(%d, %4)
                 }
               }
             }",
        );
    }

    #[test]
    fn what_costs_nothing_moves_only_with_its_user() {
        check(
            hoist,
            "func f(%x: f64[n]) -> (%a) {
               %a: f64[n] = for[n](%x) (%i: usize, %b: f64[n]) -> (%c) {
                 %two: f64 = 2.0
                 %1: f64[n] = broadcast[](%two)
                 %2: f64[n] = mul(%1, %x)
                 %3: f64 = 3.0
                 %4: f64[n] = broadcast[](%3)
                 %5: f64[n] = mul(%4, %b)
                 %c: f64[n] = add(%2, %5)
               }
             }",
            "func f(%x: f64[n]) -> (%a) {
               %two: f64 = 2.0
               %1: f64[n] = broadcast[](%two)
               %2: f64[n] = mul(%1, %x)
               %a: f64[n] = for[n](%x) (%i: usize, %b: f64[n]) -> (%c) {
                 %3: f64 = 3.0
                 %4: f64[n] = broadcast[](%3)
                 %5: f64[n] = mul(%4, %b)
                 %c: f64[n] = add(%2, %5)
               }
             }",
        );
    }

    #[test]
    fn whole_branches_and_loops_move() {
        check(
            hoist,
            "func f(%x: f64, %q: bool, %r: f64[n]) -> (%a) {
               %a: f64 = for[n](%x) (%i: usize, %b: f64) -> (%c) {
                 %1: f64 = if(%q) () -> (%2) {
                   %2: f64 = exp(%x)
                 } () -> (%x) {
                 }
                 %c: f64 = mul(%b, %1)
               }
             }",
            "func f(%x: f64, %q: bool, %r: f64[n]) -> (%a) {
               %1: f64 = if(%q) () -> (%2) {
                 %2: f64 = exp(%x)
               } () -> (%x) {
               }
               %a: f64 = for[n](%x) (%i: usize, %b: f64) -> (%c) {
                 %c: f64 = mul(%b, %1)
               }
             }",
        );
    }

    #[test]
    fn rows_that_are_all_the_same_become_a_broadcast() {
        check(
            hoist,
            "func f(%x: f64[m], %r: f64[n]) -> (%a, %rows, %more) {
               %a: f64[m], %rows: f64[n, m], %more: f64[n, m] = for[n](%x) (%i: usize, %b: f64[m]) -> (%c, %1, %b) {
                 %1: f64[m] = exp(%x)
                 %c: f64[m] = mul(%b, %1)
               }
             }",
            "func f(%x: f64[m], %r: f64[n]) -> (%a, %rows, %more) {
               %1: f64[m] = exp(%x)
               %a: f64[m], %more: f64[n, m] = for[n](%x) (%i: usize, %b: f64[m]) -> (%c, %b) {
                 %c: f64[m] = mul(%b, %1)
               }
               %rows: f64[n, m] = broadcast[1](%1)
             }",
        );
    }

    #[test]
    fn what_may_fail_or_depends_on_the_turn_stays() {
        unchanged(
            hoist,
            "func f(%x: f64[n], %k: usize, %x0: f64, %q: bool) -> (%a) {
               %0: f64 = 0.0
               %a: f64 = for[n](%0) (%i: usize, %b: f64) -> (%c) {
                 %1: f64 = read[0](%x, %k)
                 %2: usize = mul(%k, %k)
                 %3: f64 = cast(%2)
                 bind[m](%k)
                 %4: f64[m] = broadcast[](%0)
                 %5: f64[m] = exp(%4)
                 %6: f64 = reduce_sum[0](%5)
                 %7: f64 = add(%1, %6)
                 %8: f64 = add(%3, %7)
                 %9: f64 = cast(%i)
                 %10: f64 = add(%8, %9)
                 %11: f64 = if(%q) () -> (%12) {
                   %13: f64[m] = broadcast[](%x0)
                   %12: f64 = reduce_sum[0](%13)
                 } () -> (%x0) {
                 }
                 %14: f64 = add(%10, %11)
                 %c: f64 = mul(%b, %14)
               }
             }",
        );
    }
}
