//! Functions and structs that are generic over their float type, and how they meet everything else: calls, derivatives inside of functions, problems.

#![deny(warnings)]
#![allow(unreachable_pub, reason = "the functions of a problem are public, as users write them")]

mod calls;
mod requests;
mod structs;

use bilevel::prelude::*;

/// Largest difference between corresponding elements, relative to the larger of one and the largest element.
fn distance<P: Params>(a: &P, b: &P) -> f64 {
    let (a, b) = (a.flat(), b.flat());
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(1.0_f64, |m, v| m.max(v.to_f64().abs()));
    a.iter().zip(&b).fold(0.0_f64, |m, (a, b)| m.max((a.to_f64() - b.to_f64()).abs())) / largest
}

/// The elements in `f32`.
fn narrow<D: bilevel::ndarray::Dimension>(x: &Array<f64, D>) -> Array<f32, D> {
    x.mapv(|v| v as f32)
}

/// The elements in `f64`.
fn wide<D: bilevel::ndarray::Dimension>(x: &Array<f32, D>) -> Array<f64, D> {
    x.mapv(f64::from)
}

fn features() -> Array2<f64> {
    array![[1.0, 0.25, -0.5], [0.5, -1.0, 0.75], [0.25, 1.5, 1.0], [-1.25, 0.5, 0.5]]
}
