//! Minibatches: every step of an inner run sees some rows, which are the same whenever the step is made again.

use bilevel::prelude::*;
use bilevel::solve::Update;

/// Regression with a penalty for each feature, and softmax regression on labels at once; the rows are gone through in both ways.
#[differentiable]
pub fn loss(w: &Array2<f64>, b: &f64, log_l2: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>, labels: &Array1<usize>, scale: f64) -> f64 {
    let z = x.dot(w);
    let mut by_row = 0.0;
    for i in 0..x.nrows() {
        by_row += (z[[i, 0]] - y[i] - *b).powi(2);
    }
    let penalty = (log_l2.exp() * w.sum_axis(Axis(1)).mapv(|v| v * v)).sum();
    scale * by_row / x.nrows() as f64 + cross_entropy(&z, labels) + penalty
}

#[bilevel]
pub mod rows {
    use super::*;

    #[inner(minimize(w, b), sample(x, y, labels))]
    pub fn train(
        w: &Array2<f64>,
        b: &f64,
        log_l2: &Array1<f64>,
        x: &Array2<f64>,
        y: &Array1<f64>,
        labels: &Array1<usize>,
        scale: f64,
    ) -> f64 {
        loss(w, b, log_l2, x, y, labels, scale)
    }

    #[outer(minimize = log_l2)]
    pub fn validate(w: &Array2<f64>, b: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&(x.dot(w).column(1).to_owned() + *b), y)
    }
}

/// The same problem without batches.
#[bilevel]
pub mod whole {
    use super::*;

    #[inner(minimize(w, b))]
    pub fn train(
        w: &Array2<f64>,
        b: &f64,
        log_l2: &Array1<f64>,
        x: &Array2<f64>,
        y: &Array1<f64>,
        labels: &Array1<usize>,
        scale: f64,
    ) -> f64 {
        loss(w, b, log_l2, x, y, labels, scale)
    }

    #[outer(minimize = log_l2)]
    pub fn validate(w: &Array2<f64>, b: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&(x.dot(w).column(1).to_owned() + *b), y)
    }
}

/// A weight for each row, found by the positions of the rows in the batch.
#[bilevel(hypergradient = unrolled(mode = mixed, steps = 8, batches = of(3, seed = 5)), inner = gradient_descent(0.3))]
pub mod weights {
    use super::*;

    #[inner(minimize = w, sample(x, y, position))]
    pub fn train(w: &Array1<f64>, weight: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>, position: &Array1<usize>) -> f64 {
        let residual = x.dot(w) - y;
        (gather(weight, Axis(0), position).sigmoid() * &residual * &residual).mean().unwrap()
    }

    #[outer(minimize = weight)]
    pub fn validate(w: &Array1<f64>, x_val: &Array2<f64>, y_val: &Array1<f64>) -> f64 {
        mse(&x_val.dot(w), y_val)
    }
}

const N: usize = 10;
const N_STEPS: usize = 8;

fn data() -> (Array2<f64>, Array1<f64>, Array1<usize>) {
    let x = Array2::from_shape_fn((N, 3), |(i, j)| ((7 * i + 3 * j + i * j) % 11) as f64 / 5.0 - 1.0);
    let y = Array1::from_shape_fn(N, |i| ((5 * i) % 7) as f64 / 3.0 - 1.0);
    (x, y, Array1::from_shape_fn(N, |i| (i * i) % 2))
}

