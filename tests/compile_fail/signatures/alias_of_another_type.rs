use bilevel::differentiable;
use own::Array2;

mod own {
    pub type Array2<T> = Vec<T>;
}

#[differentiable]
fn f(x: &Array2<f64>) -> f64 {
    x.len() as f64 * 0.5
}

fn main() {}
