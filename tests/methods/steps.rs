//! Steps that the user writes: against the built-in optimisers, in all modes, and against differences.

use bilevel::methods::{Dynamics, OwnStep};
use bilevel::prelude::*;
use bilevel::solver::HypergradientOf;

use super::{N_STEPS, ways};

/// The exact quadratic of `problems`, with gradient descent.
#[bilevel]
pub mod descent {
    use super::*;

    #[inner(minimize = z)]
    pub fn inner(z: &Array1<f64>, x: &Array1<f64>, h: &Array2<f64>, b: &Array2<f64>, c: &Array1<f64>) -> f64 {
        0.5 * z.dot(&h.dot(z)) - z.dot(&(b.dot(x) + c))
    }

    #[step]
    pub fn descend(z: &Array1<f64>, x: &Array1<f64>, h: &Array2<f64>, b: &Array2<f64>, c: &Array1<f64>, rate: f64) -> Array1<f64> {
        z - rate * grad!(inner, z)
    }

    #[outer(minimize = x)]
    pub fn outer(z: &Array1<f64>, x: &Array1<f64>, target: &Array1<f64>) -> f64 {
        0.5 * (z - target).mapv(|r| r * r).sum() + 0.25 * x.dot(x)
    }
}

/// The same with the method in the attribute.
#[bilevel(hypergradient = unrolled(mode = mixed, steps = 9), inner = own_step)]
pub mod configured {
    use super::*;

    #[inner(minimize = w)]
    pub fn inner(w: &f64, l: &f64) -> f64 {
        (w - 1.0).powi(2) + l.exp() * w * w
    }

    #[step]
    pub fn descend(w: &f64, l: &f64, rate: &f64) -> f64 {
        w - rate * grad!(inner, w)
    }

    #[outer(minimize(l, rate))]
    pub fn outer(w: &f64) -> f64 {
        (w - 0.5).powi(2)
    }
}

/// A quartic in one number, with momentum whose hyperparameters only the step reads.
#[bilevel]
pub mod scalar {
    #[inner(minimize = w)]
    pub fn inner(w: &f64, l: &f64, a: f64) -> f64 {
        (w - a).powi(2) + 0.2 * w.powi(4) + l.exp() * w * w
    }

    #[step]
    pub fn momentum(w: &f64, v: &f64, l: &f64, log_rate: &f64, decay: &f64, a: f64) -> (f64, f64) {
        let v = decay * v + grad!(inner, w);
        (w - log_rate.exp() * v, v)
    }

    #[outer(minimize(l, log_rate, decay))]
    pub fn outer(w: &f64, l: &f64) -> f64 {
        (w - 0.5).powi(2) + 0.1 * l * l
    }
}

/// The same quartic with a built-in optimiser, whose hyperparameters are named with their types.
#[bilevel]
pub mod named {
    use super::*;

    #[inner(minimize = w)]
    pub fn inner(w: &f64, l: &f64, a: f64) -> f64 {
        (w - a).powi(2) + 0.2 * w.powi(4) + l.exp() * w * w
    }

    #[outer(minimize = l, optimizer(log_rates: Array1<f64>, decay: f64))]
    pub fn outer(w: &f64, l: &f64) -> f64 {
        (w - 0.5).powi(2) + 0.1 * l * l
    }
}

/// Two arrays that meet in a product, with Nesterov's method: the gradient is that of a point ahead.
#[bilevel]
pub mod coupled {
    use super::*;

    #[inner(minimize(v, m))]
    pub fn inner(v: &Array1<f64>, m: &Array2<f64>, log_l2: &Array1<f64>, shift: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        let hidden = x.dot(m).tanh();
        mse(&(hidden.dot(v) + *shift), y) + (log_l2.exp() * v * v).sum() + 0.1 * m.mapv(|m| m * m).sum()
    }

    #[step]
    pub fn nesterov(
        v: &Array1<f64>,
        m: &Array2<f64>,
        v_speed: &Array1<f64>,
        m_speed: &Array2<f64>,
        log_l2: &Array1<f64>,
        shift: &f64,
        rate: &f64,
        decay: f64,
        x: &Array2<f64>,
        y: &Array1<f64>,
    ) -> (Array1<f64>, Array2<f64>, Array1<f64>, Array2<f64>) {
        // What is minimized is the point ahead, as in the built-in optimiser.
        let (v_here, m_here) = (v - decay * v_speed, m - decay * m_speed);
        let (v_bar, m_bar) = grad!(inner(&(&v_here + decay * v_speed), &(&m_here + decay * m_speed), log_l2, shift, x, y), (v, m));
        let (v_speed, m_speed) = (decay * v_speed - *rate * v_bar, decay * m_speed - *rate * m_bar);
        (v_here + (1.0 + decay) * &v_speed, m_here + (1.0 + decay) * &m_speed, v_speed, m_speed)
    }

