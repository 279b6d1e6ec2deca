//! Every method with every setting that changes what it computes, on one problem: a row each.

use bilevel::condition::Gradient;
use bilevel::linear::Preconditioner;
use bilevel::methods::{DefaultInner, Dynamics, Method, Noise};
use bilevel::prelude::*;

use crate::cases::{Case, Visitor};
use crate::reference::{Inverse, Optimizer, Stationary, unrolled};
use crate::table::{Cell, Table};

/// Steps of unrolled runs, and those that a truncated one differentiates.
const N_STEPS: usize = 9;
const N_LAST: usize = 4;

/// What the exact answer is compared with.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Exact: it must agree with the exact answer and with differences of the re-solved problem.
    Exact,
    /// An approximation with a formula of its own, which it must agree with. It is no derivative of anything.
    Formula,
    /// Made of differences of gradients.
    Differences,
}

impl Visitor for Table {
    fn visit<P: LossesReadOuter<Condition = Gradient, Float = f64>>(&mut self, case: &Case<'_, P>) {
        self.begin(case.name);
        match Stationary::new(case) {
            Ok(stationary) => {
                let largest = stationary.largest;
                let mut rows = Implicits { table: self, case, stationary: &stationary };
                rows.by(("L-BFGS", Lbfgs::default().tolerance(1e-13)));
                rows.by(("Newton-CG", NewtonCg::default().tolerance(1e-13)));
                rows.by(("descent", GradientDescent::new(1.0 / largest).tolerance(1e-13).max_iterations(1_000_000)));
            }
            Err(error) => self.row("a stationary point", "", || Cell::failed(&error)),
        }
        evograd(self, case);

        let mut rows = Unrollings { table: self, case };
        let (rate, momentum) = (0.05, 0.7);
        rows.by("descent", GradientDescent::new(0.1), Optimizer::GradientDescent { rate: 0.1 });
        rows.by("momentum", Momentum::new(rate, momentum), Optimizer::Momentum { rate, momentum });
        rows.by("Nesterov", Nesterov::new(rate, momentum), Optimizer::Nesterov { rate, momentum });
        let (decay, epsilon, betas) = (0.9, 0.1, [0.8, 0.95]);
        rows.by("RMSProp", RmsProp::new(rate).decay(decay).epsilon(epsilon), Optimizer::RmsProp { rate, decay, epsilon });
        let adam = |weight_decay| Optimizer::AdamW { rate, weight_decay, betas, epsilon };
        rows.by("Adam", Adam::new(rate).beta1(betas[0]).beta2(betas[1]).epsilon(epsilon), adam(0.0));
        rows.by("AdamW", AdamW::new(rate, 0.3).beta1(betas[0]).beta2(betas[1]).epsilon(epsilon), adam(0.3));
    }
}

/// The rows of implicit methods.
struct Implicits<'t, 'a, 'c, P: LossesReadOuter<Condition = Gradient>> {
    table: &'t mut Table,
    case: &'a Case<'c, P>,
    stationary: &'a Stationary,
}

impl<P: LossesReadOuter<Condition = Gradient, Float = f64>> Implicits<'_, '_, '_, P> {
    /// All of them with one inner solver.
    fn by<I: Clone>(&mut self, inner: (&str, I))
    where
        Implicit<bilevel::linear::Cg>: Method<P, I>,
        Implicit<bilevel::linear::Direct>: Method<P, I>,
        Implicit<bilevel::linear::Minres>: Method<P, I>,
        Implicit<bilevel::linear::Gmres>: Method<P, I>,
        Implicit<bilevel::linear::BiCgStab>: Method<P, I>,
        Implicit<bilevel::linear::Neumann>: Method<P, I>,
        Implicit<bilevel::linear::Nystrom>: Method<P, I>,
        FiniteDifferences: Method<P, I>,
    {
        let n = self.case.inner.n_elements();
        let (exact, step) = (Inverse::Exact, 1.0 / self.stationary.largest);
        let cg = Implicit::cg().tolerance(1e-13);
        self.row("CG", cg, &inner, Kind::Exact, exact);
        self.row("CG, its diagonal", cg.preconditioner(Preconditioner::diagonal()), &inner, Kind::Exact, exact);
        self.row("CG, diagonal of 4 probes", cg.preconditioner(Preconditioner::estimated_diagonal(4)), &inner, Kind::Exact, exact);
        self.row("CG, sketch of rank 1", cg.preconditioner(Preconditioner::nystrom(1)), &inner, Kind::Exact, exact);
        self.row("direct", Implicit::direct(), &inner, Kind::Exact, exact);
        self.row("direct, indefinite", Implicit::direct().allow_indefinite(), &inner, Kind::Exact, exact);
        self.row("MINRES", Implicit::minres().tolerance(1e-13), &inner, Kind::Exact, exact);
        self.row("GMRES", Implicit::gmres().tolerance(1e-13), &inner, Kind::Exact, exact);
        self.row("BiCGStab", Implicit::bicgstab().tolerance(1e-13), &inner, Kind::Exact, exact);
        self.row("Neumann", Implicit::neumann().step(step).tolerance(1e-13), &inner, Kind::Exact, exact);
        let series = |terms| Inverse::Series { step, terms };
        self.row("Neumann, K = 3", Implicit::neumann().step(step).terms(3), &inner, Kind::Formula, series(3));
        self.row("one step", Implicit::one_step().step(step), &inner, Kind::Formula, series(0));
        self.row("Nyström, all columns", Implicit::nystrom().rank(n).rho(0.01), &inner, Kind::Formula, Inverse::Damped(0.01));
        self.row("CG, damped", cg.damping(0.1), &inner, Kind::Formula, Inverse::Damped(0.1));
        self.row("finite differences", FiniteDifferences::default(), &inner, Kind::Differences, exact);
    }

    fn row<M, I: Clone>(&mut self, name: &str, method: M, (inner_name, inner): &(&str, I), kind: Kind, inverse: Inverse)
    where
        M: DefaultInner<Gradient> + Method<P, M::Inner> + Method<P, I>,
    {
        let (case, stationary) = (self.case, self.stationary);
        self.table.row(name, inner_name, || cell(case, method, inner.clone(), kind, Ok(stationary.hypergradient(inverse))));
    }
}

