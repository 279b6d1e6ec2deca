//! The kernels of a step that the user writes: the methods of `StepProblem`.
//!
//! | kernel | function |
//! | --- | --- |
//! | `step` | the step |
//! | `step_vjp` | `vjp` of the step as it is: reverse over reverse where it computes gradients |
//! | `step_mixed_vjp` | `vjp` of the step with its gradients as single operations: forward over reverse |
//! | `step_linearize`, `step_jvp` | the split of the step along directions of all variables |

use proc_macro2::TokenStream;
use quote::quote;

use super::curvature::{Arm, Family};
use super::emitter::ident;
use super::kernels::{Kernel, Kernels};
use super::layout::{Function, Layout, Role};
use super::positions::index_checks;
use crate::derive::{self, DeriveError};
use crate::ir::{Call, Func, Op};
use crate::optimize::optimize;
use crate::syntax::problem::StepIr;

/// What a step takes and gives back, beside the outer variable that it takes.
const STATE: [Role; 2] = [Role::Inner, Role::State];

/// Derives and emits the kernels of a step.
pub(super) fn steps(layout: &Layout, kernels: &mut Kernels, step: &StepIr) -> Result<(), DeriveError> {
    let kept = optimize(&step.lowered.func);
    let plain = derive::expand(&kept);
    about(layout, kernels, &kept, &plain);
    value(layout, kernels, &plain);
    vjp(layout, kernels, &plain, "step_vjp")?;
    if n_gradients(&kept) > 0 {
        vjp(layout, kernels, &kept, "step_mixed_vjp")?;
    }
    jvp(layout, kernels, &plain)
}

/// How many gradients stand in a step.
fn n_gradients(kept: &Func) -> usize {
    let mut n = 0;
    kept.body.walk(&mut |stmt| n += usize::from(matches!(&stmt.op, Op::Call(Call { function, .. }) if function.body.is_some())));
    n
}

/// What is known of a step before it is made.
fn about(layout: &Layout, kernels: &mut Kernels, kept: &Func, plain: &Func) {
    let shapes: Vec<TokenStream> = layout
        .of(Role::State)
        .map(|leaf| {
            let dims = leaf.dims.iter().map(|&n| &layout.dims[n].0);
            quote!(::std::vec![#(workspace.dims.#dims),*])
        })
        .collect();
    let names = layout.of(Role::State).map(|leaf| &leaf.leaf.label);
    let checks = index_checks(layout, plain);
    let n_gradients = proc_macro2::Literal::usize_unsuffixed(n_gradients(kept));
    kernels.step_methods.push(quote! {
        const STATE_NAMES: &'static [&'static str] = &[#(#names),*];
        const N_GRADIENTS: usize = #n_gradients;

        fn state_shapes(workspace: &Self::Workspace) -> rt::Vec<rt::Vec<usize>> {
            ::std::vec![#(#shapes),*]
        }

        fn check_steps(workspace: &Self::Workspace, n_steps: usize) -> ::core::result::Result<(), rt::Error> {
            #checks
            ::core::result::Result::Ok(())
        }
    });
}

fn value(layout: &Layout, kernels: &mut Kernels, step: &Func) {
    let name = "step";
    let mut kernel = Kernel::new(layout, Function::Step, step);
    kernel.bind_leaves(step.params());
    kernel.take_variables();
    kernel.take_data();
    for (role, slice) in STATE.into_iter().zip(["next_inner", "next_state"]) {
        let results: Vec<_> = layout.of(role).map(|leaf| leaf.result.map(|k| step.results()[k])).collect();
        kernel.results_to(role, slice, &results);
    }
    let statements = kernel.body();
    let (body, fields) = kernel.finish(statements, name);
    kernels.add_buffers(name, &fields, &[]);
    kernels.step_methods.push(quote! {
        fn step(
            &self,
            workspace: &mut Self::Workspace,
            index: usize,
            inner: &[Self::Float],
            state: &[Self::Float],
            outer: &[Self::Float],
            next_inner: &mut [Self::Float],
            next_state: &mut [Self::Float],
        ) {
            #body
        }
    });
}

fn vjp(layout: &Layout, kernels: &mut Kernels, step: &Func, name: &'static str) -> Result<(), DeriveError> {
    let wrt = Function::Step.positions(layout, &[Role::Inner, Role::State, Role::Outer]);
    let mut vjp = derive::vjp(step, &wrt)?;
    vjp.body.results.drain(..step.results().len());
    let vjp = derive::expand(&vjp);
    let mut kernel = Kernel::new(layout, Function::Step, &vjp);
    let (params, cotangents) = vjp.params().split_at(step.params().len());
    kernel.bind_leaves(params);
    kernel.take_variables();
    kernel.take_data();
    for (role, slice) in STATE.into_iter().zip(["next_inner_bar", "next_state_bar"]) {
        let mut names = Vec::new();
        for leaf in layout.of(role) {
            let variable = kernel.emitter.names.unique(&format!("next_{}_bar", leaf.variable));
            if let Some(k) = leaf.result {
                kernel.emitter.bind(cotangents[k], &variable);
            }
            names.push(variable);
        }
        kernel.take(role, slice, &names);
    }
    for (role, slice) in [(Role::Inner, "inner_bar"), (Role::State, "state_bar"), (Role::Outer, "outer_bar")] {
        let bar = |at: usize| wrt.iter().position(|&p| p == at).map(|k| vjp.results()[k]);
        let results: Vec<_> = layout.of(role).map(|leaf| Function::Step.position(leaf).and_then(bar)).collect();
        kernel.results_to(role, slice, &results);
    }
    let statements = kernel.body();
    let (body, fields) = kernel.finish(statements, name);
    kernels.add_buffers(name, &fields, &[]);
    let method = ident(name);
    kernels.step_methods.push(quote! {
        fn #method(
            &self,
            workspace: &mut Self::Workspace,
            index: usize,
            inner: &[Self::Float],
            state: &[Self::Float],
            outer: &[Self::Float],
            next_inner_bar: &[Self::Float],
            next_state_bar: &[Self::Float],
            inner_bar: &mut [Self::Float],
            state_bar: &mut [Self::Float],
            outer_bar: &mut [Self::Float],
        ) {
            #body
        }
    });
    Ok(())
}

fn jvp(layout: &Layout, kernels: &mut Kernels, step: &Func) -> Result<(), DeriveError> {
    let name = "step_linearize";
    let wrt = Function::Step.positions(layout, &[Role::Inner, Role::State, Role::Outer]);
    let (family, primal) = Family::new(Function::Step, step, wrt)?;
    let rows: Vec<_> = STATE.into_iter().flat_map(|role| layout.of(role).map(|leaf| leaf.result)).collect();
    let linear = family.with_results(&rows);
    let residuals = family.residuals(layout, kernels, &primal, &[&linear], name);
    let arm = Arm {
        name: "step_jvp",
        residuals: name,
        directions: &[(Role::Inner, "inner_dot"), (Role::State, "state_dot"), (Role::Outer, "outer_dot")],
        results: &[(Role::Inner, "next_inner_dot"), (Role::State, "next_state_dot")],
        rows: &rows,
    };
    let body = family.apply(layout, kernels, &linear, &residuals.kept(), &arm);
    kernels.step_methods.push(quote! {
        fn step_jvp(
            &self,
            workspace: &mut Self::Workspace,
            inner_dot: &[Self::Float],
            state_dot: &[Self::Float],
            outer_dot: &[Self::Float],
            next_inner_dot: &mut [Self::Float],
            next_state_dot: &mut [Self::Float],
        ) {
            #body
        }
    });
    Ok(())
}
