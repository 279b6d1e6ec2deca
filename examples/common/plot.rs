//! Pictures: curves and images, in SVG files.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Colours of curves, in their order.
pub(crate) const COLORS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 84, 16),
    RGBColor(44, 140, 60),
    RGBColor(130, 80, 170),
    RGBColor(150, 100, 20),
    RGBColor(90, 90, 90),
];

/// Draws to a file, which appears when it is complete.
pub(crate) fn save(path: &Path, size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<()> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        draw(&root)?;
        root.present()?;
    }
    let failed = |e: std::io::Error| format!("cannot draw to `{}`: {e}", path.display());
    let unfinished = path.with_extension("svg.unfinished");
    std::fs::write(&unfinished, svg).map_err(failed)?;
    std::fs::rename(&unfinished, path).map_err(failed)?;
    println!("picture: {}", path.display());
    Ok(())
}

/// One value for each step, with a name.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) values: Vec<f64>,
}

impl Curve {
    pub(crate) fn new(name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        Curve { name: name.into(), values: values.into_iter().collect() }
    }
}

/// Positive values against the step, on a logarithmic axis. Several curves get a legend.
pub(crate) fn curves(area: &Area<'_>, caption: &str, x_name: &str, curves: &[Curve]) -> Result<()> {
    let values = || curves.iter().flat_map(|curve| &curve.values).copied();
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let n = curves.iter().map(|curve| curve.values.len()).max().unwrap_or(0).max(2);
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .caption(caption, ("sans-serif", 20))
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0..n - 1, (low * 0.8..high * 1.25).log_scale())?;
    chart.configure_mesh().x_desc(x_name).y_label_formatter(&|y| format!("{y:.3}")).draw()?;
    for (curve, color) in curves.iter().zip(COLORS.iter().cycle()) {
        let line = LineSeries::new(curve.values.iter().copied().enumerate(), color.stroke_width(2));
        let key = move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2));
        chart.draw_series(line)?.label(&curve.name).legend(key);
    }
    if curves.len() > 1 {
        chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.3)).draw()?;
    }
    Ok(())
}

/// A square image in an area: each pixel from black at 0 to white at 1.
pub(crate) fn image(area: &Area<'_>, side: usize, pixels: impl IntoIterator<Item = f64>) -> Result<()> {
    let (width, height) = area.dim_in_pixel();
    let size = (width.min(height) as usize / side) as i32;
    for (k, value) in pixels.into_iter().enumerate() {
        let (x, y) = ((k % side) as i32 * size, (k / side) as i32 * size);
        let shade = (value.clamp(0.0, 1.0) * 255.0) as u8;
        area.draw(&Rectangle::new([(x, y), (x + size, y + size)], RGBColor(shade, shade, shade).filled()))?;
    }
    Ok(())
}
