//! Data of which each step of the inner optimiser sees some rows: `#[inner(minimize = w, sample(x, y))]`.
//!
//! The kernels read the lengths of axes and the data from the workspace. What is generated here puts some rows of the data, and their number, in the
//! place of all: so every kernel computes on a batch as it computes on all rows. That is right where the number of rows is a length of nothing else, and no row is
//! singled out by its position, which [`misplaced`] finds out.

use std::collections::HashMap;

use proc_macro2::{Span, TokenStream};
use quote::quote;

use super::emitter::ident;
use super::layout::{Function, Layout, ProblemLeaf, Role, layout};
use crate::ir::{Control, Dim, Func, Index, Op, Pick, Shape, Stmt, ValueId};
use crate::syntax::ProblemIr;

/// Why the rows of sampled data cannot be drawn.
pub struct Misplaced {
    /// Where.
    pub span: Span,
    /// The data.
    pub name: String,
    /// What stands in the way.
    pub reason: String,
    /// What to write instead.
    pub help: String,
}

/// What stands in the way of drawing rows of the sampled data.
pub fn misplaced(problem: &ProblemIr) -> Vec<Misplaced> {
    let layout = layout(problem);
    let Some(rows) = row_axis(&layout) else { return Vec::new() };
    let sampled: Vec<&str> = layout.leaves.iter().filter(|l| l.sampled).map(|l| &*l.leaf.label).collect();
    let mut found = Vec::new();
    if let Some(length) = layout.dims[rows].1 {
        found.extend(problem.sampled.iter().map(|name| Misplaced {
            span: name.span(),
            name: name.to_string(),
            reason: format!("it always has {length} rows"),
            help: "leave the number of rows open: a batch has fewer".to_owned(),
        }));
    }
    // The outer loss sees all rows.
    let functions = [Function::Inner, Function::Step];
    for leaf in layout.leaves.iter().filter(|leaf| functions.iter().any(|function| function.position(leaf).is_some())) {
        let axes = leaf.dims.iter().enumerate().filter(|&(axis, &dim)| dim == rows && !(axis == 0 && leaf.sampled));
        found.extend(axes.map(|(axis, _)| Misplaced {
            span: problem.sampled.first().map_or_else(Span::call_site, |name| name.span()),
            name: sampled.join("`, `"),
            reason: format!("axis {axis} of `{}` has as many elements as there are rows, and stays whole", leaf.leaf.label),
            help: help(leaf, axis),
        }));
    }
    for function in functions {
        let Some(lowered) = function.lowered(problem) else { continue };
        let func = &lowered.func;
        let is_rows = |dim: Dim| matches!(dim, Dim::Sym(id) if layout.dims_of(function).contains(&(id, rows)));
        let mut turns: HashMap<ValueId, Dim> = HashMap::new();
        func.body.walk(&mut |stmt| {
            if let Op::Control(Control::For { trip, .. }) = stmt.op {
                turns.insert(stmt.bodies[0].params[0], trip);
            }
            let goes_through_all = |index: ValueId| turns.get(&index).is_some_and(|&trip| is_rows(trip));
            if let Some(value) = singles_out_rows(func, stmt, &is_rows, &goes_through_all) {
                found.push(Misplaced {
                    span: func.note(value).span,
                    name: sampled.join("`, `"),
                    reason: format!("`{}` depends on the positions of rows", func.note(value).source.as_deref().unwrap_or("this")),
                    help:
                        "use rows by operations on all of them, or in a loop over all of them: a batch has them in another order and number"
                            .to_owned(),
                });
            }
        });
    }
    found
}

/// How a leaf that is as long as there are rows may be used in batches.
fn help(leaf: &ProblemLeaf, axis: usize) -> String {
    let label = &leaf.leaf.label;
    let by_position = format!(
        "read what belongs to a batch by positions that are sampled: `gather({label}, Axis({axis}), position)` with `position: &Array1<usize>`"
    );
    match leaf.role {
        Role::Data => format!("name `{label}` in `sample(..)` too if its rows belong to them, or {by_position}"),
        Role::Inner | Role::Outer | Role::State | Role::Index => by_position,
    }
}

