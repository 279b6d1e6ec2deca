//! `for` loops, and what all loops have in common: the variables that they change.

use std::collections::BTreeSet;

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::visit::Visit;

use super::assign::{changed_by_azip, changes_receiver};
use super::exits::{Joining, has_break};
use super::filters::filtered_loop;
use super::iterate::Source;
use super::operators::Operand;
use super::value::{Value, describe_type};
use super::{Lowering, span_of, text};
use crate::diagnostics::messages;
use crate::ir::{Body, Control, Dim, Elem, Note, Op, Type, ValueId};

/// The variables that a loop changes, in the order of their declaration.
pub(super) struct Changing {
    positions: Vec<usize>,
    /// What they stand for before the loop.
    initial: Vec<Value>,
    /// What all variables stand for before the loop.
    pub(super) before: Vec<Value>,
    mark: usize,
}

impl Lowering<'_> {
    /// `for pattern in … { … }`
    pub(super) fn for_loop(&mut self, e: &syn::ExprForLoop) -> Value {
        if self.closure.is_some() {
            return self.fail(&e.for_token, messages::ELEMENT_LOOP, &[]);
        }
        if let Some(attribute) = e.attrs.iter().find(|attribute| attribute.path().is_ident("bound")) {
            self.error(attribute, messages::BOUND_ATTRIBUTE, &["has no place on a `for` loop, whose number of turns is known"]);
        }
        if let Some(unfiltered) = filtered_loop(e) {
            return self.for_loop(&unfiltered);
        }
        let source = self.source(&e.expr);
        let mark = self.scope.mark();
        let running = has_break(&e.body).then(|| {
            let on = self.truth(&e.for_token, true);
            self.scope.bind(" running", on);
            mark
        });
        // What the loop goes through may be changed as well.
        let through = syn::Stmt::Expr((*e.expr).clone(), None);
        let changing = self.changing(std::iter::once(&through).chain(&e.body.stmts), running, &e.for_token);
        let done = self.nested_loops(e, source.as_ref(), &mut Vec::new(), &changing, running);
        self.scope.cut(mark);
        if done { Value::Unit } else { Value::Poison }
    }

    /// The loop for the axis of the source whose number is that of `turns`, which are those of the loops around it, and the loops in it. Says whether
    /// there was no error.
    fn nested_loops(
        &mut self,
        e: &syn::ExprForLoop,
        source: Option<&Source>,
        turns: &mut Vec<ValueId>,
        changing: &Changing,
        running: Option<usize>,
    ) -> bool {
        let axis = turns.len();
        self.b.open();
        let name = match &*e.pat {
            syn::Pat::Ident(p) if source.is_some_and(Source::counts_from_zero) => Some(p.ident.unraw().to_string().as_str().into()),
            _ => None,
        };
        turns.push(self.b.param(Type::scalar(Elem::Usize), Note { name, ..Note::at(span_of(&e.pat)) }));
        self.carried_parameters(changing, &e.expr);
        let mut done = source.is_some();
        if source.is_some_and(|s| axis + 1 < s.trips.len()) {
            let inner = self.changing_again(changing);
            done &= self.nested_loops(e, source, turns, &inner, running);
        } else {
            self.innermost(e, source, turns, running);
        }
        let next = self.next_values(changing, &e.for_token);
        done &= next.is_some();
        let body = self.b.close(next.unwrap_or_default());
        let (trip, reverse) = source.map_or((Dim::Const(0), false), |s| (self.b.current_dim(s.trips[axis]), s.reverse));
        let op = Op::Control(Control::For { trip, reverse });
        self.finish_loop(changing, op, vec![body], !done, &e.for_token, &loop_text(e));
        done
    }

    /// The body of the innermost loop.
    fn innermost(&mut self, e: &syn::ExprForLoop, source: Option<&Source>, turns: &[ValueId], running: Option<usize>) {
        let mark = self.scope.mark();
        let counted = match source {
            Some(source) => self.bind_item(&e.pat, source, turns, &e.expr),
            None => {
                self.poison(&e.pat);
                None
            }
        };
        let untyped = counted.filter(|_| source.is_some_and(|s| s.untyped));
        if let Some(index) = untyped {
            self.counters.add(index);
        }
        let value = match running.map(|position| self.scope.at(position).value.clone()) {
            // After a `break` the turns that are left do nothing.
            Some(Value::Tensor(value)) => {
                let at = syn::Expr::Verbatim(e.for_token.to_token_stream());
                let on = Some(Operand { value, lane: false });
                let joining = Joining { has_else: true, variables: true };
                self.choose(&e.for_token, &at, on, |this| this.turn(&e.body, running), |_| Value::Unit, joining)
            }
            _ => self.turn(&e.body, running),
        };
        if let Some(difference) = untyped.and_then(|index| self.counters.close(index)) {
            self.error(&difference, messages::INDEX_TYPE, &[&text(&difference), &text(&e.pat)]);
        }
        self.nothing_at_the_end(value, &e.body);
        self.scope.cut(mark);
    }

    /// A loop's body gives nothing.
    pub(super) fn nothing_at_the_end(&mut self, value: Value, body: &syn::Block) {
        if !matches!(value, Value::Unit | Value::Poison) {
            let found = self.describe(&value);
            self.error(body, messages::EXPECTED_KIND, &["nothing at the end of a loop's body", &found, "end it with a semicolon"]);
        }
    }

    /// What a loop with this body changes, before it. Literals are given their type.
    pub(super) fn changing<'s>(
        &mut self,
        body: impl IntoIterator<Item = &'s syn::Stmt>,
        running: Option<usize>,
        at: &dyn ToTokens,
    ) -> Changing {
        let mut names = Assigned(BTreeSet::new());
        for stmt in body {
            names.visit_stmt(stmt);
        }
        let positions = names.0.iter().filter_map(|n| self.scope.position(n)).chain(running);
        // What changes a view changes the array behind it.
        let mut positions: Vec<usize> = positions.map(|k| self.view_at(k).map_or(k, |place| place.root)).collect();
        positions.sort_unstable();
        positions.dedup();
        positions.retain(|&k| self.scope.at(k).value.leaves().is_some());
        for &k in &positions {
            let value = self.scope.at(k).value.clone();
            let name = syn::Ident::new(self.scope.at(k).name.trim_start(), span_of(at));
            let leaves = value.leaves().unwrap_or_default();
            let leaves: Vec<Value> = leaves.into_iter().map(|l| self.leaf(l, None, &name).map_or(Value::Poison, Value::Tensor)).collect();
            let value = value.with_leaves(&mut leaves.into_iter());
            self.assign_to(k, value);
        }
        let initial: Vec<Value> = positions.iter().map(|&k| self.scope.at(k).value.clone()).collect();
        Changing { positions, initial, before: self.scope.values(), mark: self.scope.mark() }
    }

    /// The same for a loop that is all that is in the loop around it.
    fn changing_again(&self, outer: &Changing) -> Changing {
        let initial = outer.positions.iter().map(|&k| self.scope.at(k).value.clone()).collect();
        Changing { positions: outer.positions.clone(), initial, before: self.scope.values(), mark: self.scope.mark() }
    }

    /// In a body of the loop: parameters for the carried values.
    pub(super) fn carried_parameters(&mut self, changing: &Changing, at: &dyn ToTokens) {
        for (&k, value) in changing.positions.iter().zip(&changing.initial) {
            let parameters: Vec<Value> = tensors(value)
                .into_iter()
                .map(|v| {
                    let note = Note { name: Some(self.scope.at(k).name.trim_start().into()), ..Note::at(span_of(at)) };
                    Value::Tensor(self.b.param(self.b.ty(v).clone(), note))
                })
                .collect();
            self.scope.assign(k, value.with_leaves(&mut parameters.into_iter()));
        }
    }

    /// At the end of a turn: what the carried values are next.
    pub(super) fn next_values(&mut self, changing: &Changing, at: &dyn ToTokens) -> Option<Vec<ValueId>> {
        let last: Vec<Value> = changing.positions.iter().map(|&k| self.scope.at(k).value.clone()).collect();
        let mut results = Some(Vec::new());
        for ((&k, first), last) in changing.positions.iter().zip(&changing.initial).zip(&last) {
            let leaves = self.next_leaves(at, k, first, last);
            results = results.zip(leaves).map(|(results, leaves)| [results, leaves].concat());
        }
        results
    }

    /// Appends the loop, after whose bodies have been closed, and has the variables stand for its results.
    pub(super) fn finish_loop(&mut self, changing: &Changing, op: Op, bodies: Vec<Body>, failed: bool, at: &dyn ToTokens, head: &str) {
        self.forget_inner_lengths();
        self.scope.cut(changing.mark);
        self.scope.restore(&changing.before);
        let poison = |this: &mut Self| {
            for &k in &changing.positions {
                this.scope.assign(k, Value::Poison);
            }
        };
        if failed {
            return poison(self);
        }
        let args: Vec<ValueId> = changing.initial.iter().flat_map(tensors).collect();
        self.b.set_default_note(Note::of_source(head, span_of(at)));
        match self.b.try_stmt(op, args, bodies) {
            Ok(outs) => {
                let mut outs = outs.into_iter().map(Value::Tensor);
                for (&k, value) in changing.positions.iter().zip(&changing.initial) {
                    let value = value.with_leaves(&mut outs);
                    self.assign_to(k, value);
                }
            }
            Err(why) => {
                self.error(at, messages::OPERANDS, &[head, &why.0]);
                poison(self);
            }
        }
    }

    /// What a carried variable stands for after a turn, of the type it had before.
    fn next_leaves(&mut self, at: &dyn ToTokens, k: usize, first: &Value, last: &Value) -> Option<Vec<ValueId>> {
        if first.is_poisoned() || last.is_poisoned() {
            return None;
        }
        let name = self.scope.at(k).name.clone();
        let mut out = Vec::new();
        let (xs, ys) = (first.leaves()?, last.leaves());
        let Some(ys) = ys.filter(|ys| ys.len() == xs.len()) else {
            let (first, last) = (self.describe(first), self.describe(last));
            self.error(at, messages::CARRIED_TYPE, &[&name, &first, &last]);
            return None;
        };
        for (x, y) in xs.into_iter().zip(ys) {
            let x = self.leaf(x, None, at)?;
            let y = self.leaf(y, Some(self.b.ty(x).elem), at)?;
            let (x_ty, y_ty) = (self.b.ty(x).clone(), self.b.ty(y).clone());
            if (x_ty.elem, x_ty.rank()) != (y_ty.elem, y_ty.rank()) {
                self.error(at, messages::CARRIED_TYPE, &[&name, &describe_type(&x_ty), &describe_type(&y_ty)]);
                return None;
            }
            let whole = syn::Expr::Verbatim(at.to_token_stream());
            for (&i, &j) in x_ty.dims.iter().zip(&y_ty.dims) {
                if !self.unify(i, j, &whole, &whole, &whole) {
                    return None;
                }
            }
            out.push(y);
        }
        Some(out)
    }
}

