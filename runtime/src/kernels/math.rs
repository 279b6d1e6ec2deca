//! Functions of one or two numbers, as generated code calls them.
//!
//! [`exp`], [`tanh`] and [`sigmoid`] are polynomials without branches, so that loops over them vectorise; they are within 2 units in the
//! last place of the exact value over the full range, overflow to infinity, underflow gradually and give NaN for NaN. The other functions are
//! those of the standard library.

use ndarray::NdFloat;

use crate::Float;

/// What the vectorised functions need to know about a float type.
pub trait Math: Sized {
    /// Below the first, `exp` is zero; above the second, it is infinite.
    const EXP_RANGE: (Self, Self);
    /// From here on, `tanh` is one.
    const TANH_ONE: Self;

    /// Splits `x = n ln 2 + r` with an integer `n` and `|r| <= ln 2 / 2`, for `x` in [`EXP_RANGE`](Math::EXP_RANGE): gives `2ⁿ` as two factors
    /// (it may exceed the range of the type), `r`, and `exp(r) - 1 - r` with what rounding took from `r`.
    fn split_exponent(x: Self) -> ([Self; 2], Self, Self);
}

macro_rules! math {
    (
        $T:ident as $Bits:ident, exp_range: $exp_range:expr, tanh_one: $tanh_one:expr,
        ln_2: $unused_bits:expr, $ln_2_rest:expr, series_from: $first:expr
    ) => {
        impl Math for $T {
            const EXP_RANGE: ($T, $T) = $exp_range;
            const TANH_ONE: $T = $tanh_one;

            #[inline(always)]
            fn split_exponent(x: $T) -> ([$T; 2], $T, $T) {
                use std::$T::consts::{LN_2, LOG2_E};
                const MANTISSA: u32 = $T::MANTISSA_DIGITS - 1;
                const BIAS: $Bits = $T::MAX_EXP as $Bits - 1;
                // Adding this rounds to an integer, which then stands in the low bits of the sum.
                const ROUND: $T = 1.5 * ((1 as $Bits) << MANTISSA) as $T;
                // The first part of ln 2 has so few bits that its product with any `n` is exact.
                const LN_2_HIGH: $T = $T::from_bits(LN_2.to_bits() >> $unused_bits << $unused_bits);
                const LN_2_LOW: $T = (LN_2 - LN_2_HIGH) + $ln_2_rest;
                // The reciprocals of the factorials from 2! on, as far as they matter.
                const SERIES: [$T; $first - 1] = {
                    let mut series = [0.5; $first - 1];
                    let mut k = 1;
                    while k < series.len() {
                        series[k] = series[k - 1] / (k + 2) as $T;
                        k += 1;
                    }
                    series
                };

                let shifted = x * LOG2_E + ROUND;
                let n = shifted - ROUND;
                let (high, low) = (x - n * LN_2_HIGH, n * LN_2_LOW);
                let r = high - low;
                let lost = (high - r) - low;
                let mut p = SERIES[SERIES.len() - 1];
                for k in (0..SERIES.len() - 1).rev() {
                    p = p * r + SERIES[k];
                }
                let biased = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(2 * BIAS);
                let half = biased >> 1;
                let factors = [$T::from_bits(half << MANTISSA), $T::from_bits(biased.wrapping_sub(half) << MANTISSA)];
                (factors, r, r * r * p + lost)
            }
        }
    };
}
// The rest of ln 2 is what the float nearest to ln 2 lacks. The series is cut where its next term is below a quarter of a unit in the last place.
math!(f64 as u64, exp_range: (-746.0, 710.0), tanh_one: 22.0, ln_2: 32, 2.319_046_813_846_3e-17, series_from: 13);
math!(f32 as u32, exp_range: (-104.0, 89.0), tanh_one: 10.0, ln_2: 9, -1.904_654_3e-9, series_from: 7);

/// `exp(x)`
#[inline(always)]
pub fn exp<T: Float>(x: T) -> T {
    // Comparisons with NaN are false, so that it passes.
    let x = if x < T::EXP_RANGE.0 { T::EXP_RANGE.0 } else { x };
    let x = if x > T::EXP_RANGE.1 { T::EXP_RANGE.1 } else { x };
    let ([first, second], r, rest) = T::split_exponent(x);
    (T::one() + (r + rest)) * first * second
}

