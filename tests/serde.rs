//! Structs that derive `Params` are written to files and read again by serde, with the feature `serde`.

#![cfg(feature = "serde")]

use bilevel::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Params, Serialize, Deserialize)]
struct Dense {
    w: Array2<f64>,
    b: Array1<f64>,
}

#[derive(Clone, Debug, PartialEq, Params, Serialize, Deserialize)]
struct Net {
    layers: (Dense, Dense),
    scale: [f64; 2],
    n_seen: usize,
}

#[differentiable]
fn size(net: &Net) -> f64 {
    let (first, last) = &net.layers;
    (&first.w * &first.w).sum() + (&last.b * &last.b).sum() * net.scale[0]
}

#[test]
fn a_network_and_its_gradient_round_trip() {
    let layer = |n: usize, m: usize| Dense { w: Array2::from_shape_fn((n, m), |(i, j)| 0.1 * i as f64 - j as f64), b: Array1::ones(m) };
    let net = Net { layers: (layer(2, 3), layer(3, 1)), scale: [0.5, -1.0 / 3.0], n_seen: 4 };
    for value in [net.clone(), size::grad(&net)] {
        let text = serde_json::to_string(&value).unwrap();
        assert_eq!(serde_json::from_str::<Net>(&text).unwrap(), value);
    }
}
