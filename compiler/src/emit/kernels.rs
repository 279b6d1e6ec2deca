//! The kernels of a bilevel problem: the methods of `BilevelProblem` that compute.
//!
//! | kernel | function |
//! | --- | --- |
//! | `inner_value_and_grad` | the inner condition: `grad` of the inner loss in the inner variable, or the residual of a fixed point |
//! | `inner_value_and_outer_grad` | `grad` of the inner loss in the outer variable |
//! | `inner_curvature` | the part of the linearized gradient of the inner loss that does not depend on the direction |
//! | `curvature_apply` | the part that does, for the Hessian alone and for both rows; where the Hessian may be asymmetric, both transposed |
//! | `inner_gradient_linearize`, `inner_gradient_jvp` | the same split of the gradient in the inner variable along directions of both variables |
//! | `inner_gradient_vjp` | `vjp` of that gradient in both variables: reverse over reverse |
//! | `outer_value_and_grad` | `grad` of the outer loss in both variables |
//! | those of [`steps`] | the step of the optimiser, where the user writes it |

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::quote;

use super::curvature::{curvature, gradient_jvp, gradient_vjp, transposed_curvature};
use super::emitter::{Buffer, Checks, Destination, Emitter, ident};
use super::expr::{Expr, primitive};
use super::layout::{Function, Layout, ProblemLeaf, RESERVED, Role};
use super::names::Names;
use super::steps::steps;
use crate::derive::{self, DeriveError};
use crate::ir::{Func, Literal, ValueId};
use crate::optimize::optimize;

/// The generated kernels.
pub(super) struct Kernels {
    /// Declarations of the buffers.
    pub(super) structs: Vec<TokenStream>,
    /// Fields of the workspace.
    pub(super) fields: Vec<TokenStream>,
    /// Their initial values.
    pub(super) initial: Vec<TokenStream>,
    pub(super) methods: Vec<TokenStream>,
    /// The methods of `StepProblem`.
    pub(super) step_methods: Vec<TokenStream>,
    /// The buffers, as `workspace` reaches them.
    buffers: Vec<TokenStream>,
}

/// Derives and emits all kernels of a problem.
pub(super) fn kernels(layout: &Layout) -> Result<Kernels, DeriveError> {
    let mut kernels = Kernels {
        structs: Vec::new(),
        fields: Vec::new(),
        initial: Vec::new(),
        methods: Vec::new(),
        step_methods: Vec::new(),
        buffers: Vec::new(),
    };
    let inner = optimize(&layout.problem.inner.func);
    let outer = optimize(&layout.problem.outer.func);
    let condition = condition(layout, &inner)?;
    let method = inner_value_and_grad(layout, &mut kernels, &condition)?;
    kernels.methods.push(method);
    let method = inner_value_and_outer_grad(layout, &mut kernels, &inner)?;
    kernels.methods.push(method);
    if layout.problem.has_symmetric_hessian {
        curvature(layout, &mut kernels, &inner)?;
    } else {
        transposed_curvature(layout, &mut kernels, &condition)?;
    }
    gradient_jvp(layout, &mut kernels, &condition)?;
    let method = gradient_vjp(layout, &mut kernels, &condition)?;
    kernels.methods.push(method);
    let method = outer_value_and_grad(layout, &mut kernels, &outer)?;
    kernels.methods.push(method);
    if let Some(step) = &layout.problem.step {
        steps(layout, &mut kernels, step)?;
    }
    kernels.failed_checks();
    kernels.buffer_bytes();
    Ok(kernels)
}

/// The inner condition: the inner loss and its gradient for each inner variable in the order of the parameters, or what a fixed point has in their place.
fn condition(layout: &Layout, inner: &Func) -> Result<Func, DeriveError> {
    match &layout.problem.residual {
        Some(residual) => Ok(optimize(residual)),
        None => Ok(optimize(&derive::grad(inner, &Function::Inner.positions(layout, &[Role::Inner]))?)),
    }
}

fn inner_value_and_grad(layout: &Layout, kernels: &mut Kernels, condition: &Func) -> Result<TokenStream, DeriveError> {
    let body = written(layout, kernels, condition, Function::Inner, "inner_value_and_grad", &[(Role::Inner, "inner_bar")]);
    Ok(quote! {
        fn inner_value_and_grad(
            &self,
            workspace: &mut Self::Workspace,
            inner: &[Self::Float],
            outer: &[Self::Float],
            inner_bar: &mut [Self::Float],
        ) -> Self::Float {
            #body
        }
    })
}

