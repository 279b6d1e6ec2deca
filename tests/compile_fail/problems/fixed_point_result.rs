use bilevel::prelude::*;

#[bilevel]
mod one_number {
    use super::*;

    #[fixed_point(solve = z)]
    fn cell(z: &Array1<f64>, bias: &Array1<f64>) -> f64 {
        (z + bias).sum()
    }

    #[outer(minimize = bias)]
    fn distance(z: &Array1<f64>) -> f64 {
        z.sum()
    }
}

#[bilevel]
mod shorter {
    use super::*;

    #[fixed_point(solve = z)]
    fn cell(z: &Array1<f64>, scale: &f64) -> Array1<f64> {
        z.slice(s![1..]).to_owned() * *scale
    }

    #[outer(minimize = scale)]
    fn distance(z: &Array1<f64>) -> f64 {
        z.sum()
    }
}

#[bilevel]
mod nothing_solved {
    #[fixed_point]
    fn cell(z: &f64, scale: &f64) -> f64 {
        z * scale
    }

    #[outer(minimize = scale)]
    fn distance(z: &f64) -> f64 {
        *z
    }
}

fn main() {}