/// The value of a statement that reads, writes or joins rows by their positions.
fn singles_out_rows(
    func: &Func,
    stmt: &Stmt,
    is_rows: &impl Fn(Dim) -> bool,
    goes_through_all: &impl Fn(ValueId) -> bool,
) -> Option<ValueId> {
    let dims = || &func.ty(stmt.args[0]).dims;
    let singled_out = match &stmt.op {
        Op::Index(Index::Read(window) | Index::Add(window) | Index::Write(window)) => window
            .axes
            .iter()
            .zip(&stmt.args[1..])
            .any(|(&(axis, pick), &start)| is_rows(dims()[axis]) && !(pick == Pick::At && goes_through_all(start))),
        Op::Index(Index::Gather { axis } | Index::ScatterAdd { axis } | Index::TakeAlong { axis }) => is_rows(dims()[*axis]),
        Op::Index(Index::PutAlong { dim, .. }) => is_rows(*dim),
        Op::Shape(Shape::Unfold { axis, .. }) => is_rows(dims()[*axis]),
        Op::Shape(Shape::Fold { dim, .. }) => is_rows(*dim),
        Op::Shape(Shape::Reshape { dims: to }) => {
            dims().iter().chain(to).any(|&dim| is_rows(dim)) && Shape::same_elements(dims(), to) != Some(true)
        }
        Op::Const(..)
        | Op::Elementwise(_)
        | Op::Reduce(_)
        | Op::Einsum(_)
        | Op::Shape(_)
        | Op::Linalg(_)
        | Op::Control(_)
        | Op::Call(_) => false,
    };
    singled_out.then(|| stmt.outs[0])
}

/// The number of the dimension of sampled rows.
fn row_axis(layout: &Layout) -> Option<usize> {
    sampled(layout).next().map(|leaf| leaf.dims[0])
}

fn sampled<'l>(layout: &'l Layout) -> impl Iterator<Item = &'l ProblemLeaf> {
    layout.leaves.iter().filter(|l| l.sampled)
}

/// The methods of the problem that show batches to the kernels; none without sampled data.
pub(super) fn batches(layout: &Layout) -> Option<TokenStream> {
    let first = sampled(layout).next()?;
    let rows = &layout.dims[row_axis(layout)?].0;
    let names = |leaf: &ProblemLeaf| leaf.dims[1..].iter().map(|&n| layout.dims[n].0.clone()).collect::<Vec<_>>();
    let mut inner_dims: Vec<_> = sampled(layout).flat_map(names).collect();
    inner_dims.sort_unstable();
    inner_dims.dedup();
    let dims = (!inner_dims.is_empty()).then(|| quote!(let Dims { #(#inner_dims,)* .. } = workspace.dims;));
    let len = |leaf: &ProblemLeaf| {
        let factors = names(leaf).into_iter().map(|name| quote!(#name));
        factors.reduce(|product, factor| quote!(#product * #factor)).unwrap_or_else(|| quote!(1))
    };
    let show = sampled(layout).map(|leaf| {
        let (name, len) = (ident(&leaf.variable), len(leaf));
        quote!(workspace.#name.show(rows, #len);)
    });
    let (name, first_len) = (ident(&first.variable), len(first));
    Some(quote! {
        fn n_rows(workspace: &Self::Workspace) -> ::core::option::Option<usize> {
            #dims
            ::core::option::Option::Some(workspace.#name.n_rows(#first_len))
        }

        fn show_rows(workspace: &mut Self::Workspace, rows: ::core::option::Option<&[usize]>) {
            #dims
            #(#show)*
            workspace.dims.#rows = rows.map_or_else(|| workspace.#name.n_rows(#first_len), <[usize]>::len);
        }
    })
}
