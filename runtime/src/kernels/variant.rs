//! One loop, several instruction sets.

use std::sync::atomic::{AtomicU8, Ordering};

/// Which instructions a loop may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Variant {
    /// What every CPU of the target has.
    Baseline = 1,
    /// AVX2 (x86-64).
    Avx2 = 2,
    /// AVX-512 with its vector-length, double-word and byte extensions (x86-64).
    Avx512 = 3,
}

/// A loop that is compiled for every variant. `run` must be `#[inline(always)]`, as must be all that it calls in its hot part.
pub(crate) trait Kernel {
    type Output;

    fn run(self) -> Self::Output;
}

/// Runs a kernel with the widest instructions that this CPU has.
#[inline(always)]
pub(crate) fn run<K: Kernel>(kernel: K) -> K::Output {
    // A build for debugging does not vectorise: three versions of every loop would only make it slow to compile.
    if cfg!(debug_assertions) { baseline(kernel) } else { Variant::detect().run(kernel) }
}

impl Variant {
    /// The widest variant that this CPU has, found once.
    #[inline]
    pub(crate) fn detect() -> Variant {
        // Zero means not looked at yet. Two threads may both look; they find the same.
        static FOUND: AtomicU8 = AtomicU8::new(0);
        match FOUND.load(Ordering::Relaxed) {
            1 => Variant::Baseline,
            2 => Variant::Avx2,
            3 => Variant::Avx512,
            _ => {
                let found = Variant::available().last().copied().unwrap_or(Variant::Baseline);
                FOUND.store(found as u8, Ordering::Relaxed);
                found
            }
        }
    }

    /// All variants that this CPU has, narrow ones first.
    pub(crate) fn available() -> &'static [Variant] {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                let wide = is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw");
                if wide {
                    return &[Variant::Baseline, Variant::Avx2, Variant::Avx512];
                }
                return &[Variant::Baseline, Variant::Avx2];
            }
        }
        &[Variant::Baseline]
    }

    /// Runs a kernel with this variant's instructions.
    #[inline(always)]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Variant::Avx512 => {
                // SAFETY: this variant comes from `detect` or `available`, which found the features on this CPU.
                unsafe { avx512(kernel) }
            }
            #[cfg(target_arch = "x86_64")]
            Variant::Avx2 => {
                // SAFETY: as above.
                unsafe { avx2(kernel) }
            }
            #[cfg(not(target_arch = "x86_64"))]
            Variant::Avx512 | Variant::Avx2 => kernel.run(),
            Variant::Baseline => baseline(kernel),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
fn avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

#[inline(never)]
fn baseline<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}
