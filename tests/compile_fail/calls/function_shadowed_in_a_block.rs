use bilevel::prelude::*;

mod layers {
    use bilevel::prelude::*;

    #[differentiable]
    pub(crate) fn dense(x: f64) -> f64 {
        x * x
    }
}

fn main() {
    use layers::dense;

    {
        fn dense(x: f64) -> f64 {
            x * x * x
        }

        #[differentiable]
        fn f(x: f64) -> f64 {
            dense(x)
        }

        f(1.0);
    }
}
