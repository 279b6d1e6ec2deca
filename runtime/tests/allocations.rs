//! A hot loop allocates nothing: solves of any length make the same number of allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use bilevel_runtime::methods::Implicit;
use bilevel_runtime::solve::{Adam, GradientDescent, InnerSolver, Lbfgs, NewtonCg};
use bilevel_runtime::{BilevelProblem, Error, LossesReadOuter, ProblemExt};
use ndarray::Array1;

struct Counting;

static N_ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        N_ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as for the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as for the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Inner `Σ dᵢ (½(wᵢ − 1)² + ¼wᵢ⁴) + ½e^λᵢ wᵢ²`, outer `½Σ(wᵢ − ½)²`.
struct Quartic;

const N: usize = 30;

fn weight(i: usize) -> f64 {
    1.0 + i as f64
}

impl LossesReadOuter for Quartic {}

impl BilevelProblem for Quartic {
    type Float = f64;
    type Inner = Array1<f64>;
    type Outer = Array1<f64>;
    type Workspace = [[f64; N]; 2];
    type Condition = bilevel_runtime::condition::Gradient;

    fn workspace(&self, _: &Array1<f64>, _: &Array1<f64>) -> Result<[[f64; N]; 2], Error> {
        Ok([[0.0; N]; 2])
    }

    fn inner_value_and_grad(&self, _: &mut [[f64; N]; 2], w: &[f64], lambda: &[f64], w_bar: &mut [f64]) -> f64 {
        let mut value = 0.0;
        for i in 0..N {
            w_bar[i] = weight(i) * (w[i] - 1.0 + w[i].powi(3)) + lambda[i].exp() * w[i];
            value += weight(i) * (0.5 * (w[i] - 1.0).powi(2) + 0.25 * w[i].powi(4)) + 0.5 * lambda[i].exp() * w[i] * w[i];
        }
        value
    }

    fn inner_value_and_outer_grad(&self, at: &mut [[f64; N]; 2], w: &[f64], lambda: &[f64], lambda_bar: &mut [f64]) -> f64 {
        for i in 0..N {
            lambda_bar[i] = 0.5 * lambda[i].exp() * w[i] * w[i];
        }
        self.inner_value_and_grad(at, w, lambda, &mut [0.0; N])
    }

    fn inner_curvature(&self, at: &mut [[f64; N]; 2], w: &[f64], lambda: &[f64]) {
        for i in 0..N {
            at[0][i] = weight(i) * (1.0 + 3.0 * w[i] * w[i]) + lambda[i].exp();
            at[1][i] = lambda[i].exp() * w[i];
        }
    }

    fn curvature_apply(&self, at: &mut [[f64; N]; 2], v: &[f64], product: &mut [f64], mixed: Option<&mut [f64]>) {
        for i in 0..N {
            product[i] = at[0][i] * v[i];
        }
        if let Some(mixed) = mixed {
            for i in 0..N {
                mixed[i] = at[1][i] * v[i];
            }
        }
    }

    fn inner_gradient_vjp(&self, at: &mut [[f64; N]; 2], w: &[f64], lambda: &[f64], u: &[f64], w_bar: &mut [f64], lambda_bar: &mut [f64]) {
        self.inner_curvature(at, w, lambda);
        self.curvature_apply(at, u, w_bar, Some(lambda_bar));
    }

    fn inner_gradient_linearize(&self, at: &mut [[f64; N]; 2], w: &[f64], lambda: &[f64]) {
        self.inner_curvature(at, w, lambda);
    }

    fn inner_gradient_jvp(&self, at: &mut [[f64; N]; 2], w_dot: &[f64], lambda_dot: &[f64], gradient_dot: &mut [f64]) {
        self.curvature_apply(at, w_dot, gradient_dot, None);
        for i in 0..N {
            gradient_dot[i] += at[1][i] * lambda_dot[i];
        }
    }

    fn outer_value_and_grad(&self, _: &mut [[f64; N]; 2], w: &[f64], _: &[f64], w_bar: &mut [f64], lambda_bar: &mut [f64]) -> f64 {
        lambda_bar.fill(0.0);
        for i in 0..N {
            w_bar[i] = w[i] - 0.5;
        }
        0.5 * w_bar.iter().map(|r| r * r).sum::<f64>()
    }
}

/// Allocations, and evaluations of the inner gradient, in a minimisation of `n_steps`.
fn count(inner_solver: impl InnerSolver<f64>, n_steps: usize) -> (usize, usize) {
    let (lambda, w) = (Array1::from_elem(N, -2.0), Array1::zeros(N));
    let mut solver = Quartic.solver(Implicit::cg()).inner(inner_solver);
    let before = N_ALLOCATIONS.load(Ordering::Relaxed);
    let tuned = solver.minimize(&lambda, &w, Adam::new(0.05), n_steps).unwrap();
    let n_allocations = N_ALLOCATIONS.load(Ordering::Relaxed) - before;
    (n_allocations, tuned.trace.iter().map(|entry| entry.report.n_gradients).sum())
}

/// One test, so that no other thread allocates meanwhile.
#[test]
fn longer_runs_allocate_no_more() {
    fn check(inner_solver: impl InnerSolver<f64> + Copy) {
        let (short, few) = count(inner_solver, 3);
        let (long, many) = count(inner_solver, 30);
        assert!(many > 2 * few);
        assert_eq!(short, long);
    }
    check(Lbfgs::default());
    check(NewtonCg::default());
    check(GradientDescent::default());
}
