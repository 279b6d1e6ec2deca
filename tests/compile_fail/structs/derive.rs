use bilevel::prelude::*;

#[derive(Clone, Params)]
struct Borrows<'a> {
    x: ArrayView1<'a, f64>,
}

#[derive(Clone, Params)]
struct Grows {
    w: Vec<f64>,
    b: f64,
}

#[derive(Clone, Params)]
struct OnlyData {
    n: usize,
}

#[derive(Clone, Params)]
struct Mixed {
    w: Array2<f64>,
    b: Array1<f32>,
}

#[derive(Clone, Params)]
enum Choice {
    Linear(f64),
}

fn main() {}
