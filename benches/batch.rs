//! Batches against loops of calls: the value, and the gradient of each example, of a network with one hidden layer; products of stacks of matrices; and a Jacobian
//! against reverse mode for one element of the result after the other. One thread, `f64`.
//!
//! Run it with `cargo bench --bench batch`.

use std::hint::black_box;
use std::time::Instant;

use bilevel::prelude::*;
use ndarray::{Array, Array3};

/// Cross entropy of one example.
#[differentiable(wrt(w1, w2), batched(x, label))]
fn loss(w1: &Array2<f64>, w2: &Array2<f64>, x: &Array1<f64>, label: usize) -> f64 {
    let logits = w2.dot(&w1.dot(x).tanh());
    log_sum_exp(&logits) - logits[label]
}

#[differentiable(batched(x, y))]
fn product(x: &Array2<f64>, y: &Array2<f64>) -> Array2<f64> {
    x.dot(y)
}

#[differentiable(wrt(x), jacobian)]
fn network(w1: &Array2<f64>, w2: &Array2<f64>, x: &Array1<f64>) -> Array1<f64> {
    w2.dot(&w1.dot(x).tanh()).tanh()
}

fn numbers<Sh: ndarray::ShapeBuilder>(shape: Sh) -> Array<f64, Sh::Dim> {
    let mut state = 1u64;
    Array::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    })
}

/// The shortest of many runs, in microseconds.
fn time<T>(mut run: impl FnMut() -> T) -> f64 {
    let mut shortest = f64::INFINITY;
    for _ in 0..50 {
        let start = Instant::now();
        black_box(run());
        shortest = shortest.min(start.elapsed().as_secs_f64() * 1e6);
    }
    shortest
}

fn report(what: &str, together: f64, one_by_one: f64) {
    println!("{what:<44} {together:>10.1} µs {one_by_one:>10.1} µs {:>6.1} times", one_by_one / together);
}

fn main() {
    println!("{:<44} {:>13} {:>13}", "", "together", "one by one");
    for (n, d, h, c) in [(64, 64, 32, 10), (256, 64, 32, 10), (32, 784, 128, 10)] {
        let (w1, w2, xs) = (0.1 * numbers((h, d)), numbers((c, h)), numbers((n, d)));
        let labels: Array1<usize> = (0..n).map(|k| k % c).collect();
        let rows: Vec<(Array1<f64>, usize)> = xs.rows().into_iter().map(|x| x.to_owned()).zip(labels.iter().copied()).collect();
        let together = time(|| loss::batched(&w1, &w2, &xs, &labels));
        let one_by_one = time(|| rows.iter().map(|(x, label)| loss(&w1, &w2, x, *label)).collect::<Vec<f64>>());
        report(&format!("loss of {n} examples, {d} - {h} - {c}"), together, one_by_one);
        let together = time(|| loss::batched_grad(&w1, &w2, &xs, &labels));
        let one_by_one = time(|| rows.iter().map(|(x, label)| loss::grad(&w1, &w2, x, *label)).collect::<Vec<_>>());
        report("their gradients", together, one_by_one);
    }
    for (s, n) in [(1000, 3), (1000, 4), (500, 8), (200, 16), (50, 64)] {
        let (x, y): (Array3<f64>, Array3<f64>) = (numbers((s, n, n)), numbers((s, n, n)));
        let pairs: Vec<_> = x.outer_iter().zip(y.outer_iter()).map(|(x, y)| (x.to_owned(), y.to_owned())).collect();
        let together = time(|| product::batched(&x, &y));
        let one_by_one = time(|| pairs.iter().map(|(x, y)| product(x, y)).collect::<Vec<_>>());
        report(&format!("{s} products of {n} × {n}"), together, one_by_one);
    }
    for (d, h, c) in [(64, 128, 10), (10, 128, 64)] {
        let (w1, w2, x) = (0.1 * numbers((h, d)), 0.1 * numbers((c, h)), numbers(d));
        let units: Vec<Array1<f64>> = Array2::<f64>::eye(c).rows().into_iter().map(|row| row.to_owned()).collect();
        let together = time(|| network::jacobian(&w1, &w2, &x));
        let one_by_one = time(|| units.iter().map(|bar| network::vjp(&w1, &w2, &x, bar)).collect::<Vec<_>>());
        report(&format!("Jacobian of {d} - {h} - {c}"), together, one_by_one);
    }
}
