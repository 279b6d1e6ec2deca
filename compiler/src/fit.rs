//! What the method that an attribute chooses demands of the problem.

use crate::diagnostics::{Diagnostics, messages};
use crate::syntax::configuration::table::{InnerKind, OWN_STEP};
use crate::syntax::configuration::{Built, Configuration, Value};
use crate::syntax::problem::Variable;
use crate::syntax::{Param, ProblemIr};

/// An error for each choice that the problem does not fit.
pub(crate) fn check_fit(configuration: &Configuration, problem: &ProblemIr, diags: &mut Diagnostics) {
    let Configuration { family, method, inner } = configuration;
    if method.entry.needs_symmetry && !problem.has_symmetric_hessian {
        diags.error(&method.name, messages::ASYMMETRIC_HESSIAN, &[&method.name.to_string(), &problem.inner.signature.name.to_string()]);
    }
    let batches = method.settings.iter().find_map(|(setting, value)| match value {
        Value::Built(batches) if setting.name == "batches" => Some(&batches.name),
        Value::Built(_) | Value::Flag | Value::Rust(_) | Value::Outer(_) => None,
    });
    if let (Some(name), []) = (batches, &problem.sampled[..]) {
        let variables: Vec<String> = problem.inner_variables.iter().map(|v| v.param.name.to_string()).collect();
        diags.error(name, messages::BATCHES_WITHOUT_SAMPLE, &[&variables.join(", ")]);
    }
    if let Some(inner) = inner.as_ref().filter(|inner| inner.entry.name == OWN_STEP && problem.step.is_none()) {
        diags.error(&inner.name, messages::NO_STEP, &[&inner.name.to_string()]);
    }
    if family.inner == InnerKind::Solver {
        for v in problem.outer_variables.iter().filter(|v| v.is_in_no_loss()) {
            diags.error(&method.name, messages::ZERO_HYPERGRADIENT, &[&v.param.name.to_string(), family.name]);
        }
    } else {
        let named = |label: &String| inner.iter().flat_map(Built::outer_hypers).any(|hyper| hyper.name == *label);
        let is_own_step = inner.as_ref().is_some_and(|inner| inner.entry.name == OWN_STEP);
        for v in problem.outer_variables.iter().filter(|v| v.is_in_no_loss()) {
            let is_read = is_own_step && v.in_step.is_some() || float_labels(v).iter().all(named);
            if !is_read {
                diags.error(&method.name, messages::HYPER_NOT_READ, &[&v.param.name.to_string()]);
            }
        }
    }
    let names: Vec<String> = problem.outer_variables.iter().flat_map(float_labels).collect();
    for hyper in inner.iter().flat_map(Built::outer_hypers) {
        if !names.contains(&hyper.name) {
            let names = if names.is_empty() { "none".to_owned() } else { format!("`{}`", names.join("`, `")) };
            diags.error(&hyper.place, messages::NOT_AN_OUTER_VARIABLE, &[&hyper.name, &names]);
        } else if family.inner == InnerKind::Solver {
            diags.error(&hyper.place, messages::HYPER_OF_A_SOLVER, &[&hyper.name, family.name]);
        }
    }
}

/// The names of the leaves of a variable that solvers see.
fn float_labels(variable: &Variable) -> Vec<String> {
    let Param { name, form, .. } = &variable.param;
    let labels = form.labels(&name.to_string());
    labels.into_iter().zip(form.leaves()).filter(|(_, (elem, _))| elem.is_float()).map(|(label, _)| label).collect()
}
