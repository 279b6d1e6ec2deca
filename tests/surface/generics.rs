//! Functions that are generic over their float type, at `f64` and at `f32`.

use crate::common::{matrix, vector};
use crate::positive;
use bilevel::ndarray::{Dimension, NdFloat};
use bilevel::prelude::*;

/// The same argument in `f32`, where it is a float.
trait Narrow {
    type Out;

    fn narrow(self) -> Self::Out;
}

impl Narrow for f64 {
    type Out = f32;

    fn narrow(self) -> f32 {
        self as f32
    }
}

impl<D: Dimension + 'static> Narrow for &Array<f64, D> {
    type Out = &'static Array<f32, D>;

    fn narrow(self) -> Self::Out {
        // For as long as the test runs.
        Box::leak(Box::new(self.mapv(|v| v as f32)))
    }
}

impl Narrow for &Array1<usize> {
    type Out = Self;

    fn narrow(self) -> Self {
        self
    }
}

impl Narrow for usize {
    type Out = usize;

    fn narrow(self) -> usize {
        self
    }
}

/// [`agree`] for each function in both widths.
macro_rules! agree_in_both_widths {
    ($($(#$scalar:tt)? $name:ident: ($($p:expr),*), ($($t:expr),*), $y_bar:expr, { $($function:tt)* })*) => {
        mod wide {
            use super::*;
            use crate::common::{Argument, Outcome};
            agree! { $($(#$scalar)? $name: ($($p),*), ($($t),*), $y_bar, 1e-13, { $($function)* })* }
        }
        mod narrow {
            use super::*;
            use crate::common::{Argument, Outcome};
            agree! { $($(#$scalar)? $name: ($($p.narrow()),*), ($($t.narrow()),*), $y_bar.narrow(), 3e-6, { $($function)* })* }
        }
    };
}

pub(crate) const SOURCES: &[&str] = wide::SOURCES;

agree_in_both_widths! {
    #[scalar]
    ridge: (&vector(3), &matrix(4, 3), &vector(4)), (&vector(3).cos(), &matrix(4, 3).sin(), &vector(4).exp()), 1.0, {
        fn f<F: Float>(w: &Array1<F>, x: &Array2<F>, y: &Array1<F>) -> F {
            let residual = x.dot(w) - y;
            (&residual * &residual).sum() * F::from_f64(0.5) / F::from(x.nrows()).unwrap() + w.mapv(|v| v * v).sum() * F::from_f64(0.1)
        }
    }
    #[scalar]
    in_a_where_clause: (&vector(4), 0.7), (&vector(4).cos(), -0.4), 1.0, {
        fn f<T>(x: &Array1<T>, s: T) -> T
        where
            T: bilevel::Float,
        {
            x.mapv(|v| (v * s).tanh() + v.sigmoid() * T::from_f64(1.5)).sum() + s.exp() * x.softplus().sum()
        }
    }
    constants: (&positive(5)), (&vector(5).cos()), &vector(5).sin(), {
        fn f<F: Float>(x: &Array1<F>) -> Array1<F> {
            let third = F::one() / F::from_f64(3.0);
            let tau = F::from_f64(2.0 * std::f64::consts::PI) - F::zero();
            x.mapv(|v| (v * third).sin().max(F::epsilon()) * tau + F::from(2).unwrap() * v.min(F::max_value()).max(F::min_value()))
                + x.mapv(|v| if v < F::infinity() && v > F::neg_infinity() && v != F::nan() { v * v } else { F::EPSILON })
                + x.mapv(|v| v.max(F::min_positive_value()).ln())
        }
    }
    elementwise_functions: (&positive(6)), (&vector(6).cos()), &vector(6).sin(), {
        fn f<F: Float>(x: &Array1<F>) -> Array1<F> {
            x.mapv(F::exp) * x.sqrt() + x.ln() * x.mapv(|v| v.powi(3)) + x.mapv(|v| v.hypot(F::from_f64(0.3)).atan2(v)).relu() + x.powf(F::from_f64(1.7))
                + x.mapv(|v| F::max(v, F::one()).cbrt() - v.abs().recip().log2())
        }
    }
    conversions: (&vector(4), &array![2_usize, 0, 3, 1]), (&vector(4).cos()), &vector(4).sin(), {
        fn f<F: Float>(x: &Array1<F>, k: &Array1<usize>) -> Array1<F> {
            let mut y = x.to_owned();
            for i in 0..k.len() {
                let there = x[k[i]].to_f64();
                y[i] = x[i] * F::from(k[i]).unwrap() + F::from_f64(there * 0.5) * F::from_f64(i as f64);
            }
            y
        }
    }
    loops_and_branches: (&vector(5), 0.3), (&vector(5).cos(), 0.9), &vector(5).sin(), {
        fn f<F: Float>(x: &Array1<F>, s: F) -> Array1<F> {
            let mut y = Array1::<F>::zeros(x.len());
            let mut state = F::zero();
            for (i, &v) in x.iter().enumerate() {
                state = if v > F::zero() { state * s + v } else { state - v * s };
                y[i] += state * state;
            }
            y
        }
    }
    #[scalar]
    classification: (&matrix(3, 2), &matrix(5, 3), &array![0_usize, 1, 1, 0, 1]), (&matrix(3, 2).cos(), &matrix(5, 3).sin()), 1.0, {
        fn f<F: Float>(w: &Array2<F>, x: &Array2<F>, y: &Array1<usize>) -> F {
            cross_entropy(&x.dot(w), y) + (w * w).sum() * F::from_f64(0.01) + log_sum_exp(&x.dot(w)).sum() * F::from_f64(0.1)
        }
    }
    systems: (&(matrix(3, 3) + Array2::<f64>::eye(3) * 3.0), &vector(3)), (&matrix(3, 3).cos(), &vector(3).sin()), &vector(3).cos(), {
        fn f<F: Float>(a: &Array2<F>, b: &Array1<F>) -> Array1<F> {
            linalg::solve(a, b) * linalg::log_det(a) + linalg::cholesky(&a.t().dot(a)).dot(b)
        }
    }
}

/// The constants of each width are its own.
#[test]
fn widths_have_constants_of_their_own() {
    #[differentiable]
    fn scaled<F: Float + NdFloat>(x: F) -> F {
        x * F::epsilon() + F::max_value() * F::zero()
    }
    assert_eq!((scaled::grad(2.0_f64), scaled::grad(2.0_f32)), (f64::EPSILON, f32::EPSILON));
    // A third is not the same number in both widths, and neither is rounded to the other.
    #[differentiable]
    fn third<F: Float>(x: F) -> F {
        x * (F::one() / F::from_f64(3.0)) * F::from_f64(0.1)
    }
    assert_eq!((third::grad(1.0_f64), third::grad(1.0_f32)), (1.0 / 3.0 * 0.1, 1.0_f32 / 3.0 * 0.1));
}
