//! A quadratic problem whose solution is known as fractions: inner `½zᵀHz − zᵀ(Bx + c)`, outer `½‖z − t‖² + ¼‖x‖²`.

use bilevel::prelude::*;

#[bilevel]
mod quadratic {
    use super::*;

    #[inner(minimize = z)]
    fn inner(z: &Array1<f64>, x: &Array1<f64>, h: &Array2<f64>, b: &Array2<f64>, c: &Array1<f64>) -> f64 {
        0.5 * z.dot(&h.dot(z)) - z.dot(&(b.dot(x) + c))
    }

    #[outer(minimize = x)]
    fn outer(z: &Array1<f64>, x: &Array1<f64>, t: &Array1<f64>) -> f64 {
        let miss = z - t;
        0.5 * miss.dot(&miss) + 0.25 * x.dot(x)
    }
}

struct Data {
    h: Array2<f64>,
    b: Array2<f64>,
    c: Array1<f64>,
    t: Array1<f64>,
    x: Array1<f64>,
    z0: Array1<f64>,
}

impl Data {
    fn new() -> Self {
        Data {
            h: array![[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]],
            b: array![[1.0, 2.0], [0.0, 1.0], [-1.0, 1.0]],
            c: array![1.0, 0.0, -1.0],
            t: array![1.0, 1.0, 1.0],
            x: array![1.0, -1.0],
            z0: Array1::zeros(3),
        }
    }

    fn problem(&self) -> quadratic::Problem<'_> {
        quadratic::Problem { h: &self.h, b: &self.b, c: &self.c, t: &self.t }
    }
}

fn assert_close(what: &str, actual: &Array1<f64>, expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (a, e) in actual.iter().zip(expected) {
        assert!((a - e).abs() <= tolerance * e.abs().max(1.0), "{what}: {actual} is not {expected:?}");
    }
}

#[test]
fn solution_value_and_hypergradient_are_the_fractions() {
    let data = Data::new();
    let problem = data.problem();
    for inner in [0, 1, 2] {
        let method = Implicit::cg().tolerance(1e-14);
        let h = match inner {
            0 => problem.solver(method).inner(NewtonCg::default().tolerance(1e-13)).hypergradient(&data.x, &data.z0),
            1 => problem.solver(method).inner(Lbfgs::default().tolerance(1e-13)).hypergradient(&data.x, &data.z0),
            _ => problem.solver(method).inner(GradientDescent::default().tolerance(1e-13)).hypergradient(&data.x, &data.z0),
        };
        let h = h.expect("a strictly convex problem");
        assert_close("inner solution", &h.inner, &[-1.0 / 18.0, 2.0 / 9.0, -29.0 / 18.0], 1e-12);
        assert!((h.value - 515.0 / 108.0).abs() <= 1e-12 * h.value, "value {}", h.value);
        assert_close("hypergradient", &h.gradient, &[44.0 / 27.0, -7.0 / 3.0], 1e-12);
        assert!(h.report.inner.gradient_norm <= 1e-13, "{}", h.report);
    }
}

#[test]
fn conjugate_gradients_stopped_early_give_the_known_iterates() {
    let data = Data::new();
    let problem = data.problem();
    for (steps, expected) in [(1, [55.0 / 54.0, -7.0 / 3.0]), (2, [1.75544662309368, -2.15718954248366]), (3, [44.0 / 27.0, -7.0 / 3.0])] {
        let mut solver = problem.solver(Implicit::cg().max_iterations(steps)).inner(NewtonCg::default().tolerance(1e-13));
        let h = solver.hypergradient(&data.x, &data.z0).expect("a strictly convex problem");
        // The values for two steps are known to fourteen digits.
        assert_close(&format!("after {steps} steps"), &h.gradient, &expected, if steps == 2 { 1e-13 } else { 1e-12 });
        assert_eq!(h.report.linear.expect("a linear solve").n_iterations, steps);
    }
}

#[test]
fn the_check_by_differences_agrees() {
    let data = Data::new();
    let problem = data.problem();
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-13)).inner(NewtonCg::default().tolerance(1e-12));
    let check = solver.check(&data.x, &data.z0).expect("a strictly convex problem");
    assert!(check.max_relative_error < 1e-9, "{check}");
}
