//! Methods without second derivatives: EvoGrad, and implicit hypergradients by differences of gradients.

use crate::problems::{Logistic, Quadratic, Ridge, Scalar};
use bilevel_runtime::methods::{EvoGrad, FiniteDifferences, Implicit, Noise};
use bilevel_runtime::solve::{GradientDescent, Lbfgs, NewtonCg};
use bilevel_runtime::{Error, ProblemExt};
use ndarray::{Array1, array};

/// An inner solver that stays where it is.
fn stay() -> GradientDescent {
    GradientDescent::default().max_iterations(0)
}

#[test]
fn evograd_is_the_derivative_for_fixed_noise() {
    let problem = Logistic::<f64>::new(5);
    let lambda = array![-3.0, -2.0, -4.0, -1.0, -5.0];
    let w = array![0.5, -1.0, 0.3, 2.0, -0.7];
    for noise in [Noise::Signs, Noise::Normal] {
        let method = EvoGrad::default().copies(4).sigma(0.3).temperature(0.2).seed(7).noise(noise);
        let check = problem.solver(method).inner(stay()).check(&lambda, &w).unwrap();
        assert!(check.max_relative_error < 1e-8, "{check}");
    }
    let problem = Quadratic::<f64>::exact();
    let method = EvoGrad::default().copies(3).sigma(0.1).temperature(0.5);
    let check = problem.solver(method).inner(stay()).check(&array![1.0, -1.0], &array![0.1, 0.2, -0.3]).unwrap();
    assert!(check.max_relative_error < 1e-8, "{check}");
}

/// The mean over the noise is a lookahead: `∂_λ g − α Mᵀ∂_w g`.
#[test]
fn the_mean_of_evograd_is_a_lookahead_by_one_step() {
    let problem = Quadratic::<f64>::exact();
    let (x, z) = (array![1.0, -1.0], array![0.3, -0.2, 0.5]);
    let n_seeds = 400;
    let mut mean = Array1::<f64>::zeros(2);
    for seed in 0..n_seeds {
        let method = EvoGrad::default().copies(50).sigma(1e-2).temperature(1.0).seed(seed).rescaled(true);
        mean += &(problem.solver(method).inner(stay()).hypergradient(&x, &z).unwrap().gradient / n_seeds as f64);
    }
    // M = −B, so that −Mᵀ∂_w g = Bᵀ(z − t), after the direct term ½x.
    let expected = 0.5 * &x + problem.b.t().dot(&(&z - &problem.t));
    let error = (&mean - &expected).mapv(f64::abs).sum() / expected.mapv(f64::abs).sum();
    assert!(error < 0.05, "{mean} and not {expected}");
}

/// The limits for many copies, which only approach the exact −0.46296 as `σ²/τ` grows.
#[test]
fn evograd_of_the_scalar_problem() {
    for (sigma, temperature, expected) in [(1.0, 0.5, -0.24683), (5.0, 0.1, -0.46047)] {
        let estimates: Vec<f64> = (0..40)
            .map(|seed| {
                let method = EvoGrad::default().copies(20_000).sigma(sigma).temperature(temperature).seed(seed).noise(Noise::Normal);
                Scalar::T1.solver(method).inner(stay()).hypergradient(&0.2, &0.3).unwrap().gradient
            })
            .collect();
        let mean = estimates.iter().sum::<f64>() / 40.0;
        let deviation = (estimates.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 39.0).sqrt();
        let standard_error = deviation / 40_f64.sqrt();
        assert!((mean - expected).abs() < 4.0 * standard_error + 2e-4, "{mean} ± {standard_error} and not {expected}");
        assert!(standard_error < 0.01);
    }
}