fn inner_value_and_outer_grad(layout: &Layout, kernels: &mut Kernels, inner: &Func) -> Result<TokenStream, DeriveError> {
    let body = value_and_grad(layout, kernels, inner, Function::Inner, "inner_value_and_outer_grad", &[(Role::Outer, "outer_bar")])?;
    Ok(quote! {
        fn inner_value_and_outer_grad(
            &self,
            workspace: &mut Self::Workspace,
            inner: &[Self::Float],
            outer: &[Self::Float],
            outer_bar: &mut [Self::Float],
        ) -> Self::Float {
            #body
        }
    })
}

fn outer_value_and_grad(layout: &Layout, kernels: &mut Kernels, outer: &Func) -> Result<TokenStream, DeriveError> {
    let into = [(Role::Inner, "inner_bar"), (Role::Outer, "outer_bar")];
    let body = value_and_grad(layout, kernels, outer, Function::Outer, "outer_value_and_grad", &into)?;
    Ok(quote! {
        fn outer_value_and_grad(
            &self,
            workspace: &mut Self::Workspace,
            inner: &[Self::Float],
            outer: &[Self::Float],
            inner_bar: &mut [Self::Float],
            outer_bar: &mut [Self::Float],
        ) -> Self::Float {
            #body
        }
    })
}

/// The body of a kernel that gives a loss and writes its gradients in the variables of some roles.
fn value_and_grad(
    layout: &Layout,
    kernels: &mut Kernels,
    loss: &Func,
    which: Function,
    name: &str,
    into: &[(Role, &str)],
) -> Result<TokenStream, DeriveError> {
    let roles: Vec<Role> = into.iter().map(|&(role, _)| role).collect();
    let wrt = which.positions(layout, &roles);
    let grad = optimize(&derive::grad(loss, &wrt)?);
    Ok(written(layout, kernels, &grad, which, name, into))
}

