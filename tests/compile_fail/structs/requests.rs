use bilevel::prelude::*;

#[derive(Clone, Params)]
struct Line {
    slope: f64,
    offset: f64,
}

#[differentiable(hessian)]
fn residual(line: &Line, x: f64) -> f64 {
    line.slope * x + line.offset
}

fn main() {}
