//! The roles of a problem: which function of a module is the inner loss, which the outer, which the step of the inner optimiser, and what each parameter is.

use proc_macro2::Ident;

use super::attributes::{OptimizerVariable, RoleArgs, parse_role, refuse_step_arguments};
use super::configuration::Configuration;
use super::form::{Form, parse_form};
use super::rule::rule_of;
use super::signature::{Lowered, Param, Signature};
use super::source_text;
use super::step::{StepRoles, assign_step_roles};
use super::structs::TypeNames;
use crate::diagnostics::{Diagnostics, messages};
use crate::ir::{Elem, Func};

/// A module of the user's, taken apart.
#[derive(Clone, Debug)]
pub struct Module {
    /// The module as it is given back to the user: the same items without the attributes of this crate.
    pub item: syn::ItemMod,
    /// The inner loss and the names that it is minimized over.
    pub inner: Option<Loss>,
    /// The outer loss and the names that it is minimized over.
    pub outer: Option<Loss>,
    /// The step of the inner optimiser, without the attribute, where the user writes it.
    pub step: Option<syn::ItemFn>,
}

/// A loss.
#[derive(Clone, Debug)]
pub struct Loss {
    /// The function, without the attribute.
    pub item: syn::ItemFn,
    /// The variables that it is minimized over.
    pub minimize: Vec<Ident>,
    /// Further outer variables, which no function takes.
    pub optimizer: Vec<OptimizerVariable>,
    /// The data of which a step of the inner optimiser sees some rows.
    pub sample: Vec<Ident>,
    /// Whether it is no loss, but a map of these variables, whose fixed point is sought.
    pub is_fixed_point: bool,
}

/// A problem after lowering: all that is needed to generate its `Problem` struct and kernels.
#[derive(Clone, Debug)]
pub struct ProblemIr {
    /// The module's name.
    pub name: Ident,
    /// The inner loss; for a fixed point half the square of its residual.
    pub inner: Lowered,
    /// For a fixed point `½‖F‖²` and the residual `F`, an array for each float leaf of the inner variables in the order of the parameters.
    pub residual: Option<Func>,
    /// Whether the Jacobian of the inner condition is certainly symmetric.
    pub has_symmetric_hessian: bool,
    /// The outer loss.
    pub outer: Lowered,
    /// What the inner loss is minimized over, in the order of the attribute.
    pub inner_variables: Vec<Variable>,
    /// What the outer loss is minimized over, in the order of the attribute.
    pub outer_variables: Vec<Variable>,
    /// Everything else, in the order of first occurrence, the inner function's first and the step's last: the fields of `Problem`.
    pub data: Vec<Variable>,
    /// The step of the inner optimiser, where the user writes it.
    pub step: Option<StepIr>,
    /// Whether every outer variable reaches a loss, and none the optimiser only.
    pub losses_read_outer: bool,
    /// Those of the data of which a step of the inner optimiser sees some rows, where they are named.
    pub sampled: Vec<Ident>,
    /// The float type of the losses and variables.
    pub float: Elem,
    /// The method and the inner solver that the attribute chooses.
    pub configuration: Option<Configuration>,
    /// Where generated code finds this crate.
    pub crate_path: syn::Path,
}

/// The step of the inner optimiser after lowering.
#[derive(Clone, Debug)]
pub struct StepIr {
    /// The step. Gradients of functions in it are single operations, and its results are the floats of its result.
    pub lowered: Lowered,
    /// What its parameters are.
    pub roles: StepRoles,
}

/// A variable or data of a problem.
#[derive(Clone, Debug)]
pub struct Variable {
    /// The parameter where it occurs first.
    pub param: Param,
    /// The position of its first leaf among the leaves of the inner function's parameters.
    pub in_inner: Option<usize>,
    /// The position of its first leaf among the leaves of the outer function's parameters.
    pub in_outer: Option<usize>,
    /// The position of its first leaf among the leaves of the step's parameters.
    pub in_step: Option<usize>,
}

