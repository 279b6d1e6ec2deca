//! What both losses of a problem say of its parameters and dimensions, brought together.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::forms::{Leaf, leaves};
use super::names::Names;
use crate::ir::{Dim, DimId, Elem, Func};
use crate::syntax::ProblemIr;
use crate::syntax::form::Form;
use crate::syntax::problem::Variable;

/// Names of the kernels' own variables.
pub(super) const RESERVED: [&str; 11] =
    ["buffers", "workspace", "residuals", "inner", "outer", "inner_bar", "outer_bar", "direction", "hessian_product", "mixed", "rest"];

/// Brings the parameters and dimensions of both losses together.
pub(super) fn layout(problem: &ProblemIr) -> Layout<'_> {
    let crate_path_rt = quote!(rt);
    let (inner, outer) = (&problem.inner.func, &problem.outer.func);
    let mut leaves = Vec::new();
    // The dimensions of each leaf's axes in the two losses.
    let mut axes: Vec<[Vec<Dim>; 2]> = Vec::new();
    let groups = [(Role::Inner, &problem.inner_variables), (Role::Outer, &problem.outer_variables), (Role::Data, &problem.data)];
    for (role, variables) in groups {
        for (k, v) in variables.iter().enumerate() {
            for (offset, leaf) in variable_leaves(role, variables.len(), k, v).into_iter().enumerate() {
                if role != Role::Data && !leaf.elem.is_float() {
                    // It comes along with the variable; no loss reads it.
                    continue;
                }
                let (in_inner, in_outer) = (v.in_inner.map(|at| at + offset), v.in_outer.map(|at| at + offset));
                let dims_in = |func: &Func, at: Option<usize>| at.map_or_else(Vec::new, |at| func.ty(func.params()[at]).dims.clone());
                axes.push([dims_in(inner, in_inner), dims_in(outer, in_outer)]);
                leaves.push(ProblemLeaf { role, variable: leaf.variable(), elem: leaf.elem, dims: Vec::new(), leaf, in_inner, in_outer });
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
    let mut names = Names::reserving(&RESERVED);
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
impl Layout<'_> {
    /// The leaves of a role.
    pub(super) fn of(&self, role: Role) -> impl Iterator<Item = &ProblemLeaf> {
        self.leaves.iter().filter(move |l| l.role == role)
    }
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
