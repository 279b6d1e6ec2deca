//! Vector registers of x86-64, for the kernels that say themselves what stands in registers.

use std::arch::x86_64::*;

/// A vector register. Its functions need the CPU feature that its type stands for: whoever uses a type calls them where that is enabled.
pub(super) trait Vector<T>: Copy {
    /// Elements in one register.
    const LANES: usize;

    fn zero() -> Self;
    unsafe fn load(from: *const T) -> Self;
    unsafe fn store(self, to: *mut T);
    unsafe fn splat(from: *const T) -> Self;
    fn mul_add(self, factor: Self, term: Self) -> Self;
}

macro_rules! vector {
    ($V:ident, $T:ident, $lanes:expr, $zero:ident, $load:ident, $store:ident, $splat:ident, $mul_add:ident) => {
        impl Vector<$T> for $V {
            const LANES: usize = $lanes;

            #[inline(always)]
            fn zero() -> Self {
                // SAFETY: what uses this type runs where the feature is enabled.
                unsafe { $zero() }
            }

            #[inline(always)]
            unsafe fn load(from: *const $T) -> Self {
                // SAFETY: the caller vouches for the elements; for the feature see `zero`.
                unsafe { $load(from) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut $T) {
                // SAFETY: as for `load`.
                unsafe { $store(to, self) }
            }

            #[inline(always)]
            unsafe fn splat(from: *const $T) -> Self {
                // SAFETY: as for `load`.
                unsafe { $splat(*from) }
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, term: Self) -> Self {
                // SAFETY: as for `zero`.
                unsafe { $mul_add(self, factor, term) }
            }
        }
    };
}
vector!(__m256d, f64, 4, _mm256_setzero_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_set1_pd, _mm256_fmadd_pd);
vector!(__m256, f32, 8, _mm256_setzero_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps);
vector!(__m512d, f64, 8, _mm512_setzero_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_set1_pd, _mm512_fmadd_pd);
vector!(__m512, f32, 16, _mm512_setzero_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_fmadd_ps);
