//! Checks, at the entry of a problem, of the data that give positions along an axis.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::quote;

use super::emitter::ident;
use super::layout::{Function, Layout, Role};
use crate::derive;
use crate::ir::{Body, Control, Dim, DimId, Func, Index, Op, Pick, Shape, Stmt, ValueId};

/// A check for every array or number of the data that gives positions along an axis.
pub(super) fn position_checks(layout: &Layout) -> TokenStream {
    let mut checks = TokenStream::new();
    let mut seen = HashSet::new();
    let mut seen_turns = HashSet::new();
    let step = layout.problem.step.as_ref().map(|step| derive::expand(&step.lowered.func));
    let losses = [(Function::Inner, &layout.problem.inner.func), (Function::Outer, &layout.problem.outer.func)];
    for (function, func) in losses.into_iter().chain(step.as_ref().map(|step| (Function::Step, step))) {
        let dims = layout.dims_of(function);
        let mut definitions: Vec<Option<&Stmt>> = vec![None; func.types.len()];
        func.body.walk(&mut |stmt| {
            for &out in &stmt.outs {
                definitions[out.0 as usize] = Some(stmt);
            }
        });
        for (index, dim) in positions(func, &func.body) {
            if let Some(check) = turn_check(layout, func, dims, index, dim) {
                if !seen_turns.insert(check.to_string()) {
                    continue;
                }
                checks.extend(check);
                continue;
            }
            let param = data_behind(&definitions, index);
            let at = func.params().iter().position(|&p| p == param);
            let leaf = layout.leaves.iter().position(|l| l.role == Role::Data && at.is_some() && function.position(l) == at);
            let limit = match dim {
                Dim::Const(n) => {
                    let n = proc_macro2::Literal::u64_unsuffixed(n);
                    Some(quote!(#n))
                }
                Dim::Sym(id) => dims.iter().find(|(d, _)| *d == id).map(|&(_, n)| {
                    let name = &layout.dims[n].0;
                    quote!(#name)
                }),
            };
            let (Some(leaf), Some(limit)) = (leaf, limit) else { continue };
            if !seen.insert((leaf, limit.to_string())) {
                continue;
            }
            let l = &layout.leaves[leaf];
            let label = &l.leaf.label;
            checks.extend(if l.dims.is_empty() {
                let number = l.leaf.number();
                quote!(rt::check_index(#label, #number, #limit)?;)
            } else {
                let variable = ident(&l.variable);
                quote!(rt::check_indices(#label, &#variable, #limit)?;)
            });
        }
    }
    checks
}

/// A check for every array that a step reads at the position of its index: it has to be long enough for all steps, of which there are `n_steps`.
pub(super) fn index_checks(layout: &Layout, step: &Func) -> TokenStream {
    let mut checks = TokenStream::new();
    let mut seen = HashSet::new();
    let index = layout.of(Role::Index).find_map(|leaf| Function::Step.position(leaf)).map(|at| step.params()[at]);
    for (position, dim) in positions(step, &step.body) {
        let number = layout.dims_of(Function::Step).iter().find(|(d, _)| Dim::Sym(*d) == dim).map(|&(_, n)| n);
        let (true, Some(number)) = (Some(position) == index, number) else { continue };
        let leaf = layout.leaves.iter().find(|l| l.dims.contains(&number) && Function::Step.position(l).is_some());
        let Some(leaf) = leaf.filter(|_| seen.insert(number)) else { continue };
        let axis = proc_macro2::Literal::usize_unsuffixed(leaf.dims.iter().position(|&n| n == number).unwrap_or_default());
        let dims = leaf.dims.iter().map(|&n| &layout.dims[n].0);
        let (label, name) = (&leaf.leaf.label, layout.problem.name.to_string());
        checks.extend(quote!(rt::check_turns(#name, #label, &[#(workspace.dims.#dims),*], #axis, n_steps)?;));
    }
    checks
}

/// For a position that counts the turns of a loop: a check that an array whose axis has the dimension `dim` is long enough for all turns.
fn turn_check(layout: &Layout, func: &Func, dims: &[(DimId, usize)], index: ValueId, dim: Dim) -> Option<TokenStream> {
    let mut trip = None;
    func.body.walk(&mut |stmt| {
        if let Op::Control(Control::For { trip: t, .. }) = &stmt.op
            && stmt.bodies[0].params[0] == index
        {
            trip = Some(*t);
        }
    });
    let trip = trip?;
    let number = |d: Dim| match d {
        Dim::Sym(id) => dims.iter().find(|(d, _)| *d == id).map(|&(_, n)| n),
        Dim::Const(_) => None,
    };
    let axis = number(dim)?;
    let turns = match trip {
        Dim::Const(n) => {
            let n = proc_macro2::Literal::u64_unsuffixed(n);
            quote!(#n)
        }
        Dim::Sym(_) if number(trip)? == axis => return Some(TokenStream::new()),
        Dim::Sym(_) => {
            let name = &layout.dims[number(trip)?].0;
            quote!(#name)
        }
    };
    let l = layout.leaves.iter().find(|l| l.dims.contains(&axis))?;
    let (label, shape) = (&l.leaf.label, l.leaf.shape());
    let at = proc_macro2::Literal::usize_unsuffixed(l.dims.iter().position(|&n| n == axis)?);
    let name = layout.problem.name.to_string();
    Some(quote!(rt::check_turns(#name, #label, #shape, #at, #turns)?;))
}

/// Every value that is used as a position, with the dimension of the axis.
fn positions(func: &Func, body: &Body) -> Vec<(ValueId, Dim)> {
    let mut found = Vec::new();
    body.walk(&mut |stmt| {
        if let Op::Index(index) = &stmt.op {
            let dims = &func.ty(stmt.args[0]).dims;
            match index {
                Index::Read(window) | Index::Add(window) | Index::Write(window) => {
                    let at = window.axes.iter().zip(&stmt.args[1..]).filter(|((_, pick), _)| *pick == Pick::At);
                    found.extend(at.map(|(&(axis, _), &start)| (start, dims[axis])));
                }
                Index::Gather { axis } | Index::ScatterAdd { axis } | Index::TakeAlong { axis } => found.push((stmt.args[1], dims[*axis])),
                Index::PutAlong { dim, .. } => found.push((stmt.args[1], *dim)),
            }
        }
    });
    found
}

/// The value whose elements a value consists of.
fn data_behind(definitions: &[Option<&Stmt>], mut value: ValueId) -> ValueId {
    while let Some(Stmt {
        op:
            Op::Shape(Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Reshape { .. })
            | Op::Index(Index::Read(_) | Index::Gather { .. } | Index::TakeAlong { .. }),
        args,
        ..
    }) = definitions[value.0 as usize]
    {
        value = args[0];
    }
    value
}