/// The body of a kernel that gives the first result of a function of a loss's parameters and writes the others, one for each variable of some roles in the order of the
/// parameters.
fn written(layout: &Layout, kernels: &mut Kernels, grad: &Func, which: Function, name: &str, into: &[(Role, &str)]) -> TokenStream {
    let roles: Vec<Role> = into.iter().map(|&(role, _)| role).collect();
    let wrt = which.positions(layout, &roles);
    let mut kernel = Kernel::new(layout, which, grad);
    kernel.bind_leaves(grad.params());
    kernel.take_variables();
    kernel.take_data();
    for &(role, slice) in into {
        let results = layout.of(role).map(|leaf| {
            let at = which.position(leaf)?;
            wrt.iter().position(|&p| p == at).map(|k| grad.results()[k + 1])
        });
        kernel.results_to(role, slice, &results.collect::<Vec<_>>());
    }
    let body = kernel.body();
    let value = kernel.emitter.place(grad.results()[0]);
    let (body, fields) = kernel.finish(quote!(#body #value), name);
    kernels.add_buffers(name, &fields, &[]);
    body
}

/// A kernel under construction.
pub(super) struct Kernel<'k, 'f> {
    layout: &'k Layout<'k>,
    function: Function,
    pub(super) emitter: Emitter<'f>,
    /// Variables and the statements that make them, of which only those with a variable in use are written.
    pub(super) lets: Vec<(Vec<Ident>, TokenStream)>,
    /// The field of the workspace with the residuals that it reads.
    pub(super) residuals: &'static str,
    /// What splits the destinations.
    splits: TokenStream,
    /// Results that no statement writes to their destinations.
    copied: Vec<(ValueId, Ident)>,
}

impl<'k, 'f> Kernel<'k, 'f> {
    pub(super) fn new(layout: &'k Layout<'k>, function: Function, func: &'f Func) -> Self {
        let mut names = Names::reserving(&RESERVED);
        for leaf in &layout.leaves {
            names.unique(&leaf.variable);
        }
        for (dim, _) in &layout.dims {
            names.unique(&dim.to_string());
        }
        let called = function.lowered(layout.problem).map_or_else(String::new, |lowered| lowered.signature.name.to_string());
        let place = quote!(workspace.failed_check);
        let mut emitter = Emitter::new(func, &layout.rt, names, Checks::Note { function: called, place });
        for &(id, number) in layout.dims_of(function) {
            emitter.bind_dim(id, &layout.dims[number].0);
        }
        Kernel { layout, function, emitter, lets: Vec::new(), residuals: "", splits: TokenStream::new(), copied: Vec::new() }
    }

    /// Binds parameters to the leaves that they are.
    pub(super) fn bind_leaves(&mut self, params: &[ValueId]) {
        for leaf in &self.layout.leaves {
            if let Some(at) = self.function.position(leaf) {
                self.emitter.bind(params[at], &ident(&leaf.variable));
            }
        }
    }

    /// The variables from the slices in which they stand: the inner and outer ones, and for a step the state, and its index.
    pub(super) fn take_variables(&mut self) {
        let of_step: &[(Role, &str)] = if self.function == Function::Step { &[(Role::State, "state")] } else { &[] };
        for &(role, slice) in [(Role::Inner, "inner"), (Role::Outer, "outer")].iter().chain(of_step) {
            let names: Vec<Ident> = self.layout.of(role).map(|l| ident(&l.variable)).collect();
            self.take(role, slice, &names);
        }
        for leaf in self.layout.of(Role::Index).filter(|leaf| self.function.position(leaf).is_some()) {
            let (name, index) = (ident(&leaf.variable), plain("index"));
            self.lets.push((vec![name.clone()], quote!(let #name = #index;)));
        }
    }

    /// Variables, one for each leaf of a role, from the slice in which they stand one after the other.
    pub(super) fn take(&mut self, role: Role, slice: &str, variables: &[Ident]) {
        let rest = ident("rest");
        let mut from = plain(slice);
        let mut tokens = TokenStream::new();
        for (k, (leaf, name)) in self.layout.of(role).zip(variables).enumerate() {
            let scalar = leaf.dims.is_empty();
            if k + 1 == variables.len() {
                tokens.extend(if scalar { quote!(let #name = #from[0];) } else { quote!(let #name = #from;) });
            } else {
                let n = self.n_elements(leaf);
                tokens.extend(quote!(let (#name, #rest) = #from.split_at(#n);));
                if scalar {
                    tokens.extend(quote!(let #name = #name[0];));
                }
                from = quote!(#rest);
            }
        }
        self.lets.push((variables.to_vec(), tokens));
    }

    /// The data: arrays from the workspace, numbers from the problem.
    pub(super) fn take_data(&mut self) {
        for leaf in self.layout.of(Role::Data) {
            let name = ident(&leaf.variable);
            let tokens = if leaf.dims.is_empty() {
                let number = leaf.leaf.number();
                quote!(let #name = #number;)
            } else {
                quote!(let #name = &workspace.#name[..];)
            };
            self.lets.push((vec![name], tokens));
        }
    }

    fn n_elements(&self, leaf: &ProblemLeaf) -> TokenStream {
        let dims = leaf.dims.iter().map(|&n| {
            let name = &self.layout.dims[n].0;
            quote!(#name)
        });
        dims.reduce(|product, dim| quote!(#product * #dim)).unwrap_or_else(|| quote!(1))
    }

    /// Has results written to the parts of a slice, one for each leaf of a role: a value, or none for zero.
    pub(super) fn results_to(&mut self, role: Role, slice: &str, results: &[Option<ValueId>]) {
        let rest = ident("rest");
        let mut from = plain(slice);
        for (k, (leaf, result)) in self.layout.of(role).zip(results).enumerate() {
            let part = if results.len() == 1 {
                Ident::new(slice, proc_macro2::Span::call_site())
            } else {
                let part = self.emitter.names.unique(&format!("{}_out", leaf.variable));
                self.splits.extend(if k + 1 == results.len() {
                    quote!(let #part = #from;)
                } else {
                    let n = self.n_elements(leaf);
                    quote!(let (#part, #rest) = #from.split_at_mut(#n);)
                });
                from = quote!(#rest);
                part
            };
            match result {
                None => {
                    let zero = Expr::literal(leaf.elem, Literal::Float(0.0));
                    self.splits.extend(quote!(#part.fill(#zero);));
                }
                Some(value) if !leaf.dims.is_empty() && self.emitter.can_write_to(*value) => {
                    self.emitter.write_to(*value, Destination::Slice(part));
                }
                Some(value) => self.copied.push((*value, part)),
            }
        }
    }

    /// The statements, with all results in their destinations.
    pub(super) fn body(&mut self) -> TokenStream {
        let rt = &self.layout.rt;
        let mut statements = self.emitter.statements();
        for (value, part) in &self.copied {
            let place = self.emitter.place(*value);
            statements.extend(if self.emitter.func.ty(*value).rank() == 0 {
                quote!(#part[0] = #place;)
            } else {
                quote!(#rt::copy(#part, #place);)
            });
        }
        let splits = &self.splits;
        quote!(#splits #statements)
    }

    /// The method's body around the given tokens, and the buffers that it uses, which stand in the workspace's field of the given name.
    pub(super) fn finish(self, tokens: TokenStream, field: &str) -> (TokenStream, Vec<Buffer>) {
        let (_, buffers) = self.emitter.finish();
        let lets = self.lets.into_iter().filter(|(names, _)| names.iter().any(|name| mentions(&tokens, name)));
        let lets: TokenStream = lets.map(|(_, statement)| statement).collect();
        let residuals = mentions(&lets, &ident("residuals")).then(|| {
            let field = ident(self.residuals);
            quote!(let residuals = &workspace.#field;)
        });
        let field = ident(field);
        let buffers_let = mentions(&tokens, &ident("buffers")).then(|| quote!(let buffers = &mut workspace.#field;));
        let body = quote!(#residuals #lets #buffers_let #tokens);
        let dims: Vec<&Ident> = self.layout.dims.iter().map(|(name, _)| name).filter(|name| mentions(&body, name)).collect();
        let others = (dims.len() < self.layout.dims.len()).then(|| quote!(..));
        let dims = (!dims.is_empty()).then(|| quote!(let Dims { #(#dims,)* #others } = workspace.dims;));
        (quote!(#dims #body), buffers)
    }
}

impl Kernels {
    /// If a kernel has a check, the place of its failure in the workspace, and the method that asks for it.
    fn failed_checks(&mut self) {
        let field = ident("failed_check");
        if self.methods.iter().chain(&self.step_methods).any(|method| mentions(method, &field)) {
            self.fields.push(quote!(#field: rt::FailedCheck));
            self.initial.push(quote!(#field: <rt::FailedCheck as ::core::default::Default>::default()));
            self.methods.push(quote! {
                fn take_failed_check(workspace: &mut Self::Workspace) -> ::core::option::Option<rt::Error> {
                    workspace.failed_check.take()
                }
            });
        }
    }

    /// The method that says how much memory the buffers have.
    fn buffer_bytes(&mut self) {
        let buffers = &self.buffers;
        if !buffers.is_empty() {
            self.methods.push(quote! {
                fn buffer_bytes(workspace: &Self::Workspace) -> usize {
                    0 #(+ #buffers.n_bytes())*
                }
            });
        }
    }

    /// Adds a field of the workspace with buffers and numbers, and its type.
    pub(super) fn add_buffers(&mut self, name: &str, buffers: &[Buffer], scalars: &[Buffer]) {
        if buffers.is_empty() && scalars.is_empty() {
            return;
        }
        let ty = ident(&camel_case(name));
        let field = ident(name);
        self.buffers.extend(buffers.iter().map(|buffer| {
            let buffer = &buffer.field;
            quote!(workspace.#field.#buffer)
        }));
        let buffers = buffers.iter().map(|Buffer { field, elem }| {
            let elem = primitive(*elem);
            quote!(#field: rt::Buffer<#elem>)
        });
        let scalars = scalars.iter().map(|Buffer { field, elem }| {
            let elem = primitive(*elem);
            quote!(#field: #elem)
        });
        let doc = format!(" What `{name}` keeps.");
        self.structs.push(quote! {
            #[doc = #doc]
            #[derive(::core::default::Default)]
            struct #ty { #(#buffers,)* #(#scalars,)* }
        });
        self.fields.push(quote!(#field: #ty));
        self.initial.push(quote!(#field: <#ty as ::core::default::Default>::default()));
    }
}

/// A parameter of the methods.
pub(super) fn plain(name: &str) -> TokenStream {
    let name = Ident::new(name, proc_macro2::Span::call_site());
    quote!(#name)
}

fn camel_case(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(capital).collect()
}

/// Whether an identifier of that name occurs in the tokens.
fn mentions(tokens: &TokenStream, name: &Ident) -> bool {
    tokens.clone().into_iter().any(|tree| match tree {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