#[test]
fn evograd_counts_and_warns() {
    let problem = Ridge::<f64>::new(4);
    let (lambda, w) = (Array1::from_elem(4, -1.0), Array1::zeros(4));
    let h = problem.solver(EvoGrad::default().copies(3)).inner(Lbfgs::default()).hypergradient(&lambda, &w).unwrap();
    assert_eq!((h.report.n_gradients, h.report.n_products), (h.report.inner.n_evaluations + 3, 0));
    let outcome = h.report.evograd.as_ref().unwrap();
    assert!((outcome.effective_step - 1e-6 * 2.0 / 3.0 / 0.05).abs() < 1e-18 && outcome.warning.is_none(), "{}", h.report);
    let h = problem.solver(EvoGrad::default().sigma(10.0).temperature(1e-6)).hypergradient(&lambda, &w).unwrap();
    assert!(h.report.evograd.as_ref().unwrap().warning.is_some() && h.report.to_string().contains("warning"), "{}", h.report);
    let single = Ridge::<f32>::new(4);
    let h = single.solver(EvoGrad::default().sigma(1e-5)).hypergradient(&lambda.mapv(|x| x as f32), &Array1::zeros(4)).unwrap();
    assert!(h.report.evograd.as_ref().unwrap().warning.is_some(), "{}", h.report);
    for method in [EvoGrad::default().copies(1), EvoGrad::default().sigma(0.0), EvoGrad::default().temperature(f64::NAN)] {
        let error = problem.solver(method).hypergradient(&lambda, &w).unwrap_err();
        assert!(matches!(error, Error::InvalidSetting { .. }), "{error}");
    }
}

/// Every outer step has noise of its own, and every run the same.
#[test]
fn the_noise_of_evograd_differs_from_step_to_step() {
    let problem = Ridge::<f64>::new(4);
    let run = || {
        let mut solver = problem.solver(EvoGrad::default().sigma(0.1)).inner(stay());
        let tuned =
            solver.minimize(&Array1::from_elem(4, -1.0), &Array1::ones(4), bilevel_runtime::solve::GradientDescent::new(1e-12), 3).unwrap();
        tuned.trace.iter().map(|entry| entry.gradient_norm).collect::<Vec<_>>()
    };
    let norms = run();
    assert!((norms[0] / norms[1] - 1.0).abs() > 1e-6 && (norms[1] / norms[2] - 1.0).abs() > 1e-6, "{norms:?}");
    assert_eq!(run(), norms);
}

#[test]
fn products_by_differences() {
    let problem = Quadratic::<f64>::exact();
    let mut solver = problem.solver(FiniteDifferences::default()).inner(Lbfgs::default().tolerance(1e-13));
    let h = solver.hypergradient(&array![1.0, -1.0], &Array1::zeros(3)).unwrap();
    assert!((h.gradient[0] - 44.0 / 27.0).abs() < 1e-8 && (h.gradient[1] + 7.0 / 3.0).abs() < 1e-8, "{}", h.gradient);
    assert_eq!(h.report.n_products, 0);

    let problem = Logistic::<f64>::new(5);
    let lambda = array![-3.0, -2.0, -4.0, -1.0, -5.0];
    let exact =
        problem.solver(Implicit::cg()).inner(NewtonCg::default().tolerance(1e-12)).hypergradient(&lambda, &Array1::zeros(5)).unwrap();
    let h = problem
        .solver(FiniteDifferences::default())
        .inner(Lbfgs::default().tolerance(1e-11))
        .hypergradient(&lambda, &Array1::zeros(5))
        .unwrap();
    let error = (&h.gradient - &exact.gradient).mapv(f64::abs).sum() / exact.gradient.mapv(f64::abs).sum();
    assert!(error < 1e-7, "{error:e}");

    let problem = Logistic::<f32>::new(5);
    let h = problem
        .solver(FiniteDifferences::default())
        .inner(Lbfgs::default().tolerance(1e-5))
        .hypergradient(&lambda.mapv(|x| x as f32), &Array1::zeros(5))
        .unwrap();
    let error = (&h.gradient.mapv(f64::from) - &exact.gradient).mapv(f64::abs).sum() / exact.gradient.mapv(f64::abs).sum();
    assert!(error < 2e-2, "{error:e}");

    let error =
        problem.solver(FiniteDifferences::default().radius(0.0)).hypergradient(&lambda.mapv(|x| x as f32), &Array1::zeros(5)).unwrap_err();
    assert!(matches!(error, Error::InvalidSetting { setting: "FiniteDifferences::radius", .. }), "{error}");
}
