//! The `Problem` struct of a bilevel problem and its implementation of `BilevelProblem`.
//!
//! Everything that can go wrong is checked in `workspace`, which also makes all memory; the kernels ([`kernels`](super::kernels)) then cannot
//! fail. The lengths of all axes are shared by the two losses: a parameter that occurs in both joins their dimensions.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use super::configured::configured;
use super::emitter::ident;
use super::forms::type_of;
use super::kernels::{Kernels, kernels};
use super::layout::{Layout, ProblemLeaf, Role, layout};
use super::positions::position_checks;
use super::sampling::batches;
use crate::derive::DeriveError;
use crate::syntax::ProblemIr;
use crate::syntax::form::Form;
use crate::syntax::problem::Variable;

/// The struct and its implementation, as items for the problem's module.
///
/// # Errors
/// [`DeriveError`] if a loss has no exact derivative.
pub fn problem(problem: &ProblemIr) -> Result<TokenStream, DeriveError> {
    let layout = layout(problem);
    let kernels = kernels(&layout)?;
    let declaration = declaration(problem);
    let implementation = implementation(&layout, &kernels);
    let configured = configured(problem);
    Ok(quote!(#declaration #implementation #configured))
}

/// Whether the struct borrows data.
pub(super) fn has_lifetime(problem: &ProblemIr) -> bool {
    problem.data.iter().any(|v| !matches!(v.param.form, Form::Scalar(_)))
}

fn declaration(problem: &ProblemIr) -> TokenStream {
    let crate_path = &problem.crate_path;
    let rt = quote!(#crate_path::rt);
    let fields = problem.data.iter().map(|v| {
        let name = &v.param.name;
        let ty = match &v.param.form {
            Form::Scalar(_) | Form::Array { view: true, .. } => type_of(&v.param.form, &rt, &quote!('a)),
            form @ (Form::Array { .. } | Form::Fixed { .. } | Form::Tuple(_) | Form::Struct(_)) => {
                let ty = type_of(form, &rt, &quote!('a));
                quote!(&'a #ty)
            }
        };
        let mut functions = vec![(v.in_inner, &problem.inner), (v.in_outer, &problem.outer)];
        functions.extend(problem.step.iter().map(|step| (v.in_step, &step.lowered)));
        let taking = functions.iter().filter(|(at, _)| at.is_some());
        let taking: Vec<String> = taking.map(|(_, function)| format!("`{}`", function.signature.name)).collect();
        let doc = format!(" The parameter `{name}` of {}.", taking.join(" and "));
        quote!(#[doc = #doc] pub #name: #ty)
    });
    let fields: Vec<TokenStream> = fields.collect();
    // Structs of the user's need not be printable.
    let debug = (!problem.data.iter().any(|v| v.param.form.has_struct())).then(|| quote!(, ::core::fmt::Debug));
    let doc = format!(" The data of the problem `{}`.", problem.name);
    let name = Ident::new("Problem", Span::call_site());
    let generics = has_lifetime(problem).then(|| quote!(<'a>));
    quote! {
        #[doc = #doc]
        #[derive(::core::clone::Clone, ::core::marker::Copy #debug)]
        pub struct #name #generics { #(#fields),* }
    }
}

fn implementation(layout: &Layout, kernels: &Kernels) -> TokenStream {
    let problem = layout.problem;
    let crate_path = &problem.crate_path;
    let name = Ident::new("Problem", Span::call_site());
    let generics = has_lifetime(problem).then(|| quote!(<'a>));
    let anonymous = has_lifetime(problem).then(|| quote!(<'_>));
    let float = super::expr::primitive(problem.float);
    let inner_type = variable_type(&problem.inner_variables, &layout.rt);
    let outer_type = match &problem.outer_variables[..] {
        [] => quote!(rt::NoOuter<#float>),
        variables => variable_type(variables, &layout.rt),
    };
    let state_type = problem.step.as_ref().map(|step| match &step.roles.state[..] {
        [] => quote!(rt::NoOuter<#float>),
        variables => variable_type(variables, &layout.rt),
    });
    let (inner_names, outer_names) = (leaf_names(layout, Role::Inner), leaf_names(layout, Role::Outer));
    let dims: Vec<&Ident> = layout.dims.iter().map(|(name, _)| name).collect();
    let arrays: Vec<TokenStream> = data_arrays(layout)
        .map(|l| {
            let (variable, elem) = (ident(&l.variable), super::expr::primitive(l.elem));
            if l.sampled { quote!(#variable: rt::Rows<'a, #elem>) } else { quote!(#variable: rt::Cow<'a, [#elem]>) }
        })
        .collect();
    let workspace_generics = (!arrays.is_empty()).then(|| quote!(<'a>));
    let (structs, fields) = (&kernels.structs, &kernels.fields);
    let workspace = workspace(layout, kernels);
    let fingerprint = fingerprint(layout);
    let batches = batches(layout);
    let symmetric = problem.has_symmetric_hessian;
    let condition = if problem.residual.is_some() { quote!(rt::FixedPoint) } else { quote!(rt::Gradient) };
    let methods = &kernels.methods;
    let losses_read_outer = problem.losses_read_outer.then(|| quote!(impl rt::LossesReadOuter for #name #anonymous {}));
    // Where no array is borrowed, the lifetime of `Problem` appears only in the name of the type.
    let (impl_generics, self_generics) = if workspace_generics.is_some() { (&generics, &generics) } else { (&None, &anonymous) };
    let step_methods = &kernels.step_methods;
    let step = state_type.map(|state| {
        quote! {
            impl #impl_generics rt::StepProblem for #name #self_generics {
                type State = #state;

                #(#step_methods)*
            }
        }
    });
    quote! {
        #[allow(unused, unused_doc_comments, clippy::all, clippy::pedantic)]
        const _: () = {
            use #crate_path::rt;

            /// The lengths of all axes.
            #[derive(::core::clone::Clone, ::core::marker::Copy)]
            struct Dims { #(#dims: usize),* }

            #(#structs)*

            /// Lengths, contiguous data and the buffers of the kernels.
            pub struct Workspace #workspace_generics { dims: Dims, #(#arrays,)* #(#fields,)* }

            impl #impl_generics rt::BilevelProblem for #name #self_generics {
                type Float = #float;
                type Inner = #inner_type;
                type Outer = #outer_type;
                type Workspace = Workspace #workspace_generics;
                type Condition = #condition;

                const INNER_NAMES: &'static [&'static str] = #inner_names;
                const OUTER_NAMES: &'static [&'static str] = #outer_names;
                const SYMMETRIC_HESSIAN: bool = #symmetric;

                #workspace

                #fingerprint

                #batches

                #(#methods)*
            }

            #losses_read_outer
            #step
        };
    }
}

/// The data that the workspace keeps as slices.
fn data_arrays<'l>(layout: &'l Layout) -> impl Iterator<Item = &'l ProblemLeaf> {
    layout.leaves.iter().filter(|l| l.role == Role::Data && !l.dims.is_empty())
}

fn variable_type(variables: &[Variable], rt: &TokenStream) -> TokenStream {
    let types: Vec<TokenStream> = variables.iter().map(|v| type_of(&v.param.form.owned(), rt, &quote!('_))).collect();
    super::forms::bare_or_tuple(&types)
}

/// The names of the leaves of a variable.
fn leaf_names(layout: &Layout, role: Role) -> TokenStream {
    let names = layout.of(role).map(|l| &l.leaf.label);
    quote!(&[#(#names),*])
}

/// The method that checks everything and makes the workspace.
fn workspace(layout: &Layout, kernels: &Kernels) -> TokenStream {
    let name = layout.problem.name.to_string();
    let mut arrays = Vec::new();
    let mut checks = TokenStream::new();
    let mut contiguous = TokenStream::new();
    for l in &layout.leaves {
        let (label, shape) = (&l.leaf.label, l.leaf.shape());
        let variable = ident(&l.variable);
        if matches!(l.role, Role::State | Role::Index) {
            // The state is as long as what it is joined with.
            continue;
        }
        if l.dims.is_empty() {
            if l.role == Role::Data && l.elem.is_float() {
                let number = l.leaf.number();
                checks.extend(quote!(rt::check_finite(#label, &[#number])?;));
            }
            continue;
        }
        let numbers = l.dims.iter().map(|&n| proc_macro2::Literal::usize_unsuffixed(n));
        arrays.push(quote!((#label, #shape, &[#(#numbers),*])));
        checks.extend(quote!(rt::check_nonempty(#label, #shape)?;));
        if l.role == Role::Data {
            let elements = l.leaf.elements(&layout.rt);
            contiguous.extend(quote!(let #variable = #elements;));
            if l.elem.is_float() {
                contiguous.extend(quote!(rt::check_finite(#label, &#variable)?;));
            }
        }
    }
    let dims: Vec<&Ident> = layout.dims.iter().map(|(name, _)| name).collect();
    let known = known_lengths(layout);
    let unify = (!arrays.is_empty()).then(|| quote!(let [#(#dims),*] = rt::dims(#name, #known, &[#(#arrays),*])?;));
    let positions = position_checks(layout);
    let fields = data_arrays(layout).map(|l| {
        let variable = ident(&l.variable);
        if l.sampled { quote!(#variable: rt::Rows::new(#variable)) } else { quote!(#variable) }
    });
    let buffers = &kernels.initial;
    let uses = |role: Role| layout.leaves.iter().any(|l| l.role == role && !l.dims.is_empty());
    let inner = if uses(Role::Inner) { quote!(inner) } else { quote!(_) };
    let outer = if uses(Role::Outer) { quote!(outer) } else { quote!(_) };
    quote! {
        fn workspace(&self, #inner: &Self::Inner, #outer: &Self::Outer) -> ::core::result::Result<Self::Workspace, rt::Error> {
            #unify
            #checks
            #contiguous
            #positions
            ::core::result::Result::Ok(Workspace { dims: Dims { #(#dims),* }, #(#fields,)* #(#buffers,)* })
        }
    }
}

/// The method that gives all data, and the lengths of all axes, to a hash.
fn fingerprint(layout: &Layout) -> TokenStream {
    let dims = layout.dims.iter().map(|(name, _)| quote!(workspace.dims.#name));
    let data = layout.of(Role::Data).map(|l| {
        let label = &l.leaf.label;
        if l.dims.is_empty() {
            let number = l.leaf.number();
            quote!(fingerprint.numbers(#label, &[#number]);)
        } else {
            let variable = ident(&l.variable);
            quote!(fingerprint.numbers(#label, &workspace.#variable);)
        }
    });
    quote! {
        fn fingerprint(&self, workspace: &Self::Workspace, fingerprint: &mut rt::Fingerprint) {
            fingerprint.numbers::<usize>("", &[#(#dims),*]);
            #(#data)*
        }
    }
}

/// The array of the lengths that are prescribed.
fn known_lengths(layout: &Layout) -> TokenStream {
    if layout.dims.iter().all(|(_, length)| length.is_none()) {
        let n = proc_macro2::Literal::usize_unsuffixed(layout.dims.len());
        return quote!([rt::ANY; #n]);
    }
    let lengths = layout.dims.iter().map(|(_, length)| match length {
        Some(n) => {
            let n = proc_macro2::Literal::u64_unsuffixed(*n);
            quote!(rt::fixed(#n))
        }
        None => quote!(rt::ANY),
    });
    quote!([#(#lengths),*])
}
