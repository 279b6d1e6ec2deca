//! Whether what `#[differentiable(..)]` requests exists for the function.

use super::attributes::{DifferentiableArgs, Request};
use super::wrt::Wrt;
use super::{Form, Signature};
use crate::diagnostics::{Diagnostics, messages};

/// Checks each request against the signature; `wrt` is what is differentiated, and `batched` are the positions of the batched parameters.
pub fn check_requests(args: &DifferentiableArgs, signature: &Signature, wrt: &[Wrt], batched: &[usize], diags: &mut Diagnostics) {
    /// `ndarray` has types for arrays of up to so many axes.
    const MAX_AXES: usize = 6;
    let (function, output) = (signature.name.to_string(), signature.output.to_string());
    let most = |form: &Form| form.leaves().iter().map(|(_, rank)| *rank).max().unwrap_or(0);
    let of_wrt = wrt.iter().map(|w| most(&w.form)).max().unwrap_or(0);
    let too_many = |name: &syn::Ident, axes: usize, diags: &mut Diagnostics| {
        if axes > MAX_AXES {
            diags.error(name, messages::TOO_MANY_AXES, &[&name.to_string(), &function, &axes.to_string(), &MAX_AXES.to_string()]);
        }
    };
    let of_struct = |name: &syn::Ident, what: &str, diags: &mut Diagnostics| {
        diags.error(name, messages::REQUEST_OF_STRUCT, &[&name.to_string(), &function, what]);
    };
    let batched_forms = || batched.iter().map(|&k| &signature.params[k].form);
    let forms = || wrt.iter().map(|w| &w.form).chain(batched_forms()).chain([&signature.output]);
    let in_a_tuple = |form: &Form| matches!(form, Form::Tuple(_)) && form.has_struct();
    let requested = args.requests.iter().map(|(_, name)| name).chain(&args.batched).next();
    if let (true, Some(name)) = (forms().any(in_a_tuple), requested) {
        of_struct(name, "structs in tuples", diags);
    }
    let has_tuple = wrt.iter().any(|w| matches!(w.form, Form::Tuple(_)) && !w.form.has_struct());
    let has_struct = wrt.iter().any(|w| matches!(w.form, Form::Struct(_)));
    let is_struct = signature.output.has_struct();
    for (request, name) in &args.requests {
        match request {
            Request::Hessian if has_struct && has_tuple => of_struct(name, "structs beside tuples", diags),
            Request::JvpMany if is_struct && !signature.output.leaves().iter().all(|(elem, _)| elem.is_float()) => {
                of_struct(name, "a result that is a struct with other parts than floats", diags);
            }
            Request::JvpMany | Request::HvpMany | Request::Jacobian | Request::Hessian => {}
        }
        match request {
            Request::HvpMany | Request::Hessian if !matches!(signature.output, Form::Scalar(elem) if elem.is_float()) => {
                diags.error(name, messages::REQUEST_NEEDS_NUMBER, &[request.name(), &function, &output]);
            }
            Request::Jacobian if signature.output.leaves().len() != 1 || is_struct => {
                diags.error(name, messages::REQUEST_NEEDS_ARRAY, &[request.name(), &function, &output]);
            }
            Request::JvpMany => too_many(name, 1 + of_wrt.max(most(&signature.output)), diags),
            Request::HvpMany => too_many(name, 1 + of_wrt, diags),
            Request::Jacobian => too_many(name, of_wrt + most(&signature.output), diags),
            Request::Hessian => too_many(name, 2 * of_wrt, diags),
        }
    }
    if let Some(name) = args.batched.first() {
        let of_batched = batched.iter().map(|&k| most(&signature.params[k].form)).max().unwrap_or(0);
        // The gradient of each example has one axis more than the parameter.
        let of_gradients = if matches!(signature.output, Form::Scalar(_)) { of_wrt } else { 0 };
        too_many(name, 1 + of_batched.max(of_gradients).max(most(&signature.output)), diags);
    }
}
