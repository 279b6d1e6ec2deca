use bilevel::prelude::*;

#[bilevel]
mod problem {
    use super::*;

    #[derive(Clone, Params)]
    pub struct Net {
        pub w: Array1<f64>,
        pub width: usize,
    }

    #[inner(minimize = net)]
    fn train(net: &Net, l: &f64) -> f64 {
        (&net.w * &net.w).sum() * l.exp() / net.width as f64
    }

    #[outer(minimize = l)]
    fn validate(net: &Net) -> f64 {
        net.w.sum()
    }
}

fn main() {}
