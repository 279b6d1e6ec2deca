use bilevel::prelude::*;

#[bilevel]
mod problem {
    #[inner(minimize = w)]
    fn inner(w: &f64) -> f64 {
        *w
    }

    #[outer(minimize = w)]
    fn outer(w: &f64) -> f64 {
        *w
    }
}

fn main() {}
