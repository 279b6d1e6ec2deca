//! Problems written by hand, as the macro would write them but with dense matrices and closed forms.

use bilevel_runtime::{BilevelProblem, Error, Float, LossesReadOuter};
use ndarray::{Array1, Array2};

fn from<T: Float>(x: f64) -> T {
    T::from_f64(x)
}

fn times<T: Float>(a: &Array2<T>, x: &[T]) -> Array1<T> {
    a.dot(&ndarray::ArrayView1::from(x))
}

fn transposed_times<T: Float>(a: &Array2<T>, x: &[T]) -> Array1<T> {
    a.t().dot(&ndarray::ArrayView1::from(x))
}

/// Inner `½zᵀHz − zᵀ(Bx + c)`, outer `½‖z − t‖² + ½r‖x‖²`.
pub(crate) struct Quadratic<T> {
    pub(crate) h: Array2<T>,
    pub(crate) b: Array2<T>,
    pub(crate) c: Array1<T>,
    pub(crate) t: Array1<T>,
    pub(crate) r: T,
}

impl<T: Float> Quadratic<T> {
    /// The three-dimensional one with known hypergradient: (44/27, −7/3) at x = (1, −1).
    pub(crate) fn exact() -> Self {
        let matrix =
            |rows, columns, elements: &[f64]| Array2::from_shape_vec((rows, columns), elements.iter().map(|&x| from(x)).collect()).unwrap();
        Quadratic {
            h: matrix(3, 3, &[4.0, 1.0, 0.0, 1.0, 3.0, 1.0, 0.0, 1.0, 2.0]),
            b: matrix(3, 2, &[1.0, 2.0, 0.0, 1.0, -1.0, 1.0]),
            c: Array1::from_vec(vec![from(1.0), from(0.0), from(-1.0)]),
            t: Array1::from_elem(3, from(1.0)),
            r: from(0.5),
        }
    }
}

impl<T: Float> LossesReadOuter for Quadratic<T> {}

impl<T: Float> BilevelProblem for Quadratic<T> {
    type Float = T;
    type Inner = Array1<T>;
    type Outer = Array1<T>;
    type Workspace = ();
    type Condition = bilevel_runtime::condition::Gradient;

    const INNER_NAMES: &'static [&'static str] = &["z"];
    const OUTER_NAMES: &'static [&'static str] = &["x"];

    fn workspace(&self, inner: &Array1<T>, outer: &Array1<T>) -> Result<(), Error> {
        for (name, shape, expected) in [("z", inner.shape(), self.h.nrows()), ("x", outer.shape(), self.b.ncols())] {
            if shape != [expected] {
                return Err(Error::ShapeMismatch { name, shape: shape.to_vec(), expected_by: "b", expected: vec![expected] });
            }
        }
        Ok(())
    }

    fn inner_value_and_grad(&self, (): &mut (), z: &[T], x: &[T], z_bar: &mut [T]) -> T {
        let (hz, rhs) = (times(&self.h, z), times(&self.b, x) + &self.c);
        let mut value = T::zero();
        for i in 0..z.len() {
            z_bar[i] = hz[i] - rhs[i];
            value += z[i] * (from::<T>(0.5) * hz[i] - rhs[i]);
        }
        value
    }

    fn inner_value_and_outer_grad(&self, (): &mut (), z: &[T], x: &[T], x_bar: &mut [T]) -> T {
        x_bar.copy_from_slice((-transposed_times(&self.b, z)).as_slice().unwrap());
        self.inner_value_and_grad(&mut (), z, x, &mut vec![T::zero(); z.len()])
    }

    fn inner_curvature(&self, (): &mut (), _: &[T], _: &[T]) {}

    fn curvature_apply(&self, (): &mut (), v: &[T], product: &mut [T], mixed: Option<&mut [T]>) {
        product.copy_from_slice(times(&self.h, v).as_slice().unwrap());
        if let Some(mixed) = mixed {
            mixed.copy_from_slice((-transposed_times(&self.b, v)).as_slice().unwrap());
        }
    }

    fn inner_gradient_vjp(&self, at: &mut (), w: &[T], lambda: &[T], u: &[T], w_bar: &mut [T], lambda_bar: &mut [T]) {
        self.inner_curvature(at, w, lambda);
        self.curvature_apply(at, u, w_bar, Some(lambda_bar));
    }

    fn inner_gradient_linearize(&self, at: &mut (), w: &[T], lambda: &[T]) {
        self.inner_curvature(at, w, lambda);
    }

    fn inner_gradient_jvp(&self, at: &mut (), w_dot: &[T], lambda_dot: &[T], gradient_dot: &mut [T]) {
        self.curvature_apply(at, w_dot, gradient_dot, None);
        for (gradient_dot, b) in gradient_dot.iter_mut().zip(times(&self.b, lambda_dot)) {
            *gradient_dot -= b;
        }
    }

    fn outer_value_and_grad(&self, (): &mut (), z: &[T], x: &[T], z_bar: &mut [T], x_bar: &mut [T]) -> T {
        let half = from::<T>(0.5);
        let mut value = T::zero();
        for (z_bar, (&z, &t)) in z_bar.iter_mut().zip(z.iter().zip(&self.t)) {
            *z_bar = z - t;
            value += half * *z_bar * *z_bar;
        }
        for (x_bar, &x) in x_bar.iter_mut().zip(x) {
            *x_bar = self.r * x;
            value += half * self.r * x * x;
        }
        value
    }
}

