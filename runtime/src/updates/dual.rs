//! Numbers that carry their derivatives along a fixed number of directions.
//!
//! The rule of an optimiser is written once, for anything that calculates like a number: with plain floats it makes the step, with dual numbers it
//! also gives the Jacobian of the step, from which tangents and cotangents follow.

use std::ops::{Add, Div, Mul, Sub};

use crate::Float;

/// What a rule calculates with.
pub(super) trait Number: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> {
    /// The same in `f64`.
    type Wide: Number;

    /// The nearest number of this type.
    fn narrow(wide: Self::Wide) -> Self;

    /// A constant.
    fn constant(x: f64) -> Self;

    /// `√x`; its derivative at zero, a pole, is taken as zero.
    fn root(self) -> Self;

    /// `xⁿ`
    fn power(self, n: i32) -> Self;

    /// `eˣ`
    fn exponential(self) -> Self;
}

impl<T: Float> Number for T {
    type Wide = f64;

    #[inline(always)]
    fn narrow(wide: f64) -> Self {
        T::from_f64(wide)
    }

    #[inline(always)]
    fn constant(x: f64) -> Self {
        T::from_f64(x)
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn power(self, n: i32) -> Self {
        self.powi(n)
    }

    #[inline(always)]
    fn exponential(self) -> Self {
        self.exp()
    }
}

/// A number and its derivatives along `D` directions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dual<T, const D: usize> {
    /// The number.
    pub(super) value: T,
    /// Its derivatives.
    pub(super) along: [T; D],
}

impl<T: Float, const D: usize> Dual<T, D> {
    /// A number that moves with direction `d` only.
    #[inline(always)]
    pub(super) fn variable(value: T, d: usize) -> Self {
        Dual { value, along: std::array::from_fn(|k| if k == d { T::one() } else { T::zero() }) }
    }

    /// A number that does not move.
    #[inline(always)]
    pub(super) fn fixed(value: T) -> Self {
        Dual { value, along: [T::zero(); D] }
    }

    /// A function of the number with a known derivative there.
    #[inline(always)]
    fn map(self, value: T, slope: T) -> Self {
        Dual { value, along: self.along.map(|x| slope * x) }
    }
}

impl<T: Float, const D: usize> Add for Dual<T, D> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Dual { value: self.value + other.value, along: std::array::from_fn(|d| self.along[d] + other.along[d]) }
    }
}

impl<T: Float, const D: usize> Sub for Dual<T, D> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Dual { value: self.value - other.value, along: std::array::from_fn(|d| self.along[d] - other.along[d]) }
    }
}

impl<T: Float, const D: usize> Mul for Dual<T, D> {
    type Output = Self;
    #[inline(always)]
    #[allow(clippy::suspicious_arithmetic_impl)] // The rule of the derivative.
    fn mul(self, other: Self) -> Self {
        let (a, b) = (self.value, other.value);
        Dual { value: a * b, along: std::array::from_fn(|d| self.along[d] * b + a * other.along[d]) }
    }
}

impl<T: Float, const D: usize> Div for Dual<T, D> {
    type Output = Self;
    #[inline(always)]
    #[allow(clippy::suspicious_arithmetic_impl)] // The rule of the derivative.
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        let b = other.value;
        Dual { value, along: std::array::from_fn(|d| (self.along[d] - value * other.along[d]) / b) }
    }
}

impl<T: Float, const D: usize> Number for Dual<T, D> {
    type Wide = Dual<f64, D>;

    #[inline(always)]
    fn narrow(wide: Dual<f64, D>) -> Self {
        Dual { value: T::from_f64(wide.value), along: wide.along.map(T::from_f64) }
    }

    #[inline(always)]
    fn constant(x: f64) -> Self {
        Dual::fixed(T::from_f64(x))
    }

    #[inline(always)]
    fn root(self) -> Self {
        let root = self.value.sqrt();
        let slope = if root == T::zero() { T::zero() } else { T::from_f64(0.5) / root };
        self.map(root, slope)
    }

    #[inline(always)]
    fn power(self, n: i32) -> Self {
        self.map(self.value.powi(n), T::from_f64(f64::from(n)) * self.value.powi(n - 1))
    }

    #[inline(always)]
    fn exponential(self) -> Self {
        let value = self.value.exp();
        self.map(value, value)
    }
}
