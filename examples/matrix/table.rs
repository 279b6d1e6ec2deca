//! The table: a row for every method, a column for every problem.

use std::fmt;

/// What exact methods may differ from the exact answer, and everything from differences.
const EXACT_LIMIT: f64 = 1e-10;
const DIFFERENCES_LIMIT: f64 = 1e-6;

/// One method on one problem: relative errors.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    /// Against the exact answer.
    pub(crate) exact: Option<f64>,
    /// Against differences.
    pub(crate) differences: Option<f64>,
    /// Why there is no answer.
    pub(crate) error: Option<String>,
}

impl Cell {
    /// One that is only compared with differences.
    pub(crate) fn of_differences(error: f64) -> Self {
        Cell { differences: Some(error), ..Cell::default() }
    }

    /// One without an answer.
    pub(crate) fn failed(error: &bilevel::Error) -> Self {
        Cell { error: Some(error.to_string()), ..Cell::default() }
    }

    /// Whether a limit is exceeded; NaN exceeds every one.
    fn has_failed(&self) -> bool {
        let within = |error: Option<f64>, limit: f64| error.is_none_or(|error| error <= limit);
        let is_empty = self.exact.is_none() && self.differences.is_none();
        is_empty || self.error.is_some() || !within(self.exact, EXACT_LIMIT) || !within(self.differences, DIFFERENCES_LIMIT)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |error: Option<f64>| error.map_or("-".to_owned(), |error| format!("{error:.0e}"));
        let mark = if self.has_failed() { "!" } else { "" };
        f.pad(&format!("{} {}{mark}", text(self.exact), text(self.differences)))
    }
}

struct Row {
    method: String,
    inner: String,
    /// A cell for each problem so far; none where the row does not exist.
    cells: Vec<Option<Cell>>,
}

/// All cells.
#[derive(Default)]
pub(crate) struct Table {
    problems: Vec<&'static str>,
    rows: Vec<Row>,
}

/// What the last line says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) n_cells: usize,
    pub(crate) n_failed: usize,
    pub(crate) worst_exact: f64,
    pub(crate) worst_differences: f64,
}

impl Table {
    /// Begins the column of a problem.
    pub(crate) fn begin(&mut self, problem: &'static str) {
        self.problems.push(problem);
    }

    /// Enters a cell into the column that was begun last.
    pub(crate) fn row(&mut self, method: &str, inner: &str, cell: impl FnOnce() -> Cell) {
        let at = self.rows.iter().position(|row| row.method == method && row.inner == inner).unwrap_or_else(|| {
            self.rows.push(Row { method: method.to_owned(), inner: inner.to_owned(), cells: Vec::new() });
            self.rows.len() - 1
        });
        let cells = &mut self.rows[at].cells;
        cells.resize(self.problems.len() - 1, None);
        cells.push(Some(cell()));
    }

    /// The worst of all cells.
    pub(crate) fn summary(&self) -> Summary {
        let cells = || self.rows.iter().flat_map(|row| row.cells.iter().flatten());
        let worst = |error: fn(&Cell) -> Option<f64>| cells().filter_map(error).fold(0.0, f64::max);
        Summary {
            n_cells: cells().count(),
            n_failed: cells().filter(|cell| cell.has_failed()).count(),
            worst_exact: worst(|cell| cell.exact),
            worst_differences: worst(|cell| cell.differences),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<26}{:<11}", "method", "inner by")?;
        for problem in &self.problems {
            write!(f, "{problem:>13}")?;
        }
        for Row { method, inner, cells } in &self.rows {
            write!(f, "\n{method:<26}{inner:<11}")?;
            for cell in cells {
                match cell {
                    Some(cell) => write!(f, "{cell:>13}")?,
                    None => write!(f, "{:>13}", "")?,
                }
            }
        }
        for Row { method, inner, cells } in &self.rows {
            for (cell, problem) in cells.iter().zip(&self.problems) {
                if let Some(error) = cell.as_ref().and_then(|cell| cell.error.as_ref()) {
                    write!(f, "\n{method}, {inner}, {problem}: {error}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { n_cells, n_failed, worst_exact, worst_differences } = self;
        write!(
            f,
            "matrix: {n_cells} cells, {n_failed} failed, worst exact {worst_exact:.1e}, worst against differences {worst_differences:.1e}"
        )
    }
}
