use bilevel::prelude::*;

mod layers {
    use bilevel::prelude::*;

    #[differentiable]
    pub(crate) fn triple(x: &Array1<f64>) -> f64 {
        (x + &Array1::<f64>::ones(3)).sum()
    }
}

#[differentiable]
fn f(x: f64) -> f64 {
    layers::triple(&Array1::from_elem(4, x))
}

fn main() {}
