//! All methods on one problem at one point, side by side.

use std::fmt;
use std::time::Instant;

use crate::condition::Gradient;
use crate::linear::Preconditioner;
use crate::methods::{DefaultInner, EvoGrad, FiniteDifferences, Implicit, Method, Unrolled};
use crate::solve::{GradientDescent, Lbfgs, NewtonCg};
use crate::{Error, Float, LossesReadOuter, Params, ProblemExt, Report, vector};

/// Inner variables up to which the direct solver takes part.
#[cfg(feature = "linalg")]
const MAX_DIRECT: usize = 1000;
/// Steps of the unrolled methods.
const N_STEPS: usize = 100;

/// Makes the hypergradient of a problem at a point by every method and compares them with the best that can be had: the implicit one with everything solved to
/// rounding. [`Comparison::add`] adds methods with settings of your own; printing the result gives a table.
///
/// # Errors
/// Those of the reference: data that do not fit, or an inner problem without a strict minimum. A method that fails has its error in the table.
pub fn compare<'p, P: LossesReadOuter<Condition = Gradient>>(
    problem: &'p P,
    outer: &P::Outer,
    inner: &P::Inner,
) -> Result<Comparison<'p, P>, Error> {
    let method = Implicit::cg().tolerance(P::Float::EPSILON.to_f64()).error_bound(false);
    let best = problem.solver(method).inner(NewtonCg::default().tolerance(0.0)).hypergradient(outer, inner)?;
    let largest = best.report.linear.as_ref().and_then(|linear| linear.largest_curvature).unwrap_or(1.0);
    let reference = Reference { value: best.value.to_f64(), gradient: best.gradient.flat().iter().map(|x| x.to_f64()).collect() };
    let mut comparison = Comparison { problem, outer: outer.clone(), inner: inner.clone(), reference, rows: vec![] };

    let lbfgs = Lbfgs::default().tolerance((100.0 * P::Float::EPSILON.to_f64()).sqrt());
    comparison.add("implicit, CG", Implicit::cg(), lbfgs);
    comparison.add("implicit, CG, estimated diagonal", Implicit::cg().preconditioner(Preconditioner::estimated_diagonal(8)), lbfgs);
    comparison.add("implicit, MINRES", Implicit::minres(), lbfgs);
    comparison.add("implicit, GMRES", Implicit::gmres(), lbfgs);
    comparison.add("implicit, BiCGStab", Implicit::bicgstab(), lbfgs);
    #[cfg(feature = "linalg")]
    comparison.add_direct(lbfgs);
    let step = 1.0 / largest;
    comparison.add("implicit, Neumann, 20 terms", Implicit::neumann().terms(20).step(step), lbfgs);
    comparison.add("implicit, one step", Implicit::one_step().step(step), lbfgs);
    comparison.add("implicit, Nyström, 10 columns", Implicit::nystrom().rank(10).rho(0.01 * largest), lbfgs);
    comparison.add("finite differences", FiniteDifferences::default(), lbfgs);
    comparison.add("EvoGrad, rescaled", EvoGrad::default().copies(8).rescaled(true), lbfgs);
    let descent = GradientDescent::new(step);
    comparison.add("unrolled, reverse, 100 steps", Unrolled::reverse().steps(N_STEPS), descent);
    comparison.add("unrolled, mixed, 100 steps", Unrolled::mixed().steps(N_STEPS), descent);
    comparison.add("unrolled, last 10 of 100 steps", Unrolled::truncated().steps(N_STEPS).last(10), descent);
    if comparison.reference.gradient.len() <= 64 {
        comparison.add("unrolled, forward, 100 steps", Unrolled::forward().steps(N_STEPS), descent);
    }
    Ok(comparison)
}

/// What [`compare`] gives.
pub struct Comparison<'p, P: LossesReadOuter<Condition = Gradient>> {
    problem: &'p P,
    outer: P::Outer,
    inner: P::Inner,
    /// The best hypergradient that can be had.
    pub reference: Reference,
    /// One for each method.
    pub rows: Vec<Row>,
}

/// The best hypergradient that can be had.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// The outer loss.
    pub value: f64,
    /// Its derivative, element after element.
    pub gradient: Vec<f64>,
}

/// One method.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Row {
    /// Its name.
    pub name: String,
    /// How it compares, or why it gave no hypergradient.
    pub result: Result<Compared, Error>,
}

/// How a hypergradient compares with the best one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Compared {
    /// The outer loss at its inner solution.
    pub value: f64,
    /// The cosine of the angle to the best one.
    pub cosine: f64,
    /// The norm of the difference divided by that of the best one.
    pub relative_error: f64,
    /// Time from the start to the hypergradient, with the inner solve.
    pub seconds: f64,
    /// The certificate.
    pub report: Report,
}

impl<P: LossesReadOuter<Condition = Gradient>> Comparison<'_, P> {
    /// Adds a method, with what solves the inner problem.
    pub fn add<M: DefaultInner<Gradient> + Method<P, M::Inner> + Method<P, I>, I>(&mut self, name: &str, method: M, inner_solver: I) {
        let began = Instant::now();
        let result = self.problem.solver(method).inner(inner_solver).hypergradient(&self.outer, &self.inner);
        let seconds = began.elapsed().as_secs_f64();
        let result = result.map(|h| {
            let gradient: Vec<f64> = h.gradient.flat().iter().map(|x| x.to_f64()).collect();
            let best = &self.reference.gradient;
            let (size, own) = (vector::norm(best), vector::norm(&gradient));
            let difference: Vec<f64> = gradient.iter().zip(best).map(|(a, b)| a - b).collect();
            Compared {
                value: h.value.to_f64(),
                cosine: vector::dot(&gradient, best) / (size * own),
                relative_error: vector::norm(&difference) / size,
                seconds,
                report: h.report,
            }
        });
        self.rows.push(Row { name: name.to_owned(), result });
    }

    #[cfg(feature = "linalg")]
    fn add_direct(&mut self, inner_solver: Lbfgs) {
        if self.inner.n_elements() <= MAX_DIRECT {
            self.add("implicit, direct", Implicit::direct(), inner_solver);
        }
    }
}

impl<P: LossesReadOuter<Condition = Gradient>> fmt::Display for Comparison<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(6);
        write!(
            f,
            "{:<width$}  {:>13}  {:>9}  {:>9}  {:>9}  {:>9}  {:>10}",
            "method", "value", "cosine", "error", "bound", "time", "memory"
        )?;
        for Row { name, result } in &self.rows {
            match result {
                Ok(Compared { value, cosine, relative_error, seconds, report }) => {
                    write!(f, "\n{name:<width$}  {value:>13.6e}  {cosine:>9.6}  {relative_error:>9.1e}  ")?;
                    match &report.error_bound {
                        Some(bound) => write!(f, "{:>9.1e}", bound.relative)?,
                        None => write!(f, "{:>9}", "")?,
                    }
                    write!(f, "  {:>7.1}ms  {:>10}", 1e3 * seconds, bytes(report.peak_bytes))?;
                }
                Err(error) => write!(f, "\n{name:<width$}  {error}")?,
            }
        }
        Ok(())
    }
}

/// A number of bytes in the unit that suits it.
fn bytes(n: usize) -> String {
    match n {
        0..10_000 => format!("{n} B"),
        10_000..10_000_000 => format!("{:.1} KiB", n as f64 / 1024.0),
        _ => format!("{:.1} MiB", n as f64 / 1_048_576.0),
    }
}
