//! `filter`: the items that are left out count as if they were not there, by the neutral number of what follows.
//!
//! `x.iter().filter(p).map(f).sum()` is `x.iter().map(|v| if p(&v) { f(v) } else { 0.0 }).sum()`, which has the same value and, since the `if` keeps `f` away from what is left
//! out, the same derivative. How many items are left is data, so that nothing else may follow: no array can have as many elements.

use syn::parse_quote;

use super::Lowering;
use super::methods::Call;
use super::value::{Number, Value};
use crate::diagnostics::messages;
use crate::ir::Elem;

/// A `filter`, and what follows it.
struct Filtered<'e> {
    /// What is filtered.
    source: &'e syn::Expr,
    /// The filters and maps, in order.
    steps: Vec<(Step, &'e syn::Expr)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Filter,
    Map,
}

impl Lowering<'_> {
    /// A reduction of what is filtered; `None` if it is something else.
    pub(super) fn filtered_reduction(&mut self, e: &syn::ExprMethodCall) -> Option<Value> {
        let name = e.method.to_string();
        let args: Vec<&syn::Expr> = e.args.iter().collect();
        let takes = match name.as_str() {
            "sum" | "product" | "count" => 0,
            "all" | "any" => 1,
            "fold" => 2,
            _ => return None,
        };
        if args.len() != takes {
            return None;
        }
        let filtered = filtered(&e.receiver)?;
        let source = filtered.source;
        let method = &e.method;
        let turned: syn::Expr = match name.as_str() {
            "count" => {
                let item = filtered.item(&parse_quote!(1_usize), &parse_quote!(0_usize));
                parse_quote!(#source.map(|__item| #item).sum::<usize>())
            }
            "all" | "any" => {
                let test = args[0];
                let item =
                    filtered.item(&parse_quote!((#test)(__item)), &if name == "all" { parse_quote!(true) } else { parse_quote!(false) });
                parse_quote!(#source.#method(|__item| #item))
            }
            "fold" => {
                let (first, f) = (args[0], args[1]);
                let item = filtered.item(&parse_quote!((#f)(__total, __item)), &parse_quote!(__total));
                parse_quote!(#source.fold(#first, |__total, __item| #item))
            }
            _ => {
                // The neutral number has the type of the items.
                let maps = filtered.steps.iter().filter(|(step, _)| *step == Step::Map);
                let all = maps.fold(source.clone(), |so_far, (_, f)| parse_quote!(#so_far.map(#f)));
                let Some(neutral) = self.neutral(&all, name == "product") else { return Some(Value::Poison) };
                let item = filtered.item(&parse_quote!(__item), &neutral);
                parse_quote!(#source.map(|__item| #item).#method())
            }
        };
        Some(self.expr(&turned))
    }

    /// `.filter(p)` where none of what may follow it does.
    pub(super) fn filter_alone(&mut self, call: Call<'_>) -> Value {
        let help = "only `map`, `copied`, `filter`, and then `sum`, `product`, `count`, `fold`, `all`, `any` or a `for` loop may follow it; elsewhere write `if … { … } else { 0.0 }` in `map`";
        self.fail(call.name, messages::UNKNOWN_METHOD, &["filter", "an iterator", help])
    }

    /// What does not change a sum or product of the items of an iterator; `None` after an error.
    fn neutral(&mut self, iterator: &syn::Expr, of_product: bool) -> Option<syn::Expr> {
        let is_integer = match self.expr(iterator) {
            Value::Iter(iter) => {
                let elem = self.elements(&iter.item, &iter.dims, iterator).map(|value| match value {
                    Value::Number(Number::Int(_)) => Elem::I64,
                    value => self.elem_of(&value).unwrap_or(self.default_float),
                });
                elem.is_some_and(Elem::is_integer)
            }
            Value::Poison => return None,
            _ => false,
        };
        Some(match (of_product, is_integer) {
            (false, false) => parse_quote!(0.0),
            (false, true) => parse_quote!(0),
            (true, false) => parse_quote!(1.0),
            (true, true) => parse_quote!(1),
        })
    }
}

/// A `for` loop over what is filtered as one over everything, with its body in an `if`; `None` if it is another.
pub(super) fn filtered_loop(e: &syn::ExprForLoop) -> Option<syn::ExprForLoop> {
    let filtered = filtered(&e.expr)?;
    let (pat, body, source, label, attrs) = (&e.pat, &e.body, filtered.source, &e.label, &e.attrs);
    let item = filtered.statement(&parse_quote!({
        let #pat = __item;
        #body
    }));
    Some(parse_quote!(#(#attrs)* #label for __item in #source { #item }))
}

fn filtered(e: &syn::Expr) -> Option<Filtered<'_>> {
    let syn::Expr::MethodCall(call) = e else { return None };
    let step = match (call.method.to_string().as_str(), call.args.first()) {
        ("filter", Some(test)) => (Step::Filter, test),
        ("map", Some(f)) => (Step::Map, f),
        ("copied" | "cloned" | "into_iter" | "by_ref", None) => return filtered(&call.receiver),
        _ => return None,
    };
    match filtered(&call.receiver) {
        Some(mut before) => {
            before.steps.push(step);
            Some(before)
        }
        None if step.0 == Step::Filter => Some(Filtered { source: &call.receiver, steps: vec![step] }),
        None => None,
    }
}

impl Filtered<'_> {
    /// What becomes of `__item`: `kept` of it after the maps, or what stands for items that are left out.
    fn item(&self, kept: &syn::Expr, otherwise: &syn::Expr) -> syn::Expr {
        self.steps.iter().rev().fold(kept.clone(), |inner, (step, f)| match step {
            Step::Filter => parse_quote!(if (#f)(&__item) { #inner } else { #otherwise }),
            Step::Map => parse_quote!({ let __item = (#f)(__item); #inner }),
        })
    }

    /// A statement for `__item` after the maps, where it is not left out.
    fn statement(&self, kept: &syn::Block) -> syn::Block {
        self.steps.iter().rev().fold(kept.clone(), |inner, (step, f)| match step {
            Step::Filter => parse_quote!({ if (#f)(&__item) #inner }),
            Step::Map => parse_quote!({ let __item = (#f)(__item); #inner }),
        })
    }
}
