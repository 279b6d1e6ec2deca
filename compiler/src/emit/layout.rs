//! What the functions of a problem say of its parameters and dimensions, brought together.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::forms::{Leaf, leaves};
use super::names::Names;
use crate::ir::{Dim, DimId, Elem};
use crate::syntax::form::Form;
use crate::syntax::problem::{StepIr, Variable};
use crate::syntax::{Lowered, ProblemIr};

/// Names of the kernels' own variables.
pub(super) const RESERVED: [&str; 20] = [
    "buffers",
    "workspace",
    "residuals",
    "inner",
    "outer",
    "state",
    "index",
    "inner_bar",
    "outer_bar",
    "state_bar",
    "inner_dot",
    "outer_dot",
    "state_dot",
    "next_inner",
    "next_state",
    "next_inner_bar",
    "next_state_bar",
    "direction",
    "hessian_product",
    "rest",
];

/// Brings the parameters and dimensions of the functions together.
pub(super) fn layout(problem: &ProblemIr) -> Layout<'_> {
    let crate_path_rt = quote!(rt);
    let mut lengths = Lengths::default();
    let mut leaves = Vec::new();
    // The dimensions of each leaf's axes.
    let mut axes: Vec<Vec<(Place, Dim)>> = Vec::new();
    for (role, variables) in groups(problem) {
        for (k, v) in variables.iter().enumerate() {
            let first_result = problem.step.as_ref().and_then(|step| first_result(step, v));
            let mut n_floats = 0;
            for (offset, leaf) in variable_leaves(role, variables.len(), k, v).into_iter().enumerate() {
                if role != Role::Data && !leaf.elem.is_float() {
                    // It comes along with the variable; no function reads it.
                    continue;
                }
                let positions = [v.in_inner, v.in_outer, v.in_step].map(|first| first.map(|at| at + offset));
                let result = first_result.map(|first| first + n_floats);
                n_floats += 1;
                let sampled = problem.sampled.contains(&v.param.name);
                axes.push(lengths.of_leaf(problem, &leaf, v.param.form.leaves()[offset].1, positions, result));
                leaves.push(ProblemLeaf {
                    role,
                    variable: leaf.variable(),
                    elem: leaf.elem,
                    dims: Vec::new(),
                    leaf,
                    positions,
                    result,
                    sampled,
                });
            }
        }
    }
    if let Some(at) = problem.step.as_ref().and_then(|step| step.roles.index) {
        let leaf = variable_leaf_of_index();
        let positions = [None, None, Some(at)];
        axes.push(Vec::new());
        leaves.push(ProblemLeaf {
            role: Role::Index,
            variable: leaf.variable(),
            elem: leaf.elem,
            dims: Vec::new(),
            leaf,
            positions,
            result: None,
            sampled: false,
        });
    }
    // Sampled data have their rows in common.
    let rows = leaves.iter().zip(&axes).filter(|(leaf, _)| leaf.sampled).filter_map(|(_, axes)| axes.first().copied());
    lengths.classes.join(&rows.collect::<Vec<_>>());
    let mut names = Names::reserving(&RESERVED);
    for leaf in &mut leaves {
        leaf.variable = names.unique(&leaf.variable).to_string();
    }
    let mut layout = Layout { problem, rt: crate_path_rt, leaves, dims: Vec::new(), dims_of: Default::default() };
    // Classes get their numbers in the order of the leaves' axes.
    let mut numbers: Vec<Option<usize>> = vec![None; lengths.classes.members.len()];
    for (leaf, axes) in layout.leaves.iter_mut().zip(&axes) {
        for &key in axes {
            let class = lengths.classes.of(key);
            let number = *numbers[class].get_or_insert_with(|| {
                layout.dims.push((names.unique(&lengths.name(class, problem)), lengths.classes.known(class)));
                layout.dims.len() - 1
            });
            leaf.dims.push(number);
        }
    }
    for (class, number) in numbers.iter().enumerate() {
        for &(place, dim) in &lengths.classes.members[class] {
            if let (Place::In(function), Dim::Sym(id), Some(number)) = (place, dim, number) {
                layout.dims_of[function as usize].push((id, *number));
            }
        }
    }
    layout
}

/// The variables and data with their roles.
fn groups(problem: &ProblemIr) -> Vec<(Role, &[Variable])> {
    let state = problem.step.as_ref().map_or(&[][..], |step| &step.roles.state[..]);
    let variables = [(Role::Inner, &problem.inner_variables[..]), (Role::Outer, &problem.outer_variables), (Role::Data, &problem.data)];
    variables.into_iter().chain([(Role::State, state)]).collect()
}

/// The position of what a step gives for a variable among its results.
fn first_result(step: &StepIr, v: &Variable) -> Option<usize> {
    let before = step.roles.results.iter().position(|name| *name == v.param.name)?;
    let n_floats = |name: &Ident| {
        let (_, param) = step.lowered.signature.param(&name.to_string()).expect("a result has the name of a parameter");
        param.form.leaves().iter().filter(|(elem, _)| elem.is_float()).count()
    };
    Some(step.roles.results[..before].iter().map(n_floats).sum())
}

/// A function of a problem.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Function {
    Inner,
    Outer,
    Step,
}

impl Function {
    /// The function as it was lowered, where the problem has it.
    pub(super) fn lowered(self, problem: &ProblemIr) -> Option<&Lowered> {
        match self {
            Function::Inner => Some(&problem.inner),
            Function::Outer => Some(&problem.outer),
            Function::Step => problem.step.as_ref().map(|step| &step.lowered),
        }
    }

