/// A regression whose learning rate is tuned, on batches of two rows.
pub mod configured {
    use super::*;
    /// Training loss.
    pub fn train(
        w: &Array1<f64>,
        log_rate: &f64,
        x: &Array2<f64>,
        y: &Array1<f64>,
    ) -> f64 {
        mse(&x.dot(w), y) + 0.01 * log_rate * w.sum()
    }
    /// Validation loss.
    pub fn validate(w: &Array1<f64>) -> f64 {
        w.dot(w)
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
            fn check(value: &f64) {
                let _: &::core::primitive::f64 = &value;
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
        mod functions {
            use super::*;
            use ::bilevel::functions::*;
            use mse as _;
        }
        let _ = train;
    };
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
            fn check(value: f64) {
                let _: &::core::primitive::f64 = &value;
            }
        };
        let _ = validate;
    };
    /// The data of the problem `configured`.
    #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
    pub struct Problem<'a> {
        /// The parameter `x` of `train`.
        pub x: &'a ::bilevel::rt::Array2<f64>,
        /// The parameter `y` of `train`.
        pub y: &'a ::bilevel::rt::Array1<f64>,
    }
    #[allow(unused, unused_doc_comments, clippy::all, clippy::pedantic)]
    const _: () = {
        use ::bilevel::rt;
        /// The lengths of all axes.
        #[derive(::core::clone::Clone, ::core::marker::Copy)]
        struct Dims {
            w_len: usize,
            x_rows: usize,
        }
        /// What `inner_value_and_grad` keeps.
        #[derive(::core::default::Default)]
        struct InnerValueAndGrad {
            product: rt::Buffer<f64>,
            difference: rt::Buffer<f64>,
            product_bar: rt::Buffer<f64>,
            w_bar_2: rt::Buffer<f64>,
        }
        /// What `inner_value_and_outer_grad` keeps.
        #[derive(::core::default::Default)]
        struct InnerValueAndOuterGrad {
            product: rt::Buffer<f64>,
        }
        /// What `inner_curvature` keeps.
        #[derive(::core::default::Default)]
        struct InnerCurvature {
            scaled_part_bar: f64,
        }
        /// What `hessian_product` keeps.
        #[derive(::core::default::Default)]
        struct HessianProduct {
            product_dot: rt::Buffer<f64>,
            scaled_bar_dot: rt::Buffer<f64>,
        }
        /// What `both_products` keeps.
        #[derive(::core::default::Default)]
        struct BothProducts {
            product_dot: rt::Buffer<f64>,
            scaled_bar_dot: rt::Buffer<f64>,
        }
        /// What `inner_gradient_linearize` keeps.
        #[derive(::core::default::Default)]
        struct InnerGradientLinearize {
            scaled_part_bar: f64,
        }
        /// What `inner_gradient_jvp` keeps.
        #[derive(::core::default::Default)]
        struct InnerGradientJvp {
            product_dot: rt::Buffer<f64>,
            scaled_bar_dot: rt::Buffer<f64>,
            w_bar_dot_2: rt::Buffer<f64>,
        }
        /// What `inner_gradient_vjp` keeps.
        #[derive(::core::default::Default)]
        struct InnerGradientVjp {
            product_bar_bar: rt::Buffer<f64>,
            scaled_bar: rt::Buffer<f64>,
        }
        /// Lengths, contiguous data and the buffers of the kernels.
        pub struct Workspace<'a> {
            dims: Dims,
            x: rt::Rows<'a, f64>,
            y: rt::Rows<'a, f64>,
            inner_value_and_grad: InnerValueAndGrad,
            inner_value_and_outer_grad: InnerValueAndOuterGrad,
            inner_curvature: InnerCurvature,
            hessian_product: HessianProduct,
            both_products: BothProducts,
            inner_gradient_linearize: InnerGradientLinearize,
            inner_gradient_jvp: InnerGradientJvp,
            inner_gradient_vjp: InnerGradientVjp,
        }
        impl<'a> rt::BilevelProblem for Problem<'a> {
            type Float = f64;
            type Inner = rt::Array1<f64>;
            type Outer = f64;
            type Workspace = Workspace<'a>;
            type Condition = rt::Gradient;
            const INNER_NAMES: &'static [&'static str] = &["w"];
            const OUTER_NAMES: &'static [&'static str] = &["log_rate"];
            const SYMMETRIC_HESSIAN: bool = true;
            fn workspace(
                &self,
                inner: &Self::Inner,
                _: &Self::Outer,
            ) -> ::core::result::Result<Self::Workspace, rt::Error> {
                let [w_len, x_rows] = rt::dims(
                    "configured",
                    [rt::ANY; 2],
                    &[
                        ("w", inner.shape(), &[0]),
                        ("x", self.x.shape(), &[1, 0]),
                        ("y", self.y.shape(), &[1]),
                    ],
                )?;
                rt::check_nonempty("w", inner.shape())?;
                rt::check_nonempty("x", self.x.shape())?;
                rt::check_nonempty("y", self.y.shape())?;
                let x = rt::elements(self.x);
                rt::check_finite("x", &x)?;
                let y = rt::elements(self.y);
                rt::check_finite("y", &y)?;
                ::core::result::Result::Ok(Workspace {
                    dims: Dims { w_len, x_rows },
                    x: rt::Rows::new(x),
                    y: rt::Rows::new(y),
                    inner_value_and_grad: <InnerValueAndGrad as ::core::default::Default>::default(),
                    inner_value_and_outer_grad: <InnerValueAndOuterGrad as ::core::default::Default>::default(),
                    inner_curvature: <InnerCurvature as ::core::default::Default>::default(),
                    hessian_product: <HessianProduct as ::core::default::Default>::default(),
                    both_products: <BothProducts as ::core::default::Default>::default(),
                    inner_gradient_linearize: <InnerGradientLinearize as ::core::default::Default>::default(),
                    inner_gradient_jvp: <InnerGradientJvp as ::core::default::Default>::default(),
                    inner_gradient_vjp: <InnerGradientVjp as ::core::default::Default>::default(),
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
                    >("", &[workspace.dims.w_len, workspace.dims.x_rows]);
                fingerprint.numbers("x", &workspace.x);
                fingerprint.numbers("y", &workspace.y);
            }
            fn n_rows(workspace: &Self::Workspace) -> ::core::option::Option<usize> {
                let Dims { w_len, .. } = workspace.dims;
                ::core::option::Option::Some(workspace.x.n_rows(w_len))
            }
            fn show_rows(
                workspace: &mut Self::Workspace,
                rows: ::core::option::Option<&[usize]>,
            ) {
                let Dims { w_len, .. } = workspace.dims;
                workspace.x.show(rows, w_len);
                workspace.y.show(rows, 1);
                workspace.dims.x_rows = rows
                    .map_or_else(|| workspace.x.n_rows(w_len), <[usize]>::len);
            }
            fn inner_value_and_grad(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
                inner_bar: &mut [Self::Float],
            ) -> Self::Float {
                let Dims { w_len, x_rows } = workspace.dims;
                let w = inner;
                let log_rate = outer[0];
                let x = &workspace.x[..];
                let y = &workspace.y[..];
                let buffers = &mut workspace.inner_value_and_grad;
                /// `x.dot(w)`
                let product = rt::product(
                    buffers.product.fit(x_rows),
                    rt::matrix(x, [x_rows, w_len]),
                    rt::column(w),
                );
                /// a part of `mse(&x.dot(w), y)`
                let difference = rt::map(
                    buffers.difference.fit(x_rows),
                    [x_rows],
                    (product, y),
                    |(product, y)| product - y,
                );
                /// a part of `mse(&x.dot(w), y)`
                let total = rt::reduce_all(
                    rt::Sum,
                    [x_rows],
                    difference,
                    |difference| difference * difference,
                );
                /// a part of `mse(&x.dot(w), y)`
                let reciprocal = 1.0 / (x_rows as f64);
                /// `0.01 * log_rate`
                let scaled = 0.01 * log_rate;
                /// `w.sum()`
                let total_2 = rt::reduce_all(rt::Sum, [w_len], w, |w| w);
                /// `mse(&x.dot(w), y) + 0.01 * log_rate * w.sum()`
                let sum = total * reciprocal + scaled * total_2;
                /// adjoint of part of the derivative of `mse(&x.dot(w), y)`
                let scaled_part_bar = 2.0 * reciprocal;
                /// adjoint of `x.dot(w)`
                let product_bar = rt::map(
                    buffers.product_bar.fit(x_rows),
                    [x_rows],
                    difference,
                    |difference| difference * scaled_part_bar,
                );
                /// adjoint of `w`
                let w_bar_2 = rt::product(
                    buffers.w_bar_2.fit(w_len),
                    rt::matrix(x, [x_rows, w_len]).t(),
                    rt::column(product_bar),
                );
                /// adjoint of `w`
                let w_bar = rt::map(
                    inner_bar,
                    [w_len],
                    w_bar_2,
                    |w_bar_2| scaled + w_bar_2,
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
                let Dims { w_len, x_rows } = workspace.dims;
                let w = inner;
                let log_rate = outer[0];
                let x = &workspace.x[..];
                let y = &workspace.y[..];
                let buffers = &mut workspace.inner_value_and_outer_grad;
                /// `x.dot(w)`
                let product = rt::product(
                    buffers.product.fit(x_rows),
                    rt::matrix(x, [x_rows, w_len]),
                    rt::column(w),
                );
                /// a part of `mse(&x.dot(w), y)`
                let total = rt::reduce_all(
                    rt::Sum,
                    [x_rows],
                    (product, y),
                    |(product, y)| {
                        let difference = product - y;
                        difference * difference
                    },
                );
                /// `w.sum()`
                let total_2 = rt::reduce_all(rt::Sum, [w_len], w, |w| w);
                /// `mse(&x.dot(w), y) + 0.01 * log_rate * w.sum()`
                let sum = total * (1.0 / (x_rows as f64)) + 0.01 * log_rate * total_2;
                /// adjoint of `log_rate`
                let log_rate_bar = 0.01 * total_2;
                outer_bar[0] = log_rate_bar;
                sum
            }
            fn inner_curvature(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
            ) {
                let Dims { x_rows, .. } = workspace.dims;
                let buffers = &mut workspace.inner_curvature;
                /// adjoint of part of the derivative of `mse(&x.dot(w), y)`
                let scaled_part_bar = 2.0 * (1.0 / (x_rows as f64));
                buffers.scaled_part_bar = scaled_part_bar;
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
                        let Dims { w_len, x_rows } = workspace.dims;
                        let residuals = &workspace.inner_curvature;
                        let x = &workspace.x[..];
                        let scaled_part_bar = residuals.scaled_part_bar;
                        let w_dot = direction;
                        let buffers = &mut workspace.hessian_product;
                        /// tangent of `x.dot(w)`
                        let product_dot = rt::product(
                            buffers.product_dot.fit(x_rows),
                            rt::matrix(x, [x_rows, w_len]),
                            rt::column(w_dot),
                        );
                        /// tangent of adjoint of `x.dot(w)`
                        let scaled_bar_dot = rt::map(
                            buffers.scaled_bar_dot.fit(x_rows),
                            [x_rows],
                            product_dot,
                            |product_dot| scaled_part_bar * product_dot,
                        );
                        /// tangent of adjoint of `w`
                        let w_bar_dot = rt::product(
                            hessian_product,
                            rt::matrix(x, [x_rows, w_len]).t(),
                            rt::column(scaled_bar_dot),
                        );
                    }
                    ::core::option::Option::Some(mixed) => {
                        let Dims { w_len, x_rows } = workspace.dims;
                        let residuals = &workspace.inner_curvature;
                        let x = &workspace.x[..];
                        let scaled_part_bar = residuals.scaled_part_bar;
                        let w_dot = direction;
                        let buffers = &mut workspace.both_products;
                        /// tangent of `x.dot(w)`
                        let product_dot = rt::product(
                            buffers.product_dot.fit(x_rows),
                            rt::matrix(x, [x_rows, w_len]),
                            rt::column(w_dot),
                        );
                        /// tangent of `w.sum()`
                        let total_dot = rt::reduce_all(
                            rt::Sum,
                            [w_len],
                            w_dot,
                            |w_dot| w_dot,
                        );
                        /// tangent of adjoint of `log_rate`
                        let log_rate_bar_dot = 0.01 * total_dot;
                        /// tangent of adjoint of `x.dot(w)`
                        let scaled_bar_dot = rt::map(
                            buffers.scaled_bar_dot.fit(x_rows),
                            [x_rows],
                            product_dot,
                            |product_dot| scaled_part_bar * product_dot,
                        );
                        /// tangent of adjoint of `w`
                        let w_bar_dot = rt::product(
                            hessian_product,
                            rt::matrix(x, [x_rows, w_len]).t(),
                            rt::column(scaled_bar_dot),
                        );
                        mixed[0] = log_rate_bar_dot;
                    }
                }
            }
            fn inner_gradient_linearize(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
            ) {
                let Dims { x_rows, .. } = workspace.dims;
                let buffers = &mut workspace.inner_gradient_linearize;
                /// adjoint of part of the derivative of `mse(&x.dot(w), y)`
                let scaled_part_bar = 2.0 * (1.0 / (x_rows as f64));
                buffers.scaled_part_bar = scaled_part_bar;
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
                let Dims { w_len, x_rows } = workspace.dims;
                let residuals = &workspace.inner_gradient_linearize;
                let x = &workspace.x[..];
                let scaled_part_bar = residuals.scaled_part_bar;
                let w_dot = inner_dot;
                let log_rate_dot = outer_dot[0];
                let buffers = &mut workspace.inner_gradient_jvp;
                /// tangent of `x.dot(w)`
                let product_dot = rt::product(
                    buffers.product_dot.fit(x_rows),
                    rt::matrix(x, [x_rows, w_len]),
                    rt::column(w_dot),
                );
                /// tangent of `0.01 * log_rate`
                let scaled_dot = 0.01 * log_rate_dot;
                /// tangent of adjoint of `x.dot(w)`
                let scaled_bar_dot = rt::map(
                    buffers.scaled_bar_dot.fit(x_rows),
                    [x_rows],
                    product_dot,
                    |product_dot| scaled_part_bar * product_dot,
                );
                /// tangent of adjoint of `w`
                let w_bar_dot_2 = rt::product(
                    buffers.w_bar_dot_2.fit(w_len),
                    rt::matrix(x, [x_rows, w_len]).t(),
                    rt::column(scaled_bar_dot),
                );
                /// tangent of adjoint of `w`
                let w_bar_dot = rt::map(
                    gradient_dot,
                    [w_len],
                    w_bar_dot_2,
                    |w_bar_dot_2| scaled_dot + w_bar_dot_2,
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
                let Dims { w_len, x_rows } = workspace.dims;
                let x = &workspace.x[..];
                let w_bar_bar = cotangent;
                let buffers = &mut workspace.inner_gradient_vjp;
                /// adjoint of part of the derivative of `mse(&x.dot(w), y)`
                let scaled_part_bar = 2.0 * (1.0 / (x_rows as f64));
                /// adjoint of adjoint of `x.dot(w)`
                let product_bar_bar = rt::product(
                    buffers.product_bar_bar.fit(x_rows),
                    rt::matrix(x, [x_rows, w_len]),
                    rt::column(w_bar_bar),
                );
                /// adjoint of `x.dot(w)`
                let scaled_bar = rt::map(
                    buffers.scaled_bar.fit(x_rows),
                    [x_rows],
                    product_bar_bar,
                    |product_bar_bar| scaled_part_bar * product_bar_bar,
                );
                /// adjoint of `0.01 * log_rate`
                let total_bar = rt::reduce_all(
                    rt::Sum,
                    [w_len],
                    w_bar_bar,
                    |w_bar_bar| w_bar_bar,
                );
                /// adjoint of `log_rate`
                let log_rate_bar = 0.01 * total_bar;
                /// adjoint of `w`
                let w_bar = rt::product(
                    inner_bar,
                    rt::matrix(x, [x_rows, w_len]).t(),
                    rt::column(scaled_bar),
                );
                outer_bar[0] = log_rate_bar;
            }
            fn outer_value_and_grad(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
                inner_bar: &mut [Self::Float],
                outer_bar: &mut [Self::Float],
            ) -> Self::Float {
                let Dims { w_len, .. } = workspace.dims;
                let w = inner;
                outer_bar.fill(0.0);
                /// `w.dot(w)`
                let product = rt::reduce_all(rt::Sum, [w_len], w, |w| w * w);
                /// adjoint of `w`
                let w_bar = rt::map(inner_bar, [w_len], w, |w| 2.0 * w);
                product
            }
            fn buffer_bytes(workspace: &Self::Workspace) -> usize {
                0 + workspace.inner_value_and_grad.product.n_bytes()
                    + workspace.inner_value_and_grad.difference.n_bytes()
                    + workspace.inner_value_and_grad.product_bar.n_bytes()
                    + workspace.inner_value_and_grad.w_bar_2.n_bytes()
                    + workspace.inner_value_and_outer_grad.product.n_bytes()
                    + workspace.hessian_product.product_dot.n_bytes()
                    + workspace.hessian_product.scaled_bar_dot.n_bytes()
                    + workspace.both_products.product_dot.n_bytes()
                    + workspace.both_products.scaled_bar_dot.n_bytes()
                    + workspace.inner_gradient_jvp.product_dot.n_bytes()
                    + workspace.inner_gradient_jvp.scaled_bar_dot.n_bytes()
                    + workspace.inner_gradient_jvp.w_bar_dot_2.n_bytes()
                    + workspace.inner_gradient_vjp.product_bar_bar.n_bytes()
                    + workspace.inner_gradient_vjp.scaled_bar.n_bytes()
            }
        }
        impl rt::LossesReadOuter for Problem<'_> {}
    };
    #[allow(unused, unreachable_pub, clippy::all, clippy::pedantic)]
    const _: () = {
        use ::bilevel::rt;
        impl Problem<'_> {
            /// The solver of the attribute: `problem.solver(Unrolled::mixed().steps(10).batches(Batches::of(2).seed(7))).inner(Momentum::new(Hyper::outer("log_rate").exp(), 0.9))`.
            pub fn configured(
                &self,
            ) -> rt::Solver<'_, Self, rt::Unrolled, rt::Momentum> {
                rt::ProblemExt::solver(
                        self,
                        rt::Unrolled::mixed()
                            .steps(10)
                            .batches(rt::Batches::of(2).seed(7)),
                    )
                    .inner(rt::Momentum::new(rt::Hyper::outer("log_rate").exp(), 0.9))
            }
            /// [`configured`](Self::configured)`().hypergradient(outer, inner)`
            ///
            /// # Errors
            /// Whatever makes the hypergradient unreliable.
            pub fn hypergradient(
                &self,
                outer: &<Self as rt::BilevelProblem>::Outer,
                inner: &<Self as rt::BilevelProblem>::Inner,
            ) -> ::core::result::Result<rt::HypergradientOf<Self>, rt::Error> {
                self.configured().hypergradient(outer, inner)
            }
            /// [`configured`](Self::configured)`().minimize(outer, inner, optimizer, n_steps)`
            ///
            /// # Errors
            /// Whatever makes a hypergradient unreliable.
            pub fn minimize(
                &self,
                outer: &<Self as rt::BilevelProblem>::Outer,
                inner: &<Self as rt::BilevelProblem>::Inner,
                optimizer: impl rt::OuterOptimizer<<Self as rt::BilevelProblem>::Float>,
                n_steps: usize,
            ) -> ::core::result::Result<rt::TunedOf<Self>, rt::Error> {
                self.configured().minimize(outer, inner, optimizer, n_steps)
            }
            /// [`configured`](Self::configured)`().check(outer, inner)`
            ///
            /// # Errors
            /// Whatever makes the hypergradient unreliable.
            pub fn check(
                &self,
                outer: &<Self as rt::BilevelProblem>::Outer,
                inner: &<Self as rt::BilevelProblem>::Inner,
            ) -> ::core::result::Result<rt::Check, rt::Error> {
                self.configured().check(outer, inner)
            }
            /// [`configured`](Self::configured)`().solve_inner(outer, inner)`
            ///
            /// # Errors
            /// An inner loss that is not finite or unbounded below.
            pub fn solve_inner(
                &self,
                outer: &<Self as rt::BilevelProblem>::Outer,
                inner: &<Self as rt::BilevelProblem>::Inner,
            ) -> ::core::result::Result<
                rt::Solved<<Self as rt::BilevelProblem>::Inner>,
                rt::Error,
            > {
                self.configured().solve_inner(outer, inner)
            }
        }
    };
}
