//! From the tokens under an attribute to what is to be generated: reads, checks and lowers functions and problems.

use std::rc::Rc;

use syn::ext::IdentExt;

use crate::diagnostics::{Diagnostics, messages};
use crate::fit::check_fit;
use crate::ir::{Builder, Call, CallPart, Dim, Func, Note, Opaque, ValueId};
use crate::lower::{depends_on, lower, lower_found, read_rules};
use crate::syntax::attributes::{BilevelArgs, DifferentiableArgs};
use crate::syntax::derivative::DerivativeCall;
use crate::syntax::items::{OpaqueState, path_key};
use crate::syntax::problem::{Loss, Module, Variable, assign_roles, parse_module};
use crate::syntax::requests::check_requests;
use crate::syntax::rule::Rules;
use crate::syntax::signature::{Use, parse_signature};
use crate::syntax::wrt::{Wrt, read_wrt};
use crate::syntax::{Differentiable, Items, Lowered, Place, ProblemIr, Signature, TypeNames, source_text};

/// The function under `#[differentiable(args)]`, which sees `items`; `None` if there was an error or if an item is missing, which is then in `diags`.
pub fn read_function(args: DifferentiableArgs, item: &syn::ItemFn, items: &Items, diags: &mut Diagnostics) -> Option<Differentiable> {
    let signature = parse_signature(item, Use::Differentiated, &TypeNames::new(items, Place::HERE), diags)?;
    let wrt = match &args.wrt {
        Some(places) => read_wrt(places, &signature, diags),
        None => Wrt::all(&signature),
    };
    if wrt.is_empty() && !diags.has_errors() {
        diags.error(&signature.name, messages::NOTHING_TO_DIFFERENTIATE, &[&signature.name.to_string()]);
    }
    let batched = args.batched.iter().filter_map(|name| position(name, &signature, diags)).collect::<Vec<_>>();
    check_requests(&args, &signature, &wrt, &batched, diags);
    let lowered = lower(item, signature, items, diags)?;
    if diags.has_errors() {
        return None;
    }
    let mut batched = batched;
    batched.sort_unstable();
    let requests = args.requests.into_iter().map(|(request, _)| request).collect();
    Some(Differentiable { lowered, wrt, requests, batched, crate_path: args.crate_path.unwrap_or_else(default_crate_path) })
}

fn position(name: &syn::Ident, signature: &Signature, diags: &mut Diagnostics) -> Option<usize> {
    let position = signature.params.iter().position(|p| p.name == *name);
    if position.is_none() {
        diags.error(name, messages::UNKNOWN_WRT, &[&name.to_string(), &signature.name.to_string(), &signature.param_names()]);
    }
    position
}

/// The function in a macro such as `grad!`, and whether it stands in the item that is being expanded; `None` if there was an error or if the function is
/// missing, which is then in `diags`.
pub fn read_derivative(
    call: &DerivativeCall,
    items: &Items,
    crate_path: &syn::Path,
    diags: &mut Diagnostics,
) -> Option<(Differentiable, bool)> {
    let key = path_key(&call.path)?;
    let Some(found) = items.function(Place::HERE, &key) else {
        if !items.has_answer(&key) {
            diags.ask(&call.path);
        }
        return None;
    };
    let signature = parse_signature(found.item, Use::Differentiated, &TypeNames::new(items, found.place), diags)?;
    let wrt: Vec<Option<usize>> = call.wrt.iter().map(|name| wrt_position(name, &signature, diags)).collect();
    let wrt = wrt.into_iter().map(|k| k.map(|k| Wrt::whole(&signature, k))).collect::<Option<Vec<Wrt>>>();
    let lowered = lower_found(found, signature, items, diags)?;
    let wrt = wrt?;
    Some((
        Differentiable { lowered, wrt, requests: Vec::new(), batched: Vec::new(), crate_path: crate_path.clone() },
        found.place.is_here(),
    ))
}

