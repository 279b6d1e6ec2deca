//! The `Problem` struct of a bilevel problem and its implementation of `BilevelProblem`.
//!
//! Everything that can go wrong is checked in `workspace`, which also makes all memory; the kernels ([`kernels`](super::kernels)) then cannot
//! fail. The lengths of all axes are shared by the two losses: a parameter that occurs in both joins their dimensions.

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use super::emitter::ident;
use super::forms::{Leaf, leaves, owned, type_of};
use super::kernels::{Kernels, kernels};
use super::names::Names;
use crate::derive::DeriveError;
use crate::ir::{Body, Control, Dim, DimId, Elem, Func, Index, Op, Shape, Stmt, ValueId};
use crate::syntax::ProblemIr;
use crate::syntax::problem::Variable;
use crate::syntax::signature::Form;

/// What a leaf of a parameter is to the problem.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// Part of the inner variable.
    Inner,
    /// Part of the outer variable.
    Outer,
    /// Data.
    Data,
}

/// A leaf of a variable or of the data, with what both losses say of it.
pub(super) struct ProblemLeaf {
    pub(super) role: Role,
    /// Its name, as a variable.
    pub(super) variable: String,
    pub(super) elem: Elem,
    /// The number of the dimension of each axis.
    pub(super) dims: Vec<usize>,
    /// How the user's value is reached, in `workspace`.
    pub(super) leaf: Leaf,
    /// Its position among the parameters of the inner and of the outer loss.
    pub(super) in_inner: Option<usize>,
    pub(super) in_outer: Option<usize>,
}

/// A problem's parameters and dimensions.
pub(super) struct Layout<'p> {
    pub(super) problem: &'p ProblemIr,
    pub(super) rt: TokenStream,
    pub(super) leaves: Vec<ProblemLeaf>,
    /// The variable of each dimension, and its length if it is known.
    pub(super) dims: Vec<(Ident, Option<u64>)>,
    /// The number of each dimension of the losses' parameters.
    pub(super) inner_dims: Vec<(DimId, usize)>,
    pub(super) outer_dims: Vec<(DimId, usize)>,
}

