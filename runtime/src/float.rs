//! The two float types.

use std::iter::Sum;

use ndarray::NdFloat;

/// `f64` or `f32`: the element type of a problem, and what functions with derivatives may be generic over.
///
/// ```
/// use bilevel_runtime::Float;
/// use ndarray::Array1;
///
/// fn energy<F: Float>(w: &Array1<F>) -> F {
///     (w * w).sum() * F::from_f64(0.5)
/// }
/// assert_eq!(energy(&ndarray::array![3.0_f32, 4.0]), 12.5);
/// ```
///
/// Rust takes no literal for an `F`: constants are written [`F::from_f64(0.5)`](Float::from_f64). The functions of one number (`exp`, `sqrt`, `abs`,
/// `is_finite`, …) and `F::zero()`, `F::one()`, `F::infinity()`, `F::from(n).unwrap()` come from `num_traits::Float`, on which
/// [`NdFloat`] stands, and so do all operators. The trait is sealed, since the kernels exist for these two types only.
pub trait Float: NdFloat + Default + Sum + sealed::Sealed + 'static {
    /// The distance from one to the next larger number.
    const EPSILON: Self;

    /// The nearest number of this type.
    fn from_f64(x: f64) -> Self;

    /// The same number as an `f64`, which is exact.
    fn to_f64(self) -> f64;
}

/// A matrix for [`sealed::Sealed::gemm`]: where its first element stands, and how far apart rows and columns are.
#[derive(Clone, Copy, Debug)]
pub struct Strided<P> {
    /// The first element.
    pub start: P,
    /// Elements from one row to the next.
    pub row: isize,
    /// Elements from one column to the next.
    pub col: isize,
}

pub(crate) mod sealed {
    use super::Strided;
    use crate::kernels::{Factored, Math, Narrow, Tiles};

    /// What only the two float types have.
    pub trait Sealed: Math + Narrow + Tiles + Factored {
        /// `C ← A B` for `A` of `m × k`, `B` of `k × n` and `C` of `m × n` elements. `C` is not read.
        ///
        /// # Safety
        /// Every element of `A` and `B` is readable, every element of `C` is writable, and `C` overlaps neither itself nor the others.
        unsafe fn gemm(m: usize, k: usize, n: usize, a: Strided<*const Self>, b: Strided<*const Self>, c: Strided<*mut Self>);
    }
}

/// Compiles for float types only.
pub fn is_float<T: Float>() {}

/// A number that is not the same in both widths.
#[inline(always)]
pub fn widths<T: Float>(wide: f64, narrow: f32) -> T {
    T::from_f64(if size_of::<T>() == size_of::<f64>() { wide } else { f64::from(narrow) })
}

/// A number as a float, as Rust's `as` does it.
#[inline(always)]
pub fn as_float<T: Float>(x: impl AsFloat) -> T {
    x.as_float()
}

/// What can be made a float.
pub trait AsFloat: Copy {
    /// The nearest float.
    fn as_float<T: Float>(self) -> T;
}

impl<N: Float> AsFloat for N {
    #[inline(always)]
    fn as_float<T: Float>(self) -> T {
        T::from_f64(self.to_f64())
    }
}

macro_rules! integer {
    ($($N:ident),*) => { $(
        impl AsFloat for $N {
            #[inline(always)]
            fn as_float<T: Float>(self) -> T {
                // Rounded once, straight to the width of the type.
                widths(self as f64, self as f32)
            }
        }
    )* };
}
integer!(usize, i64);

macro_rules! float {
    ($T:ident, $gemm:path) => {
        impl Float for $T {
            const EPSILON: Self = $T::EPSILON;

            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $T
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
        }

        impl sealed::Sealed for $T {
            unsafe fn gemm(m: usize, k: usize, n: usize, a: Strided<*const Self>, b: Strided<*const Self>, c: Strided<*mut Self>) {
                // SAFETY: the caller vouches for the three matrices; with a beta of zero `C` is only written.
                unsafe { $gemm(m, k, n, 1.0, a.start, a.row, a.col, b.start, b.row, b.col, 0.0, c.start, c.row, c.col) }
            }
        }
    };
}
float!(f64, matrixmultiply::dgemm);
float!(f32, matrixmultiply::sgemm);
