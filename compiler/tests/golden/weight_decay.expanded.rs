/// Weight decay for every weight of a softmax regression.
pub mod weight_decay {
    use super::*;
    /// Training loss: softmax regression with its own L2 penalty on every weight.
    pub fn train(
        w: &Array2<f64>,
        log_l2: &Array2<f64>,
        x: &Array2<f64>,
        y: &Array1<usize>,
    ) -> f64 {
        let penalty = 0.5 * (log_l2.exp() * w * w).sum();
        cross_entropy(&x.dot(w), y) + penalty
    }
    /// Validation loss.
    pub fn validate(w: &Array2<f64>, x_val: &Array2<f64>, y_val: &Array1<usize>) -> f64 {
        cross_entropy(&x_val.dot(w), y_val)
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
        let _ = validate;
    };
    /// The data of the problem `weight_decay`.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Problem<'a> {
        /// The parameter `x` of `train`.
        pub x: &'a ::bilevel::rt::Array2<f64>,
        /// The parameter `y` of `train`.
        pub y: &'a ::bilevel::rt::Array1<usize>,
        /// The parameter `x_val` of `validate`.
        pub x_val: &'a ::bilevel::rt::Array2<f64>,
        /// The parameter `y_val` of `validate`.
        pub y_val: &'a ::bilevel::rt::Array1<usize>,
    }
    #[allow(unused, unused_doc_comments, clippy::all, clippy::pedantic)]
    const _: () = {
        use ::bilevel::rt;
        /// The lengths of all axes.
        #[derive(::core::clone::Clone, ::core::marker::Copy)]
        struct Dims {
            w_rows: usize,
            w_cols: usize,
            x_rows: usize,
            x_val_rows: usize,
        }
        /// What `inner_value_and_grad` keeps.
        #[derive(::core::default::Default)]
        struct InnerValueAndGrad {
            scaled_bar: rt::Buffer<f64>,
            product: rt::Buffer<f64>,
            log_sum_exp: rt::Buffer<f64>,
            taken: rt::Buffer<f64>,
            product_bar: rt::Buffer<f64>,
            w_bar_2: rt::Buffer<f64>,
        }
        /// What `inner_value_and_outer_grad` keeps.
        #[derive(::core::default::Default)]
        struct InnerValueAndOuterGrad {
            exp: rt::Buffer<f64>,
            product: rt::Buffer<f64>,
            log_sum_exp: rt::Buffer<f64>,
            taken: rt::Buffer<f64>,
        }
        /// What `inner_curvature` keeps.
        #[derive(::core::default::Default)]
        struct InnerCurvature {
            exp: rt::Buffer<f64>,
            product: rt::Buffer<f64>,
            log_sum_exp: rt::Buffer<f64>,
            exp_part: rt::Buffer<f64>,
            w: rt::Buffer<f64>,
            reciprocal: f64,
        }
        /// What `hessian_product` keeps.
        #[derive(::core::default::Default)]
        struct HessianProduct {
            product_dot: rt::Buffer<f64>,
            total: rt::Buffer<f64>,
            scaled_bar_dot: rt::Buffer<f64>,
            w_bar_dot_2: rt::Buffer<f64>,
        }
        /// What `both_products` keeps.
        #[derive(::core::default::Default)]
        struct BothProducts {
            product_dot: rt::Buffer<f64>,
            total: rt::Buffer<f64>,
            scaled_bar_dot: rt::Buffer<f64>,
            w_bar_dot_2: rt::Buffer<f64>,
        }
        /// What `inner_gradient_linearize` keeps.
        #[derive(::core::default::Default)]
        struct InnerGradientLinearize {
            exp: rt::Buffer<f64>,
            product: rt::Buffer<f64>,
            log_sum_exp: rt::Buffer<f64>,
            exp_part: rt::Buffer<f64>,
            w: rt::Buffer<f64>,
            reciprocal: f64,
        }
        /// What `inner_gradient_jvp` keeps.
        #[derive(::core::default::Default)]
        struct InnerGradientJvp {
            product_dot: rt::Buffer<f64>,
            total: rt::Buffer<f64>,
            scaled_bar_dot: rt::Buffer<f64>,
            w_bar_dot_2: rt::Buffer<f64>,
        }
        /// What `inner_gradient_vjp` keeps.
        #[derive(::core::default::Default)]
        struct InnerGradientVjp {
            exp: rt::Buffer<f64>,
            product: rt::Buffer<f64>,
            log_sum_exp: rt::Buffer<f64>,
            exp_part: rt::Buffer<f64>,
            product_bar_bar: rt::Buffer<f64>,
            scaled_part_bar: rt::Buffer<f64>,
            product_bar: rt::Buffer<f64>,
            product_bar_2: rt::Buffer<f64>,
            w_bar_2: rt::Buffer<f64>,
        }
        /// What `outer_value_and_grad` keeps.
        #[derive(::core::default::Default)]
        struct OuterValueAndGrad {
            product: rt::Buffer<f64>,
            log_sum_exp: rt::Buffer<f64>,
            taken: rt::Buffer<f64>,
            product_bar: rt::Buffer<f64>,
        }
        /// Lengths, contiguous data and the buffers of the kernels.
        pub struct Workspace<'a> {
            dims: Dims,
            x: rt::Cow<'a, [f64]>,
            y: rt::Cow<'a, [usize]>,
            x_val: rt::Cow<'a, [f64]>,
            y_val: rt::Cow<'a, [usize]>,
            inner_value_and_grad: InnerValueAndGrad,
            inner_value_and_outer_grad: InnerValueAndOuterGrad,
            inner_curvature: InnerCurvature,
            hessian_product: HessianProduct,
            both_products: BothProducts,
            inner_gradient_linearize: InnerGradientLinearize,
            inner_gradient_jvp: InnerGradientJvp,
            inner_gradient_vjp: InnerGradientVjp,
            outer_value_and_grad: OuterValueAndGrad,
        }
        impl<'a> rt::BilevelProblem for Problem<'a> {
            type Float = f64;
            type Inner = rt::Array2<f64>;
            type Outer = rt::Array2<f64>;
            type Workspace = Workspace<'a>;
            type Condition = rt::Gradient;
            const INNER_NAMES: &'static [&'static str] = &["w"];
            const OUTER_NAMES: &'static [&'static str] = &["log_l2"];
            const SYMMETRIC_HESSIAN: bool = true;
            fn workspace(
                &self,
                inner: &Self::Inner,
                outer: &Self::Outer,
            ) -> ::core::result::Result<Self::Workspace, rt::Error> {
                let [w_rows, w_cols, x_rows, x_val_rows] = rt::dims(
                    "weight_decay",
                    [rt::ANY; 4],
                    &[
                        ("w", inner.shape(), &[0, 1]),
                        ("log_l2", outer.shape(), &[0, 1]),
                        ("x", self.x.shape(), &[2, 0]),
                        ("y", self.y.shape(), &[2]),
                        ("x_val", self.x_val.shape(), &[3, 0]),
                        ("y_val", self.y_val.shape(), &[3]),
                    ],
                )?;
                rt::check_nonempty("w", inner.shape())?;
                rt::check_nonempty("log_l2", outer.shape())?;
                rt::check_nonempty("x", self.x.shape())?;
                rt::check_nonempty("y", self.y.shape())?;
                rt::check_nonempty("x_val", self.x_val.shape())?;
                rt::check_nonempty("y_val", self.y_val.shape())?;
                let x = rt::elements(self.x);
                rt::check_finite("x", &x)?;
                let y = rt::elements(self.y);
                let x_val = rt::elements(self.x_val);
                rt::check_finite("x_val", &x_val)?;
                let y_val = rt::elements(self.y_val);
                rt::check_indices("y", &y, w_cols)?;
                rt::check_indices("y_val", &y_val, w_cols)?;
                ::core::result::Result::Ok(Workspace {
                    dims: Dims {
                        w_rows,
                        w_cols,
                        x_rows,
                        x_val_rows,
                    },
                    x,
                    y,
                    x_val,
                    y_val,
                    inner_value_and_grad: <InnerValueAndGrad as ::core::default::Default>::default(),
                    inner_value_and_outer_grad: <InnerValueAndOuterGrad as ::core::default::Default>::default(),
                    inner_curvature: <InnerCurvature as ::core::default::Default>::default(),
                    hessian_product: <HessianProduct as ::core::default::Default>::default(),
                    both_products: <BothProducts as ::core::default::Default>::default(),
                    inner_gradient_linearize: <InnerGradientLinearize as ::core::default::Default>::default(),
                    inner_gradient_jvp: <InnerGradientJvp as ::core::default::Default>::default(),
                    inner_gradient_vjp: <InnerGradientVjp as ::core::default::Default>::default(),
                    outer_value_and_grad: <OuterValueAndGrad as ::core::default::Default>::default(),
                })
            }
            fn fingerprint(
                &self,
                workspace: &Self::Workspace,
                fingerprint: &mut rt::Fingerprint,
            ) {
                fingerprint
                    .numbers::<
                        usize,
                    >(
                        "",
                        &[
                            workspace.dims.w_rows,
                            workspace.dims.w_cols,
                            workspace.dims.x_rows,
                            workspace.dims.x_val_rows,
                        ],
                    );
                fingerprint.numbers("x", &workspace.x);
                fingerprint.numbers("y", &workspace.y);
                fingerprint.numbers("x_val", &workspace.x_val);
                fingerprint.numbers("y_val", &workspace.y_val);
            }
            fn inner_value_and_grad(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
                inner_bar: &mut [Self::Float],
            ) -> Self::Float {
                let Dims { w_rows, w_cols, x_rows, .. } = workspace.dims;
                let w = inner;
                let log_l2 = outer;
                let x = &workspace.x[..];
                let y = &workspace.y[..];
                let buffers = &mut workspace.inner_value_and_grad;
                /// adjoint of `w`
                let scaled_bar = rt::map(
                    buffers.scaled_bar.fit(w_rows * w_cols),
                    [w_rows * w_cols],
                    (log_l2, w),
                    #[inline(always)]
                    |(log_l2, w)| rt::exp(log_l2) * w,
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
                    buffers.product.fit(x_rows * w_cols),
                    rt::matrix(x, [x_rows, w_rows]),
                    rt::matrix(w, [w_rows, w_cols]),
                );
                /// a part of `cross_entropy(&x.dot(w), y)`
                let log_sum_exp = rt::log_sum_exp(
                    buffers.log_sum_exp.fit(x_rows),
                    product,
                    [x_rows, w_cols, 1],
                );
                /// a part of `cross_entropy(&x.dot(w), y)`
                let taken = rt::take_along(
                    buffers.taken.fit(x_rows),
                    product,
                    y,
                    [x_rows, w_cols, 1],
                );
                /// a part of `cross_entropy(&x.dot(w), y)`
                let total_2 = rt::reduce_all(
                    rt::Sum,
                    [x_rows],
                    (log_sum_exp, taken),
                    |(log_sum_exp, taken)| log_sum_exp - taken,
                );
                /// a part of `cross_entropy(&x.dot(w), y)`
                let reciprocal = 1.0 / (x_rows as f64);
                /// `cross_entropy(&x.dot(w), y) + penalty`
                let sum = total_2 * reciprocal + penalty;
                /// adjoint of `x.dot(w)`
                let product_bar = rt::map(
                    buffers.product_bar.fit(x_rows * w_cols),
                    [x_rows, w_cols],
                    (
                        rt::lane(product, [w_cols, 1]),
                        rt::splat(log_sum_exp, [1, 0]),
                        rt::position(1),
                        rt::splat(y, [1, 0]),
                    ),
                    #[inline(always)]
                    |(product, log_sum_exp, j, y)| {
                        rt::exp(product - log_sum_exp) * reciprocal
                            - (if j == y { reciprocal } else { 0.0 })
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
                    inner_bar,
                    [w_rows * w_cols],
                    (w_bar_2, scaled_bar),
                    |(w_bar_2, scaled_bar)| w_bar_2 + scaled_bar,
                );
                sum
            }
            fn inner_value_and_outer_grad(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
                outer_bar: &mut [Self::Float],
            ) -> Self::Float {
                let Dims { w_rows, w_cols, x_rows, .. } = workspace.dims;
                let w = inner;
                let log_l2 = outer;
                let x = &workspace.x[..];
                let y = &workspace.y[..];
                let buffers = &mut workspace.inner_value_and_outer_grad;
                /// `log_l2.exp()`
                let exp = rt::map(
                    buffers.exp.fit(w_rows * w_cols),
                    [w_rows * w_cols],
                    log_l2,
                    #[inline(always)]
                    |log_l2| rt::exp(log_l2),
                );
                /// `(log_l2.exp() * w * w).sum()`
                let total = rt::reduce_all(
                    rt::Sum,
                    [w_rows * w_cols],
                    (exp, w),
                    |(exp, w)| exp * w * w,
                );
                /// `0.5 * (log_l2.exp() * w * w).sum()`
                let penalty = 0.5 * total;
                /// `x.dot(w)`
                let product = rt::product(
                    buffers.product.fit(x_rows * w_cols),
                    rt::matrix(x, [x_rows, w_rows]),
                    rt::matrix(w, [w_rows, w_cols]),
                );
                /// a part of `cross_entropy(&x.dot(w), y)`
                let log_sum_exp = rt::log_sum_exp(
                    buffers.log_sum_exp.fit(x_rows),
                    product,
                    [x_rows, w_cols, 1],
                );
                /// a part of `cross_entropy(&x.dot(w), y)`
                let taken = rt::take_along(
                    buffers.taken.fit(x_rows),
                    product,
                    y,
                    [x_rows, w_cols, 1],
                );
                /// a part of `cross_entropy(&x.dot(w), y)`
                let total_2 = rt::reduce_all(
                    rt::Sum,
                    [x_rows],
                    (log_sum_exp, taken),
                    |(log_sum_exp, taken)| log_sum_exp - taken,
                );
                /// `cross_entropy(&x.dot(w), y) + penalty`
                let sum = total_2 * (1.0 / (x_rows as f64)) + penalty;
                /// adjoint of `log_l2`
                let log_l2_bar = rt::map(
                    outer_bar,
                    [w_rows * w_cols],
                    (exp, w),
                    |(exp, w)| 0.5 * (exp * (w * w)),
                );
                sum
            }
            fn inner_curvature(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
            ) {
                let Dims { w_rows, w_cols, x_rows, .. } = workspace.dims;
                let w = inner;
                let log_l2 = outer;
                let x = &workspace.x[..];
                let buffers = &mut workspace.inner_curvature;
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
                    buffers.product.fit(x_rows * w_cols),
                    rt::matrix(x, [x_rows, w_rows]),
                    rt::matrix(w, [w_rows, w_cols]),
                );
                /// a part of `cross_entropy(&x.dot(w), y)`
                let log_sum_exp = rt::log_sum_exp(
                    buffers.log_sum_exp.fit(x_rows),
                    product,
                    [x_rows, w_cols, 1],
                );
                /// part of the derivative of `cross_entropy(&x.dot(w), y)`
                let exp_part = rt::map(
                    buffers.exp_part.fit(x_rows * w_cols),
                    [x_rows, w_cols],
                    (rt::lane(product, [w_cols, 1]), rt::splat(log_sum_exp, [1, 0])),
                    #[inline(always)]
                    |(product, log_sum_exp)| rt::exp(product - log_sum_exp),
                );
                /// a part of `cross_entropy(&x.dot(w), y)`
                let reciprocal = 1.0 / (x_rows as f64);
                rt::copy(buffers.w.fit(w_rows * w_cols), w);
                buffers.reciprocal = reciprocal;
            }
            fn curvature_apply(
                &self,
                workspace: &mut Self::Workspace,
                direction: &[Self::Float],
                hessian_product: &mut [Self::Float],
                mixed: ::core::option::Option<&mut [Self::Float]>,
            ) {
                match mixed {
                    ::core::option::Option::None => {
                        let Dims { w_rows, w_cols, x_rows, .. } = workspace.dims;
                        let residuals = &workspace.inner_curvature;
                        let x = &workspace.x[..];
                        let exp = &residuals.exp[..];
                        let exp_part = &residuals.exp_part[..];
                        let reciprocal = residuals.reciprocal;
                        let w_dot = direction;
                        let buffers = &mut workspace.hessian_product;
                        /// tangent of `x.dot(w)`
                        let product_dot = rt::product(
                            buffers.product_dot.fit(x_rows * w_cols),
                            rt::matrix(x, [x_rows, w_rows]),
                            rt::matrix(w_dot, [w_rows, w_cols]),
                        );
                        /// tangent of a part of `cross_entropy(&x.dot(w), y)`
                        let total = rt::reduce_last(
                            rt::Sum,
                            buffers.total.fit(x_rows),
                            [x_rows, w_cols],
                            1,
                            (
                                rt::lane(exp_part, [w_cols, 1]),
                                rt::lane(product_dot, [w_cols, 1]),
                            ),
                            |(exp_part, product_dot)| exp_part * product_dot,
                        );
                        /// tangent of adjoint of `x.dot(w)`
                        let scaled_bar_dot = rt::map(
                            buffers.scaled_bar_dot.fit(x_rows * w_cols),
                            [x_rows, w_cols],
                            (
                                rt::lane(exp_part, [w_cols, 1]),
                                rt::lane(product_dot, [w_cols, 1]),
                                rt::splat(total, [1, 0]),
                            ),
                            |(exp_part, product_dot, total)| {
                                reciprocal * (exp_part * (product_dot - total))
                            },
                        );
                        /// tangent of adjoint of `w`
                        let w_bar_dot_2 = rt::product(
                            buffers.w_bar_dot_2.fit(w_rows * w_cols),
                            rt::matrix(x, [x_rows, w_rows]).t(),
                            rt::matrix(scaled_bar_dot, [x_rows, w_cols]),
                        );
                        /// tangent of adjoint of `w`
                        let w_bar_dot = rt::map(
                            hessian_product,
                            [w_rows * w_cols],
                            (w_bar_dot_2, exp, w_dot),
                            |(w_bar_dot_2, exp, w_dot)| w_bar_dot_2 + exp * w_dot,
                        );
                    }
                    ::core::option::Option::Some(mixed) => {
                        let Dims { w_rows, w_cols, x_rows, .. } = workspace.dims;
                        let residuals = &workspace.inner_curvature;
                        let x = &workspace.x[..];
                        let w = &residuals.w[..];
                        let exp = &residuals.exp[..];
                        let exp_part = &residuals.exp_part[..];
                        let reciprocal = residuals.reciprocal;
                        let w_dot = direction;
                        let buffers = &mut workspace.both_products;
                        /// tangent of `x.dot(w)`
                        let product_dot = rt::product(
                            buffers.product_dot.fit(x_rows * w_cols),
                            rt::matrix(x, [x_rows, w_rows]),
                            rt::matrix(w_dot, [w_rows, w_cols]),
                        );
                        /// tangent of a part of `cross_entropy(&x.dot(w), y)`
                        let total = rt::reduce_last(
                            rt::Sum,
                            buffers.total.fit(x_rows),
                            [x_rows, w_cols],
                            1,
                            (
                                rt::lane(exp_part, [w_cols, 1]),
                                rt::lane(product_dot, [w_cols, 1]),
                            ),
                            |(exp_part, product_dot)| exp_part * product_dot,
                        );
                        /// tangent of adjoint of `x.dot(w)`
                        let scaled_bar_dot = rt::map(
                            buffers.scaled_bar_dot.fit(x_rows * w_cols),
                            [x_rows, w_cols],
                            (
                                rt::lane(exp_part, [w_cols, 1]),
                                rt::lane(product_dot, [w_cols, 1]),
                                rt::splat(total, [1, 0]),
                            ),
                            |(exp_part, product_dot, total)| {
                                reciprocal * (exp_part * (product_dot - total))
                            },
                        );
                        /// tangent of adjoint of `w`
                        let w_bar_dot_2 = rt::product(
                            buffers.w_bar_dot_2.fit(w_rows * w_cols),
                            rt::matrix(x, [x_rows, w_rows]).t(),
                            rt::matrix(scaled_bar_dot, [x_rows, w_cols]),
                        );
                        /// tangent of adjoint of `w`
                        let w_bar_dot = rt::map(
                            hessian_product,
                            [w_rows * w_cols],
                            (w_bar_dot_2, exp, w_dot),
                            |(w_bar_dot_2, exp, w_dot)| w_bar_dot_2 + exp * w_dot,
                        );
                        /// tangent of adjoint of `log_l2`
                        let log_l2_bar_dot = rt::map(
                            mixed,
                            [w_rows * w_cols],
                            (exp, w, w_dot),
                            |(exp, w, w_dot)| exp * (w * w_dot),
                        );
                    }
                }
            }
            fn inner_gradient_linearize(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
            ) {
                let Dims { w_rows, w_cols, x_rows, .. } = workspace.dims;
                let w = inner;
                let log_l2 = outer;
                let x = &workspace.x[..];
                let buffers = &mut workspace.inner_gradient_linearize;
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
                    buffers.product.fit(x_rows * w_cols),
                    rt::matrix(x, [x_rows, w_rows]),
                    rt::matrix(w, [w_rows, w_cols]),
                );
                /// a part of `cross_entropy(&x.dot(w), y)`
                let log_sum_exp = rt::log_sum_exp(
                    buffers.log_sum_exp.fit(x_rows),
                    product,
                    [x_rows, w_cols, 1],
                );
                /// part of the derivative of `cross_entropy(&x.dot(w), y)`
                let exp_part = rt::map(
                    buffers.exp_part.fit(x_rows * w_cols),
                    [x_rows, w_cols],
                    (rt::lane(product, [w_cols, 1]), rt::splat(log_sum_exp, [1, 0])),
                    #[inline(always)]
                    |(product, log_sum_exp)| rt::exp(product - log_sum_exp),
                );
                /// a part of `cross_entropy(&x.dot(w), y)`
                let reciprocal = 1.0 / (x_rows as f64);
                rt::copy(buffers.w.fit(w_rows * w_cols), w);
                buffers.reciprocal = reciprocal;
            }
            const GRADIENT_READS: &'static [bool] = &[true];
            #[inline]
            fn inner_gradient_jvp(
                &self,
                workspace: &mut Self::Workspace,
                inner_dot: &[Self::Float],
                outer_dot: &[Self::Float],
                gradient_dot: &mut [Self::Float],
            ) {
                let Dims { w_rows, w_cols, x_rows, .. } = workspace.dims;
                let residuals = &workspace.inner_gradient_linearize;
                let x = &workspace.x[..];
                let w = &residuals.w[..];
                let exp = &residuals.exp[..];
                let exp_part = &residuals.exp_part[..];
                let reciprocal = residuals.reciprocal;
                let w_dot = inner_dot;
                let log_l2_dot = outer_dot;
                let buffers = &mut workspace.inner_gradient_jvp;
                /// tangent of `x.dot(w)`
                let product_dot = rt::product(
                    buffers.product_dot.fit(x_rows * w_cols),
                    rt::matrix(x, [x_rows, w_rows]),
                    rt::matrix(w_dot, [w_rows, w_cols]),
                );
                /// tangent of a part of `cross_entropy(&x.dot(w), y)`
                let total = rt::reduce_last(
                    rt::Sum,
                    buffers.total.fit(x_rows),
                    [x_rows, w_cols],
                    1,
                    (
                        rt::lane(exp_part, [w_cols, 1]),
                        rt::lane(product_dot, [w_cols, 1]),
                    ),
                    |(exp_part, product_dot)| exp_part * product_dot,
                );
                /// tangent of adjoint of `x.dot(w)`
                let scaled_bar_dot = rt::map(
                    buffers.scaled_bar_dot.fit(x_rows * w_cols),
                    [x_rows, w_cols],
                    (
                        rt::lane(exp_part, [w_cols, 1]),
                        rt::lane(product_dot, [w_cols, 1]),
                        rt::splat(total, [1, 0]),
                    ),
                    |(exp_part, product_dot, total)| {
                        reciprocal * (exp_part * (product_dot - total))
                    },
                );
                /// tangent of adjoint of `w`
                let w_bar_dot_2 = rt::product(
                    buffers.w_bar_dot_2.fit(w_rows * w_cols),
                    rt::matrix(x, [x_rows, w_rows]).t(),
                    rt::matrix(scaled_bar_dot, [x_rows, w_cols]),
                );
                /// tangent of adjoint of `w`
                let w_bar_dot = rt::map(
                    gradient_dot,
                    [w_rows * w_cols],
                    (w_bar_dot_2, w, exp, log_l2_dot, w_dot),
                    |(w_bar_dot_2, w, exp, log_l2_dot, w_dot)| {
                        w_bar_dot_2 + (w * (exp * log_l2_dot) + exp * w_dot)
                    },
                );
            }
            #[inline]
            fn inner_gradient_vjp(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
                cotangent: &[Self::Float],
                inner_bar: &mut [Self::Float],
                outer_bar: &mut [Self::Float],
            ) {
                let Dims { w_rows, w_cols, x_rows, .. } = workspace.dims;
                let w = inner;
                let log_l2 = outer;
                let x = &workspace.x[..];
                let w_bar_bar = cotangent;
                let buffers = &mut workspace.inner_gradient_vjp;
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
                    buffers.product.fit(x_rows * w_cols),
                    rt::matrix(x, [x_rows, w_rows]),
                    rt::matrix(w, [w_rows, w_cols]),
                );
                /// a part of `cross_entropy(&x.dot(w), y)`
                let log_sum_exp = rt::log_sum_exp(
                    buffers.log_sum_exp.fit(x_rows),
                    product,
                    [x_rows, w_cols, 1],
                );
                /// part of the derivative of `cross_entropy(&x.dot(w), y)`
                let exp_part = rt::map(
                    buffers.exp_part.fit(x_rows * w_cols),
                    [x_rows, w_cols],
                    (rt::lane(product, [w_cols, 1]), rt::splat(log_sum_exp, [1, 0])),
                    #[inline(always)]
                    |(product, log_sum_exp)| rt::exp(product - log_sum_exp),
                );
                /// a part of `cross_entropy(&x.dot(w), y)`
                let reciprocal = 1.0 / (x_rows as f64);
                /// adjoint of adjoint of `x.dot(w)`
                let product_bar_bar = rt::product(
                    buffers.product_bar_bar.fit(x_rows * w_cols),
                    rt::matrix(x, [x_rows, w_rows]),
                    rt::matrix(w_bar_bar, [w_rows, w_cols]),
                );
                /// adjoint of part of the derivative of `cross_entropy(&x.dot(w), y)`
                let scaled_part_bar = rt::map(
                    buffers.scaled_part_bar.fit(x_rows * w_cols),
                    [x_rows * w_cols],
                    (exp_part, product_bar_bar),
                    |(exp_part, product_bar_bar)| {
                        exp_part * (reciprocal * product_bar_bar)
                    },
                );
                /// adjoint of `x.dot(w)`
                let product_bar = rt::reduce_last(
                    rt::Sum,
                    buffers.product_bar.fit(x_rows),
                    [x_rows, w_cols],
                    1,
                    rt::lane(scaled_part_bar, [w_cols, 1]),
                    |scaled_part_bar| scaled_part_bar,
                );
                /// adjoint of `x.dot(w)`
                let product_bar_2 = rt::map(
                    buffers.product_bar_2.fit(x_rows * w_cols),
                    [x_rows, w_cols],
                    (
                        rt::lane(scaled_part_bar, [w_cols, 1]),
                        rt::lane(exp_part, [w_cols, 1]),
                        rt::splat(product_bar, [1, 0]),
                    ),
                    |(scaled_part_bar, exp_part, product_bar)| {
                        scaled_part_bar - exp_part * product_bar
                    },
                );
                /// adjoint of `w`
                let w_bar_2 = rt::product(
                    buffers.w_bar_2.fit(w_rows * w_cols),
                    rt::matrix(x, [x_rows, w_rows]).t(),
                    rt::matrix(product_bar_2, [x_rows, w_cols]),
                );
                /// adjoint of `w`
                let w_bar = rt::map(
                    inner_bar,
                    [w_rows * w_cols],
                    (w_bar_2, exp, w_bar_bar),
                    |(w_bar_2, exp, w_bar_bar)| w_bar_2 + exp * w_bar_bar,
                );
                /// adjoint of `log_l2`
                let log_l2_bar = rt::map(
                    outer_bar,
                    [w_rows * w_cols],
                    (exp, w, w_bar_bar),
                    |(exp, w, w_bar_bar)| exp * (w * w_bar_bar),
                );
            }
            fn outer_value_and_grad(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
                inner_bar: &mut [Self::Float],
                outer_bar: &mut [Self::Float],
            ) -> Self::Float {
                let Dims { w_rows, w_cols, x_val_rows, .. } = workspace.dims;
                let w = inner;
                let x_val = &workspace.x_val[..];
                let y_val = &workspace.y_val[..];
                let buffers = &mut workspace.outer_value_and_grad;
                outer_bar.fill(0.0);
                /// `x_val.dot(w)`
                let product = rt::product(
                    buffers.product.fit(x_val_rows * w_cols),
                    rt::matrix(x_val, [x_val_rows, w_rows]),
                    rt::matrix(w, [w_rows, w_cols]),
                );
                /// a part of `cross_entropy(&x_val.dot(w), y_val)`
                let log_sum_exp = rt::log_sum_exp(
                    buffers.log_sum_exp.fit(x_val_rows),
                    product,
                    [x_val_rows, w_cols, 1],
                );
                /// a part of `cross_entropy(&x_val.dot(w), y_val)`
                let taken = rt::take_along(
                    buffers.taken.fit(x_val_rows),
                    product,
                    y_val,
                    [x_val_rows, w_cols, 1],
                );
                /// a part of `cross_entropy(&x_val.dot(w), y_val)`
                let total = rt::reduce_all(
                    rt::Sum,
                    [x_val_rows],
                    (log_sum_exp, taken),
                    |(log_sum_exp, taken)| log_sum_exp - taken,
                );
                /// a part of `cross_entropy(&x_val.dot(w), y_val)`
                let reciprocal = 1.0 / (x_val_rows as f64);
                /// `cross_entropy(&x_val.dot(w), y_val)`
                let scaled = total * reciprocal;
                /// adjoint of `x_val.dot(w)`
                let product_bar = rt::map(
                    buffers.product_bar.fit(x_val_rows * w_cols),
                    [x_val_rows, w_cols],
                    (
                        rt::lane(product, [w_cols, 1]),
                        rt::splat(log_sum_exp, [1, 0]),
                        rt::position(1),
                        rt::splat(y_val, [1, 0]),
                    ),
                    #[inline(always)]
                    |(product, log_sum_exp, j, y_val)| {
                        rt::exp(product - log_sum_exp) * reciprocal
                            - (if j == y_val { reciprocal } else { 0.0 })
                    },
                );
                /// adjoint of `w`
                let w_bar = rt::product(
                    inner_bar,
                    rt::matrix(x_val, [x_val_rows, w_rows]).t(),
                    rt::matrix(product_bar, [x_val_rows, w_cols]),
                );
                scaled
            }
            fn buffer_bytes(workspace: &Self::Workspace) -> usize {
                0 + workspace.inner_value_and_grad.scaled_bar.n_bytes()
                    + workspace.inner_value_and_grad.product.n_bytes()
                    + workspace.inner_value_and_grad.log_sum_exp.n_bytes()
                    + workspace.inner_value_and_grad.taken.n_bytes()
                    + workspace.inner_value_and_grad.product_bar.n_bytes()
                    + workspace.inner_value_and_grad.w_bar_2.n_bytes()
                    + workspace.inner_value_and_outer_grad.exp.n_bytes()
                    + workspace.inner_value_and_outer_grad.product.n_bytes()
                    + workspace.inner_value_and_outer_grad.log_sum_exp.n_bytes()
                    + workspace.inner_value_and_outer_grad.taken.n_bytes()
                    + workspace.inner_curvature.exp.n_bytes()
                    + workspace.inner_curvature.product.n_bytes()
                    + workspace.inner_curvature.log_sum_exp.n_bytes()
                    + workspace.inner_curvature.exp_part.n_bytes()
                    + workspace.inner_curvature.w.n_bytes()
                    + workspace.hessian_product.product_dot.n_bytes()
                    + workspace.hessian_product.total.n_bytes()
                    + workspace.hessian_product.scaled_bar_dot.n_bytes()
                    + workspace.hessian_product.w_bar_dot_2.n_bytes()
                    + workspace.both_products.product_dot.n_bytes()
                    + workspace.both_products.total.n_bytes()
                    + workspace.both_products.scaled_bar_dot.n_bytes()
                    + workspace.both_products.w_bar_dot_2.n_bytes()
                    + workspace.inner_gradient_linearize.exp.n_bytes()
                    + workspace.inner_gradient_linearize.product.n_bytes()
                    + workspace.inner_gradient_linearize.log_sum_exp.n_bytes()
                    + workspace.inner_gradient_linearize.exp_part.n_bytes()
                    + workspace.inner_gradient_linearize.w.n_bytes()
                    + workspace.inner_gradient_jvp.product_dot.n_bytes()
                    + workspace.inner_gradient_jvp.total.n_bytes()
                    + workspace.inner_gradient_jvp.scaled_bar_dot.n_bytes()
                    + workspace.inner_gradient_jvp.w_bar_dot_2.n_bytes()
                    + workspace.inner_gradient_vjp.exp.n_bytes()
                    + workspace.inner_gradient_vjp.product.n_bytes()
                    + workspace.inner_gradient_vjp.log_sum_exp.n_bytes()
                    + workspace.inner_gradient_vjp.exp_part.n_bytes()
                    + workspace.inner_gradient_vjp.product_bar_bar.n_bytes()
                    + workspace.inner_gradient_vjp.scaled_part_bar.n_bytes()
                    + workspace.inner_gradient_vjp.product_bar.n_bytes()
                    + workspace.inner_gradient_vjp.product_bar_2.n_bytes()
                    + workspace.inner_gradient_vjp.w_bar_2.n_bytes()
                    + workspace.outer_value_and_grad.product.n_bytes()
                    + workspace.outer_value_and_grad.log_sum_exp.n_bytes()
                    + workspace.outer_value_and_grad.taken.n_bytes()
                    + workspace.outer_value_and_grad.product_bar.n_bytes()
            }
        }
        impl rt::LossesReadOuter for Problem<'_> {}
    };
}
