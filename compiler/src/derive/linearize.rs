//! A function at a point: its value, and its Jacobian as a linear function.

use super::call::{Mode, refuse_tangents_of_calls};
use super::split::{self, Lengths, Split};
use super::{DeriveError, jvp};
use crate::dump;
use crate::ir::{Func, Note};
use crate::optimize::optimize;

/// A function and its derivative, separated: what does not depend on the tangents is computed once, and applied many times.
#[derive(Clone, Debug)]
pub struct Linearized {
    /// From the parameters of the function to its results, then the residuals.
    pub primal: Func,
    /// From the residuals, then one tangent for each differentiated parameter, to the tangent of each float result. Linear in the tangents.
    pub linear: Func,
    /// Number of residuals.
    pub n_residuals: usize,
}

/// Linearizes `f` in the parameters at the positions `wrt`.
///
/// # Errors
/// [`DeriveError`] if a tangent passes through a `while` loop.
///
/// # Panics
/// If `wrt` is not an ascending list of positions of float parameters.
pub fn linearize(f: &Func, wrt: &[usize]) -> Result<Linearized, DeriveError> {
    let (jvp, params, results) = forward(f, wrt, Note::tangent, Mode::Forward);
    refuse_tangents_of_calls(&jvp)?;
    let Split { mut known, mut unknown, n_residuals } = split::split(&jvp, &params, &results)?;
    known.name = format!("{}_primal", f.name);
    unknown.name = format!("{}_linear", f.name);
    let (primal, linear) = (optimize(&known), optimize(&unknown));
    dump::ir("linearized", &primal);
    dump::ir("linearized", &linear);
    Ok(Linearized { primal, linear, n_residuals })
}

/// [`linearize`] for callers that put both parts into one function (see [`split::divide`]), with a choice of the notes on tangents.
pub(super) fn split_tangents(f: &Func, wrt: &[usize], label: fn(&Note) -> Note) -> Result<Split, DeriveError> {
    let (jvp, params, results) = forward(f, wrt, label, Mode::Reverse);
    split::divide(&jvp, &params, &results, Lengths::Shared)
}

/// The forward mode of `f`, and the positions of the parameters and results of `f` in it.
fn forward(f: &Func, wrt: &[usize], label: fn(&Note) -> Note, mode: Mode) -> (Func, Vec<usize>, Vec<usize>) {
    // What is shared here is one residual instead of two.
    let jvp = optimize(&jvp::labelled(f, wrt, label, mode));
    dump::ir("forward", &jvp);
    (jvp, (0..f.params().len()).collect(), (0..f.results().len()).collect())
}
