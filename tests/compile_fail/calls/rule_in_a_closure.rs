use bilevel::prelude::*;

#[bilevel]
pub mod problem {
    use bilevel::prelude::*;

    fn step(x: f64) -> f64 {
        x
    }

    #[derivative(of = step)]
    fn step_jvp(_x: f64, x_dot: f64) -> f64 {
        x_dot
    }

    #[inner(minimize = w)]
    pub fn train(w: &Array1<f64>, scale: &f64) -> f64 {
        w.mapv(|v| if v > 0.0 { step(v) } else { v }).sum() * scale
    }

    #[outer(minimize = scale)]
    pub fn validate(w: &Array1<f64>) -> f64 {
        w.sum()
    }
}

fn main() {}