/// The IR values in a tree of tensors.
fn tensors(value: &Value) -> Vec<ValueId> {
    let ids = value.leaves().unwrap_or_default().into_iter().filter_map(|leaf| match leaf {
        Value::Tensor(v) | Value::Lane(v) => Some(v),
        Value::Number(_) | Value::Tuple(_) | Value::Struct(_) | Value::Option(..) | Value::Lengths(_) | Value::Axis(_) => None,
        Value::Fixed(_) | Value::Iter(_) | Value::Closure(_) | Value::Unit | Value::Poison => None,
    });
    ids.collect()
}

/// The head of a loop, for the comment on it.
fn loop_text(e: &syn::ExprForLoop) -> String {
    format!("for {} in {}", text(&e.pat), text(&e.expr))
}

/// Names that statements assign to.
struct Assigned(BTreeSet<String>);

impl Assigned {
    fn place(&mut self, mut e: &syn::Expr) {
        loop {
            e = match e {
                syn::Expr::Paren(p) => &p.expr,
                syn::Expr::Group(p) => &p.expr,
                syn::Expr::Unary(u) => &u.expr,
                syn::Expr::Index(i) => &i.expr,
                syn::Expr::Field(f) => &f.base,
                syn::Expr::Reference(r) => &r.expr,
                syn::Expr::MethodCall(call) => &call.receiver,
                syn::Expr::Path(path) => {
                    self.0.extend(path.path.get_ident().map(|i| i.unraw().to_string()));
                    return;
                }
                _ => return,
            };
        }
    }
}

impl<'ast> Visit<'ast> for Assigned {
    fn visit_expr_assign(&mut self, e: &'ast syn::ExprAssign) {
        self.place(&e.left);
        syn::visit::visit_expr_assign(self, e);
    }

    fn visit_expr_method_call(&mut self, e: &'ast syn::ExprMethodCall) {
        if changes_receiver(&e.method) {
            self.place(&e.receiver);
        }
        syn::visit::visit_expr_method_call(self, e);
    }

    fn visit_expr_reference(&mut self, e: &'ast syn::ExprReference) {
        if e.mutability.is_some() {
            self.place(&e.expr);
        }
        syn::visit::visit_expr_reference(self, e);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        for name in changed_by_azip(mac) {
            self.0.insert(name);
        }
    }

    fn visit_expr_binary(&mut self, e: &'ast syn::ExprBinary) {
        use syn::BinOp as B;
        if matches!(e.op, B::AddAssign(_) | B::SubAssign(_) | B::MulAssign(_) | B::DivAssign(_) | B::RemAssign(_)) {
            self.place(&e.left);
        }
        syn::visit::visit_expr_binary(self, e);
    }
}
