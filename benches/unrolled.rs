//! Unrolled methods on a 64 - 128 - 10 network: tangents one after the other against all at once, forward against reverse modes; and how much memory the kernels keep
//! for networks of many layers, which is what rematerialisation inside of a step would save.
//!
//! Run it with `cargo bench --bench unrolled`.

use std::hint::black_box;
use std::time::Instant;

use bilevel::prelude::*;
use ndarray::{Array, Array3};

/// A network with a penalty for each of its two layers.
#[bilevel]
pub mod penalties {
    use super::*;

    /// Training loss.
    #[inner(minimize(w1, w2))]
    pub fn train(w1: &Array2<f64>, w2: &Array2<f64>, penalties: &Array1<f64>, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        let own = penalties[0].exp() * (w1 * w1).sum() + penalties[1].exp() * (w2 * w2).sum();
        cross_entropy(&x.dot(w1).tanh().dot(w2), y) + own
    }

    /// Validation loss.
    #[outer(minimize = penalties)]
    pub fn validate(w1: &Array2<f64>, w2: &Array2<f64>, x_val: &Array2<f64>, y_val: &Array1<usize>) -> f64 {
        cross_entropy(&x_val.dot(w1).tanh().dot(w2), y_val)
    }
}

/// The gradient of the same network, whose tangents forward mode carries.
#[differentiable(wrt(w1, w2), jvp_many)]
fn gradient(w1: &Array2<f64>, w2: &Array2<f64>, x: &Array2<f64>, y: &Array1<usize>) -> (Array2<f64>, Array2<f64>) {
    grad!(network(w1, w2, x, y), (w1, w2))
}

#[differentiable]
fn network(w1: &Array2<f64>, w2: &Array2<f64>, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
    cross_entropy(&x.dot(w1).tanh().dot(w2), y)
}

/// As many layers as there are matrices.
#[bilevel]
pub mod deep {
    use super::*;

    /// Training loss.
    #[inner(minimize = w)]
    pub fn train(w: &Array3<f64>, log_l2: &f64, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
        let mut h = x.to_owned();
        for layer in w.outer_iter() {
            h = h.dot(&layer).tanh();
        }
        mse(&h, y) + log_l2.exp() * (w * w).sum()
    }

    /// Validation loss.
    #[outer(minimize = log_l2)]
    pub fn validate(w: &Array3<f64>, x: &Array2<f64>, y: &Array2<f64>) -> f64 {
        let mut h = x.to_owned();
        for layer in w.outer_iter() {
            h = h.dot(&layer).tanh();
        }
        mse(&h, y)
    }
}

fn numbers<Sh: ndarray::ShapeBuilder>(shape: Sh) -> Array<f64, Sh::Dim> {
    let mut state = 1u64;
    Array::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    })
}

/// The shortest of several runs, in milliseconds.
fn time<T>(mut run: impl FnMut() -> T) -> f64 {
    let mut shortest = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        black_box(run());
        shortest = shortest.min(start.elapsed().as_secs_f64() * 1e3);
    }
    shortest
}

fn main() -> Result<(), bilevel::Error> {
    let n = 500;
    let (w1, w2) = (0.1 * numbers((64, 128)), 0.1 * numbers((128, 10)));
    let (x, y): (Array2<f64>, Array1<usize>) = (numbers((n, 64)), (0..n).map(|k| k % 10).collect());
    for k in [1, 4, 16] {
        let (dots1, dots2): (Array3<f64>, Array3<f64>) = (numbers((k, 64, 128)), numbers((k, 128, 10)));
        let linear = gradient::linearize(&w1, &w2, &x, &y);
        let pairs: Vec<_> = dots1.outer_iter().zip(dots2.outer_iter()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
        let one_by_one = time(|| pairs.iter().map(|(a, b)| linear(a, b)).collect::<Vec<_>>());
        let linearized = time(|| gradient::linearize(&w1, &w2, &x, &y));
        let together = time(|| gradient::jvp_many(&w1, &w2, &x, &y, &dots1, &dots2)) - linearized;
        println!(
            "{k} tangents of the gradient of 64 - 128 - 10, {n} examples: {one_by_one:.2} ms one by one, {together:.2} ms all at once, {:.2} times",
            one_by_one / together
        );
    }

    let problem = penalties::Problem { x: &x, y: &y, x_val: &x, y_val: &y };
    let (outer, inner) = (array![-5.0, -5.0], (w1, w2));
    for (name, method) in [("forward", Unrolled::forward()), ("reverse", Unrolled::reverse()), ("mixed", Unrolled::mixed())] {
        let mut solver = problem.solver(method.steps(20)).inner(Momentum::new(0.1, 0.9));
        let report = solver.hypergradient(&outer, &inner)?.report;
        let milliseconds = time(|| solver.hypergradient(&outer, &inner));
        println!("{name}, 20 steps, 2 outer variables: {milliseconds:.1} ms, {:.1} MiB", report.peak_bytes as f64 / 1048576.0);
    }

    println!("bytes of the kernels' buffers, in arrays of 256 × 64 for each layer:");
    let (x, y) = (numbers((256, 64)), numbers((256, 64)));
    let problem = deep::Problem { x: &x, y: &y };
    let mib = |bytes: usize, layers: usize| bytes as f64 / (layers * x.len() * size_of::<f64>()) as f64;
    for layers in [4, 16, 64] {
        let w: Array3<f64> = 0.2 * numbers((layers, 64, 64));
        let flat: Vec<f64> = w.iter().copied().collect();
        let (mut gradient, mut product, mut mixed) = (flat.clone(), flat.clone(), [0.0]);
        let mut workspace = problem.workspace(&w, &-5.0)?;
        problem.inner_value_and_grad(&mut workspace, &flat, &[-5.0], &mut gradient);
        let of_gradient = deep::Problem::buffer_bytes(&workspace);
        problem.inner_curvature(&mut workspace, &flat, &[-5.0]);
        let of_residuals = deep::Problem::buffer_bytes(&workspace) - of_gradient;
        problem.curvature_apply(&mut workspace, &gradient, &mut product, Some(&mut mixed));
        let of_product = deep::Problem::buffer_bytes(&workspace) - of_gradient - of_residuals;
        println!(
            "{layers} layers: gradient {:.2}, residuals of the linearized gradient {:.2}, one product {:.2}",
            mib(of_gradient, layers),
            mib(of_residuals, layers),
            mib(of_product, layers)
        );
    }
    Ok(())
}
