use bilevel::prelude::*;

#[bilevel]
mod problem {
    use super::*;

    #[inner(minimize = w)]
    fn train(w: &Array1<f64>, penalty: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>) -> f64 {
        let prediction = x.dot(w).lgamma();
        let residual = prediction - y;
        let size = residual.norm_l2();
        let _rows = y.nrows();
        size + unknown(penalty)
    }

    #[outer(minimize = penalties)]
    fn validate(w: &Array1<f64>, data: Vec<f64>) -> f64 {
        w.sum() * data[0]
    }
}

fn main() {}
