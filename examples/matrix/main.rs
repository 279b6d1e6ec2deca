//! Every way to a hypergradient on eight problems, in `f64`: one table of relative errors, against exact answers by dense matrices and against
//! differences of the re-solved problem.
//!
//! A cell shows the error against the exact answer, at most 10⁻¹⁰, and the one against differences, at most 10⁻⁶; `-` where there is none: methods that
//! approximate are compared with the formula of their approximation, those made of differences are held to 10⁻⁶. A cell that fails ends in `!`.

mod cases;
mod methods;
#[allow(unreachable_pub)] // Problems are written as users write them.
mod problems;
mod reference;
mod table;

use std::process::ExitCode;

use table::Table;

fn main() -> ExitCode {
    let mut table = Table::default();
    cases::each(&mut table);
    let summary = table.summary();
    println!("{table}\n\n{summary}");
    if summary.n_failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[test]
fn no_cell_fails() {
    let mut table = Table::default();
    cases::each(&mut table);
    let summary = table.summary();
    assert!(summary.n_failed == 0 && summary.n_cells > 800, "{table}\n\n{summary}");
}