impl Variable {
    /// Whether the optimiser only can read it.
    pub fn is_in_no_loss(&self) -> bool {
        self.in_inner.is_none() && self.in_outer.is_none()
    }
}

pub(super) const ROLES: [&str; 3] = ["inner", "outer", "step"];

/// The position of the step among the roles.
const STEP: usize = 2;

/// The functions with roles that have been found so far.
#[derive(Default)]
struct Found {
    losses: [Option<Loss>; STEP],
    step: Option<syn::ItemFn>,
}

/// The role of a map whose fixed point is in the place of the minimum of an inner loss.
pub(super) const FIXED_POINT: &str = "fixed_point";

/// Finds the functions with roles among the items of a module and strips the attributes.
pub fn parse_module(mut item: syn::ItemMod, diags: &mut Diagnostics) -> Module {
    let mut found = Found::default();
    for inner in item.content.iter_mut().flat_map(|(_, items)| items) {
        match inner {
            syn::Item::Fn(f) => take_roles(f, &mut found, diags),
            other => {
                if let Some((attr, kind)) = role_attribute_of(other) {
                    let path = source_text(attr.path());
                    diags.error(&attr, messages::ATTRIBUTE_ON_WRONG_ITEM, &[&path, "a function", kind]);
                    strip_role_attributes(other);
                }
            }
        }
    }
    if item.content.is_none() {
        diags.error(&item.ident, messages::MODULE_WITHOUT_BODY, &[&item.ident.to_string()]);
    } else {
        for (role, loss) in ROLES.iter().zip(&found.losses) {
            if loss.is_none() {
                diags.error(&item.ident, messages::ROLE_MISSING, &[&item.ident.to_string(), role]);
            }
        }
    }
    let Found { losses: [inner, outer], step } = found;
    Module { item, inner, outer, step }
}

fn role_of(attr: &syn::Attribute) -> Option<usize> {
    let name = attr.path().segments.last()?.ident.to_string();
    ROLES.iter().position(|r| *r == name).or((name == FIXED_POINT).then_some(0))
}

