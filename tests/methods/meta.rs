//! Meta-learning on tasks of linear regression, where everything has a closed form, and on tasks of a network against differences.

use bilevel::meta::{Anil, IMaml, Maml, MetaAlgorithm, MetaLearner, MetaSgd, Reptile, adapt, meta_gradient};
use bilevel::prelude::*;

#[allow(unreachable_pub)]
#[bilevel]
mod regression {
    use super::*;

    #[inner(minimize = w)]
    pub fn support(w: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        let r = x.dot(w) - y;
        0.5 * r.dot(&r)
    }

    #[outer]
    pub fn query(w: &Array1<f64>, x_query: &Array2<f64>, y_query: &Array1<f64>) -> f64 {
        let r = x_query.dot(w) - y_query;
        0.5 * r.dot(&r)
    }
}

#[allow(unreachable_pub)]
#[bilevel]
mod curves {
    use super::*;

    #[derive(Params, Clone, Debug)]
    pub struct Net {
        pub body: Array2<f64>,
        pub head: Array1<f64>,
    }

    #[inner(minimize = net)]
    pub fn support(net: &Net, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&x.dot(&net.body).tanh().dot(&net.head), y)
    }

    #[outer]
    pub fn query(net: &Net, x_query: &Array2<f64>, y_query: &Array1<f64>) -> f64 {
        mse(&x_query.dot(&net.body).tanh().dot(&net.head), y_query)
    }
}

struct Data {
    x: Array2<f64>,
    y: Array1<f64>,
    x_query: Array2<f64>,
    y_query: Array1<f64>,
}

/// Data of task `k`, with two features.
fn data(k: usize) -> Data {
    let entry = |i: usize, j: usize, s: usize| ((i * 37 + j * 17 + k * 29 + s * 11 + i * j * 5) % 23) as f64 / 11.5 - 1.0;
    Data {
        x: Array2::from_shape_fn((4, 2), |(i, j)| entry(i, j, 0)),
        y: Array1::from_shape_fn(4, |i| entry(i, 3, 1)),
        x_query: Array2::from_shape_fn((3, 2), |(i, j)| entry(i, j, 2)),
        y_query: Array1::from_shape_fn(3, |i| entry(i, 4, 3)),
    }
}

const N_TASKS: usize = 7;
const RATE: f64 = 0.1;

fn regressions(all: &[Data]) -> Vec<regression::Problem<'_>> {
    all.iter().map(|d| regression::Problem { x: &d.x, y: &d.y, x_query: &d.x_query, y_query: &d.y_query }).collect()
}

fn curve_tasks(all: &[Data]) -> Vec<curves::Problem<'_>> {
    all.iter().map(|d| curves::Problem { x: &d.x, y: &d.y, x_query: &d.x_query, y_query: &d.y_query }).collect()
}

fn net() -> curves::Net {
    curves::Net { body: array![[0.4, -0.3, 0.2], [0.1, 0.5, -0.6]], head: array![0.3, -0.2, 0.7] }
}

/// The mean over tasks of a closed form, made from the Hessian `xᵀx`, the end of `f`, and the gradient of the query loss there.
fn mean(all: &[Data], theta: &Array1<f64>, f: impl Fn(&Data, &Array2<f64>, &Array1<f64>) -> Array1<f64>) -> Array1<f64> {
    let each = all.iter().map(|d| f(d, &d.x.t().dot(&d.x), theta));
    each.fold(Array1::zeros(2), |sum, x| sum + x) / all.len() as f64
}

fn close(found: &Array1<f64>, expected: &Array1<f64>, tolerance: f64) {
    assert!((found - expected).iter().all(|d| d.abs() < tolerance), "{found} and {expected}");
}

fn descend(d: &Data, theta: &Array1<f64>, n_steps: usize) -> Array1<f64> {
    (0..n_steps).fold(theta.clone(), |w, _| &w - &(d.x.t().dot(&(d.x.dot(&w) - &d.y)) * RATE))
}

fn query_grad(d: &Data, w: &Array1<f64>) -> Array1<f64> {
    d.x_query.t().dot(&(d.x_query.dot(w) - &d.y_query))
}

