//! What companion modules have on request, compiled: batches, several directions at once, Jacobians, Hessians.

use bilevel::prelude::*;
use ndarray::{Array, Array1, Array2, Array3, ArrayRef, Axis, Dimension, Zip, array};

/// Numbers between -1 and 1 that depend on a seed.
fn numbers<Sh: ndarray::ShapeBuilder>(shape: Sh, seed: u64) -> Array<f64, Sh::Dim> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    Array::from_shape_simple_fn(shape, || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    })
}

#[track_caller]
fn assert_close<D: Dimension>(a: &ArrayRef<f64, D>, b: &ArrayRef<f64, D>, tolerance: f64) {
    assert_eq!(a.shape(), b.shape());
    let worst = Zip::from(a).and(b).fold(0.0, |worst: f64, a, b| worst.max((a - b).abs()));
    assert!(worst <= tolerance, "differ by {worst:e}\n{a}\n{b}");
}

/// A network with one hidden layer on one example, with a branch on its data and a loop.
#[differentiable(wrt(w1, b1, w2), batched(x, label), jacobian, hessian, jvp_many, hvp_many)]
fn loss(w1: &Array2<f64>, b1: &Array1<f64>, w2: &Array2<f64>, x: &Array1<f64>, label: usize) -> f64 {
    let mut hidden = (w1.dot(x) + b1).mapv(f64::tanh);
    for _ in 0..2 {
        hidden = &hidden * 0.9 + 0.1 * hidden.mapv(f64::sin);
    }
    let logits = w2.dot(&hidden);
    let entropy = logits.mapv(f64::exp).sum().ln() - logits[label];
    if entropy > 1.0 { entropy.ln() + 1.0 } else { entropy }
}

struct Data {
    w1: Array2<f64>,
    b1: Array1<f64>,
    w2: Array2<f64>,
    xs: Array2<f64>,
    labels: Array1<usize>,
}

fn data(n: usize) -> Data {
    Data {
        w1: numbers((4, 3), 1),
        b1: numbers(4, 2),
        w2: 2.0 * numbers((5, 4), 3),
        xs: 2.0 * numbers((n, 3), 4),
        labels: (0..n).map(|k| k * k % 5).collect(),
    }
}

#[test]
fn batches_are_loops() {
    let Data { w1, b1, w2, xs, labels } = data(7);
    let together = loss::batched(&w1, &b1, &w2, &xs, &labels);
    let rows = || xs.rows().into_iter().map(|x| x.to_owned()).zip(labels.iter().copied()).collect::<Vec<_>>();
    let each: Array1<f64> = rows().iter().map(|(x, label)| loss(&w1, &b1, &w2, x, *label)).collect();
    assert!(each.iter().any(|l| *l > 1.0) && each.iter().any(|l| *l < 1.0), "both sides are taken: {each}");
    assert_close(&together, &each, 1e-13);

    let (g1, gb, g2) = loss::batched_grad(&w1, &b1, &w2, &xs, &labels);
    for (e, (x, label)) in rows().iter().enumerate() {
        let (w1_bar, b1_bar, w2_bar) = loss::grad(&w1, &b1, &w2, x, *label);
        assert_close(&g1.index_axis(Axis(0), e), &w1_bar, 1e-13);
        assert_close(&gb.index_axis(Axis(0), e), &b1_bar, 1e-13);
        assert_close(&g2.index_axis(Axis(0), e), &w2_bar, 1e-13);
    }
}

#[test]
fn no_examples() {
    let Data { w1, b1, w2, xs, labels } = data(0);
    assert_eq!(loss::batched(&w1, &b1, &w2, &xs, &labels).len(), 0);
    let (g1, gb, g2) = loss::batched_grad(&w1, &b1, &w2, &xs, &labels);
    assert_eq!((g1.dim(), gb.dim(), g2.dim()), ((0, 4, 3), (0, 4), (0, 5, 4)));
}

#[test]
#[should_panic(expected = "label")]
fn as_many_labels_as_examples() {
    let Data { w1, b1, w2, xs, labels } = data(3);
    let _ = loss::batched(&w1, &b1, &w2, &xs, &labels.slice(ndarray::s![..2]).to_owned());
}

