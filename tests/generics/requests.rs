//! What is generated on request, of functions of structs: several values are slices and vectors, and in whole derivatives a struct is the vector of its
//! elements. All of it is compared with the derivatives of one value.

use super::{distance, features};
use bilevel::prelude::*;

#[derive(Clone, Debug, PartialEq, Params)]
struct Layer<F: Float> {
    w: Array2<F>,
    b: Array1<F>,
}

#[derive(Clone, Debug, PartialEq, Params)]
struct Net<F: Float> {
    layer: Layer<F>,
    width: (usize, F),
    last: [F; 2],
    name: i64,
}

fn net(seed: f64) -> Net<f64> {
    let shaped = Net { layer: Layer { w: Array2::zeros((3, 2)), b: Array1::zeros(2) }, width: (2, 0.0), last: [0.0; 2], name: seed as i64 };
    shaped.with_elements(&(0..11).map(|k| (1.3 * f64::from(k) + seed).sin()).collect::<Vec<_>>())
}

#[differentiable(batched(net), jvp_many, hvp_many, jacobian, hessian)]
fn loss<F: Float>(net: &Net<F>, s: F, v: &Array1<F>) -> F {
    let hidden = (v.dot(&net.layer.w) + &net.layer.b).mapv(|h| h.tanh() * net.width.1);
    (hidden[0] * net.last[0] + hidden[1] * net.last[1] * s).exp() * s
}

#[differentiable(batched(net, x), jvp_many, jacobian)]
fn outputs(net: &Layer<f64>, x: &Array2<f64>) -> Array2<f64> {
    (x.dot(&net.w) + &net.b).tanh()
}

/// Structs from structs.
#[differentiable(batched(layer), jvp_many)]
fn activated<F: Float>(layer: &Layer<F>, s: F) -> Layer<F> {
    Layer { w: layer.w.tanh() * s, b: &layer.b * &layer.b }
}

fn v() -> Array1<f64> {
    array![0.5, -1.0, 0.75]
}

#[test]
fn several_directions_are_slices_and_vectors() {
    let directions = [net(0.2), net(1.7), net(-2.0)];
    let (s_dots, v_dots) = (array![1.0, -0.5, 0.25], features().slice(s![..3, ..]).to_owned());
    let (value, dots) = loss::jvp_many(&net(0.0), 0.7, &v(), &directions, &s_dots, &v_dots);
    let (net_hvps, s_hvps, v_hvps): (Vec<Net<f64>>, Array1<f64>, Array2<f64>) =
        loss::hvp_many(&net(0.0), 0.7, &v(), &directions, &s_dots, &v_dots);
    assert!((value - loss(&net(0.0), 0.7, &v())).abs() < 1e-15);
    for k in 0..3 {
        let v_dot = v_dots.row(k).to_owned();
        let (_, dot) = loss::jvp(&net(0.0), 0.7, &v(), &directions[k], s_dots[k], &v_dot);
        assert!((dots[k] - dot).abs() < 1e-14);
        let one = loss::hvp(&net(0.0), 0.7, &v(), &directions[k], s_dots[k], &v_dot);
        assert!(distance(&(net_hvps[k].clone(), s_hvps[k], v_hvps.row(k).to_owned()), &one) < 1e-14);
        // What is no float comes from the argument.
        assert_eq!((net_hvps[k].name, net_hvps[k].width.0), (0, 2));
    }
    let (_, layers) = activated::jvp_many(&net(0.0).layer, 2.0, &[net(0.2).layer, net(1.7).layer], &array![0.0, 1.0]);
    let (_, second) = activated::jvp(&net(0.0).layer, 2.0, &net(1.7).layer, 1.0);
    assert!(layers.len() == 2 && distance(&layers[1], &second) < 1e-14);
}

#[test]
#[should_panic(expected = "`net_dot.layer.w`: there must be at least one value")]
fn there_is_a_direction() {
    let _ = loss::jvp_many(&net(0.0), 0.7, &v(), &[], &array![], &Array2::zeros((0, 3)));
}

