//! An outer minimisation whose inner runs each begin somewhere else.

use bilevel::methods::Method;
use bilevel::solve::OuterOptimizer;
use bilevel::solver::Solver;
use bilevel::{BilevelProblem, Error, Params};

/// Minimises the outer loss from `outer` by `n_steps` steps, where the inner run of step `k` begins at `starts(k)`: what is learned is then not fitted to one
/// start. [`Solver::minimize`] begins at one place, or where the last run has ended. Gives the outer variable after the last step, since the losses of different
/// starts are not comparable, and the loss of every step.
pub(crate) fn minimize_from<P: BilevelProblem<Float = f64>, M: Method<P, I>, I>(
    solver: &mut Solver<'_, P, M, I>,
    outer: &P::Outer,
    starts: impl Fn(usize) -> P::Inner,
    (optimizer, n_steps): (impl OuterOptimizer<f64>, usize),
    mut progress: impl FnMut(f64),
) -> Result<(P::Outer, Vec<f64>), Error> {
    let mut elements = outer.flat().to_vec();
    let mut state = optimizer.state(elements.len())?;
    let mut losses = Vec::with_capacity(n_steps);
    for step in 0..n_steps {
        let h = solver.hypergradient(&outer.with_elements(&elements), &starts(step))?;
        losses.push(h.value);
        progress(h.value);
        optimizer.step(&mut state, &h.gradient.flat().to_vec(), &mut elements);
    }
    Ok((outer.with_elements(&elements), losses))
}