    #[outer(minimize(log_l2, shift, rate))]
    pub fn outer(v: &Array1<f64>, m: &Array2<f64>, shift: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&(x.dot(m).dot(v) * 0.9 + *shift), y)
    }
}

/// A network whose weights are one value, with Adam, and with a rate of its own for every weight of a layer.
#[bilevel]
pub mod network {
    use super::*;

    #[derive(Params, Clone, Debug)]
    pub struct Net {
        pub hidden: Array2<f64>,
        pub out: Array2<f64>,
    }

    #[inner(minimize = net)]
    pub fn inner(net: &Net, log_l2: &Array1<f64>, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        let penalty = log_l2[0].exp() * net.hidden.mapv(|w| w * w).sum() + log_l2[1].exp() * net.out.mapv(|w| w * w).sum();
        cross_entropy(&x.dot(&net.hidden).tanh().dot(&net.out), y) + penalty
    }

    fn adam(w: &Array2<f64>, m: &Array2<f64>, s: &Array2<f64>, rate: f64, epsilon: f64, k: f64) -> Array2<f64> {
        w - rate * m / (1.0 - 0.9_f64.powf(k)) / ((s / (1.0 - 0.999_f64.powf(k))).sqrt() + epsilon)
    }

    #[step]
    pub fn step(
        net: &Net,
        mean: &Net,
        square: &Net,
        log_l2: &Array1<f64>,
        t: usize,
        rate: &f64,
        epsilon: f64,
        x: &Array2<f64>,
        y: &Array1<usize>,
    ) -> (Net, Net, Net) {
        let g = grad!(inner, net);
        let k = t as f64 + 1.0;
        let mean = Net { hidden: 0.9 * &mean.hidden + 0.1 * &g.hidden, out: 0.9 * &mean.out + 0.1 * &g.out };
        let square =
            Net { hidden: 0.999 * &square.hidden + 0.001 * &g.hidden * &g.hidden, out: 0.999 * &square.out + 0.001 * &g.out * &g.out };
        let net = Net {
            hidden: adam(&net.hidden, &mean.hidden, &square.hidden, *rate, epsilon, k),
            out: adam(&net.out, &mean.out, &square.out, *rate, epsilon, k),
        };
        (net, mean, square)
    }

    #[outer(minimize(log_l2, rate))]
    pub fn outer(net: &Net, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        cross_entropy(&(x.dot(&net.hidden) * 1.1).tanh().dot(&net.out), y)
    }
}

/// A rate for every weight, and another factor in each step.
#[bilevel]
pub mod rates {
    use super::*;

    #[inner(minimize = w)]
    pub fn inner(w: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&x.dot(w), y) + 0.1 * w.mapv(|w| w.powi(4)).sum()
    }

    #[step]
    pub fn step(
        w: &Array1<f64>,
        log_rates: &Array1<f64>,
        factors: &Array1<f64>,
        t: usize,
        x: &Array2<f64>,
        y: &Array1<f64>,
    ) -> Array1<f64> {
        w - factors[t] * log_rates.exp() * grad!(inner, w)
    }

    #[outer(minimize(log_rates, factors))]
    pub fn outer(w: &Array1<f64>, y: &Array1<f64>) -> f64 {
        (w[0] - y[0]).powi(2) + w[1] * y[1]
    }
}

/// Two gradients in a step, of which one stands in a loop, and the last gradient as the state.
#[bilevel]
pub mod several {
    use super::*;

    #[inner(minimize = w)]
    pub fn inner(w: &Array1<f64>, a: &Array1<f64>) -> f64 {
        ((w - a) * (w - a)).sum() + (w * a).sum().tanh()
    }

    pub fn barrier(w: &Array1<f64>, a: &Array1<f64>) -> f64 {
        0.1 * (w * w * a).sum().exp()
    }

    #[step]
    pub fn step(w: &Array1<f64>, last: &Array1<f64>, a: &Array1<f64>) -> (Array1<f64>, Array1<f64>) {
        let mut ahead = w - 0.05 * last;
        for _ in 0..3 {
            ahead = &ahead - 0.1 * grad!(inner(&ahead, a), w);
        }
        let (value, g) = value_and_grad!(barrier(&ahead, a), w);
        (ahead - 0.1 * value * &g, g)
    }

