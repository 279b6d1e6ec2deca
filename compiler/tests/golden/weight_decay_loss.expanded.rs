/// Training loss: softmax regression with its own L2 penalty on every weight.
fn train(
    w: &Array2<f64>,
    log_l2: &Array2<f64>,
    x: &Array2<f64>,
    y: &Array1<usize>,
) -> f64 {
    let penalty = 0.5 * (log_l2.exp() * w * w).sum();
    cross_entropy(&x.dot(w), y) + penalty
}
#[doc(hidden)]
#[allow(unused, clippy::all, clippy::pedantic)]
const _: () = {
    const _: () = {
        fn check(value: &Array2<f64>) {
            let _: &::bilevel::ndarray::ArrayRef<
                ::core::primitive::f64,
                ::bilevel::ndarray::Ix2,
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
        fn check(value: &Array2<f64>) {
            let _: &::bilevel::ndarray::ArrayRef<
                ::core::primitive::f64,
                ::bilevel::ndarray::Ix2,
            > = &value;
        }
    };
    const _: () = {
        fn check(value: &Array1<usize>) {
            let _: &::bilevel::ndarray::ArrayRef<
                ::core::primitive::usize,
                ::bilevel::ndarray::Ix1,
            > = &value;
        }
    };
    const _: () = {
        fn check(value: f64) {
            let _: &::core::primitive::f64 = &value;
        }
    };
    mod functions {
        use super::*;
        use ::bilevel::functions::*;
        use cross_entropy as _;
    }
    let _ = train;
};
/// Derivatives of `train`.
#[allow(unused, unused_doc_comments, clippy::all, clippy::pedantic)]
mod train {
    use ::bilevel::rt;
    /// Forward mode: the value, and its tangent for the given tangents of the arguments.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn jvp(
        w: &rt::Array2<f64>,
        log_l2: &rt::Array2<f64>,
        x: &rt::Array2<f64>,
        y: &rt::Array1<usize>,
        w_dot: &rt::Array2<f64>,
        log_l2_dot: &rt::Array2<f64>,
    ) -> (f64, f64) {
        let [w_rows, w_cols, x_rows] = rt::dims_or_panic(
            "train",
            [rt::ANY; 3],
            &[
                ("w", w.shape(), &[0, 1]),
                ("log_l2", log_l2.shape(), &[0, 1]),
                ("x", x.shape(), &[2, 0]),
                ("y", y.shape(), &[2]),
                ("w_dot", w_dot.shape(), &[0, 1]),
                ("log_l2_dot", log_l2_dot.shape(), &[0, 1]),
            ],
        );
        let w = &rt::elements(w)[..];
        let log_l2 = &rt::elements(log_l2)[..];
        let x = &rt::elements(x)[..];
        let y = &rt::elements(y)[..];
        let w_dot = &rt::elements(w_dot)[..];
        let log_l2_dot = &rt::elements(log_l2_dot)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            exp: rt::Buffer<f64>,
            scaled: rt::Buffer<f64>,
            product: rt::Buffer<f64>,
            product_dot: rt::Buffer<f64>,
            log_sum_exp: rt::Buffer<f64>,
            total_2: rt::Buffer<f64>,
            taken: rt::Buffer<f64>,
            taken_2: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `log_l2.exp()`
        let exp = rt::map(
            buffers.exp.fit(w_rows * w_cols),
            [w_rows * w_cols],
            log_l2,
            #[inline(always)]
            |log_l2| rt::exp(log_l2),
        );
        /// `log_l2.exp() * w`
        let scaled = rt::map(
            buffers.scaled.fit(w_rows * w_cols),
            [w_rows * w_cols],
            (exp, w),
            |(exp, w)| exp * w,
        );
        /// `(log_l2.exp() * w * w).sum()`
        let total = rt::reduce_all(
            rt::Sum,
            [w_rows * w_cols],
            (scaled, w),
            |(scaled, w)| scaled * w,
        );
        /// tangent of `(log_l2.exp() * w * w).sum()`
        let total_dot = rt::reduce_all(
            rt::Sum,
            [w_rows * w_cols],
            (w, exp, log_l2_dot, w_dot, scaled),
            |(w, exp, log_l2_dot, w_dot, scaled)| {
                w * (w * (exp * log_l2_dot) + exp * w_dot) + scaled * w_dot
            },
        );
        /// `0.5 * (log_l2.exp() * w * w).sum()`
        let penalty = 0.5 * total;
        /// tangent of `0.5 * (log_l2.exp() * w * w).sum()`
        let penalty_dot = 0.5 * total_dot;
        /// `x.dot(w)`
        let product = rt::product(
            buffers.product.fit(w_cols * x_rows),
            rt::matrix(x, [x_rows, w_rows]),
            rt::matrix(w, [w_rows, w_cols]),
        );
        /// tangent of `x.dot(w)`
        let product_dot = rt::product(
            buffers.product_dot.fit(w_cols * x_rows),
            rt::matrix(x, [x_rows, w_rows]),
            rt::matrix(w_dot, [w_rows, w_cols]),
        );
        let log_sum_exp = rt::log_sum_exp(
            buffers.log_sum_exp.fit(x_rows),
            product,
            [x_rows, w_cols, 1],
        );
        let total_2 = rt::reduce_last(
            rt::Sum,
            buffers.total_2.fit(x_rows),
            [x_rows, w_cols],
            1,
            (
                rt::lane(product, [w_cols, 1]),
                rt::splat(log_sum_exp, [1, 0]),
                rt::lane(product_dot, [w_cols, 1]),
            ),
            #[inline(always)]
            |(product, log_sum_exp, product_dot)| {
                rt::exp(
                    product
                        - (if log_sum_exp == f64::NEG_INFINITY {
                            0.0
                        } else {
                            log_sum_exp
                        }),
                ) * product_dot
            },
        );
        let taken = rt::take_along(
            buffers.taken.fit(x_rows),
            product,
            y,
            [x_rows, w_cols, 1],
        );
        let taken_2 = rt::take_along(
            buffers.taken_2.fit(x_rows),
            product_dot,
            y,
            [x_rows, w_cols, 1],
        );
        let total_3 = rt::reduce_all(
            rt::Sum,
            [x_rows],
            (log_sum_exp, taken),
            |(log_sum_exp, taken)| log_sum_exp - taken,
        );
        let total_4 = rt::reduce_all(
            rt::Sum,
            [x_rows],
            (total_2, taken_2),
            |(total_2, taken_2)| total_2 - taken_2,
        );
        let x_rows_f64 = x_rows as f64;
        /// `cross_entropy(&x.dot(w), y) + penalty`
        let sum = total_3 / x_rows_f64 + penalty;
        /// tangent of `cross_entropy(&x.dot(w), y) + penalty`
        let sum_dot = (if x_rows_f64 == 0.0 { 0.0 } else { rt::powi(x_rows_f64, -1) })
            * total_4 + penalty_dot;
        (sum, sum_dot)
    }
    /// Reverse mode: the value, and the cotangents of the arguments for the given cotangent of the value.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn vjp(
        w: &rt::Array2<f64>,
        log_l2: &rt::Array2<f64>,
        x: &rt::Array2<f64>,
        y: &rt::Array1<usize>,
        y_bar: f64,
    ) -> (f64, (rt::Array2<f64>, rt::Array2<f64>)) {
        let [w_rows, w_cols, x_rows] = rt::dims_or_panic(
            "train",
            [rt::ANY; 3],
            &[
                ("w", w.shape(), &[0, 1]),
                ("log_l2", log_l2.shape(), &[0, 1]),
                ("x", x.shape(), &[2, 0]),
                ("y", y.shape(), &[2]),
            ],
        );
        let w = &rt::elements(w)[..];
        let log_l2 = &rt::elements(log_l2)[..];
        let x = &rt::elements(x)[..];
        let y = &rt::elements(y)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            exp: rt::Buffer<f64>,
            scaled: rt::Buffer<f64>,
            product: rt::Buffer<f64>,
            log_sum_exp: rt::Buffer<f64>,
            taken: rt::Buffer<f64>,
            product_bar: rt::Buffer<f64>,
            w_bar_2: rt::Buffer<f64>,
            w_bar: rt::Buffer<f64>,
            log_l2_bar: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `log_l2.exp()`
        let exp = rt::map(
            buffers.exp.fit(w_rows * w_cols),
            [w_rows * w_cols],
            log_l2,
            #[inline(always)]
            |log_l2| rt::exp(log_l2),
        );
        /// `log_l2.exp() * w`
        let scaled = rt::map(
            buffers.scaled.fit(w_rows * w_cols),
            [w_rows * w_cols],
            (exp, w),
            |(exp, w)| exp * w,
        );
        /// `(log_l2.exp() * w * w).sum()`
        let total = rt::reduce_all(
            rt::Sum,
            [w_rows * w_cols],
            (scaled, w),
            |(scaled, w)| scaled * w,
        );
        /// `0.5 * (log_l2.exp() * w * w).sum()`
        let penalty = 0.5 * total;
        /// `x.dot(w)`
        let product = rt::product(
            buffers.product.fit(w_cols * x_rows),
            rt::matrix(x, [x_rows, w_rows]),
            rt::matrix(w, [w_rows, w_cols]),
        );
        let log_sum_exp = rt::log_sum_exp(
            buffers.log_sum_exp.fit(x_rows),
            product,
            [x_rows, w_cols, 1],
        );
        let taken = rt::take_along(
            buffers.taken.fit(x_rows),
            product,
            y,
            [x_rows, w_cols, 1],
        );
        let total_2 = rt::reduce_all(
            rt::Sum,
            [x_rows],
            (log_sum_exp, taken),
            |(log_sum_exp, taken)| log_sum_exp - taken,
        );
        let x_rows_f64 = x_rows as f64;
        /// `cross_entropy(&x.dot(w), y) + penalty`
        let sum = total_2 / x_rows_f64 + penalty;
        let scaled_2 = (if x_rows_f64 == 0.0 { 0.0 } else { rt::powi(x_rows_f64, -1) })
            * y_bar;
        /// adjoint of `x.dot(w)`
        let product_bar = rt::map(
            buffers.product_bar.fit(w_cols * x_rows),
            [x_rows, w_cols],
            (
                rt::lane(product, [w_cols, 1]),
                rt::splat(log_sum_exp, [1, 0]),
                rt::position(1),
                rt::splat(y, [1, 0]),
            ),
            #[inline(always)]
            |(product, log_sum_exp, j, y)| {
                rt::exp(
                    product
                        - (if log_sum_exp == f64::NEG_INFINITY {
                            0.0
                        } else {
                            log_sum_exp
                        }),
                ) * scaled_2 - (if j == y { scaled_2 } else { 0.0 })
            },
        );
        /// adjoint of `w`
        let w_bar_2 = rt::product(
            buffers.w_bar_2.fit(w_rows * w_cols),
            rt::matrix(x, [x_rows, w_rows]).t(),
            rt::matrix(product_bar, [x_rows, w_cols]),
        );
        /// adjoint of `(log_l2.exp() * w * w).sum()`
        let total_bar = 0.5 * y_bar;
        /// adjoint of `w`
        let w_bar = rt::map(
            buffers.w_bar.fit(w_rows * w_cols),
            [w_rows * w_cols],
            (w_bar_2, scaled, exp, w),
            |(w_bar_2, scaled, exp, w)| {
                w_bar_2 + scaled * total_bar + exp * (w * total_bar)
            },
        );
        /// adjoint of `log_l2`
        let log_l2_bar = rt::map(
            buffers.log_l2_bar.fit(w_rows * w_cols),
            [w_rows * w_cols],
            (exp, w),
            |(exp, w)| exp * (w * (w * total_bar)),
        );
        (
            sum,
            (
                buffers.w_bar.into_array([w_rows, w_cols]),
                buffers.log_l2_bar.into_array([w_rows, w_cols]),
            ),
        )
    }
    /// The function at a point: gives the tangent of the value for tangents of the arguments. What does not depend on these is
    /// computed here, once.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn linearize(
        w: &rt::Array2<f64>,
        log_l2: &rt::Array2<f64>,
        x: &rt::Array2<f64>,
        y: &rt::Array1<usize>,
    ) -> impl ::core::ops::Fn(&rt::Array2<f64>, &rt::Array2<f64>) -> f64 + use<> {
        let [w_rows, w_cols, x_rows] = rt::dims_or_panic(
            "train",
            [rt::ANY; 3],
            &[
                ("w", w.shape(), &[0, 1]),
                ("log_l2", log_l2.shape(), &[0, 1]),
                ("x", x.shape(), &[2, 0]),
                ("y", y.shape(), &[2]),
            ],
        );
        let w = &rt::elements(w)[..];
        let log_l2 = &rt::elements(log_l2)[..];
        let x = &rt::elements(x)[..];
        let y = &rt::elements(y)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            exp: rt::Buffer<f64>,
            scaled: rt::Buffer<f64>,
            product: rt::Buffer<f64>,
            log_sum_exp: rt::Buffer<f64>,
            exp_2: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `log_l2.exp()`
        let exp = rt::map(
            buffers.exp.fit(w_rows * w_cols),
            [w_rows * w_cols],
            log_l2,
            #[inline(always)]
            |log_l2| rt::exp(log_l2),
        );
        /// `log_l2.exp() * w`
        let scaled = rt::map(
            buffers.scaled.fit(w_rows * w_cols),
            [w_rows * w_cols],
            (exp, w),
            |(exp, w)| exp * w,
        );
        /// `x.dot(w)`
        let product = rt::product(
            buffers.product.fit(w_cols * x_rows),
            rt::matrix(x, [x_rows, w_rows]),
            rt::matrix(w, [w_rows, w_cols]),
        );
        let log_sum_exp = rt::log_sum_exp(
            buffers.log_sum_exp.fit(x_rows),
            product,
            [x_rows, w_cols, 1],
        );
        let exp_2 = rt::map(
            buffers.exp_2.fit(w_cols * x_rows),
            [x_rows, w_cols],
            (rt::lane(product, [w_cols, 1]), rt::splat(log_sum_exp, [1, 0])),
            #[inline(always)]
            |(product, log_sum_exp)| rt::exp(
                product
                    - (if log_sum_exp == f64::NEG_INFINITY { 0.0 } else { log_sum_exp }),
            ),
        );
        let x_rows_f64 = x_rows as f64;
        /// part of the derivative of `cross_entropy(&x.dot(w), y)`
        let chosen_part = if x_rows_f64 == 0.0 { 0.0 } else { rt::powi(x_rows_f64, -1) };
        let w = w.to_vec();
        let x = x.to_vec();
        let y = y.to_vec();
        let exp = buffers.exp;
        let scaled = buffers.scaled;
        let exp_2 = buffers.exp_2;
        move |w_dot: &rt::Array2<f64>, log_l2_dot: &rt::Array2<f64>| {
            let w = &w[..];
            let x = &x[..];
            let y = &y[..];
            let exp = &exp[..];
            let scaled = &scaled[..];
            let exp_2 = &exp_2[..];
            let [w_rows, w_cols] = rt::dims_or_panic(
                "train",
                [rt::fixed(w_rows), rt::fixed(w_cols)],
                &[
                    ("w_dot", w_dot.shape(), &[0, 1]),
                    ("log_l2_dot", log_l2_dot.shape(), &[0, 1]),
                ],
            );
            let w_dot = &rt::elements(w_dot)[..];
            let log_l2_dot = &rt::elements(log_l2_dot)[..];
            #[derive(::core::default::Default)]
            struct LinearBuffers {
                product_dot: rt::Buffer<f64>,
                total: rt::Buffer<f64>,
                taken: rt::Buffer<f64>,
            }
            let mut buffers = <LinearBuffers as ::core::default::Default>::default();
            /// tangent of `(log_l2.exp() * w * w).sum()`
            let total_dot = rt::reduce_all(
                rt::Sum,
                [w_rows * w_cols],
                (w, exp, log_l2_dot, w_dot, scaled),
                |(w, exp, log_l2_dot, w_dot, scaled)| {
                    w * (w * (exp * log_l2_dot) + exp * w_dot) + scaled * w_dot
                },
            );
            /// tangent of `0.5 * (log_l2.exp() * w * w).sum()`
            let penalty_dot = 0.5 * total_dot;
            /// tangent of `x.dot(w)`
            let product_dot = rt::product(
                buffers.product_dot.fit(w_cols * x_rows),
                rt::matrix(x, [x_rows, w_rows]),
                rt::matrix(w_dot, [w_rows, w_cols]),
            );
            let total = rt::reduce_last(
                rt::Sum,
                buffers.total.fit(x_rows),
                [x_rows, w_cols],
                1,
                (rt::lane(exp_2, [w_cols, 1]), rt::lane(product_dot, [w_cols, 1])),
                |(exp_2, product_dot)| exp_2 * product_dot,
            );
            let taken = rt::take_along(
                buffers.taken.fit(x_rows),
                product_dot,
                y,
                [x_rows, w_cols, 1],
            );
            let total_2 = rt::reduce_all(
                rt::Sum,
                [x_rows],
                (total, taken),
                |(total, taken)| total - taken,
            );
            /// tangent of `cross_entropy(&x.dot(w), y) + penalty`
            let sum_dot = chosen_part * total_2 + penalty_dot;
            sum_dot
        }
    }
    /// The gradient.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn grad(
        w: &rt::Array2<f64>,
        log_l2: &rt::Array2<f64>,
        x: &rt::Array2<f64>,
        y: &rt::Array1<usize>,
    ) -> (rt::Array2<f64>, rt::Array2<f64>) {
        let [w_rows, w_cols, x_rows] = rt::dims_or_panic(
            "train",
            [rt::ANY; 3],
            &[
                ("w", w.shape(), &[0, 1]),
                ("log_l2", log_l2.shape(), &[0, 1]),
                ("x", x.shape(), &[2, 0]),
                ("y", y.shape(), &[2]),
            ],
        );
        let w = &rt::elements(w)[..];
        let log_l2 = &rt::elements(log_l2)[..];
        let x = &rt::elements(x)[..];
        let y = &rt::elements(y)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            exp: rt::Buffer<f64>,
            product: rt::Buffer<f64>,
            log_sum_exp: rt::Buffer<f64>,
            product_bar: rt::Buffer<f64>,
            w_bar_2: rt::Buffer<f64>,
            w_bar: rt::Buffer<f64>,
            log_l2_bar: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `log_l2.exp()`
        let exp = rt::map(
            buffers.exp.fit(w_rows * w_cols),
            [w_rows * w_cols],
            log_l2,
            #[inline(always)]
            |log_l2| rt::exp(log_l2),
        );
        /// `x.dot(w)`
        let product = rt::product(
            buffers.product.fit(w_cols * x_rows),
            rt::matrix(x, [x_rows, w_rows]),
            rt::matrix(w, [w_rows, w_cols]),
        );
        let log_sum_exp = rt::log_sum_exp(
            buffers.log_sum_exp.fit(x_rows),
            product,
            [x_rows, w_cols, 1],
        );
        let x_rows_f64 = x_rows as f64;
        /// part of the derivative of `cross_entropy(&x.dot(w), y)`
        let chosen_part = if x_rows_f64 == 0.0 { 0.0 } else { rt::powi(x_rows_f64, -1) };
        /// adjoint of `x.dot(w)`
        let product_bar = rt::map(
            buffers.product_bar.fit(w_cols * x_rows),
            [x_rows, w_cols],
            (
                rt::lane(product, [w_cols, 1]),
                rt::splat(log_sum_exp, [1, 0]),
                rt::position(1),
                rt::splat(y, [1, 0]),
            ),
            #[inline(always)]
            |(product, log_sum_exp, j, y)| {
                rt::exp(
                    product
                        - (if log_sum_exp == f64::NEG_INFINITY {
                            0.0
                        } else {
                            log_sum_exp
                        }),
                ) * chosen_part - (if j == y { chosen_part } else { 0.0 })
            },
        );
        /// adjoint of `w`
        let w_bar_2 = rt::product(
            buffers.w_bar_2.fit(w_rows * w_cols),
            rt::matrix(x, [x_rows, w_rows]).t(),
            rt::matrix(product_bar, [x_rows, w_cols]),
        );
        /// adjoint of `w`
        let w_bar = rt::map(
            buffers.w_bar.fit(w_rows * w_cols),
            [w_rows * w_cols],
            (w_bar_2, exp, w),
            |(w_bar_2, exp, w)| w_bar_2 + exp * w,
        );
        /// adjoint of `log_l2`
        let log_l2_bar = rt::map(
            buffers.log_l2_bar.fit(w_rows * w_cols),
            [w_rows * w_cols],
            (exp, w),
            |(exp, w)| 0.5 * (exp * (w * w)),
        );
        (
            buffers.w_bar.into_array([w_rows, w_cols]),
            buffers.log_l2_bar.into_array([w_rows, w_cols]),
        )
    }
    /// The value and the gradient.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn value_and_grad(
        w: &rt::Array2<f64>,
        log_l2: &rt::Array2<f64>,
        x: &rt::Array2<f64>,
        y: &rt::Array1<usize>,
    ) -> (f64, (rt::Array2<f64>, rt::Array2<f64>)) {
        let [w_rows, w_cols, x_rows] = rt::dims_or_panic(
            "train",
            [rt::ANY; 3],
            &[
                ("w", w.shape(), &[0, 1]),
                ("log_l2", log_l2.shape(), &[0, 1]),
                ("x", x.shape(), &[2, 0]),
                ("y", y.shape(), &[2]),
            ],
        );
        let w = &rt::elements(w)[..];
        let log_l2 = &rt::elements(log_l2)[..];
        let x = &rt::elements(x)[..];
        let y = &rt::elements(y)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            exp: rt::Buffer<f64>,
            scaled_bar: rt::Buffer<f64>,
            product: rt::Buffer<f64>,
            log_sum_exp: rt::Buffer<f64>,
            taken: rt::Buffer<f64>,
            product_bar: rt::Buffer<f64>,
            w_bar_2: rt::Buffer<f64>,
            w_bar: rt::Buffer<f64>,
            log_l2_bar: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `log_l2.exp()`
        let exp = rt::map(
            buffers.exp.fit(w_rows * w_cols),
            [w_rows * w_cols],
            log_l2,
            #[inline(always)]
            |log_l2| rt::exp(log_l2),
        );
        /// adjoint of `w`
        let scaled_bar = rt::map(
            buffers.scaled_bar.fit(w_rows * w_cols),
            [w_rows * w_cols],
            (exp, w),
            |(exp, w)| exp * w,
        );
        /// `(log_l2.exp() * w * w).sum()`
        let total = rt::reduce_all(
            rt::Sum,
            [w_rows * w_cols],
            (scaled_bar, w),
            |(scaled_bar, w)| scaled_bar * w,
        );
        /// `0.5 * (log_l2.exp() * w * w).sum()`
        let penalty = 0.5 * total;
        /// `x.dot(w)`
        let product = rt::product(
            buffers.product.fit(w_cols * x_rows),
            rt::matrix(x, [x_rows, w_rows]),
            rt::matrix(w, [w_rows, w_cols]),
        );
        let log_sum_exp = rt::log_sum_exp(
            buffers.log_sum_exp.fit(x_rows),
            product,
            [x_rows, w_cols, 1],
        );
        let taken = rt::take_along(
            buffers.taken.fit(x_rows),
            product,
            y,
            [x_rows, w_cols, 1],
        );
        let total_2 = rt::reduce_all(
            rt::Sum,
            [x_rows],
            (log_sum_exp, taken),
            |(log_sum_exp, taken)| log_sum_exp - taken,
        );
        let x_rows_f64 = x_rows as f64;
        /// part of the derivative of `cross_entropy(&x.dot(w), y)`
        let chosen_part = if x_rows_f64 == 0.0 { 0.0 } else { rt::powi(x_rows_f64, -1) };
        /// `cross_entropy(&x.dot(w), y) + penalty`
        let sum = total_2 / x_rows_f64 + penalty;
        /// adjoint of `x.dot(w)`
        let product_bar = rt::map(
            buffers.product_bar.fit(w_cols * x_rows),
            [x_rows, w_cols],
            (
                rt::lane(product, [w_cols, 1]),
                rt::splat(log_sum_exp, [1, 0]),
                rt::position(1),
                rt::splat(y, [1, 0]),
            ),
            #[inline(always)]
            |(product, log_sum_exp, j, y)| {
                rt::exp(
                    product
                        - (if log_sum_exp == f64::NEG_INFINITY {
                            0.0
                        } else {
                            log_sum_exp
                        }),
                ) * chosen_part - (if j == y { chosen_part } else { 0.0 })
            },
        );
        /// adjoint of `w`
        let w_bar_2 = rt::product(
            buffers.w_bar_2.fit(w_rows * w_cols),
            rt::matrix(x, [x_rows, w_rows]).t(),
            rt::matrix(product_bar, [x_rows, w_cols]),
        );
        /// adjoint of `w`
        let w_bar = rt::map(
            buffers.w_bar.fit(w_rows * w_cols),
            [w_rows * w_cols],
            (w_bar_2, scaled_bar),
            |(w_bar_2, scaled_bar)| w_bar_2 + scaled_bar,
        );
        /// adjoint of `log_l2`
        let log_l2_bar = rt::map(
            buffers.log_l2_bar.fit(w_rows * w_cols),
            [w_rows * w_cols],
            (exp, w),
            |(exp, w)| 0.5 * (exp * (w * w)),
        );
        (
            sum,
            (
                buffers.w_bar.into_array([w_rows, w_cols]),
                buffers.log_l2_bar.into_array([w_rows, w_cols]),
            ),
        )
    }
    /// The Hessian, applied to the given tangents of the arguments.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn hvp(
        w: &rt::Array2<f64>,
        log_l2: &rt::Array2<f64>,
        x: &rt::Array2<f64>,
        y: &rt::Array1<usize>,
        w_dot: &rt::Array2<f64>,
        log_l2_dot: &rt::Array2<f64>,
    ) -> (rt::Array2<f64>, rt::Array2<f64>) {
        let [w_rows, w_cols, x_rows] = rt::dims_or_panic(
            "train",
            [rt::ANY; 3],
            &[
                ("w", w.shape(), &[0, 1]),
                ("log_l2", log_l2.shape(), &[0, 1]),
                ("x", x.shape(), &[2, 0]),
                ("y", y.shape(), &[2]),
                ("w_dot", w_dot.shape(), &[0, 1]),
                ("log_l2_dot", log_l2_dot.shape(), &[0, 1]),
            ],
        );
        let w = &rt::elements(w)[..];
        let log_l2 = &rt::elements(log_l2)[..];
        let x = &rt::elements(x)[..];
        let y = &rt::elements(y)[..];
        let w_dot = &rt::elements(w_dot)[..];
        let log_l2_dot = &rt::elements(log_l2_dot)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            exp: rt::Buffer<f64>,
            exp_dot: rt::Buffer<f64>,
            product: rt::Buffer<f64>,
            product_dot: rt::Buffer<f64>,
            log_sum_exp: rt::Buffer<f64>,
            exp_2: rt::Buffer<f64>,
            total: rt::Buffer<f64>,
            chosen: rt::Buffer<f64>,
            product_bar_dot: rt::Buffer<f64>,
            w_bar_dot_2: rt::Buffer<f64>,
            w_bar_dot: rt::Buffer<f64>,
            log_l2_bar_dot: rt::Buffer<f64>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        /// `log_l2.exp()`
        let exp = rt::map(
            buffers.exp.fit(w_rows * w_cols),
            [w_rows * w_cols],
            log_l2,
            #[inline(always)]
            |log_l2| rt::exp(log_l2),
        );
        /// tangent of `log_l2.exp()`
        let exp_dot = rt::map(
            buffers.exp_dot.fit(w_rows * w_cols),
            [w_rows * w_cols],
            (exp, log_l2_dot),
            |(exp, log_l2_dot)| exp * log_l2_dot,
        );
        /// `x.dot(w)`
        let product = rt::product(
            buffers.product.fit(w_cols * x_rows),
            rt::matrix(x, [x_rows, w_rows]),
            rt::matrix(w, [w_rows, w_cols]),
        );
        /// tangent of `x.dot(w)`
        let product_dot = rt::product(
            buffers.product_dot.fit(w_cols * x_rows),
            rt::matrix(x, [x_rows, w_rows]),
            rt::matrix(w_dot, [w_rows, w_cols]),
        );
        let log_sum_exp = rt::log_sum_exp(
            buffers.log_sum_exp.fit(x_rows),
            product,
            [x_rows, w_cols, 1],
        );
        let exp_2 = rt::map(
            buffers.exp_2.fit(w_cols * x_rows),
            [x_rows, w_cols],
            (rt::lane(product, [w_cols, 1]), rt::splat(log_sum_exp, [1, 0])),
            #[inline(always)]
            |(product, log_sum_exp)| rt::exp(
                product
                    - (if log_sum_exp == f64::NEG_INFINITY { 0.0 } else { log_sum_exp }),
            ),
        );
        let total = rt::reduce_last(
            rt::Sum,
            buffers.total.fit(x_rows),
            [x_rows, w_cols],
            1,
            (rt::lane(exp_2, [w_cols, 1]), rt::lane(product_dot, [w_cols, 1])),
            |(exp_2, product_dot)| exp_2 * product_dot,
        );
        let chosen = rt::map(
            buffers.chosen.fit(x_rows),
            [x_rows],
            (log_sum_exp, total),
            |(log_sum_exp, total)| {
                if log_sum_exp == f64::NEG_INFINITY { 0.0 } else { total }
            },
        );
        let x_rows_f64 = x_rows as f64;
        /// part of the derivative of `cross_entropy(&x.dot(w), y)`
        let chosen_part = if x_rows_f64 == 0.0 { 0.0 } else { rt::powi(x_rows_f64, -1) };
        /// tangent of adjoint of `x.dot(w)`
        let product_bar_dot = rt::map(
            buffers.product_bar_dot.fit(w_cols * x_rows),
            [x_rows, w_cols],
            (
                rt::lane(exp_2, [w_cols, 1]),
                rt::lane(product_dot, [w_cols, 1]),
                rt::splat(chosen, [1, 0]),
            ),
            |(exp_2, product_dot, chosen)| chosen_part * (exp_2 * (product_dot - chosen)),
        );
        /// tangent of adjoint of `w`
        let w_bar_dot_2 = rt::product(
            buffers.w_bar_dot_2.fit(w_rows * w_cols),
            rt::matrix(x, [x_rows, w_rows]).t(),
            rt::matrix(product_bar_dot, [x_rows, w_cols]),
        );
        /// tangent of adjoint of `w`
        let w_bar_dot = rt::map(
            buffers.w_bar_dot.fit(w_rows * w_cols),
            [w_rows * w_cols],
            (w_bar_dot_2, w, exp_dot, exp, w_dot),
            |(w_bar_dot_2, w, exp_dot, exp, w_dot)| {
                w_bar_dot_2 + (w * exp_dot + exp * w_dot)
            },
        );
        /// tangent of adjoint of `log_l2`
        let log_l2_bar_dot = rt::map(
            buffers.log_l2_bar_dot.fit(w_rows * w_cols),
            [w_rows * w_cols],
            (w, exp_dot, exp, w_dot),
            |(w, exp_dot, exp, w_dot)| {
                0.5 * (w * w * exp_dot + 2.0 * (exp * (w * w_dot)))
            },
        );
        (
            buffers.w_bar_dot.into_array([w_rows, w_cols]),
            buffers.log_l2_bar_dot.into_array([w_rows, w_cols]),
        )
    }
}