/// The function `of` that rules among the items belong to, as one that calls itself, and the rules; `None` as for [`read_function`].
pub fn read_rule(of: &syn::Ident, items: &Items, crate_path: &syn::Path, diags: &mut Diagnostics) -> Option<(Differentiable, Rc<Rules>)> {
    let found = items.rules(Place::HERE, &of.unraw().to_string())?;
    let OpaqueState::Ready(opaque, rules) = read_rules(found, items, diags, of) else { return None };
    let signature = rules.signature()?;
    let wrt = Wrt::all(&signature);
    if wrt.is_empty() {
        diags.error(of, messages::NOTHING_TO_DIFFERENTIATE, &[&of.to_string()]);
        return None;
    }
    let func = call_of(&opaque, &signature);
    let lowered = Lowered { func, signature, assumed: Vec::new() };
    let function = Differentiable { lowered, wrt, requests: Vec::new(), batched: Vec::new(), crate_path: crate_path.clone() };
    Some((function, rules))
}

/// The function that consists of one call.
fn call_of(opaque: &Rc<Opaque>, signature: &Signature) -> Func {
    let mut b = Builder::new(&*opaque.name);
    let mut dims: Vec<(Dim, Dim)> = Vec::new();
    let mut params = Vec::new();
    for (ty, param) in opaque.params.iter().zip(&signature.params) {
        let name = param.name.unraw().to_string();
        let mut own = Vec::new();
        for (axis, &d) in ty.dims.iter().enumerate() {
            let known = dims.iter().find(|(from, _)| *from == d).map(|(_, to)| *to);
            own.push(match (d, known) {
                (Dim::Const(_), _) => d,
                (_, Some(known)) => known,
                (_, None) => {
                    let new = Dim::Sym(b.dim(&format!("{name}_dim{axis}")));
                    dims.push((d, new));
                    new
                }
            });
        }
        params.push(b.param(ty.with_dims(own), Note { span: param.name.span(), ..Note::named(&name) }));
    }
    b.set_default_note(Note::of_source(&format!("{}(..)", opaque.name), signature.name.span()));
    let results = b.stmt(Call { function: opaque.clone(), part: CallPart::Value }, &params, Vec::new());
    b.finish(results)
}

fn wrt_position(name: &syn::Ident, signature: &Signature, diags: &mut Diagnostics) -> Option<usize> {
    let position = position(name, signature, diags)?;
    let param = &signature.params[position];
    if !param.form.is_differentiable() {
        diags.error(name, messages::WRT_NOT_FLOAT, &[&name.to_string(), &source_text(&param.ty)]);
        return None;
    }
    Some(position)
}

/// The problem under `#[bilevel(args)]`, whose functions see `items`: the module as it is given back to the user, and what is to be generated; `None` if
/// there was an error or if an item is missing, which is then in `diags`.
pub fn read_problem(args: BilevelArgs, item: syn::ItemMod, items: &Items, diags: &mut Diagnostics) -> (syn::ItemMod, Option<ProblemIr>) {
    let before = diags.n_errors();
    let module = parse_module(item, diags);
    // The losses are lowered whatever the errors in the attributes, so that all errors appear together.
    let mut problem = lower_problem(&module, args.crate_path.unwrap_or_else(default_crate_path), items, diags);
    if let (Some(problem), Some(configuration)) = (&mut problem, args.configuration) {
        check_fit(&configuration, problem, diags);
        problem.configuration = Some(configuration);
    }
    (module.item, problem.filter(|_| diags.n_errors() == before))
}

fn lower_problem(module: &Module, crate_path: syn::Path, items: &Items, diags: &mut Diagnostics) -> Option<ProblemIr> {
    let before = diags.n_errors();
    let names = TypeNames::new(items, Place::HERE);
    // Both losses are read and lowered whatever the errors in the other, so that all errors appear together.
    let signature = |loss: &Option<Loss>, diags: &mut Diagnostics| {
        loss.as_ref()
            .and_then(|loss| parse_signature(&loss.item, Use::Differentiated, &names, diags).map(|signature| (loss.clone(), signature)))
    };
    let inner = signature(&module.inner, diags);
    let outer = signature(&module.outer, diags);
    let roles = match (&inner, &outer) {
        (Some((inner, inner_sig)), Some((outer, outer_sig))) => assign_roles((inner, inner_sig), (outer, outer_sig), diags),
        _ => None,
    };
    let lowered = |function: Option<(Loss, Signature)>, diags: &mut Diagnostics| {
        let (loss, signature) = function?;
        lower(&loss.item, signature, items, diags)
    };
    let inner = lowered(inner, diags);
    let outer = lowered(outer, diags);
    let (inner, outer, roles) = (inner?, outer?, roles?);
    check_dependence(module, &inner, &outer, &roles.inner, &roles.outer, diags);
    if diags.n_errors() > before {
        return None;
    }
    Some(ProblemIr {
        name: module.item.ident.clone(),
        inner,
        outer,
        inner_variables: roles.inner,
        outer_variables: roles.outer,
        data: roles.data,
        float: roles.float,
        configuration: None,
        crate_path,
    })
}

