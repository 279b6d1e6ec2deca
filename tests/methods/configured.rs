//! The method in the attribute: what it means is the path of builder calls of the same names, bit for bit.

use bilevel::linear::Preconditioner;
use bilevel::methods::Noise;
use bilevel::prelude::*;

/// A problem with a method in its attribute, and a test that compares it with builder calls.
macro_rules! configured {
    ($name:ident, [$($attribute:tt)*], $method:expr, $inner:expr) => {
        mod $name {
            use super::*;

            #[bilevel($($attribute)*)]
            pub mod problem {
                use super::*;

                #[inner(minimize = w)]
                pub fn train(w: &Array1<f64>, log_rate: &f64, log_l2: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
                    mse(&x.dot(w), y) + (log_l2.exp() * w * w).sum() + 0.01 * log_rate * w.sum()
                }

                #[outer(minimize(log_rate, log_l2))]
                pub fn validate(w: &Array1<f64>, x_val: &Array2<f64>, y_val: &Array1<f64>) -> f64 {
                    mse(&x_val.dot(w), y_val)
                }
            }

            #[test]
            fn is_the_builder() {
                let (x, y) = (array![[1.0, 0.2], [0.3, -1.0], [0.5, 0.5], [-1.2, 0.4]], array![1.1, 0.1, 0.7, -1.0]);
                let problem = problem::Problem { x: &x, y: &y, x_val: &array![[0.9, 0.1], [-0.4, 1.0]], y_val: &array![1.0, -0.5] };
                let (outer, start) = ((-2.0, array![-1.0, -1.5]), array![0.1, -0.2]);
                let expected = problem.solver($method).inner($inner).hypergradient(&outer, &start).unwrap();
                assert_eq!(problem.hypergradient(&outer, &start).unwrap(), expected);
                assert_eq!(problem.configured().hypergradient(&outer, &start).unwrap(), expected);
                let solved = problem.solver($method).inner($inner).solve_inner(&outer, &start).unwrap();
                assert_eq!(problem.solve_inner(&outer, &start).unwrap(), solved);
                let tuned = problem.minimize(&outer, &start, Adam::new(0.05), 3).unwrap();
                let expected = problem.solver($method).inner($inner).minimize(&outer, &start, Adam::new(0.05), 3).unwrap();
                assert_eq!((tuned.outer, tuned.inner, tuned.value), (expected.outer, expected.inner, expected.value));
                // The builder chooses otherwise where it is called.
                problem.solver(Implicit::cg()).inner(NewtonCg::default()).hypergradient(&outer, &start).unwrap();
            }
        }
    };
}

/// A constant may stand for a number.
const TOLERANCE: f64 = 1e-10;