/// Inner `‖Aw − y‖²/(2N) + ½Σ e^λᵢ wᵢ²`, outer `‖A₂w − y₂‖²/(2N₂)`: ridge regression with a penalty per feature.
pub(crate) struct Ridge<T> {
    pub(crate) a: Array2<T>,
    pub(crate) y: Array1<T>,
    pub(crate) a_val: Array2<T>,
    pub(crate) y_val: Array1<T>,
}

/// The point of the linearization of [`Ridge`] and [`Logistic`]: `w`, and `λ`.
pub(crate) struct At<T> {
    pub(crate) w: Vec<T>,
    pub(crate) lambda: Vec<T>,
}

impl<T: Float> Ridge<T> {
    /// Deterministic data of `n` features.
    pub(crate) fn new(n: usize) -> Self {
        let entry = |i: usize, j: usize, k: usize| from::<T>((((i * 31 + j * 17 + i * j * 7 + k) % 23) as f64 - 11.0) / 11.0);
        Ridge {
            a: Array2::from_shape_fn((3 * n, n), |(i, j)| entry(i, j, 0)),
            y: Array1::from_shape_fn(3 * n, |i| entry(i, 2 * i + 1, 5)),
            a_val: Array2::from_shape_fn((2 * n, n), |(i, j)| entry(i, j, 3)),
            y_val: Array1::from_shape_fn(2 * n, |i| entry(i, 3 * i + 1, 7)),
        }
    }
}

/// The slopes of `½Σ e^λᵢ wᵢ²` in `λ`.
fn penalty_slopes<T: Float>(w: &[T], lambda: &[T], lambda_bar: &mut [T]) {
    for (lambda_bar, (&w, &lambda)) in lambda_bar.iter_mut().zip(w.iter().zip(lambda)) {
        *lambda_bar = from::<T>(0.5) * lambda.exp() * w * w;
    }
}

impl<T: Float> LossesReadOuter for Ridge<T> {}

impl<T: Float> BilevelProblem for Ridge<T> {
    type Float = T;
    type Inner = Array1<T>;
    type Outer = Array1<T>;
    type Workspace = At<T>;
    type Condition = bilevel_runtime::condition::Gradient;

    fn workspace(&self, _: &Array1<T>, _: &Array1<T>) -> Result<At<T>, Error> {
        Ok(At { w: vec![], lambda: vec![] })
    }

