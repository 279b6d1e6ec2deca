//! The memory of a solver from call to call.

use crate::methods::{Kernels, Method, Point, Sizes};
use crate::params::check_finite_leaves;
use crate::{BilevelProblem, Error, Params, Report, vector};

/// Kernels and vectors for variables of the same shapes, kept between calls.
pub(super) struct Session<'p, P: BilevelProblem, M> {
    pub(super) inner_shapes: Vec<Vec<usize>>,
    pub(super) outer_shapes: Vec<Vec<usize>>,
    pub(super) kernels: Kernels<'p, P>,
    pub(super) method_memory: M,
    pub(super) inner: Vec<P::Float>,
    pub(super) outer: Vec<P::Float>,
    pub(super) gradient: Vec<P::Float>,
}

impl<'p, P: BilevelProblem, M> Session<'p, P, M> {
    /// The session in the slot, or a new one where the shapes have changed, with the elements of these variables.
    pub(super) fn open<'s, I>(
        slot: &'s mut Option<Self>,
        problem: &'p P,
        method: &impl Method<P, I, Memory = M>,
        inner_solver: &I,
        outer: &P::Outer,
        inner: &P::Inner,
    ) -> Result<&'s mut Self, Error> {
        let (inner_shapes, outer_shapes) = (inner.shapes(), outer.shapes());
        let kept = slot.take().filter(|kept| kept.inner_shapes == inner_shapes && kept.outer_shapes == outer_shapes);
        let session = match kept {
            Some(session) => session,
            None => {
                let sizes = Sizes { inner: &inner.lengths(), outer: &outer.lengths(), outer_names: P::OUTER_NAMES };
                let kernels = Kernels::new(problem, inner, outer)?;
                Session {
                    inner_shapes,
                    outer_shapes,
                    method_memory: method.memory(inner_solver, &kernels, &sizes)?,
                    kernels,
                    inner: vector::zeros(sizes.n_inner()),
                    outer: vector::zeros(sizes.n_outer()),
                    gradient: vector::zeros(sizes.n_outer()),
                }
            }
        };
        let session = slot.insert(session);
        method.forget(&mut session.method_memory);
        inner.write_to(&mut session.inner);
        outer.write_to(&mut session.outer);
        check_finite_leaves(P::INNER_NAMES, &session.inner_shapes, &session.inner)?;
        check_finite_leaves(P::OUTER_NAMES, &session.outer_shapes, &session.outer)?;
        Ok(session)
    }

    pub(super) fn hypergradient<I>(
        &mut self,
        method: &impl Method<P, I, Memory = M>,
        inner_solver: &I,
    ) -> Result<(P::Float, Report), Error> {
        let (value, mut report) =
            self.run(|kernels, memory, point, gradient| method.hypergradient(kernels, memory, inner_solver, point, gradient))?;
        report.peak_bytes += self.kernels.buffer_bytes();
        Ok((value, report))
    }

    pub(super) fn value<I>(&mut self, method: &impl Method<P, I, Memory = M>, inner_solver: &I) -> Result<P::Float, Error> {
        self.run(|kernels, memory, point, _| method.value(kernels, memory, inner_solver, point))
    }

    /// Runs a function of the method at the variables of the session.
    pub(super) fn run<R>(
        &mut self,
        f: impl FnOnce(&mut Kernels<'p, P>, &mut M, Point<'_, P::Float>, &mut [P::Float]) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let point = Point { outer: &self.outer, inner: &mut self.inner };
        let result = f(&mut self.kernels, &mut self.method_memory, point, &mut self.gradient);
        self.kernels.show_all();
        // What else went wrong followed from a check that did not hold.
        self.kernels.take_failed_check().and(result)
    }
}