    #[outer(minimize = a)]
    pub fn outer(w: &Array1<f64>, a: &Array1<f64>) -> f64 {
        (w * w).sum() + 0.1 * (a * a).sum()
    }
}

/// All ways agree with the first, and with differences.
fn check<P: BilevelProblem<Float = f64>>(
    problem: &P,
    outer: &P::Outer,
    inner: &P::Inner,
    dynamics: impl Dynamics<P> + Clone,
) -> HypergradientOf<P> {
    let mut first: Option<HypergradientOf<P>> = None;
    for way in ways(true) {
        let mut solver = problem.solver(way).inner(dynamics.clone());
        let h = solver.hypergradient(outer, inner).unwrap();
        let checked = solver.check_with(outer, inner, &Differences::default().step(0.01)).unwrap();
        assert!(checked.max_relative_error < 1e-6, "{way:?}\n{checked}");
        let expected = first.get_or_insert_with(|| h.clone());
        same::<P>(&h, expected, 1e-12, &format!("{way:?}"));
    }
    first.unwrap()
}

fn same<P: BilevelProblem<Float = f64>>(h: &HypergradientOf<P>, expected: &HypergradientOf<P>, tolerance: f64, what: &str) {
    let mut difference = h.gradient.clone();
    difference.add_scaled(-1.0, &expected.gradient);
    assert!(
        difference.l2_norm() <= tolerance * expected.gradient.l2_norm(),
        "{what}: {} of {}",
        difference.l2_norm(),
        expected.gradient.l2_norm()
    );
    assert!((h.value - expected.value).abs() <= tolerance * expected.value.abs(), "{what}");
}

#[test]
fn gradient_descent_gives_the_golden_values_to_the_bit() {
    let (h, b) = (array![[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]], array![[1.0, 2.0], [0.0, 1.0], [-1.0, 1.0]]);
    let (c, target) = (array![1.0, 0.0, -1.0], array![1.0, 1.0, 1.0]);
    let problem = descent::Problem { h: &h, b: &b, c: &c, rate: 0.125, target: &target };
    let (x, z) = (array![1.0, -1.0], Array1::zeros(3));
    for (n_steps, expected) in [(1, [35.0 / 64.0, -17.0 / 16.0]), (3, [53_311.0 / 65_536.0, -6_335.0 / 4_096.0])] {
        for way in ways(true) {
            let way = if format!("{way:?}").contains("truncated: true") { way.last(n_steps) } else { way };
            let h = problem.solver(way.steps(n_steps)).inner(OwnStep::default()).hypergradient(&x, &z).unwrap();
            assert_eq!(h.gradient.to_vec(), expected, "{way:?}");
        }
    }
    let expected = problem.solver(Unrolled::mixed().steps(10)).inner(GradientDescent::new(0.125)).hypergradient(&x, &z).unwrap();
    let truncated = Unrolled::truncated().last(3).steps(10);
    let last = problem.solver(truncated).inner(OwnStep::default()).hypergradient(&x, &z).unwrap();
    assert_eq!(last.gradient.to_vec(), [66_835_190_015.0 / 68_719_476_736.0, -28_756_363_463.0 / 17_179_869_184.0]);
    let h = check(&problem, &x, &z, OwnStep::default());
    let again = problem.solver(Unrolled::mixed().steps(10)).inner(OwnStep::default()).hypergradient(&x, &z).unwrap();
    assert_eq!(again.gradient, expected.gradient);
    assert!(h.gradient != expected.gradient);
}

#[test]
fn momentum_on_a_number_with_hyperparameters_that_only_the_step_reads() {
    let problem = scalar::Problem { a: 1.3 };
    let outer = (0.4, 0.05_f64.ln(), 0.7);
    let h = check(&problem, &outer, &0.2, OwnStep::default());
    let built_in = Momentum::new(Hyper::outer("log_rate").exp(), Hyper::outer("decay"));
    let expected = check(&problem, &outer, &0.2, built_in);
    same::<scalar::Problem>(&h, &expected, 1e-13, "momentum");
    let per_step = Momentum::new(Hyper::outer("log_rates").exp().per_step(), Hyper::outer("decay"));
    let named = check(&named::Problem { a: 1.3 }, &(0.4, Array1::from_elem(N_STEPS, outer.1), 0.7), &0.2, per_step);
    let (l, log_rates, decay) = named.gradient;
    for (found, expected) in [(l, h.gradient.0), (log_rates.sum(), h.gradient.1), (decay, h.gradient.2)] {
        assert!((found - expected).abs() <= 1e-13 * expected.abs(), "{found} {expected}");
    }
}