/// Gradient descent by the kernels of a problem for each step: the hypergradient, forwards and back.
fn by_hand<P: BilevelProblem<Float = f64>>(
    at_step: impl Fn(usize) -> P,
    all: &P,
    rate: f64,
    outer: &P::Outer,
    inner: &P::Inner,
) -> (f64, Vec<f64>) {
    let lambda = outer.flat().to_vec();
    let mut states = vec![inner.flat().to_vec()];
    for t in 0..N_STEPS {
        let problem = at_step(t);
        let mut workspace = problem.workspace(inner, outer).unwrap();
        let mut w = states[t].clone();
        let mut gradient = vec![0.0; w.len()];
        problem.inner_value_and_grad(&mut workspace, &w, &lambda, &mut gradient);
        w.iter_mut().zip(&gradient).for_each(|(w, g)| *w -= rate * g);
        states.push(w);
    }
    let (mut p, mut h) = (vec![0.0; states[0].len()], vec![0.0; lambda.len()]);
    let mut workspace = all.workspace(inner, outer).unwrap();
    let value = all.outer_value_and_grad(&mut workspace, &states[N_STEPS], &lambda, &mut p, &mut h);
    for t in (0..N_STEPS).rev() {
        let problem = at_step(t);
        let mut workspace = problem.workspace(inner, outer).unwrap();
        let (mut product, mut mixed) = (vec![0.0; p.len()], vec![0.0; h.len()]);
        problem.inner_curvature(&mut workspace, &states[t], &lambda);
        problem.curvature_apply(&mut workspace, &p, &mut product, Some(&mut mixed));
        p.iter_mut().zip(&product).for_each(|(p, product)| *p -= rate * product);
        h.iter_mut().zip(&mixed).for_each(|(h, mixed)| *h -= rate * mixed);
    }
    (value, h)
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    let norm = expected.iter().map(|x| x * x).sum::<f64>().sqrt();
    let distance = found.iter().zip(expected).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
    assert!(distance <= tolerance * norm, "{found:?} is not {expected:?}");
}

fn batches() -> [Batches; 4] {
    [Batches::of(4), Batches::of(3).seed(7), Batches::of(1).seed(1), Batches::of(6).seed(2).with_replacement()]
}

#[test]
fn a_run_is_the_one_whose_batches_are_problems_of_their_own() {
    let (x, y, labels) = data();
    let problem = rows::Problem { x: &x, y: &y, labels: &labels, scale: 0.7 };
    let (log_l2, start) = (array![-1.0, 0.2, -0.5], (Array2::from_elem((3, 2), 0.1), 0.3));
    for batches in batches() {
        let drawn: Vec<(Array2<f64>, Array1<f64>, Array1<usize>)> = (0..N_STEPS)
            .map(|t| batches.rows(t, N).unwrap())
            .map(|rows| (x.select(Axis(0), &rows), y.select(Axis(0), &rows), labels.select(Axis(0), &rows)))
            .collect();
        let at_step = |t: usize| {
            let (x, y, labels) = &drawn[t];
            rows::Problem { x, y, labels, scale: 0.7 }
        };
        let (value, gradient) = by_hand(at_step, &problem, 0.2, &log_l2, &start);
        let mut solver = problem.solver(Unrolled::mixed().steps(N_STEPS).batches(batches)).inner(GradientDescent::new(0.2));
        let h = solver.hypergradient(&log_l2, &start).unwrap();
        assert_close(h.gradient.as_slice().unwrap(), &gradient, 1e-13);
        assert!((h.value - value).abs() <= 1e-14 * value);
        // The outer loss and the report are of all rows.
        assert!((rows::validate(&h.inner.0, &h.inner.1, &x, &y) - h.value).abs() <= 1e-14 * h.value);
        let loss = rows::train(&h.inner.0, &h.inner.1, &log_l2, &x, &y, &labels, 0.7);
        assert!((h.report.inner.value - loss).abs() <= 1e-14 * loss);
        let solved = solver.solve_inner(&log_l2, &start).unwrap();
        assert_eq!((solved.inner, solved.outcome), (h.inner, h.report.inner));
    }
}