#[test]
fn jacobians_have_one_axis_for_a_struct() {
    let (layer, x) = (net(0.0).layer, features());
    let (by_layer, by_x) = outputs::jacobian(&layer, &x);
    assert_eq!((by_layer.shape(), by_x.shape()), (&[4, 2, 8][..], &[4, 2, 4, 3][..]));
    for k in 0..8 {
        let direction = layer.with_elements(&(0..8).map(|i| f64::from(u8::from(i == k))).collect::<Vec<_>>());
        let (_, dot) = outputs::jvp(&layer, &x, &direction, &Array2::zeros((4, 3)));
        assert!(distance(&by_layer.index_axis(Axis(2), k).to_owned(), &dot) < 1e-14);
    }
    let gradient = loss::grad(&net(0.0), 0.7, &v());
    let (by_net, by_s, by_v) = loss::jacobian(&net(0.0), 0.7, &v());
    assert!(distance(&by_net, &gradient.0.flat()) < 1e-14);
    assert!(distance(&(by_s, by_v), &(gradient.1, gradient.2)) < 1e-14);
}

#[test]
fn hessians_have_one_axis_for_a_struct() {
    let (net, zeros) = (net(0.0), net(0.0).zeros_like());
    let ((nn, ns, nv), (sn, ss, sv), (vn, vs, vv)) = loss::hessian(&net, 0.7, &v());
    assert_eq!((nn.shape(), nv.shape(), vn.shape()), (&[11, 11][..], &[11, 3][..], &[3, 11][..]));
    for k in 0..11 {
        let direction = net.with_elements(&(0..11).map(|i| f64::from(u8::from(i == k))).collect::<Vec<_>>());
        let (by_net, by_s, by_v) = loss::hvp(&net, 0.7, &v(), &direction, 0.0, &Array1::zeros(3));
        assert!(distance(&nn.row(k).to_owned(), &by_net.flat()) < 1e-13);
        assert!(distance(&(ns[k], nv.row(k).to_owned()), &(by_s, by_v)) < 1e-13);
    }
    assert_eq!((nn.t(), ns.view(), nv.t(), sv.view()), (nn.view(), sn.view(), vn.view(), vs.view()));
    let (_, by_s, by_v) = loss::hvp(&net, 0.7, &v(), &zeros, 1.0, &Array1::zeros(3));
    assert!(distance(&(ss, sv), &(by_s, by_v)) < 1e-13);
    let (_, _, by_v) = loss::hvp(&net, 0.7, &v(), &zeros, 0.0, &array![0.0, 1.0, 0.0]);
    assert!(distance(&vv.row(1).to_owned(), &by_v) < 1e-13);
}

#[test]
fn examples_are_slices_and_vectors() {
    let nets = [net(0.2), net(1.7)];
    let values = loss::batched(&nets, 0.7, &v());
    let (bars, s_bars, v_bars): (Vec<Net<f64>>, _, _) = loss::batched_grad(&nets, 0.7, &v());
    for k in 0..2 {
        assert!((values[k] - loss(&nets[k], 0.7, &v())).abs() < 1e-14);
        let one = loss::grad(&nets[k], 0.7, &v());
        assert!(distance(&(bars[k].clone(), s_bars[k], v_bars.row(k).to_owned()), &one) < 1e-14);
        assert_eq!((bars[k].name, bars[k].width.0), (nets[k].name, 2));
    }
    let layers = activated::batched(&[net(0.2).layer, net(1.7).layer], 2.0);
    assert!(distance(&layers[1], &activated(&net(1.7).layer, 2.0)) < 1e-15);
    let xs = Array3::from_shape_fn((2, 4, 3), |(k, i, j)| features()[[i, j]] + k as f64);
    let ys = outputs::batched(&[net(0.2).layer, net(1.7).layer], &xs);
    assert!(distance(&ys.index_axis(Axis(0), 1).to_owned(), &outputs(&net(1.7).layer, &(features() + 1.0))) < 1e-14);
}
