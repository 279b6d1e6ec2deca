/// A recurrent cell, run a number of times.
pub fn recurrent(w: &Array2<f32>, start: &Array1<f32>, n: usize) -> f32 {
    let mut h = start.clone();
    let mut total = 0.0;
    for t in 0..n {
        h = w.dot(&h).mapv(f32::tanh);
        total += h.sum() / (1 + t) as f32;
    }
    total
}
#[doc(hidden)]
#[allow(unused, clippy::all, clippy::pedantic)]
const _: () = {
    const _: () = {
        fn check(value: &Array2<f32>) {
            let _: &::bilevel::ndarray::ArrayRef<
                ::core::primitive::f32,
                ::bilevel::ndarray::Ix2,
            > = &value;
        }
    };
    const _: () = {
        fn check(value: &Array1<f32>) {
            let _: &::bilevel::ndarray::ArrayRef<
                ::core::primitive::f32,
                ::bilevel::ndarray::Ix1,
            > = &value;
        }
    };
    const _: () = {
        fn check(value: usize) {
            let _: &::core::primitive::usize = &value;
        }
    };
    const _: () = {
        fn check(value: f32) {
            let _: &::core::primitive::f32 = &value;
        }
    };
    let _ = recurrent;
};
/// Derivatives of `recurrent`.
#[allow(unused, unused_doc_comments, clippy::all, clippy::pedantic)]
pub mod recurrent {
    use ::bilevel::rt;
    /// Forward mode: the value, and its tangent for the given tangents of the arguments.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn jvp(
        w: &rt::Array2<f32>,
        start: &rt::Array1<f32>,
        n: usize,
        w_dot: &rt::Array2<f32>,
        start_dot: &rt::Array1<f32>,
    ) -> (f32, f32) {
        let [w_rows] = rt::dims_or_panic(
            "recurrent",
            [rt::ANY; 1],
            &[
                ("w", w.shape(), &[0, 0]),
                ("start", start.shape(), &[0]),
                ("w_dot", w_dot.shape(), &[0, 0]),
                ("start_dot", start_dot.shape(), &[0]),
            ],
        );
        let w = &rt::elements(w)[..];
        let start = &rt::elements(start)[..];
        let w_dot = &rt::elements(w_dot)[..];
        let start_dot = &rt::elements(start_dot)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            h: rt::Buffer<f32>,
            h_next: rt::Buffer<f32>,
            h_dot: rt::Buffer<f32>,
            h_dot_next: rt::Buffer<f32>,
            product: rt::Buffer<f32>,
            product_part: rt::Buffer<f32>,
            product_part_2: rt::Buffer<f32>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        let turns = n;
        rt::copy(buffers.h.fit(w_rows), start);
        /// `for t in 0..n`
        let mut total_2: f32 = 0f32;
        rt::copy(buffers.h_dot.fit(w_rows), start_dot);
        /// tangent of `for t in 0..n`
        let mut total_dot_2: f32 = 0f32;
        for t in 0..turns {
            let h = &buffers.h[..];
            let h_dot = &buffers.h_dot[..];
            /// `w.dot(&h)`
            let product = rt::product(
                buffers.product.fit(w_rows),
                rt::matrix(w, [w_rows, w_rows]),
                rt::column(h),
            );
            /// part of the derivative of `w.dot(&h)`
            let product_part = rt::product(
                buffers.product_part.fit(w_rows),
                rt::matrix(w_dot, [w_rows, w_rows]),
                rt::column(h),
            );
            /// part of the derivative of `w.dot(&h)`
            let product_part_2 = rt::product(
                buffers.product_part_2.fit(w_rows),
                rt::matrix(w, [w_rows, w_rows]),
                rt::column(h_dot),
            );
            /// `f32::tanh`
            let h_2 = rt::map(
                buffers.h_next.fit(w_rows),
                [w_rows],
                product,
                #[inline(always)]
                |product| rt::tanh(product),
            );
            /// tangent of `f32::tanh`
            let h_dot_2 = rt::map(
                buffers.h_dot_next.fit(w_rows),
                [w_rows],
                (h_2, product_part, product_part_2),
                |(h_2, product_part, product_part_2)| {
                    (1f32 - h_2 * h_2) * (product_part + product_part_2)
                },
            );
            /// `h.sum()`
            let total_3 = rt::reduce_all(rt::Sum, [w_rows], h_2, |h_2| h_2);
            /// tangent of `h.sum()`
            let total_3_dot = rt::reduce_all(
                rt::Sum,
                [w_rows],
                h_dot_2,
                |h_dot_2| h_dot_2,
            );
            /// `(1 + t) as f32`
            let converted = (1usize + t) as f32;
            /// `total += h.sum() / (1 + t) as f32`
            let total_4 = total_2 + total_3 / converted;
            /// tangent of `total += h.sum() / (1 + t) as f32`
            let total_dot_3 = total_dot_2
                + (if converted == 0f32 { 0f32 } else { 1f32 / converted })
                    * total_3_dot;
            (total_2, total_dot_2) = (total_4, total_dot_3);
            rt::swap(&mut buffers.h, &mut buffers.h_next);
            rt::swap(&mut buffers.h_dot, &mut buffers.h_dot_next);
        }
        let h_3 = &buffers.h[..];
        let h_dot_3 = &buffers.h_dot[..];
        (total_2, total_dot_2)
    }
    /// Reverse mode: the value, and the cotangents of the arguments for the given cotangent of the value.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn vjp(
        w: &rt::Array2<f32>,
        start: &rt::Array1<f32>,
        n: usize,
        y_bar: f32,
    ) -> (f32, (rt::Array2<f32>, rt::Array1<f32>)) {
        let [w_rows] = rt::dims_or_panic(
            "recurrent",
            [rt::ANY; 1],
            &[("w", w.shape(), &[0, 0]), ("start", start.shape(), &[0])],
        );
        let w = &rt::elements(w)[..];
        let start = &rt::elements(start)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            h_bar: rt::Buffer<f32>,
            w_bar_2: rt::Buffer<f32>,
            h: rt::Buffer<f32>,
            h_next: rt::Buffer<f32>,
            h_2: rt::Buffer<f32>,
            difference_part_rows: rt::Buffer<f32>,
            chosen_part_rows: rt::Buffer<f32>,
            product: rt::Buffer<f32>,
            h_bar_next: rt::Buffer<f32>,
            w_bar_2_next: rt::Buffer<f32>,
            product_bar: rt::Buffer<f32>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        let turns = n;
        rt::copy(buffers.h.fit(w_rows), start);
        /// `for t in 0..n`
        let mut total_2: f32 = 0f32;
        buffers.h_2.fit(turns * w_rows);
        buffers.difference_part_rows.fit(turns * w_rows);
        buffers.chosen_part_rows.fit(turns);
        for t in 0..turns {
            let h = &buffers.h[..];
            /// `w.dot(&h)`
            let product = rt::product(
                buffers.product.fit(w_rows),
                rt::matrix(w, [w_rows, w_rows]),
                rt::column(h),
            );
            /// `f32::tanh`
            let h_3 = rt::map(
                buffers.h_next.fit(w_rows),
                [w_rows],
                product,
                #[inline(always)]
                |product| rt::tanh(product),
            );
            /// part of the derivative of `f32::tanh`
            let h_3_part = rt::map(
                rt::row_mut(&mut buffers.difference_part_rows, t, w_rows),
                [w_rows],
                h_3,
                |h_3| 1f32 - h_3 * h_3,
            );
            /// `h.sum()`
            let total_3 = rt::reduce_all(rt::Sum, [w_rows], h_3, |h_3| h_3);
            /// `(1 + t) as f32`
            let converted = (1usize + t) as f32;
            /// part of the derivative of `h.sum() / (1 + t) as f32`
            let chosen_part = if converted == 0f32 { 0f32 } else { 1f32 / converted };
            /// `total += h.sum() / (1 + t) as f32`
            let total_4 = total_2 + total_3 / converted;
            rt::copy(rt::row_mut(&mut buffers.h_2, t, w_rows), h);
            buffers.chosen_part_rows[t] = chosen_part;
            total_2 = total_4;
            rt::swap(&mut buffers.h, &mut buffers.h_next);
        }
        let h_4 = &buffers.h[..];
        let h_2 = &buffers.h_2[..];
        /// part of the derivative of `f32::tanh`
        let difference_part_rows = &buffers.difference_part_rows[..];
        /// part of the derivative of `h.sum() / (1 + t) as f32`
        let chosen_part_rows = &buffers.chosen_part_rows[..];
        rt::fill(buffers.h_bar.fit(w_rows), 0f32);
        rt::fill(buffers.w_bar_2.fit(w_rows * w_rows), 0f32);
        for t_2 in ::core::iter::Iterator::rev(0..turns) {
            let h_bar = &buffers.h_bar[..];
            let w_bar_2 = &buffers.w_bar_2[..];
            let h_5 = rt::row(h_2, t_2, w_rows);
            /// part of the derivative of `f32::tanh`
            let h_3_part_2 = rt::row(difference_part_rows, t_2, w_rows);
            /// part of the derivative of `h.sum() / (1 + t) as f32`
            let element_part = chosen_part_rows[t_2];
            /// adjoint of `h.sum()`
            let total_3_bar = element_part * y_bar;
            /// adjoint of `w.dot(&h)`
            let product_bar = rt::map(
                buffers.product_bar.fit(w_rows),
                [w_rows],
                (h_3_part_2, h_bar),
                |(h_3_part_2, h_bar)| h_3_part_2 * (h_bar + total_3_bar),
            );
            rt::product(
                buffers.h_bar_next.fit(w_rows),
                rt::matrix(w, [w_rows, w_rows]).t(),
                rt::column(product_bar),
            );
            rt::map(
                buffers.w_bar_2_next.fit(w_rows * w_rows),
                [w_rows, w_rows],
                (
                    rt::lane(w_bar_2, [w_rows, 1]),
                    rt::splat(product_bar, [1, 0]),
                    rt::lane(h_5, [0, 1]),
                ),
                |(w_bar_2, product_bar, h_5)| w_bar_2 + product_bar * h_5,
            );
            rt::swap(&mut buffers.h_bar, &mut buffers.h_bar_next);
            rt::swap(&mut buffers.w_bar_2, &mut buffers.w_bar_2_next);
        }
        let start_bar = &buffers.h_bar[..];
        let w_bar = &buffers.w_bar_2[..];
        (
            total_2,
            (
                buffers.w_bar_2.into_array([w_rows, w_rows]),
                buffers.h_bar.into_array([w_rows]),
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
        w: &rt::Array2<f32>,
        start: &rt::Array1<f32>,
        n: usize,
    ) -> impl ::core::ops::Fn(&rt::Array2<f32>, &rt::Array1<f32>) -> f32 + use<> {
        let [w_rows] = rt::dims_or_panic(
            "recurrent",
            [rt::ANY; 1],
            &[("w", w.shape(), &[0, 0]), ("start", start.shape(), &[0])],
        );
        let w = &rt::elements(w)[..];
        let start = &rt::elements(start)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            h_2: rt::Buffer<f32>,
            h_2_next: rt::Buffer<f32>,
            h: rt::Buffer<f32>,
            difference_part_rows: rt::Buffer<f32>,
            chosen_part_rows: rt::Buffer<f32>,
            product: rt::Buffer<f32>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        let turns = n;
        rt::copy(buffers.h_2.fit(w_rows), start);
        buffers.h.fit(turns * w_rows);
        buffers.difference_part_rows.fit(turns * w_rows);
        buffers.chosen_part_rows.fit(turns);
        for t in 0..turns {
            let h_2 = &buffers.h_2[..];
            /// `w.dot(&h)`
            let product = rt::product(
                buffers.product.fit(w_rows),
                rt::matrix(w, [w_rows, w_rows]),
                rt::column(h_2),
            );
            /// `f32::tanh`
            let h_3 = rt::map(
                buffers.h_2_next.fit(w_rows),
                [w_rows],
                product,
                #[inline(always)]
                |product| rt::tanh(product),
            );
            /// part of the derivative of `f32::tanh`
            let h_3_part = rt::map(
                rt::row_mut(&mut buffers.difference_part_rows, t, w_rows),
                [w_rows],
                h_3,
                |h_3| 1f32 - h_3 * h_3,
            );
            /// `(1 + t) as f32`
            let converted = (1usize + t) as f32;
            /// part of the derivative of `h.sum() / (1 + t) as f32`
            let chosen_part = if converted == 0f32 { 0f32 } else { 1f32 / converted };
            rt::copy(rt::row_mut(&mut buffers.h, t, w_rows), h_2);
            buffers.chosen_part_rows[t] = chosen_part;
            rt::swap(&mut buffers.h_2, &mut buffers.h_2_next);
        }
        let h_4 = &buffers.h_2[..];
        let h = &buffers.h[..];
        /// part of the derivative of `f32::tanh`
        let difference_part_rows = &buffers.difference_part_rows[..];
        /// part of the derivative of `h.sum() / (1 + t) as f32`
        let chosen_part_rows = &buffers.chosen_part_rows[..];
        let w = w.to_vec();
        let h = buffers.h;
        let difference_part_rows = buffers.difference_part_rows;
        let chosen_part_rows = buffers.chosen_part_rows;
        move |w_dot: &rt::Array2<f32>, start_dot: &rt::Array1<f32>| {
            let w = &w[..];
            let h = &h[..];
            let difference_part_rows = &difference_part_rows[..];
            let chosen_part_rows = &chosen_part_rows[..];
            let [w_rows] = rt::dims_or_panic(
                "recurrent",
                [rt::fixed(w_rows)],
                &[
                    ("w_dot", w_dot.shape(), &[0, 0]),
                    ("start_dot", start_dot.shape(), &[0]),
                ],
            );
            let w_dot = &rt::elements(w_dot)[..];
            let start_dot = &rt::elements(start_dot)[..];
            #[derive(::core::default::Default)]
            struct LinearBuffers {
                h_dot: rt::Buffer<f32>,
                h_dot_next: rt::Buffer<f32>,
                product_part: rt::Buffer<f32>,
                product_part_2: rt::Buffer<f32>,
            }
            let mut buffers = <LinearBuffers as ::core::default::Default>::default();
            rt::copy(buffers.h_dot.fit(w_rows), start_dot);
            /// tangent of `for t in 0..n`
            let mut total_dot_2: f32 = 0f32;
            for t_2 in 0..turns {
                let h_dot = &buffers.h_dot[..];
                let h_5 = rt::row(h, t_2, w_rows);
                /// part of the derivative of `f32::tanh`
                let element_part = rt::row(difference_part_rows, t_2, w_rows);
                /// part of the derivative of `h.sum() / (1 + t) as f32`
                let element_part_2 = chosen_part_rows[t_2];
                /// part of the derivative of `w.dot(&h)`
                let product_part = rt::product(
                    buffers.product_part.fit(w_rows),
                    rt::matrix(w_dot, [w_rows, w_rows]),
                    rt::column(h_5),
                );
                /// part of the derivative of `w.dot(&h)`
                let product_part_2 = rt::product(
                    buffers.product_part_2.fit(w_rows),
                    rt::matrix(w, [w_rows, w_rows]),
                    rt::column(h_dot),
                );
                /// tangent of `f32::tanh`
                let h_dot_2 = rt::map(
                    buffers.h_dot_next.fit(w_rows),
                    [w_rows],
                    (element_part, product_part, product_part_2),
                    |(element_part, product_part, product_part_2)| {
                        element_part * (product_part + product_part_2)
                    },
                );
                /// tangent of `h.sum()`
                let total_dot_3 = rt::reduce_all(
                    rt::Sum,
                    [w_rows],
                    h_dot_2,
                    |h_dot_2| h_dot_2,
                );
                /// tangent of `total += h.sum() / (1 + t) as f32`
                let total_dot_4 = total_dot_2 + element_part_2 * total_dot_3;
                total_dot_2 = total_dot_4;
                rt::swap(&mut buffers.h_dot, &mut buffers.h_dot_next);
            }
            let h_dot_3 = &buffers.h_dot[..];
            total_dot_2
        }
    }
    /// The gradient.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn grad(
        w: &rt::Array2<f32>,
        start: &rt::Array1<f32>,
        n: usize,
    ) -> (rt::Array2<f32>, rt::Array1<f32>) {
        let [w_rows] = rt::dims_or_panic(
            "recurrent",
            [rt::ANY; 1],
            &[("w", w.shape(), &[0, 0]), ("start", start.shape(), &[0])],
        );
        let w = &rt::elements(w)[..];
        let start = &rt::elements(start)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            h_bar: rt::Buffer<f32>,
            w_bar_2: rt::Buffer<f32>,
            h: rt::Buffer<f32>,
            h_next: rt::Buffer<f32>,
            h_2: rt::Buffer<f32>,
            difference_part_rows: rt::Buffer<f32>,
            chosen_part_rows: rt::Buffer<f32>,
            product: rt::Buffer<f32>,
            h_bar_next: rt::Buffer<f32>,
            w_bar_2_next: rt::Buffer<f32>,
            product_bar: rt::Buffer<f32>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        let turns = n;
        rt::copy(buffers.h.fit(w_rows), start);
        buffers.h_2.fit(turns * w_rows);
        buffers.difference_part_rows.fit(turns * w_rows);
        buffers.chosen_part_rows.fit(turns);
        for t in 0..turns {
            let h = &buffers.h[..];
            /// `w.dot(&h)`
            let product = rt::product(
                buffers.product.fit(w_rows),
                rt::matrix(w, [w_rows, w_rows]),
                rt::column(h),
            );
            /// `f32::tanh`
            let h_3 = rt::map(
                buffers.h_next.fit(w_rows),
                [w_rows],
                product,
                #[inline(always)]
                |product| rt::tanh(product),
            );
            /// part of the derivative of `f32::tanh`
            let h_3_part = rt::map(
                rt::row_mut(&mut buffers.difference_part_rows, t, w_rows),
                [w_rows],
                h_3,
                |h_3| 1f32 - h_3 * h_3,
            );
            /// `(1 + t) as f32`
            let converted = (1usize + t) as f32;
            /// part of the derivative of `h.sum() / (1 + t) as f32`
            let chosen_part = if converted == 0f32 { 0f32 } else { 1f32 / converted };
            rt::copy(rt::row_mut(&mut buffers.h_2, t, w_rows), h);
            buffers.chosen_part_rows[t] = chosen_part;
            rt::swap(&mut buffers.h, &mut buffers.h_next);
        }
        let h_4 = &buffers.h[..];
        let h_2 = &buffers.h_2[..];
        /// part of the derivative of `f32::tanh`
        let difference_part_rows = &buffers.difference_part_rows[..];
        /// part of the derivative of `h.sum() / (1 + t) as f32`
        let chosen_part_rows = &buffers.chosen_part_rows[..];
        rt::fill(buffers.h_bar.fit(w_rows), 0f32);
        rt::fill(buffers.w_bar_2.fit(w_rows * w_rows), 0f32);
        for t_2 in ::core::iter::Iterator::rev(0..turns) {
            let h_bar = &buffers.h_bar[..];
            let w_bar_2 = &buffers.w_bar_2[..];
            let h_5 = rt::row(h_2, t_2, w_rows);
            /// part of the derivative of `f32::tanh`
            let h_3_part_2 = rt::row(difference_part_rows, t_2, w_rows);
            /// part of the derivative of `h.sum() / (1 + t) as f32`
            let element_part = chosen_part_rows[t_2];
            /// adjoint of `w.dot(&h)`
            let product_bar = rt::map(
                buffers.product_bar.fit(w_rows),
                [w_rows],
                (h_3_part_2, h_bar),
                |(h_3_part_2, h_bar)| h_3_part_2 * (h_bar + element_part),
            );
            rt::product(
                buffers.h_bar_next.fit(w_rows),
                rt::matrix(w, [w_rows, w_rows]).t(),
                rt::column(product_bar),
            );
            rt::map(
                buffers.w_bar_2_next.fit(w_rows * w_rows),
                [w_rows, w_rows],
                (
                    rt::lane(w_bar_2, [w_rows, 1]),
                    rt::splat(product_bar, [1, 0]),
                    rt::lane(h_5, [0, 1]),
                ),
                |(w_bar_2, product_bar, h_5)| w_bar_2 + product_bar * h_5,
            );
            rt::swap(&mut buffers.h_bar, &mut buffers.h_bar_next);
            rt::swap(&mut buffers.w_bar_2, &mut buffers.w_bar_2_next);
        }
        let start_bar = &buffers.h_bar[..];
        let w_bar = &buffers.w_bar_2[..];
        (
            buffers.w_bar_2.into_array([w_rows, w_rows]),
            buffers.h_bar.into_array([w_rows]),
        )
    }
    /// The value and the gradient.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn value_and_grad(
        w: &rt::Array2<f32>,
        start: &rt::Array1<f32>,
        n: usize,
    ) -> (f32, (rt::Array2<f32>, rt::Array1<f32>)) {
        let [w_rows] = rt::dims_or_panic(
            "recurrent",
            [rt::ANY; 1],
            &[("w", w.shape(), &[0, 0]), ("start", start.shape(), &[0])],
        );
        let w = &rt::elements(w)[..];
        let start = &rt::elements(start)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            h_bar: rt::Buffer<f32>,
            w_bar_2: rt::Buffer<f32>,
            h: rt::Buffer<f32>,
            h_next: rt::Buffer<f32>,
            h_2: rt::Buffer<f32>,
            difference_part_rows: rt::Buffer<f32>,
            chosen_part_rows: rt::Buffer<f32>,
            product: rt::Buffer<f32>,
            h_bar_next: rt::Buffer<f32>,
            w_bar_2_next: rt::Buffer<f32>,
            product_bar: rt::Buffer<f32>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        let turns = n;
        rt::copy(buffers.h.fit(w_rows), start);
        /// `for t in 0..n`
        let mut total_2: f32 = 0f32;
        buffers.h_2.fit(turns * w_rows);
        buffers.difference_part_rows.fit(turns * w_rows);
        buffers.chosen_part_rows.fit(turns);
        for t in 0..turns {
            let h = &buffers.h[..];
            /// `w.dot(&h)`
            let product = rt::product(
                buffers.product.fit(w_rows),
                rt::matrix(w, [w_rows, w_rows]),
                rt::column(h),
            );
            /// `f32::tanh`
            let h_3 = rt::map(
                buffers.h_next.fit(w_rows),
                [w_rows],
                product,
                #[inline(always)]
                |product| rt::tanh(product),
            );
            /// part of the derivative of `f32::tanh`
            let h_3_part = rt::map(
                rt::row_mut(&mut buffers.difference_part_rows, t, w_rows),
                [w_rows],
                h_3,
                |h_3| 1f32 - h_3 * h_3,
            );
            /// `h.sum()`
            let total_3 = rt::reduce_all(rt::Sum, [w_rows], h_3, |h_3| h_3);
            /// `(1 + t) as f32`
            let converted = (1usize + t) as f32;
            /// part of the derivative of `h.sum() / (1 + t) as f32`
            let chosen_part = if converted == 0f32 { 0f32 } else { 1f32 / converted };
            /// `total += h.sum() / (1 + t) as f32`
            let total_4 = total_2 + total_3 / converted;
            rt::copy(rt::row_mut(&mut buffers.h_2, t, w_rows), h);
            buffers.chosen_part_rows[t] = chosen_part;
            total_2 = total_4;
            rt::swap(&mut buffers.h, &mut buffers.h_next);
        }
        let h_4 = &buffers.h[..];
        let h_2 = &buffers.h_2[..];
        /// part of the derivative of `f32::tanh`
        let difference_part_rows = &buffers.difference_part_rows[..];
        /// part of the derivative of `h.sum() / (1 + t) as f32`
        let chosen_part_rows = &buffers.chosen_part_rows[..];
        rt::fill(buffers.h_bar.fit(w_rows), 0f32);
        rt::fill(buffers.w_bar_2.fit(w_rows * w_rows), 0f32);
        for t_2 in ::core::iter::Iterator::rev(0..turns) {
            let h_bar = &buffers.h_bar[..];
            let w_bar_2 = &buffers.w_bar_2[..];
            let h_5 = rt::row(h_2, t_2, w_rows);
            /// part of the derivative of `f32::tanh`
            let h_3_part_2 = rt::row(difference_part_rows, t_2, w_rows);
            /// part of the derivative of `h.sum() / (1 + t) as f32`
            let element_part = chosen_part_rows[t_2];
            /// adjoint of `w.dot(&h)`
            let product_bar = rt::map(
                buffers.product_bar.fit(w_rows),
                [w_rows],
                (h_3_part_2, h_bar),
                |(h_3_part_2, h_bar)| h_3_part_2 * (h_bar + element_part),
            );
            rt::product(
                buffers.h_bar_next.fit(w_rows),
                rt::matrix(w, [w_rows, w_rows]).t(),
                rt::column(product_bar),
            );
            rt::map(
                buffers.w_bar_2_next.fit(w_rows * w_rows),
                [w_rows, w_rows],
                (
                    rt::lane(w_bar_2, [w_rows, 1]),
                    rt::splat(product_bar, [1, 0]),
                    rt::lane(h_5, [0, 1]),
                ),
                |(w_bar_2, product_bar, h_5)| w_bar_2 + product_bar * h_5,
            );
            rt::swap(&mut buffers.h_bar, &mut buffers.h_bar_next);
            rt::swap(&mut buffers.w_bar_2, &mut buffers.w_bar_2_next);
        }
        let start_bar = &buffers.h_bar[..];
        let w_bar = &buffers.w_bar_2[..];
        (
            total_2,
            (
                buffers.w_bar_2.into_array([w_rows, w_rows]),
                buffers.h_bar.into_array([w_rows]),
            ),
        )
    }
    /// The Hessian, applied to the given tangents of the arguments.
    ///
    /// # Panics
    /// If the shapes of the arguments do not fit.
    #[must_use]
    pub fn hvp(
        w: &rt::Array2<f32>,
        start: &rt::Array1<f32>,
        n: usize,
        w_dot: &rt::Array2<f32>,
        start_dot: &rt::Array1<f32>,
    ) -> (rt::Array2<f32>, rt::Array1<f32>) {
        let [w_rows] = rt::dims_or_panic(
            "recurrent",
            [rt::ANY; 1],
            &[
                ("w", w.shape(), &[0, 0]),
                ("start", start.shape(), &[0]),
                ("w_dot", w_dot.shape(), &[0, 0]),
                ("start_dot", start_dot.shape(), &[0]),
            ],
        );
        let w = &rt::elements(w)[..];
        let start = &rt::elements(start)[..];
        let w_dot = &rt::elements(w_dot)[..];
        let start_dot = &rt::elements(start_dot)[..];
        #[derive(::core::default::Default)]
        struct Buffers {
            w_bar_dot_2: rt::Buffer<f32>,
            h: rt::Buffer<f32>,
            h_next: rt::Buffer<f32>,
            h_dot: rt::Buffer<f32>,
            h_dot_next: rt::Buffer<f32>,
            h_2: rt::Buffer<f32>,
            difference_part_rows: rt::Buffer<f32>,
            chosen_part_rows: rt::Buffer<f32>,
            h_dot_2: rt::Buffer<f32>,
            scaled_part_dot_rows: rt::Buffer<f32>,
            product: rt::Buffer<f32>,
            product_part: rt::Buffer<f32>,
            product_part_2: rt::Buffer<f32>,
            repeated: rt::Buffer<f32>,
            h_bar: rt::Buffer<f32>,
            h_bar_next: rt::Buffer<f32>,
            h_bar_dot: rt::Buffer<f32>,
            h_bar_dot_next: rt::Buffer<f32>,
            w_bar_dot_2_next: rt::Buffer<f32>,
            product_bar: rt::Buffer<f32>,
            product_bar_dot: rt::Buffer<f32>,
            product_bar_part: rt::Buffer<f32>,
            product_bar_part_2: rt::Buffer<f32>,
        }
        let mut buffers = <Buffers as ::core::default::Default>::default();
        let turns = n;
        rt::copy(buffers.h.fit(w_rows), start);
        rt::copy(buffers.h_dot.fit(w_rows), start_dot);
        buffers.h_2.fit(turns * w_rows);
        buffers.difference_part_rows.fit(turns * w_rows);
        buffers.chosen_part_rows.fit(turns);
        buffers.h_dot_2.fit(turns * w_rows);
        buffers.scaled_part_dot_rows.fit(turns * w_rows);
        for t in 0..turns {
            let h = &buffers.h[..];
            let h_dot = &buffers.h_dot[..];
            /// `w.dot(&h)`
            let product = rt::product(
                buffers.product.fit(w_rows),
                rt::matrix(w, [w_rows, w_rows]),
                rt::column(h),
            );
            /// part of the derivative of `w.dot(&h)`
            let product_part = rt::product(
                buffers.product_part.fit(w_rows),
                rt::matrix(w_dot, [w_rows, w_rows]),
                rt::column(h),
            );
            /// part of the derivative of `w.dot(&h)`
            let product_part_2 = rt::product(
                buffers.product_part_2.fit(w_rows),
                rt::matrix(w, [w_rows, w_rows]),
                rt::column(h_dot),
            );
            /// `f32::tanh`
            let h_3 = rt::map(
                buffers.h_next.fit(w_rows),
                [w_rows],
                product,
                #[inline(always)]
                |product| rt::tanh(product),
            );
            /// part of the derivative of `f32::tanh`
            let h_3_part = rt::map(
                rt::row_mut(&mut buffers.difference_part_rows, t, w_rows),
                [w_rows],
                h_3,
                |h_3| 1f32 - h_3 * h_3,
            );
            /// tangent of `f32::tanh`
            let h_dot_3 = rt::map(
                buffers.h_dot_next.fit(w_rows),
                [w_rows],
                (h_3_part, product_part, product_part_2),
                |(h_3_part, product_part, product_part_2)| {
                    h_3_part * (product_part + product_part_2)
                },
            );
            /// tangent of part of the derivative of `f32::tanh`
            let h_3_part_dot = rt::map(
                rt::row_mut(&mut buffers.scaled_part_dot_rows, t, w_rows),
                [w_rows],
                (h_3, h_dot_3),
                |(h_3, h_dot_3)| -2f32 * (h_3 * h_dot_3),
            );
            /// `(1 + t) as f32`
            let converted = (1usize + t) as f32;
            /// part of the derivative of `h.sum() / (1 + t) as f32`
            let chosen_part = if converted == 0f32 { 0f32 } else { 1f32 / converted };
            rt::copy(rt::row_mut(&mut buffers.h_2, t, w_rows), h);
            buffers.chosen_part_rows[t] = chosen_part;
            rt::copy(rt::row_mut(&mut buffers.h_dot_2, t, w_rows), h_dot);
            rt::swap(&mut buffers.h, &mut buffers.h_next);
            rt::swap(&mut buffers.h_dot, &mut buffers.h_dot_next);
        }
        let h_4 = &buffers.h[..];
        let h_dot_4 = &buffers.h_dot[..];
        let h_2 = &buffers.h_2[..];
        /// part of the derivative of `f32::tanh`
        let difference_part_rows = &buffers.difference_part_rows[..];
        /// part of the derivative of `h.sum() / (1 + t) as f32`
        let chosen_part_rows = &buffers.chosen_part_rows[..];
        /// tangent of `h`
        let h_dot_2 = &buffers.h_dot_2[..];
        /// tangent of part of the derivative of `f32::tanh`
        let scaled_part_dot_rows = &buffers.scaled_part_dot_rows[..];
        let repeated = rt::fill(buffers.repeated.fit(w_rows), 0f32);
        rt::fill(buffers.w_bar_dot_2.fit(w_rows * w_rows), 0f32);
        rt::copy(buffers.h_bar.fit(w_rows), repeated);
        rt::copy(buffers.h_bar_dot.fit(w_rows), repeated);
        for t_2 in ::core::iter::Iterator::rev(0..turns) {
            let h_bar = &buffers.h_bar[..];
            let h_bar_dot = &buffers.h_bar_dot[..];
            let w_bar_dot_2 = &buffers.w_bar_dot_2[..];
            let h_5 = rt::row(h_2, t_2, w_rows);
            /// tangent of `h`
            let h_dot_5 = rt::row(h_dot_2, t_2, w_rows);
            /// part of the derivative of `f32::tanh`
            let h_3_part_2 = rt::row(difference_part_rows, t_2, w_rows);
            /// tangent of part of the derivative of `f32::tanh`
            let h_3_part_dot_2 = rt::row(scaled_part_dot_rows, t_2, w_rows);
            /// part of the derivative of `h.sum() / (1 + t) as f32`
            let element_part = chosen_part_rows[t_2];
            /// adjoint of `w.dot(&h)`
            let product_bar = rt::map(
                buffers.product_bar.fit(w_rows),
                [w_rows],
                (h_3_part_2, h_bar),
                |(h_3_part_2, h_bar)| h_3_part_2 * (h_bar + element_part),
            );
            /// tangent of adjoint of `w.dot(&h)`
            let product_bar_dot = rt::map(
                buffers.product_bar_dot.fit(w_rows),
                [w_rows],
                (h_bar, h_3_part_dot_2, h_3_part_2, h_bar_dot),
                |(h_bar, h_3_part_dot_2, h_3_part_2, h_bar_dot)| {
                    (h_bar + element_part) * h_3_part_dot_2 + h_3_part_2 * h_bar_dot
                },
            );
            rt::product(
                buffers.h_bar_next.fit(w_rows),
                rt::matrix(w, [w_rows, w_rows]).t(),
                rt::column(product_bar),
            );
            /// part of the derivative of adjoint of `h`
            let product_bar_part = rt::product(
                buffers.product_bar_part.fit(w_rows),
                rt::matrix(w_dot, [w_rows, w_rows]).t(),
                rt::column(product_bar),
            );
            /// part of the derivative of adjoint of `h`
            let product_bar_part_2 = rt::product(
                buffers.product_bar_part_2.fit(w_rows),
                rt::matrix(w, [w_rows, w_rows]).t(),
                rt::column(product_bar_dot),
            );
            rt::map(
                buffers.h_bar_dot_next.fit(w_rows),
                [w_rows],
                (product_bar_part, product_bar_part_2),
                |(product_bar_part, product_bar_part_2)| {
                    product_bar_part + product_bar_part_2
                },
            );
            rt::map(
                buffers.w_bar_dot_2_next.fit(w_rows * w_rows),
                [w_rows, w_rows],
                (
                    rt::lane(w_bar_dot_2, [w_rows, 1]),
                    rt::lane(h_5, [0, 1]),
                    rt::splat(product_bar_dot, [1, 0]),
                    rt::splat(product_bar, [1, 0]),
                    rt::lane(h_dot_5, [0, 1]),
                ),
                |(w_bar_dot_2, h_5, product_bar_dot, product_bar, h_dot_5)| {
                    w_bar_dot_2 + (h_5 * product_bar_dot + product_bar * h_dot_5)
                },
            );
            rt::swap(&mut buffers.h_bar, &mut buffers.h_bar_next);
            rt::swap(&mut buffers.h_bar_dot, &mut buffers.h_bar_dot_next);
            rt::swap(&mut buffers.w_bar_dot_2, &mut buffers.w_bar_dot_2_next);
        }
        let start_bar = &buffers.h_bar[..];
        let start_bar_dot = &buffers.h_bar_dot[..];
        let w_bar_dot = &buffers.w_bar_dot_2[..];
        (
            buffers.w_bar_dot_2.into_array([w_rows, w_rows]),
            buffers.h_bar_dot.into_array([w_rows]),
        )
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
macro_rules! __bilevel_recurrent_f10e9c8b52eb23b0272112aae4431a2b {
    ([$($resume:tt)*] $($state:tt)*) => {
        $($resume)* ! { $($state)* { {
        "__bilevel_recurrent_f10e9c8b52eb23b0272112aae4431a2b" "bilevel-compiler 0.1.0 "
        {} { pub fn recurrent(w : & Array2 < f32 >, start : & Array1 < f32 >, n : usize)
        -> f32 { let mut h = start.clone(); let mut total = 0.0; for t in 0..n { h = w
        .dot(& h).mapv(f32::tanh); total += h.sum() / (1 + t) as f32; } total } } } } }
    };
}
#[doc(hidden)]
#[allow(unused_imports, unreachable_pub)]
pub use __bilevel_recurrent_f10e9c8b52eb23b0272112aae4431a2b as recurrent;
