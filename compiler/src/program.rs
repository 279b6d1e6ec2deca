//! From the tokens under an attribute to what is to be generated: reads, checks and lowers functions and problems.

use std::rc::Rc;

use syn::ext::IdentExt;

use crate::derive::{self, OtherShape, fixed_point, has_symmetric_hessian};
use crate::diagnostics::{Diagnostics, messages};
use crate::fit::check_fit;
use crate::ir::{Builder, Call, CallPart, Dim, Func, Note, Opaque, ValueId};
use crate::lower::{depends_on, lower, lower_found, lower_step, read_rules};
use crate::syntax::attributes::{BilevelArgs, DifferentiableArgs};
use crate::syntax::derivative::DerivativeCall;
use crate::syntax::items::{OpaqueState, path_key};
use crate::syntax::problem::{Loss, Module, Roles, StepIr, Variable, assign_roles, parse_module};
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
    let step = module.step.as_ref().map(|item| (item, parse_signature(item, Use::Differentiated, &names, diags)));
    let roles = match (&inner, &outer, &step) {
        (Some((inner, inner_sig)), Some((outer, outer_sig)), None) => {
            assign_roles((inner, inner_sig), (outer, outer_sig), None, &names, diags)
        }
        (Some((inner, inner_sig)), Some((outer, outer_sig)), Some((item, Some(step_sig)))) => {
            assign_roles((inner, inner_sig), (outer, outer_sig), Some((item, step_sig)), &names, diags)
        }
        _ => None,
    };
    let lowered = |function: Option<(Loss, Signature)>, diags: &mut Diagnostics| {
        let (loss, signature) = function?;
        lower(&loss.item, signature, items, diags)
    };
    let inner = lowered(inner, diags);
    let outer = lowered(outer, diags);
    let step = match step {
        Some((item, signature)) => Some(lower_step(item, signature?, items, diags)?),
        None => None,
    };
    let (mut inner, outer, mut roles) = (inner?, outer?, roles?);
    let residual = match &module.inner {
        Some(map) if map.is_fixed_point => Some(take_residual(map, &mut inner, &roles.inner, diags)?),
        Some(_) | None => None,
    };
    let step = step.zip(roles.step.take()).map(|(lowered, roles)| StepIr { lowered: with_float_results(lowered), roles });
    let problem = Functions { inner: &inner, outer: &outer, step: step.as_ref() };
    problem.check_dependence(module, &roles, diags);
    if let Some(step) = &step {
        check_state_lengths(step, &roles, diags);
    }
    if diags.n_errors() > before {
        return None;
    }
    let losses_read_outer = roles.outer.iter().all(|v| problem.reaches_a_loss(v));
    Some(ProblemIr {
        name: module.item.ident.clone(),
        has_symmetric_hessian: residual.is_none() && has_symmetric_hessian(&inner.func),
        inner,
        residual,
        outer,
        inner_variables: roles.inner,
        outer_variables: roles.outer,
        data: roles.data,
        step,
        losses_read_outer,
        float: roles.float,
        sampled: module.inner.iter().flat_map(|loss| loss.sample.iter().cloned()).collect(),
        configuration: None,
        crate_path,
    })
}

/// The residual of a map, which becomes half its square: what stands in the place of the inner loss. `None` if there was an error, which is then in `diags`.
fn take_residual(map: &Loss, inner: &mut Lowered, variables: &[Variable], diags: &mut Diagnostics) -> Option<Func> {
    // The attribute does not say what the map solves for, which is an error by now.
    if variables.is_empty() {
        return None;
    }
    // What a variable has beside floats comes along unchanged.
    let mut f = inner.func.clone();
    f.body.results = f.results().iter().copied().filter(|&result| f.ty(result).elem.is_float()).collect();
    let leaves = variables.iter().flat_map(|v| {
        let labels = v.param.form.labels(&v.param.name.to_string());
        let first = v.in_inner.expect("a parameter of the map");
        v.param.form.leaves().into_iter().zip(labels).enumerate().map(move |(k, ((elem, _), label))| (first + k, elem, label))
    });
    let leaves: Vec<_> = leaves.filter(|(_, elem, _)| elem.is_float()).collect();
    let mapped: Vec<usize> = leaves.iter().map(|(at, ..)| *at).collect();
    match fixed_point(&f, &mapped) {
        Ok(residual) => {
            inner.func = residual.clone();
            inner.func.body.results.truncate(1);
            Some(residual)
        }
        Err(OtherShape { result, axis }) => {
            diags.error(&map.item.sig.output, messages::FIXED_POINT_LENGTH, &[&leaves[result].2, &axis.to_string()]);
            None
        }
    }
}