#[test]
fn linear_regression_has_the_closed_forms() {
    let all: Vec<Data> = (0..N_TASKS).map(data).collect();
    let (tasks, theta) = (regressions(&all), array![0.3, -0.8]);
    let step = GradientDescent::new(RATE);
    for n_steps in [1, 4] {
        let contract = |h: &Array2<f64>, u: Array1<f64>| (0..n_steps).fold(u, |u, _| &u - &(h.dot(&u) * RATE));
        let exact = mean(&all, &theta, |d, h, theta| contract(h, query_grad(d, &descend(d, theta, n_steps))));
        for unrolled in [Unrolled::mixed(), Unrolled::reverse(), Unrolled::mixed().checkpoints(Checkpoints::Binomial(2))] {
            let maml = Maml::new(step).unrolled(unrolled.steps(n_steps));
            close(&meta_gradient(&maml, &tasks, &theta).unwrap().gradient, &exact, 1e-12);
        }
        let first = mean(&all, &theta, |d, _, theta| query_grad(d, &descend(d, theta, n_steps)));
        close(&meta_gradient(&Maml::first_order(step).steps(n_steps), &tasks, &theta).unwrap().gradient, &first, 1e-12);
        let reptile = mean(&all, &theta, |d, _, theta| theta - &descend(d, theta, n_steps));
        close(&meta_gradient(&Reptile::new(step, n_steps), &tasks, &theta).unwrap().gradient, &reptile, 1e-12);
    }
    // One step with a rate for every weight: the derivative in the rates is -∇f ∘ ∇g.
    let rates = array![0.1, 0.05];
    let h = meta_gradient(&MetaSgd::default(), &tasks, &(theta.clone(), rates.clone())).unwrap();
    let end = |d: &Data, theta: &Array1<f64>| theta - &(d.x.t().dot(&(d.x.dot(theta) - &d.y)) * &rates);
    let by_rates = mean(&all, &theta, |d, _, theta| -d.x.t().dot(&(d.x.dot(theta) - &d.y)) * query_grad(d, &end(d, theta)));
    let by_theta = mean(&all, &theta, |d, h, theta| {
        let u = query_grad(d, &end(d, theta));
        &u - &h.dot(&(&rates * &u))
    });
    close(&h.gradient.0, &by_theta, 1e-12);
    close(&h.gradient.1, &by_rates, 1e-12);
}

#[test]
fn implicit_maml_solves_the_system_of_the_paper() {
    let all: Vec<Data> = (0..N_TASKS).map(data).collect();
    let (tasks, theta, rho) = (regressions(&all), array![0.3, -0.8], 2.0);
    let eye = Array2::<f64>::eye(2);
    // φ = (H + ρI)⁻¹ (xᵀy + ρθ), and d = (I + H/ρ)⁻¹ ∇g(φ).
    let exact = mean(&all, &theta, |d, h, theta| {
        let phi = linalg::solve(&(h + &(&eye * rho)), &(d.x.t().dot(&d.y) + theta * rho));
        linalg::solve(&(&eye + &(h / rho)), &query_grad(d, &phi))
    });
    let imaml = IMaml::new(GradientDescent::new(0.2), 300, rho);
    let h = meta_gradient(&imaml, &tasks, &theta).unwrap();
    close(&h.gradient, &exact, 1e-10);
    // Differentiating many proximal steps leads there too, and the system of the released code does not.
    let other = meta_gradient(&imaml.damped_compat(), &tasks, &theta).unwrap();
    let released = mean(&all, &theta, |d, h, theta| {
        let phi = linalg::solve(&(h + &(&eye * rho)), &(d.x.t().dot(&d.y) + theta * rho));
        linalg::solve(&(&eye * 2.0 + &(h / (rho + 10.0))), &query_grad(d, &phi))
    });
    close(&other.gradient, &released, 1e-10);
    assert!((other.gradient - &exact).dot(&array![1.0, 1.0]).abs() > 1e-3);
}

#[test]
fn implicit_maml_may_end_at_negative_curvature() {
    let all: Vec<Data> = (0..N_TASKS).map(data).collect();
    let tasks = curve_tasks(&all);
    // So small a weight leaves saddles of the support loss what they are.
    let imaml = IMaml::new(GradientDescent::new(0.05), 1, 1e-2);
    let error = meta_gradient(&imaml, &tasks, &net()).unwrap_err();
    assert!(error.to_string().contains("not positive definite"), "{error}");
    let imaml = imaml.truncate_at_negative_curvature();
    for task in &tasks {
        let task = std::slice::from_ref(task);
        let direction = meta_gradient(&imaml, task, &net()).unwrap().gradient;
        let phi = adapt(&imaml, task, &net()).unwrap().remove(0);
        // The query loss falls against the direction.
        let loss = |by: f64| {
            let moved = phi.with_elements((phi.flat() - direction.flat() * by).as_slice().unwrap());
            curves::query(&moved, task[0].x_query, task[0].y_query)
        };
        assert!(direction.l2_norm() > 0.0 && loss(1e-6) < loss(-1e-6));
    }
}