fn all_ways<U: Update>(update: U) {
    let (x, y, labels) = data();
    let problem = rows::Problem { x: &x, y: &y, labels: &labels, scale: 0.7 };
    let (log_l2, start) = (array![-1.0, 0.2, -0.5], (Array2::from_elem((3, 2), 0.1), 0.3));
    for batches in batches() {
        let solver = |way: Unrolled| problem.solver(way.steps(N_STEPS).batches(batches)).inner(update);
        let expected = solver(Unrolled::reverse()).hypergradient(&log_l2, &start).unwrap();
        for way in [
            Unrolled::mixed(),
            Unrolled::forward(),
            Unrolled::truncated().last(N_STEPS),
            Unrolled::mixed().checkpoints(Checkpoints::Sqrt),
            Unrolled::mixed().checkpoints(Checkpoints::Binomial(1)),
            Unrolled::mixed().checkpoints(Checkpoints::Every(3)),
            Unrolled::reverse().checkpoints(Checkpoints::Binomial(2)),
            Unrolled::reverse().checkpoints(Checkpoints::Online(3)),
        ] {
            let h = solver(way).hypergradient(&log_l2, &start).unwrap();
            assert_close(h.gradient.as_slice().unwrap(), expected.gradient.as_slice().unwrap(), 1e-12);
            assert_eq!((h.value, h.inner), (expected.value, expected.inner.clone()), "{way:?}");
        }
        let checked = solver(Unrolled::mixed()).check_with(&log_l2, &start, &Differences::default().step(0.01)).unwrap();
        assert!(checked.max_relative_error < 1e-6, "{batches:?}\n{checked}");
    }
}

#[test]
fn all_ways_replay_the_same_batches() {
    all_ways(GradientDescent::new(0.1));
    all_ways(Momentum::new(0.05, 0.7));
    all_ways(Adam::new(0.05).epsilon(0.1));
}

#[test]
fn a_truncated_run_has_the_batches_of_its_last_steps() {
    let (x, y, labels) = data();
    let problem = rows::Problem { x: &x, y: &y, labels: &labels, scale: 0.7 };
    let (log_l2, start) = (array![-1.0, 0.2, -0.5], (Array2::from_elem((3, 2), 0.1), 0.3));
    let whole = Unrolled::mixed().steps(N_STEPS).batches(Batches::of(4));
    let last = Unrolled::truncated().steps(N_STEPS).last(3).batches(Batches::of(4));
    let whole = problem.solver(whole).inner(GradientDescent::new(0.2)).hypergradient(&log_l2, &start).unwrap();
    let last = problem.solver(last).inner(GradientDescent::new(0.2)).hypergradient(&log_l2, &start).unwrap();
    assert_eq!((whole.value, &whole.inner), (last.value, &last.inner));
    assert_ne!(whole.gradient, last.gradient);
}

#[test]
fn the_seed_makes_the_run() {
    let (x, y, labels) = data();
    let problem = rows::Problem { x: &x, y: &y, labels: &labels, scale: 0.7 };
    let (log_l2, start) = (array![-1.0, 0.2, -0.5], (Array2::from_elem((3, 2), 0.1), 0.3));
    let with = |seed| {
        let method = Unrolled::mixed().steps(N_STEPS).batches(Batches::of(4).seed(seed));
        problem.solver(method).inner(GradientDescent::new(0.2)).hypergradient(&log_l2, &start).unwrap()
    };
    assert_eq!(with(3), with(3));
    assert_ne!(with(3).gradient, with(4).gradient);
    // A solver that has made other runs gives the same.
    let method = Unrolled::mixed().steps(N_STEPS).batches(Batches::of(4).seed(3));
    let mut solver = problem.solver(method).inner(GradientDescent::new(0.2));
    solver.hypergradient(&(&log_l2 + 1.0), &start).unwrap();
    assert_eq!(solver.hypergradient(&log_l2, &start).unwrap(), with(3));
}

