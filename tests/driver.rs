//! What surrounds a tuning: comparing methods, files that know their problem and its data, drawings, a progress bar that is silent here.

use std::path::PathBuf;

use bilevel::prelude::*;
use bilevel::{Error, solver::TunedOf};

#[bilevel]
mod ridge {
    use super::*;

    #[inner(minimize = w)]
    fn train(w: &Array1<f64>, log_l2: &Array1<f64>, x: &Array2<f64>, y: &Array1<f64>, scale: f64, rows: &Array1<usize>) -> f64 {
        let kept = gather(&(x.dot(w) - y), Axis(0), rows);
        scale * (&kept * &kept).sum() + (log_l2.exp() * w * w).sum()
    }

    #[outer(minimize = log_l2)]
    fn validate(w: &Array1<f64>, x_val: &Array2<f64>, y_val: &Array1<f64>) -> f64 {
        mse(&x_val.dot(w), y_val)
    }
}

struct Data {
    x: Array2<f64>,
    y: Array1<f64>,
    scale: f64,
    rows: Array1<usize>,
    x_val: Array2<f64>,
    y_val: Array1<f64>,
}

fn data() -> Data {
    Data {
        x: array![[1.0, 0.2, 0.5], [0.3, 1.0, -0.4], [-0.7, 0.1, 0.9], [0.5, -0.8, -0.6]],
        y: array![2.3, 1.5, -1.1, 0.1],
        scale: 0.25,
        rows: array![0, 1, 3, 2],
        x_val: array![[0.9, -0.3, -0.8], [-0.2, 0.6, 0.7], [0.4, 0.4, -0.2]],
        y_val: array![1.5, 0.2, 1.2],
    }
}

impl Data {
    fn problem(&self) -> ridge::Problem<'_> {
        let Data { x, y, scale, rows, x_val, y_val } = self;
        ridge::Problem { x, y, scale: *scale, rows, x_val, y_val }
    }
}

/// A file that is removed at the end of the test.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_run_goes_on_with_its_own_data_only() {
    let file = File(std::env::temp_dir().join(format!("bilevel-data-{}", std::process::id())));
    let (log_l2, w) = (Array1::from_elem(3, -2.0), Array1::zeros(3));
    let run = |data: &Data, resumed: bool| -> Result<TunedOf<ridge::Problem<'static>>, Error> {
        let problem = data.problem();
        let mut solver = problem.solver(Implicit::cg()).checkpoint(&file.0, 10).progress(true);
        if resumed { solver.resume(&log_l2, &w, Adam::new(0.1), 20) } else { solver.minimize(&log_l2, &w, Adam::new(0.1), 15) }
    };
    run(&data(), false).unwrap();
    // The same numbers in other memory, and in another order of it, are the same data.
    let resumed = run(&data(), true).unwrap();
    let mut other = data();
    other.x = other.x.t().as_standard_layout().into_owned().reversed_axes();
    assert_eq!(run(&other, true).unwrap().outer, resumed.outer);

    let changes: [fn(&mut Data); 6] = [
        |data| data.x[[1, 2]] = -0.4_f64.next_up(),
        |data| data.y.swap(0, 1),
        |data| data.scale = 0.5,
        |data| data.rows[3] = 1,
        |data| data.x_val[[0, 0]] = 0.8,
        |data| {
            // More data of the same kind.
            data.x_val = concatenate![Axis(0), data.x_val, array![[0.0, 0.0, 0.0]]];
            data.y_val = concatenate![Axis(0), data.y_val, array![0.0]];
        },
    ];
    for (k, change) in changes.iter().enumerate() {
        let mut other = data();
        change(&mut other);
        let error = run(&other, true).unwrap_err();
        assert!(error.to_string().contains("its hash of the data is `"), "{k}: {error}");
    }
}

#[test]
fn a_tuning_is_drawn_and_compared() {
    let data = data();
    let problem = data.problem();
    let (log_l2, w) = (Array1::from_elem(3, -2.0), Array1::zeros(3));
    let mut solver = problem.solver(Implicit::cg()).early_stopping(20, |log_l2, _| log_l2.sum().powi(2)).cold_gap(true);
    let tuned = solver.minimize(&log_l2, &w, Projected::new(Adam::new(0.1), -5.0, 5.0), 12).unwrap();
    let svg = tuned.trace_svg().unwrap();
    for words in ["<svg", "outer loss", "held-out loss", "norm of the hypergradient", "outer step"] {
        assert!(svg.contains(words), "{words}\n{svg}");
    }
    // One minimum only: the warm start has hidden nothing.
    assert!(tuned.cold_gap.unwrap().abs() < 1e-12);
    let table = compare(&problem, &log_l2, &w).unwrap().to_string();
    assert!(table.contains("implicit, CG") && table.contains("unrolled, mixed"), "{table}");
}
