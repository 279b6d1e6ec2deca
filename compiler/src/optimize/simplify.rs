//! Algebraic rules: a statement becomes a smaller one, or a value that is there already.
//!
//! Notation: `c` is a literal or a literal repeated to a shape, `s` a scalar repeated to a shape, `x`, `y` are any values.
//! A value is used here only if no other statement of the function uses it, and no loop stands between it and its use.
//!
//! The rules of each family stand in a file of their own, with a table at its top: `elementwise`, `product` (einsums and reductions), `shape`,
//! `index` (positions). Control flow is treated here: a branch on a literal is its body, a result that both bodies give alike is that
//! value, a carried value that every turn hands on unchanged is its initial value.
//!
//! # What the rules may change
//!
//! Floats are not real numbers: `x * 0` is not zero, `x - x` is not zero, `x + 0.0` is not `x` (for `x = -0.0`). A rule is used if it is exact for
//! all floats, NaN payloads aside, or falls under one of these licences:
//!
//! 1. *Sums have no order.* Einsums and reductions may add in any order, in parts, with or without an initial `0.0` (so that the sign of a sum that is
//!    zero means nothing), and multiply a common factor before or after adding (where it is infinite, one form may give an infinity and the
//!    other NaN). This lets einsums take broadcasts, permutations and signs of operands apart.
//! 2. *Powers of two.* Multiplication by a literal power of two from 1/256 to 256 is exact, so it may change its place among other factors and
//!    combine with another literal. Only a product within eight binades of overflow or underflow can tell.
//! 3. *Like terms.* Terms of one sum that are multiples of the same value by literals of one sign, from 1/256 to 256, are added as one multiple. Nothing
//!    cancels, and the tricks by which programs split floats into parts, or find the error of a sum, stay as they are.
//! 4. *The zeros that `put_along` fills in* are the symbolic zeros of differentiation; their sign means nothing.
//!
//! Literals are combined where the arithmetic is exact (`0.5 * 2.0`, `3.0 - 1.0`, integers, truth values, comparisons, conversions), so that `0.1 * 3.0` stays as
//! the user wrote it.
//!
//! Cost: one walk; each rule looks at a bounded number of definitions. A rule that enables another may need another round.

mod elementwise;
mod index;
mod linalg;
mod product;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use super::hash::FastMap;
use crate::ir::{Body, Builder, Control, Dim, DimId, Elem, Func, Literal, Note, Op, Shape, Stmt, Type, ValueId};

/// Rewrites every statement by the rules of its family.
pub fn simplify(f: &Func) -> Func {
    let mut uses = vec![0; f.types.len()];
    f.body.walk(&mut |stmt| {
        for &v in stmt.args.iter().chain(stmt.bodies.iter().flat_map(|b| &b.results)) {
            uses[v.0 as usize] += 1;
        }
    });
    for &v in &f.body.results {
        uses[v.0 as usize] += 1;
    }
    let mut r = Rewriter {
        source: f,
        b: Builder::with_dims_of(f.name.clone(), f),
        env: vec![None; f.types.len()],
        source_uses: uses,
        defs: FastMap::default(),
        loops_around: FastMap::default(),
        n_loops: 0,
        uses: FastMap::default(),
        next: 0,
        lengths: FastMap::default(),
        given: f.param_types().flat_map(|ty| ty.dims.iter().copied()).collect(),
        turns: FastMap::default(),
    };
    for &param in f.params() {
        r.param(param);
    }
    r.stmts(&f.body);
    let results = r.results(&f.body);
    r.b.finish(results)
}

/// The function under construction, and what the rules need to know of it.
struct Rewriter<'f> {
    source: &'f Func,
    b: Builder,
    /// For each value of the source, the value here.
    env: Vec<Option<ValueId>>,
    /// How often each value of the source is used.
    source_uses: Vec<usize>,
    /// What each value here is computed by. A definition's operands are in scope wherever its result is.
    defs: FastMap<ValueId, (Op, Vec<ValueId>)>,
    /// How many loops there are around the definition of each value.
    loops_around: FastMap<ValueId, usize>,
    /// How many loops there are around the statement that is being rewritten.
    n_loops: usize,
    /// How often the source uses values that became this one.
    uses: FastMap<ValueId, usize>,
    /// Above all numbers of values made so far, to tell new values from those that were there before.
    next: u32,
    /// The values of the lengths that statements have bound.
    lengths: FastMap<DimId, ValueId>,
    /// The dimensions of the parameters.
    given: HashSet<Dim>,
    /// The numbers of turns of the loops whose indices these are.
    turns: FastMap<ValueId, Dim>,
}

