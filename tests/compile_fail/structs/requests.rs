use bilevel::prelude::*;

#[derive(Clone, Params)]
struct Line {
    slope: f64,
    offset: f64,
    n_seen: usize,
}

#[derive(Clone, Params)]
struct Lines {
    first: Line,
    second: Line,
}

#[differentiable(hessian)]
fn in_a_tuple(pair: &(Line, f64)) -> f64 {
    pair.0.slope * pair.1 + pair.0.offset
}

#[differentiable(hessian)]
fn beside_a_tuple(line: &Line, pair: (f64, f64)) -> f64 {
    line.slope * pair.0 + line.offset * pair.1
}

#[differentiable(jvp_many, jacobian)]
fn gives_a_struct(line: &Line, x: f64) -> Line {
    Line { slope: line.slope * x, ..line.clone() }
}

#[differentiable(wrt(lines.first, lines.second.slop, lines.second.n_seen, x.0))]
fn parts(lines: &Lines, x: f64) -> f64 {
    lines.first.slope * x + lines.second.offset
}

fn main() {}
