use bilevel::prelude::*;

#[bilevel]
mod problem {
    #[inner(minimize = w)]
    pub fn train(w: &f64, l: &f64) -> f64 {
        let mut y = w * w;
        while y > 1.0 {
            y = y * 0.5 + l;
        }
        y
    }

    #[outer(minimize = l)]
    pub fn validate(w: &f64) -> f64 {
        *w
    }
}

#[differentiable]
fn halved(x: f64) -> f64 {
    let mut y = x;
    while y > 1.0 {
        y *= 0.5;
    }
    y
}

fn main() {
    let _forward = halved::jvp(3.0, 1.0);
    let _reverse = halved::grad(3.0);
}
