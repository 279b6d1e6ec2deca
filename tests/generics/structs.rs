//! Structs that are generic over their float type, nested, as arguments, results and variables.

use super::{distance, features, narrow};
use bilevel::prelude::*;

/// A layer.
#[derive(Clone, Debug, PartialEq, Params)]
pub struct Layer<F: Float> {
    pub w: Array2<F>,
    pub b: Array1<F>,
}

/// A network with what comes along.
#[derive(Clone, Debug, PartialEq, Params)]
pub struct Net<T>
where
    T: Float,
{
    pub hidden: Layer<T>,
    pub last: (Array1<T>, T),
    pub temperature: [T; 1],
    pub n_seen: usize,
}

fn net() -> Net<f64> {
    let w = array![[0.5, -0.25], [1.0, 0.75], [-0.5, 0.25]];
    Net { hidden: Layer { w, b: array![0.125, -0.5] }, last: (array![1.5, -0.75], 0.25), temperature: [2.0], n_seen: 7 }
}

fn narrow_net(net: &Net<f64>) -> Net<f32> {
    let hidden = Layer { w: narrow(&net.hidden.w), b: narrow(&net.hidden.b) };
    Net { hidden, last: (narrow(&net.last.0), net.last.1 as f32), temperature: [net.temperature[0] as f32], n_seen: net.n_seen }
}

#[differentiable]
fn affine<F: Float>(layer: &Layer<F>, x: &Array2<F>) -> Array2<F> {
    x.dot(&layer.w) + &layer.b
}

#[differentiable]
fn loss<F: Float>(net: &Net<F>, x: &Array2<F>) -> F {
    let Net { hidden, last, .. } = net;
    let out = (affine(hidden, x) / net.temperature[0]).mapv(|v| v.tanh()).dot(&last.0) + last.1;
    (&out * &out).sum() * F::from_f64(0.5) / F::from(net.n_seen).unwrap()
}

/// Structs made in a function, without and with their types.
#[differentiable]
fn scaled<F: Float>(net: &Net<F>, s: F) -> Net<F> {
    let hidden = Layer { w: &net.hidden.w * s, b: &net.hidden.b - s };
    let rest = Net::<F> { temperature: [s * s], ..net.clone() };
    Net { hidden, ..rest }
}

#[differentiable]
fn total(net: &Net<f64>, s: f64, x: &Array2<f64>) -> f64 {
    loss(&scaled(net, s), x) + Layer { w: x.clone(), b: net.last.0.clone() }.b.sum()
}

#[test]
fn gradients_of_structs_are_structs_of_the_width() {
    let (net, x) = (net(), features());
    let (value, (bar, x_bar)) = loss::value_and_grad(&net, &x);
    assert!((value - loss(&net, &x)).abs() < 1e-15 && bar.n_seen == 7, "{value}");
    let mut direction = net.zeros_like();
    direction.hidden.w.fill(0.5);
    direction.last.1 = -1.0;
    direction.temperature = [0.25];
    let (_, slope) = loss::jvp(&net, &x, &direction, &Array2::zeros((4, 3)));
    assert!((slope - bar.dot_product(&direction)).abs() < 1e-13, "{slope}");
    let moved = |t: f64| {
        let mut moved = net.clone();
        moved.add_scaled(t, &direction);
        loss(&moved, &x)
    };
    let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
    assert!((slope - difference).abs() < 1e-8, "{slope} {difference}");
    let (narrow_bar, narrow_x_bar): (Net<f32>, Array2<f32>) = loss::grad(&narrow_net(&net), &narrow(&x));
    assert_eq!((narrow_bar.n_seen, narrow_bar.n_elements()), (7, 12));
    assert!(distance(&narrow_bar, &narrow_net(&bar)) < 1e-6 && distance(&narrow_x_bar, &narrow(&x_bar)) < 1e-6);
    let (product, _) = loss::hvp(&net, &x, &direction, &Array2::zeros((4, 3)));
    let other = net.with_elements(&(1..=12).map(|k| (f64::from(k)).sin()).collect::<Vec<_>>());
    let (mirrored, _) = loss::hvp(&net, &x, &other, &Array2::zeros((4, 3)));
    assert!((product.dot_product(&other) - mirrored.dot_product(&direction)).abs() < 1e-12);
}

#[test]
fn structs_are_made_in_functions_of_any_width() {
    let (net, x) = (net(), features());
    let (bar, s_bar, _) = total::grad(&net, 1.25, &x);
    let difference = (total(&net, 1.25 + 1e-6, &x) - total(&net, 1.25 - 1e-6, &x)) / 2e-6;
    assert!((s_bar - difference).abs() < 1e-8, "{s_bar} {difference}");
    let (value, bars) = scaled::vjp(&net, 1.25, &net);
    assert_eq!(value, scaled(&net, 1.25));
    assert_eq!(bars.0.hidden.w, &net.hidden.w * 1.25);
    assert_eq!(bar.temperature, [0.0]);
    assert_eq!(scaled::vjp(&narrow_net(&net), 1.25, &narrow_net(&net)).0, scaled(&narrow_net(&net), 1.25));
}

#[bilevel]
mod training {
    use super::*;