#[test]
fn nesterov_on_two_arrays_with_its_gradient_ahead() {
    let x = array![[0.5, -0.2], [0.1, 0.9], [-0.7, 0.4], [0.3, 0.3]];
    let y = array![0.4, -0.1, 0.8, 0.2];
    let outer = (array![-0.5, 0.3], 0.7, 0.05);
    let inner = (array![0.1, -0.2], array![[0.3, 0.1], [-0.1, 0.2]]);
    let problem = coupled::Problem { x: &x, y: &y, decay: 0.7 };
    let own = check(&problem, &outer, &inner, OwnStep::default());
    let expected = check(&problem, &outer, &inner, Nesterov::new(Hyper::outer("rate"), 0.7));
    same::<coupled::Problem<'_>>(&own, &expected, 1e-13, "Nesterov");
    // With a speed before the first step, the gradient is taken elsewhere.
    let moving = OwnStep::default().state(&(array![0.1, 0.2], array![[0.0, 0.1], [0.2, 0.0]]));
    let moved = check(&problem, &outer, &inner, moving);
    assert!((moved.value - own.value).abs() > 1e-3);
    assert_eq!(N_STEPS, moved.report.unrolled.as_ref().unwrap().n_steps);
}

#[test]
fn adam_on_a_struct() {
    let x = array![[0.5, -0.2, 1.0], [0.1, 0.9, -0.3], [-0.7, 0.4, 0.2], [0.3, 0.3, -0.8], [0.9, -0.6, 0.1]];
    let y = array![0, 1, 2, 1, 0];
    let start = network::Net { hidden: array![[0.2, -0.1], [0.3, 0.4], [-0.2, 0.1]], out: array![[0.3, -0.2, 0.1], [0.1, 0.2, -0.3]] };
    let outer = (array![-2.0, -1.0], 0.05);
    let problem = network::Problem { x: &x, y: &y, epsilon: 0.1 };
    let h = check(&problem, &outer, &start, OwnStep::default());
    let expected = check(&problem, &outer, &start, Adam::new(Hyper::outer("rate")).epsilon(0.1));
    same::<network::Problem<'_>>(&h, &expected, 1e-13, "Adam");
}

#[test]
fn rates_of_weights_and_of_steps() {
    let x = array![[0.5, -0.2], [0.1, 0.9], [-0.7, 0.4], [0.3, 0.3]];
    let y = array![0.4, -0.1, 0.8, 0.2];
    let problem = rates::Problem { x: &x, y: &y };
    let (log_rates, w) = (array![-1.0, -2.0], array![0.7, -0.4]);
    let outer = (log_rates.clone(), Array1::linspace(1.0, 0.5, N_STEPS));
    check(&problem, &outer, &w, OwnStep::default());
    let ones = (log_rates, Array1::ones(N_STEPS));
    let h = check(&problem, &ones, &w, OwnStep::default());
    let built_in = GradientDescent::new(Hyper::outer("log_rates").exp().per_weight());
    let expected = problem.solver(Unrolled::mixed().steps(N_STEPS)).inner(built_in).hypergradient(&ones, &w).unwrap();
    let difference = (&h.gradient.0 - &expected.gradient.0).l2_norm();
    assert!(difference <= 1e-13 * expected.gradient.0.l2_norm());
    // A factor is missing for the last step.
    let short = (ones.0, Array1::ones(N_STEPS - 1));
    let error = problem.solver(Unrolled::mixed().steps(N_STEPS)).inner(OwnStep::default()).hypergradient(&short, &w).unwrap_err();
    assert!(error.to_string().contains("`factors`"), "{error}");
}

#[test]
fn several_gradients_in_a_step() {
    let (a, w) = (array![0.4, -0.3], array![0.5, 0.2]);
    check(&several::Problem {}, &a, &w, OwnStep::default());
}

#[test]
fn own_steps_in_the_attribute() {
    let problem = configured::Problem {};
    let outer = (0.4, 0.1);
    let h = problem.hypergradient(&outer, &0.2).unwrap();
    let expected = check(&problem, &outer, &0.2, GradientDescent::new(Hyper::outer("rate")));
    same::<configured::Problem>(&h, &expected, 1e-13, "attribute");
}