/// The variables must reach the losses, or there is nothing to solve.
fn check_dependence(
    module: &Module,
    inner: &Lowered,
    outer: &Lowered,
    inner_variables: &[Variable],
    outer_variables: &[Variable],
    diags: &mut Diagnostics,
) {
    let reaches = |func: &Func, first: Option<usize>, variable: &Variable| {
        let Some(first) = first else { return false };
        (0..variable.param.form.leaves().len()).any(|k| depends_on(func, func.params()[first + k]))
    };
    refuse_reading_other_fields(inner, outer, inner_variables, outer_variables, diags);
    // The attribute is where the variable was named; the error stands there.
    let named = |loss: &Option<Loss>, variable: &Variable| {
        let names = loss.iter().flat_map(|l| &l.minimize);
        names.into_iter().find(|n| **n == variable.param.name).cloned().unwrap_or_else(|| variable.param.name.clone())
    };
    for v in inner_variables.iter().filter(|v| !reaches(&inner.func, v.in_inner, v)) {
        let particulars = [v.param.name.to_string(), inner.signature.name.to_string()];
        diags.error(named(&module.inner, v), messages::INNER_UNUSED, &[&particulars[0], &particulars[1]]);
    }
    for v in outer_variables.iter().filter(|v| v.in_inner.is_some() && !reaches(&inner.func, v.in_inner, v)) {
        let particulars = [v.param.name.to_string(), inner.signature.name.to_string()];
        diags.error(named(&module.outer, v), messages::OUTER_UNUSED, &[&particulars[0], &particulars[1]]);
    }
    if !inner_variables.is_empty() && !inner_variables.iter().any(|v| reaches(&outer.func, v.in_outer, v)) {
        let names: Vec<String> = inner_variables.iter().map(|v| v.param.name.to_string()).collect();
        let names = names.join("`, `");
        diags.error(&outer.signature.name, messages::INNER_NOT_IN_OUTER, &[&names, &outer.signature.name.to_string()]);
    }
}

/// What a struct has beside floats comes along with a variable; solvers do not look at it, so that the losses must not depend on it.
fn refuse_reading_other_fields(
    inner: &Lowered,
    outer: &Lowered,
    inner_variables: &[Variable],
    outer_variables: &[Variable],
    diags: &mut Diagnostics,
) {
    for (role, variables) in [("inner", inner_variables), ("outer", outer_variables)] {
        for v in variables {
            let labels = v.param.form.labels(&v.param.name.to_string());
            for (k, (elem, _)) in v.param.form.leaves().into_iter().enumerate().filter(|(_, (elem, _))| !elem.is_float()) {
                let read = |loss: &Lowered, first: Option<usize>| first.is_some_and(|at| is_read(&loss.func, loss.func.params()[at + k]));
                if read(inner, v.in_inner) || read(outer, v.in_outer) {
                    diags.error(&v.param.name, messages::VARIABLE_FIELD_READ, &[&labels[k], elem.name(), role]);
                }
            }
        }
    }
}

fn is_read(func: &Func, value: ValueId) -> bool {
    let mut read = func.results().contains(&value);
    func.body.walk(&mut |stmt| read |= stmt.args.contains(&value) || stmt.bodies.iter().any(|b| b.results.contains(&value)));
    read
}

/// Where generated code finds this crate if no attribute says otherwise.
pub fn default_crate_path() -> syn::Path {
    syn::parse_quote!(::bilevel)
}
