//! Pre-training by its minimum, then fine-tuning by steps: against a closed form, and against differences of both stages made again.

use bilevel::methods::{FineTuning, TwoStage};
use bilevel::params::NoOuter;
use bilevel::prelude::*;

/// `½ θᵀAθ − θᵀCφ`, with its minimum at `A⁻¹Cφ`.
#[bilevel]
mod quadratic {
    use super::*;

    #[inner(minimize = theta)]
    fn pretrain(theta: &Array1<f64>, phi: &Array1<f64>, a: &Array2<f64>, c: &Array2<f64>) -> f64 {
        0.5 * theta.dot(&a.dot(theta)) - theta.dot(&c.dot(phi))
    }

    #[outer(minimize = phi)]
    fn size(theta: &Array1<f64>) -> f64 {
        0.5 * theta.dot(theta)
    }
}

/// A head `ψ` beside what was pre-trained, on a quadratic that couples them.
#[bilevel]
mod head {
    use super::*;

    #[inner(minimize(theta, psi))]
    fn support(theta: &Array1<f64>, psi: &Array1<f64>, b: &Array2<f64>, d: &Array2<f64>) -> f64 {
        0.5 * theta.dot(&b.dot(theta)) + theta.dot(&d.dot(psi)) + 0.5 * psi.dot(psi)
    }

    #[outer]
    fn query(theta: &Array1<f64>, psi: &Array1<f64>, t: &Array1<f64>, u: &Array1<f64>) -> f64 {
        let (miss, missed) = (theta - t, psi - u);
        0.5 * miss.dot(&miss) + 0.5 * missed.dot(&missed)
    }
}

fn matrices() -> [Array2<f64>; 4] {
    [
        array![[3.0, 0.5, 0.2], [0.5, 2.0, -0.3], [0.2, -0.3, 1.5]],
        array![[1.0, 0.4], [-0.6, 0.9], [0.3, -1.1]],
        array![[1.0, 0.3, 0.0], [0.3, 0.8, 0.2], [0.0, 0.2, 0.6]],
        array![[0.2, -0.1], [0.4, 0.3], [-0.5, 0.1]],
    ]
}

#[test]
fn quadratics_have_their_closed_form() {
    let [a, c, b, d] = matrices();
    let (t, u) = (array![0.7, -0.4, 0.2], array![-0.3, 0.6]);
    let (phi, psi, rate, n_steps) = (array![0.8, -0.5], array![0.1, -0.2], 0.3, 7);
    let task = head::Problem { b: &b, d: &d, t: &t, u: &u };
    let pretraining = quadratic::Problem { a: &a, c: &c };
    let start = (Array1::from_elem(3, 9.0), psi.clone());

    // `s = (θ, ψ)` becomes `(I − αK)ˢ s`.
    let mut k = Array2::<f64>::eye(5);
    k.slice_mut(s![..3, ..3]).assign(&b);
    k.slice_mut(s![..3, 3..]).assign(&d);
    k.slice_mut(s![3.., ..3]).assign(&d.t());
    let step = Array2::<f64>::eye(5) - rate * &k;
    let power = (0..n_steps).fold(Array2::<f64>::eye(5), |power, _| power.dot(&step));
    let theta = linalg::solve(&a, &c.dot(&phi));
    let end = power.dot(&concatenate![Axis(0), theta, psi]) - concatenate![Axis(0), t, u];
    let bar = power.t().dot(&end);
    let expected = c.t().dot(&linalg::solve(&a, &bar.slice(s![..3]).to_owned()));
    let value = 0.5 * end.dot(&end);

    for linear in ["cg", "minres", "direct"] {
        for unrolled in [Unrolled::mixed(), Unrolled::reverse().checkpoints(Checkpoints::Binomial(2))] {
            let tuning = || FineTuning::new(&task, &start, &NO_OUTER, unrolled.steps(n_steps), GradientDescent::new(rate));
            let inner = Lbfgs::default().tolerance(1e-14);
            let from = Array1::zeros(3);
            let at = (&phi, &from);
            let h = match linear {
                "cg" => pretraining.solver(TwoStage::new(Implicit::cg().tolerance(1e-14), tuning())).inner(inner).hypergradient(at.0, at.1),
                "minres" => {
                    pretraining.solver(TwoStage::new(Implicit::minres().tolerance(1e-14), tuning())).inner(inner).hypergradient(at.0, at.1)
                }
                _ => pretraining.solver(TwoStage::new(Implicit::direct(), tuning())).inner(inner).hypergradient(at.0, at.1),
            }
            .unwrap();
            assert!((h.value - value).abs() < 1e-10 * value, "{linear}: {} and {value}", h.value);
            for (found, expected) in h.gradient.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-10 * expected.abs(), "{linear}: {found} and {expected}");
            }
            assert!(h.inner.iter().zip(&theta).all(|(found, theta)| (found - theta).abs() < 1e-10));
            assert!(h.report.unrolled.is_some() && h.report.linear.is_some());
        }
    }
}

static NO_OUTER: std::sync::LazyLock<NoOuter<f64>> = std::sync::LazyLock::new(NoOuter::default);

/// An encoder, pre-trained with a weight for each example.
#[bilevel]
mod encoder {
    use super::*;

    #[inner(minimize = theta)]
    fn pretrain(theta: &Array2<f64>, weights: &Array1<f64>, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
        let miss = x.dot(theta).tanh() - y;
        ((&miss * &miss).sum_axis(Axis(1)) * weights.exp()).sum() + 0.5 * (theta * theta).sum()
    }

    #[outer(minimize = weights)]
    fn validate(theta: &Array2<f64>, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
        mse(&x.dot(theta).tanh(), y)
    }
}