    fn inner_value_and_grad(&self, _: &mut At<T>, w: &[T], lambda: &[T], w_bar: &mut [T]) -> T {
        let n = from::<T>(self.y.len() as f64);
        let residual = times(&self.a, w) - &self.y;
        let gradient = transposed_times(&self.a, residual.as_slice().unwrap()) / n;
        let mut value = from::<T>(0.5) * residual.dot(&residual) / n;
        for i in 0..w.len() {
            w_bar[i] = gradient[i] + lambda[i].exp() * w[i];
            value += from::<T>(0.5) * lambda[i].exp() * w[i] * w[i];
        }
        value
    }

    fn inner_value_and_outer_grad(&self, at: &mut At<T>, w: &[T], lambda: &[T], lambda_bar: &mut [T]) -> T {
        penalty_slopes(w, lambda, lambda_bar);
        self.inner_value_and_grad(at, w, lambda, &mut vec![T::zero(); w.len()])
    }

    fn inner_curvature(&self, at: &mut At<T>, w: &[T], lambda: &[T]) {
        *at = At { w: w.to_vec(), lambda: lambda.to_vec() };
    }

    fn curvature_apply(&self, at: &mut At<T>, v: &[T], product: &mut [T], mixed: Option<&mut [T]>) {
        let n = from::<T>(self.y.len() as f64);
        let data = transposed_times(&self.a, times(&self.a, v).as_slice().unwrap()) / n;
        for i in 0..v.len() {
            product[i] = data[i] + at.lambda[i].exp() * v[i];
        }
        if let Some(mixed) = mixed {
            for i in 0..v.len() {
                mixed[i] = at.lambda[i].exp() * at.w[i] * v[i];
            }
        }
    }

    fn inner_gradient_vjp(&self, at: &mut At<T>, w: &[T], lambda: &[T], u: &[T], w_bar: &mut [T], lambda_bar: &mut [T]) {
        self.inner_curvature(at, w, lambda);
        self.curvature_apply(at, u, w_bar, Some(lambda_bar));
    }

    fn inner_gradient_linearize(&self, at: &mut At<T>, w: &[T], lambda: &[T]) {
        self.inner_curvature(at, w, lambda);
    }

    fn inner_gradient_jvp(&self, at: &mut At<T>, w_dot: &[T], lambda_dot: &[T], gradient_dot: &mut [T]) {
        self.curvature_apply(at, w_dot, gradient_dot, None);
        for i in 0..w_dot.len() {
            gradient_dot[i] += at.lambda[i].exp() * at.w[i] * lambda_dot[i];
        }
    }

    fn outer_value_and_grad(&self, _: &mut At<T>, w: &[T], _: &[T], w_bar: &mut [T], lambda_bar: &mut [T]) -> T {
        let n = from::<T>(self.y_val.len() as f64);
        let residual = times(&self.a_val, w) - &self.y_val;
        w_bar.copy_from_slice((transposed_times(&self.a_val, residual.as_slice().unwrap()) / n).as_slice().unwrap());
        lambda_bar.fill(T::zero());
        from::<T>(0.5) * residual.dot(&residual) / n
    }
}

/// Inner: mean logistic loss of labels ±1 plus `½Σ e^λⱼ wⱼ²`; outer: the mean logistic loss of other data.
pub(crate) struct Logistic<T> {
    pub(crate) x: Array2<T>,
    pub(crate) y: Array1<T>,
    pub(crate) x_val: Array2<T>,
    pub(crate) y_val: Array1<T>,
}

impl<T: Float> Logistic<T> {
    /// Deterministic, noisy data of `n` features.
    pub(crate) fn new(n: usize) -> Self {
        let entry = |i: usize, j: usize, k: usize| from::<T>(((((i + k) * 7 + j * j * 3 + i * j) % 11) as f64) / 5.0 - 1.0);
        let label = |i: usize, k: usize| from::<T>(if ((i + k) * (i + k) + i / 3) % 5 < 2 { 1.0 } else { -1.0 });
        Logistic {
            x: Array2::from_shape_fn((8 * n, n), |(i, j)| entry(i, j, 0)),
            y: Array1::from_shape_fn(8 * n, |i| label(i, 0)),
            x_val: Array2::from_shape_fn((4 * n, n), |(i, j)| entry(i, j, 3)),
            y_val: Array1::from_shape_fn(4 * n, |i| label(i, 3)),
        }
    }
}