#[test]
fn without_batches_every_step_sees_all_rows() {
    let (x, y, labels) = data();
    let sampled = rows::Problem { x: &x, y: &y, labels: &labels, scale: 0.7 };
    let plain = whole::Problem { x: &x, y: &y, labels: &labels, scale: 0.7 };
    let (log_l2, start) = (array![-1.0, 0.2, -0.5], (Array2::from_elem((3, 2), 0.1), 0.3));
    let unrolled = Unrolled::mixed().steps(N_STEPS);
    let h = sampled.solver(unrolled).inner(Momentum::new(0.1, 0.5)).hypergradient(&log_l2, &start).unwrap();
    let expected = plain.solver(unrolled).inner(Momentum::new(0.1, 0.5)).hypergradient(&log_l2, &start).unwrap();
    assert_eq!((h.value, h.gradient), (expected.value, expected.gradient));
    let h = sampled.solver(Implicit::cg()).hypergradient(&log_l2, &start).unwrap();
    let expected = plain.solver(Implicit::cg()).hypergradient(&log_l2, &start).unwrap();
    assert_eq!((h.value, h.gradient), (expected.value, expected.gradient));
}

#[test]
fn what_belongs_to_a_row_is_found_by_its_position() {
    let (x, y, _) = data();
    let position = Array1::from_shape_fn(N, |i| i);
    let (x_val, y_val) = (x.slice(s![..4, ..]).mapv(|v| 0.9 * v + 0.1), y.slice(s![..4]).to_owned());
    let problem = weights::Problem { x: &x, y: &y, position: &position, x_val: &x_val, y_val: &y_val };
    let (weight, start) = (Array1::from_shape_fn(N, |i| 0.2 * i as f64 - 1.0), Array1::zeros(3));
    let batches = Batches::of(3).seed(5);
    let drawn: Vec<(Array2<f64>, Array1<f64>, Array1<usize>)> = (0..N_STEPS)
        .map(|t| Array1::from(batches.rows(t, N).unwrap()))
        .map(|rows| (x.select(Axis(0), rows.as_slice().unwrap()), y.select(Axis(0), rows.as_slice().unwrap()), rows))
        .collect();
    let at_step = |t: usize| {
        let (x, y, position) = &drawn[t];
        weights::Problem { x, y, position, x_val: &x_val, y_val: &y_val }
    };
    let (value, gradient) = by_hand(at_step, &problem, 0.3, &weight, &start);
    let h = problem.hypergradient(&weight, &start).unwrap();
    assert_close(h.gradient.as_slice().unwrap(), &gradient, 1e-13);
    assert!((h.value - value).abs() <= 1e-14 * value);
}

#[test]
fn batches_that_do_not_exist_are_errors() {
    let (x, y, labels) = data();
    let problem = rows::Problem { x: &x, y: &y, labels: &labels, scale: 0.7 };
    let (log_l2, start) = (Array1::zeros(3), (Array2::zeros((3, 2)), 0.0));
    let error = |method: Unrolled| {
        let mut solver = problem.solver(method.steps(N_STEPS)).inner(GradientDescent::new(0.2));
        solver.hypergradient(&log_l2, &start).unwrap_err().to_string()
    };
    for size in [0, N + 1] {
        for way in [Unrolled::reverse(), Unrolled::mixed(), Unrolled::forward()] {
            let text = error(way.batches(Batches::of(size)));
            assert!(text.contains("Batches::of") && text.contains("at most the number of rows"), "{text}");
        }
    }
    let text = error(Unrolled::forward().batches(Batches::of(2)).until(1e-3));
    assert!(text.contains("Unrolled::until"), "{text}");
    let plain = whole::Problem { x: &x, y: &y, labels: &labels, scale: 0.7 };
    let method = Unrolled::mixed().steps(N_STEPS).batches(Batches::of(2));
    let text = plain.solver(method).inner(GradientDescent::new(0.2)).hypergradient(&log_l2, &start).unwrap_err().to_string();
    assert!(text.contains("Unrolled::batches") && text.contains("sample(x, y)"), "{text}");
}
