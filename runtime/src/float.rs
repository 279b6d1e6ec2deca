//! The two float types.

use std::iter::Sum;

use ndarray::NdFloat;

/// `f64` or `f32`: the element type of a problem.
///
/// The functions of one number (`exp`, `sqrt`, `abs`, `is_finite`, …) come from `num_traits::Float`, on which
/// [`NdFloat`] stands. The trait is sealed, since the kernels exist for these two types only.
pub trait Float: NdFloat + Default + Sum + sealed::Sealed {
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
    use crate::kernels::{Math, Narrow, Tiles};

    /// What only the two float types have.
    pub trait Sealed: Math + Narrow + Tiles {
        /// `C ← A B` for `A` of `m × k`, `B` of `k × n` and `C` of `m × n` elements. `C` is not read.
        ///
        /// # Safety
        /// Every element of `A` and `B` is readable, every element of `C` is writable, and `C` overlaps neither itself nor the others.
        unsafe fn gemm(m: usize, k: usize, n: usize, a: Strided<*const Self>, b: Strided<*const Self>, c: Strided<*mut Self>);
    }
}

macro_rules! float {
    ($T:ident, $gemm:path) => {
        impl Float for $T {
            const EPSILON: Self = $T::EPSILON;

            fn from_f64(x: f64) -> Self {
                x as $T
            }

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
