//! Common subexpressions: a value that an earlier statement has already computed is that statement's.
//!
//! Notation: statements with equal *keys* give equal results. The key is the operation and its operands, after replacing operands that are
//! themselves shared; `a + b` and `b + a` have one key, and so have `ij,jk->ik` of `(a, b)` and `jk,ij->ik` of `(b, a)`. The key of control flow
//! contains its nested bodies, their values renumbered in order of definition.
//!
//! A statement is shared with one before it in the same body or in an enclosing one, never with one in a body that is already closed. Statements
//! that bind dimensions stay; of equal checks the first is enough.
//!
//! Cost: one walk, and one more over nested bodies for each level of nesting.

use super::hash::FastMap;
use crate::ir::{Body, Elementwise, Func, Op, Shape, Stmt, ValueId};

/// Replaces every repeated computation by its first occurrence in scope. Later ones disappear.
pub fn share(f: &Func) -> Func {
    let mut func = f.clone();
    share_in_place(&mut func);
    func
}

/// [`share`] of a function that its caller does not need any more; whether anything was shared.
pub(super) fn share_in_place(f: &mut Func) -> bool {
    let mut body = std::mem::take(&mut f.body);
    let mut sharer = Sharer { replaced: FastMap::default(), scopes: Vec::new(), func: f };
    sharer.body(&mut body);
    let changed = !sharer.replaced.is_empty();
    f.body = body;
    changed
}

struct Sharer<'f> {
    /// For each value that went, the one that stands for it.
    replaced: FastMap<ValueId, ValueId>,
    /// What the open bodies have computed so far, outermost first.
    scopes: Vec<FastMap<Stmt, Vec<ValueId>>>,
    func: &'f mut Func,
}

impl Sharer<'_> {
    fn body(&mut self, body: &mut Body) {
        self.scopes.push(FastMap::default());
        let stmts = std::mem::take(&mut body.stmts);
        for mut stmt in stmts {
            self.replace(&mut stmt.args);
            for nested in &mut stmt.bodies {
                self.body(nested);
            }
            if let Op::Shape(Shape::BindDim { .. }) = stmt.op {
                body.stmts.push(stmt);
                continue;
            }
            let key = key(&stmt);
            match self.scopes.iter().rev().find_map(|scope| scope.get(&key)) {
                Some(outs) => {
                    for (&gone, &kept) in stmt.outs.iter().zip(outs) {
                        self.replaced.insert(gone, kept);
                        // A name that the user gave must not get lost with the statement.
                        let notes = &mut self.func.notes;
                        if notes[kept.0 as usize].name.is_none() {
                            notes[kept.0 as usize] = notes[gone.0 as usize].clone();
                        }
                    }
                }
                None => {
                    self.scopes.last_mut().expect("a body is open").insert(key, stmt.outs.clone());
                    body.stmts.push(stmt);
                }
            }
        }
        self.replace(&mut body.results);
        self.scopes.pop();
    }

    fn replace(&self, values: &mut [ValueId]) {
        for value in values {
            if let Some(&kept) = self.replaced.get(value) {
                *value = kept;
            }
        }
    }
}

/// What a statement computes: the statement without its results, in a normal form.
fn key(stmt: &Stmt) -> Stmt {
    let mut key = Stmt { outs: Vec::new(), ..stmt.clone() };
    match &mut key.op {
        Op::Elementwise(op) if commutes(*op) => key.args.sort_unstable(),
        Op::Elementwise(_) => (),
        Op::Einsum(einsum) => {
            if key.args[0] > key.args[1] {
                key.args.swap(0, 1);
                std::mem::swap(&mut einsum.lhs, &mut einsum.rhs);
            }
            *einsum = einsum.renamed();
        }
        Op::Control(_) => {
            let mut numbers = FastMap::default();
            for body in &mut key.bodies {
                renumber(body, &mut numbers);
            }
        }
        Op::Const(..) | Op::Reduce(_) | Op::Shape(_) | Op::Index(_) | Op::Call(_) | Op::Linalg(_) => (),
    }
    key
}

/// Whether exchanging the two operands changes nothing. `Max` and `Min` may tell `0.0` from `-0.0` by their order.
fn commutes(op: Elementwise) -> bool {
    use Elementwise as E;
    match op {
        E::Add | E::Mul | E::Eq | E::Ne | E::And | E::Or => true,
        E::Neg
        | E::Exp
        | E::ExpM1
        | E::Ln
        | E::Ln1p
        | E::Sqrt
        | E::Sin
        | E::Cos
        | E::Tan
        | E::Asin
        | E::Acos
        | E::Atan
        | E::Sinh
        | E::Cosh
        | E::Tanh
        | E::Sigmoid
        | E::Softplus
        | E::Erf
        | E::Abs
        | E::Sign
        | E::Relu
        | E::Floor
        | E::StopGradient
        | E::Powi(_)
        | E::Sub
        | E::Div
        | E::Rem
        | E::Powf
        | E::Atan2
        | E::Max
        | E::Min
        | E::Lt
        | E::Le
        | E::Not
        | E::Select
        | E::Cast(_) => false,
    }
}