/// A head is trained on what the frozen encoder gives; the weights have a price, and are in its penalty too.
#[bilevel]
mod frozen {
    use super::*;

    #[inner(minimize = psi)]
    fn support(psi: &Array1<f64>, theta: &Array2<f64>, weights: &Array1<f64>, xs: &Array2<f64>, ys: &Array1<f64>) -> f64 {
        mse(&xs.dot(theta).tanh().dot(psi), ys) + 0.02 * weights.exp().sum() * (psi * psi).sum()
    }

    #[outer(minimize(theta, weights))]
    fn query(psi: &Array1<f64>, theta: &Array2<f64>, weights: &Array1<f64>, xq: &Array2<f64>, yq: &Array1<f64>) -> f64 {
        mse(&xq.dot(theta).tanh().dot(psi), yq) + 0.01 * weights.exp().sum()
    }
}

/// The encoder is trained on with its head.
#[bilevel]
mod whole {
    use super::*;

    #[inner(minimize(psi, theta))]
    fn support(psi: &Array1<f64>, theta: &Array2<f64>, xs: &Array2<f64>, ys: &Array1<f64>) -> f64 {
        mse(&xs.dot(theta).tanh().dot(psi), ys) + 0.05 * (psi * psi).sum()
    }

    #[outer]
    fn query(psi: &Array1<f64>, theta: &Array2<f64>, xq: &Array2<f64>, yq: &Array1<f64>) -> f64 {
        mse(&xq.dot(theta).tanh().dot(psi), yq)
    }
}

/// Numbers without a pattern.
fn numbers(rows: usize, columns: usize, seed: f64) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(i, j)| ((i * columns + j) as f64 * 12.9898 + seed).sin() * 1.3)
}

#[test]
fn networks_agree_with_differences_of_both_stages() {
    let (x, y) = (numbers(8, 3, 1.0), numbers(8, 2, 2.0).tanh());
    let (xs, ys, xq, yq) = (numbers(5, 3, 3.0), numbers(5, 1, 4.0), numbers(6, 3, 5.0), numbers(6, 1, 6.0));
    let (ys, yq) = (ys.column(0).to_owned(), yq.column(0).to_owned());
    let pretraining = encoder::Problem { x: &x, y: &y };
    let (weights, theta) = (Array1::from_shape_fn(8, |k| 0.2 * k as f64 - 1.0), Array2::zeros((3, 2)));
    let psi = array![0.3, -0.2];
    let cg = || Implicit::cg().tolerance(1e-13);

    let task = frozen::Problem { xs: &xs, ys: &ys, xq: &xq, yq: &yq };
    let outer = (theta.clone(), weights.clone());
    let tuning = FineTuning::new(&task, &psi, &outer, Unrolled::mixed().steps(6), Momentum::new(0.2, 0.7));
    let mut solver = pretraining.solver(TwoStage::new(cg(), tuning)).inner(NewtonCg::default().tolerance(1e-13));
    let checked = solver.check(&weights, &theta).unwrap();
    assert!(checked.max_relative_error < 1e-6, "{checked}");
    // The whole is minimised like every other problem.
    let tuned = solver.minimize(&weights, &theta, Adam::new(0.1), 20).unwrap();
    assert!(tuned.value < tuned.trace[0].value);

    let task = whole::Problem { xs: &xs, ys: &ys, xq: &xq, yq: &yq };
    let start = (psi, theta.clone());
    let tuning = FineTuning::new(&task, &start, &NO_OUTER, Unrolled::mixed().steps(4), Adam::new(0.05).epsilon(0.1));
    let mut solver = pretraining.solver(TwoStage::new(cg(), tuning)).inner(NewtonCg::default().tolerance(1e-13));
    let checked = solver.check(&weights, &theta).unwrap();
    assert!(checked.max_relative_error < 1e-6, "{checked}");
}

#[test]
fn stages_that_do_not_fit_are_errors() {
    let [a, c, b, d] = matrices();
    let (t, u) = (array![0.7, -0.4, 0.2], array![-0.3, 0.6]);
    let task = head::Problem { b: &b, d: &d, t: &t, u: &u };
    let start = (Array1::zeros(3), Array1::zeros(2));
    let tuning = |unrolled: Unrolled| FineTuning::new(&task, &start, &NO_OUTER, unrolled, GradientDescent::new(0.1));

    // An encoder has nothing that the quadratic task knows by its name and length.
    let (x, y) = (numbers(8, 3, 1.0), numbers(8, 2, 2.0).tanh());
    let problem = encoder::Problem { x: &x, y: &y };
    let mut solver = problem.solver(TwoStage::new(Implicit::cg(), tuning(Unrolled::mixed().steps(3))));
    let error = solver.hypergradient(&Array1::zeros(8), &Array2::zeros((3, 2))).unwrap_err();
    assert_eq!(error.to_string(), "`theta` has 6 elements where it is pre-trained, and 3 where it is fine-tuned: one name is one variable");

    let pretraining = quadratic::Problem { a: &a, c: &c };
    let mut solver = pretraining.solver(TwoStage::new(Implicit::cg(), tuning(Unrolled::mixed())));
    let error = solver.hypergradient(&Array1::zeros(2), &Array1::zeros(3)).unwrap_err();
    assert!(error.to_string().contains("Unrolled::steps"), "{error}");
    let mut solver = pretraining.solver(TwoStage::new(Implicit::cg(), tuning(Unrolled::forward().steps(2))));
    let error = solver.hypergradient(&Array1::zeros(2), &Array1::zeros(3)).unwrap_err();
    assert!(error.to_string().contains("reverse mode"), "{error}");
}