#[test]
fn states_that_do_not_fit_are_errors() {
    let problem = scalar::Problem { a: 1.3 };
    let outer = (0.4, -3.0, 0.7);
    let error = |step: OwnStep| problem.solver(Unrolled::mixed().steps(3)).inner(step).hypergradient(&outer, &0.2).unwrap_err().to_string();
    assert!(error(OwnStep::default().state(&(1.0, 2.0))).contains("`v`"));
    assert!(error(OwnStep::default().state(&array![1.0])).contains("`v`"));
    assert!(error(OwnStep::default().state(&f64::NAN)).contains("`v`"));
    let wild = problem.solver(Unrolled::mixed().steps(50)).inner(OwnStep::default()).hypergradient(&(0.4, 5.0, 0.7), &0.2).unwrap_err();
    assert!(wild.to_string().contains("step"), "{wild}");
}

#[test]
fn runs_go_in_parts_and_fit_into_memory() {
    let problem = scalar::Problem { a: 1.3 };
    let (outer, w) = ((0.4, 0.05_f64.ln(), 0.7), 0.2);
    let hypergradient =
        |method: Unrolled| problem.solver(method.steps(N_STEPS)).inner(OwnStep::default().state(&0.3)).hypergradient(&outer, &w);
    let expected = hypergradient(Unrolled::forward()).unwrap();
    let online = hypergradient(Unrolled::online().every(N_STEPS)).unwrap();
    assert_eq!((online.gradient, online.value), (expected.gradient, expected.value));
    let fitted = hypergradient(Unrolled::mixed().memory("1 MiB")).unwrap();
    same::<scalar::Problem>(&fitted, &expected, 1e-12, "memory");
    // A state is two numbers, and the step keeps no gradient beside it.
    let fit = fitted.report.unrolled.unwrap().fit.unwrap();
    let limit = fit.activations + fit.vectors + 3 * 16;
    let few = hypergradient(Unrolled::mixed().memory(limit)).unwrap();
    assert_eq!(few.report.unrolled.as_ref().unwrap().checkpoints, Some(Checkpoints::Binomial(3)));
    assert_eq!((few.gradient, few.report.peak_bytes), (fitted.gradient, limit));
    let error = hypergradient(Unrolled::forward().clamp(1.0)).unwrap_err();
    assert!(error.to_string().contains("with a built-in update"), "{error}");
}

/// The arrays that the kernels keep count as well.
#[test]
fn activations_are_part_of_the_memory() {
    let (h, b) = (array![[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]], array![[1.0, 2.0], [0.0, 1.0], [-1.0, 1.0]]);
    let (c, target) = (array![1.0, 0.0, -1.0], array![1.0, 1.0, 1.0]);
    let problem = descent::Problem { h: &h, b: &b, c: &c, rate: 0.125, target: &target };
    let hypergradient = |method: Unrolled| {
        problem.solver(method.steps(10)).inner(GradientDescent::new(0.125)).hypergradient(&array![1.0, -1.0], &Array1::zeros(3))
    };
    let all = hypergradient(Unrolled::reverse().memory("1 MiB")).unwrap();
    let fit = all.report.unrolled.as_ref().unwrap().fit.unwrap();
    assert!(fit.activations >= 3 * 8, "{fit}");
    assert_eq!(all.report.peak_bytes, fit.activations + fit.vectors + 10 * 3 * 8);
    let few = hypergradient(Unrolled::reverse().memory(fit.activations + fit.vectors + 2 * 3 * 8)).unwrap();
    assert_eq!(few.report.unrolled.unwrap().checkpoints, Some(Checkpoints::Binomial(2)));
    assert_eq!(few.gradient, all.gradient);
    let error = hypergradient(Unrolled::reverse().memory(fit.activations)).unwrap_err();
    assert!(matches!(error, bilevel::Error::MemoryLimit { activations, .. } if activations == fit.activations), "{error}");
}

/// What only the optimiser reads has no tangent before its first step.
#[test]
fn tangents_of_a_schedule_begin_where_it_is_read() {
    let rates = Momentum::new(Hyper::outer("log_rates").exp().per_step(), Hyper::outer("decay"));
    let outer = (0.4, Array1::from_elem(N_STEPS, -3.0), 0.7);
    let problem = named::Problem { a: 1.3 };
    let h = problem.solver(Unrolled::forward().steps(N_STEPS)).inner(rates).hypergradient(&outer, &0.2).unwrap();
    // The penalty and the decay in every step, and the rates of the steps so far.
    assert_eq!(h.report.n_products, (1..=N_STEPS).map(|t| 2 + t).sum::<usize>());
}
