/// Mean squared error of a linear model with a penalty.
pub fn ridge(w: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>, l2: f64) -> f64 {
    let residual = x.dot(w) - y;
    let penalty = l2 * (w * w).sum();
    (&residual * &residual).mean().unwrap() + penalty
}
#[doc(hidden)]
#[allow(unused, clippy::all, clippy::pedantic)]
const _: () = {
    const _: () = {
        fn check(value: &Array1<f64>) {
            let _: &::bilevel::ndarray::ArrayRef<
                ::core::primitive::f64,
                ::bilevel::ndarray::Ix1,
            > = &value;
        }
    };
    const _: () = {
        fn check(value: &Array2<f64>) {
            let _: &::bilevel::ndarray::ArrayRef<
                ::core::primitive::f64,
                ::bilevel::ndarray::Ix2,
            > = &value;
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
    let _ = ridge;
};
/// Derivatives of `ridge`.
#[allow(unused, unused_doc_comments, clippy::all, clippy::pedantic)]
pub mod ridge {
    use ::bilevel::rt;
    /// Forward mode: the value, and its tangent for the given tangents of the arguments.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn jvp(
        w: &rt::Array1<f64>,
        x: &rt::Array2<f64>,
        y: &rt::Array1<f64>,
        l2: f64,
        w_dot: &rt::Array1<f64>,
    ) -> (f64, f64) {
        let [w_len, x_rows] = rt::dims_or_panic(
            "ridge",
            [rt::ANY; 2],
            &[
                ("w", w.shape(), &[0]),
                ("x", x.shape(), &[1, 0]),
                ("y", y.shape(), &[1]),
                ("w_dot", w_dot.shape(), &[0]),
            ],
        );
        let w = &rt::elements(w)[..];
        let x = &rt::elements(x)[..];
        let y = &rt::elements(y)[..];
        let w_dot = &rt::elements(w_dot)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            product: rt::Buffer<f64>,
            product_dot: rt::Buffer<f64>,
            residual: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `x.dot(w)`
        let product = rt::product(
            buffers.product.fit(x_rows),
            rt::matrix(x, [x_rows, w_len]),
            rt::column(w),
        );
        /// tangent of `x.dot(w)`
        let product_dot = rt::product(
            buffers.product_dot.fit(x_rows),
            rt::matrix(x, [x_rows, w_len]),
            rt::column(w_dot),
        );
        /// `x.dot(w) - y`
        let residual = rt::map(
            buffers.residual.fit(x_rows),
            [x_rows],
            (product, y),
            |(product, y)| product - y,
        );
        /// `(w * w).sum()`
        let total = rt::reduce_all(rt::Sum, [w_len], w, |w| w * w);
        /// tangent of `(w * w).sum()`
        let total_dot = rt::reduce_all(
            rt::Sum,
            [w_len],
            (w, w_dot),
            |(w, w_dot)| 2.0 * (w * w_dot),
        );
        /// `l2 * (w * w).sum()`
        let penalty = l2 * total;
        /// tangent of `l2 * (w * w).sum()`
        let penalty_dot = l2 * total_dot;
        /// a part of `(&residual * &residual).mean()`
        let total_2 = rt::reduce_all(
            rt::Sum,
            [x_rows],
            residual,
            |residual| residual * residual,
        );
        /// tangent of a part of `(&residual * &residual).mean()`
        let total_3 = rt::reduce_all(
            rt::Sum,
            [x_rows],
            (residual, product_dot),
            |(residual, product_dot)| 2.0 * (residual * product_dot),
        );
        /// a part of `(&residual * &residual).mean()`
        let reciprocal = 1.0 / (x_rows as f64);
        /// `(&residual * &residual).mean().unwrap() + penalty`
        let sum = total_2 * reciprocal + penalty;
        /// tangent of `(&residual * &residual).mean().unwrap() + penalty`
        let sum_dot = reciprocal * total_3 + penalty_dot;
        (sum, sum_dot)
    }
    /// Reverse mode: the value, and the cotangents of the arguments for the given cotangent of the value.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn vjp(
        w: &rt::Array1<f64>,
        x: &rt::Array2<f64>,
        y: &rt::Array1<f64>,
        l2: f64,
        y_bar: f64,
    ) -> (f64, rt::Array1<f64>) {
        let [w_len, x_rows] = rt::dims_or_panic(
            "ridge",
            [rt::ANY; 2],
            &[("w", w.shape(), &[0]), ("x", x.shape(), &[1, 0]), ("y", y.shape(), &[1])],
        );
        let w = &rt::elements(w)[..];
        let x = &rt::elements(x)[..];
        let y = &rt::elements(y)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            product: rt::Buffer<f64>,
            residual: rt::Buffer<f64>,
            product_bar: rt::Buffer<f64>,
            w_bar_2: rt::Buffer<f64>,
            w_bar: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `x.dot(w)`
        let product = rt::product(
            buffers.product.fit(x_rows),
            rt::matrix(x, [x_rows, w_len]),
            rt::column(w),
        );
        /// `x.dot(w) - y`
        let residual = rt::map(
            buffers.residual.fit(x_rows),
            [x_rows],
            (product, y),
            |(product, y)| product - y,
        );
        /// `(w * w).sum()`
        let total = rt::reduce_all(rt::Sum, [w_len], w, |w| w * w);
        /// `l2 * (w * w).sum()`
        let penalty = l2 * total;
        /// a part of `(&residual * &residual).mean()`
        let total_2 = rt::reduce_all(
            rt::Sum,
            [x_rows],
            residual,
            |residual| residual * residual,
        );
        /// a part of `(&residual * &residual).mean()`
        let reciprocal = 1.0 / (x_rows as f64);
        /// `(&residual * &residual).mean().unwrap() + penalty`
        let sum = total_2 * reciprocal + penalty;
        /// adjoint of part of the derivative of `&residual * &residual`
        let scaled_part_bar = 2.0 * (reciprocal * y_bar);
        /// adjoint of `x.dot(w)`
        let product_bar = rt::map(
            buffers.product_bar.fit(x_rows),
            [x_rows],
            residual,
            |residual| residual * scaled_part_bar,
        );
        /// adjoint of part of the derivative of `w * w`
        let scaled_part_bar_2 = 2.0 * (l2 * y_bar);
        /// adjoint of `w`
        let w_bar_2 = rt::product(
            buffers.w_bar_2.fit(w_len),
            rt::matrix(x, [x_rows, w_len]).t(),
            rt::column(product_bar),
        );
        /// adjoint of `w`
        let w_bar = rt::map(
            buffers.w_bar.fit(w_len),
            [w_len],
            (w, w_bar_2),
            |(w, w_bar_2)| w * scaled_part_bar_2 + w_bar_2,
        );
        (sum, buffers.w_bar.into_array([w_len]))
    }
    /// The function at a point: gives the tangent of the value for tangents of the arguments. What does not depend on these is
    /// computed here, once.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn linearize(
        w: &rt::Array1<f64>,
        x: &rt::Array2<f64>,
        y: &rt::Array1<f64>,
        l2: f64,
    ) -> impl ::core::ops::Fn(&rt::Array1<f64>) -> f64 + use<> {
        let [w_len, x_rows] = rt::dims_or_panic(
            "ridge",
            [rt::ANY; 2],
            &[("w", w.shape(), &[0]), ("x", x.shape(), &[1, 0]), ("y", y.shape(), &[1])],
        );
        let w = &rt::elements(w)[..];
        let x = &rt::elements(x)[..];
        let y = &rt::elements(y)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            product: rt::Buffer<f64>,
            residual: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `x.dot(w)`
        let product = rt::product(
            buffers.product.fit(x_rows),
            rt::matrix(x, [x_rows, w_len]),
            rt::column(w),
        );
        /// `x.dot(w) - y`
        let residual = rt::map(
            buffers.residual.fit(x_rows),
            [x_rows],
            (product, y),
            |(product, y)| product - y,
        );
        /// a part of `(&residual * &residual).mean()`
        let reciprocal = 1.0 / (x_rows as f64);
        let w = w.to_vec();
        let x = x.to_vec();
        let residual = buffers.residual;
        move |w_dot: &rt::Array1<f64>| {
            let w = &w[..];
            let x = &x[..];
            let residual = &residual[..];
            let [w_len] = rt::dims_or_panic(
                "ridge",
                [rt::fixed(w_len)],
                &[("w_dot", w_dot.shape(), &[0])],
            );
            let w_dot = &rt::elements(w_dot)[..];
            #[derive(::core::default::Default)]
            struct LinearBuffers {
                product_dot: rt::Buffer<f64>,
            }
            let mut buffers = <LinearBuffers as ::core::default::Default>::default();
            /// tangent of `x.dot(w)`
            let product_dot = rt::product(
                buffers.product_dot.fit(x_rows),
                rt::matrix(x, [x_rows, w_len]),
                rt::column(w_dot),
            );
            /// tangent of `(w * w).sum()`
            let total_dot = rt::reduce_all(
                rt::Sum,
                [w_len],
                (w, w_dot),
                |(w, w_dot)| 2.0 * (w * w_dot),
            );
            /// tangent of `l2 * (w * w).sum()`
            let penalty_dot = l2 * total_dot;
            /// tangent of a part of `(&residual * &residual).mean()`
            let total = rt::reduce_all(
                rt::Sum,
                [x_rows],
                (residual, product_dot),
                |(residual, product_dot)| 2.0 * (residual * product_dot),
            );
            /// tangent of `(&residual * &residual).mean().unwrap() + penalty`
            let sum_dot = reciprocal * total + penalty_dot;
            sum_dot
        }
    }
    /// The gradient.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn grad(
        w: &rt::Array1<f64>,
        x: &rt::Array2<f64>,
        y: &rt::Array1<f64>,
        l2: f64,
    ) -> rt::Array1<f64> {
        let [w_len, x_rows] = rt::dims_or_panic(
            "ridge",
            [rt::ANY; 2],
            &[("w", w.shape(), &[0]), ("x", x.shape(), &[1, 0]), ("y", y.shape(), &[1])],
        );
        let w = &rt::elements(w)[..];
        let x = &rt::elements(x)[..];
        let y = &rt::elements(y)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            product: rt::Buffer<f64>,
            product_bar: rt::Buffer<f64>,
            w_bar_2: rt::Buffer<f64>,
            w_bar: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `x.dot(w)`
        let product = rt::product(
            buffers.product.fit(x_rows),
            rt::matrix(x, [x_rows, w_len]),
            rt::column(w),
        );
        /// adjoint of part of the derivative of `&residual * &residual`
        let scaled_part_bar = 2.0 * (1.0 / (x_rows as f64));
        /// adjoint of `x.dot(w)`
        let product_bar = rt::map(
            buffers.product_bar.fit(x_rows),
            [x_rows],
            (product, y),
            |(product, y)| (product - y) * scaled_part_bar,
        );
        /// adjoint of part of the derivative of `w * w`
        let scaled_part_bar_2 = 2.0 * l2;
        /// adjoint of `w`
        let w_bar_2 = rt::product(
            buffers.w_bar_2.fit(w_len),
            rt::matrix(x, [x_rows, w_len]).t(),
            rt::column(product_bar),
        );
        /// adjoint of `w`
        let w_bar = rt::map(
            buffers.w_bar.fit(w_len),
            [w_len],
            (w, w_bar_2),
            |(w, w_bar_2)| w * scaled_part_bar_2 + w_bar_2,
        );
        buffers.w_bar.into_array([w_len])
    }
    /// The value and the gradient.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn value_and_grad(
        w: &rt::Array1<f64>,
        x: &rt::Array2<f64>,
        y: &rt::Array1<f64>,
        l2: f64,
    ) -> (f64, rt::Array1<f64>) {
        let [w_len, x_rows] = rt::dims_or_panic(
            "ridge",
            [rt::ANY; 2],
            &[("w", w.shape(), &[0]), ("x", x.shape(), &[1, 0]), ("y", y.shape(), &[1])],
        );
        let w = &rt::elements(w)[..];
        let x = &rt::elements(x)[..];
        let y = &rt::elements(y)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            product: rt::Buffer<f64>,
            residual: rt::Buffer<f64>,
            product_bar: rt::Buffer<f64>,
            w_bar_2: rt::Buffer<f64>,
            w_bar: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `x.dot(w)`
        let product = rt::product(
            buffers.product.fit(x_rows),
            rt::matrix(x, [x_rows, w_len]),
            rt::column(w),
        );
        /// `x.dot(w) - y`
        let residual = rt::map(
            buffers.residual.fit(x_rows),
            [x_rows],
            (product, y),
            |(product, y)| product - y,
        );
        /// `(w * w).sum()`
        let total = rt::reduce_all(rt::Sum, [w_len], w, |w| w * w);
        /// `l2 * (w * w).sum()`
        let penalty = l2 * total;
        /// a part of `(&residual * &residual).mean()`
        let total_2 = rt::reduce_all(
            rt::Sum,
            [x_rows],
            residual,
            |residual| residual * residual,
        );
        /// a part of `(&residual * &residual).mean()`
        let reciprocal = 1.0 / (x_rows as f64);
        /// `(&residual * &residual).mean().unwrap() + penalty`
        let sum = total_2 * reciprocal + penalty;
        /// adjoint of part of the derivative of `&residual * &residual`
        let scaled_part_bar = 2.0 * reciprocal;
        /// adjoint of `x.dot(w)`
        let product_bar = rt::map(
            buffers.product_bar.fit(x_rows),
            [x_rows],
            residual,
            |residual| residual * scaled_part_bar,
        );
        /// adjoint of part of the derivative of `w * w`
        let scaled_part_bar_2 = 2.0 * l2;
        /// adjoint of `w`
        let w_bar_2 = rt::product(
            buffers.w_bar_2.fit(w_len),
            rt::matrix(x, [x_rows, w_len]).t(),
            rt::column(product_bar),
        );
        /// adjoint of `w`
        let w_bar = rt::map(
            buffers.w_bar.fit(w_len),
            [w_len],
            (w, w_bar_2),
            |(w, w_bar_2)| w * scaled_part_bar_2 + w_bar_2,
        );
        (sum, buffers.w_bar.into_array([w_len]))
    }
    /// The Hessian, applied to the given tangents of the arguments.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn hvp(
        w: &rt::Array1<f64>,
        x: &rt::Array2<f64>,
        y: &rt::Array1<f64>,
        l2: f64,
        w_dot: &rt::Array1<f64>,
    ) -> rt::Array1<f64> {
        let [w_len, x_rows] = rt::dims_or_panic(
            "ridge",
            [rt::ANY; 2],
            &[
                ("w", w.shape(), &[0]),
                ("x", x.shape(), &[1, 0]),
                ("y", y.shape(), &[1]),
                ("w_dot", w_dot.shape(), &[0]),
            ],
        );
        let w = &rt::elements(w)[..];
        let x = &rt::elements(x)[..];
        let y = &rt::elements(y)[..];
        let w_dot = &rt::elements(w_dot)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            product_dot: rt::Buffer<f64>,
            scaled_bar_dot: rt::Buffer<f64>,
            w_bar_dot_2: rt::Buffer<f64>,
            w_bar_dot: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// tangent of `x.dot(w)`
        let product_dot = rt::product(
            buffers.product_dot.fit(x_rows),
            rt::matrix(x, [x_rows, w_len]),
            rt::column(w_dot),
        );
        /// adjoint of part of the derivative of `&residual * &residual`
        let scaled_part_bar = 2.0 * (1.0 / (x_rows as f64));
        /// tangent of adjoint of `x.dot(w)`
        let scaled_bar_dot = rt::map(
            buffers.scaled_bar_dot.fit(x_rows),
            [x_rows],
            product_dot,
            |product_dot| scaled_part_bar * product_dot,
        );
        /// adjoint of part of the derivative of `w * w`
        let scaled_part_bar_2 = 2.0 * l2;
        /// tangent of adjoint of `w`
        let w_bar_dot_2 = rt::product(
            buffers.w_bar_dot_2.fit(w_len),
            rt::matrix(x, [x_rows, w_len]).t(),
            rt::column(scaled_bar_dot),
        );
        /// tangent of adjoint of `w`
        let w_bar_dot = rt::map(
            buffers.w_bar_dot.fit(w_len),
            [w_len],
            (w_dot, w_bar_dot_2),
            |(w_dot, w_bar_dot_2)| scaled_part_bar_2 * w_dot + w_bar_dot_2,
        );
        buffers.w_bar_dot.into_array([w_len])
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
macro_rules! __bilevel_ridge_87cdb0d9e3dbbcab9fcc084e9cbf70a7 {
    ([$($resume:tt)*] $($state:tt)*) => {
        $($resume)* ! { $($state)* { { "__bilevel_ridge_87cdb0d9e3dbbcab9fcc084e9cbf70a7"
        "bilevel-compiler 0.1.0 " {} { pub fn ridge(w : & Array1 < f64 >, x : & Array2 <
        f64 >, y : & Array1 < f64 >, l2 : f64) -> f64 { let residual = x.dot(w) - y; let
        penalty = l2 * (w * w).sum(); (& residual * & residual).mean().unwrap() + penalty
        } } } } }
    };
}
#[doc(hidden)]
#[allow(unused_imports, unreachable_pub)]
pub use __bilevel_ridge_87cdb0d9e3dbbcab9fcc084e9cbf70a7 as ridge;