/// The gradient of the mean query loss after adaptation by central differences.
fn differences(
    algorithm: &impl MetaAlgorithm<curves::Problem<'static>, Learned = curves::Net>,
    tasks: &[curves::Problem<'static>],
    at: &curves::Net,
) -> Vec<f64> {
    let flat = at.flat();
    let value = |theta: &Array1<f64>| {
        let nets = adapt(algorithm, tasks, &at.with_elements(theta.as_slice().unwrap())).unwrap();
        nets.iter().zip(tasks).map(|(net, task)| curves::query(net, task.x_query, task.y_query)).sum::<f64>() / tasks.len() as f64
    };
    let h = 1e-5;
    let along = |i: usize| {
        let moved = |by: f64| {
            let mut theta = flat.clone();
            theta[i] += by;
            value(&theta)
        };
        (moved(h) - moved(-h)) / (2.0 * h)
    };
    (0..flat.len()).map(along).collect()
}

#[test]
fn tasks_of_a_network_agree_with_differences() {
    let all: &'static [Data] = Box::leak((0..N_TASKS).map(data).collect::<Vec<_>>().into_boxed_slice());
    let tasks = curve_tasks(all);
    let check = |algorithm: &dyn Fn() -> (Vec<f64>, Vec<f64>)| {
        let (found, expected) = algorithm();
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-8, "{found} and {expected}");
        }
    };
    let maml = Maml::new(Adam::new(0.05).epsilon(0.1)).steps(3);
    check(&|| (meta_gradient(&maml, &tasks, &net()).unwrap().gradient.flat().to_vec(), differences(&maml, &tasks, &net())));
    let anil = Anil::new(0.3, &["net.head"]).steps(4);
    check(&|| (meta_gradient(&anil, &tasks, &net()).unwrap().gradient.flat().to_vec(), differences(&anil, &tasks, &net())));
    let adapted = adapt(&anil, &tasks, &net()).unwrap();
    assert!(adapted.iter().all(|adapted| adapted.body == net().body && adapted.head != net().head));
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let all: Vec<Data> = (0..N_TASKS).map(data).collect();
    let (tasks, maml) = (curve_tasks(&all), Maml::new(GradientDescent::new(0.2)).steps(2));
    let bits = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| meta_gradient(&maml, &tasks, &net()).unwrap().gradient.flat().mapv(f64::to_bits))
    };
    let one = bits(1);
    for n_threads in [2, 3, 5] {
        assert_eq!(bits(n_threads), one);
    }
}

#[test]
fn learning_makes_adaptation_better() {
    let all: Vec<Data> = (0..N_TASKS).map(data).collect();
    let tasks = curve_tasks(&all);
    let mut learner = MetaLearner::new(Maml::new(GradientDescent::new(0.2)), Adam::new(0.03), net()).unwrap();
    let first = learner.step(&tasks).unwrap();
    let last = (0..60).map(|_| learner.step(&tasks).unwrap()).last().unwrap();
    assert!(last < 0.8 * first, "{first} and {last}");
}

#[test]
fn steps_are_scaled_like_their_rate() {
    let all: Vec<Data> = (0..N_TASKS).map(data).collect();
    let (tasks, maml) = (regressions(&all), Maml::new(GradientDescent::new(RATE)));
    let theta = array![0.3, -0.8];
    let learn = |rate: f64, factor: f64| {
        let mut learner = MetaLearner::new(maml, Adam::new(rate), theta.clone()).unwrap();
        learner.scale_steps(factor);
        learner.step(&tasks).unwrap();
        learner.step(&tasks).unwrap();
        learner.learned().clone()
    };
    close(&learn(0.2, 0.25), &learn(0.05, 1.0), 1e-14);
    assert_eq!(learn(0.2, 0.0), theta);
    let mut learner = MetaLearner::new(maml, Adam::new(0.1), theta.clone()).unwrap();
    for factor in [-1.0, f64::NAN, f64::INFINITY] {
        learner.scale_steps(factor);
        let error = learner.step(&tasks).unwrap_err();
        assert!(error.to_string().contains("MetaLearner::scale_steps"), "{error}");
        assert_eq!(learner.learned(), &theta);
    }
}

#[test]
fn what_cannot_be_learned_is_an_error() {
    let all: Vec<Data> = (0..3).map(data).collect();
    let tasks = curve_tasks(&all);
    let words = |error: bilevel::Error, words: &str| assert!(error.to_string().contains(words), "{error}");
    words(meta_gradient(&Anil::new(0.1, &["net.tail"]), &tasks, &net()).unwrap_err(), "`net.body`, `net.head`");
    words(meta_gradient(&Anil::new(-0.1, &["net.head"]), &tasks, &net()).unwrap_err(), "Anil::new");
    let step = GradientDescent::new(0.1);
    words(meta_gradient(&Maml::new(step), &tasks[..0], &net()).unwrap_err(), "at least one task");
    words(meta_gradient(&Maml::new(step).unrolled(Unrolled::forward().steps(2)), &tasks, &net()).unwrap_err(), "Unrolled::mixed");
    words(meta_gradient(&Maml::new(step).steps(0), &tasks, &net()).unwrap_err(), "Unrolled::steps");
    words(meta_gradient(&IMaml::new(step, 3, 0.0), &tasks, &net()).unwrap_err(), "rho");
    let mut broken = data(1);
    broken.y[2] = f64::NAN;
    let mut tasks = tasks;
    tasks[1].y = &broken.y;
    words(meta_gradient(&Maml::new(step), &tasks, &net()).unwrap_err(), "in task 1: `y` contains NaN");
}
