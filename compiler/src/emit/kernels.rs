//! The kernels of a bilevel problem: the methods of `BilevelProblem` that compute.
//!
//! | kernel | function |
//! | --- | --- |
//! | `inner_value_and_grad` | `grad` of the inner loss in the inner variable |
//! | `inner_curvature` | the part of the linearized gradient of the inner loss that does not depend on the direction |
//! | `curvature_apply` | the part that does, for the Hessian alone and for both rows |
//! | `outer_value_and_grad` | `grad` of the outer loss in both variables |

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::quote;

use super::emitter::{Buffer, Checks, Destination, Emitter, ident};
use super::expr::primitive;
use super::layout::{Layout, ProblemLeaf, RESERVED, Role};
use super::names::Names;
use crate::derive::{self, DeriveError, Linearized};
use crate::ir::{Dim, DimId, Elem, Func, ValueId};
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
}

/// Derives and emits all kernels of a problem.
pub(super) fn kernels(layout: &Layout) -> Result<Kernels, DeriveError> {
    let mut kernels = Kernels { structs: Vec::new(), fields: Vec::new(), initial: Vec::new(), methods: Vec::new() };
    let inner = optimize(&layout.problem.inner.func);
    let outer = optimize(&layout.problem.outer.func);
    let method = inner_value_and_grad(layout, &mut kernels, &inner)?;
    kernels.methods.push(method);
    curvature(layout, &mut kernels, &inner)?;
    let method = outer_value_and_grad(layout, &mut kernels, &outer)?;
    kernels.methods.push(method);
    kernels.failed_checks();
    Ok(kernels)
}