/// The struct and its implementation, as items for the problem's module.
///
/// # Errors
/// [`DeriveError`] if a loss has no exact derivative.
pub fn problem(problem: &ProblemIr) -> Result<TokenStream, DeriveError> {
    let layout = layout(problem);
    let kernels = kernels(&layout)?;
    let declaration = declaration(problem);
    let implementation = implementation(&layout, &kernels);
    Ok(quote!(#declaration #implementation))
}

/// Whether the struct borrows data.
fn has_lifetime(problem: &ProblemIr) -> bool {
    problem.data.iter().any(|v| !matches!(v.param.form, Form::Scalar(_)))
}

fn declaration(problem: &ProblemIr) -> TokenStream {
    let crate_path = &problem.crate_path;
    let rt = quote!(#crate_path::rt);
    let fields = problem.data.iter().map(|v| {
        let name = &v.param.name;
        let ty = match &v.param.form {
            Form::Scalar(_) | Form::Array { view: true, .. } => type_of(&v.param.form, &rt, &quote!('a)),
            form @ (Form::Array { .. } | Form::Tuple(_)) => {
                let ty = type_of(form, &rt, &quote!('a));
                quote!(&'a #ty)
            }
        };
        let losses = [(v.in_inner, &problem.inner), (v.in_outer, &problem.outer)];
        let losses: Vec<String> = losses.iter().filter(|(at, _)| at.is_some()).map(|(_, l)| format!("`{}`", l.signature.name)).collect();
        let doc = format!(" The parameter `{name}` of {}.", losses.join(" and "));
        quote!(#[doc = #doc] pub #name: #ty)
    });
    let fields: Vec<TokenStream> = fields.collect();
    let doc = format!(" The data of the problem `{}`.", problem.name);
    let name = Ident::new("Problem", Span::call_site());
    let generics = has_lifetime(problem).then(|| quote!(<'a>));
    quote! {
        #[doc = #doc]
        #[derive(Clone, Copy, Debug)]
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
    let (inner_type, outer_type) =
        (variable_type(&problem.inner_variables, &layout.rt), variable_type(&problem.outer_variables, &layout.rt));
    let (inner_name, outer_name) = (variable_name(&problem.inner_variables), variable_name(&problem.outer_variables));
    let dims: Vec<&Ident> = layout.dims.iter().map(|(name, _)| name).collect();
    let arrays: Vec<TokenStream> = data_arrays(layout)
        .map(|l| {
            let (variable, elem) = (ident(&l.variable), super::expr::primitive(l.elem));
            quote!(#variable: rt::Cow<'a, [#elem]>)
        })
        .collect();
    let workspace_generics = (!arrays.is_empty()).then(|| quote!(<'a>));
    let (structs, fields) = (&kernels.structs, &kernels.fields);
    let workspace = workspace(layout, kernels);
    let methods = &kernels.methods;
    // Where no array is borrowed, the lifetime of `Problem` appears only in the name of the type.
    let (impl_generics, self_generics) = if workspace_generics.is_some() { (&generics, &generics) } else { (&None, &anonymous) };
    quote! {
        #[allow(unused, unused_doc_comments, clippy::all, clippy::pedantic)]
        const _: () = {
            use #crate_path::rt;

            /// The lengths of all axes.
            #[derive(Clone, Copy)]
            struct Dims { #(#dims: usize),* }

            #(#structs)*

            /// Lengths, contiguous data and the buffers of the kernels.
            pub struct Workspace #workspace_generics { dims: Dims, #(#arrays,)* #(#fields,)* }

            impl #impl_generics rt::BilevelProblem for #name #self_generics {
                type Float = #float;
                type Inner = #inner_type;
                type Outer = #outer_type;
                type Workspace = Workspace #workspace_generics;

                const INNER_NAME: &'static str = #inner_name;
                const OUTER_NAME: &'static str = #outer_name;

                #workspace

                #(#methods)*
            }
        };
    }
}

/// The data that the workspace keeps as slices.
fn data_arrays<'l>(layout: &'l Layout) -> impl Iterator<Item = &'l ProblemLeaf> {
    layout.leaves.iter().filter(|l| l.role == Role::Data && !l.dims.is_empty())
}

fn variable_type(variables: &[Variable], rt: &TokenStream) -> TokenStream {
    let types: Vec<TokenStream> = variables.iter().map(|v| type_of(&owned(&v.param.form), rt, &quote!('_))).collect();
    super::forms::bare_or_tuple(&types)
}

fn variable_name(variables: &[Variable]) -> String {
    variables.iter().map(|v| v.param.name.to_string()).collect::<Vec<_>>().join(", ")
}

/// The method that checks everything and makes the workspace.
fn workspace(layout: &Layout, kernels: &Kernels) -> TokenStream {
    let name = layout.problem.name.to_string();
    let mut arrays = Vec::new();
    let mut checks = TokenStream::new();
    let mut contiguous = TokenStream::new();
    for l in &layout.leaves {
        let (label, place) = (&l.leaf.label, &l.leaf.place);
        let variable = ident(&l.variable);
        if l.dims.is_empty() {
            if l.role == Role::Data && l.elem.is_float() {
                let number = l.leaf.number();
                checks.extend(quote!(rt::check_finite(#label, &[#number])?;));
            }
            continue;
        }
        let numbers = l.dims.iter().map(|&n| proc_macro2::Literal::usize_unsuffixed(n));
        arrays.push(quote!((#label, #place.shape(), &[#(#numbers),*])));
        checks.extend(quote!(rt::check_nonempty(#label, #place.shape())?;));
        if l.role == Role::Data {
            let array = l.leaf.array();
            // A view in the struct is copied out: what is borrowed through `self` would not live long enough.
            let is_view = |v: &Variable| matches!(v.param.form, Form::Array { view: true, .. }) && v.param.name == l.leaf.label;
            contiguous.extend(if layout.problem.data.iter().any(is_view) {
                quote!(let #variable = rt::view_elements(#place);)
            } else {
                quote!(let #variable = rt::elements(#array);)
            });
            if l.elem.is_float() {
                contiguous.extend(quote!(rt::check_finite(#label, &#variable)?;));
            }
        }
    }
    let dims: Vec<&Ident> = layout.dims.iter().map(|(name, _)| name).collect();
    let known = known_lengths(layout);
    let unify = (!arrays.is_empty()).then(|| quote!(let [#(#dims),*] = rt::dims(#name, #known, &[#(#arrays),*])?;));
    let positions = position_checks(layout);
    let fields = data_arrays(layout).map(|l| ident(&l.variable));
    let buffers = &kernels.initial;
    let uses = |role: Role| layout.leaves.iter().any(|l| l.role == role && !l.dims.is_empty());
    let inner = if uses(Role::Inner) { quote!(inner) } else { quote!(_) };
    let outer = if uses(Role::Outer) { quote!(outer) } else { quote!(_) };
    quote! {
        fn workspace(&self, #inner: &Self::Inner, #outer: &Self::Outer) -> Result<Self::Workspace, rt::Error> {
            #unify
            #checks
            #contiguous
            #positions
            Ok(Workspace { dims: Dims { #(#dims),* }, #(#fields,)* #(#buffers,)* })
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

/// A check for every array or number of the data that gives positions along an axis.
fn position_checks(layout: &Layout) -> TokenStream {
    let mut checks = TokenStream::new();
    let mut seen = HashSet::new();
    let mut seen_turns = HashSet::new();
    let losses = [(&layout.problem.inner.func, &layout.inner_dims, true), (&layout.problem.outer.func, &layout.outer_dims, false)];
    for (func, dims, is_inner) in losses {
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
            let leaf = layout
                .leaves
                .iter()
                .position(|l| l.role == Role::Data && at.is_some() && (if is_inner { l.in_inner } else { l.in_outer }) == at);
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
    let (label, place) = (&l.leaf.label, &l.leaf.place);
    let at = proc_macro2::Literal::usize_unsuffixed(l.dims.iter().position(|&n| n == axis)?);
    let name = layout.problem.name.to_string();
    Some(quote!(rt::check_turns(#name, #label, #place.shape(), #at, #turns)?;))
}

/// Every value that is used as a position, with the dimension of the axis.
fn positions(func: &Func, body: &Body) -> Vec<(ValueId, Dim)> {
    let mut found = Vec::new();
    body.walk(&mut |stmt| {
        if let Op::Index(index) = &stmt.op {
            found.push(match index {
                Index::At { axis } | Index::AddAt { axis } | Index::TakeAlong { axis } => (stmt.args[1], func.ty(stmt.args[0]).dims[*axis]),
                Index::PutAlong { dim, .. } => (stmt.args[1], *dim),
            });
        }
    });
    found
}

/// The value whose elements a value consists of.
fn data_behind(definitions: &[Option<&Stmt>], mut value: ValueId) -> ValueId {
    while let Some(Stmt {
        op:
            Op::Shape(Shape::Broadcast { .. } | Shape::Permute { .. } | Shape::Reshape { .. })
            | Op::Index(Index::At { .. } | Index::TakeAlong { .. }),
        args,
        ..
    }) = definitions[value.0 as usize]
    {
        value = args[0];
    }
    value
}

/// Brings the parameters and dimensions of both losses together.
fn layout(problem: &ProblemIr) -> Layout<'_> {
    let crate_path_rt = quote!(rt);
    let (inner, outer) = (&problem.inner.func, &problem.outer.func);
    let mut leaves = Vec::new();
    // The dimensions of each leaf's axes in the two losses.
    let mut axes: Vec<[Vec<Dim>; 2]> = Vec::new();
    let groups = [(Role::Inner, &problem.inner_variables), (Role::Outer, &problem.outer_variables), (Role::Data, &problem.data)];
    for (role, variables) in groups {
        for (k, v) in variables.iter().enumerate() {
            for (offset, leaf) in variable_leaves(role, variables.len(), k, v).into_iter().enumerate() {
                let (in_inner, in_outer) = (v.in_inner.map(|at| at + offset), v.in_outer.map(|at| at + offset));
                let dims_in = |func: &Func, at: Option<usize>| at.map_or_else(Vec::new, |at| func.ty(func.params()[at]).dims.clone());
                axes.push([dims_in(inner, in_inner), dims_in(outer, in_outer)]);
                let elem = v.param.form.leaves()[offset].0;
                leaves.push(ProblemLeaf { role, variable: leaf.variable(), elem, dims: Vec::new(), leaf, in_inner, in_outer });
            }
        }
    }
    let mut classes = Classes::default();
    for axes in &axes {
        for k in 0..axes[0].len().max(axes[1].len()) {
            let keys: Vec<(usize, Dim)> = (0..2).filter_map(|loss| axes[loss].get(k).map(|&d| (loss, d))).collect();
            classes.join(&keys);
        }
    }
    let mut names = Names::reserving(&super::kernels::RESERVED);
    for leaf in &mut leaves {
        leaf.variable = names.unique(&leaf.variable).to_string();
    }
    let mut layout = Layout { problem, rt: crate_path_rt, leaves, dims: Vec::new(), inner_dims: Vec::new(), outer_dims: Vec::new() };
    // Classes get their numbers in the order of the leaves' axes.
    let mut numbers: Vec<Option<usize>> = vec![None; classes.members.len()];
    for (leaf, axes) in layout.leaves.iter_mut().zip(&axes) {
        let loss = usize::from(axes[0].is_empty());
        for &dim in &axes[loss] {
            let class = classes.of((loss, dim));
            let number = *numbers[class].get_or_insert_with(|| {
                layout.dims.push((names.unique(&classes.name(class, [inner, outer])), classes.known(class)));
                layout.dims.len() - 1
            });
            leaf.dims.push(number);
        }
    }
    for (class, number) in numbers.iter().enumerate() {
        for &(loss, dim) in &classes.members[class] {
            if let (Dim::Sym(id), Some(number)) = (dim, number) {
                let dims = if loss == 0 { &mut layout.inner_dims } else { &mut layout.outer_dims };
                dims.push((id, *number));
            }
        }
    }
    layout
}

/// The leaves of one variable or field, as `workspace` reaches them.
fn variable_leaves(role: Role, n_variables: usize, k: usize, v: &Variable) -> Vec<Leaf> {
    let name = &v.param.name;
    let index = syn::Index::from(k);
    let (place, by_ref) = match role {
        Role::Inner if n_variables == 1 => (quote!(inner), true),
        Role::Inner => (quote!(inner.#index), false),
        Role::Outer if n_variables == 1 => (quote!(outer), true),
        Role::Outer => (quote!(outer.#index), false),
        Role::Data => (quote!(self.#name), matches!(v.param.form, Form::Array { view: false, .. })),
    };
    leaves(&v.param.form, &name.to_string(), &place, by_ref)
}

/// Dimensions of both losses that denote one length. A dimension is named by the number of its loss and itself.
#[derive(Default)]
struct Classes {
    members: Vec<Vec<(usize, Dim)>>,
}

impl Classes {
    /// Puts dimensions into one class, joining the classes in which they are.
    fn join(&mut self, keys: &[(usize, Dim)]) {
        let mut joined: Vec<(usize, Dim)> = Vec::new();
        let mut first = None;
        for k in (0..self.members.len()).rev() {
            if keys.iter().any(|key| self.members[k].contains(key)) {
                joined.splice(0..0, std::mem::take(&mut self.members[k]));
                first = Some(k);
            }
        }
        for &key in keys {
            if !joined.contains(&key) {
                joined.push(key);
            }
        }
        match first {
            Some(k) => self.members[k] = joined,
            None => self.members.push(joined),
        }
    }

    fn of(&self, key: (usize, Dim)) -> usize {
        self.members.iter().position(|m| m.contains(&key)).expect("every axis was joined")
    }

    /// The name that a loss gives the dimension.
    fn name(&self, class: usize, losses: [&Func; 2]) -> String {
        let symbol = self.members[class].iter().find_map(|&(loss, dim)| match dim {
            Dim::Sym(id) => Some(losses[loss].dim_name(id).to_owned()),
            Dim::Const(_) => None,
        });
        symbol.unwrap_or_else(|| "length".to_owned())
    }

    fn known(&self, class: usize) -> Option<u64> {
        self.members[class].iter().find_map(|&(_, dim)| match dim {
            Dim::Const(n) => Some(n),
            Dim::Sym(_) => None,
        })
    }
}