    /// Where a leaf stands among the parameters of the function.
    pub(super) fn position(self, leaf: &ProblemLeaf) -> Option<usize> {
        leaf.positions[self as usize]
    }

    /// Where the leaves of some roles stand, ascending.
    pub(super) fn positions(self, layout: &Layout, roles: &[Role]) -> Vec<usize> {
        let leaves = layout.leaves.iter().filter(|l| roles.contains(&l.role));
        let mut positions: Vec<usize> = leaves.filter_map(|l| self.position(l)).collect();
        positions.sort_unstable();
        positions
    }
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
    /// Part of the state of the optimiser.
    State,
    /// The index of the step.
    Index,
}

/// A leaf of a variable or of the data, with what the functions say of it.
pub(super) struct ProblemLeaf {
    pub(super) role: Role,
    /// Its name, as a variable.
    pub(super) variable: String,
    pub(super) elem: Elem,
    /// The number of the dimension of each axis.
    pub(super) dims: Vec<usize>,
    /// How the user's value is reached, in `workspace`.
    pub(super) leaf: Leaf,
    /// Its position among the parameters of each [`Function`].
    positions: [Option<usize>; 3],
    /// The position of what the next step takes for it among the results of the step.
    pub(super) result: Option<usize>,
    /// Whether steps of the inner optimiser see some of its rows only.
    pub(super) sampled: bool,
}

/// A problem's parameters and dimensions.
pub(super) struct Layout<'p> {
    pub(super) problem: &'p ProblemIr,
    pub(super) rt: TokenStream,
    pub(super) leaves: Vec<ProblemLeaf>,
    /// The variable of each dimension, and its length if it is known.
    pub(super) dims: Vec<(Ident, Option<u64>)>,
    /// The number of each dimension of the parameters of each [`Function`].
    dims_of: [Vec<(DimId, usize)>; 3],
}

impl Layout<'_> {
    /// The number of each dimension of the parameters of a function.
    pub(super) fn dims_of(&self, function: Function) -> &[(DimId, usize)] {
        &self.dims_of[function as usize]
    }

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
        // Kernels only see their elements.
        Role::State | Role::Index => (quote!(#name), true),
    };
    leaves(&v.param.form, &name.to_string(), &place, by_ref)
}

/// The index of the step.
fn variable_leaf_of_index() -> Leaf {
    let index = leaves(&Form::Scalar(Elem::Usize), "t", &quote!(index), false);
    index.into_iter().next().expect("a number is a leaf")
}

/// Where a dimension comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// A parameter or result of a function.
    In(Function),
    /// A variable that no function takes.
    OfItsOwn,
}

/// The dimensions of the axes of all leaves.
#[derive(Default)]
struct Lengths {
    classes: Classes,
    /// The names of the dimensions that are in no function.
    own: Vec<String>,
}

impl Lengths {
    /// One dimension for each axis of a leaf, joined with all that are the same length: those of what the step gives back for it, too.
    fn of_leaf(
        &mut self,
        problem: &ProblemIr,
        leaf: &Leaf,
        rank: usize,
        positions: [Option<usize>; 3],
        result: Option<usize>,
    ) -> Vec<(Place, Dim)> {
        let mut axes = Vec::new();
        for axis in 0..rank {
            let mut keys = Vec::new();
            for function in [Function::Inner, Function::Outer, Function::Step] {
                let (Some(at), Some(lowered)) = (positions[function as usize], function.lowered(problem)) else { continue };
                let func = &lowered.func;
                keys.push((Place::In(function), func.ty(func.params()[at]).dims[axis]));
                if let (Function::Step, Some(result)) = (function, result) {
                    keys.push((Place::In(function), func.ty(func.results()[result]).dims[axis]));
                }
            }
            if keys.is_empty() {
                keys.push((Place::OfItsOwn, Dim::Sym(DimId(self.own.len() as u32))));
                self.own.push(if rank == 1 { format!("{}_len", leaf.variable()) } else { format!("{}_dim{axis}", leaf.variable()) });
            }
            self.classes.join(&keys);
            axes.push(keys[0]);
        }
        axes
    }

    /// The name that a function gives the dimension.
    fn name(&self, class: usize, problem: &ProblemIr) -> String {
        let symbol = self.classes.members[class].iter().find_map(|&(place, dim)| match (place, dim) {
            (Place::In(function), Dim::Sym(id)) => function.lowered(problem).map(|lowered| lowered.func.dim_name(id).to_owned()),
            (Place::OfItsOwn, Dim::Sym(DimId(k))) => Some(self.own[k as usize].clone()),
            (Place::In(_) | Place::OfItsOwn, Dim::Const(_)) => None,
        });
        symbol.unwrap_or_else(|| "length".to_owned())
    }
}

/// Dimensions that denote one length. A dimension is named by its place and itself.
#[derive(Default)]
struct Classes {
    members: Vec<Vec<(Place, Dim)>>,
}

impl Classes {
    /// Puts dimensions into one class, joining the classes in which they are.
    fn join(&mut self, keys: &[(Place, Dim)]) {
        let mut joined: Vec<(Place, Dim)> = Vec::new();
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

    fn of(&self, key: (Place, Dim)) -> usize {
        self.members.iter().position(|m| m.contains(&key)).expect("every axis was joined")
    }

    fn known(&self, class: usize) -> Option<u64> {
        self.members[class].iter().find_map(|&(_, dim)| match dim {
            Dim::Const(n) => Some(n),
            Dim::Sym(_) => None,
        })
    }
}