/// Strips the role attributes of a function and enters it where it has a role.
fn take_roles(f: &mut syn::ItemFn, found: &mut Found, diags: &mut Diagnostics) {
    let (mine, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut f.attrs).into_iter().partition(|a| role_of(a).is_some());
    f.attrs = rest;
    if let Some(at) = f.attrs.iter().position(|a| a.path().segments.last().is_some_and(|s| s.ident == "differentiable")) {
        let attr = f.attrs.remove(at);
        diags.error(&attr, messages::NESTED_ATTRIBUTE, &[]);
    }
    // The rules are read with the other items of the module, and nothing that is generated calls them.
    for attr in f.attrs.iter_mut().filter(|attr| rule_of(attr).is_some()) {
        *attr = syn::parse_quote!(#[allow(dead_code)]);
    }
    if mine.len() > 1 {
        diags.error(&mine[1], messages::ONE_FUNCTION_BOTH_ROLES, &[&f.sig.ident.to_string()]);
    }
    let Some(attr) = mine.first() else { return };
    let Some(role) = role_of(attr) else { return };
    let twice = match role {
        STEP => found.step.is_some(),
        _ => found.losses[role].is_some(),
    };
    if twice {
        diags.error(attr, messages::ROLE_TWICE, &[ROLES[role], &f.sig.ident.to_string()]);
    }
    if role == STEP {
        refuse_step_arguments(attr, diags);
        found.step.get_or_insert_with(|| f.clone());
        return;
    }
    let example = f.sig.inputs.iter().find_map(|input| match input {
        syn::FnArg::Typed(t) => match &*t.pat {
            syn::Pat::Ident(p) => Some(p.ident.to_string()),
            _ => None,
        },
        syn::FnArg::Receiver(_) => None,
    });
    let is_fixed_point = attr.path().segments.last().is_some_and(|s| s.ident == FIXED_POINT);
    let RoleArgs { minimize, optimizer, sample } =
        parse_role(attr, if is_fixed_point { FIXED_POINT } else { ROLES[role] }, example.as_deref().unwrap_or("w"), diags);
    found.losses[role].get_or_insert_with(|| Loss { item: f.clone(), minimize, optimizer, sample, is_fixed_point });
}

/// The role attribute on an item that is not a function, and what the item is.
fn role_attribute_of(item: &syn::Item) -> Option<(syn::Attribute, &'static str)> {
    let (attrs, kind) = attrs_of(item)?;
    attrs.iter().find(|a| role_of(a).is_some()).map(|a| (a.clone(), kind))
}

fn attrs_of(item: &syn::Item) -> Option<(&Vec<syn::Attribute>, &'static str)> {
    match item {
        syn::Item::Struct(i) => Some((&i.attrs, "a struct")),
        syn::Item::Mod(i) => Some((&i.attrs, "a module")),
        syn::Item::Const(i) => Some((&i.attrs, "a constant")),
        syn::Item::Static(i) => Some((&i.attrs, "a static")),
        syn::Item::Impl(i) => Some((&i.attrs, "an `impl`")),
        syn::Item::Trait(i) => Some((&i.attrs, "a trait")),
        syn::Item::Use(i) => Some((&i.attrs, "a `use`")),
        _ => None,
    }
}

fn strip_role_attributes(item: &mut syn::Item) {
    let attrs = match item {
        syn::Item::Struct(i) => &mut i.attrs,
        syn::Item::Mod(i) => &mut i.attrs,
        syn::Item::Const(i) => &mut i.attrs,
        syn::Item::Static(i) => &mut i.attrs,
        syn::Item::Impl(i) => &mut i.attrs,
        syn::Item::Trait(i) => &mut i.attrs,
        syn::Item::Use(i) => &mut i.attrs,
        _ => return,
    };
    attrs.retain(|a| role_of(a).is_none());
}

/// The variables and data of a problem, from the signatures of its functions; with an error for everything that does not fit.
#[derive(Clone, Debug)]
pub struct Roles {
    /// The inner variables.
    pub inner: Vec<Variable>,
    /// The outer variables.
    pub outer: Vec<Variable>,
    /// Everything else.
    pub data: Vec<Variable>,
    /// What the parameters of the step are.
    pub step: Option<StepRoles>,
    /// The float type of the losses and variables.
    pub float: Elem,
}

/// Gives every parameter of the functions its role.
pub fn assign_roles(
    inner_loss: (&Loss, &Signature),
    outer_loss: (&Loss, &Signature),
    step: Option<(&syn::ItemFn, &Signature)>,
    names: &TypeNames,
    diags: &mut Diagnostics,
) -> Option<Roles> {
    let before = diags.n_errors();
    let ((inner, inner_sig), (outer, outer_sig)) = (inner_loss, outer_loss);
    let step_sig = step.map(|(_, signature)| signature);
    if let Some((item, _)) = step {
        refuse_generics("step", item, diags);
    }
    for (role, sig, item) in [("inner", inner_sig, &inner.item), ("outer", outer_sig, &outer.item)] {
        refuse_generics(&format!("{role} loss"), item, diags);
        let is_map = role == "inner" && inner.is_fixed_point;
        if !is_map && !matches!(&sig.output, Form::Scalar(elem) if elem.is_float()) {
            diags.error(&item.sig.output, messages::LOSS_NOT_SCALAR, &[role, &sig.output.to_string()]);
        }
    }
    refuse_other_types(outer_sig, &[inner_sig], diags);
    if let Some(step_sig) = step_sig {
        refuse_other_types(step_sig, &[inner_sig, outer_sig], diags);
    }
    let variable = |name: &str| -> Option<Variable> {
        let (a, b, c) = (inner_sig.param(name), outer_sig.param(name), step_sig.and_then(|sig| sig.param(name)));
        let (_, param) = a.or(b).or(c)?;
        let at = |found: Option<(usize, &Param)>| found.map(|(at, _)| at);
        Some(Variable { param: param.clone(), in_inner: at(a), in_outer: at(b), in_step: at(c) })
    };
    let inner_fn = inner_sig.name.to_string();
    let outer_fn = outer_sig.name.to_string();
    let mut inner_variables = Vec::new();
    for name in &inner.minimize {
        match variable(&name.to_string()) {
            Some(v) if v.in_inner.is_some() => {
                check_variable("inner", &v, diags);
                inner_variables.push(v);
            }
            _ => {
                let text = name.to_string();
                diags.error(name, messages::VARIABLE_NOT_A_PARAMETER, &["inner", &text, &inner_fn, &inner_sig.param_names()]);
            }
        }
    }
    if inner.is_fixed_point && inner_variables.len() == inner.minimize.len() {
        check_map(inner, inner_sig, &inner_variables, diags);
    }
    let mut outer_variables = Vec::new();
    for name in &outer.minimize {
        let text = name.to_string();
        if inner.minimize.contains(name) {
            diags.error(name, messages::BOTH_ROLES, &[&text]);
            continue;
        }
        match variable(&text) {
            Some(v) => {
                if v.in_inner.is_none() && v.in_step.is_none() {
                    diags.error(name, messages::OUTER_NOT_IN_INNER_SIGNATURE, &[&text, &inner_fn]);
                }
                check_variable("outer", &v, diags);
                outer_variables.push(v);
            }
            None => diags.error(name, messages::OUTER_VARIABLE_NOT_A_PARAMETER, &[&text, &inner_fn, &outer_fn]),
        }
    }
    for name in &inner.sample {
        let text = name.to_string();
        let array = variable(&text).filter(|v| v.in_inner.is_some()).map(|v| v.param.form);
        let reason = match array {
            None => format!("it is not a parameter of `{inner_fn}`"),
            Some(_) if inner.minimize.contains(name) || outer.minimize.contains(name) => {
                "it is a variable, and only data are sampled".to_owned()
            }
            Some(Form::Array { rank, .. }) if rank > 0 => continue,
            Some(_) => "it is not an array with rows".to_owned(),
        };
        let arrays = inner_sig.params.iter().filter(|p| {
            matches!(&p.form, Form::Array { rank, .. } if *rank > 0)
                && !inner.minimize.contains(&p.name)
                && !outer.minimize.contains(&p.name)
        });
        let arrays: Vec<String> = arrays.map(|p| format!("`{}`", p.name)).collect();
        let help = if arrays.is_empty() { "leave it out".to_owned() } else { format!("name some of {}", arrays.join(", ")) };
        diags.error(name, messages::SAMPLE, &[&text, &reason, &help]);
    }
    let is_variable = |name: &Ident| inner.minimize.contains(name) || outer.minimize.contains(name);
    for of in &outer.optimizer {
        let taking =
            [Some(inner_sig), Some(outer_sig), step_sig].into_iter().flatten().find(|sig| sig.param(&of.name.to_string()).is_some());
        if let Some(function) = taking {
            diags.error(&of.name, messages::OPTIMIZER_VARIABLE_TAKEN, &[&of.name.to_string(), &function.name.to_string()]);
            continue;
        }
        let Some(form) = parse_form(&of.ty, names, diags) else { continue };
        let param = Param { name: of.name.clone(), ty: of.ty.clone(), by_ref: true, form };
        let v = Variable { param, in_inner: None, in_outer: None, in_step: None };
        check_variable("outer", &v, diags);
        outer_variables.push(v);
    }
    let mut data: Vec<Variable> = Vec::new();
    for param in inner_sig.params.iter().chain(&outer_sig.params) {
        if !is_variable(&param.name) && !data.iter().any(|v| v.param.name == param.name) {
            data.extend(variable(&param.name.to_string()));
        }
    }
    let step = match step {
        Some((item, signature)) if diags.n_errors() == before => {
            let (roles, own_data) = assign_step_roles((item, signature), (&inner_variables, &outer_variables, &data), diags)?;
            data.extend(own_data);
            Some(roles)
        }
        Some(_) | None => None,
    };
    let float = common_float(inner_sig, &inner_variables, &outer_variables, (&outer.item, outer_sig), diags);
    if diags.n_errors() > before {
        return None;
    }
    Some(Roles { inner: inner_variables, outer: outer_variables, data, step, float: float? })
}

/// A problem is for one float type and its own lengths.
fn refuse_generics(what: &str, item: &syn::ItemFn, diags: &mut Diagnostics) {
    for param in item.sig.generics.params.iter().filter(|p| !matches!(p, syn::GenericParam::Lifetime(_))) {
        diags.error(param, messages::GENERIC_LOSS, &[what]);
    }
}

/// One name is one thing in a problem: an error at every parameter that is another thing in the functions before.
fn refuse_other_types(signature: &Signature, before: &[&Signature], diags: &mut Diagnostics) {
    for p in &signature.params {
        let found = before.iter().find_map(|other| other.param(&p.name.to_string()).map(|(_, q)| (other, q)));
        if let Some((other, q)) = found.filter(|(_, q)| q.form != p.form || q.by_ref != p.by_ref) {
            let (here, there) = (source_text(&p.ty), source_text(&q.ty));
            diags.error(&p.ty, messages::SAME_NAME_OTHER_TYPE, &[&p.name.to_string(), &here, &there, &other.name.to_string()]);
        }
    }
}

/// A map gives back what it maps, where the attribute says what that is.
fn check_map(map: &Loss, sig: &Signature, variables: &[Variable], diags: &mut Diagnostics) {
    if variables.is_empty() {
        return;
    }
    let forms: Vec<Form> = variables.iter().map(|v| v.param.form.owned()).collect();
    let expected = match &forms[..] {
        [form] => form.clone(),
        forms => Form::Tuple(forms.to_vec()),
    };
    if sig.output != expected {
        let particulars = [sig.name.to_string(), sig.output.to_string(), expected.to_string()];
        diags.error(&map.item.sig.output, messages::FIXED_POINT_RESULT, &particulars.each_ref().map(String::as_str));
    }
}

/// A variable is made of floats and passed by reference. A struct may have numbers beside them that are no floats, which come along unchanged.
fn check_variable(role: &str, v: &Variable, diags: &mut Diagnostics) {
    let (name, ty) = (v.param.name.to_string(), source_text(&v.param.ty));
    let leaves = v.param.form.leaves();
    let comes_along = |rank: usize| rank == 0 && matches!(v.param.form, Form::Struct(_));
    let fits = v.param.form.is_differentiable() && leaves.iter().all(|&(elem, rank)| elem.is_float() || comes_along(rank));
    let is_view = matches!(v.param.form, Form::Array { view: true, .. });
    if !fits {
        diags.error(&v.param.ty, messages::VARIABLE_NOT_FLOAT, &[role, &name, &ty]);
    } else if !v.param.by_ref || is_view {
        diags.error(&v.param.ty, messages::VARIABLE_BY_VALUE, &[role, &name, &v.param.form.owned().to_string()]);
    }
}

/// The one float type of the losses and all variables.
fn common_float(
    inner_sig: &Signature,
    inner: &[Variable],
    outer: &[Variable],
    (outer_item, outer_sig): (&syn::ItemFn, &Signature),
    diags: &mut Diagnostics,
) -> Option<Elem> {
    let float = inner_sig.output.leaves().iter().map(|&(elem, _)| elem).find(|elem| elem.is_float())?;
    for v in inner.iter().chain(outer) {
        if v.param.form.leaves().iter().any(|&(elem, _)| elem.is_float() && elem != float) {
            let (name, ty) = (v.param.name.to_string(), source_text(&v.param.ty));
            diags.error(&v.param.ty, messages::MIXED_PRECISION, &[&name, &ty, float.name()]);
        }
    }
    if let Some(&(elem, _)) = outer_sig.output.leaves().first()
        && elem.is_float()
        && elem != float
    {
        diags.error(&outer_item.sig.output, messages::MIXED_PRECISION, &[&outer_sig.name.to_string(), elem.name(), float.name()]);
    }
    Some(float)
}
