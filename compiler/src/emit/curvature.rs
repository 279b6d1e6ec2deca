//! Derivatives of the gradient of the inner loss, and what they share with those of steps, for the kernels of a problem.
//!
//! What is linear in a direction is split from what is not: a method of the workspace computes the residuals at a point, and another, called once for each
//! direction, the linear part.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::emitter::{Buffer, ident};
use super::kernels::{Kernel, Kernels};
use super::layout::{Function, Layout, Role};
use crate::derive::{self, DeriveError, Linearized};
use crate::ir::{Dim, DimId, Elem, Func, ValueId};
use crate::optimize::optimize;

/// A linearized function, its first part emitted.
pub(super) struct Family {
    /// What the parameters are those of.
    function: Function,
    linear: Func,
    n_residuals: usize,
    /// The parameters that have directions.
    positions: Vec<usize>,
}

impl Family {
    /// Linearizes `f`, which has the parameters of `function`, in those at `positions`. Gives the part that does not depend on directions, too.
    pub(super) fn new(function: Function, f: &Func, positions: Vec<usize>) -> Result<(Self, Func), DeriveError> {
        let Linearized { primal, linear, n_residuals } = derive::linearize(f, &positions)?;
        Ok((Family { function, linear, n_residuals, positions }, primal))
    }

    /// The linear part with some of its results.
    pub(super) fn with_results(&self, rows: &[Option<usize>]) -> Func {
        let mut func = self.linear.clone();
        func.body.results = rows.iter().flatten().map(|&k| self.linear.results()[k]).collect();
        optimize(&func)
    }

    /// Emits the part that does not depend on directions, with only the residuals that one of the linear parts reads.
    pub(super) fn residuals(
        &self,
        layout: &Layout,
        kernels: &mut Kernels,
        primal: &Func,
        parts: &[&Func],
        name: &'static str,
    ) -> Residuals {
        let read: Vec<usize> = (0..self.n_residuals).filter(|&k| parts.iter().any(|part| is_read(part, k))).collect();
        let n_others = primal.results().len() - self.n_residuals;
        let mut needed = primal.clone();
        needed.body.results = read.iter().map(|&k| primal.results()[n_others + k]).collect();
        let primal = optimize(&needed);
        let (residuals, lengths) = residuals_method(layout, kernels, self.function, &primal, name);
        Residuals { n: self.n_residuals, read, residuals, lengths }
    }
}

/// For each leaf of a role its row among the results of the linearized gradient in the parameters at `wrt`, of which the first is the tangent of the value, which
/// nobody needs.
fn gradient_rows(layout: &Layout, role: Role, wrt: &[usize]) -> Vec<Option<usize>> {
    let row_of = |at: usize| 1 + wrt.iter().position(|&p| p == at).expect("a variable");
    layout.of(role).map(|leaf| Function::Inner.position(leaf).map(row_of)).collect()
}

/// The residuals of a family.
pub(super) struct Residuals {
    n: usize,
    read: Vec<usize>,
    residuals: Vec<Residual>,
    lengths: Vec<(DimId, Ident)>,
}

impl Residuals {
    pub(super) fn kept(&self) -> Kept<'_> {
        let mut sources: Vec<Option<&Residual>> = vec![None; self.n];
        for (&k, residual) in self.read.iter().zip(&self.residuals) {
            sources[k] = Some(residual);
        }
        Kept { sources, lengths: &self.lengths }
    }
}

/// `inner_curvature` and `curvature_apply`.
pub(super) fn curvature(layout: &Layout, kernels: &mut Kernels, inner: &Func) -> Result<(), DeriveError> {
    let all = Function::Inner.positions(layout, &[Role::Inner, Role::Outer]);
    let gradient = optimize(&derive::grad(inner, &all)?);
    let (family, primal) = Family::new(Function::Inner, &gradient, Function::Inner.positions(layout, &[Role::Inner]))?;
    let hessian_rows = gradient_rows(layout, Role::Inner, &all);
    let both_rows = [hessian_rows.clone(), gradient_rows(layout, Role::Outer, &all)].concat();
    emit_curvature(layout, kernels, &family, &primal, [hessian_rows, both_rows])
}