    #[inner(minimize = net)]
    pub fn train(net: &Layer<f32>, log_l2: &Layer<f32>, x: &Array2<f32>, y: &Array2<f32>) -> f32 {
        mse(&affine(net, x), y) + (log_l2.w.exp() * &net.w * &net.w).sum() + (log_l2.b.exp() * &net.b * &net.b).sum()
    }

    #[outer(minimize = log_l2)]
    pub fn validate(net: &Layer<f32>, x_val: &Array2<f32>, y_val: &Array2<f32>) -> f32 {
        mse(&affine(net, x_val), y_val)
    }
}

#[test]
fn a_generic_struct_is_a_variable_of_a_problem() -> Result<(), bilevel::Error> {
    let (x, y) = (narrow(&features()), array![[1.0, 0.5], [-0.5, 0.25], [0.75, 1.0], [0.0, -1.0]]);
    let problem = training::Problem { x: &x, y: &y, x_val: &(&x * 0.9), y_val: &(&y * 1.1) };
    let mut solver = problem.solver(Implicit::cg().tolerance(1e-5)).inner(NewtonCg::default().tolerance(1e-5));
    let start = Layer { w: Array2::zeros((3, 2)), b: Array1::zeros(2) };
    let log_l2 = Layer { w: Array2::from_elem((3, 2), -2.0), b: Array1::from_elem(2, -3.0) };
    let h = solver.hypergradient(&log_l2, &start)?;
    let mut value = |t: f32| {
        let mut moved = log_l2.clone();
        moved.add_scaled(t, &h.gradient);
        solver.hypergradient(&moved, &start).map(|h| h.value)
    };
    let difference = (value(0.05)? - value(-0.05)?) / 0.1;
    let squared = h.gradient.dot_product(&h.gradient);
    assert!((difference - squared).abs() < 0.02 * squared, "{difference} {squared}");
    Ok(())
}

/// Parts of structs and tuples are differentiated by themselves.
#[differentiable(wrt(pair.1, net.hidden.w, net.last), jacobian, hvp_many)]
fn of_parts<F: Float>(net: &Net<F>, x: &Array2<F>, pair: &(F, F)) -> F {
    loss(net, x) * pair.1 * pair.1 + pair.0 * net.hidden.w.sum()
}

#[test]
fn parts_of_structs_and_tuples_are_differentiated_by_themselves() {
    let (net, x, pair) = (net(), features(), (0.5, -1.5));
    let whole = loss::grad(&net, &x).0;
    // In the order of the parameters, whatever that in the attribute.
    let (w_bar, last_bar, pair_bar): (Array2<f64>, (Array1<f64>, f64), f64) = of_parts::grad(&net, &x, &pair);
    assert!(distance(&w_bar, &(&whole.hidden.w * 2.25 + 0.5)) < 1e-14);
    assert!(distance(&last_bar, &(&whole.last.0 * 2.25, whole.last.1 * 2.25)) < 1e-14);
    assert!((pair_bar + 3.0 * loss(&net, &x)).abs() < 1e-14);
    let w_dot = Array2::from_elem((3, 2), 0.25);
    let last_dot = (array![1.0, -1.0], 0.5);
    let (_, slope) = of_parts::jvp(&net, &x, &pair, &w_dot, &last_dot, 2.0);
    let expected = (&w_bar * &w_dot).sum() + last_bar.0.dot(&last_dot.0) + last_bar.1 * last_dot.1 + 2.0 * pair_bar;
    assert!((slope - expected).abs() < 1e-13, "{slope} {expected}");
    let (by_w, by_last, by_pair) = of_parts::jacobian(&net, &x, &pair);
    assert!(distance(&((by_w, by_last), by_pair), &((w_bar, last_bar), pair_bar)) < 1e-14);
    let dots = (Array3::from_elem((2, 3, 2), 0.25), (array![[1.0, -1.0], [0.0, 0.0]], array![0.5, 0.0]), array![2.0, 0.0]);
    let (w_hvps, _, pair_hvps) = of_parts::hvp_many(&net, &x, &pair, &dots.0, &dots.1, &dots.2);
    let (w_hvp, _, pair_hvp) = of_parts::hvp(&net, &x, &pair, &w_dot, &last_dot, 2.0);
    assert!(distance(&(w_hvps.index_axis(Axis(0), 0).to_owned(), pair_hvps[0]), &(w_hvp, pair_hvp)) < 1e-13);
}

/// A penalty on all weights together.
#[differentiable]
fn penalised<F: Float>(net: &Net<F>, anchor: &Net<F>) -> F {
    net.l2_norm() * F::from_f64(0.5) + net.dot_product(anchor)
}

#[test]
fn norms_and_products_of_structs_are_differentiated() {
    let net = net();
    let anchor = net.unflatten(&net.flat().mapv(|v| v * v + 0.25));
    let (net_bar, anchor_bar) = penalised::grad(&net, &anchor);
    let expected = &net.flat() * (0.5 / net.l2_norm()) + anchor.flat();
    assert!(distance(&net_bar.flat(), &expected) < 1e-14);
    assert_eq!(anchor_bar, net);
    let slope: f32 = penalised::jvp(&narrow_net(&net), &narrow_net(&anchor), &narrow_net(&net), &narrow_net(&net).zeros_like()).1;
    assert!((f64::from(slope) - expected.dot(&net.flat())).abs() < 1e-5);
}