/// The state is made before the first step, so that its lengths must be those of variables or data. It has the shape of what the step gives back for it.
fn check_state_lengths(step: &StepIr, roles: &Roles, diags: &mut Diagnostics) {
    let func = &step.lowered.func;
    let dims_of = |value: ValueId| func.ty(value).dims.clone();
    let given = roles.inner.iter().chain(&roles.outer).chain(&roles.data).filter_map(|v| Some((v.in_step?, v.param.form.leaves().len())));
    let mut known: Vec<Dim> = given.flat_map(|(first, n)| func.params()[first..first + n].to_vec()).flat_map(dims_of).collect();
    // Each axis of each result, with the length that the state had before, and what it belongs to.
    let mut axes: Vec<(&Variable, String, usize, Dim, Dim)> = Vec::new();
    let mut results = func.results().iter();
    for name in &step.roles.results {
        let v = roles.inner.iter().chain(&step.roles.state).find(|v| v.param.name == *name).expect("a result is a variable or state");
        let labels = v.param.form.labels(&name.to_string());
        for (k, _) in v.param.form.leaves().into_iter().enumerate().filter(|(_, (elem, _))| elem.is_float()) {
            let (before, after) = (func.params()[v.in_step.expect("a parameter") + k], *results.next().expect("a result for each float"));
            let pairs = dims_of(before).into_iter().zip(dims_of(after)).enumerate();
            axes.extend(pairs.map(|(axis, (before, after))| (v, labels[k].clone(), axis, before, after)));
        }
    }
    let is_known = |known: &[Dim], dim: Dim| matches!(dim, Dim::Const(_)) || known.contains(&dim);
    loop {
        let n = known.len();
        for &(.., before, after) in &axes {
            if is_known(&known, before) != is_known(&known, after) && func.param_types().any(|ty| ty.dims.contains(&after)) {
                known.push(if is_known(&known, before) { after } else { before });
            }
        }
        if known.len() == n {
            break;
        }
    }
    for (v, label, axis, before, after) in axes {
        let why = match (is_known(&known, before), is_known(&known, after)) {
            (true, true) => continue,
            (false, true) | (false, false) => format!("its axis {axis} is joined with that of no variable or data"),
            (true, false) => format!("the length of axis {axis} of what the step gives back for it is computed"),
        };
        diags.error(&v.param.name, messages::STATE_LENGTH, &[&label, &why]);
    }
}

/// A step without the results that are no floats: what a variable has beside floats comes along unchanged.
fn with_float_results(mut step: Lowered) -> Lowered {
    let func = &mut step.func;
    func.body.results = func.results().iter().copied().filter(|&v| func.ty(v).elem.is_float()).collect();
    step
}

/// The functions of a problem.
struct Functions<'a> {
    inner: &'a Lowered,
    outer: &'a Lowered,
    step: Option<&'a StepIr>,
}

/// Whether a variable whose first leaf is a parameter at `first` reaches the value of a function.
fn reaches(func: &Func, first: Option<usize>, variable: &Variable) -> bool {
    let Some(first) = first else { return false };
    (0..variable.param.form.leaves().len()).any(|k| depends_on(func, func.params()[first + k]))
}

impl Functions<'_> {
    fn reaches_a_loss(&self, v: &Variable) -> bool {
        reaches(&self.inner.func, v.in_inner, v) || reaches(&self.outer.func, v.in_outer, v)
    }

    /// The variables must reach the losses, or there is nothing to solve; what only the optimiser reads must reach the step.
    fn check_dependence(&self, module: &Module, roles: &Roles, diags: &mut Diagnostics) {
        let Functions { inner, outer, step } = *self;
        self.refuse_reading_other_fields(&roles.inner, &roles.outer, diags);
        // The attribute is where the variable was named; the error stands there.
        let named = |loss: &Option<Loss>, variable: &Variable| {
            let names = loss.iter().flat_map(|l| &l.minimize);
            names.into_iter().find(|n| **n == variable.param.name).cloned().unwrap_or_else(|| variable.param.name.clone())
        };
        for v in roles.inner.iter().filter(|v| !reaches(&inner.func, v.in_inner, v)) {
            let particulars = [v.param.name.to_string(), inner.signature.name.to_string()];
            diags.error(named(&module.inner, v), messages::INNER_UNUSED, &[&particulars[0], &particulars[1]]);
        }
        for v in &roles.outer {
            let of_step = step.filter(|_| v.in_inner.is_none()).map(|step| (&step.lowered, v.in_step));
            let (function, first) = of_step.unwrap_or((inner, v.in_inner));
            if first.is_some() && !reaches(&function.func, first, v) {
                let particulars = [v.param.name.to_string(), function.signature.name.to_string()];
                diags.error(named(&module.outer, v), messages::OUTER_UNUSED, &[&particulars[0], &particulars[1]]);
            }
        }
        if !roles.inner.is_empty() && !roles.inner.iter().any(|v| reaches(&outer.func, v.in_outer, v)) {
            let names: Vec<String> = roles.inner.iter().map(|v| v.param.name.to_string()).collect();
            let names = names.join("`, `");
            diags.error(&outer.signature.name, messages::INNER_NOT_IN_OUTER, &[&names, &outer.signature.name.to_string()]);
        }
    }

    /// What a struct has beside floats comes along with a variable; solvers do not look at it, so that no function must depend on it.
    fn refuse_reading_other_fields(&self, inner: &[Variable], outer: &[Variable], diags: &mut Diagnostics) {
        for (role, variables) in [("inner", inner), ("outer", outer)] {
            for v in variables {
                let labels = v.param.form.labels(&v.param.name.to_string());
                for (k, (elem, _)) in v.param.form.leaves().into_iter().enumerate().filter(|(_, (elem, _))| !elem.is_float()) {
                    let read = |func: &Func, first: Option<usize>| first.is_some_and(|at| is_read(func, func.params()[at + k]));
                    let by_step = |step: &StepIr| read(&derive::expand(&step.lowered.func), v.in_step);
                    if read(&self.inner.func, v.in_inner) || read(&self.outer.func, v.in_outer) || self.step.is_some_and(by_step) {
                        diags.error(&v.param.name, messages::VARIABLE_FIELD_READ, &[&labels[k], elem.name(), role]);
                    }
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
