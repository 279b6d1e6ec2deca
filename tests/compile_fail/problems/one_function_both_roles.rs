use bilevel::prelude::*;

#[bilevel]
mod problem {
    #[inner(minimize = w)]
    #[outer(minimize = l)]
    fn both(w: &f64, l: &f64) -> f64 {
        w * l
    }

    #[outer(minimize = l)]
    fn outer(w: &f64) -> f64 {
        *w
    }
}

fn main() {}
