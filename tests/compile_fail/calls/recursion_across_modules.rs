use bilevel::prelude::*;

mod even {
    use bilevel::prelude::*;

    #[differentiable]
    pub(crate) fn even(x: f64) -> f64 {
        super::odd::odd(x - 1.0)
    }
}

mod odd {
    use bilevel::prelude::*;

    #[differentiable]
    pub(crate) fn odd(x: f64) -> f64 {
        crate::even::even(x - 1.0)
    }
}

fn main() {}
