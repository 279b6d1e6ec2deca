//! The picture of a run: the outer curves, and the weights that examples with right and with wrong labels have got.

use std::path::Path;

use plotters::prelude::*;

use crate::cleaning::{Cleaned, Data, weights};
use crate::common::plot::{self, Area, COLORS, Curve, Result};

/// Bars over the weights from 0 to 1.
const N_BARS: usize = 25;

/// Draws the validation losses of all methods, and the weights that the first of them has learned.
pub(crate) fn draw(path: &Path, results: &[(String, Cleaned)], data: &Data) -> Result<()> {
    plot::save(path, (1000, 760), |root| {
        let (above, below) = root.split_vertically(420);
        let curves: Vec<Curve> = results.iter().map(|(name, cleaned)| Curve::new(name, cleaned.losses.iter().copied())).collect();
        plot::curves(&above, "validation loss", "outer step", &curves)?;
        results.first().map_or(Ok(()), |(name, cleaned)| histogram(&below, name, cleaned, data))
    })
}

/// How many examples have got which weight, those whose labels are right beside those whose labels were changed.
fn histogram(area: &Area<'_>, name: &str, cleaned: &Cleaned, data: &Data) -> Result<()> {
    let mut counts = [[0usize; N_BARS]; 2];
    for (&weight, &changed) in weights(&cleaned.trust).iter().zip(&data.changed) {
        counts[usize::from(changed)][((weight * N_BARS as f64) as usize).min(N_BARS - 1)] += 1;
    }
    let highest = counts.iter().flatten().copied().max().unwrap_or(0).max(1);
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .caption(format!("weights learned by {name}"), ("sans-serif", 20))
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..1.0, 0..highest)?;
    chart.configure_mesh().x_desc("weight").y_desc("examples").draw()?;
    for (k, (counts, label)) in counts.iter().zip(["label right", "label changed"]).enumerate() {
        let color = COLORS[k];
        let bar = |i: usize| (i as f64 + 0.5 * k as f64) / N_BARS as f64;
        let bars =
            counts.iter().enumerate().map(|(i, &n)| Rectangle::new([(bar(i), 0), (bar(i) + 0.5 / N_BARS as f64, n)], color.filled()));
        chart.draw_series(bars)?.label(label).legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], color.filled()));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
    Ok(())
}
