//! The steps of an outer minimisation, and their way into files.

use std::fmt::Write;

use crate::{Float, Report};

/// One step of an outer minimisation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TraceEntry<T> {
    /// The outer loss before the step.
    pub value: T,
    /// `‖h‖₂` of the hypergradient `h` before the step.
    pub gradient_norm: T,
    /// The loss on held-out data before the step, where there is [one](crate::solver::Solver::early_stopping).
    pub held_out: Option<f64>,
    /// Time since the minimisation began.
    pub seconds: f64,
    /// How well everything was solved, and what it cost.
    pub report: Report,
}

/// What a file has of every step.
const COLUMNS: [&str; 13] = [
    "step",
    "value",
    "gradient_norm",
    "held_out",
    "seconds",
    "inner_gradient_norm",
    "inner_iterations",
    "linear_residual",
    "linear_iterations",
    "error_bound",
    "n_gradients",
    "n_products",
    "peak_bytes",
];

/// The cells of a step; what it does not have, and what is not finite, is none.
fn cells<T: Float>(step: usize, entry: &TraceEntry<T>) -> [Option<String>; 13] {
    let number = |x: f64| x.is_finite().then(|| format!("{x:e}"));
    let Report { inner, linear, error_bound, peak_bytes, n_gradients, n_products, .. } = &entry.report;
    [
        Some(step.to_string()),
        number(entry.value.to_f64()),
        number(entry.gradient_norm.to_f64()),
        entry.held_out.and_then(number),
        number(entry.seconds),
        number(inner.gradient_norm),
        Some(inner.n_iterations.to_string()),
        linear.as_ref().and_then(|linear| number(linear.relative_residual)),
        linear.as_ref().map(|linear| linear.n_iterations.to_string()),
        error_bound.as_ref().and_then(|bound| number(bound.value)),
        Some(n_gradients.to_string()),
        Some(n_products.to_string()),
        Some(peak_bytes.to_string()),
    ]
}

/// A line of comma-separated names, and one of numbers for every step; cells without a number are empty. Numbers are given to the last digit.
pub(crate) fn csv<T: Float>(first_step: usize, trace: &[TraceEntry<T>]) -> String {
    let mut out = COLUMNS.join(",");
    out.push('\n');
    for (k, entry) in trace.iter().enumerate() {
        let cells = cells(first_step + k, entry).map(Option::unwrap_or_default);
        out.push_str(&cells.join(","));
        out.push('\n');
    }
    out
}

/// An array of objects, one for every step; what has no number is `null`.
pub(crate) fn json<T: Float>(first_step: usize, trace: &[TraceEntry<T>]) -> String {
    let mut out = String::from("[");
    for (k, entry) in trace.iter().enumerate() {
        out.push_str(if k == 0 { "\n  {" } else { ",\n  {" });
        for (i, (name, cell)) in COLUMNS.iter().zip(cells(first_step + k, entry)).enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            // Writing to a string does not fail.
            let _ = write!(out, "{separator}\"{name}\": {}", cell.as_deref().unwrap_or("null"));
        }
        out.push('}');
    }
    out.push_str("\n]\n");
    out
}
