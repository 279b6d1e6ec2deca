//! The companion module of a function: its derivatives as functions of their own.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::emitter::{Checks, Emitter, declare_buffers, ident};
use super::forms::{Dims, Leaf, assemble, bare_or_tuple, float_form, leaves, owned, owned_results, type_of};
use super::names::Names;
use crate::derive::{self, DeriveError, Reason};
use crate::dump;
use crate::ir::{DimId, Func, ValueId};
use crate::optimize::optimize;
use crate::syntax::Differentiable;
use crate::syntax::derivative::Derivative;
use crate::syntax::signature::Form;

/// The module of the function's name with `jvp`, `vjp` and `linearize`, and for a scalar function `grad`, `value_and_grad` and `hvp`; and what the attribute
/// asks for.
///
/// # Errors
/// [`DeriveError`] if the function has no exact derivative.
pub fn companion(function: &Differentiable) -> Result<TokenStream, DeriveError> {
    let f = optimize(&function.lowered.func);
    dump::ir("optimized", &f);
    let wrt = function.wrt_leaves();
    let c = Companion::new(function);
    let name = &function.lowered.signature.name;
    let vis = &function.lowered.signature.vis;
    let crate_path = &function.crate_path;
    let is_scalar = matches!(function.lowered.signature.output, Form::Scalar(elem) if elem.is_float());
    let jvp = optimize(&derive::jvp(&f, &wrt)?);
    dump::ir("optimized", &jvp);
    let mut items = vec![c.jvp(&jvp)];
    match derive::vjp(&f, &wrt) {
        Ok(vjp) => {
            items.push(c.vjp(&optimize(&vjp)));
            items.push(c.linearize(&derive::linearize(&f, &wrt)?));
            if is_scalar {
                let value_and_grad = derive::grad(&f, &wrt)?;
                let mut grad = value_and_grad.clone();
                grad.body.results.remove(0);
                items.push(c.grad(&optimize(&grad)));
                items.push(c.value_and_grad(&optimize(&value_and_grad)));
                items.push(c.hvp(&optimize(&derive::hvp(&f, &wrt)?)));
            }
        }
        // The function has a forward mode only; rustc says so where another is called.
        Err(DeriveError { reason: Reason::UnboundedLoop, .. }) => {
            let scalar_modes: &[&str] = if is_scalar { &["grad", "value_and_grad", "hvp"] } else { &[] };
            items.extend(["vjp", "linearize"].iter().chain(scalar_modes).map(|name| c.unavailable(name)));
        }
        Err(error) => return Err(error),
    }
    items.extend(c.requested(&f, &wrt)?);
    let doc = format!(" Derivatives of `{name}`.");
    Ok(quote! {
        #[doc = #doc]
        #[allow(unused, unused_doc_comments, clippy::all, clippy::pedantic)]
        #vis mod #name {
            use #crate_path::rt;

            #(#items)*

            /// What is seen from where the function stands, by which callers elsewhere prove that they mean this function.
            #[doc(hidden)]
            pub mod home { pub use super::super::*; }
        }
    })
}

/// The module with one derivative of a function, called in the place of a macro such as `grad!`.
///
/// # Errors
/// [`DeriveError`] if the function has no such derivative.
pub fn derivative(function: &Differentiable, kind: Derivative, module: &Ident) -> Result<TokenStream, DeriveError> {
    let f = optimize(&function.lowered.func);
    let wrt = function.wrt_leaves();
    let c = Companion::new(function);
    let item = match kind {
        Derivative::Grad => {
            let mut grad = derive::grad(&f, &wrt)?;
            grad.body.results.remove(0);
            c.grad(&optimize(&grad))
        }
        Derivative::ValueAndGrad => c.value_and_grad(&optimize(&derive::grad(&f, &wrt)?)),
        Derivative::Jvp => c.jvp(&optimize(&derive::jvp(&f, &wrt)?)),
        Derivative::Hvp => c.hvp(&optimize(&derive::hvp(&f, &wrt)?)),
    };
    let crate_path = &function.crate_path;
    Ok(quote! {
        #[doc(hidden)]
        #[allow(unused, unused_doc_comments, non_snake_case, clippy::all, clippy::pedantic)]
        mod #module {
            use #crate_path::rt;

            #item
        }
    })
}