/// The mean of `ln(1 + e^(−y xᵀw))` and its gradient.
fn logistic_loss<T: Float>(x: &Array2<T>, y: &Array1<T>, w: &[T], w_bar: &mut [T]) -> T {
    let n = from::<T>(y.len() as f64);
    let margins = times(x, w) * y;
    let slopes: Array1<T> = margins.mapv(|m| -(T::one() + m.exp()).recip() / n) * y;
    w_bar.copy_from_slice(transposed_times(x, slopes.as_slice().unwrap()).as_slice().unwrap());
    margins.iter().map(|&m| (-m.abs()).exp().ln_1p() + (-m).max(T::zero())).sum::<T>() / n
}

impl<T: Float> LossesReadOuter for Logistic<T> {}

impl<T: Float> BilevelProblem for Logistic<T> {
    type Float = T;
    type Inner = Array1<T>;
    type Outer = Array1<T>;
    type Workspace = At<T>;
    type Condition = bilevel_runtime::condition::Gradient;

    fn workspace(&self, _: &Array1<T>, _: &Array1<T>) -> Result<At<T>, Error> {
        Ok(At { w: vec![], lambda: vec![] })
    }

    fn inner_value_and_grad(&self, _: &mut At<T>, w: &[T], lambda: &[T], w_bar: &mut [T]) -> T {
        let mut value = logistic_loss(&self.x, &self.y, w, w_bar);
        for i in 0..w.len() {
            w_bar[i] += lambda[i].exp() * w[i];
            value += from::<T>(0.5) * lambda[i].exp() * w[i] * w[i];
        }
        value
    }

    fn inner_value_and_outer_grad(&self, at: &mut At<T>, w: &[T], lambda: &[T], lambda_bar: &mut [T]) -> T {
        penalty_slopes(w, lambda, lambda_bar);
        self.inner_value_and_grad(at, w, lambda, &mut vec![T::zero(); w.len()])
    }

    fn inner_curvature(&self, at: &mut At<T>, w: &[T], lambda: &[T]) {
        *at = At { w: w.to_vec(), lambda: lambda.to_vec() };
    }

    fn curvature_apply(&self, at: &mut At<T>, v: &[T], product: &mut [T], mixed: Option<&mut [T]>) {
        let n = from::<T>(self.y.len() as f64);
        let weights = (times(&self.x, &at.w) * &self.y).mapv(|m| {
            let p = (T::one() + m.exp()).recip();
            p * (T::one() - p) / n
        });
        let data = transposed_times(&self.x, (times(&self.x, v) * weights).as_slice().unwrap());
        for i in 0..v.len() {
            product[i] = data[i] + at.lambda[i].exp() * v[i];
        }
        if let Some(mixed) = mixed {
            for i in 0..v.len() {
                mixed[i] = at.lambda[i].exp() * at.w[i] * v[i];
            }
        }
    }

    fn inner_gradient_vjp(&self, at: &mut At<T>, w: &[T], lambda: &[T], u: &[T], w_bar: &mut [T], lambda_bar: &mut [T]) {
        self.inner_curvature(at, w, lambda);
        self.curvature_apply(at, u, w_bar, Some(lambda_bar));
    }

    fn inner_gradient_linearize(&self, at: &mut At<T>, w: &[T], lambda: &[T]) {
        self.inner_curvature(at, w, lambda);
    }

    fn inner_gradient_jvp(&self, at: &mut At<T>, w_dot: &[T], lambda_dot: &[T], gradient_dot: &mut [T]) {
        self.curvature_apply(at, w_dot, gradient_dot, None);
        for i in 0..w_dot.len() {
            gradient_dot[i] += at.lambda[i].exp() * at.w[i] * lambda_dot[i];
        }
    }

    fn outer_value_and_grad(&self, _: &mut At<T>, w: &[T], _: &[T], w_bar: &mut [T], lambda_bar: &mut [T]) -> T {
        lambda_bar.fill(T::zero());
        logistic_loss(&self.x_val, &self.y_val, w, w_bar)
    }
}