/// `tanh(x)`
#[inline(always)]
pub fn tanh<T: Float>(x: T) -> T {
    let magnitude = x.abs();
    let magnitude = if magnitude > T::TANH_ONE { T::TANH_ONE } else { magnitude };
    let ([first, second], r, rest) = T::split_exponent(magnitude + magnitude);
    let (one, half) = (T::one(), T::from_f64(0.5));
    // e = exp(2|x|) - 1 = (power - 1) + power (r + rest), in which nothing cancels, since the exponent is not negative.
    let power = first * second;
    let (coarse, e_lost) = sum_and_lost(power - one, power * r);
    let (e, e_lost) = sum_and_lost(coarse, power * rest + e_lost);
    // tanh|x| = e / (e + 2), and to first order what rounding took from numerator and denominator; 1 / (e + 2) = (1 - tanh|x|) / 2.
    let (denominator, denominator_lost) = sum_and_lost(e, one + one);
    let quotient = e / denominator;
    let lost = e_lost - quotient * (e_lost + denominator_lost);
    (quotient + lost * half * (one - quotient)).copysign(x)
}

/// `a + b` and its rounding error (Knuth's two-sum).
#[inline(always)]
fn sum_and_lost<T: Float>(a: T, b: T) -> (T, T) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

/// `1 / (1 + exp(-x))`
#[inline(always)]
pub fn sigmoid<T: Float>(x: T) -> T {
    let e = exp(-x.abs());
    let numerator = if x < T::zero() { e } else { T::one() };
    numerator / (T::one() + e)
}

/// `ln(1 + exp(x))` without overflow
#[inline(always)]
pub fn softplus<T: Float>(x: T) -> T {
    relu(x) + exp(-x.abs()).ln_1p()
}

/// `max(x, 0)`
#[inline(always)]
pub fn relu<T: Float>(x: T) -> T {
    if x < T::zero() { T::zero() } else { x }
}