/// A parameter of a generated function.
pub(super) struct Param {
    pub(super) name: Ident,
    pub(super) form: Form,
    pub(super) by_ref: bool,
}

pub(super) struct Companion<'a> {
    pub(super) function: &'a Differentiable,
    pub(super) rt: TokenStream,
    pub(super) names: Names,
    /// The primal parameters.
    pub(super) primals: Vec<Param>,
    /// Positions of the differentiated ones.
    pub(super) wrt: Vec<usize>,
    pub(super) output: Form,
}

impl<'a> Companion<'a> {
    fn new(function: &'a Differentiable) -> Self {
        let signature = &function.lowered.signature;
        let mut names = Names::reserving(&["buffers"]);
        let primals = signature
            .params
            .iter()
            .map(|p| Param { name: names.unique(&p.name.to_string()), form: p.form.clone(), by_ref: p.by_ref })
            .collect();
        Companion { function, rt: quote!(rt), names, primals, wrt: function.wrt.clone(), output: owned(&signature.output) }
    }

    fn function_name(&self) -> String {
        self.function.lowered.signature.name.to_string()
    }

    /// A companion function panics like the function itself.
    fn checks(&self) -> Checks {
        Checks::Panic(self.function_name())
    }

    /// One tangent for each differentiated parameter, passed as that is.
    pub(super) fn tangents(&self, names: &mut Names) -> Vec<Param> {
        let tangent = |&k: &usize| {
            let p = &self.primals[k];
            let form = float_form(&p.form).expect("a differentiated parameter has floats");
            Param { name: names.unique(&format!("{}_dot", p.name)), form, by_ref: p.by_ref }
        };
        self.wrt.iter().map(tangent).collect()
    }

    /// The types of the cotangents of the differentiated parameters, and the results of that form.
    pub(super) fn cotangent_forms(&self) -> Vec<Form> {
        self.wrt.iter().map(|&k| owned(&float_form(&self.primals[k].form).expect("a differentiated parameter has floats"))).collect()
    }

    /// In place of a function that runs a loop without a bound backwards: any call of it is an error that says what is missing.
    fn unavailable(&self, name: &str) -> TokenStream {
        let rt = &self.rt;
        let name = ident(name);
        // A call has as many arguments as the mode would take, so that the bound is all that rustc complains about.
        let n_tangents = if name == "hvp" { self.wrt.len() } else { usize::from(name == "vjp") };
        let types: Vec<Ident> = (0..self.primals.len() + n_tangents).map(|k| quote::format_ident!("A{k}")).collect();
        quote! {
            /// Not available: a loop of the function has no bound; put `#[bound(n)]` on it.
            pub fn #name<#(#types),*>(#(_: #types),*) -> #rt::NoBound
            where
                for<'a> #rt::UnboundedLoop<'a>: #rt::HasBound,
            {
                #rt::NoBound
            }
        }
    }

    fn jvp(&self, f: &Func) -> TokenStream {
        let mut names = self.names.clone();
        let tangents = self.tangents(&mut names);
        let dot = float_form(&self.output).expect("the output has floats");
        let doc = " Forward mode: the value, and its tangent for the given tangents of the arguments.";
        self.item("jvp", doc, tangents, names, f, &[vec![self.output.clone()], vec![dot]])
    }

    fn vjp(&self, f: &Func) -> TokenStream {
        let mut names = self.names.clone();
        let form = float_form(&self.output).expect("the output has floats");
        let by_ref = !matches!(form, Form::Scalar(_));
        let cotangent = Param { name: names.unique("y_bar"), form, by_ref };
        let doc = " Reverse mode: the value, and the cotangents of the arguments for the given cotangent of the value.";
        self.item("vjp", doc, vec![cotangent], names, f, &[vec![self.output.clone()], self.cotangent_forms()])
    }

    fn grad(&self, f: &Func) -> TokenStream {
        self.item("grad", " The gradient.", Vec::new(), self.names.clone(), f, &[self.cotangent_forms()])
    }

    fn value_and_grad(&self, f: &Func) -> TokenStream {
        let results = [vec![self.output.clone()], self.cotangent_forms()];
        self.item("value_and_grad", " The value and the gradient.", Vec::new(), self.names.clone(), f, &results)
    }

    fn hvp(&self, f: &Func) -> TokenStream {
        let mut names = self.names.clone();
        let tangents = self.tangents(&mut names);
        self.item("hvp", " The Hessian, applied to the given tangents of the arguments.", tangents, names, f, &[self.cotangent_forms()])
    }

