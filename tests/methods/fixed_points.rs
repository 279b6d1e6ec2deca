//! Fixed points through the macro: a map in the place of the inner loss.

use bilevel::Error;
use bilevel::prelude::*;

#[bilevel]
mod cell {
    use super::*;

    /// One recurrent layer, whose state is its own input.
    #[fixed_point(solve = z)]
    pub(super) fn layer(z: &Array1<f64>, bias: &Array1<f64>, w: &Array2<f64>, x: &Array1<f64>) -> Array1<f64> {
        (w.dot(z) + bias + x).mapv(f64::tanh)
    }

    /// How far the state is from what it should be.
    #[outer(minimize = bias)]
    fn distance(z: &Array1<f64>, bias: &Array1<f64>, target: &Array1<f64>) -> f64 {
        mse(z, target) + 0.01 * (bias * bias).sum()
    }
}

/// A matrix that is not symmetric, of norm at most `norm`.
fn matrix(n: usize, norm: f64) -> Array2<f64> {
    let w = Array2::from_shape_fn((n, n), |(i, j)| ((3 * i + 7 * j + i * j) as f64).sin());
    // The norm of Frobenius is no smaller.
    let size = w.mapv(|x| x * x).sum().sqrt();
    w * (norm / size)
}

#[test]
fn exact_and_phantom_gradients_of_a_cell() {
    let n = 8;
    let (w, x) = (matrix(n, 0.8 * (n as f64).sqrt() / 2.0), Array1::from_shape_fn(n, |i| (i as f64).cos()));
    let target = Array1::from_shape_fn(n, |i| 0.3 * (2.0 * i as f64).sin());
    let problem = cell::Problem { w: &w, x: &x, target: &target };
    let (bias, start) = (Array1::from_elem(n, 0.1), Array1::zeros(n));
    let anderson = Anderson::default().tolerance(1e-13);

    let solved = problem.solver(Implicit::gmres()).inner(anderson).solve_inner(&bias, &start).unwrap();
    let again = cell::layer(&solved.inner, &bias, &w, &x);
    assert!((&solved.inner - &again).mapv(f64::abs).sum() < 1e-12);

    for check in [
        problem.solver(Implicit::gmres().tolerance(1e-12)).inner(anderson).check(&bias, &start),
        problem.solver(Implicit::bicgstab().tolerance(1e-12)).inner(Broyden::default().tolerance(1e-13)).check(&bias, &start),
        problem.solver(Implicit::neumann().tolerance(1e-12)).inner(Picard::default().tolerance(1e-13)).check(&bias, &start),
        problem.solver(Phantom::unrolled(4, 0.6)).inner(anderson).check(&bias, &start),
        problem.solver(Unrolled::reverse().steps(7)).inner(GradientDescent::new(0.9)).check(&bias, &start),
        problem.solver(Unrolled::forward().steps(7)).inner(GradientDescent::new(0.9)).check(&bias, &start),
    ] {
        let check = check.unwrap();
        assert!(check.max_relative_error < 1e-8, "{:e}", check.max_relative_error);
    }
    let gradient = |h: Result<_, Error>| h.map(|h: bilevel::solver::HypergradientOf<cell::Problem<'_>>| h.gradient).unwrap();
    for k in [1, 3, 9] {
        let unrolled = gradient(problem.solver(Phantom::unrolled(k, 0.7)).inner(anderson).hypergradient(&bias, &start));
        let neumann = gradient(problem.solver(Phantom::neumann(k, 0.7)).inner(anderson).hypergradient(&bias, &start));
        assert!((&unrolled - &neumann).mapv(f64::abs).sum() < 1e-10, "{k}: {unrolled} {neumann}");
    }
    let h = problem.solver(Implicit::gmres()).hypergradient(&bias, &start).unwrap();
    assert!(h.report.error_bound.as_ref().unwrap().value < 1e-6 && !h.report.is_indefinite());
    let tuned = problem.solver(Implicit::gmres()).minimize(&bias, &start, Adam::new(0.05), 100).unwrap();
    assert!(tuned.value < 0.5 * h.value, "{} {}", tuned.value, h.value);
}

#[bilevel]
mod coupled {
    use super::*;

    /// Two states of different shapes that depend on each other, given in the order of `solve`, which is not that of the parameters.
    #[fixed_point(solve(scale, z))]
    pub(super) fn step(z: &Array2<f64>, scale: &f64, gain: &f64, x: &Array2<f64>) -> (f64, Array2<f64>) {
        let next = (z * *scale * 0.3 + x).mapv(f64::sin);
        ((*gain * z.sum()).cos() * 0.5, next)
    }

    /// Only one of them counts.
    #[outer(minimize = gain)]
    fn size(z: &Array2<f64>) -> f64 {
        (z * z).sum()
    }
}

#[test]
fn two_states_of_different_shapes() {
    let x = array![[0.3, -0.2, 0.9], [0.1, 0.5, -0.7]];
    let problem = coupled::Problem { x: &x };
    let start = (0.0, Array2::zeros((2, 3)));
    let solved = problem.solver(Implicit::gmres()).inner(Anderson::default().tolerance(1e-13)).solve_inner(&0.4, &start).unwrap().inner;
    let again = coupled::step(&solved.1, &solved.0, &0.4, &x);
    assert!((solved.0 - again.0).abs() < 1e-12 && (&solved.1 - &again.1).mapv(f64::abs).sum() < 1e-12);
    for check in [
        problem.solver(Implicit::gmres().tolerance(1e-13)).inner(Anderson::default().tolerance(1e-13)).check(&0.4, &start),
        problem.solver(Unrolled::reverse().steps(3)).inner(GradientDescent::new(1.0)).check(&0.4, &start),
        problem.solver(Phantom::unrolled(2, 0.5)).check(&0.4, &start),
    ] {
        let check = check.unwrap();
        assert!(check.max_relative_error < 1e-8, "{:e}", check.max_relative_error);
    }
}

#[bilevel]
mod rotation {
    use super::*;

    /// A rotation and a contraction or an expansion.
    #[fixed_point(solve = z)]
    fn turn(z: &Array1<f64>, shift: &Array1<f64>, factor: f64) -> Array1<f64> {
        let (a, b) = (z[0], z[1]);
        array![factor * (0.6 * a - 0.8 * b), factor * (0.8 * a + 0.6 * b)] + shift
    }

    /// The first coordinate.
    #[outer(minimize = shift)]
    fn first(z: &Array1<f64>) -> f64 {
        z[0]
    }
}

#[test]
fn an_expanding_rotation_is_solved_by_accelerated_solvers_only() {
    let (shift, start) = (array![0.3, 0.4], Array1::zeros(2));
    for factor in [0.9, 1.4] {
        let problem = rotation::Problem { factor };
        // h = (I − factor R)⁻ᵀ e₁.
        let (p, q) = (1.0 - 0.6 * factor, 0.8 * factor);
        let expected = array![p, -q] / (p * p + q * q);
        for h in [
            problem.solver(Implicit::gmres().tolerance(1e-13)).hypergradient(&shift, &start),
            problem.solver(Implicit::bicgstab().tolerance(1e-13)).inner(Broyden::default()).hypergradient(&shift, &start),
        ] {
            let h = h.unwrap();
            assert!((&h.gradient - &expected).mapv(f64::abs).sum() < 1e-11, "{factor}: {} {expected}", h.gradient);
        }
    }
    let error =
        rotation::Problem { factor: 1.4 }.solver(Implicit::gmres()).inner(Picard::default()).hypergradient(&shift, &start).unwrap_err();
    assert!(matches!(error, Error::FixedPointDiverged { .. }), "{error}");
}

/// The product of two numbers, of which the rule holds the second constant: the derivative of nothing, as rules may be.
fn held_product(x: f64, y: f64) -> f64 {
    x * y
}

#[derivative(of = held_product)]
fn held_product_rule(_x: f64, y: f64, x_dot: f64, y_dot: f64) -> f64 {
    y * x_dot + 0.0 * y_dot
}

#[bilevel]
mod held {
    use super::*;

    /// A loss whose gradient `(w₁ + w₀ − a₀, w₁ − a₁)`, as the rule makes it, has a Jacobian that is not symmetric.
    #[inner(minimize = w)]
    fn train(w: &Array1<f64>, a: &Array1<f64>) -> f64 {
        held_product(w[0], w[1]) + 0.5 * (w * w).sum() - (a * w).sum()
    }

    /// Both coordinates count.
    #[outer(minimize = a)]
    fn validate(w: &Array1<f64>) -> f64 {
        w[0] + 2.0 * w[1]
    }
}

#[test]
fn transposed_products_serve_gradients_whose_jacobian_is_not_symmetric() {
    // w = (a₀ − a₁, a₁), so that the outer loss is a₀ + a₁.
    let problem = held::Problem {};
    let (a, start) = (array![0.5, 0.7], Array1::zeros(2));
    let mut solver = problem.solver(Implicit::gmres().tolerance(1e-13)).inner(Anderson::default().tolerance(1e-13));
    let h = solver.hypergradient(&a, &start).unwrap();
    assert!((h.value - 1.2).abs() < 1e-12 && (&h.gradient - &array![1.0, 1.0]).mapv(f64::abs).sum() < 1e-11, "{}", h.gradient);
    assert!(h.report.error_bound.unwrap().value < 1e-9);
}