/// The same where the Jacobian of the inner condition may be asymmetric: the transposed products. `condition` gives a value and the condition for each inner variable.
pub(super) fn transposed_curvature(layout: &Layout, kernels: &mut Kernels, condition: &Func) -> Result<(), DeriveError> {
    let all = Function::Inner.positions(layout, &[Role::Inner, Role::Outer]);
    let wrt = Function::Inner.positions(layout, &[Role::Inner]);
    let mut condition = condition.clone();
    condition.body.results.remove(0);
    let Linearized { primal, linear, n_residuals } = derive::linearize(&condition, &all)?;
    let tangents: Vec<usize> = (n_residuals..linear.params().len()).collect();
    // Its parameters are the residuals, then a direction for each inner variable; its results are those of `all`.
    let linear = derive::transpose(&linear, &tangents)?;
    let rows = |role: Role| -> Vec<Option<usize>> {
        layout.of(role).map(|leaf| Function::Inner.position(leaf).and_then(|at| all.iter().position(|&p| p == at))).collect()
    };
    let (inner_rows, outer_rows) = (rows(Role::Inner), rows(Role::Outer));
    let both_rows = [inner_rows.clone(), outer_rows].concat();
    let family = Family { function: Function::Inner, linear, n_residuals, positions: wrt };
    emit_curvature(layout, kernels, &family, &primal, [inner_rows, both_rows])
}