/// Gives the values that a nested body defines numbers that no table reaches, in order of definition.
fn renumber(body: &mut Body, numbers: &mut FastMap<ValueId, ValueId>) {
    fn define(values: &mut [ValueId], numbers: &mut FastMap<ValueId, ValueId>) {
        for value in values {
            let number = ValueId(u32::MAX - numbers.len() as u32);
            numbers.insert(*value, number);
            *value = number;
        }
    }
    fn lookup(values: &mut [ValueId], numbers: &FastMap<ValueId, ValueId>) {
        for value in values {
            *value = numbers.get(value).copied().unwrap_or(*value);
        }
    }
    define(&mut body.params, numbers);
    for stmt in &mut body.stmts {
        lookup(&mut stmt.args, numbers);
        for nested in &mut stmt.bodies {
            renumber(nested, numbers);
        }
        define(&mut stmt.outs, numbers);
    }
    lookup(&mut body.results, numbers);
}

#[cfg(test)]
mod tests {
    use super::share;
    use crate::optimize::testing::{check, unchanged};

    #[test]
    fn equal_statements_are_one() {
        check(
            share,
            "func f(%x: f64[n], %y: f64[n]) -> (%4) {
               %1: f64[n] = mul(%x, %y)
               %2: f64[n] = mul(%y, %x)
               %3: f64[n] = exp(%2)
               %5: f64[n] = exp(%1)
               %4: f64[n] = sub(%3, %5)
             }",
            "func f(%x: f64[n], %y: f64[n]) -> (%4) {
               %1: f64[n] = mul(%x, %y)
               %3: f64[n] = exp(%1)
               %4: f64[n] = sub(%3, %3)
             }",
        );
    }

    #[test]
    fn order_and_attributes_count_where_they_matter() {
        unchanged(
            share,
            "func f(%x: f64[n], %y: f64[n]) -> (%1, %2, %3, %4, %5, %6) {
               %1: f64[n] = sub(%x, %y)
               %2: f64[n] = sub(%y, %x)
               %3: f64[n] = powi[2](%x)
               %4: f64[n] = powi[3](%x)
               %5: f64 = 0.0
               %6: f64 = -0.0
             }",
        );
    }

    #[test]
    fn einsums_are_compared_up_to_labels_and_order() {
        check(
            share,
            "func f(%a: f64[n, m], %b: f64[m, k]) -> (%1, %2, %3) {
               %1: f64[n, k] = einsum[ij,jk->ik](%a, %b)
               %2: f64[n, k] = einsum[ya,xy->xa](%b, %a)
               %3: f64[k, n] = einsum[ij,jk->ki](%a, %b)
             }",
            "func f(%a: f64[n, m], %b: f64[m, k]) -> (%1, %1, %3) {
               %1: f64[n, k] = einsum[ij,jk->ik](%a, %b)
               %3: f64[k, n] = einsum[ij,jk->ki](%a, %b)
             }",
        );
    }

    #[test]
    fn nested_bodies_use_what_enclosing_ones_have() {
        check(
            share,
            "func f(%x: f64, %c: bool) -> (%y, %5) {
               %1: f64 = exp(%x)
               %y: f64 = if(%c) () -> (%3) {
                 %2: f64 = exp(%x)
                 %3: f64 = neg(%2)
               } () -> (%4) {
                 %4: f64 = neg(%x)
               }
               %5: f64 = neg(%x)
             }",
            "func f(%x: f64, %c: bool) -> (%y, %5) {
               %1: f64 = exp(%x)
               %y: f64 = if(%c) () -> (%3) {
                 %3: f64 = neg(%1)
               } () -> (%4) {
                 %4: f64 = neg(%x)
               }
               %5: f64 = neg(%x)
             }",
        );
    }

    #[test]
    fn equal_loops_are_one() {
        let body = "(%i_K: usize, %s_K: f64) -> (%t_K, %s_K) { %t_K: f64 = mul(%s_K, %x) }";
        let (first, second) = (body.replace('K', "1"), body.replace('K', "2"));
        check(
            share,
            &format!(
                "func f(%x: f64, %r: f64[n]) -> (%a, %d, %e) {{
                   %a: f64, %b: f64[n] = for[n](%x) {first}
                   %c: f64, %d: f64[n] = for[n](%x) {second}
                   %e: f64, %g: f64[n] = for[n, reverse](%x) {}
                 }}",
                body.replace('K', "3")
            ),
            &format!(
                "func f(%x: f64, %r: f64[n]) -> (%a, %b, %e) {{
                   %a: f64, %b: f64[n] = for[n](%x) {first}
                   %e: f64, %g: f64[n] = for[n, reverse](%x) {}
                 }}",
                body.replace('K', "3")
            ),
        );
    }

    #[test]
    fn statements_without_results_stay() {
        unchanged(
            share,
            "func f(%k: usize) -> (%1, %2) {
               bind[n](%k)
               bind[m](%k)
               %1: usize[n] = iota()
               %2: usize[m] = iota()
             }",
        );
    }

    #[test]
    fn the_name_of_a_repeated_value_survives() {
        let f = crate::ir::text::parse(
            "func f(%x: f64) -> (%2) {\n %1: f64 = exp(%x)\n %weight: f64 = exp(%x)\n %2: f64 = mul(%1, %weight)\n}",
        )
        .unwrap();
        assert!(share(&f).to_string().contains("%weight: f64 = exp(%x)"), "{}", share(&f));
    }
}
