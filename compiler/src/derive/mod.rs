//! Derivatives as transformations of the IR.
//!
//! Two transformations do the work: [`jvp`] gives forward mode, and [`transpose`] turns a linear function around. Between them stands
//! [`split`], which separates what does not depend on the tangents from what does. Everything else is a composition:
//!
//! ```text
//! linearize = split ∘ jvp          vjp, grad = transpose ∘ linearize          hvp = jvp ∘ grad
//! ```
//!
//! A third one, [`batch`](fn@batch), maps a function over a leading axis; along all directions at once it gives [`jacobian`] and [`hessian`].
//!
//! Every function here takes ordinary IR and gives ordinary IR, so any order of nesting is free. The compositions run
//! [`optimize`](crate::optimize) between their steps and on what they give.
//!
//! # Conventions
//! - The derivative at a kink is the one that the operation's documentation in [`ir::op`](crate::ir::op) states; at a pole, and outside of the domain of a function,
//!   it is zero (see `ops/elementwise.rs`).
//! - A tangent or cotangent that is known to be zero is `None` inside the passes, and an array only where a result or a carried value has to be
//!   one.
//! - What cannot be differentiated exactly is a [`DeriveError`], never a wrong number.
//! - The functions share their dimensions with the function that they come from: types are copied unchanged.

mod batch;
mod call;
mod copy;
mod dependence;
mod jacobian;
mod jvp;
mod lengths;
mod linearity;
mod linearize;
mod ragged;
mod residual;
mod split;
mod transpose;

use std::fmt;

use crate::dump;
use crate::ir::verify::debug_verify;
use crate::ir::{Builder, Func, Note, Type, ValueId};
use crate::optimize::optimize;

pub use batch::{batch, batch_some};
pub use call::{expand, kept_gradient};
pub use copy::inline;
pub use jacobian::{has_symmetric_hessian, hessian, hvp_many, jacobian, jvp_many};
pub use jvp::jvp;
pub use linearity::linearity;
pub use linearize::{Linearized, linearize};
pub use residual::{OtherShape, fixed_point};
pub use split::{Split, split};
pub use transpose::transpose;

/// Why a function has no exact derivative, and the place in the user's code where that shows.
#[derive(Clone, Debug)]
pub struct DeriveError {
    /// The place.
    pub span: proc_macro2::Span,
    /// The reason, as a sentence without a full stop.
    pub message: String,
    /// What kind of reason it is.
    pub reason: Reason,
}

/// Kinds of reasons for which a function has no derivative.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// There is no exact derivative.
    Inexact,
    /// There is, but reverse mode would have to keep what each turn of a loop computes, and nothing says how many turns there are at most.
    UnboundedLoop,
}

impl DeriveError {
    fn new(note: &Note, message: impl Into<String>) -> Self {
        DeriveError { span: note.span, message: message.into(), reason: Reason::Inexact }
    }

    /// The error for a `while` loop, whose results have this note, in reverse mode.
    fn unbounded_loop(note: &Note) -> Self {
        let message = "reverse mode runs this loop backwards, and nothing says how many turns it takes at most".to_owned();
        DeriveError { span: note.span, message, reason: Reason::UnboundedLoop }
    }
}

impl fmt::Display for DeriveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DeriveError {}

/// Reverse mode: the parameters of `f`, then the cotangent of each float result; gives the results of `f`, then the cotangent of each parameter
/// in `wrt`, that is, `Jᵀ` applied to the given cotangents.
///
/// # Errors
/// [`DeriveError`] as for [`linearize`]. Where `f` computes a length of a result, the cotangent brings that length, and it is checked against the computed one.
///
/// # Panics
/// If `wrt` is not an ascending list of positions of float parameters.
pub fn vjp(f: &Func, wrt: &[usize]) -> Result<Func, DeriveError> {
    reverse(f, wrt, &format!("{}_vjp", f.name), |b, types| {
        let note = |(ty, note): (Type, Note)| b.param(ty, note.cotangent());
        types.into_iter().map(note).collect()
    })
}

