//! The companion module of a function: its derivatives as functions of their own.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::call::{adaptors_of, has_forward_mode};
use super::emitter::{Checks, Emitter, declare_buffers, ident, type_params};
use super::forms::{Dims, Leaf, Source, assemble, bare_or_tuple, leaf_forms, leaves, needs_glob, owned_results, type_of, within_submodule};
use super::names::Names;
use super::several::{Pack, leaves_of_each};
use crate::derive::{self, DeriveError, Reason};
use crate::dump;
use crate::ir::{DimId, Func, ValueId};
use crate::optimize::optimize;
use crate::syntax::Differentiable;
use crate::syntax::derivative::Derivative;
use crate::syntax::form::Form;
use crate::syntax::wrt::Wrt;

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
    let scalar_modes: &[&str] = if is_scalar { &["grad", "value_and_grad", "hvp"] } else { &[] };
    let mut items = Vec::new();
    // A function that calls one with a rule of cotangents only has reverse mode only.
    let has_forward_mode = has_forward_mode(&f);
    if has_forward_mode {
        let jvp = optimize(&derive::jvp(&f, &wrt)?);
        dump::ir("optimized", &jvp);
        items.push(c.jvp(&jvp));
    } else {
        items.extend(["jvp", "linearize"].iter().chain(is_scalar.then_some(&"hvp")).map(|name| c.unavailable(name, Missing::TangentRule)));
    }
    match derive::vjp(&f, &wrt) {
        Ok(vjp) => {
            items.push(c.vjp(&optimize(&vjp)));
            if has_forward_mode {
                items.push(c.linearize(&derive::linearize(&f, &wrt)?));
            }
            if is_scalar {
                let value_and_grad = derive::grad(&f, &wrt)?;
                let mut grad = value_and_grad.clone();
                grad.body.results.remove(0);
                items.push(c.grad(&optimize(&grad)));
                items.push(c.value_and_grad(&optimize(&value_and_grad)));
                if has_forward_mode {
                    items.push(c.hvp(&optimize(&derive::hvp(&f, &wrt)?)));
                }
            }
        }
        // The function has a forward mode only; rustc says so where another is called.
        Err(DeriveError { reason: Reason::UnboundedLoop, .. }) if has_forward_mode => {
            items.extend(["vjp", "linearize"].iter().chain(scalar_modes).map(|name| c.unavailable(name, Missing::Bound)));
        }
        Err(error) => return Err(error),
    }
    items.extend(c.requested(&f, &wrt)?);
    let adaptors = adaptors_of(&function.lowered.func);
    let doc = format!(" Derivatives of `{name}`.");
    let glob = c.glob();
    Ok(quote! {
        #[doc = #doc]
        #[allow(unused, unused_doc_comments, clippy::all, clippy::pedantic)]
        #vis mod #name {
            use #crate_path::rt;
            #glob
            #(use super::#adaptors;)*

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
    let glob = c.glob();
    let adaptors = adaptors_of(&function.lowered.func);
    Ok(quote! {
        #[doc(hidden)]
        #[allow(unused, unused_doc_comments, non_snake_case, clippy::all, clippy::pedantic)]
        mod #module {
            use #crate_path::rt;
            #glob
            #(use super::#adaptors;)*

            #item
        }
    })
}

/// What keeps a derivative from being generated.
#[derive(Clone, Copy)]
enum Missing {
    /// A loop has no bound.
    Bound,
    /// A function that is called has a rule of cotangents only.
    TangentRule,
}

/// A result of a generated function.
pub(super) struct Output<'a> {
    pub(super) form: Form,
    pub(super) rest: Rest<'a>,
    pub(super) pack: Pack,
}

/// Where leaves that are no floats come from, which only structs have in derivatives.
pub(super) enum Rest<'a> {
    /// They are results like the others: this is the value of the function.
    Computed,
    /// From the value of the function, which has this form: this is its tangent.
    Value(&'a Form),
    /// From a parameter: this is its cotangent.
    Param(&'a Param),
}

/// A parameter of a generated function.
pub(super) struct Param {
    pub(super) name: Ident,
    pub(super) form: Form,
    pub(super) by_ref: bool,
    /// Whether it is a tangent or cotangent, of which only the floats are read.
    pub(super) is_derivative: bool,
    /// Whether it is a slice of values of the form, a struct.
    pub(super) is_several: bool,
}

pub(super) struct Companion<'a> {
    pub(super) function: &'a Differentiable,
    pub(super) rt: TokenStream,
    pub(super) names: Names,
    /// The primal parameters.
    pub(super) primals: Vec<Param>,
    /// Which of them are differentiated, or what parts of them.
    pub(super) wrt: Vec<Wrt>,
    pub(super) output: Form,
}

