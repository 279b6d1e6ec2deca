use bilevel::prelude::*;

#[bilevel]
mod cell {
    #[fixed_point(solve = z)]
    pub fn map(z: &f64, scale: &f64) -> f64 {
        (z * scale).cos()
    }

    #[outer(minimize = scale)]
    pub fn distance(z: &f64) -> f64 {
        z * z
    }
}

fn main() {
    let problem = cell::Problem {};
    let _ = problem.solver(Implicit::cg());
    let _ = problem.solver(Implicit::gmres()).inner(Lbfgs::default());
    let _ = problem.solver(EvoGrad::default());
}
