//! Functions of one and of several numbers.

use crate::common::{Argument, Outcome, matrix, vector};
use crate::{generic, positive};
use bilevel::prelude::*;

agree! {
    rounding: (&vector(6)), (&vector(6).cos()), &vector(6), 1e-14, {
        fn f(x: &Array1<f64>) -> Array1<f64> {
            let x = x * 2.3;
            x.ceil() * &x + x.floor().exp() * x.trunc() + x.fract() * x.round() * &x + x.signum() * &x + x.abs()
        }
    }
    functions_everywhere: (&generic(3, 4)), (&matrix(3, 4).cos()), &matrix(3, 4).sin(), 1e-13, {
        fn f(x: &Array2<f64>) -> Array2<f64> {
            let y = x.exp() + x.exp_m1() * x.sin() + x.cos() * x.tan() + x.atan() * x.sinh() + x.cosh() * x.tanh();
            let z = x.sigmoid() * x.softplus() + x.relu() + x.erf() * x.gelu() + x.gelu_tanh() + x.pow2() * x.exp2() + x.to_radians() * x.to_degrees() + x.powi(3);
            y * z
        }
    }
    functions_of_positive_numbers: (&positive(6)), (&vector(6).cos()), &vector(6).sin(), 1e-13, {
        fn f(x: &Array1<f64>) -> Array1<f64> {
            let y = x.ln() * x.ln_1p() + x.sqrt() * x.recip() + x.log2() * x.log10() + x.powf(1.7) * x.log(3.0);
            let t = x.tanh();
            y + t.asin() * t.acos() + t.atanh()
        }
    }
    roots: (&vector(7)), (&vector(7).cos()), &vector(7), 1e-13, {
        fn f(x: &Array1<f64>) -> Array1<f64> { x.cbrt() * (x * 3.0).asinh() + (x * x + 1.01).acosh() }
    }
    inverse_hyperbolic_sine_far_out_and_at_zero: (&array![0.0, -0.0, 1e-9, -1e9, 1e200, 0.4999999, -0.5000001]), (&Array1::from_elem(7, 1.0)), &vector(7), 1e-13, {
        fn f(x: &Array1<f64>) -> Array1<f64> { x.asinh() }
    }
    lengths_of_vectors: (&vector(5), 0.7), (&vector(5).cos(), -0.4), &vector(5).exp(), 1e-13, {
        fn f(x: &Array1<f64>, s: f64) -> Array1<f64> { x.hypot(s) * x.abs_sub(s / 3.0) + x.clamp(-0.3, 0.6) + x.hypot(1e-200) }
    }
    #[scalar]
    hypotenuses_of_any_size: (3.0, 4.0), (0.3, -0.4), 0.7, 1e-13, {
        fn f(a: f64, b: f64) -> f64 {
            (a * 1e200).hypot(b * 1e200) / 1e200 + (a * 1e-200).hypot(b * 1e-200) * 1e200 + f64::hypot(a, b) * a
        }
    }
    #[scalar]
    several_numbers: (0.8, -1.7, 2.6), (0.3, -0.4, 0.2), 1.1, 1e-13, {
        fn f(a: f64, b: f64, c: f64) -> f64 {
            let largest = a.max(b) * c.min(a) + a.atan2(b) + a.powf(c) + c.log(a + 2.0);
            let bounded = (a * b).clamp(-2.0, -0.1) + a.mul_add(b, c) * a.copysign(b) + a.hypot(b) * b.abs_sub(a) + c.abs_sub(a);
            largest * bounded
        }
    }
    #[scalar]
    remainders: (7.3, -1.9, 2.2), (0.3, -0.4, 0.2), 1.1, 1e-13, {
        fn f(a: f64, b: f64, c: f64) -> f64 {
            a % c * b + a.rem_euclid(b) * c + b.rem_euclid(c) * a + (b % c).exp() + (-a) % b
        }
    }
    remainders_of_arrays: (&matrix(2, 3), &vector(3).mapv(|v| v + 2.0)), (&matrix(2, 3).cos(), &vector(3)), &matrix(2, 3), 1e-13, {
        fn f(a: &Array2<f64>, b: &Array1<f64>) -> Array2<f64> { a % b + (a * 7.0) % 1.5 }
    }
    numbers_alone: (0.37, 1.9), (0.3, -0.4), 0.9, 1e-13, {
        fn f(a: f64, b: f64) -> f64 {
            let y = a.exp() + a.ln() * a.sqrt() + a.sin() * b.cos() + a.tan() + a.asin() * a.acos() + b.atan() + a.sinh() * a.cosh() + b.tanh();
            let z = a.exp_m1() * a.ln_1p() + a.sigmoid() * b.softplus() + b.relu() + a.gelu() * b.gelu_tanh() + b.abs() + b.cbrt() * b.asinh() + b.acosh() * a.atanh();
            let w = b.exp2() * a.log2() + a.log10() + a.recip() + a.to_radians() * b.to_degrees() + b.powi(3) + b.fract() * b.trunc();
            y * z + w * b.signum() + b.floor() * b.ceil() * b.round()
        }
    }
    tests_of_numbers: (&array![0.3, f64::INFINITY, -0.2, f64::NAN], 0.5), (&array![1.0, 0.5, -0.3, 0.2], 0.3), 0.9, 1e-13, {
        fn f(x: &Array1<f64>, s: f64) -> f64 {
            let finite = x.mapv(|v| if v.is_finite() { v } else { 0.0 });
            let infinite = x.mapv(|v| if v.is_infinite() { s } else { 2.0 * s });
            let strange = x.is_nan().mapv(|b| if b { 1.0 } else { s * s });
            let far = x.is_infinite().mapv(|b| if b { s } else { 1.0 });
            let factor = if x.is_any_nan() && x.is_any_infinite() && !x.is_all_nan() && !x.is_all_infinite() && !s.is_nan() { s } else { 1.0 };
            (finite.sum() + infinite.sum() + strange.dot(&far)) * factor
        }
    }
    branches_that_avoid_poles: (&vector(6)), (&vector(6).cos()), &vector(6), 1e-13, {
        fn f(x: &Array1<f64>) -> Array1<f64> {
            x.mapv(|v| if v > 0.4 { (v + 1.0).acosh() * v.log(2.0) } else if v < -0.5 { v.cbrt() } else { v.asinh() * v.hypot(0.3) })
        }
    }
    #[scalar]
    values_that_are_held: (0.7, -1.3), (0.3, 0.4), 0.9, 1e-13, {
        fn f(a: f64, b: f64) -> f64 { stop_gradient(2.0) * a * a + a * b }
    }
    #[scalar]
    integers: (5_usize, 3_usize, -4_i64, 1.5), (0.3), 0.9, 1e-13, {
        fn f(n: usize, m: usize, k: i64, x: f64) -> f64 {
            let a = (m.saturating_sub(n) + n.saturating_sub(m) + n.abs_diff(m) + n.max(m) * n.min(m)) as f64;
            let b = (k.abs() + k.rem_euclid(3) + k % 3) as f64;
            a * x + b * x * x + n.clamp(0, 4) as f64 * x.powi(3)
        }
    }
    single_precision: (&vector(5).mapv(|v| v as f32), 0.7_f32), (&vector(5).mapv(|v| v as f32 * 0.3), 0.2_f32), &vector(5).mapv(|v| v as f32), 2e-6, {
        fn f(x: &Array1<f32>, s: f32) -> Array1<f32> {
            x.cbrt() + x.asinh() * (x * x + 1.5).acosh() + x.hypot(s) + x.exp2() + x % s + x.round() * x.fract() + x.var(1.0) * x.std(0.0)
        }
    }
}
