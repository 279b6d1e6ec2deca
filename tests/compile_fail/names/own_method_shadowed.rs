use bilevel::differentiable;
use bilevel::ndarray::Array1;

/// Not the logistic function: the macro must not take it for the crate's.
trait Mine {
    fn sigmoid(self) -> f64;
    fn relu(&self) -> f64;
}

impl Mine for f64 {
    fn sigmoid(self) -> f64 {
        self * self
    }
    fn relu(&self) -> f64 {
        self * 2.0
    }
}

trait MineToo {
    fn softplus(&self) -> Array1<f64>;
}

impl MineToo for Array1<f64> {
    fn softplus(&self) -> Array1<f64> {
        self + 1.0
    }
}

#[differentiable]
fn f(x: f64, y: &Array1<f64>) -> f64 {
    x.sigmoid() + x.relu() + y.softplus().sum()
}

fn main() {}
