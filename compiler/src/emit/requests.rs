//! What a companion module has on request: examples in batches, several directions at once, Jacobians and Hessians.
//!
//! None of this is generated unless the attribute names it: together these items are more code than all others.

use proc_macro2::TokenStream;
use quote::quote;

use super::companion::{Companion, Output, Param, Rest};
use super::several::{Others, Pack, unfolded};
use crate::derive::{self, DeriveError};
use crate::ir::Func;
use crate::optimize::optimize;
use crate::syntax::attributes::Request;
use crate::syntax::form::Form;
use crate::syntax::wrt::Wrt;

impl Companion<'_> {
    /// The items that are requested. `f` is the function, `wrt` the positions of its differentiated leaves.
    ///
    /// # Errors
    /// [`DeriveError`] if there is no such derivative.
    pub(super) fn requested(&self, f: &Func, wrt: &[usize]) -> Result<Vec<TokenStream>, DeriveError> {
        let mut items = Vec::new();
        for request in &self.function.requests {
            items.push(match request {
                Request::JvpMany => self.jvp_many(&derive::jvp_many(f, wrt)?),
                Request::HvpMany => self.hvp_many(&derive::hvp_many(f, wrt)?),
                Request::Jacobian => self.jacobian(&derive::jacobian(f, wrt)?),
                Request::Hessian => self.hessian(&derive::hessian(f, wrt)?),
            });
        }
        let batched = self.function.batched_leaves();
        if !batched.is_empty() {
            let c = self.for_each_example();
            items.push(c.batched(&optimize(&derive::batch(f, &batched)?)));
            if self.is_number() {
                let mut gradient = derive::grad(f, wrt)?;
                gradient.body.results.remove(0);
                items.push(c.batched_grad(&optimize(&derive::batch(&optimize(&gradient), &batched)?), self));
            }
        }
        Ok(items)
    }

    fn is_number(&self) -> bool {
        matches!(self.output, Form::Scalar(elem) if elem.is_float())
    }

    /// The tangents, several of each along a leading axis.
    fn many_tangents(&self, names: &mut super::names::Names) -> Vec<Param> {
        self.tangents(names).into_iter().map(several).collect()
    }

    fn jvp_many(&self, f: &Func) -> TokenStream {
        let mut names = self.names.clone();
        let tangents = self.many_tangents(&mut names);
        let dots = many(&self.output.tangent().expect("the output has floats"), Others::Computed);
        let doc = " Forward mode along several directions at once: the tangents of the arguments have a leading axis, one position for each direction; those of a \
                   struct are a slice. Gives the value, and its tangents along a leading axis.";
        self.item("jvp_many", doc, tangents, names, f, &[self.value(), vec![dots]])
    }

    fn hvp_many(&self, f: &Func) -> TokenStream {
        let mut names = self.names.clone();
        let tangents = self.many_tangents(&mut names);
        let products = self.many_cotangents(|_| false);
        let doc = " The Hessian, applied to several tangents of the arguments at once, which stand along a leading axis, as do the products; those of a struct are a \
                   slice, and a vector.";
        self.item("hvp_many", doc, tangents, names, f, &[products])
    }

    /// Several cotangents of each differentiated parameter. What is no float comes from the parameter; where `is_several` holds, from that value of it.
    fn many_cotangents(&self, is_several: impl Fn(usize) -> bool) -> Vec<Output<'_>> {
        let cotangent = |(output, wrt): (Output<'_>, &Wrt)| {
            let name = &self.primals[wrt.param].name;
            many(&output.form, if is_several(wrt.param) { Others::OfEach(quote!(#name)) } else { Others::Of(quote!(#name)) })
        };
        self.cotangents().into_iter().zip(&self.wrt).map(cotangent).collect()
    }

    fn jacobian(&self, f: &Func) -> TokenStream {
        let n_axes = match &self.output {
            Form::Array { rank, .. } => *rank,
            Form::Fixed { lengths, .. } => lengths.len(),
            Form::Scalar(_) | Form::Tuple(_) | Form::Struct(_) => 0,
        };
        let block = |output: Output<'_>| match output.form.has_struct() {
            true => Output {
                form: with_all_axes(&unfolded(&output.form, true), n_axes),
                rest: Rest::Computed,
                pack: Pack::Columns(n_axes, output.form),
            },
            false => computed(with_axes(&output.form, n_axes)),
        };
        let blocks = self.cotangents().into_iter().map(block).collect();
        let doc = " The derivative of every element of the value by every element of the arguments: for each argument an array that has the axes of the value, \
                   then those of the argument. A struct has one axis, along which its elements stand in the order of `flat`.";
        self.item("jacobian", doc, Vec::new(), self.names.clone(), f, &[blocks])
    }

    fn hessian(&self, f: &Func) -> TokenStream {
        let forms: Vec<Form> = self.cotangents().into_iter().map(|output| output.form).collect();
        let any_struct = forms.iter().any(Form::has_struct);
        // For each number or array that is an argument, or part of one, its second derivatives with all arguments.
        let axes = if any_struct { with_all_axes } else { with_axes };
        let blocks: Vec<Form> = forms.iter().map(|form| unfolded(form, true)).collect();
        let row = |rank: usize| match &blocks[..] {
            [form] => axes(form, rank),
            _ => Form::Tuple(blocks.iter().map(|form| axes(form, rank)).collect()),
        };
        let rows = forms.iter().map(|form| {
            let ranks = || form.leaves().into_iter().filter(|(elem, _)| elem.is_float()).map(|(_, rank)| rank);
            let pack = match form {
                Form::Struct(_) => Pack::Rows(ranks().collect(), forms.clone()),
                _ if any_struct => Pack::Row(ranks().next().unwrap_or(0), forms.clone()),
                _ => Pack::AsIs,
            };
            let leaves = match pack {
                // However deeply the leaves of a struct are nested, their rows are one tuple.
                Pack::Rows(..) => Form::Tuple(ranks().map(row).collect()),
                Pack::AsIs | Pack::Several(..) | Pack::Columns(..) | Pack::Row(..) => map_leaves(form, &|leaf| row(leaf.leaves()[0].1)),
            };
            Output { form: leaves, rest: Rest::Computed, pack }
        });
        let rows = rows.collect();
        let doc = " All second derivatives: for each pair of arguments an array that has the axes of the first one, then those of the second, in a tuple for each \
                   first one. A struct has one axis, along which its elements stand in the order of `flat`. Symmetric to the last bit.";
        self.item("hessian", doc, Vec::new(), self.names.clone(), f, &[rows])
    }

    /// The same function with a leading axis on the parameters that are batched.
    fn for_each_example(&self) -> Companion<'_> {
        let param = |(k, p): (usize, &Param)| {
            let p = Param { name: p.name.clone(), form: p.form.clone(), ..*p };
            if self.function.batched.contains(&k) { several(p) } else { p }
        };
        Companion {
            function: self.function,
            rt: self.rt.clone(),
            names: self.names.clone(),
            primals: self.primals.iter().enumerate().map(param).collect(),
            wrt: self.wrt.clone(),
            output: self.output.clone(),
        }
    }

    /// Of [`Companion::for_each_example`].
    fn batched(&self, f: &Func) -> TokenStream {
        let doc = " The function of many examples at once, which stand along a leading axis, as do the values; those of a struct are a slice, and a vector.";
        self.item("batched", doc, Vec::new(), self.names.clone(), f, &[vec![many(&self.output, Others::Computed)]])
    }

    /// Of [`Companion::for_each_example`].
    fn batched_grad(&self, f: &Func, one: &Companion<'_>) -> TokenStream {
        let gradients = one.many_cotangents(|k| self.primals[k].is_several);
        let doc = " The gradient for each of many examples, which stand along a leading axis, as do the gradients; those of a struct are a slice, and a vector.";
        self.item("batched_grad", doc, Vec::new(), self.names.clone(), f, &[gradients])
    }
}

