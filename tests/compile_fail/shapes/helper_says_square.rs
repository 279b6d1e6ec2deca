use bilevel::prelude::*;

#[bilevel]
mod problem {
    use super::*;

    fn trace(#[shape(k, k)] a: &Array2<f64>) -> f64 {
        a.sum()
    }

    #[inner(minimize = w)]
    fn inner(w: &f64, l: &f64, #[shape(n, m)] a: &Array2<f64>) -> f64 {
        w * w * l + trace(a)
    }

    #[outer(minimize = l)]
    fn outer(w: &f64) -> f64 {
        *w
    }
}

fn main() {}
