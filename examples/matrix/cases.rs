//! Data for every problem, a point, and the derivatives of its inner gradient as dense matrices.

use bilevel::condition::Gradient;
use bilevel::prelude::*;

use crate::problems::{coupled, logistic, model, network, quadratic, quartic, ridge, scalar};

/// `∇_w f`, `H = ∂(∇_w f)/∂w` and `M = ∂(∇_w f)/∂λ` at a point.
pub(crate) struct Dense {
    pub(crate) gradient: Array1<f64>,
    pub(crate) hessian: Array2<f64>,
    pub(crate) mixed: Array2<f64>,
}

/// Derivatives at `(w, λ)`, written out.
type Formula<'a> = &'a dyn Fn(&Array1<f64>, &Array1<f64>) -> Dense;

/// One problem at one point.
pub(crate) struct Case<'a, P: LossesReadOuter<Condition = Gradient>> {
    pub(crate) name: &'static str,
    pub(crate) problem: &'a P,
    pub(crate) outer: P::Outer,
    /// Where inner runs start.
    pub(crate) inner: P::Inner,
    /// Where there is none, the matrices are made of tangents of the gradient along every coordinate.
    formula: Option<Formula<'a>>,
}

impl<P: LossesReadOuter<Condition = Gradient, Float = f64>> Case<'_, P> {
    /// The derivatives of the inner gradient.
    pub(crate) fn dense(&self, w: &Array1<f64>, lambda: &Array1<f64>) -> Result<Dense, bilevel::Error> {
        if let Some(formula) = self.formula {
            return Ok(formula(w, lambda));
        }
        let (inner, outer) = (w.as_slice().unwrap_or_default(), lambda.as_slice().unwrap_or_default());
        let mut at = self.problem.workspace(&self.inner, &self.outer)?;
        let mut gradient = vec![0.0; w.len()];
        self.problem.inner_value_and_grad(&mut at, inner, outer, &mut gradient);
        self.problem.inner_gradient_linearize(&mut at, inner, outer);
        let mut along = |of_inner: bool, n: usize| {
            let mut matrix = Array2::zeros((w.len(), n));
            for (j, mut column) in matrix.columns_mut().into_iter().enumerate() {
                let (mut inner_dot, mut outer_dot) = (vec![0.0; w.len()], vec![0.0; lambda.len()]);
                if of_inner {
                    inner_dot[j] = 1.0
                } else {
                    outer_dot[j] = 1.0
                }
                let mut product = vec![0.0; w.len()];
                self.problem.inner_gradient_jvp(&mut at, &inner_dot, &outer_dot, &mut product);
                column.assign(&Array1::from(product));
            }
            matrix
        };
        let (hessian, mixed) = (along(true, w.len()), along(false, lambda.len()));
        Ok(Dense { gradient: gradient.into(), hessian, mixed })
    }

    /// The gradients `∂_w g` and `∂_λ g` of the outer loss.
    pub(crate) fn outer_gradients(&self, w: &Array1<f64>, lambda: &Array1<f64>) -> Result<(Array1<f64>, Array1<f64>), bilevel::Error> {
        let mut at = self.problem.workspace(&self.inner, &self.outer)?;
        let (mut inner_bar, mut outer_bar) = (vec![0.0; w.len()], vec![0.0; lambda.len()]);
        let (inner, outer) = (w.as_slice().unwrap_or_default(), lambda.as_slice().unwrap_or_default());
        self.problem.outer_value_and_grad(&mut at, inner, outer, &mut inner_bar, &mut outer_bar);
        Ok((inner_bar.into(), outer_bar.into()))
    }
}

/// What is done with every problem.
pub(crate) trait Visitor {
    fn visit<P: LossesReadOuter<Condition = Gradient, Float = f64>>(&mut self, case: &Case<'_, P>);
}

/// Numbers between −1 and 1 that look random.
fn entry(i: usize, j: usize, k: usize) -> f64 {
    ((i * 37 + j * 17 + k * 29 + i * j * 5) % 23) as f64 / 11.5 - 0.97
}

fn matrix(rows: usize, columns: usize, k: usize) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(i, j)| entry(i, j, k))
}

fn vector(n: usize, k: usize) -> Array1<f64> {
    Array1::from_shape_fn(n, |i| entry(i, 3 * i + 1, k))
}

