//! Functions of one number that the standard library and `ndarray` do not have, as methods of floats and of arrays.

use ndarray::{Array, ArrayRef, Dimension};

use crate::Float;
use crate::kernels::erf;

/// Methods on floats beside those of the standard library.
pub trait ScalarFunctions: Float {
    /// The logistic function `1 / (1 + exp(-x))`.
    ///
    /// ```
    /// use bilevel_runtime::functions::ScalarFunctions;
    /// assert_eq!(0.0_f64.sigmoid(), 0.5);
    /// assert_eq!(f64::NEG_INFINITY.sigmoid(), 0.0);
    /// ```
    #[must_use]
    fn sigmoid(self) -> Self {
        Self::one() / (Self::one() + (-self).exp())
    }

    /// `ln(1 + exp(x))`, without overflow and exact in relative terms for very negative `x`.
    ///
    /// ```
    /// use bilevel_runtime::functions::ScalarFunctions;
    /// assert_eq!(1000.0_f64.softplus(), 1000.0);
    /// assert_eq!(0.0_f64.softplus(), 2.0_f64.ln());
    /// ```
    #[must_use]
    fn softplus(self) -> Self {
        self.relu() + (-self.abs()).exp().ln_1p()
    }

    /// `max(x, 0)`. Its derivative at zero is taken as zero. A NaN stays a NaN.
    ///
    /// ```
    /// use bilevel_runtime::functions::ScalarFunctions;
    /// assert_eq!((-2.0_f64).relu(), 0.0);
    /// assert!(f64::NAN.relu().is_nan());
    /// ```
    #[must_use]
    fn relu(self) -> Self {
        if self <= Self::zero() { Self::zero() } else { self }
    }

    /// The Gaussian error linear unit `x Φ(x) = x (1 + erf(x / √2)) / 2` (Hendrycks and Gimpel, "Gaussian error linear units", 2016). Its error is a few units in the
    /// last place of `x`.
    ///
    /// ```
    /// use bilevel_runtime::functions::ScalarFunctions;
    /// assert!((1.0_f64.gelu() - 0.8413447460685429).abs() < 1e-15);
    /// ```
    #[must_use]
    fn gelu(self) -> Self {
        let half = Self::from_f64(0.5);
        self * (half * (erf(self * Self::from_f64(std::f64::consts::FRAC_1_SQRT_2)) + Self::one()))
    }

    /// The approximation `x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2` of [`gelu`](ScalarFunctions::gelu), which many trained networks have; it is off by up to 5e-4.
    ///
    /// ```
    /// use bilevel_runtime::functions::ScalarFunctions;
    /// assert!((1.0_f64.gelu_tanh() - 1.0_f64.gelu()).abs() < 5e-4);
    /// ```
    #[must_use]
    fn gelu_tanh(self) -> Self {
        let scale = Self::from_f64(std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2);
        let bent = self + Self::from_f64(0.044715) * self * self * self;
        self * (Self::from_f64(0.5) * ((scale * bent).tanh() + Self::one()))
    }
}

impl<T: Float> ScalarFunctions for T {}

/// Element-wise methods on arrays and views beside those of `ndarray`.
pub trait ArrayFunctions<T, D> {
    /// The logistic function of each element, see [`ScalarFunctions::sigmoid`].
    ///
    /// ```
    /// use bilevel_runtime::functions::ArrayFunctions;
    /// assert_eq!(ndarray::array![0.0, f64::INFINITY].sigmoid(), ndarray::array![0.5, 1.0]);
    /// ```
    #[must_use]
    fn sigmoid(&self) -> Array<T, D>;

    /// `ln(1 + exp(x))` of each element, see [`ScalarFunctions::softplus`].
    #[must_use]
    fn softplus(&self) -> Array<T, D>;

    /// `max(x, 0)` of each element, see [`ScalarFunctions::relu`].
    #[must_use]
    fn relu(&self) -> Array<T, D>;

    /// The error function `2/√π ∫₀ˣ exp(−t²) dt` of each element, within 3 units in the last place.
    ///
    /// ```
    /// use bilevel_runtime::functions::ArrayFunctions;
    /// let y = ndarray::array![0.0_f64, 0.5, f64::INFINITY].erf();
    /// assert!((y - ndarray::array![0.0, 0.5204998778130465, 1.0]).iter().all(|off| off.abs() < 1e-15));
    /// ```
    #[must_use]
    fn erf(&self) -> Array<T, D>;

    /// The Gaussian error linear unit of each element, see [`ScalarFunctions::gelu`].
    #[must_use]
    fn gelu(&self) -> Array<T, D>;

    /// Its approximation by `tanh`, see [`ScalarFunctions::gelu_tanh`].
    #[must_use]
    fn gelu_tanh(&self) -> Array<T, D>;
}

impl<T: ScalarFunctions, D: Dimension> ArrayFunctions<T, D> for ArrayRef<T, D> {
    fn sigmoid(&self) -> Array<T, D> {
        self.mapv(T::sigmoid)
    }

    fn softplus(&self) -> Array<T, D> {
        self.mapv(T::softplus)
    }

    fn relu(&self) -> Array<T, D> {
        self.mapv(T::relu)
    }

    fn erf(&self) -> Array<T, D> {
        self.mapv(erf)
    }

    fn gelu(&self) -> Array<T, D> {
        self.mapv(T::gelu)
    }

    fn gelu_tanh(&self) -> Array<T, D> {
        self.mapv(T::gelu_tanh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_extremes_are_finite_or_right() {
        assert_eq!((-800.0_f64).sigmoid(), 0.0);
        assert_eq!(800.0_f64.sigmoid(), 1.0);
        assert_eq!((-50.0_f64).softplus(), (-50.0_f64).exp());
        assert_eq!(f64::INFINITY.softplus(), f64::INFINITY);
        assert_eq!(f64::NEG_INFINITY.softplus(), 0.0);
        assert!(f64::NAN.softplus().is_nan());
        assert_eq!(3.0_f32.relu(), 3.0);
    }

    #[test]
    fn arrays_and_views_apply_the_scalar_function_to_each_element() {
        let x = array![[-1.0, 0.0], [0.5, 2.0]];
        assert_eq!(x.sigmoid(), x.mapv(|v: f64| 1.0 / (1.0 + (-v).exp())));
        assert_eq!(x.t().relu(), array![[0.0, 0.5], [0.0, 2.0]]);
        assert_eq!(x.softplus()[[0, 1]], 2.0_f64.ln());
    }
}
