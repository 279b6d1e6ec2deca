//! All methods side by side.

use crate::problems::{Quadratic, Ridge};
use bilevel_runtime::compare;
use bilevel_runtime::methods::Implicit;
use bilevel_runtime::solve::Lbfgs;
use ndarray::{Array1, Array2, array};

#[test]
fn every_method_has_a_row() {
    let problem = Ridge::<f64>::new(6);
    let mut comparison = compare(&problem, &Array1::from_elem(6, -1.0), &Array1::zeros(6)).unwrap();
    comparison.add("mine", Implicit::cg().damping(0.1), Lbfgs::default());
    println!("{comparison}");
    for row in &comparison.rows {
        let compared = row.result.as_ref().unwrap_or_else(|error| panic!("{}: {error}", row.name));
        let limit = match row.name.as_str() {
            "implicit, one step" | "implicit, Nyström, 10 columns" | "mine" | "EvoGrad, rescaled" => f64::INFINITY,
            "implicit, Neumann, 20 terms" | "unrolled, last 10 of 100 steps" => 0.3,
            name if name.starts_with("unrolled") => 1e-2,
            _ => 1e-6,
        };
        assert!(compared.relative_error < limit && compared.seconds >= 0.0, "{}: {compared:?}", row.name);
        assert!((compared.value - comparison.reference.value).abs() < 1e-2, "{}", row.name);
        if limit <= 1e-6 {
            assert!((compared.cosine - 1.0).abs() < 1e-10, "{}", row.name);
        }
    }
    let table = comparison.to_string();
    assert_eq!(table.lines().count(), comparison.rows.len() + 1);
    assert!(comparison.rows.len() >= 14 && table.contains("EvoGrad") && table.contains("mine"), "{table}");
}

#[test]
fn a_method_that_fails_says_why() {
    let convex = Quadratic::<f64>::exact();
    let mut comparison = compare(&convex, &array![1.0, -1.0], &Array1::zeros(3)).unwrap();
    comparison.add("too long a step", Implicit::neumann().step(10.0), Lbfgs::default());
    let last = comparison.rows.last().unwrap();
    assert!(last.result.is_err() && comparison.to_string().contains("the series for the linear system"));
    // Without a strict minimum there is nothing to compare with.
    let mut problem = Quadratic::<f64>::exact();
    problem.h = Array2::zeros((3, 3));
    assert!(compare(&problem, &array![1.0, -1.0], &Array1::zeros(3)).is_err());
}