/// A result all of whose leaves are results of the function.
fn computed(form: Form) -> Output<'static> {
    Output { form, rest: Rest::Computed, pack: Pack::AsIs }
}

/// Several values of a form.
fn many(form: &Form, others: Others) -> Output<'static> {
    if !form.has_struct() {
        return computed(with_axes(form, 1));
    }
    let leaves = unfolded(form, !matches!(others, Others::Computed));
    Output { form: with_axes(&leaves, 1), rest: Rest::Computed, pack: Pack::Several(form.clone(), others) }
}

/// The parameter with a leading axis, or a slice of structs.
fn several(p: Param) -> Param {
    if p.form.has_struct() {
        return Param { is_several: true, ..p };
    }
    // What was numbers, passed by value, is arrays now.
    let by_ref = match p.form {
        Form::Scalar(_) | Form::Tuple(_) | Form::Struct(_) => true,
        Form::Array { .. } | Form::Fixed { .. } => p.by_ref,
    };
    Param { form: with_axes(&p.form, 1), by_ref, ..p }
}

/// The form with `n` more axes on each number and array.
pub(super) fn with_axes(form: &Form, n: usize) -> Form {
    map_leaves(form, &|leaf| if n > 0 { array_with_axes(leaf, n) } else { leaf.clone() })
}

/// [`with_axes`], and everything an array.
fn with_all_axes(form: &Form, n: usize) -> Form {
    map_leaves(form, &|leaf| array_with_axes(leaf, n))
}

fn array_with_axes(leaf: &Form, n: usize) -> Form {
    match leaf {
        Form::Scalar(elem) => Form::Array { elem: *elem, rank: n, view: false },
        Form::Array { elem, rank, view } => Form::Array { elem: *elem, rank: rank + n, view: *view },
        // More fixed arrays than one are an array.
        Form::Fixed { elem, lengths } => Form::Array { elem: *elem, rank: lengths.len() + n, view: false },
        Form::Tuple(_) | Form::Struct(_) => leaf.clone(),
    }
}

/// The form with another in place of each number and array.
fn map_leaves(form: &Form, f: &impl Fn(&Form) -> Form) -> Form {
    match form {
        Form::Scalar(_) | Form::Array { .. } | Form::Fixed { .. } => f(form),
        Form::Tuple(parts) => Form::Tuple(parts.iter().map(|part| map_leaves(part, f)).collect()),
        // What is done to the leaves of a struct makes a tuple of it.
        Form::Struct(_) => map_leaves(&unfolded(form, false), f),
    }
}
