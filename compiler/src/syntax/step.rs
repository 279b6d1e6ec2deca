//! The roles of the parameters of a `#[step]`: the step of the inner optimiser, as the user writes it.
//!
//! Parameters are told apart by name. Those of the losses are what they are there; `t: usize` is the index of the step; what is left is the optimiser's state
//! where it is passed by reference and made of floats, and else data that only the step reads. The results are what the next step takes: the variables and
//! then the state, in the order of the parameters.

use super::form::Form;
use super::problem::Variable;
use super::signature::{Param, Signature};
use crate::diagnostics::{Diagnostics, messages};
use crate::ir::Elem;

/// What the parameters of a step are, beside those of the losses.
#[derive(Clone, Debug)]
pub struct StepRoles {
    /// The optimiser's state, in the order of the parameters.
    pub state: Vec<Variable>,
    /// The position of the step's index among the leaves of the parameters.
    pub index: Option<usize>,
    /// The names of what the step gives back, in order: inner variables, then the state.
    pub results: Vec<syn::Ident>,
}

/// Gives the parameters of a step their roles, and finds the data that only the step reads. `None` if there was an error, which is then in `diags`.
pub(super) fn assign_step_roles(
    (item, step): (&syn::ItemFn, &Signature),
    (inner, outer, data): (&[Variable], &[Variable], &[Variable]),
    diags: &mut Diagnostics,
) -> Option<(StepRoles, Vec<Variable>)> {
    let before = diags.n_errors();
    let has = |variables: &[Variable], param: &Param| variables.iter().any(|v| v.param.name == param.name);
    for v in inner.iter().filter(|v| v.in_step.is_none()) {
        let particulars = [step.name.to_string(), v.param.name.to_string(), super::source_text(&v.param.ty)];
        diags.error(&step.name, messages::STEP_WITHOUT_VARIABLE, &particulars.each_ref().map(String::as_str));
    }
    let mut roles = StepRoles { state: Vec::new(), index: None, results: Vec::new() };
    let mut own_data = Vec::new();
    let mut at = 0;
    let mut results: Vec<&Param> = step.params.iter().filter(|param| has(inner, param)).collect();
    for param in &step.params {
        let variable = || Variable { param: param.clone(), in_inner: None, in_outer: None, in_step: Some(at) };
        let floats = param.form.leaves().iter().all(|(elem, _)| elem.is_float());
        let is_view = matches!(param.form, Form::Array { view: true, .. });
        if has(inner, param) || has(outer, param) || has(data, param) {
            // It is what it is in the losses.
        } else if param.name == "t" && !param.by_ref && matches!(param.form, Form::Scalar(_)) {
            roles.index = Some(at);
            if param.form != Form::Scalar(Elem::Usize) {
                diags.error(&param.ty, messages::STEP_INDEX, &[&super::source_text(&param.ty)]);
            }
        } else if param.by_ref && floats && !is_view {
            roles.state.push(variable());
            results.push(param);
        } else {
            own_data.push(variable());
        }
        at += param.form.leaves().len();
    }
    let forms: Vec<Form> = results.iter().map(|param| param.form.owned()).collect();
    let expected = match &forms[..] {
        [form] => form.clone(),
        _ => Form::Tuple(forms),
    };
    if diags.n_errors() == before && expected != step.output {
        let names: Vec<String> = results.iter().map(|param| format!("`{}`", param.name)).collect();
        let particulars = [names.join(" and "), expected.to_string(), step.output.to_string()];
        diags.error(&item.sig.output, messages::STEP_RESULT, &particulars.each_ref().map(String::as_str));
    }
    roles.results = results.iter().map(|param| param.name.clone()).collect();
    (diags.n_errors() == before).then_some((roles, own_data))
}
