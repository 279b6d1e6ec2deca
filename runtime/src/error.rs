//! The one error type of everything that can go wrong at run time.
//!
//! Each message is one sentence that names the parameter or the quantity, gives the shapes or the numbers, and says what to do.

use std::fmt;

use crate::memory_size::MemorySize;

/// One axis of a named array, in an error about shapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// The parameter or expression, as the user wrote it.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The axis in question.
    pub axis: usize,
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "axis {} of `{}` (shape {:?})", self.axis, self.name, self.shape)
    }
}

/// Why no result could be given.
///
/// Nothing in the crate returns numbers that it knows to be wrong: what cannot be computed reliably is one of these. Numbers are
/// given as `f64` whatever the float type of the problem. A *step* counts the iterations of an inner solver or of the outer loop from 0.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// Two axes that the problem requires to be equally long are not.
    DimensionMismatch {
        /// The one.
        first: Axis,
        /// The other.
        second: Axis,
    },
    /// An array does not have the shape that it must have.
    ShapeMismatch {
        /// The array, as the user named it.
        name: &'static str,
        /// Its shape.
        shape: Vec<usize>,
        /// What prescribes the shape.
        expected_by: &'static str,
        /// The shape prescribed.
        expected: Vec<usize>,
    },
    /// An array without elements where a loss needs some.
    Empty {
        /// The array, as the user named it.
        name: &'static str,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// An element of the data or of a variable is NaN or infinite.
    NonFiniteElement {
        /// The array, as the user named it.
        name: &'static str,
        /// Position of the first such element in row-major order.
        position: usize,
        /// The element.
        value: f64,
    },
    /// A label or an index in the data is negative or too large.
    IndexOutOfRange {
        /// The array or scalar, as the user named it.
        name: &'static str,
        /// Position of the first such element in row-major order; `None` for a scalar.
        position: Option<usize>,
        /// The index found.
        value: i128,
        /// Indices must be below this.
        limit: usize,
    },
    /// A loss, a gradient or a product became NaN or infinite.
    NonFinite {
        /// What it was, for example `the inner loss`.
        quantity: &'static str,
        /// The step of the inner solver at which it was first seen, if it was there.
        step: Option<usize>,
        /// Its value.
        value: f64,
    },
    /// The inner loss decreases without end.
    UnboundedBelow {
        /// The step at which the solver gave up.
        step: usize,
        /// The loss there.
        value: f64,
        /// The 2-norm of the inner variable there.
        norm: f64,
    },
    /// The inner solver stopped far from a stationary point.
    InnerNotConverged {
        /// 2-norm of the gradient of the inner loss.
        gradient_norm: f64,
        /// The largest norm with which a hypergradient is still given.
        limit: f64,
        /// Iterations made.
        iterations: usize,
        /// Why the solver stopped.
        reason: &'static str,
    },
    /// The Hessian of the inner loss is not positive definite where it must be.
    NotPositiveDefinite {
        /// `vᵀHv / vᵀv` for the direction that showed it.
        curvature: f64,
        /// The iteration of the linear solver that showed it.
        iteration: usize,
    },
    /// The inner loss is less convex than the user has said.
    NotStronglyConvex {
        /// What no eigenvalue was to be below.
        mu: f64,
        /// A curvature that is.
        curvature: f64,
    },
    /// A linear solver stopped far from a solution.
    LinearSolverNotConverged {
        /// The recomputed residual relative to the right-hand side.
        residual: f64,
        /// The largest residual with which a hypergradient is still given.
        limit: f64,
        /// Iterations made.
        iterations: usize,
    },
    /// The series that a linear solver sums up grew term by term.
    LinearSolverDiverged {
        /// The recomputed residual relative to the right-hand side.
        residual: f64,
        /// Terms made.
        iterations: usize,
    },
    /// A setting of a method or solver has a value that it cannot have.
    InvalidSetting {
        /// The setting, for example `Lbfgs::tolerance`.
        setting: &'static str,
        /// The value given.
        value: f64,
        /// What it must be, for example `positive`.
        requirement: &'static str,
    },
    /// Text that does not say what it has to.
    InvalidText {
        /// What it is for, for example `an amount of memory`.
        setting: &'static str,
        /// The text.
        text: String,
        /// What it must be.
        requirement: &'static str,
    },
    /// [`Unrolled::memory`](crate::methods::Unrolled::memory) is not enough for a run that keeps a single state.
    MemoryLimit {
        /// The memory that there is, in bytes.
        limit: usize,
        /// What is needed at least.
        needed: usize,
        /// What of that the buffers of the kernels have, which hold the activations of one gradient.
        activations: usize,
    },
    /// A setting without a default was not made.
    MissingSetting {
        /// The setting, for example `GradientDescent::new`.
        setting: &'static str,
        /// Why it is needed.
        reason: &'static str,
    },
    /// The outer variable has no leaf of the name that a hyperparameter was given.
    UnknownHyperparameter {
        /// The setting, for example `Adam::new`.
        setting: &'static str,
        /// The name given.
        name: &'static str,
        /// The names of the leaves of the outer variable.
        known: &'static [&'static str],
    },
    /// The inner variable has no leaf of a name.
    UnknownLeaf {
        /// The setting, for example `Anil::new`.
        setting: &'static str,
        /// The name given.
        name: String,
        /// The names of the leaves of the inner variable.
        known: &'static [&'static str],
    },
    /// A leaf that two problems share does not have the same number of elements in both.
    LeafLength {
        /// The leaf.
        name: &'static str,
        /// Its number of elements in the first.
        found: usize,
        /// That in the second.
        expected: usize,
    },
    /// One of several tasks failed.
    Task {
        /// Its position.
        task: usize,
        /// What failed.
        source: Box<Error>,
    },
    /// The leaf of the outer variable behind a hyperparameter has the wrong number of elements.
    HyperparameterLength {
        /// The setting, for example `Adam::new`.
        setting: &'static str,
        /// The leaf.
        name: &'static str,
        /// Its number of elements.
        found: usize,
        /// The number of elements that it must have.
        expected: usize,
        /// What has an element of its own.
        what: &'static str,
    },
    /// The state given to an inner optimiser of the user's has not the parts that its step takes.
    StateParts {
        /// The number of parts given.
        found: usize,
        /// The number of parts that the step takes.
        expected: usize,
        /// Their names.
        names: &'static [&'static str],
    },
    /// A hyperparameter is part of the outer variable where only a constant makes sense.
    HyperparameterNotConstant {
        /// The setting, for example `Adam::new`.
        setting: &'static str,
        /// What takes only constants.
        what: &'static str,
    },
    /// The residual of a fixed point grows from iteration to iteration.
    FixedPointDiverged {
        /// The iteration.
        step: usize,
        /// The residual there.
        residual: f64,
        /// The lowest before.
        lowest: f64,
    },
    /// A method needs a symmetric Hessian, and the inner loss holds something constant or has rules of the user's.
    AsymmetricHessian {
        /// The method, for example `Unrolled::mixed` or `Implicit::cg`.
        method: &'static str,
    },
    /// A loss has no value at a point, because something that it requires does not hold there.
    CheckFailed {
        /// The loss, as the user named it.
        function: &'static str,
        /// What does not hold, and what to do about it.
        message: &'static str,
    },
    /// A setting that the method has no use for.
    NotApplicable {
        /// The setting, for example `Solver::tolerances`.
        setting: &'static str,
        /// What it is for.
        reason: &'static str,
    },
    /// A file with the state of a run cannot be used.
    Checkpoint {
        /// The file.
        path: String,
        /// Why not.
        reason: String,
    },
    /// A trace could not be drawn.
    Drawing {
        /// Why not.
        reason: String,
    },
    /// A step of the outer loop failed.
    OuterStep {
        /// The step.
        step: usize,
        /// What failed.
        source: Box<Error>,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::DimensionMismatch { first, second } => {
                write!(f, "{first} has length {}, but {second} has length {}: they must be equal", length(first), length(second),)
            }
            Error::ShapeMismatch { name, shape, expected_by, expected } => {
                write!(f, "`{name}` has shape {shape:?}, but `{expected_by}` requires {expected:?}")
            }
            Error::Empty { name, shape } => {
                write!(f, "`{name}` is empty (shape {shape:?}): the loss needs at least one element")
            }
            Error::NonFiniteElement { name, position, value } => {
                write!(f, "`{name}` contains {value} at position {position} (row-major): remove or replace non-finite values first")
            }
            Error::IndexOutOfRange { name, position: Some(position), value, limit } => {
                write!(f, "`{name}` contains the index {value} at position {position} (row-major), but indices must lie in 0..{limit}")
            }
            Error::IndexOutOfRange { name, position: None, value, limit } => {
                write!(f, "`{name}` is {value}, but must lie in 0..{limit}")
            }
            Error::NonFinite { quantity, step, value } => {
                write!(f, "{quantity} is {value}")?;
                if let Some(step) = step {
                    write!(f, " at step {step} of the inner solver")?;
                }
                f.write_str(": scale the data, start closer to a solution or add a penalty")
            }
            Error::UnboundedBelow { step, value, norm } => write!(
                f,
                "the inner loss is unbounded below: at step {step} it is {value:.2e} with an inner variable of norm {norm:.2e}; \
                 add a penalty that makes a minimum exist"
            ),
            Error::InnerNotConverged { gradient_norm, limit, iterations, reason } => write!(
                f,
                "the inner problem is not solved: after {iterations} iterations ({reason}) its gradient has norm {gradient_norm:.2e}, \
                 and above {limit:.2e} a hypergradient would be meaningless; lower the inner `tolerance`, raise `max_iterations` or choose \
                 another inner solver"
            ),
            Error::NotPositiveDefinite { curvature, iteration } => write!(
                f,
                "the Hessian of the inner loss is not positive definite (curvature {curvature:.2e} along a direction met in iteration \
                 {iteration}): the inner variable is no strict minimum; add a penalty or solve the inner problem further"
            ),
            Error::NotStronglyConvex { mu, curvature } => write!(
                f,
                "`Implicit::strong_convexity` is {mu:e}, but the Hessian of the inner loss has a curvature of {curvature:e}: give a number that no \
                 eigenvalue is below, or none"
            ),
            Error::LinearSolverNotConverged { residual, limit, iterations } => write!(
                f,
                "the linear system of the hypergradient is not solved: after {iterations} iterations its relative residual is \
                 {residual:.2e}, and above {limit:.2e} a hypergradient would be meaningless; raise `max_iterations` or add a penalty that \
                 improves its condition"
            ),
            Error::LinearSolverDiverged { residual, iterations } => write!(
                f,
                "the series for the linear system of the hypergradient diverges: its terms grew three times running, up to term {iterations}, with a \
                 relative residual of {residual:.2e}; choose a smaller `step`, below 2 divided by the largest curvature, or another linear solver"
            ),
            Error::InvalidSetting { setting, value, requirement } => {
                write!(f, "`{setting}` is {value}, but must be {requirement}")
            }
            Error::InvalidText { setting, text, requirement } => write!(f, "`{text}` is not {setting}: write {requirement}"),
            Error::MemoryLimit { limit, needed, activations } => {
                let [limit, needed, activations] = [*limit, *needed, *activations].map(MemorySize::from);
                write!(
                    f,
                    "`Unrolled::memory` is {limit}, but at least {needed} are needed, of which {activations} are activations of one gradient"
                )
            }
            Error::MissingSetting { setting, reason } => write!(f, "{reason}: give it with `{setting}`"),
            Error::UnknownHyperparameter { setting, name, known } => {
                write!(f, "`{setting}` is `{name}` of the outer variable, which has no leaf of that name; it has {}", Names(known))
            }
            Error::UnknownLeaf { setting, name, known } => {
                write!(f, "`{setting}` names `{name}`, which is no leaf of the inner variable; it has {}", Names(known))
            }
            Error::LeafLength { name, found, expected } => {
                write!(
                    f,
                    "`{name}` has {found} elements where it is pre-trained, and {expected} where it is fine-tuned: one name is one variable"
                )
            }
            Error::Task { task, source } => write!(f, "in task {task}: {source}"),
            Error::HyperparameterLength { setting, name, found, expected, what } => {
                write!(f, "`{setting}` is `{name}` of the outer variable, which has {found} elements, but must have {expected}, {what}")
            }
            Error::StateParts { found, expected, names } => {
                write!(f, "`OwnStep::state` was given {found} arrays and numbers, and the step has a state of {expected}: {}", Names(names))
            }
            Error::HyperparameterNotConstant { setting, what } => {
                write!(
                    f,
                    "`{setting}` is part of the outer variable, but {what} takes constants only, as its result does not depend on them: give a number"
                )
            }
            Error::FixedPointDiverged { step, residual, lowest } => write!(
                f,
                "the iteration for the inner variable diverges: at step {step} its residual is {residual:.2e}, after {lowest:.2e} before; \
                 use `Anderson` or `Broyden`, or a smaller `damping`"
            ),
            Error::AsymmetricHessian { method } => write!(
                f,
                "`{method}` needs a symmetric Hessian, but the inner problem is a fixed point, or its loss uses `stop_gradient` or a rule of its own: use `Implicit::gmres` or `Unrolled::reverse`"
            ),
            Error::CheckFailed { function, message } => write!(f, "`{function}`: {message}"),
            Error::NotApplicable { setting, reason } => write!(f, "`{setting}` does not go with this method: {reason}"),
            Error::Checkpoint { path, reason } => write!(f, "the checkpoint `{path}` cannot be used: {reason}"),
            Error::Drawing { reason } => write!(f, "the trace cannot be drawn: {reason}"),
            Error::OuterStep { step, source } => write!(f, "in outer step {step}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::OuterStep { source, .. } | Error::Task { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Names in a sentence.
struct Names(&'static [&'static str]);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (k, name) in self.0.iter().enumerate() {
            write!(f, "{}`{name}`", if k == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The length of the axis; 0 if the array does not have it.
fn length(axis: &Axis) -> usize {
    axis.shape.get(axis.axis).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_parameters_and_both_shapes() {
        let first = Axis { name: "x", shape: vec![1200, 64], axis: 1 };
        let second = Axis { name: "w", shape: vec![10, 64], axis: 0 };
        assert_eq!(
            Error::DimensionMismatch { first, second }.to_string(),
            "axis 1 of `x` (shape [1200, 64]) has length 64, but axis 0 of `w` (shape [10, 64]) has length 10: they must be equal"
        );
        let label = Error::IndexOutOfRange { name: "labels", position: Some(7), value: -1, limit: 10 };
        assert_eq!(label.to_string(), "`labels` contains the index -1 at position 7 (row-major), but indices must lie in 0..10");
    }
}