/// EvoGrad at a fixed point is the derivative of its own value, for fixed noise.
fn evograd<P: LossesReadOuter<Condition = Gradient, Float = f64>>(table: &mut Table, case: &Case<'_, P>) {
    for (name, noise) in [("EvoGrad, signs", Noise::Signs), ("EvoGrad, normal", Noise::Normal)] {
        let method = EvoGrad::default().copies(4).sigma(0.3).temperature(0.2).noise(noise);
        let stay = GradientDescent::default().max_iterations(0);
        table.row(name, "", || match case.problem.solver(method).inner(stay).check(&case.outer, &case.inner) {
            Ok(check) => Cell::of_differences(check.max_relative_error),
            Err(error) => Cell::failed(&error),
        });
    }
}

/// The rows of unrolled methods.
struct Unrollings<'t, 'a, 'c, P: LossesReadOuter<Condition = Gradient>> {
    table: &'t mut Table,
    case: &'a Case<'c, P>,
}

impl<P: LossesReadOuter<Condition = Gradient, Float = f64>> Unrollings<'_, '_, '_, P> {
    /// All of them with one inner optimiser.
    fn by<U: Dynamics<P> + Clone>(&mut self, optimizer: &str, update: U, reference: Optimizer) {
        let schedules = [
            ("", Checkpoints::All),
            (", every 2nd", Checkpoints::Every(2)),
            (", square root", Checkpoints::Sqrt),
            (", 3 binomial", Checkpoints::Binomial(3)),
            (", 3 online", Checkpoints::Online(3)),
        ];
        for (mode, method) in [("reverse", Unrolled::reverse()), ("mixed", Unrolled::mixed())] {
            for (schedule, checkpoints) in schedules {
                let method = method.steps(N_STEPS).checkpoints(checkpoints);
                self.row(&format!("{mode}{schedule}"), method, (optimizer, &update), Kind::Exact, (reference, N_STEPS));
            }
        }
        self.row("forward", Unrolled::forward().steps(N_STEPS), (optimizer, &update), Kind::Exact, (reference, N_STEPS));
        let truncated = Unrolled::truncated().steps(N_STEPS);
        self.row("truncated to all", truncated.last(N_STEPS), (optimizer, &update), Kind::Exact, (reference, N_STEPS));
        self.row("truncated to 4", truncated.last(N_LAST), (optimizer, &update), Kind::Formula, (reference, N_LAST));
    }

    fn row<U: Dynamics<P> + Clone>(
        &mut self,
        name: &str,
        method: Unrolled,
        (optimizer, update): (&str, &U),
        kind: Kind,
        (reference, n_last): (Optimizer, usize),
    ) {
        let case = self.case;
        self.table.row(name, optimizer, || cell(case, method, update.clone(), kind, unrolled(case, reference, N_STEPS, n_last)));
    }
}

/// The hypergradient by a method against the exact answer, and against differences where it is the derivative of what it solves.
fn cell<P: LossesReadOuter<Condition = Gradient, Float = f64>, M, I>(
    case: &Case<'_, P>,
    method: M,
    inner: I,
    kind: Kind,
    exact: Result<Array1<f64>, bilevel::Error>,
) -> Cell
where
    M: DefaultInner<Gradient> + Method<P, M::Inner> + Method<P, I>,
{
    let mut solver = case.problem.solver(method).inner(inner);
    let errors = || -> Result<(f64, Option<f64>), bilevel::Error> {
        let (found, exact) = (solver.hypergradient(&case.outer, &case.inner)?.gradient.flat(), exact?);
        let difference = (&found - &exact).l2_norm() / exact.l2_norm();
        let differences = match kind {
            Kind::Formula => None,
            Kind::Exact | Kind::Differences => {
                let check = solver.check_with(&case.outer, &case.inner, &Differences::default().directions(2).step(0.01))?;
                Some(check.max_relative_error)
            }
        };
        Ok((difference, differences))
    };
    match (errors(), kind) {
        (Ok((exact, differences)), Kind::Exact | Kind::Formula) => Cell { exact: Some(exact), differences, error: None },
        (Ok((exact, differences)), Kind::Differences) => Cell::of_differences(exact.max(differences.unwrap_or(0.0))),
        (Err(error), _) => Cell::failed(&error),
    }
}