configured!(
    cg,
    [
        hypergradient = implicit(
            cg,
            tolerance = TOLERANCE,
            max_iterations = 50,
            preconditioner = estimated_diagonal(3, seed = 7, every = 2),
            damping = 0.01,
            strong_convexity = 1e-3,
            error_bound = false,
            warm_start = false,
            unconverged = true
        ),
        inner = lbfgs(tolerance = 1e-8, max_iterations = 200, memory = 5)
    ],
    Implicit::cg()
        .tolerance(1e-10)
        .max_iterations(50)
        .preconditioner(Preconditioner::estimated_diagonal(3).seed(7).every(2))
        .damping(0.01)
        .strong_convexity(1e-3)
        .error_bound(false)
        .warm_start(false)
        .unconverged(true),
    Lbfgs::default().tolerance(1e-8).max_iterations(200).memory(5)
);
configured!(
    other_preconditioners,
    [
        hypergradient = implicit(cg, preconditioner = nystrom(2, seed = 1)),
        inner = gradient_descent(tolerance = 1e-9, max_iterations = 1000)
    ],
    Implicit::cg().preconditioner(Preconditioner::nystrom(2).seed(1)),
    GradientDescent::default().tolerance(1e-9).max_iterations(1000)
);
configured!(
    direct,
    [hypergradient = implicit(direct, allow_indefinite, damping = 0.1), inner = newton_cg(tolerance = 1e-9, max_iterations = 20)],
    Implicit::direct().allow_indefinite().damping(0.1),
    NewtonCg::default().tolerance(1e-9).max_iterations(20)
);
configured!(
    pseudo_inverse,
    [hypergradient = implicit(direct, pseudo_inverse = 1e-3), inner = gradient_descent(0.2)],
    Implicit::direct().pseudo_inverse(1e-3),
    GradientDescent::new(0.2)
);
configured!(
    minres,
    [hypergradient = implicit(minres, tolerance = 1e-3, max_iterations = 1), inner = lbfgs],
    Implicit::minres().tolerance(1e-3).max_iterations(1),
    Lbfgs::default()
);
configured!(
    gmres,
    [hypergradient = implicit(gmres, restart = 1, tolerance = 1e-6), inner = lbfgs],
    Implicit::gmres().restart(1).tolerance(1e-6),
    Lbfgs::default()
);
configured!(
    bicgstab,
    [hypergradient = implicit(bicgstab, tolerance = 1e-5, max_iterations = 1)],
    Implicit::bicgstab().tolerance(1e-5).max_iterations(1),
    Lbfgs::default()
);
configured!(neumann, [hypergradient = implicit(neumann, terms = 7, step = 0.2)], Implicit::neumann().terms(7).step(0.2), Lbfgs::default());
configured!(one_step, [hypergradient = implicit(one_step, step = 0.3)], Implicit::one_step().step(0.3), Lbfgs::default());
configured!(
    nystrom,
    [hypergradient = implicit(nystrom, rank = 1, rho = 0.2, seed = 3)],
    Implicit::nystrom().rank(1).rho(0.2).seed(3),
    Lbfgs::default()
);
configured!(
    evograd,
    [
        hypergradient = evograd(copies = 8, sigma = 0.01, temperature = 0.5, seed = 5, noise = normal, rescaled = true),
        inner = lbfgs(tolerance = 1e-6)
    ],
    EvoGrad::default().copies(8).sigma(0.01).temperature(0.5).seed(5).noise(Noise::Normal).rescaled(true),
    Lbfgs::default().tolerance(1e-6)
);
configured!(
    finite_differences,
    [hypergradient = finite_differences(radius = 1e-4, tolerance = 1e-7, max_iterations = 9)],
    FiniteDifferences::default().radius(1e-4).tolerance(1e-7).max_iterations(9),
    Lbfgs::default()
);
configured!(
    reverse,
    [hypergradient = unrolled(mode = reverse, steps = 9, checkpoint = every(3)), inner = gradient_descent(log_rate.exp())],
    Unrolled::reverse().steps(9).checkpoints(Checkpoints::Every(3)),
    GradientDescent::new(Hyper::outer("log_rate").exp())
);
configured!(
    mixed,
    [hypergradient = unrolled(steps = 9, mode = mixed, memory = "16 KiB"), inner = momentum(rate = log_rate.exp(), momentum = 0.7)],
    Unrolled::mixed().steps(9).memory(16_384),
    Momentum::new(Hyper::outer("log_rate").exp(), 0.7)
);
configured!(
    forward,
    [hypergradient = unrolled(mode = forward, steps = 9, until = 1e-3), inner = nesterov(0.1, log_rate.sigmoid())],
    Unrolled::forward().steps(9).until(1e-3),
    Nesterov::new(0.1, Hyper::outer("log_rate").sigmoid())
);
configured!(
    in_parts,
    [hypergradient = unrolled(mode = online, steps = 9, every = 4, clamp = 10.0), inner = momentum(0.1, log_rate.sigmoid())],
    Unrolled::online().steps(9).every(4).clamp(10.0),
    Momentum::new(0.1, Hyper::outer("log_rate").sigmoid())
);
configured!(
    truncated,
    [
        hypergradient = unrolled(mode = truncated, steps = 9, last = 4, checkpoint = binomial(2)),
        inner = rms_prop(0.1, decay = 0.9, epsilon = 0.1)
    ],
    Unrolled::truncated().steps(9).last(4).checkpoints(Checkpoints::Binomial(2)),
    RmsProp::new(0.1).decay(0.9).epsilon(0.1)
);
configured!(
    per_weight,
    [
        hypergradient = unrolled(mode = mixed, steps = 2, checkpoint = sqrt),
        inner = adam(log_l2.exp().per_weight(), beta1 = 0.8, beta2 = 0.9, epsilon = 0.1)
    ],
    Unrolled::mixed().steps(2).checkpoints(Checkpoints::Sqrt),
    Adam::new(Hyper::outer("log_l2").exp().per_weight()).beta1(0.8).beta2(0.9).epsilon(0.1)
);
configured!(
    per_step,
    [
        hypergradient = unrolled(mode = mixed, steps = 2, checkpoint = all),
        inner = adamw(log_l2.per_step().exp(), 0.1, beta1 = 0.8, epsilon = 0.1)
    ],
    Unrolled::mixed().steps(2).checkpoints(Checkpoints::All),
    AdamW::new(Hyper::outer("log_l2").exp().per_step(), 0.1).beta1(0.8).epsilon(0.1)
);
configured!(
    online,
    [hypergradient = unrolled(mode = mixed, steps = 30, until = 1e-2, checkpoint = online(4)), inner = gradient_descent(0.3)],
    Unrolled::mixed().steps(30).until(1e-2).checkpoints(Checkpoints::Online(4)),
    GradientDescent::new(0.3)
);

#[bilevel(hypergradient = implicit(cg, tolerance = 1e-12), inner = newton_cg)]
pub mod checked {
    #[inner(minimize = w)]
    pub fn train(w: &f64, log_l2: &f64, target: f64) -> f64 {
        (w - target).powi(2) + log_l2.exp() * w * w
    }

    #[outer(minimize = log_l2)]
    pub fn validate(w: &f64) -> f64 {
        (w - 0.5).powi(2)
    }
}

#[test]
fn the_check_is_that_of_the_solver() {
    let problem = checked::Problem { target: 1.5 };
    let checked = problem.check(&0.1, &0.0).unwrap();
    assert!(checked.max_relative_error < 1e-8, "{checked}");
    let expected = problem.solver(Implicit::cg().tolerance(1e-12)).inner(NewtonCg::default()).check(&0.1, &0.0).unwrap();
    assert_eq!(checked, expected);
}
