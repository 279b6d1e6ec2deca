//! What a solver gives.

use crate::solve::InnerOutcome;
use crate::{BilevelProblem, Float, Params, Report, trace};

pub use crate::trace::TraceEntry;

/// A hypergradient, the point it belongs to, and how far it can be trusted.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Hypergradient<T, Outer, Inner> {
    /// The outer loss at the inner solution.
    pub value: T,
    /// Its derivative with respect to the outer variable.
    pub gradient: Outer,
    /// The inner solution.
    pub inner: Inner,
    /// How well everything was solved.
    pub report: Report,
}

/// The hypergradient of a problem.
pub type HypergradientOf<P> = Hypergradient<<P as BilevelProblem>::Float, <P as BilevelProblem>::Outer, <P as BilevelProblem>::Inner>;

/// The result of the outer minimisation of a problem.
pub type TunedOf<P> = Tuned<<P as BilevelProblem>::Float, <P as BilevelProblem>::Outer, <P as BilevelProblem>::Inner>;

/// An inner solution.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Solved<Inner> {
    /// The inner variable.
    pub inner: Inner,
    /// How the solve went.
    pub outcome: InnerOutcome,
}

/// The result of an outer minimisation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Tuned<T, Outer, Inner> {
    /// The outer variable with the lowest outer loss of all that were visited.
    pub outer: Outer,
    /// The inner solution there.
    pub inner: Inner,
    /// The outer loss there.
    pub value: T,
    /// The number of steps after which it was visited.
    pub best_step: usize,
    /// The loss on held-out data there, where there is [one](super::Solver::early_stopping).
    pub held_out: Option<f64>,
    /// The number of steps that were made before the first of the trace: those of a run that was interrupted.
    pub first_step: usize,
    /// The outer loss at [`outer`](Self::outer) for an inner problem solved anew from the start, less [`value`](Self::value), where it was
    /// [asked for](super::Solver::cold_gap).
    pub cold_gap: Option<T>,
    /// Every step that was made.
    pub trace: Vec<TraceEntry<T>>,
}

impl<T: Float, Outer, Inner> Tuned<T, Outer, Inner> {
    /// The trace as comma-separated values: a line of names, and one for every step. What a step does not have is empty.
    #[must_use]
    pub fn trace_csv(&self) -> String {
        trace::csv(self.first_step, &self.trace)
    }

    /// The trace as JSON: an array with an object for every step. What a step does not have is `null`.
    #[must_use]
    pub fn trace_json(&self) -> String {
        trace::json(self.first_step, &self.trace)
    }

    /// The trace as a drawing in SVG: outer loss and held-out loss over the steps, and the norm of the hypergradient. Axes are logarithmic where
    /// all numbers are positive and range over more than a factor of ten; what is not finite is left out. Needs the feature `plots`.
    ///
    /// # Errors
    /// [`Error::Drawing`](crate::Error::Drawing) where letters cannot be drawn, which needs no fonts unless another crate has asked `plotters` for them.
    #[cfg(feature = "plots")]
    pub fn trace_svg(&self) -> Result<String, crate::Error> {
        crate::plot::svg(self.first_step, &self.trace)
    }
}

/// What an outer variable is worth for an inner problem that is solved anew.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Retrained<T, Inner> {
    /// The outer loss at the new inner solution.
    pub value: T,
    /// The new inner solution.
    pub inner: Inner,
    /// The new outer loss less the tuned one: what a warm start has hidden, if anything.
    pub gap: T,
}

/// What the function given to [`Solver::on_step`](super::Solver::on_step) sees.
pub struct Step<'a, P: BilevelProblem> {
    /// Counts from 0.
    pub index: usize,
    /// The number of steps asked for.
    pub n_steps: usize,
    /// Value, gradient norm, time and report of this step.
    pub entry: &'a TraceEntry<P::Float>,
    pub(super) variables: (&'a [P::Float], &'a [P::Float]),
    pub(super) forms: (&'a P::Outer, &'a P::Inner),
}

impl<P: BilevelProblem> Step<'_, P> {
    /// The outer variable at which the hypergradient was made.
    #[must_use]
    pub fn outer(&self) -> P::Outer {
        self.forms.0.with_elements(self.variables.0)
    }

    /// The inner solution there.
    #[must_use]
    pub fn inner(&self) -> P::Inner {
        self.forms.1.with_elements(self.variables.1)
    }
}
