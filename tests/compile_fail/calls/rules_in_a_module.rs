use bilevel::prelude::*;

fn f(x: f64) -> f64 {
    x * x
}

#[derivative(of = f)]
mod f_rules {
    use super::*;

    const TWO: f64 = 2.0;

    fn tangent(x: f64, x_dot: f64) -> f64 {
        TWO * x * x_dot
    }

    fn cotangent(x: f64, y_bar: f64) -> f64 {
        2.0 * super::f(x) / x * y_bar
    }
}

/// What calls a function whose rules have an error says nothing.
#[differentiable]
fn g(x: f64) -> f64 {
    f(x) * 2.0
}

fn main() {}