impl Rewriter<'_> {
    fn param(&mut self, param: ValueId) -> ValueId {
        let new = self.b.param(self.source.ty(param).clone(), self.source.note(param).clone());
        self.next = new.0 + 1;
        self.set(param, new);
        new
    }

    fn set(&mut self, old: ValueId, new: ValueId) {
        self.env[old.0 as usize] = Some(new);
        *self.uses.entry(new).or_default() += self.source_uses[old.0 as usize];
    }

    fn get(&self, old: ValueId) -> ValueId {
        self.env[old.0 as usize].expect("defined before use")
    }

    fn get_all(&self, old: &[ValueId]) -> Vec<ValueId> {
        old.iter().map(|&v| self.get(v)).collect()
    }

    fn results(&self, body: &Body) -> Vec<ValueId> {
        self.get_all(&body.results)
    }

    fn stmts(&mut self, body: &Body) {
        for stmt in &body.stmts {
            match &stmt.op {
                Op::Control(Control::For { trip, reverse }) => self.loop_stmt(*trip, *reverse, stmt),
                Op::Control(Control::If) => self.branch(stmt),
                Op::Control(Control::While) => self.while_stmt(stmt),
                Op::Control(Control::Check { .. }) => {
                    let holds = self.get(stmt.args[0]);
                    if self.literal(holds) != Some(Literal::Bool(true)) {
                        self.b.stmt(stmt.op.clone(), &[holds], Vec::new());
                    }
                }
                Op::Shape(Shape::BindDim { dim }) => {
                    let length = self.get(stmt.args[0]);
                    if self.is_length(length, *dim) {
                        continue;
                    }
                    if let Dim::Sym(id) = *dim
                        && !self.given.contains(dim)
                    {
                        self.lengths.entry(id).or_insert(length);
                    }
                    self.b.stmt(stmt.op.clone(), &[length], Vec::new());
                }
                Op::Const(..)
                | Op::Elementwise(_)
                | Op::Reduce(_)
                | Op::Einsum(_)
                | Op::Shape(_)
                | Op::Index(_)
                | Op::Call(_)
                | Op::Linalg(_)
                    if stmt.outs.len() != 1 =>
                {
                    let args = self.get_all(&stmt.args);
                    self.copy(stmt.op.clone(), &args, Vec::new(), &stmt.outs);
                }
                Op::Const(..)
                | Op::Elementwise(_)
                | Op::Reduce(_)
                | Op::Einsum(_)
                | Op::Shape(_)
                | Op::Index(_)
                | Op::Call(_)
                | Op::Linalg(_) => {
                    let note = self.source.note(stmt.outs[0]).clone();
                    self.b.set_default_note(Note { name: None, ..note.clone() });
                    let first_new = self.next;
                    let args = self.get_all(&stmt.args);
                    let new = self.emit(stmt.op.clone(), &args);
                    // A new value takes the note; so does an unnamed one that turns out to be the same, if there is a name to take.
                    if new.0 >= first_new || (self.b.note(new).name.is_none() && note.name.is_some()) {
                        self.b.set_note(new, note);
                    }
                    self.set(stmt.outs[0], new);
                }
            }
        }
    }

    /// A loop, without the carried values that never change.
    fn loop_stmt(&mut self, trip: Dim, reverse: bool, stmt: &Stmt) {
        let body = &stmt.bodies[0];
        let n_carried = stmt.args.len();
        let changes: Vec<bool> = (0..n_carried).map(|k| body.results[k] != body.params[k + 1] && body.results[k] != stmt.args[k]).collect();
        for k in (0..n_carried).filter(|&k| !changes[k]) {
            let initial = self.get(stmt.args[k]);
            self.set(body.params[k + 1], initial);
            self.set(stmt.outs[k], initial);
        }
        let kept = |k: &usize| *k >= n_carried || changes[*k];
        let args: Vec<ValueId> = (0..n_carried).filter(kept).map(|k| self.get(stmt.args[k])).collect();
        self.b.open();
        let index = self.param(body.params[0]);
        self.turns.insert(index, trip);
        for k in (0..n_carried).filter(kept) {
            self.param(body.params[k + 1]);
        }
        self.n_loops += 1;
        self.stmts(body);
        self.n_loops -= 1;
        let results = (0..body.results.len()).filter(kept).map(|k| self.get(body.results[k])).collect();
        let nested = self.b.close(results);
        let outs: Vec<ValueId> = (0..stmt.outs.len()).filter(kept).map(|k| stmt.outs[k]).collect();
        self.copy(Control::For { trip, reverse }, &args, vec![nested], &outs);
    }

    /// A `while` loop, without the carried values that never change.
    fn while_stmt(&mut self, stmt: &Stmt) {
        let [condition, turn] = &stmt.bodies[..] else { unreachable!("a `while` loop has two bodies") };
        let changes: Vec<bool> =
            (0..stmt.args.len()).map(|k| turn.results[k] != turn.params[k] && turn.results[k] != stmt.args[k]).collect();
        for k in (0..changes.len()).filter(|&k| !changes[k]) {
            let initial = self.get(stmt.args[k]);
            for constant in [condition.params[k], turn.params[k], stmt.outs[k]] {
                self.set(constant, initial);
            }
        }
        let kept: Vec<usize> = (0..changes.len()).filter(|&k| changes[k]).collect();
        let args: Vec<ValueId> = kept.iter().map(|&k| self.get(stmt.args[k])).collect();
        self.n_loops += 1;
        let mut bodies = Vec::with_capacity(2);
        for body in [condition, turn] {
            self.b.open();
            for &k in &kept {
                self.param(body.params[k]);
            }
            self.stmts(body);
            let results = match bodies.is_empty() {
                true => self.results(condition),
                false => kept.iter().map(|&k| self.get(turn.results[k])).collect(),
            };
            bodies.push(self.b.close(results));
        }
        self.n_loops -= 1;
        let outs: Vec<ValueId> = kept.iter().map(|&k| stmt.outs[k]).collect();
        self.copy(Control::While, &args, bodies, &outs);
    }

    /// A branch, without the results that do not depend on the condition.
    fn branch(&mut self, stmt: &Stmt) {
        let condition = self.get(stmt.args[0]);
        if let Some(Literal::Bool(holds)) = self.literal(condition) {
            let taken = &stmt.bodies[usize::from(!holds)];
            self.stmts(taken);
            for (&out, &result) in stmt.outs.iter().zip(&taken.results) {
                let value = self.get(result);
                self.set(out, value);
            }
            return;
        }
        let mut nested: Vec<Body> = Vec::with_capacity(2);
        for body in &stmt.bodies {
            self.b.open();
            self.stmts(body);
            let results = self.results(body);
            nested.push(self.b.close(results));
        }
        // A value that both bodies give is defined outside of both.
        let differs: Vec<bool> = nested[0].results.iter().zip(&nested[1].results).map(|(a, b)| a != b).collect();
        for k in (0..stmt.outs.len()).filter(|&k| !differs[k]) {
            self.set(stmt.outs[k], nested[0].results[k]);
        }
        let outs: Vec<ValueId> = (0..stmt.outs.len()).filter(|&k| differs[k]).map(|k| stmt.outs[k]).collect();
        for body in &mut nested {
            let mut differs = differs.iter();
            body.results.retain(|_| *differs.next().expect("one for each result"));
        }
        self.copy(Control::If, &[condition], nested, &outs);
    }

    /// Makes a statement to which no rules apply, and whose results stand for `outs` of the source; none if it has neither results nor an effect.
    fn copy(&mut self, op: impl Into<Op>, args: &[ValueId], bodies: Vec<Body>, outs: &[ValueId]) {
        if outs.is_empty() && !bodies.iter().any(Body::has_effect) {
            return;
        }
        for (new, &out) in self.b.stmt(op, args, bodies).into_iter().zip(outs) {
            self.next = new.0 + 1;
            self.b.set_note(new, self.source.note(out).clone());
            self.set(out, new);
        }
    }

    /// The value of an operation with one result: by the rules if one applies, by a new statement if not.
    fn emit(&mut self, op: impl Into<Op>, args: &[ValueId]) -> ValueId {
        let op = op.into();
        let rewritten = match &op {
            Op::Const(..) | Op::Call(_) | Op::Control(_) => None,
            Op::Elementwise(op) => elementwise::rewrite(self, *op, args),
            Op::Reduce(op) => product::rewrite_reduce(self, op, args[0]),
            Op::Einsum(op) => product::rewrite_einsum(self, op, args[0], args[1]),
            Op::Shape(op) => shape::rewrite(self, op, args),
            Op::Index(op) => index::rewrite(self, op, args),
            Op::Linalg(op) => linalg::rewrite(self, *op, args),
        };
        rewritten.unwrap_or_else(|| {
            let out = self.b.op(op.clone(), args);
            self.next = out.0 + 1;
            self.defs.insert(out, (op, args.to_vec()));
            self.loops_around.insert(out, self.n_loops);
            out
        })
    }

    /// A literal repeated to a type's shape.
    fn constant(&mut self, ty: &Type, literal: Literal) -> ValueId {
        let scalar = self.emit(Op::Const(ty.elem, literal), &[]);
        self.emit(Shape::Broadcast { axes: Vec::new(), dims: ty.dims.clone() }, &[scalar])
    }

    /// Whether a value is known to be the length of a dimension, so that there is nothing to check.
    fn is_length(&self, value: ValueId, dim: Dim) -> bool {
        match (self.def(value), dim) {
            (Some((Op::Shape(Shape::DimSize { dim: of }), _)), _) => *of == dim,
            (Some((Op::Const(_, Literal::Int(n)), _)), Dim::Const(m)) => u64::try_from(*n) == Ok(m),
            (_, Dim::Sym(id)) => self.lengths.get(&id) == Some(&value),
            (_, Dim::Const(_)) => false,
        }
    }

    fn ty(&self, value: ValueId) -> &Type {
        self.b.ty(value)
    }

    fn elem(&self, value: ValueId) -> Elem {
        self.b.ty(value).elem
    }

    /// Whether no work is done twice if a rule computes a value anew, in another form, for the statement that is being rewritten: no other statement
    /// of the source uses it, and no loop is in between.
    fn is_used_here_only(&self, value: ValueId) -> bool {
        let n_uses = self.uses.get(&value).copied().unwrap_or(0);
        n_uses <= 1 && self.loops_around.get(&value) == Some(&self.n_loops)
    }

    fn def(&self, value: ValueId) -> Option<(&Op, &[ValueId])> {
        self.defs.get(&value).map(|(op, args)| (op, &args[..]))
    }

    /// Operand and axes, if the value is a broadcast.
    fn as_broadcast(&self, value: ValueId) -> Option<(ValueId, Vec<usize>)> {
        match self.def(value) {
            Some((Op::Shape(Shape::Broadcast { axes, .. }), args)) => Some((args[0], axes.clone())),
            Some(_) | None => None,
        }
    }

    /// Operand and permutation, if the value is a permutation of axes.
    fn as_permute(&self, value: ValueId) -> Option<(ValueId, Vec<usize>)> {
        match self.def(value) {
            Some((Op::Shape(Shape::Permute { perm }), args)) => Some((args[0], perm.clone())),
            Some(_) | None => None,
        }
    }

    /// The literal that every element of the value is.
    fn literal(&self, value: ValueId) -> Option<Literal> {
        match self.def(value)? {
            (Op::Const(_, literal), _) => Some(*literal),
            (Op::Shape(Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Reshape { .. }), args) => self.literal(args[0]),
            (
                Op::Elementwise(_)
                | Op::Reduce(_)
                | Op::Einsum(_)
                | Op::Shape(_)
                | Op::Index(_)
                | Op::Call(_)
                | Op::Linalg(_)
                | Op::Control(_),
                _,
            ) => None,
        }
    }

    /// The float that every element of the value is.
    fn float(&self, value: ValueId) -> Option<f64> {
        match self.literal(value)? {
            Literal::Float(x) => Some(x),
            Literal::Widths(..) | Literal::Int(_) | Literal::Bool(_) => None,
        }
    }
}
