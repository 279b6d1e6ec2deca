mod configured {
    fn train(w: &f64, log_rate: &f64) -> f64 {
        w * w + log_rate * w
    }
    fn validate(w: &f64) -> f64 {
        (w - 1.0).powi(2)
    }
    #[doc(hidden)]
    #[allow(unused, clippy::all, clippy::pedantic)]
    const _: () = {
        const _: () = {
            fn check(value: &f64) {
                let _: &::core::primitive::f64 = &value;
            }
        };
        const _: () = {
            fn check(value: &f64) {
                let _: &::core::primitive::f64 = &value;
            }
        };
        const _: () = {
            fn check(value: f64) {
                let _: &::core::primitive::f64 = &value;
            }
        };
        let _ = train;
    };
    #[doc(hidden)]
    #[allow(unused, clippy::all, clippy::pedantic)]
    const _: () = {
        const _: () = {
            fn check(value: &f64) {
                let _: &::core::primitive::f64 = &value;
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
    pub struct Problem {}
    #[allow(unused, unused_doc_comments, clippy::all, clippy::pedantic)]
    const _: () = {
        use ::bilevel::rt;
        /// The lengths of all axes.
        #[derive(::core::clone::Clone, ::core::marker::Copy)]
        struct Dims {}
        /// Lengths, contiguous data and the buffers of the kernels.
        pub struct Workspace {
            dims: Dims,
        }
        impl rt::BilevelProblem for Problem {
            type Float = f64;
            type Inner = f64;
            type Outer = f64;
            type Workspace = Workspace;
            const INNER_NAMES: &'static [&'static str] = &["w"];
            const OUTER_NAMES: &'static [&'static str] = &["log_rate"];
            const SYMMETRIC_HESSIAN: bool = true;
            fn workspace(
                &self,
                _: &Self::Inner,
                _: &Self::Outer,
            ) -> ::core::result::Result<Self::Workspace, rt::Error> {
                ::core::result::Result::Ok(Workspace { dims: Dims {} })
            }
            fn fingerprint(
                &self,
                workspace: &Self::Workspace,
                fingerprint: &mut rt::Fingerprint,
            ) {
                fingerprint.numbers::<usize>("", &[]);
            }
            fn inner_value_and_grad(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
                inner_bar: &mut [Self::Float],
            ) -> Self::Float {
                let w = inner[0];
                let log_rate = outer[0];
                /// `w * w + log_rate * w`
                let sum = w * w + log_rate * w;
                /// adjoint of `w`
                let w_bar_2 = w * 2.0;
                /// adjoint of `w`
                let w_bar = log_rate + w_bar_2;
                inner_bar[0] = w_bar;
                sum
            }
            fn inner_value_and_outer_grad(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
                outer_bar: &mut [Self::Float],
            ) -> Self::Float {
                let w = inner[0];
                let log_rate = outer[0];
                /// `w * w + log_rate * w`
                let sum = w * w + log_rate * w;
                outer_bar[0] = w;
                sum
            }
            fn inner_curvature(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
            ) {}
            fn curvature_apply(
                &self,
                workspace: &mut Self::Workspace,
                direction: &[Self::Float],
                hessian_product: &mut [Self::Float],
                mixed: ::core::option::Option<&mut [Self::Float]>,
            ) {
                match mixed {
                    ::core::option::Option::None => {
                        let w_dot = direction[0];
                        /// tangent of adjoint of `w`
                        let w_bar_dot = 2.0 * w_dot;
                        hessian_product[0] = w_bar_dot;
                    }
                    ::core::option::Option::Some(mixed) => {
                        let w_dot = direction[0];
                        /// tangent of adjoint of `w`
                        let w_bar_dot = 2.0 * w_dot;
                        hessian_product[0] = w_bar_dot;
                        mixed[0] = w_dot;
                    }
                }
            }
            fn inner_gradient_linearize(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
            ) {}
            const GRADIENT_READS: &'static [bool] = &[true];
            #[inline]
            fn inner_gradient_jvp(
                &self,
                workspace: &mut Self::Workspace,
                inner_dot: &[Self::Float],
                outer_dot: &[Self::Float],
                gradient_dot: &mut [Self::Float],
            ) {
                let w_dot = inner_dot[0];
                let log_rate_dot = outer_dot[0];
                /// tangent of adjoint of `w`
                let w_bar_dot_2 = 2.0 * w_dot;
                /// tangent of adjoint of `w`
                let w_bar_dot = log_rate_dot + w_bar_dot_2;
                gradient_dot[0] = w_bar_dot;
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
                let w_bar_bar = cotangent[0];
                /// adjoint of `w`
                let w_bar = 2.0 * w_bar_bar;
                inner_bar[0] = w_bar;
                outer_bar[0] = w_bar_bar;
            }
            fn outer_value_and_grad(
                &self,
                workspace: &mut Self::Workspace,
                inner: &[Self::Float],
                outer: &[Self::Float],
                inner_bar: &mut [Self::Float],
                outer_bar: &mut [Self::Float],
            ) -> Self::Float {
                let w = inner[0];
                outer_bar.fill(0.0);
                /// `w - 1.0`
                let difference = w - 1.0;
                /// `(w - 1.0).powi(2)`
                let scaled = difference * difference;
                /// adjoint of `w`
                let w_bar = difference * 2.0;
                inner_bar[0] = w_bar;
                scaled
            }
        }
    };
    #[allow(unused, unreachable_pub, clippy::all, clippy::pedantic)]
    const _: () = {
        use ::bilevel::rt;
        impl Problem {
            /// The solver of the attribute: `problem.solver(Unrolled::mixed().steps(100).memory(65536)).inner(Momentum::new(Hyper::outer("log_rate").exp(), 0.9))`.
            pub fn configured(
                &self,
            ) -> rt::Solver<'_, Self, rt::Unrolled, rt::Momentum> {
                rt::ProblemExt::solver(
                        self,
                        rt::Unrolled::mixed().steps(100).memory(65536),
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
