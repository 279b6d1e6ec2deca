use bilevel::prelude::*;

#[bilevel]
mod problem {
    use super::*;

    #[inner(minimize = w)]
    pub fn train(w: &Array1<f64>, log_l2: &f64, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&x.dot(w), y) + log_l2.exp() * w.dot(w)
    }

    #[outer(minimize = log_l2, optimizer(log_rate: f64))]
    pub fn validate(w: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        mse(&x.dot(w), y)
    }
}

fn main() {
    let (x, y) = (array![[1.0]], array![1.0]);
    let problem = problem::Problem { x: &x, y: &y };
    let _ = problem.solver(Implicit::cg());
}