/// Emits the products with rows of the linear part: those of the inner variable, and all.
fn emit_curvature(
    layout: &Layout,
    kernels: &mut Kernels,
    family: &Family,
    primal: &Func,
    [hessian_rows, both_rows]: [Vec<Option<usize>>; 2],
) -> Result<(), DeriveError> {
    let name = "inner_curvature";
    let (hessian, both) = (family.with_results(&hessian_rows), family.with_results(&both_rows));
    let residuals = family.residuals(layout, kernels, primal, &[&hessian, &both], name);
    let directions = [(Role::Inner, "direction")];
    let to_both = [(Role::Inner, "hessian_product"), (Role::Outer, "mixed")];
    let mut arm = |func: &Func, name_of_arm, results, rows| {
        let arm = Arm { name: name_of_arm, residuals: name, directions: &directions, results, rows };
        family.apply(layout, kernels, func, &residuals.kept(), &arm)
    };
    let without = arm(&hessian, "hessian_product", &to_both[..1], &hessian_rows);
    let with = arm(&both, "both_products", &to_both, &both_rows);
    kernels.methods.push(quote! {
        fn curvature_apply(
            &self,
            workspace: &mut Self::Workspace,
            direction: &[Self::Float],
            hessian_product: &mut [Self::Float],
            mixed: ::core::option::Option<&mut [Self::Float]>,
        ) {
            match mixed {
                ::core::option::Option::None => { #without }
                ::core::option::Option::Some(mixed) => { #with }
            }
        }
    });
    Ok(())
}

/// `inner_gradient_linearize` and `inner_gradient_jvp`.
pub(super) fn gradient_jvp(layout: &Layout, kernels: &mut Kernels, condition: &Func) -> Result<(), DeriveError> {
    let name = "inner_gradient_linearize";
    let all = Function::Inner.positions(layout, &[Role::Inner, Role::Outer]);
    let wrt = Function::Inner.positions(layout, &[Role::Inner]);
    let (family, primal) = Family::new(Function::Inner, condition, all)?;
    let rows = gradient_rows(layout, Role::Inner, &wrt);
    let linear = family.with_results(&rows);
    let residuals = family.residuals(layout, kernels, &primal, &[&linear], name);
    let reads = layout.of(Role::Outer).map(|leaf| {
        let direction = Function::Inner.position(leaf).and_then(|p| family.positions.iter().position(|&q| q == p));
        direction.is_some_and(|k| is_read(&linear, family.n_residuals + k))
    });
    kernels.methods.push(quote!(const GRADIENT_READS: &'static [bool] = &[#(#reads),*];));
    let body = family.apply(
        layout,
        kernels,
        &linear,
        &residuals.kept(),
        &Arm {
            name: "inner_gradient_jvp",
            residuals: name,
            directions: &[(Role::Inner, "inner_dot"), (Role::Outer, "outer_dot")],
            results: &[(Role::Inner, "gradient_dot")],
            rows: &rows,
        },
    );
    kernels.methods.push(quote! {
        #[inline]
        fn inner_gradient_jvp(
            &self,
            workspace: &mut Self::Workspace,
            inner_dot: &[Self::Float],
            outer_dot: &[Self::Float],
            gradient_dot: &mut [Self::Float],
        ) {
            #body
        }
    });
    Ok(())
}

/// `inner_gradient_vjp`.
pub(super) fn gradient_vjp(layout: &Layout, kernels: &mut Kernels, condition: &Func) -> Result<TokenStream, DeriveError> {
    let name = "inner_gradient_vjp";
    let wrt = Function::Inner.positions(layout, &[Role::Inner]);
    let mut gradient = condition.clone();
    gradient.body.results.remove(0);
    let gradient = optimize(&gradient);
    let all = Function::Inner.positions(layout, &[Role::Inner, Role::Outer]);
    let mut vjp = derive::vjp(&gradient, &all)?;
    vjp.body.results.drain(..wrt.len());
    let vjp = optimize(&vjp);
    let mut kernel = Kernel::new(layout, Function::Inner, &vjp);
    let (params, cotangents) = vjp.params().split_at(gradient.params().len());
    kernel.bind_leaves(params);
    kernel.take_variables();
    kernel.take_data();
    let mut names = Vec::new();
    for leaf in layout.of(Role::Inner) {
        let variable = kernel.emitter.names.unique(&format!("{}_bar_bar", leaf.variable));
        if let Some(at) = Function::Inner.position(leaf).and_then(|p| wrt.iter().position(|&q| q == p)) {
            kernel.emitter.bind(cotangents[at], &variable);
        }
        names.push(variable);
    }
    kernel.take(Role::Inner, "cotangent", &names);
    for (role, slice) in [(Role::Inner, "inner_bar"), (Role::Outer, "outer_bar")] {
        let results = layout
            .of(role)
            .map(|leaf| Function::Inner.position(leaf).and_then(|p| all.iter().position(|&q| q == p)).map(|k| vjp.results()[k]));
        kernel.results_to(role, slice, &results.collect::<Vec<_>>());
    }
    let statements = kernel.body();
    let (body, fields) = kernel.finish(statements, name);
    kernels.add_buffers(name, &fields, &[]);
    Ok(quote! {
        #[inline]
        fn inner_gradient_vjp(
            &self,
            workspace: &mut Self::Workspace,
            inner: &[Self::Float],
            outer: &[Self::Float],
            cotangent: &[Self::Float],
            inner_bar: &mut [Self::Float],
            outer_bar: &mut [Self::Float],
        ) {
            #body
        }
    })
}

/// Where a residual is found when the linear part runs.
struct Residual {
    variable: Ident,
    /// The `let` that makes it; none for data, which has its own.
    taken: Option<TokenStream>,
}

/// What the linear part finds when it runs.
pub(super) struct Kept<'r> {
    /// The source of each residual that is read.
    sources: Vec<Option<&'r Residual>>,
    /// The lengths in the shapes of residuals that the first part computes, and their variables.
    lengths: &'r [(DimId, Ident)],
}

/// The method that computes the residuals, with its name; where the results of `primal` are found after it, and the lengths that it computes for their shapes.
fn residuals_method(
    layout: &Layout,
    kernels: &mut Kernels,
    function: Function,
    primal: &Func,
    name: &'static str,
) -> (Vec<Residual>, Vec<(DimId, Ident)>) {
    let rt = &layout.rt;
    let mut kernel = Kernel::new(layout, function, primal);
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
        let data = layout.of(Role::Data).find(|l| at.is_some() && function.position(l) == at);
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
    let is_known = |dim: DimId| layout.dims_of(function).iter().any(|&(known, _)| known == dim);
    let mut lengths = kernel.emitter.bound_dims();
    lengths.retain(|&(dim, _)| is_in_shapes(dim) && !is_known(dim));
    for (_, length) in &lengths {
        kept.extend(quote!(buffers.#length = #length;));
        scalars.push(Buffer { field: length.clone(), elem: Elem::Usize });
    }
    let (body, fields) = kernel.finish(quote!(#statements #kept), name);
    kernels.add_buffers(name, &fields, &scalars);
    let method = ident(name);
    match function {
        Function::Inner | Function::Outer => kernels.methods.push(quote! {
            fn #method(&self, workspace: &mut Self::Workspace, inner: &[Self::Float], outer: &[Self::Float]) {
                #body
            }
        }),
        Function::Step => kernels.step_methods.push(quote! {
            fn #method(
                &self,
                workspace: &mut Self::Workspace,
                index: usize,
                inner: &[Self::Float],
                state: &[Self::Float],
                outer: &[Self::Float],
            ) {
                #body
            }
        }),
    }
    let again = |k: &usize| Residual { variable: residuals[*k].1.variable.clone(), taken: residuals[*k].1.taken.clone() };
    (order.iter().map(again).collect(), lengths)
}

/// The body of a kernel that applies a linear part.
pub(super) struct Arm<'a> {
    /// The field of the workspace for its buffers.
    pub(super) name: &'static str,
    /// The field with the residuals.
    pub(super) residuals: &'static str,
    /// Where directions come from.
    pub(super) directions: &'a [(Role, &'static str)],
    /// Where results go, and which of a leaf's results is there.
    pub(super) results: &'a [(Role, &'static str)],
    pub(super) rows: &'a [Option<usize>],
}