#[test]
fn several_directions() {
    let Data { w1, b1, w2, xs, labels } = data(1);
    let (x, label) = (xs.row(0).to_owned(), labels[0]);
    let (t1, tb, t2) = (numbers((3, 4, 3), 5), numbers((3, 4), 6), numbers((3, 5, 4), 7));
    let (y, dots) = loss::jvp_many(&w1, &b1, &w2, &x, label, &t1, &tb, &t2);
    let (p1, pb, p2) = loss::hvp_many(&w1, &b1, &w2, &x, label, &t1, &tb, &t2);
    assert!((y - loss(&w1, &b1, &w2, &x, label)).abs() < 1e-14);
    for e in 0..3 {
        let one = |t: &Array3<f64>| t.index_axis(Axis(0), e).to_owned();
        let (t1, tb, t2) = (one(&t1), tb.row(e).to_owned(), one(&t2));
        let (_, dot) = loss::jvp(&w1, &b1, &w2, &x, label, &t1, &tb, &t2);
        assert!((dots[e] - dot).abs() < 1e-13);
        let (h1, hb, h2) = loss::hvp(&w1, &b1, &w2, &x, label, &t1, &tb, &t2);
        assert_close(&p1.index_axis(Axis(0), e), &h1, 1e-13);
        assert_close(&pb.index_axis(Axis(0), e), &hb, 1e-13);
        assert_close(&p2.index_axis(Axis(0), e), &h2, 1e-13);
    }
}

/// The Hessian's blocks mirror each other to the bit, and give what products with it give.
#[test]
fn hessian_of_a_network() {
    let Data { w1, b1, w2, xs, labels } = data(2);
    for (x, &label) in xs.rows().into_iter().zip(&labels) {
        let x = x.to_owned();
        let ((h11, h1b, h12), (hb1, hbb, hb2), (h21, h2b, h22)) = loss::hessian(&w1, &b1, &w2, &x, label);
        let same = |a: &[f64], b: &[f64]| a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits()));
        let flat = |h: ndarray::ArrayD<f64>| h.iter().copied().collect::<Vec<f64>>();
        let mirrored = |h: ndarray::ArrayD<f64>, perm: &[usize]| flat(h.permuted_axes(perm.to_vec()).as_standard_layout().to_owned());
        assert!(same(&flat(h11.clone().into_dyn()), &mirrored(h11.clone().into_dyn(), &[2, 3, 0, 1])));
        assert!(same(&flat(h22.clone().into_dyn()), &mirrored(h22.clone().into_dyn(), &[2, 3, 0, 1])));
        assert!(same(&flat(hbb.clone().into_dyn()), &mirrored(hbb.clone().into_dyn(), &[1, 0])));
        assert!(same(&flat(h12.clone().into_dyn()), &mirrored(h21.clone().into_dyn(), &[2, 3, 0, 1])));
        assert!(same(&flat(h1b.clone().into_dyn()), &mirrored(hb1.clone().into_dyn(), &[1, 2, 0])));
        assert!(same(&flat(hb2.clone().into_dyn()), &mirrored(h2b.clone().into_dyn(), &[2, 0, 1])));

        let (t1, tb, t2) = (numbers((4, 3), 5), numbers(4, 6), numbers((5, 4), 7));
        let (p1, pb, p2) = loss::hvp(&w1, &b1, &w2, &x, label, &t1, &tb, &t2);
        let apply = |rows: usize, blocks: [Vec<f64>; 3]| -> Array1<f64> {
            let mut sum = Array1::zeros(rows);
            for (block, t) in blocks.into_iter().zip([flat(t1.clone().into_dyn()), tb.to_vec(), flat(t2.clone().into_dyn())]) {
                sum += &Array2::from_shape_vec((rows, t.len()), block).unwrap().dot(&Array1::from_vec(t));
            }
            sum
        };
        let close = |a: Array1<f64>, b: ndarray::ArrayD<f64>| assert_close(&a, &Array1::from_vec(flat(b)), 1e-12);
        close(apply(12, [h11.into_dyn(), h1b.into_dyn(), h12.into_dyn()].map(flat)), p1.into_dyn());
        close(apply(4, [hb1.into_dyn(), hbb.into_dyn(), hb2.into_dyn()].map(flat)), pb.into_dyn());
        close(apply(20, [h21.into_dyn(), h2b.into_dyn(), h22.into_dyn()].map(flat)), p2.into_dyn());
    }
}

/// A network whose Jacobian is wanted by input and weights.
#[differentiable(jacobian)]
fn network(w1: &Array2<f64>, w2: &Array2<f64>, x: &Array1<f64>) -> Array1<f64> {
    let hidden = w1.dot(x).mapv(f64::tanh);
    w2.dot(&hidden).mapv(f64::sin)
}

/// Reverse mode is shorter for three results, forward mode for forty.
#[test]
fn jacobian_of_a_network() {
    for n_out in [3, 40] {
        let (w1, w2, x) = (numbers((4, 2), 1), numbers((n_out, 4), 2), numbers(2, 3));
        let (j1, j2, jx) = network::jacobian(&w1, &w2, &x);
        assert_eq!((j1.dim(), j2.dim(), jx.dim()), ((n_out, 4, 2), (n_out, n_out, 4), (n_out, 2)));
        for row in 0..n_out {
            let mut bar = Array1::zeros(n_out);
            bar[row] = 1.0;
            let (_, (b1, b2, bx)) = network::vjp(&w1, &w2, &x, &bar);
            assert_close(&j1.index_axis(Axis(0), row), &b1, 1e-13);
            assert_close(&j2.index_axis(Axis(0), row), &b2, 1e-13);
            assert_close(&jx.index_axis(Axis(0), row), &bx, 1e-13);
        }
        let h = 1e-5;
        for k in 0..2 {
            let at = |t: f64| {
                let mut x = x.clone();
                x[k] += t;
                network(&w1, &w2, &x)
            };
            assert_close(&jx.column(k), &((at(h) - at(-h)) / (2.0 * h)), 1e-9);
        }
    }
}

