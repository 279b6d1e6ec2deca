//! What a companion module has on request: examples in batches, several directions at once, Jacobians and Hessians.
//!
//! None of this is generated unless the attribute names it: together these items are more code than all others.

use proc_macro2::TokenStream;

use super::companion::{Companion, Output, Param, Rest};
use crate::derive::{self, DeriveError};
use crate::ir::Func;
use crate::optimize::optimize;
use crate::syntax::attributes::Request;
use crate::syntax::form::Form;

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
                items.push(c.batched_grad(&optimize(&derive::batch(&optimize(&gradient), &batched)?)));
            }
        }
        Ok(items)
    }

    /// The forms of the gradients.
    fn cotangent_forms(&self) -> Vec<Form> {
        self.cotangents().into_iter().map(|output| output.form).collect()
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
        let dots = with_axes(&self.output.tangent().expect("the output has floats"), 1);
        let doc = " Forward mode along several directions at once: the tangents of the arguments have a leading axis, one position for each direction. Gives the \
                   value, and its tangents along a leading axis.";
        self.item("jvp_many", doc, tangents, names, f, &[self.value(), computed(vec![dots])])
    }

    fn hvp_many(&self, f: &Func) -> TokenStream {
        let mut names = self.names.clone();
        let tangents = self.many_tangents(&mut names);
        let products = self.cotangent_forms().iter().map(|form| with_axes(form, 1)).collect();
        let doc =
            " The Hessian, applied to several tangents of the arguments at once, which stand along a leading axis, as do the products.";
        self.item("hvp_many", doc, tangents, names, f, &[computed(products)])
    }

    fn jacobian(&self, f: &Func) -> TokenStream {
        let n_axes = match &self.output {
            Form::Array { rank, .. } => *rank,
            Form::Fixed { lengths, .. } => lengths.len(),
            Form::Scalar(_) | Form::Tuple(_) | Form::Struct(_) => 0,
        };
        let blocks = self.cotangent_forms().iter().map(|form| with_axes(form, n_axes)).collect();
        let doc = " The derivative of every element of the value by every element of the arguments: for each argument an array that has the axes of the value, \
                   then those of the argument.";
        self.item("jacobian", doc, Vec::new(), self.names.clone(), f, &[computed(blocks)])
    }

    fn hessian(&self, f: &Func) -> TokenStream {
        let forms = self.cotangent_forms();
        // For each number or array that is an argument, or part of one, its second derivatives with all arguments.
        let row = |rank: usize| match &forms[..] {
            [form] => with_axes(form, rank),
            _ => Form::Tuple(forms.iter().map(|form| with_axes(form, rank)).collect()),
        };
        let rows = forms.iter().map(|form| map_leaves(form, &|leaf| row(leaf.leaves()[0].1))).collect();
        let doc = " All second derivatives: for each pair of arguments an array that has the axes of the first one, then those of the second, in a tuple for each \
                   first one. Symmetric to the last bit.";
        self.item("hessian", doc, Vec::new(), self.names.clone(), f, &[computed(rows)])
    }

    /// The same function with a leading axis on the parameters that are batched.
    fn for_each_example(&self) -> Companion<'_> {
        let param = |(k, p): (usize, &Param)| {
            let p = Param { name: p.name.clone(), form: p.form.clone(), by_ref: p.by_ref, is_derivative: p.is_derivative };
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
        let doc = " The function of many examples at once, which stand along a leading axis, as do the values.";
        self.item("batched", doc, Vec::new(), self.names.clone(), f, &[computed(vec![with_axes(&self.output, 1)])])
    }

    /// Of [`Companion::for_each_example`].
    fn batched_grad(&self, f: &Func) -> TokenStream {
        let gradients = self.function.wrt.iter().map(|&k| {
            let form = self.function.lowered.signature.params[k].form.tangent().expect("a differentiated parameter has floats");
            with_axes(&form.owned(), 1)
        });
        let gradients = gradients.collect();
        let doc = " The gradient for each of many examples, which stand along a leading axis, as do the gradients.";
        self.item("batched_grad", doc, Vec::new(), self.names.clone(), f, &[computed(gradients)])
    }
}

/// Results all of whose leaves are results of the function.
fn computed(forms: Vec<Form>) -> Vec<Output<'static>> {
    forms.into_iter().map(|form| Output { form, rest: Rest::Computed }).collect()
}

/// The parameter with a leading axis.
fn several(p: Param) -> Param {
    // What was numbers, passed by value, is arrays now.
    let by_ref = match p.form {
        Form::Scalar(_) | Form::Tuple(_) | Form::Struct(_) => true,
        Form::Array { .. } | Form::Fixed { .. } => p.by_ref,
    };
    Param { name: p.name, form: with_axes(&p.form, 1), by_ref, is_derivative: p.is_derivative }
}

/// The form with `n` more axes on each number and array.
fn with_axes(form: &Form, n: usize) -> Form {
    map_leaves(form, &|leaf| match leaf {
        Form::Scalar(elem) if n > 0 => Form::Array { elem: *elem, rank: n, view: false },
        Form::Array { elem, rank, view } => Form::Array { elem: *elem, rank: rank + n, view: *view },
        // More fixed arrays than one are an array.
        Form::Fixed { elem, lengths } if n > 0 => Form::Array { elem: *elem, rank: lengths.len() + n, view: false },
        Form::Scalar(_) | Form::Fixed { .. } | Form::Tuple(_) | Form::Struct(_) => leaf.clone(),
    })
}

/// The form with another in place of each number and array.
fn map_leaves(form: &Form, f: &impl Fn(&Form) -> Form) -> Form {
    match form {
        Form::Scalar(_) | Form::Array { .. } | Form::Fixed { .. } => f(form),
        Form::Tuple(parts) => Form::Tuple(parts.iter().map(|part| map_leaves(part, f)).collect()),
        // Several values of a struct are no value of it; requests of functions with structs are refused.
        Form::Struct(_) => form.clone(),
    }
}
