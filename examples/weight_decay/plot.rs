//! The picture of a run: the outer curve, and the learned penalties as ten images.

use std::path::Path;

use bilevel::ndarray::Array2;
use plotters::coord::Shift;
use plotters::prelude::*;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Draws the validation loss of every outer step, and below it each class' 64 log-penalties as an 8x8 image, to an SVG file. The file appears when it is
/// complete.
pub(crate) fn draw(path: &Path, losses: &[f64], log_l2: &Array2<f64>) -> Result<()> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (1000, 540)).into_drawing_area();
        root.fill(&WHITE)?;
        let (above, below) = root.split_vertically(390);
        curve(&above, losses)?;
        penalties(&below, log_l2)?;
        root.present()?;
    }
    let unfinished = path.with_extension("svg.unfinished");
    std::fs::write(&unfinished, svg)?;
    std::fs::rename(&unfinished, path)?;
    Ok(())
}

/// Validation loss on a logarithmic axis against the outer step.
fn curve(area: &DrawingArea<SVGBackend, Shift>, losses: &[f64]) -> Result<()> {
    let low = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let high = losses.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .caption("validation loss", ("sans-serif", 20))
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0..losses.len().max(2) - 1, (low * 0.8..high * 1.25).log_scale())?;
    chart.configure_mesh().x_desc("outer step").y_label_formatter(&|y| format!("{y:.3}")).draw()?;
    chart.draw_series(LineSeries::new(losses.iter().copied().enumerate(), BLUE.stroke_width(2)))?;
    Ok(())
}

/// One image per class, dark where the weight is left free, light where it is held near zero.
fn penalties(area: &DrawingArea<SVGBackend, Shift>, log_l2: &Array2<f64>) -> Result<()> {
    let low = log_l2.iter().copied().fold(f64::INFINITY, f64::min);
    let high = log_l2.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let title = format!("learned log-penalty of every weight, by class: {low:.1} (dark, free) to {high:.1} (light, held at zero)");
    let area = area.titled(&title, ("sans-serif", 18))?;
    for (class, tile) in area.split_evenly((1, 10)).iter().enumerate() {
        let tile = tile.margin(6, 6, 6, 6).titled(&class.to_string(), ("sans-serif", 16))?;
        let (width, height) = tile.dim_in_pixel();
        let side = (width.min(height) / 8) as i32;
        for (pixel, &value) in log_l2.column(class).iter().enumerate() {
            let (row, column) = (pixel as i32 / 8, pixel as i32 % 8);
            let shade = ((value - low) / (high - low).max(f64::MIN_POSITIVE) * 235.0) as u8 + 20;
            let corner = (column * side, row * side);
            tile.draw(&Rectangle::new([corner, (corner.0 + side, corner.1 + side)], RGBColor(shade, shade, shade).filled()))?;
        }
    }
    Ok(())
}
