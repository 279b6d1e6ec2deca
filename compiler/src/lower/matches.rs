//! `match` on numbers, truth values, and tuples of them: a chain of branches, one for each arm.
//!
//! rustc has proved that some arm applies, so the last one is not tested.

use syn::ext::IdentExt;

use super::Lowering;
use super::exits::Joining;
use super::operators::Operand;
use super::value::Value;
use crate::diagnostics::messages;
use crate::ir::{Elem, Elementwise};

/// When a pattern applies.
enum Test {
    Always,
    /// Where this holds.
    Where(Operand),
}

impl Lowering<'_> {
    /// `match x { … }`, perhaps at the tail of the body that exits leave.
    pub(super) fn match_at(&mut self, m: &syn::ExprMatch, tail: bool) -> Value {
        let lower = |this: &mut Self, body: &syn::Expr| if tail { this.tail_expr(body) } else { this.expr(body) };
        let joining = self.joining(tail, true);
        self.match_arms(m, &lower, joining)
    }

    /// `match x { … }` with a choice of how the body of an arm is lowered.
    pub(super) fn match_arms(&mut self, m: &syn::ExprMatch, lower: &dyn Fn(&mut Self, &syn::Expr) -> Value, joining: Joining) -> Value {
        let value = self.expr(&m.expr);
        if m.arms.is_empty() {
            return self.fail(&m.match_token, messages::UNSUPPORTED_EXPRESSION, &["a `match` without arms", "one arm for each case"]);
        }
        let arms: Vec<&syn::Arm> = m.arms.iter().collect();
        self.arms(m, &value, &arms, lower, joining)
    }

    fn arms(
        &mut self,
        m: &syn::ExprMatch,
        value: &Value,
        arms: &[&syn::Arm],
        lower: &dyn Fn(&mut Self, &syn::Expr) -> Value,
        joining: Joining,
    ) -> Value {
        let Some((arm, others)) = arms.split_first() else { return Value::Poison };
        let (pat, guard) = match &arm.pat {
            syn::Pat::Guard(guarded) => (&*guarded.pat, Some(&*guarded.guard)),
            pat => (pat, None),
        };
        let test = self.pattern(pat, value);
        let body = |this: &mut Self| {
            let mark = this.scope.mark();
            this.bind_matched(pat, value.clone());
            let value = lower(this, &arm.body);
            this.scope.cut(mark);
            value
        };
        if others.is_empty() && guard.is_none() || matches!((&test, guard), (Some(Test::Always), None)) {
            return body(self);
        }
        let at = syn::Expr::Match(m.clone());
        let condition = match guard {
            None => match test {
                Some(Test::Where(test)) => Some(test),
                Some(Test::Always) | None => None,
            },
            Some(guard) => self.guarded_test(&at, pat, value, test, guard),
        };
        self.choose(&m.match_token, &at, condition, body, |this| this.arms(m, value, others, lower, joining), joining)
    }

    /// Whether a pattern applies and its guard holds; the guard sees the names of the pattern, and is asked only where that applies.
    fn guarded_test(&mut self, at: &syn::Expr, pat: &syn::Pat, value: &Value, test: Option<Test>, guard: &syn::Expr) -> Option<Operand> {
        let ask = |this: &mut Self| {
            let mark = this.scope.mark();
            this.bind_matched(pat, value.clone());
            let holds = this.condition(guard);
            this.scope.cut(mark);
            holds
        };
        match test? {
            Test::Always => ask(self),
            Test::Where(test) => {
                let wrap = |holds: Option<Operand>| holds.map_or(Value::Poison, |o| Operand::wrap(Some(o.value), o.lane));
                let joining = Joining { has_else: true, variables: true };
                let both = self.choose(guard, at, Some(test), |this| wrap(ask(this)), |this| this.truth(guard, false), joining);
                self.truth_value(both)
            }
        }
    }

    fn truth_value(&self, value: Value) -> Option<Operand> {
        match value {
            Value::Tensor(value) => Some(Operand { value, lane: false }),
            Value::Lane(value) => Some(Operand { value, lane: true }),
            Value::Number(_) | Value::Tuple(_) | Value::Struct(_) | Value::Option(..) | Value::Lengths(_) | Value::Axis(_) => None,
            Value::Fixed(_) | Value::Iter(_) | Value::Closure(_) | Value::Unit | Value::Poison => None,
        }
    }

    /// When a pattern applies to a value; `None` after an error.
    fn pattern(&mut self, pat: &syn::Pat, value: &Value) -> Option<Test> {
        match pat {
            syn::Pat::Wild(_) => Some(Test::Always),
            syn::Pat::Paren(p) => self.pattern(&p.pat, value),
            syn::Pat::Reference(p) => self.pattern(&p.pat, value),
            syn::Pat::Ident(p) => match &p.subpat {
                Some((_, subpattern)) => self.pattern(subpattern, value),
                None if self.items.constant(self.place, &p.ident.unraw().to_string()).is_some() => {
                    let constant: syn::Expr = syn::parse_quote!(#p);
                    self.compare(pat, Elementwise::Eq, value, &constant, false)
                }
                // A constant that the macro does not see would be taken for a name.
                None if p.ident.to_string().starts_with(char::is_uppercase) => {
                    self.error(pat, messages::UNKNOWN_NAME, &[&p.ident.to_string()]);
                    None
                }
                None => Some(Test::Always),
            },
            syn::Pat::Lit(lit) => self.compare(pat, Elementwise::Eq, value, &syn::Expr::Lit(lit.clone()), false),
            syn::Pat::Path(path) => self.compare(pat, Elementwise::Eq, value, &syn::Expr::Path(path.clone()), false),
            syn::Pat::Range(range) => {
                let last = match range.limits {
                    syn::RangeLimits::HalfOpen(_) => Elementwise::Lt,
                    syn::RangeLimits::Closed(_) => Elementwise::Le,
                };
                let from = range.start.as_ref().map(|start| self.compare(pat, Elementwise::Le, value, start, true));
                let to = range.end.as_ref().map(|end| self.compare(pat, last, value, end, false));
                match (from, to) {
                    (Some(from), Some(to)) => self.both(pat, Elementwise::And, from?, to?),
                    (Some(test), None) | (None, Some(test)) => test,
                    (None, None) => Some(Test::Always),
                }
            }
            syn::Pat::Or(or) => {
                let mut all: Option<Test> = None;
                for case in &or.cases {
                    let test = self.pattern(case, value)?;
                    all = Some(match all {
                        None => test,
                        Some(Test::Always) => Test::Always,
                        Some(before) => self.either(pat, before, test)?,
                    });
                }
                all
            }
            syn::Pat::Tuple(tuple) => {
                let parts = match value {
                    Value::Tuple(parts) if parts.len() == tuple.elems.len() => parts.clone(),
                    Value::Poison => return None,
                    other => {
                        let found = self.describe(other);
                        let expected = format!("a tuple of {}", tuple.elems.len());
                        self.error(pat, messages::EXPECTED_KIND, &[&expected, &found, "write one pattern for each part"]);
                        return None;
                    }
                };
                let mut all = Test::Always;
                for (pat, part) in tuple.elems.iter().zip(&parts) {
                    let test = self.pattern(pat, part)?;
                    all = match all {
                        Test::Always => test,
                        before => self.both(pat, Elementwise::And, before, test)?,
                    };
                }
                Some(all)
            }
            other => {
                self.error(other, messages::UNSUPPORTED_PATTERN, &[&super::text(other)]);
                None
            }
        }
    }

    /// `value op bound`, or `bound op value`.
    fn compare(&mut self, pat: &syn::Pat, op: Elementwise, value: &Value, bound: &syn::Expr, bound_first: bool) -> Option<Test> {
        let at = syn::Expr::Verbatim(quote::quote!(#pat));
        if let (Value::Tensor(v) | Value::Lane(v), syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Bool(b), .. })) = (value, bound)
            && self.b.ty(*v).elem == Elem::Bool
        {
            let lane = matches!(value, Value::Lane(_));
            let value = if b.value { *v } else { self.part(pat, Elementwise::Not, &[*v])? };
            return Some(Test::Where(Operand { value, lane }));
        }
        let bound_value = self.expr(bound);
        let (value, bound_value) = ((&at, value.clone()), (bound, bound_value));
        let (left, right) = if bound_first { (bound_value, value) } else { (value, bound_value) };
        let compared = match (&left.1, &right.1) {
            (Value::Number(m), Value::Number(n)) => self.fold(&at, op, *m, *n),
            _ => self.binary(&at, op, left, right),
        };
        self.truth_value(compared).map(Test::Where)
    }

    /// Both of two tests; none of them fails where the other does not hold.
    fn both(&mut self, pat: &syn::Pat, op: Elementwise, a: Test, b: Test) -> Option<Test> {
        let (Test::Where(a), Test::Where(b)) = (&a, &b) else { return Some(if matches!(a, Test::Always) { b } else { a }) };
        let at = syn::Expr::Verbatim(quote::quote!(#pat));
        let (x, y, lane) = self.broadcast_pair(&at, (*a, &at), (*b, &at))?;
        let value = self.part(pat, op, &[x, y])?;
        Some(Test::Where(Operand { value, lane }))
    }

    fn either(&mut self, pat: &syn::Pat, a: Test, b: Test) -> Option<Test> {
        match (&a, &b) {
            (Test::Always, _) | (_, Test::Always) => Some(Test::Always),
            (Test::Where(_), Test::Where(_)) => self.both(pat, Elementwise::Or, a, b),
        }
    }

    /// Binds the names in a pattern that applies.
    fn bind_matched(&mut self, pat: &syn::Pat, value: Value) {
        match pat {
            syn::Pat::Ident(p) => {
                let name = p.ident.unraw().to_string();
                if p.subpat.is_none() && self.items.constant(self.place, &name).is_some() {
                    return;
                }
                if let Some((_, subpattern)) = &p.subpat {
                    self.bind_matched(subpattern, value.clone());
                }
                self.scope.bind(name, value);
            }
            syn::Pat::Paren(p) => self.bind_matched(&p.pat, value),
            syn::Pat::Reference(p) => self.bind_matched(&p.pat, value),
            syn::Pat::Tuple(tuple) => {
                if let Value::Tuple(parts) = value {
                    for (pat, part) in tuple.elems.iter().zip(parts) {
                        self.bind_matched(pat, part);
                    }
                }
            }
            // Every case of an alternative binds the same names; where they stand at different places the value depends on the case.
            syn::Pat::Or(or) => {
                if let Some(first) = or.cases.first() {
                    let mark = self.scope.mark();
                    self.bind_matched(first, value);
                    if self.scope.mark() > mark && !matches!(first, syn::Pat::Ident(_)) {
                        self.error(pat, messages::UNSUPPORTED_PATTERN, &[&super::text(pat)]);
                    }
                }
            }
            // Literals bind nothing. The test has reported what else is left, and what depends on its names is silent.
            other => self.poison(other),
        }
    }
}
