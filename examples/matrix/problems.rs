//! The eight problems of the matrix: functions of every shape that an inner variable can have, small enough for dense matrices.

use bilevel::prelude::*;

/// `½zᵀHz − zᵀ(Bx + c)`, and `½‖z − t‖² + ¼‖x‖²`.
#[bilevel]
pub mod quadratic {
    use super::*;

    #[inner(minimize = z)]
    pub fn inner(z: &Array1<f64>, x: &Array1<f64>, h: &Array2<f64>, b: &Array2<f64>, c: &Array1<f64>) -> f64 {
        0.5 * z.dot(&h.dot(z)) - z.dot(&(b.dot(x) + c))
    }

    #[outer(minimize = x)]
    pub fn outer(z: &Array1<f64>, x: &Array1<f64>, t: &Array1<f64>) -> f64 {
        0.5 * (z - t).mapv(|r| r * r).sum() + 0.25 * x.dot(x)
    }
}

/// Ridge regression with a penalty for every feature.
#[bilevel]
pub mod ridge {
    use super::*;

    #[inner(minimize = w)]
    pub fn inner(w: &Array1<f64>, log_l2: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&x.dot(w), y) + (log_l2.exp() * w * w).sum()
    }

    #[outer(minimize = log_l2)]
    pub fn outer(w: &Array1<f64>, x_val: &Array2<f64>, y_val: &Array1<f64>) -> f64 {
        mse(&x_val.dot(w), y_val)
    }
}

/// A quadratic with a term of fourth order, whose curvature changes from point to point.
#[bilevel]
pub mod quartic {
    use super::*;

    #[inner(minimize = w)]
    pub fn inner(w: &Array1<f64>, l: &Array1<f64>, a: &Array2<f64>, c: &Array1<f64>) -> f64 {
        let d = w - c;
        0.5 * d.dot(&a.dot(&d)) + 0.25 * (l.exp() * w.mapv(|w| w.powi(4))).sum()
    }

    #[outer(minimize = l)]
    pub fn outer(w: &Array1<f64>, l: &Array1<f64>) -> f64 {
        (w.sin() * w).sum() + 0.05 * l.dot(l)
    }
}

/// Logistic regression with a penalty for every feature; `s` are signs.
#[bilevel]
pub mod logistic {
    use super::*;

    #[inner(minimize = w)]
    pub fn inner(w: &Array1<f64>, log_l2: &Array1<f64>, x: &Array2<f64>, s: &Array1<f64>) -> f64 {
        (-(x.dot(w) * s)).softplus().mean().unwrap() + 0.5 * (log_l2.exp() * w * w).sum()
    }

    #[outer(minimize = log_l2)]
    pub fn outer(w: &Array1<f64>, x_val: &Array2<f64>, s_val: &Array1<f64>) -> f64 {
        (-(x_val.dot(w) * s_val)).softplus().mean().unwrap()
    }
}

/// A network of one hidden layer, its weights two arrays.
#[bilevel]
pub mod network {
    use super::*;

    #[inner(minimize(hidden, out))]
    pub fn inner(hidden: &Array2<f64>, out: &Array2<f64>, log_l2: &Array1<f64>, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        let penalty = log_l2[0].exp() * (hidden * hidden).sum() + log_l2[1].exp() * (out * out).sum();
        cross_entropy(&x.dot(hidden).tanh().dot(out), y) + penalty
    }

    #[outer(minimize = log_l2)]
    pub fn outer(hidden: &Array2<f64>, out: &Array2<f64>, x_val: &Array2<f64>, y_val: &Array1<usize>) -> f64 {
        cross_entropy(&x_val.dot(hidden).tanh().dot(out), y_val)
    }
}

/// A quartic in one number.
#[bilevel]
pub mod scalar {
    #[inner(minimize = w)]
    pub fn inner(w: &f64, l: &f64, a: f64) -> f64 {
        (w - a).powi(2) + 0.2 * w.powi(4) + l.exp() * w * w
    }

    #[outer(minimize = l)]
    pub fn outer(w: &f64, l: &f64) -> f64 {
        (w - 0.5).powi(2) + 0.1 * l * l
    }
}

/// Two arrays that meet in a product, and an outer variable of two parts.
#[bilevel]
pub mod coupled {
    use super::*;

    #[inner(minimize(v, m))]
    pub fn inner(v: &Array1<f64>, m: &Array2<f64>, log_l2: &Array1<f64>, shift: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        let hidden = x.dot(m).tanh();
        mse(&(hidden.dot(v) + *shift), y) + (log_l2.exp() * v * v).sum() + 0.1 * m.mapv(|m| m * m).sum()
    }

    #[outer(minimize(log_l2, shift))]
    pub fn outer(v: &Array1<f64>, m: &Array2<f64>, shift: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&(x.dot(m).dot(v) * 0.9 + *shift), y)
    }
}

/// A regression whose weights are one value of a struct, with a number among its fields.
#[bilevel]
pub mod model {
    use super::*;

    #[derive(Params, Clone, Debug)]
    pub struct Model {
        pub features: Array2<f64>,
        pub weights: Array1<f64>,
        pub bias: f64,
    }

    #[inner(minimize = model)]
    pub fn inner(model: &Model, log_l2: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        let predicted = x.dot(&model.features).softplus().dot(&model.weights) + model.bias;
        let penalty = log_l2[0].exp() * (&model.features * &model.features).sum()
            + log_l2[1].exp() * (model.weights.dot(&model.weights) + model.bias * model.bias);
        mse(&predicted, y) + penalty
    }

    #[outer(minimize = log_l2)]
    pub fn outer(model: &Model, x_val: &Array2<f64>, y_val: &Array1<f64>) -> f64 {
        mse(&(x_val.dot(&model.features).softplus().dot(&model.weights) + model.bias), y_val)
    }
}