macro_rules! standard {
    ($($(#[$doc:meta])* $name:ident)*) => { $(
        $(#[$doc])*
        #[inline(always)]
        pub fn $name<T: NdFloat>(x: T) -> T {
            x.$name()
        }
    )* };
}
standard! {
    /// `exp(x) - 1`, exact near zero
    exp_m1
    /// natural logarithm
    ln
    /// `ln(1 + x)`, exact near zero
    ln_1p
    /// square root
    sqrt
    /// sine
    sin
    /// cosine
    cos
    /// tangent
    tan
    /// arc sine
    asin
    /// arc cosine
    acos
    /// arc tangent
    atan
    /// hyperbolic sine
    sinh
    /// hyperbolic cosine
    cosh
    /// largest integer not above `x`
    floor
}

/// `x` to an integer power
#[inline(always)]
pub fn powi<T: NdFloat>(x: T, n: i32) -> T {
    x.powi(n)
}

/// `x` to the power `y`
#[inline(always)]
pub fn powf<T: NdFloat>(x: T, y: T) -> T {
    x.powf(y)
}

/// The angle of the point `(x, y)`.
#[inline(always)]
pub fn atan2<T: NdFloat>(y: T, x: T) -> T {
    y.atan2(x)
}

/// Operations that floats and integers share under one name.
pub trait Number: Copy {
    /// `|x|`
    fn magnitude(self) -> Self;
    /// `1`, `-1`, or `0` at zero
    fn sign(self) -> Self;
    /// the larger; of a number and NaN, the number
    fn larger(self, other: Self) -> Self;
    /// the smaller; of a number and NaN, the number
    fn smaller(self, other: Self) -> Self;
}

macro_rules! number {
    ($([$($generics:tt)*] $T:ident: |$x:ident| $abs:expr, $sign:expr;)*) => { $(
        impl $($generics)* Number for $T {
            #[inline(always)]
            fn magnitude(self) -> Self {
                let $x = self;
                $abs
            }

            #[inline(always)]
            fn sign(self) -> Self {
                let $x = self;
                $sign
            }

            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                self.max(other)
            }

            #[inline(always)]
            fn smaller(self, other: Self) -> Self {
                self.min(other)
            }
        }
    )* };
}
number! {
    [<T: Float>] T: |x| x.abs(), if x == T::zero() { T::zero() } else if x.is_nan() { x } else { x.signum() };
    [] i64: |x| x.abs(), x.signum();
    [] usize: |x| x, usize::from(x > 0);
}

/// `|x|`
#[inline(always)]
pub fn abs<T: Number>(x: T) -> T {
    x.magnitude()
}

/// `1`, `-1`, or `0` at zero
#[inline(always)]
pub fn sign<T: Number>(x: T) -> T {
    x.sign()
}

/// The larger of two; of a number and NaN, the number.
#[inline(always)]
pub fn max<T: Number>(a: T, b: T) -> T {
    a.larger(b)
}

/// The smaller of two; of a number and NaN, the number.
#[inline(always)]
pub fn min<T: Number>(a: T, b: T) -> T {
    a.smaller(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of all sizes and signs, dense where `exp` is neither 0 nor infinite.
    fn sweep() -> impl Iterator<Item = f64> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut uniform = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let special = [0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324, 1e300, -1e300, 1e-300];
        special.into_iter().chain((0..400_000).map(move |k| {
            let x = 2.0 * uniform() - 1.0;
            match k % 5 {
                0 => 750.0 * x,
                1 => 110.0 * x,
                2 => 25.0 * x,
                3 => x,
                _ => x * 10_f64.powf(-20.0 * uniform()),
            }
        }))
    }

    /// Distance in units of the last place of `exact`, whose own error is half such a unit at most.
    fn ulps_f64(got: f64, exact: f64) -> f64 {
        if got == exact || (got.is_nan() && exact.is_nan()) {
            return 0.0;
        }
        (got - exact).abs() / (exact.next_up() - exact).abs().max((exact - exact.next_down()).abs()).min(f64::MAX)
    }

    fn check_f64(name: &str, ours: fn(f64) -> f64, exact: fn(f64) -> f64) {
        for x in sweep() {
            let (got, want) = (ours(x), exact(x));
            assert!(ulps_f64(got, want) <= 2.0, "{name}({x:e}) = {got:e}, not {want:e}");
        }
        assert!(ours(f64::NAN).is_nan());
    }

    /// The standard library's `f64` result serves as the exact one.
    fn check_f32(name: &str, ours: fn(f32) -> f32, exact: fn(f64) -> f64) {
        for x in sweep() {
            let x = x as f32;
            let (got, want) = (ours(x), exact(f64::from(x)));
            let near = want as f32;
            let unit = f64::from(near.abs().next_up()) - f64::from(near.abs());
            let fine = got == near || (f64::from(got) - want).abs() <= 2.0 * unit;
            assert!(fine, "{name}({x:e}) = {got:e}, not {want:e}");
        }
        assert!(ours(f32::NAN).is_nan());
    }

    /// A number as the unevaluated sum of two, which doubles the precision.
    #[derive(Clone, Copy)]
    struct Double(f64, f64);

    impl Double {
        fn sum(a: f64, b: f64) -> Double {
            let (s, e) = sum_and_lost(a, b);
            Double(s, e)
        }

        fn add(self, other: Double) -> Double {
            let Double(s, e) = Double::sum(self.0, other.0);
            Double::sum(s, e + self.1 + other.1)
        }

        fn mul(self, other: Double) -> Double {
            let p = self.0 * other.0;
            let e = self.0.mul_add(other.0, -p);
            Double::sum(p, e + self.0 * other.1 + self.1 * other.0)
        }

        fn div(self, other: Double) -> Double {
            let q = self.0 / other.0;
            let rest = self.add(other.mul(Double(-q, 0.0)));
            Double::sum(q, (rest.0 + rest.1) / other.0)
        }
    }

    /// The standard library's `tanh` is itself off by two units in places, so this one is computed in twice the precision.
    fn exact_tanh(x: f64) -> f64 {
        if x.abs() < 0.01 {
            let y = x * x;
            return x - x * y * (1.0 / 3.0 - y * (2.0 / 15.0 - y * (17.0 / 315.0)));
        } else if x.abs() > 22.0 {
            return 1_f64.copysign(x);
        }
        // exp(2x) as the 2¹²-th power of exp(x / 2¹¹), that from its series.
        let (r, one) = (x / 2048.0, Double(1.0, 0.0));
        let mut e = one;
        for k in (1..12).rev() {
            e = one.add(e.mul(Double(r, 0.0)).div(Double(f64::from(k), 0.0)));
        }
        for _ in 0..12 {
            e = e.mul(e);
        }
        e.add(Double(-1.0, 0.0)).div(e.add(one)).0
    }

    fn exact_sigmoid(x: f64) -> f64 {
        if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
    }

    #[test]
    fn exp_is_within_two_ulps() {
        check_f64("exp", exp, f64::exp);
        check_f32("exp", exp, f64::exp);
    }

    #[test]
    fn tanh_is_within_two_ulps() {
        check_f64("tanh", tanh, exact_tanh);
        check_f32("tanh", tanh, f64::tanh);
    }

    #[test]
    fn sigmoid_is_within_two_ulps() {
        check_f64("sigmoid", sigmoid, exact_sigmoid);
        check_f32("sigmoid", sigmoid, exact_sigmoid);
    }

    #[test]
    fn signs_of_zero_survive() {
        assert_eq!(tanh(-0.0_f64).to_bits(), (-0.0_f64).to_bits());
        assert_eq!(sign(-0.0_f64), 0.0);
        assert!(sign(f64::NAN).is_nan() && relu(f64::NAN).is_nan());
    }

    #[test]
    fn softplus_has_its_limits() {
        assert_eq!(softplus(1000.0_f64), 1000.0);
        assert_eq!(softplus(-1000.0_f64), 0.0);
        assert!((softplus(0.0_f64) - std::f64::consts::LN_2).abs() < 1e-15);
    }
}