/// The gradient of a scalar function: the parameters of `f`; gives the value, then the gradient for each parameter in `wrt`.
///
/// # Errors
/// [`DeriveError`] as for [`linearize`], and if `f` has any other result than one float scalar.
///
/// # Panics
/// If `wrt` is not an ascending list of positions of float parameters.
pub fn grad(f: &Func, wrt: &[usize]) -> Result<Func, DeriveError> {
    let scalar = match f.results() {
        [value] => f.ty(*value).rank() == 0 && f.ty(*value).elem.is_float(),
        _ => false,
    };
    if !scalar {
        let note = f.results().first().map(|&r| f.note(r).clone()).unwrap_or_default();
        return Err(DeriveError::new(
            &note,
            format!("only a function with one scalar float result has a gradient, and `{}` is not one", f.name),
        ));
    }
    reverse(f, wrt, &format!("{}_grad", f.name), |b, types| types.into_iter().map(|(ty, _)| b.float(ty.elem, 1.0)).collect())
}

/// Hessian-vector products of a scalar function, forward over reverse: the parameters of `f`, then a tangent for each parameter in `wrt`; gives for
/// each parameter in `wrt` its part of the Hessian applied to the tangents.
///
/// # Errors
/// [`DeriveError`] as for [`grad`].
///
/// # Panics
/// If `wrt` is not an ascending list of positions of float parameters.
pub fn hvp(f: &Func, wrt: &[usize]) -> Result<Func, DeriveError> {
    let mut hvp = jvp(&grad(f, wrt)?, wrt)?;
    // The results are the value, the gradient, and the tangents of both.
    hvp.body.results.drain(..wrt.len() + 2);
    hvp.name = format!("{}_hvp", f.name);
    let optimized = optimize(&hvp);
    dump::ir("optimized", &optimized);
    Ok(optimized)
}

/// The results of `f` and the cotangents of the parameters in `wrt`, for cotangents of the float results that `seed` makes from their types and
/// the results' notes.
fn reverse(
    f: &Func,
    wrt: &[usize],
    name: &str,
    seed: impl FnOnce(&mut Builder, Vec<(Type, Note)>) -> Vec<ValueId>,
) -> Result<Func, DeriveError> {
    // The cotangent of `x` comes from transposing the tangent of `x`; with the note of `x` on both it is named after `x`.
    let parts = linearize::split_tangents(f, wrt, Note::clone)?;
    dump::ir("linearized_known", &parts.known);
    dump::ir("linearized_linear", &parts.unknown);
    let mut b = Builder::with_dims_of(name, &parts.unknown);
    let args: Vec<ValueId> = f.params().iter().map(|&p| b.param(f.ty(p).clone(), f.note(p).clone())).collect();
    let floats = f.results().iter().filter(|&&r| f.ty(r).elem.is_float());
    let bars = seed(&mut b, floats.map(|&r| (f.ty(r).clone(), f.note(r).clone())).collect());
    let mut results = copy::splice(&mut b, &parts.known, &args);
    let residuals = results.split_off(f.results().len());
    results.extend(transpose::pull_back(&mut b, &parts.unknown, &residuals, &bars));
    let transposed = b.finish(results);
    dump::ir("transposed", &transposed);
    let optimized = optimize(&transposed);
    dump::ir("optimized", &optimized);
    Ok(optimized)
}

/// `f`, verified in debug builds.
fn checked(f: Func, pass: &str) -> Func {
    debug_verify(&f, pass);
    f
}

/// The positions of `wrt`, checked: ascending, and of float parameters.
fn check_wrt(f: &Func, wrt: &[usize]) {
    assert!(wrt.is_sorted_by(|a, b| a < b), "`{}`: positions {wrt:?} are not ascending", f.name);
    for &k in wrt {
        let param = *f.params().get(k).unwrap_or_else(|| panic!("`{}` has no parameter {k}", f.name));
        assert!(f.ty(param).elem.is_float(), "parameter {k} of `{}` is not a float", f.name);
    }
}
