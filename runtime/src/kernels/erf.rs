//! The error function.

use crate::Float;

/// `2/√π ∫₀ˣ exp(−t²) dt`, within 3 units in the last place: without branches, so that loops over it vectorise.
///
/// Up to one it is its series in `x²`. Beyond that it is `1 − exp(−x²) p(t)`, where `p` is a polynomial in `t = (72 / (|x| + 3) − 13) / 5`, which runs from 1 down to −1
/// as `|x|` goes from 1 to 6. Its coefficients are those of the Chebyshev series of `exp(x²) erfc(x)`, cut off where the rest is below
/// the last place, in powers of `t`.
#[inline(always)]
pub fn erf<T: Float>(x: T) -> T {
    let [one, end] = [1.0, 6.0].map(T::from_f64);
    let magnitude = x.abs();
    // A comparison with NaN is false, so that it passes. From here on, the result is one.
    let magnitude = if magnitude > end { end } else { magnitude };
    let square = magnitude * magnitude;
    let is_short = size_of::<T>() == 4;
    let near = magnitude * if is_short { polynomial(&SERIES[..11], square) } else { polynomial(&SERIES, square) };
    let t = (T::from_f64(72.0) / (magnitude + T::from_f64(3.0)) - T::from_f64(13.0)) * T::from_f64(0.2);
    let tail = if is_short { polynomial(&TAIL_F32, t) } else { polynomial(&TAIL_F64, t) };
    let far = one - super::exp(-square) * tail;
    (if magnitude < one { near } else { far }).copysign(x)
}

#[inline(always)]
fn polynomial<T: Float>(coefficients: &[f64], x: T) -> T {
    let mut y = T::zero();
    for &c in coefficients.iter().rev() {
        y = y * x + T::from_f64(c);
    }
    y
}

/// `2/√π (−1)ᵏ / (k! (2k + 1))`
const SERIES: [f64; 20] = {
    let mut series = [0.0; 20];
    let (mut k, mut term) = (0, std::f64::consts::FRAC_2_SQRT_PI);
    while k < series.len() {
        series[k] = term / (2 * k + 1) as f64;
        k += 1;
        term /= -(k as f64);
    }
    series
};

const TAIL_F64: [f64; 16] = [
    0.20798329133342885,
    0.15436117429436919,
    0.04969844540339414,
    0.012713147695691995,
    0.0024793146970862002,
    0.0003316029605784682,
    1.9563583198099526e-05,
    -2.4255574811675935e-06,
    -5.54127310709044e-07,
    4.526722358033927e-09,
    1.1339337061280557e-08,
    2.6378796088267935e-10,
    -2.5700504246482923e-10,
    -6.029960764165142e-12,
    6.044068318449643e-12,
    -4.5059344101039224e-15,
];

const TAIL_F32: [f64; 9] = [
    0.20798329135425317,
    0.15436117411340025,
    0.04969844435961052,
    0.012713150090844167,
    0.0024793230783362323,
    0.00033159444530688994,
    1.9539970117019225e-05,
    -2.4144925551594308e-06,
    -5.268047382174488e-07,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The series whose terms are all positive, which loses nothing; from two on, one minus a continued fraction.
    fn exact(x: f64) -> f64 {
        let power = std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp();
        if x >= 2.0 {
            return 1.0 - 0.5 * power / (1..=80).rev().fold(x, |below, k| x + 0.5 * f64::from(k) / below);
        }
        let (mut sum, mut term, mut n) = (x, x, 0.0);
        while term > 1e-18 * sum {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        sum * power
    }

    #[test]
    fn erf_is_its_series() {
        for k in 1..=600 {
            let x = 0.01 * f64::from(k);
            let expected = exact(x);
            assert!((erf(x) - expected).abs() <= 1.2e-15 * expected, "{x}: {} instead of {expected}", erf(x));
            assert_eq!(erf(-x), -erf(x));
            let single = x as f32;
            let expected = exact(f64::from(single));
            assert!((f64::from(erf(single)) - expected).abs() <= 2.4e-7 * expected, "{x}: {} instead of {expected}", erf(single));
        }
        // Tables have these digits.
        assert!((erf(0.5_f64) - 0.520_499_877_813_046_5).abs() < 2e-16);
        assert!((erf(2.0_f64) - 0.995_322_265_018_952_7).abs() < 2e-16);
    }

    #[test]
    fn erf_at_its_ends() {
        assert_eq!((erf(0.0_f64), erf(40.0_f64), erf(f64::NEG_INFINITY)), (0.0, 1.0, -1.0));
        assert!(erf(-0.0_f64).is_sign_negative() && erf(f64::NAN).is_nan());
        assert_eq!(erf(1e-300_f64), 1e-300 * std::f64::consts::FRAC_2_SQRT_PI);
    }
}
