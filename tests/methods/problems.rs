//! The problems on which methods are compared.

use bilevel::prelude::*;

/// `½zᵀHz − zᵀ(Bx + c)`, and `½‖z − t‖² + ½·½‖x‖²`.
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

/// Softmax regression behind a hidden layer, its weights one value.
#[bilevel]
pub mod network {
    use super::*;

    #[derive(Params, Clone, Debug)]
    pub struct Net {
        pub hidden: Array2<f64>,
        pub bias: Array1<f64>,
        pub out: Array2<f64>,
    }

    #[inner(minimize = net)]
    pub fn inner(net: &Net, log_l2: &Array1<f64>, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        let hidden = (x.dot(&net.hidden) + &net.bias).tanh();
        let penalty = log_l2[0].exp() * net.hidden.mapv(|w| w * w).sum() + log_l2[1].exp() * net.out.mapv(|w| w * w).sum();
        cross_entropy(&hidden.dot(&net.out), y) + penalty
    }

    #[outer(minimize = log_l2)]
    pub fn outer(net: &Net, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        let hidden = (x.dot(&net.hidden) * 1.1 + &net.bias).tanh();
        cross_entropy(&hidden.dot(&net.out), y)
    }
}

/// A loss of which one factor is held constant.
#[bilevel]
pub mod asymmetric {
    use super::*;

    #[inner(minimize = w)]
    pub fn inner(w: &Array1<f64>, a: &Array1<f64>) -> f64 {
        let scale = stop_gradient((w * w).sum());
        ((w - a) * (w - a)).sum() * (1.0 + scale) + (w * a).sum().tanh()
    }

    #[outer(minimize = a)]
    pub fn outer(w: &Array1<f64>, a: &Array1<f64>) -> f64 {
        (w * w).sum() + 0.1 * (a * a).sum()
    }
}