fn inner_value_and_grad(layout: &Layout, kernels: &mut Kernels, inner: &Func) -> Result<TokenStream, DeriveError> {
    let body = value_and_grad(layout, kernels, inner, Loss::Inner, "inner_value_and_grad", &[(Role::Inner, "inner_bar")])?;
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

fn outer_value_and_grad(layout: &Layout, kernels: &mut Kernels, outer: &Func) -> Result<TokenStream, DeriveError> {
    let into = [(Role::Inner, "inner_bar"), (Role::Outer, "outer_bar")];
    let body = value_and_grad(layout, kernels, outer, Loss::Outer, "outer_value_and_grad", &into)?;
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
    which: Loss,
    name: &str,
    into: &[(Role, &str)],
) -> Result<TokenStream, DeriveError> {
    let roles: Vec<Role> = into.iter().map(|&(role, _)| role).collect();
    let wrt = which.positions(layout, &roles);
    let grad = optimize(&derive::grad(loss, &wrt)?);
    let mut kernel = Kernel::new(layout, which, &grad);
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
    Ok(body)
}

/// `inner_curvature` and `curvature_apply`.
fn curvature(layout: &Layout, kernels: &mut Kernels, inner: &Func) -> Result<(), DeriveError> {
    let all = Loss::Inner.positions(layout, &[Role::Inner, Role::Outer]);
    let directions = Loss::Inner.positions(layout, &[Role::Inner]);
    let gradient = optimize(&derive::grad(inner, &all)?);
    let Linearized { primal, linear, n_residuals } = derive::linearize(&gradient, &directions)?;

    // The linear part for each choice of results: the first is the tangent of the value, which nobody needs.
    let tangent_of = |leaf: &ProblemLeaf| leaf.in_inner.map(|at| 1 + all.iter().position(|&p| p == at).expect("a variable"));
    let rows_of = |role: Role| layout.of(role).map(tangent_of).collect::<Vec<Option<usize>>>();
    let (hessian_rows, mixed_rows) = (rows_of(Role::Inner), rows_of(Role::Outer));
    let with_results = |rows: &[Option<usize>]| {
        let mut func = linear.clone();
        func.body.results = rows.iter().flatten().map(|&k| linear.results()[k]).collect();
        optimize(&func)
    };
    let hessian = with_results(&hessian_rows);
    let both = with_results(&[&hessian_rows[..], &mixed_rows].concat());

    // Of the other part only the residuals that are read.
    let read: Vec<usize> = (0..n_residuals).filter(|&k| is_read(&hessian, k) || is_read(&both, k)).collect();
    let n_others = primal.results().len() - n_residuals;
    let mut needed = primal.clone();
    needed.body.results = read.iter().map(|&k| primal.results()[n_others + k]).collect();
    let primal = optimize(&needed);
    let (residuals, lengths) = inner_curvature(layout, kernels, &primal);

    let mut sources: Vec<Option<&Residual>> = vec![None; n_residuals];
    for (&k, residual) in read.iter().zip(&residuals) {
        sources[k] = Some(residual);
    }
    let kept = Kept { sources, lengths };
    let without = curvature_apply(layout, kernels, &hessian, &kept, &directions, None);
    let with = curvature_apply(layout, kernels, &both, &kept, &directions, Some(&mixed_rows));
    kernels.methods.push(quote! {
        fn curvature_apply(
            &self,
            workspace: &mut Self::Workspace,
            direction: &[Self::Float],
            hessian_product: &mut [Self::Float],
            mixed: Option<&mut [Self::Float]>,
        ) {
            match mixed {
                None => { #without }
                Some(mixed) => { #with }
            }
        }
    });
    Ok(())
}

/// Where a residual is found when the linear part runs.
struct Residual {
    variable: Ident,
    /// The `let` that makes it; none for data, which has its own.
    taken: Option<TokenStream>,
}

/// What the linear part finds when it runs.
struct Kept<'r> {
    /// The source of each residual that is read.
    sources: Vec<Option<&'r Residual>>,
    /// The lengths in the shapes of residuals that the first part computes, and their variables.
    lengths: Vec<(DimId, Ident)>,
}

/// The method `inner_curvature`; where the results of `primal` are found after it, and the lengths that it computes for their shapes.
fn inner_curvature(layout: &Layout, kernels: &mut Kernels, primal: &Func) -> (Vec<Residual>, Vec<(DimId, Ident)>) {
    let rt = &layout.rt;
    let mut kernel = Kernel::new(layout, Loss::Inner, primal);
    kernel.bind_leaves(primal.params());
    kernel.take_variables();
    kernel.take_data();
    let statements = kernel.body();
    let mut kept = TokenStream::new();
    let mut scalars: Vec<Buffer> = Vec::new();
    let mut residuals: Vec<(ValueId, Residual)> = Vec::new();
    let mut order = Vec::new();
    for &value in primal.results() {
        if let Some(k) = residuals.iter().position(|(v, _)| *v == value) {
            order.push(k);
            continue;
        }
        order.push(residuals.len());
        let at = primal.params().iter().position(|&p| p == value);
        let data = layout.of(Role::Data).find(|l| at.is_some() && l.in_inner == at);
        let residual = if let Some(leaf) = data {
            Residual { variable: ident(&leaf.variable), taken: None }
        } else {
            let ty = primal.ty(value);
            let place = kernel.emitter.place(value);
            let field = match kernel.emitter.own_buffer(value) {
                Some(field) => field.clone(),
                None => {
                    let field = kernel.emitter.name(value);
                    if ty.rank() == 0 {
                        kept.extend(quote!(buffers.#field = #place;));
                        scalars.push(Buffer { field: field.clone(), elem: ty.elem });
                    } else {
                        let len = kernel.emitter.elements(value);
                        kept.extend(quote!(#rt::copy(buffers.#field.fit(#len), #place);));
                        kernel.emitter.buffer_called(field.clone(), ty.elem);
                    }
                    field
                }
            };
            let taken = if ty.rank() == 0 { quote!(let #field = residuals.#field;) } else { quote!(let #field = &residuals.#field[..];) };
            Residual { variable: field, taken: Some(taken) }
        };
        residuals.push((value, residual));
    }
    let is_in_shapes = |dim: DimId| primal.results().iter().any(|&v| primal.ty(v).dims.contains(&Dim::Sym(dim)));
    let is_known = |dim: DimId| layout.inner_dims.iter().any(|&(known, _)| known == dim);
    let mut lengths = kernel.emitter.bound_dims();
    lengths.retain(|&(dim, _)| is_in_shapes(dim) && !is_known(dim));
    for (_, length) in &lengths {
        kept.extend(quote!(buffers.#length = #length;));
        scalars.push(Buffer { field: length.clone(), elem: Elem::Usize });
    }
    let (body, fields) = kernel.finish(quote!(#statements #kept), "inner_curvature");
    kernels.add_buffers("inner_curvature", &fields, &scalars);
    kernels.methods.push(quote! {
        fn inner_curvature(&self, workspace: &mut Self::Workspace, inner: &[Self::Float], outer: &[Self::Float]) {
            #body
        }
    });
    let again = |k: &usize| Residual { variable: residuals[*k].1.variable.clone(), taken: residuals[*k].1.taken.clone() };
    (order.iter().map(again).collect(), lengths)
}

/// One arm of `curvature_apply`: with `mixed_rows` the one that gives both products.
fn curvature_apply(
    layout: &Layout,
    kernels: &mut Kernels,
    linear: &Func,
    kept: &Kept<'_>,
    directions: &[usize],
    mixed_rows: Option<&[Option<usize>]>,
) -> TokenStream {
    let name = if mixed_rows.is_some() { "both_products" } else { "hessian_product" };
    let mut kernel = Kernel::new(layout, Loss::Inner, linear);
    let (residual_params, tangent_params) = linear.params().split_at(kept.sources.len());
    kernel.take_data();
    for (dim, length) in &kept.lengths {
        kernel.emitter.names.unique(&length.to_string());
        kernel.emitter.bind_dim(*dim, length);
        kernel.lets.push((vec![length.clone()], quote!(let #length = residuals.#length;)));
    }
    let mut taken: Vec<&Ident> = Vec::new();
    for (&param, source) in residual_params.iter().zip(&kept.sources) {
        let Some(Residual { variable, taken: statement }) = source else { continue };
        kernel.emitter.names.unique(&variable.to_string());
        kernel.emitter.bind(param, variable);
        if let (Some(statement), false) = (statement, taken.contains(&variable)) {
            kernel.lets.push((vec![variable.clone()], statement.clone()));
            taken.push(variable);
        }
    }
    let mut tangents = Vec::new();
    for leaf in layout.of(Role::Inner) {
        let at = directions.iter().position(|&p| Some(p) == leaf.in_inner).expect("a direction for every inner variable");
        let variable = kernel.emitter.names.unique(&format!("{}_dot", leaf.variable));
        kernel.emitter.bind(tangent_params[at], &variable);
        tangents.push(variable);
    }
    kernel.take(Role::Inner, "direction", &tangents);
    let n_inner = layout.of(Role::Inner).count();
    let (hessian_values, mixed_values) = linear.results().split_at(n_inner);
    kernel.results_to(Role::Inner, "hessian_product", &hessian_values.iter().map(|&v| Some(v)).collect::<Vec<_>>());
    if let Some(rows) = mixed_rows {
        let mut values = mixed_values.iter().copied();
        let results: Vec<Option<ValueId>> = rows.iter().map(|row| row.and_then(|_| values.next())).collect();
        kernel.results_to(Role::Outer, "mixed", &results);
    }
    let statements = kernel.body();
    let (body, fields) = kernel.finish(statements, name);
    kernels.add_buffers(name, &fields, &[]);
    body
}

/// Whether the function reads its parameter number `k`.
fn is_read(func: &Func, k: usize) -> bool {
    let param = func.params()[k];
    let mut read = func.results().contains(&param);
    func.body.walk(&mut |stmt| read |= stmt.args.contains(&param) || stmt.bodies.iter().any(|b| b.results.contains(&param)));
    read
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    Inner,
    Outer,
}

impl Loss {
    /// The user's name of it.
    fn name(self, layout: &Layout) -> String {
        let loss = match self {
            Loss::Inner => &layout.problem.inner,
            Loss::Outer => &layout.problem.outer,
        };
        loss.signature.name.to_string()
    }

    /// Where a leaf stands among the parameters of the loss.
    fn position(self, leaf: &ProblemLeaf) -> Option<usize> {
        match self {
            Loss::Inner => leaf.in_inner,
            Loss::Outer => leaf.in_outer,
        }
    }

    /// Where the leaves of some roles stand, ascending.
    fn positions(self, layout: &Layout, roles: &[Role]) -> Vec<usize> {
        let leaves = layout.leaves.iter().filter(|l| roles.contains(&l.role));
        let mut positions: Vec<usize> = leaves.filter_map(|l| self.position(l)).collect();
        positions.sort_unstable();
        positions
    }

    fn dims<'l>(self, layout: &'l Layout) -> &'l [(DimId, usize)] {
        match self {
            Loss::Inner => &layout.inner_dims,
            Loss::Outer => &layout.outer_dims,
        }
    }
}

/// A kernel under construction.
struct Kernel<'k, 'f> {
    layout: &'k Layout<'k>,
    loss: Loss,
    emitter: Emitter<'f>,
    /// Variables and the statements that make them, of which only those with a variable in use are written.
    lets: Vec<(Vec<Ident>, TokenStream)>,
    /// What splits the destinations.
    splits: TokenStream,
    /// Results that no statement writes to their destinations.
    copied: Vec<(ValueId, Ident)>,
}

impl<'k, 'f> Kernel<'k, 'f> {
    fn new(layout: &'k Layout<'k>, loss: Loss, func: &'f Func) -> Self {
        let mut names = Names::reserving(&RESERVED);
        for leaf in &layout.leaves {
            names.unique(&leaf.variable);
        }
        for (dim, _) in &layout.dims {
            names.unique(&dim.to_string());
        }
        let place = quote!(workspace.failed_check);
        let mut emitter = Emitter::new(func, &layout.rt, names, Checks::Note { function: loss.name(layout), place });
        for &(id, number) in loss.dims(layout) {
            emitter.bind_dim(id, &layout.dims[number].0);
        }
        Kernel { layout, loss, emitter, lets: Vec::new(), splits: TokenStream::new(), copied: Vec::new() }
    }

    /// Binds parameters to the leaves that they are.
    fn bind_leaves(&mut self, params: &[ValueId]) {
        for leaf in &self.layout.leaves {
            if let Some(at) = self.loss.position(leaf) {
                self.emitter.bind(params[at], &ident(&leaf.variable));
            }
        }
    }

    /// The inner and outer variables from the slices in which they stand.
    fn take_variables(&mut self) {
        for (role, slice) in [(Role::Inner, "inner"), (Role::Outer, "outer")] {
            let names: Vec<Ident> = self.layout.of(role).map(|l| ident(&l.variable)).collect();
            self.take(role, slice, &names);
        }
    }

    /// Variables, one for each leaf of a role, from the slice in which they stand one after the other.
    fn take(&mut self, role: Role, slice: &str, variables: &[Ident]) {
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
    fn take_data(&mut self) {
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
    fn results_to(&mut self, role: Role, slice: &str, results: &[Option<ValueId>]) {
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
                None => self.splits.extend(quote!(#part.fill(0.0);)),
                Some(value) if !leaf.dims.is_empty() && self.emitter.can_write_to(*value) => {
                    self.emitter.write_to(*value, Destination::Slice(part));
                }
                Some(value) => self.copied.push((*value, part)),
            }
        }
    }

    /// The statements, with all results in their destinations.
    fn body(&mut self) -> TokenStream {
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
    fn finish(self, tokens: TokenStream, field: &str) -> (TokenStream, Vec<Buffer>) {
        let (_, buffers) = self.emitter.finish();
        let lets = self.lets.into_iter().filter(|(names, _)| names.iter().any(|name| mentions(&tokens, name)));
        let lets: TokenStream = lets.map(|(_, statement)| statement).collect();
        let residuals = mentions(&lets, &ident("residuals")).then(|| quote!(let residuals = &workspace.inner_curvature;));
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
        if self.methods.iter().any(|method| mentions(method, &field)) {
            self.fields.push(quote!(#field: rt::FailedCheck));
            self.initial.push(quote!(#field: rt::FailedCheck::default()));
            self.methods.push(quote! {
                fn take_failed_check(workspace: &mut Self::Workspace) -> Option<rt::Error> {
                    workspace.failed_check.take()
                }
            });
        }
    }

    /// Adds a field of the workspace with buffers and numbers, and its type.
    fn add_buffers(&mut self, name: &str, buffers: &[Buffer], scalars: &[Buffer]) {
        if buffers.is_empty() && scalars.is_empty() {
            return;
        }
        let ty = ident(&camel_case(name));
        let field = ident(name);
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
            #[derive(Default)]
            struct #ty { #(#buffers,)* #(#scalars,)* }
        });
        self.fields.push(quote!(#field: #ty));
        self.initial.push(quote!(#field: #ty::default()));
    }
}

/// A parameter of the methods.
fn plain(name: &str) -> TokenStream {
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
