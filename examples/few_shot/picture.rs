//! The picture of a run: accuracy on held-out tasks, and query loss in training, against the number of tasks seen.

use std::ops::Range;
use std::path::Path;

use plotters::prelude::*;

use crate::common::plot::{self, Area, COLORS, Result};
use crate::training::Report;

/// Draws the reports to an SVG file.
pub(crate) fn draw(path: &Path, reports: &[Report]) -> Result<()> {
    plot::save(path, (900, 640), |root| {
        let (above, below) = root.split_vertically(320);
        let accuracies: Vec<(usize, f64)> = reports.iter().map(|r| (r.tasks, 100.0 * r.accuracy.mean)).collect();
        curve(&above, "accuracy on held-out tasks, %", &accuracies, 0.0..100.0)?;
        let losses: Vec<(usize, f64)> = reports.iter().filter(|r| r.loss.is_finite()).map(|r| (r.tasks, r.loss)).collect();
        let highest = losses.iter().map(|&(_, loss)| loss).fold(0.1, f64::max);
        curve(&below, "query loss in training", &losses, 0.0..1.05 * highest)
    })
}

fn curve(area: &Area<'_>, caption: &str, points: &[(usize, f64)], range: Range<f64>) -> Result<()> {
    let last = points.last().map_or(1, |&(tasks, _)| tasks.max(1));
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .caption(caption, ("sans-serif", 18))
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0..last, range)?;
    chart.configure_mesh().x_desc("tasks").draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), COLORS[0].stroke_width(2)))?;
    Ok(())
}
