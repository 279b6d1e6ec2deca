use bilevel::prelude::*;

#[bilevel]
mod problem {
    #[inner(minimize = w)]
    fn inner(w: &f64, l: &f64) -> f64 {
        w * w * l
    }

    #[outer(minimize = l)]
    fn outer(w: &f64) -> f64 {
        *w
    }

    #[differentiable]
    fn helper(x: f64) -> f64 {
        x
    }
}

fn main() {}