impl Family {
    /// The body of a kernel that applies a linear part.
    pub(super) fn apply(&self, layout: &Layout, kernels: &mut Kernels, linear: &Func, kept: &Kept<'_>, arm: &Arm<'_>) -> TokenStream {
        let mut kernel = Kernel::new(layout, self.function, linear);
        kernel.residuals = arm.residuals;
        let (residual_params, tangent_params) = linear.params().split_at(kept.sources.len());
        kernel.take_data();
        for (dim, length) in kept.lengths {
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
        for &(role, slice) in arm.directions {
            let mut tangents = Vec::new();
            for leaf in layout.of(role) {
                let variable = kernel.emitter.names.unique(&format!("{}_dot", leaf.variable));
                if let Some(at) = self.function.position(leaf).and_then(|p| self.positions.iter().position(|&q| q == p)) {
                    kernel.emitter.bind(tangent_params[at], &variable);
                }
                tangents.push(variable);
            }
            kernel.take(role, slice, &tangents);
        }
        let mut values = linear.results().iter().copied();
        let mut rows = arm.rows.iter();
        for &(role, slice) in arm.results {
            let leaves = rows.by_ref().take(layout.of(role).count());
            let results: Vec<Option<ValueId>> = leaves.map(|row| row.and_then(|_| values.next())).collect();
            kernel.results_to(role, slice, &results);
        }
        let statements = kernel.body();
        let (body, fields) = kernel.finish(statements, arm.name);
        kernels.add_buffers(arm.name, &fields, &[]);
        body
    }
}

/// Whether the function reads its parameter number `k`.
fn is_read(func: &Func, k: usize) -> bool {
    let param = func.params()[k];
    let mut read = func.results().contains(&param);
    func.body.walk(&mut |stmt| read |= stmt.args.contains(&param) || stmt.bodies.iter().any(|b| b.results.contains(&param)));
    read
}