/// The mean loss of logistic regression with a penalty.
#[differentiable(wrt(w), hessian)]
fn logistic(w: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
    let z = x.dot(w);
    (z.softplus() - y * &z).mean().unwrap() + 0.05 * (w * w).sum()
}

#[test]
fn hessian_of_logistic_regression() {
    let (n, d) = (20, 6);
    let (w, x) = (numbers(d, 1), numbers((n, d), 2));
    let y: Array1<f64> = (0..n).map(|k| f64::from(u8::from(k % 3 == 0))).collect();
    let h = logistic::hessian(&w, &x, &y);
    let p = x.dot(&w).mapv(|z| 1.0 / (1.0 + (-z).exp()));
    let weighted = &x * &(&p * &(1.0 - &p)).insert_axis(Axis(1));
    let want = x.t().dot(&weighted) / n as f64 + 0.1 * Array2::<f64>::eye(d);
    assert_close(&h, &want, 1e-14);
    assert_eq!(h, h.t());
}

/// Numbers and a tuple as arguments, and a number of turns that differs between the examples.
#[differentiable(batched(a, n), jacobian, jvp_many, hessian)]
fn powers(a: f64, bc: (f64, f64), n: usize) -> f64 {
    let (b, c) = bc;
    let mut p = 1.0;
    for k in 0..n {
        p = p * a * b + c * k as f64;
    }
    p / (c * c)
}

#[test]
fn numbers_and_tuples() {
    let (a, n) = (array![0.7, -1.2, 0.4, 1.5], array![3, 0, 5, 1]);
    let bc = (1.3, 0.8);
    let each: Array1<f64> = a.iter().zip(&n).map(|(&a, &n)| powers(a, bc, n)).collect();
    assert_close(&powers::batched(&a, bc, &n), &each, 1e-14);
    let (a_bar, bc_bar) = powers::batched_grad(&a, bc, &n);
    for k in 0..4 {
        let (da, (db, dc)) = powers::grad(a[k], bc, n[k]);
        assert_close(&array![a_bar[k], bc_bar.0[k], bc_bar.1[k]], &array![da, db, dc], 1e-13);
        let (ja, jbc) = powers::jacobian(a[k], bc, n[k]);
        assert_eq!((ja, jbc), (da, (db, dc)));
        let (y, dots) = powers::jvp_many(a[k], bc, n[k], &array![1.0, 0.0, 0.0], &(array![0.0, 1.0, 0.0], array![0.0, 0.0, 1.0]));
        assert!((y - each[k]).abs() < 1e-14);
        assert_close(&dots, &array![da, db, dc], 1e-13);
        let ((aa, (ab, ac)), ((ba, (bb, bc_)), (ca, (cb, cc)))) = powers::hessian(a[k], bc, n[k]);
        assert_eq!((ab, ac, bc_), (ba, ca, cb));
        let (ha, (hb, hc)) = powers::hvp(a[k], bc, n[k], 1.0, (2.0, -0.5));
        assert_close(&array![aa + 2.0 * ab - 0.5 * ac, ab + 2.0 * bb - 0.5 * bc_, ac + 2.0 * bc_ - 0.5 * cc], &array![ha, hb, hc], 1e-12);
    }
}

/// Products of stacks of matrices, in every order of axes that the rules give rise to.
#[differentiable(batched(x, y))]
fn products(x: &Array2<f64>, y: &Array2<f64>, m: &Array2<f64>) -> Array2<f64> {
    x.dot(y).dot(&m.t()) + m.dot(&y.t()).dot(&x.t()).t()
}

#[test]
fn stacks_of_matrices() {
    for (n, a, b, c) in
        [(1, 2, 3, 4), (5, 3, 3, 3), (3, 1, 4, 2), (2, 4, 1, 5), (4, 20, 17, 18), (3, 7, 12, 1), (0, 2, 2, 2), (2, 0, 3, 2), (2, 3, 0, 2)]
    {
        let (x, y, m) = (numbers((n, a, b), 1), numbers((n, b, c), 2), numbers((a.max(3), c), 3));
        let together = products::batched(&x, &y, &m);
        assert_eq!(together.dim(), (n, a, a.max(3)));
        for e in 0..n {
            let one = |x: &Array3<f64>| x.index_axis(Axis(0), e).to_owned();
            assert_close(&together.index_axis(Axis(0), e), &products(&one(&x), &one(&y), &m), 1e-12);
        }
    }
}