impl<'a> Companion<'a> {
    fn new(function: &'a Differentiable) -> Self {
        let signature = &function.lowered.signature;
        let mut names = Names::reserving(&["buffers"]);
        let primals = signature
            .params
            .iter()
            .map(|p| {
                let name = names.unique(&p.name.to_string());
                Param { name, form: within_submodule(&p.form), by_ref: p.by_ref, is_derivative: false, is_several: false }
            })
            .collect();
        let output = within_submodule(&signature.output.owned());
        Companion { function, rt: quote!(rt), names, primals, wrt: function.wrt.clone(), output }
    }

    /// Brings names in types into sight that stand where the function does.
    fn glob(&self) -> TokenStream {
        let signature = &self.function.lowered.signature;
        let needed = signature.params.iter().map(|p| &p.form).chain([&signature.output]).any(needs_glob);
        if needed { "use super::*;".parse().unwrap_or_default() } else { TokenStream::new() }
    }

    /// The generic parameters, without lifetimes, as they are declared.
    fn generics(&self) -> TokenStream {
        let rt = &self.rt;
        let declared: Vec<TokenStream> = self
            .function
            .lowered
            .signature
            .generics
            .params
            .iter()
            .filter_map(|param| match param {
                syn::GenericParam::Lifetime(_) => None,
                syn::GenericParam::Type(syn::TypeParam { ident, .. }) => Some(quote!(#ident: #rt::Float)),
                syn::GenericParam::Const(syn::ConstParam { ident, ty, .. }) => Some(quote!(const #ident: #ty)),
            })
            .collect();
        if declared.is_empty() { TokenStream::new() } else { quote!(<#(#declared),*>) }
    }

    /// The value of the function.
    pub(super) fn value(&self) -> Vec<Output<'_>> {
        vec![Output { form: self.output.clone(), rest: Rest::Computed, pack: Pack::AsIs }]
    }

    /// The tangent of the value.
    fn dot(&self) -> Vec<Output<'_>> {
        vec![Output { form: self.output.tangent().expect("the output has floats"), rest: Rest::Value(&self.output), pack: Pack::AsIs }]
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
        let tangent = |wrt: &Wrt| {
            let p = &self.primals[wrt.param];
            let name = names.unique(&format!("{}_dot", wrt.name(&p.name.to_string())));
            let is_whole = wrt.path.is_empty();
            let form = if is_whole { &p.form } else { &wrt.form }.tangent().expect("what is differentiated has floats");
            let by_ref = if is_whole { p.by_ref } else { !matches!(form, Form::Scalar(_)) };
            Param { name, form, by_ref, is_derivative: true, is_several: false }
        };
        self.wrt.iter().map(tangent).collect()
    }

    /// The cotangents of the differentiated parameters.
    pub(super) fn cotangents(&self) -> Vec<Output<'_>> {
        let cotangent = |wrt: &Wrt| {
            let p = &self.primals[wrt.param];
            let (form, rest) = if wrt.path.is_empty() { (&p.form, Rest::Param(p)) } else { (&wrt.form, Rest::Computed) };
            let form = form.tangent().expect("what is differentiated has floats").owned();
            Output { form, rest, pack: Pack::AsIs }
        };
        self.wrt.iter().map(cotangent).collect()
    }

    /// In place of a function that cannot be generated: any call of it is an error that says what is missing.
    fn unavailable(&self, name: &str, missing: Missing) -> TokenStream {
        let rt = &self.rt;
        // A call has as many arguments as the mode would take, so that what is missing is all that rustc complains about.
        let n_tangents = match name {
            "hvp" | "jvp" => self.wrt.len(),
            "vjp" => 1,
            _ => 0,
        };
        let name = ident(name);
        let types: Vec<Ident> = (0..self.primals.len() + n_tangents).map(|k| quote::format_ident!("A{k}")).collect();
        let (doc, what, needed) = match missing {
            Missing::Bound => (
                " Not available: a loop of the function has no bound; put `#[bound(n)]` on it.",
                quote!(UnboundedLoop<'a>),
                quote!(HasBound),
            ),
            Missing::TangentRule => (
                " Not available: a function that is called has a rule of cotangents only; give it one of tangents.",
                quote!(CotangentRule<'a>),
                quote!(HasTangents),
            ),
        };
        quote! {
            #[doc = #doc]
            pub fn #name<#(#types),*>(#(_: #types),*) -> #rt::Unavailable
            where
                for<'a> #rt::#what: #rt::#needed,
            {
                #rt::Unavailable
            }
        }
    }

    fn jvp(&self, f: &Func) -> TokenStream {
        let mut names = self.names.clone();
        let tangents = self.tangents(&mut names);
        let doc = " Forward mode: the value, and its tangent for the given tangents of the arguments.";
        self.item("jvp", doc, tangents, names, f, &[self.value(), self.dot()])
    }

    fn vjp(&self, f: &Func) -> TokenStream {
        let mut names = self.names.clone();
        let form = self.output.tangent().expect("the output has floats");
        let by_ref = !matches!(form, Form::Scalar(_));
        let cotangent = Param { name: names.unique("y_bar"), form, by_ref, is_derivative: true, is_several: false };
        let doc = " Reverse mode: the value, and the cotangents of the arguments for the given cotangent of the value.";
        self.item("vjp", doc, vec![cotangent], names, f, &[self.value(), self.cotangents()])
    }

    fn grad(&self, f: &Func) -> TokenStream {
        self.item("grad", " The gradient.", Vec::new(), self.names.clone(), f, &[self.cotangents()])
    }

    fn value_and_grad(&self, f: &Func) -> TokenStream {
        let results = [self.value(), self.cotangents()];
        self.item("value_and_grad", " The value and the gradient.", Vec::new(), self.names.clone(), f, &results)
    }

    fn hvp(&self, f: &Func) -> TokenStream {
        let mut names = self.names.clone();
        let tangents = self.tangents(&mut names);
        self.item("hvp", " The Hessian, applied to the given tangents of the arguments.", tangents, names, f, &[self.cotangents()])
    }

    /// A function whose parameters are the primal ones, then others. Its results come in groups, each bare if it has one value, else a tuple.
    pub(super) fn item(
        &self,
        name: &str,
        doc: &str,
        others: Vec<Param>,
        names: Names,
        f: &Func,
        results: &[Vec<Output<'_>>],
    ) -> TokenStream {
        let rt = &self.rt;
        let params: Vec<&Param> = self.primals.iter().chain(&others).collect();
        let mut emitter = Emitter::new(f, rt, names, self.checks());
        let entry = self.entry(&mut emitter, &params, f.params(), &[]);
        let statements = emitter.statements();
        let mut values = owned_results(&emitter, &sources(results.iter().flatten(), f.results())).into_iter();
        let mut assembled = |output: &Output| output.pack.value(&assemble(&output.form, rt, &mut values));
        let groups: Vec<TokenStream> =
            results.iter().map(|group| bare_or_tuple(&group.iter().map(&mut assembled).collect::<Vec<_>>())).collect();
        let ty_of = |output: &Output| output.pack.ty(rt).unwrap_or_else(|| type_of(&output.form, rt, &quote!('_)));
        let types: Vec<TokenStream> = results.iter().map(|group| bare_or_tuple(&group.iter().map(ty_of).collect::<Vec<_>>())).collect();
        let (value, ty) = (bare_or_tuple(&groups), bare_or_tuple(&types));
        let buffers = buffers_of(emitter, "Buffers", rt);
        let declarations = params.iter().map(|p| declaration(p, rt));
        let name = ident(name);
        let generics = self.generics();
        quote! {
            #[doc = #doc]
            ///
            /// # Panics
            /// If the shapes of the arguments do not fit.
            #[must_use]
            pub fn #name #generics (#(#declarations),*) -> #ty {
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
                let leaves = match p.is_several {
                    true => leaves_of_each(&p.form, &name.to_string(), &quote!(#name)),
                    false => leaves(&p.form, &name.to_string(), &quote!(#name), p.by_ref),
                };
                leaves.into_iter().filter(|leaf| !p.is_derivative || leaf.elem.is_float())
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
            if !leaf.is_number() {
                let (label, shape, slice) = (&leaf.label, leaf.shape(), leaf.slice(rt));
                let numbers = dims.numbers(&func.ty(value).dims);
                arrays.push(quote!((#label, #shape, #numbers)));
                slices.extend(quote!(let #variable = #slice;));
            } else if leaf.is_inside() {
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
        // Of the primal function only the residuals are needed, and what a struct of the tangent's has beside floats.
        let mut residuals_only = primal;
        let value: Vec<ValueId> = residuals_only.body.results.drain(..n_results).collect();
        let leaves = self.output.leaves();
        let beside: Vec<usize> = self.output.tangent_leaves().into_iter().filter(|&k| !leaves[k].0.is_float()).collect();
        residuals_only.body.results.extend(beside.iter().map(|&k| value[k]));
        let primal = optimize(&residuals_only);

        let params: Vec<&Param> = self.primals.iter().collect();
        let mut emitter = Emitter::new(&primal, rt, self.names.clone(), self.checks());
        let entry = self.entry(&mut emitter, &params, primal.params(), &[]);
        let statements = emitter.statements();
        let (keep, residuals) = keep_residuals(&mut emitter, primal.results());
        let forms = leaf_forms(&self.output);
        let kept = beside.iter().zip(primal.results().iter().zip(&residuals).skip(l.n_residuals));
        let kept: Vec<TokenStream> = kept.map(|(&k, (&value, variable))| kept_leaf(&emitter, value, &forms[k], variable)).collect();
        let mut kept = kept.into_iter();
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
        let dot = self.output.tangent().expect("the output has floats");
        let mut tangents_of_leaves = linear.results().iter();
        let sources: Vec<Source> = leaf_forms(&dot)
            .into_iter()
            .map(|form| match form.is_differentiable() {
                true => Source::Value(*tangents_of_leaves.next().expect("a tangent for every float"), form),
                false => Source::Place(kept.next().expect("every other leaf was kept")),
            })
            .collect();
        let value = assemble(&dot, rt, &mut owned_results(&emitter, &sources).into_iter());
        let linear_buffers = buffers_of(emitter, "LinearBuffers", rt);

        let declarations = params.iter().map(|p| declaration(p, rt));
        let closure_params = tangents.iter().map(|p| declaration(p, rt));
        let argument_types = tangents.iter().map(|p| param_type(p, rt));
        let ty = type_of(&dot, rt, &quote!('_));
        let generics = self.generics();
        let captured = self.function.lowered.signature.generics.params.iter().filter_map(|param| match param {
            syn::GenericParam::Lifetime(_) => None,
            syn::GenericParam::Type(param) => Some(&param.ident),
            syn::GenericParam::Const(param) => Some(&param.ident),
        });
        quote! {
            /// The function at a point: gives the tangent of the value for tangents of the arguments. What does not depend on these is
            /// computed here, once.
            ///
            /// # Panics
            /// If the shapes of the arguments do not fit.
            #[must_use]
            pub fn linearize #generics (#(#declarations),*) -> impl ::core::ops::Fn(#(#argument_types),*) -> #ty + use<#(#captured),*> {
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

/// Where the leaves of results come from: floats from the values, everything else as the result says.
fn sources<'o>(outputs: impl Iterator<Item = &'o Output<'o>>, values: &[ValueId]) -> Vec<Source> {
    let value = values;
    let mut values = values.iter();
    let mut out = Vec::new();
    for output in outputs {
        let forms = leaf_forms(&output.form);
        let positions = match &output.rest {
            Rest::Computed => (0..forms.len()).collect(),
            Rest::Value(whole) => whole.tangent_leaves(),
            Rest::Param(p) => p.form.tangent_leaves(),
        };
        for (form, at) in forms.into_iter().zip(positions) {
            out.push(match &output.rest {
                Rest::Value(_) if !form.is_differentiable() => Source::Value(value[at], form),
                Rest::Param(p) if !form.is_differentiable() => {
                    let name = &p.name;
                    Source::Place(leaves(&p.form, "", &quote!(#name), p.by_ref)[at].copy())
                }
                Rest::Computed | Rest::Value(_) | Rest::Param(_) => Source::Value(*values.next().expect("as many results as leaves"), form),
            });
        }
    }
    out
}

/// A leaf of the value that was kept, as a value of its own.
fn kept_leaf(emitter: &Emitter, value: ValueId, form: &Form, variable: &Ident) -> TokenStream {
    let rt = &emitter.rt;
    match form {
        Form::Scalar(_) => quote!(#variable),
        Form::Array { rank: 0, .. } => quote!(#rt::arr0(#variable)),
        Form::Fixed { .. } => quote!(#rt::to_fixed(&#variable[..])),
        Form::Array { .. } | Form::Tuple(_) | Form::Struct(_) => {
            let dims = emitter.func.ty(value).dims.iter().map(|&d| emitter.dim(d));
            quote!(#rt::to_array(&#variable[..], [#(#dims),*]))
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
    let (declaration, generics) = (declare_buffers(&name, &buffers, rt), type_params(&buffers));
    quote!(#declaration let mut buffers = <#name #generics as ::core::default::Default>::default();)
}

fn declaration(param: &Param, rt: &TokenStream) -> TokenStream {
    let (name, ty) = (&param.name, param_type(param, rt));
    quote!(#name: #ty)
}

fn param_type(param: &Param, rt: &TokenStream) -> TokenStream {
    let ty = type_of(&param.form, rt, &quote!('_));
    if param.is_several {
        return quote!(&[#ty]);
    }
    if param.by_ref { quote!(&#ty) } else { ty }
}