/// Visits all problems, each at one point.
pub(crate) fn each(visitor: &mut impl Visitor) {
    exact_quadratic(visitor);
    ridge(visitor);
    quartic(visitor);
    logistic(visitor);

    let (x, y, x_val, y_val) = (matrix(9, 3, 1), array![0, 1, 2, 1, 0, 2, 1, 1, 0], matrix(5, 3, 2), array![2, 0, 1, 1, 0]);
    let problem = network::Problem { x: &x, y: &y, x_val: &x_val, y_val: &y_val };
    let inner = (matrix(3, 2, 3) * 0.5, matrix(2, 3, 4) * 0.5);
    visitor.visit(&Case { name: "network", problem: &problem, outer: array![-2.5, -2.0], inner, formula: None });

    let formula = |w: &Array1<f64>, l: &Array1<f64>| {
        let (w, e) = (w[0], l[0].exp());
        Dense {
            gradient: array![2.0 * (w - 1.3) + 0.8 * w.powi(3) + 2.0 * e * w],
            hessian: array![[2.0 + 2.4 * w * w + 2.0 * e]],
            mixed: array![[2.0 * e * w]],
        }
    };
    visitor.visit(&Case { name: "scalar", problem: &scalar::Problem { a: 1.3 }, outer: -0.4, inner: 0.2, formula: Some(&formula) });

    let (x, y) = (matrix(7, 2, 5), vector(7, 6));
    let (outer, inner) = ((array![-2.0, -1.5], 0.3), (array![0.6, -0.5], array![[0.8, 0.3], [-0.4, 0.7]]));
    visitor.visit(&Case { name: "coupled", problem: &coupled::Problem { x: &x, y: &y }, outer, inner, formula: None });

    let (x, y, x_val, y_val) = (matrix(8, 2, 7), vector(8, 8), matrix(5, 2, 9), vector(5, 10));
    let problem = model::Problem { x: &x, y: &y, x_val: &x_val, y_val: &y_val };
    let inner = model::Model { features: matrix(2, 2, 11), weights: array![0.5, -0.7], bias: 0.1 };
    visitor.visit(&Case { name: "struct", problem: &problem, outer: array![-2.0, -2.5], inner, formula: None });
}

fn exact_quadratic(visitor: &mut impl Visitor) {
    let (h, b) = (array![[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]], array![[1.0, 2.0], [0.0, 1.0], [-1.0, 1.0]]);
    let (c, t) = (array![1.0, 0.0, -1.0], array![1.0, 1.0, 1.0]);
    let problem = quadratic::Problem { h: &h, b: &b, c: &c, t: &t };
    let formula = |z: &Array1<f64>, x: &Array1<f64>| Dense { gradient: h.dot(z) - b.dot(x) - &c, hessian: h.clone(), mixed: -&b };
    // Not at zero, where a coordinate of the gradient is exactly zero and the square roots of Adam have no derivative.
    let (outer, inner) = (array![1.0, -1.0], array![0.3, -0.4, 0.1]);
    visitor.visit(&Case { name: "quadratic", problem: &problem, outer, inner, formula: Some(&formula) });
}

fn ridge(visitor: &mut impl Visitor) {
    let (x, y, x_val, y_val) = (matrix(9, 4, 12), vector(9, 13), matrix(6, 4, 14), vector(6, 15));
    let problem = ridge::Problem { x: &x, y: &y, x_val: &x_val, y_val: &y_val };
    let formula = |w: &Array1<f64>, l: &Array1<f64>| {
        let slope = l.exp() * 2.0;
        Dense {
            gradient: x.t().dot(&(x.dot(w) - &y)) * (2.0 / 9.0) + &slope * w,
            hessian: x.t().dot(&x) * (2.0 / 9.0) + Array2::from_diag(&slope),
            mixed: Array2::from_diag(&(&slope * w)),
        }
    };
    let (outer, inner) = (array![-2.0, -1.0, -1.5, -3.0], array![0.3, -0.2, 0.1, 0.4]);
    visitor.visit(&Case { name: "ridge", problem: &problem, outer, inner, formula: Some(&formula) });
}

fn quartic(visitor: &mut impl Visitor) {
    let (a, c) = (array![[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 1.5]], array![1.0, -0.8, 0.6]);
    let problem = quartic::Problem { a: &a, c: &c };
    let formula = |w: &Array1<f64>, l: &Array1<f64>| Dense {
        gradient: a.dot(&(w - &c)) + l.exp() * w.powi(3),
        hessian: &a + &Array2::from_diag(&(l.exp() * w.powi(2) * 3.0)),
        mixed: Array2::from_diag(&(l.exp() * w.powi(3))),
    };
    let (outer, inner) = (array![0.2, -0.5, 0.4], array![0.5, -0.2, 0.7]);
    visitor.visit(&Case { name: "quartic", problem: &problem, outer, inner, formula: Some(&formula) });
}

fn logistic(visitor: &mut impl Visitor) {
    let signs = |n: usize, k: usize| vector(n, k).mapv(f64::signum);
    let (x, s, x_val, s_val) = (matrix(10, 3, 16), signs(10, 17), matrix(6, 3, 18), signs(6, 19));
    let problem = logistic::Problem { x: &x, s: &s, x_val: &x_val, s_val: &s_val };
    let formula = |w: &Array1<f64>, l: &Array1<f64>| {
        let wrong = (x.dot(w) * &s).mapv(|z| 1.0 / (1.0 + z.exp()));
        let spread = wrong.mapv(|p| p * (1.0 - p)).insert_axis(Axis(1));
        Dense {
            gradient: x.t().dot(&(&wrong * &s)) * -0.1 + l.exp() * w,
            hessian: x.t().dot(&(&x * &spread)) * 0.1 + Array2::from_diag(&l.exp()),
            mixed: Array2::from_diag(&(l.exp() * w)),
        }
    };
    let (outer, inner) = (array![-2.0, -1.0, -1.5], array![0.3, -0.4, 0.2]);
    visitor.visit(&Case { name: "logistic", problem: &problem, outer, inner, formula: Some(&formula) });
}
