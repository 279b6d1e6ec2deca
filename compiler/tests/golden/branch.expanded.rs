/// Huber's loss of a scaled vector.
pub fn huber(scale: f64, x: &Array1<f64>, delta: f64) -> f64 {
    let r = (x * scale).sum();
    if r.abs() <= delta { 0.5 * r * r } else { delta * (r.abs() - 0.5 * delta) }
}
#[doc(hidden)]
#[allow(unused, clippy::all, clippy::pedantic)]
const _: () = {
    const _: () = {
        fn check(value: f64) {
            let _: &::core::primitive::f64 = &value;
        }
    };
    const _: () = {
        fn check(value: &Array1<f64>) {
            let _: &::bilevel::ndarray::ArrayRef<
                ::core::primitive::f64,
                ::bilevel::ndarray::Ix1,
            > = &value;
        }
    };
    const _: () = {
        fn check(value: f64) {
            let _: &::core::primitive::f64 = &value;
        }
    };
    const _: () = {
        fn check(value: f64) {
            let _: &::core::primitive::f64 = &value;
        }
    };
    let _ = huber;
};
/// Derivatives of `huber`.
#[allow(unused, unused_doc_comments, clippy::all, clippy::pedantic)]
pub mod huber {
    use ::bilevel::rt;
    /// Forward mode: the value, and its tangent for the given tangents of the arguments.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn jvp(
        scale: f64,
        x: &rt::Array1<f64>,
        delta: f64,
        scale_dot: f64,
        x_dot: &rt::Array1<f64>,
        delta_dot: f64,
    ) -> (f64, f64) {
        let [x_len] = rt::dims_or_panic(
            "huber",
            [rt::ANY; 1],
            &[("x", x.shape(), &[0]), ("x_dot", x_dot.shape(), &[0])],
        );
        let x = &rt::elements(x)[..];
        let x_dot = &rt::elements(x_dot)[..];
        /// `(x * scale).sum()`
        let r = rt::reduce_all(rt::Sum, [x_len], x, |x| x * scale);
        /// tangent of `(x * scale).sum()`
        let r_dot = rt::reduce_all(
            rt::Sum,
            [x_len],
            (x_dot, x),
            |(x_dot, x)| scale * x_dot + x * scale_dot,
        );
        /// `r.abs()`
        let magnitude = rt::abs(r);
        /// tangent of `r.abs()`
        let magnitude_dot = rt::sign(r) * r_dot;
        /// `r.abs() <= delta`
        let condition = magnitude <= delta;
        let (scaled, scaled_part) = if condition {
            /// part of the derivative of `0.5 * r * r`
            let scaled_part_2 = r * r_dot;
            /// `0.5 * r * r`
            let scaled_2 = 0.5 * (r * r);
            (scaled_2, scaled_part_2)
        } else {
            /// `r.abs() - 0.5 * delta`
            let difference = magnitude - 0.5 * delta;
            /// `delta * (r.abs() - 0.5 * delta)`
            let scaled_3 = delta * difference;
            /// tangent of `delta * (r.abs() - 0.5 * delta)`
            let scaled_3_dot = difference * delta_dot
                + delta * (magnitude_dot - 0.5 * delta_dot);
            (scaled_3, scaled_3_dot)
        };
        (scaled, scaled_part)
    }
    /// Reverse mode: the value, and the cotangents of the arguments for the given cotangent of the value.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn vjp(
        scale: f64,
        x: &rt::Array1<f64>,
        delta: f64,
        y_bar: f64,
    ) -> (f64, (f64, rt::Array1<f64>, f64)) {
        let [x_len] = rt::dims_or_panic(
            "huber",
            [rt::ANY; 1],
            &[("x", x.shape(), &[0])],
        );
        let x = &rt::elements(x)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            x_bar: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `(x * scale).sum()`
        let r = rt::reduce_all(rt::Sum, [x_len], x, |x| x * scale);
        /// `r.abs()`
        let magnitude = rt::abs(r);
        /// `r.abs() <= delta`
        let condition = magnitude <= delta;
        let (scaled, constant) = if condition {
            /// `0.5 * r * r`
            let scaled_2 = 0.5 * (r * r);
            (scaled_2, 0.0)
        } else {
            /// `r.abs() - 0.5 * delta`
            let difference = magnitude - 0.5 * delta;
            /// `delta * (r.abs() - 0.5 * delta)`
            let scaled_3 = delta * difference;
            (scaled_3, difference)
        };
        let (r_bar_2, delta_bar, constant_2) = if condition {
            /// adjoint of `(x * scale).sum()`
            let r_bar = r * y_bar;
            (r_bar, 0.0, 0.0)
        } else {
            /// adjoint of `r.abs() - 0.5 * delta`
            let difference_bar = delta * y_bar;
            /// adjoint of `delta`
            let delta_bar_2 = constant * y_bar;
            /// adjoint of `delta`
            let delta_bar_3 = delta_bar_2 - 0.5 * difference_bar;
            (0.0, delta_bar_3, difference_bar)
        };
        /// adjoint of `(x * scale).sum()`
        let r_bar_3 = rt::sign(r) * constant_2;
        /// adjoint of `(x * scale).sum()`
        let r_bar_4 = r_bar_2 + r_bar_3;
        /// adjoint of `x`
        let scaled_bar = scale * r_bar_4;
        /// adjoint of `x`
        let x_bar = rt::fill(buffers.x_bar.fit(x_len), scaled_bar);
        /// adjoint of `scale`
        let scale_bar = rt::reduce_all(rt::Sum, [x_len], x, |x| x * r_bar_4);
        (scaled, (scale_bar, buffers.x_bar.into_array([x_len]), delta_bar))
    }
    /// The function at a point: gives the tangent of the value for tangents of the arguments. What does not depend on these is
    /// computed here, once.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn linearize(
        scale: f64,
        x: &rt::Array1<f64>,
        delta: f64,
    ) -> impl ::core::ops::Fn(f64, &rt::Array1<f64>, f64) -> f64 + use<> {
        let [x_len] = rt::dims_or_panic(
            "huber",
            [rt::ANY; 1],
            &[("x", x.shape(), &[0])],
        );
        let x = &rt::elements(x)[..];
        /// `(x * scale).sum()`
        let r = rt::reduce_all(rt::Sum, [x_len], x, |x| x * scale);
        /// `r.abs()`
        let magnitude = rt::abs(r);
        /// part of the derivative of `r.abs()`
        let sign_part = rt::sign(r);
        /// `r.abs() <= delta`
        let condition = magnitude <= delta;
        /// `r.abs() - 0.5 * delta`
        let constant = if condition {
            0.0
        } else {
            /// `r.abs() - 0.5 * delta`
            let difference = magnitude - 0.5 * delta;
            difference
        };
        let x = x.to_vec();
        move |scale_dot: f64, x_dot: &rt::Array1<f64>, delta_dot: f64| {
            let x = &x[..];
            let [x_len] = rt::dims_or_panic(
                "huber",
                [rt::fixed(x_len)],
                &[("x_dot", x_dot.shape(), &[0])],
            );
            let x_dot = &rt::elements(x_dot)[..];
            /// tangent of `(x * scale).sum()`
            let r_dot = rt::reduce_all(
                rt::Sum,
                [x_len],
                (x_dot, x),
                |(x_dot, x)| scale * x_dot + x * scale_dot,
            );
            /// tangent of `r.abs()`
            let scaled_dot = sign_part * r_dot;
            /// tangent of `if r.abs() <= delta { 0.5 * r * r } else { delta * (r.abs() - 0.5 * delta) }`
            let scaled_part = if condition {
                /// part of the derivative of `0.5 * r * r`
                let scaled_part_2 = r * r_dot;
                scaled_part_2
            } else {
                /// tangent of `delta * (r.abs() - 0.5 * delta)`
                let sum_dot = constant * delta_dot
                    + delta * (scaled_dot - 0.5 * delta_dot);
                sum_dot
            };
            scaled_part
        }
    }
    /// The gradient.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn grad(
        scale: f64,
        x: &rt::Array1<f64>,
        delta: f64,
    ) -> (f64, rt::Array1<f64>, f64) {
        let [x_len] = rt::dims_or_panic(
            "huber",
            [rt::ANY; 1],
            &[("x", x.shape(), &[0])],
        );
        let x = &rt::elements(x)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            x_bar: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `(x * scale).sum()`
        let r = rt::reduce_all(rt::Sum, [x_len], x, |x| x * scale);
        /// `r.abs()`
        let magnitude = rt::abs(r);
        /// `r.abs() <= delta`
        let condition = magnitude <= delta;
        /// adjoint of `delta`
        let delta_bar_2 = if condition {
            0.0
        } else {
            /// `r.abs() - 0.5 * delta`
            let difference = magnitude - 0.5 * delta;
            difference
        };
        let (r_bar, delta_bar, constant) = if condition {
            (r, 0.0, 0.0)
        } else {
            /// adjoint of `delta`
            let delta_bar_3 = delta_bar_2 - 0.5 * delta;
            (0.0, delta_bar_3, delta)
        };
        /// adjoint of `(x * scale).sum()`
        let r_bar_2 = rt::sign(r) * constant;
        /// adjoint of `(x * scale).sum()`
        let r_bar_3 = r_bar + r_bar_2;
        /// adjoint of `x`
        let scaled_bar = scale * r_bar_3;
        /// adjoint of `x`
        let x_bar = rt::fill(buffers.x_bar.fit(x_len), scaled_bar);
        /// adjoint of `scale`
        let scale_bar = rt::reduce_all(rt::Sum, [x_len], x, |x| x * r_bar_3);
        (scale_bar, buffers.x_bar.into_array([x_len]), delta_bar)
    }
    /// The value and the gradient.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn value_and_grad(
        scale: f64,
        x: &rt::Array1<f64>,
        delta: f64,
    ) -> (f64, (f64, rt::Array1<f64>, f64)) {
        let [x_len] = rt::dims_or_panic(
            "huber",
            [rt::ANY; 1],
            &[("x", x.shape(), &[0])],
        );
        let x = &rt::elements(x)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            x_bar: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `(x * scale).sum()`
        let r = rt::reduce_all(rt::Sum, [x_len], x, |x| x * scale);
        /// `r.abs()`
        let magnitude = rt::abs(r);
        /// `r.abs() <= delta`
        let condition = magnitude <= delta;
        let (scaled, delta_bar_2) = if condition {
            /// `0.5 * r * r`
            let scaled_2 = 0.5 * (r * r);
            (scaled_2, 0.0)
        } else {
            /// `r.abs() - 0.5 * delta`
            let difference = magnitude - 0.5 * delta;
            /// `delta * (r.abs() - 0.5 * delta)`
            let scaled_3 = delta * difference;
            (scaled_3, difference)
        };
        let (r_bar, delta_bar, constant) = if condition {
            (r, 0.0, 0.0)
        } else {
            /// adjoint of `delta`
            let delta_bar_3 = delta_bar_2 - 0.5 * delta;
            (0.0, delta_bar_3, delta)
        };
        /// adjoint of `(x * scale).sum()`
        let r_bar_2 = rt::sign(r) * constant;
        /// adjoint of `(x * scale).sum()`
        let r_bar_3 = r_bar + r_bar_2;
        /// adjoint of `x`
        let scaled_bar = scale * r_bar_3;
        /// adjoint of `x`
        let x_bar = rt::fill(buffers.x_bar.fit(x_len), scaled_bar);
        /// adjoint of `scale`
        let scale_bar = rt::reduce_all(rt::Sum, [x_len], x, |x| x * r_bar_3);
        (scaled, (scale_bar, buffers.x_bar.into_array([x_len]), delta_bar))
    }
    /// The Hessian, applied to the given tangents of the arguments.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn hvp(
        scale: f64,
        x: &rt::Array1<f64>,
        delta: f64,
        scale_dot: f64,
        x_dot: &rt::Array1<f64>,
        delta_dot: f64,
    ) -> (f64, rt::Array1<f64>, f64) {
        let [x_len] = rt::dims_or_panic(
            "huber",
            [rt::ANY; 1],
            &[("x", x.shape(), &[0]), ("x_dot", x_dot.shape(), &[0])],
        );
        let x = &rt::elements(x)[..];
        let x_dot = &rt::elements(x_dot)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            x_bar_dot: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `(x * scale).sum()`
        let r = rt::reduce_all(rt::Sum, [x_len], x, |x| x * scale);
        /// tangent of `(x * scale).sum()`
        let r_dot = rt::reduce_all(
            rt::Sum,
            [x_len],
            (x_dot, x),
            |(x_dot, x)| scale * x_dot + x * scale_dot,
        );
        /// part of the derivative of `r.abs()`
        let sign_part = rt::sign(r);
        /// tangent of `r.abs()`
        let scaled_dot = sign_part * r_dot;
        /// `r.abs() <= delta`
        let condition = rt::abs(r) <= delta;
        /// tangent of adjoint of `delta`
        let delta_bar_dot_2 = if condition {
            0.0
        } else {
            /// tangent of `r.abs() - 0.5 * delta`
            let difference_dot = scaled_dot - 0.5 * delta_dot;
            difference_dot
        };
        let (r_bar, constant, r_bar_dot, delta_bar_dot, constant_2) = if condition {
            (r, 0.0, r_dot, 0.0, 0.0)
        } else {
            /// tangent of adjoint of `delta`
            let delta_bar_dot_3 = delta_bar_dot_2 - 0.5 * delta_dot;
            (0.0, delta, 0.0, delta_bar_dot_3, delta_dot)
        };
        /// adjoint of `(x * scale).sum()`
        let r_bar_2 = sign_part * constant;
        /// tangent of adjoint of `(x * scale).sum()`
        let r_bar_dot_2 = sign_part * constant_2;
        /// adjoint of `(x * scale).sum()`
        let r_bar_3 = r_bar + r_bar_2;
        /// tangent of adjoint of `(x * scale).sum()`
        let r_bar_dot_3 = r_bar_dot + r_bar_dot_2;
        /// tangent of adjoint of `x`
        let sum_bar_dot = r_bar_3 * scale_dot + scale * r_bar_dot_3;
        /// tangent of adjoint of `x`
        let x_bar_dot = rt::fill(buffers.x_bar_dot.fit(x_len), sum_bar_dot);
        /// tangent of adjoint of `scale`
        let scale_bar_dot = rt::reduce_all(
            rt::Sum,
            [x_len],
            (x_dot, x),
            |(x_dot, x)| r_bar_3 * x_dot + x * r_bar_dot_3,
        );
        (scale_bar_dot, buffers.x_bar_dot.into_array([x_len]), delta_bar_dot)
    }
    /// What is seen from where the function stands, by which callers elsewhere prove that they mean this function.
    #[doc(hidden)]
    pub mod home {
        pub use super::super::*;
    }
}
#[doc(hidden)]
#[allow(unused_macros, non_local_definitions)]
#[macro_export]
macro_rules! __bilevel_huber_9fec956134f02e431cbbd03d8658ef8b {
    ([$($resume:tt)*] $($state:tt)*) => {
        $($resume)* ! { $($state)* { { "__bilevel_huber_9fec956134f02e431cbbd03d8658ef8b"
        "bilevel-compiler 0.1.0 " {} { pub fn huber(scale : f64, x : & Array1 < f64 >,
        delta : f64) -> f64 { let r = (x * scale).sum(); if r.abs() <= delta { 0.5 * r *
        r } else { delta * (r.abs() - 0.5 * delta) } } } } } }
    };
}
#[doc(hidden)]
#[allow(unused_imports, unreachable_pub)]
pub use __bilevel_huber_9fec956134f02e431cbbd03d8658ef8b as huber;