/// A problem of two scalars, by the functions that its kernels call.
#[derive(Clone, Copy)]
pub(crate) struct Scalar {
    /// `f` and `f_w`
    pub(crate) inner: fn(f64, f64) -> (f64, f64),
    /// `f_ww` and `f_λw`
    pub(crate) curvature: fn(f64, f64) -> (f64, f64),
    /// `f_λ`
    pub(crate) outer_slope: fn(f64, f64) -> f64,
    /// `g`, `g_w` and `g_λ`
    pub(crate) outer: fn(f64, f64) -> (f64, f64, f64),
}

impl Scalar {
    /// `f = (w − 1)² + λw²`, `g = (w − ½)²`: `w* = 1/(1 + λ)`, `dg/dλ = (λ − 1)/(1 + λ)³`.
    pub(crate) const T1: Scalar = Scalar {
        inner: |w, lambda| ((w - 1.0).powi(2) + lambda * w * w, 2.0 * (w - 1.0) + 2.0 * lambda * w),
        curvature: |w, lambda| (2.0 + 2.0 * lambda, 2.0 * w),
        outer_slope: |w, _| w * w,
        outer: |w, _| ((w - 0.5).powi(2), 2.0 * (w - 0.5), 0.0),
    };
}

impl LossesReadOuter for Scalar {}

impl BilevelProblem for Scalar {
    type Float = f64;
    type Inner = f64;
    type Outer = f64;
    /// The linearization.
    type Workspace = (f64, f64);
    type Condition = bilevel_runtime::condition::Gradient;

    fn workspace(&self, _: &f64, _: &f64) -> Result<(f64, f64), Error> {
        Ok((0.0, 0.0))
    }

    fn inner_value_and_grad(&self, _: &mut (f64, f64), w: &[f64], lambda: &[f64], w_bar: &mut [f64]) -> f64 {
        let (value, slope) = (self.inner)(w[0], lambda[0]);
        w_bar[0] = slope;
        value
    }

    fn inner_value_and_outer_grad(&self, _: &mut (f64, f64), w: &[f64], lambda: &[f64], lambda_bar: &mut [f64]) -> f64 {
        lambda_bar[0] = (self.outer_slope)(w[0], lambda[0]);
        (self.inner)(w[0], lambda[0]).0
    }

    fn inner_curvature(&self, at: &mut (f64, f64), w: &[f64], lambda: &[f64]) {
        *at = (self.curvature)(w[0], lambda[0]);
    }

    fn curvature_apply(&self, at: &mut (f64, f64), v: &[f64], product: &mut [f64], mixed: Option<&mut [f64]>) {
        product[0] = at.0 * v[0];
        if let Some(mixed) = mixed {
            mixed[0] = at.1 * v[0];
        }
    }

    fn inner_gradient_vjp(&self, at: &mut (f64, f64), w: &[f64], lambda: &[f64], u: &[f64], w_bar: &mut [f64], lambda_bar: &mut [f64]) {
        self.inner_curvature(at, w, lambda);
        self.curvature_apply(at, u, w_bar, Some(lambda_bar));
    }

    fn inner_gradient_linearize(&self, at: &mut (f64, f64), w: &[f64], lambda: &[f64]) {
        self.inner_curvature(at, w, lambda);
    }

    fn inner_gradient_jvp(&self, at: &mut (f64, f64), w_dot: &[f64], lambda_dot: &[f64], gradient_dot: &mut [f64]) {
        self.curvature_apply(at, w_dot, gradient_dot, None);
        gradient_dot[0] += at.1 * lambda_dot[0];
    }

    fn outer_value_and_grad(&self, _: &mut (f64, f64), w: &[f64], lambda: &[f64], w_bar: &mut [f64], lambda_bar: &mut [f64]) -> f64 {
        let (value, w_slope, lambda_slope) = (self.outer)(w[0], lambda[0]);
        (w_bar[0], lambda_bar[0]) = (w_slope, lambda_slope);
        value
    }
}
