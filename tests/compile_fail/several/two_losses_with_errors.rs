use bilevel::prelude::*;

#[bilevel]
mod problem {
    #[inner(minimize = w)]
    fn inner(w: &f64, l: &f64) -> f64 {
        w * l * unknown_scale()
    }

    fn unknown_scale() -> f64 {
        let b: f64;
        b = 1.0;
        b
    }

    #[outer(minimize = l)]
    fn outer(w: &f64) -> f64 {
        let x @ _y = *w;
        x
    }
}

fn main() {}