    /// A function whose parameters are the primal ones, then others. Its results come in groups, each bare if it has one value, else a tuple.
    pub(super) fn item(&self, name: &str, doc: &str, others: Vec<Param>, names: Names, f: &Func, results: &[Vec<Form>]) -> TokenStream {
        let rt = &self.rt;
        let params: Vec<&Param> = self.primals.iter().chain(&others).collect();
        let mut emitter = Emitter::new(f, rt, names, self.checks());
        let entry = self.entry(&mut emitter, &params, f.params(), &[]);
        let statements = emitter.statements();
        let mut values = owned_results(&emitter, f.results()).into_iter();
        let groups: Vec<TokenStream> =
            results.iter().map(|group| bare_or_tuple(&group.iter().map(|form| assemble(form, &mut values)).collect::<Vec<_>>())).collect();
        let types: Vec<TokenStream> = results
            .iter()
            .map(|group| bare_or_tuple(&group.iter().map(|form| type_of(form, rt, &quote!('_))).collect::<Vec<_>>()))
            .collect();
        let (value, ty) = (bare_or_tuple(&groups), bare_or_tuple(&types));
        let buffers = buffers_of(emitter, "Buffers", rt);
        let declarations = params.iter().map(|p| declaration(p, rt));
        let name = ident(name);
        quote! {
            #[doc = #doc]
            ///
            /// # Panics
            /// If the shapes of the arguments do not fit.
            #[must_use]
            pub fn #name(#(#declarations),*) -> #ty {
                #entry
                #buffers
                #statements
                #value
            }
        }
    }

    /// Checks shapes, names dimensions, and makes slices of arrays. Dimensions in `known` have their variables already.
    fn entry(&self, emitter: &mut Emitter, params: &[&Param], values: &[ValueId], known: &[(DimId, Ident)]) -> TokenStream {
        let rt = &self.rt;
        let func = emitter.func;
        let all: Vec<Leaf> = params
            .iter()
            .flat_map(|p| {
                let name = &p.name;
                leaves(&p.form, &name.to_string(), &quote!(#name), p.by_ref)
            })
            .collect();
        let mut dims = Dims::default();
        let mut arrays = Vec::new();
        let mut slices = TokenStream::new();
        for (leaf, &value) in all.iter().zip(values) {
            let variable = match params.iter().find(|p| p.name == leaf.label) {
                Some(p) => p.name.clone(),
                None => emitter.names.unique(&leaf.variable()),
            };
            if leaf.rank > 0 {
                let (label, place, array) = (&leaf.label, &leaf.place, leaf.array());
                let numbers = dims.numbers(&func.ty(value).dims);
                arrays.push(quote!((#label, #place.shape(), #numbers)));
                slices.extend(quote!(let #variable = &#rt::elements(#array)[..];));
            } else if leaf.by_ref || leaf.label.contains('.') {
                let number = leaf.number();
                slices.extend(quote!(let #variable = #number;));
            }
            emitter.bind(value, &variable);
        }
        let mut check = TokenStream::new();
        if !dims.is_empty() {
            let names = &mut emitter.names;
            let bound = dims.bind(rt, |id| match known.iter().find(|(k, _)| *k == id) {
                Some((_, name)) => (name.clone(), true),
                None => (names.unique(func.dim_name(id)), false),
            });
            let (function, pattern, lengths) = (self.function_name(), bound.pattern, bound.known);
            check = quote!(let #pattern = #rt::dims_or_panic(#function, #lengths, &[#(#arrays),*]););
            for (id, name) in &bound.variables {
                emitter.bind_dim(*id, name);
            }
        }
        quote!(#check #slices)
    }

    fn linearize(&self, l: &derive::Linearized) -> TokenStream {
        let rt = &self.rt;
        let primal = optimize(&l.primal);
        let linear = optimize(&l.linear);
        let n_results = primal.results().len() - l.n_residuals;
        // Of the primal function only the residuals are needed.
        let mut residuals_only = primal;
        residuals_only.body.results.drain(..n_results);
        let primal = optimize(&residuals_only);

        let params: Vec<&Param> = self.primals.iter().collect();
        let mut emitter = Emitter::new(&primal, rt, self.names.clone(), self.checks());
        let entry = self.entry(&mut emitter, &params, primal.params(), &[]);
        let statements = emitter.statements();
        let (keep, residuals) = keep_residuals(&mut emitter, primal.results());
        let dims = emitter.bound_dims();
        let names = emitter.names.clone();
        let primal_buffers = buffers_of(emitter, "Buffers", rt);

        let mut names = names;
        let tangents = self.tangents(&mut names);
        let mut emitter = Emitter::new(&linear, rt, names, self.checks());
        let (residual_params, tangent_params) = linear.params().split_at(l.n_residuals);
        let mut views = TokenStream::new();
        let mut seen: Vec<&Ident> = Vec::new();
        for (&param, residual) in residual_params.iter().zip(&residuals) {
            emitter.bind(param, residual);
            if linear.ty(param).rank() > 0 && !seen.contains(&residual) {
                seen.push(residual);
                views.extend(quote!(let #residual = &#residual[..];));
            }
        }
        for (id, name) in &dims {
            emitter.bind_dim(*id, name);
        }
        let tangent_refs: Vec<&Param> = tangents.iter().collect();
        let linear_entry = self.entry(&mut emitter, &tangent_refs, tangent_params, &dims);
        let linear_statements = emitter.statements();
        let dot = float_form(&self.output).expect("the output has floats");
        let value = assemble(&dot, &mut owned_results(&emitter, linear.results()).into_iter());
        let linear_buffers = buffers_of(emitter, "LinearBuffers", rt);

        let declarations = params.iter().map(|p| declaration(p, rt));
        let closure_params = tangents.iter().map(|p| declaration(p, rt));
        let argument_types = tangents.iter().map(|p| param_type(p, rt));
        let ty = type_of(&dot, rt, &quote!('_));
        quote! {
            /// The function at a point: gives the tangent of the value for tangents of the arguments. What does not depend on these is
            /// computed here, once.
            ///
            /// # Panics
            /// If the shapes of the arguments do not fit.
            #[must_use]
            pub fn linearize(#(#declarations),*) -> impl ::core::ops::Fn(#(#argument_types),*) -> #ty + use<> {
                #entry
                #primal_buffers
                #statements
                #keep
                move |#(#closure_params),*| {
                    #views
                    #linear_entry
                    #linear_buffers
                    #linear_statements
                    #value
                }
            }
        }
    }
}

/// Makes the residuals owned, and gives the variable of each.
fn keep_residuals(emitter: &mut Emitter, residuals: &[ValueId]) -> (TokenStream, Vec<Ident>) {
    // What is copied may be part of a buffer that is moved, so copies come first.
    let (mut copies, mut moves) = (TokenStream::new(), TokenStream::new());
    let mut variables: Vec<(ValueId, Ident)> = Vec::new();
    let mut all = Vec::new();
    for &residual in residuals {
        if let Some((_, variable)) = variables.iter().find(|(v, _)| *v == residual) {
            all.push(variable.clone());
            continue;
        }
        let place = emitter.place(residual);
        let variable = emitter.name(residual);
        if emitter.func.ty(residual).rank() > 0 {
            match emitter.own_buffer(residual) {
                Some(field) => moves.extend(quote!(let #variable = buffers.#field;)),
                None => copies.extend(quote!(let #variable = #place.to_vec();)),
            }
        } else if variable != place.to_string() {
            copies.extend(quote!(let #variable = #place;));
        }
        variables.push((residual, variable.clone()));
        all.push(variable);
    }
    (quote!(#copies #moves), all)
}

/// The declaration of the buffers that the statements use, and the variable `buffers`; nothing if there are none.
fn buffers_of(emitter: Emitter, name: &str, rt: &TokenStream) -> TokenStream {
    let (_, buffers) = emitter.finish();
    if buffers.is_empty() {
        return TokenStream::new();
    }
    let name = ident(name);
    let declaration = declare_buffers(&name, &buffers, rt);
    quote!(#declaration let mut buffers = <#name as ::core::default::Default>::default();)
}

fn declaration(param: &Param, rt: &TokenStream) -> TokenStream {
    let (name, ty) = (&param.name, param_type(param, rt));
    quote!(#name: #ty)
}

fn param_type(param: &Param, rt: &TokenStream) -> TokenStream {
    let ty = type_of(&param.form, rt, &quote!('_));
    if param.by_ref { quote!(&#ty) } else { ty }
}
