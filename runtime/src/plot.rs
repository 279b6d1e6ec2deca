//! The trace of an outer minimisation as a drawing.

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::trace::TraceEntry;
use crate::{Error, Float};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error + Send + Sync>>;

const SIZE: (u32, u32) = (900, 640);
const FONT: &str = "sans-serif";

/// Positive numbers over more than this factor stand on a logarithmic axis.
const LOGARITHMIC: f64 = 10.0;

/// The steps and the numbers of one line.
struct Line {
    name: &'static str,
    color: RGBColor,
    points: Vec<(usize, f64)>,
}

impl Line {
    /// The finite ones of the numbers.
    fn new(name: &'static str, color: RGBColor, first_step: usize, numbers: impl Iterator<Item = Option<f64>>) -> Self {
        let points = numbers.enumerate().filter_map(|(k, number)| Some((first_step + k, number.filter(|x| x.is_finite())?))).collect();
        Line { name, color, points }
    }
}

/// Outer loss and held-out loss above, the norm of the hypergradient below.
pub(crate) fn svg<T: Float>(first_step: usize, trace: &[TraceEntry<T>]) -> Result<String, Error> {
    let line = |name, color, number: fn(&TraceEntry<T>) -> Option<f64>| Line::new(name, color, first_step, trace.iter().map(number));
    let losses = [line("outer loss", BLUE, |entry| Some(entry.value.to_f64())), line("held-out loss", RED, |entry| entry.held_out)];
    let norms = [line("norm of the hypergradient", BLUE, |entry| Some(entry.gradient_norm.to_f64()))];
    let steps = first_step..first_step + trace.len().max(2) - 1;
    let mut svg = String::new();
    draw(&mut svg, &steps, &losses, &norms).map_err(|error| Error::Drawing { reason: error.to_string() })?;
    Ok(svg)
}

fn draw(svg: &mut String, steps: &std::ops::Range<usize>, losses: &[Line], norms: &[Line]) -> Drawn {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (above, below) = root.split_vertically(SIZE.1 / 2);
    chart(&above, "loss", steps, losses)?;
    chart(&below, "norm of the hypergradient", steps, norms)?;
    root.present()?;
    Ok(())
}

fn chart(area: &Area<'_>, title: &str, steps: &std::ops::Range<usize>, lines: &[Line]) -> Drawn {
    let numbers = || lines.iter().flat_map(|line| &line.points).map(|&(_, number)| number);
    let (low, high) = numbers().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    let is_logarithmic = low > 0.0 && high > LOGARITHMIC * low;
    let height = |x: f64| if is_logarithmic { x.log10() } else { x };
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(title, (FONT, 18))
        .x_label_area_size(36)
        .y_label_area_size(80)
        .build_cartesian_2d(steps.clone(), heights(height(low), height(high)))?;
    let label = |y: &f64| if is_logarithmic { format!("{:.1e}", 10_f64.powf(*y)) } else { format!("{y:.3e}") };
    chart.configure_mesh().x_desc("outer step").y_label_formatter(&label).draw()?;
    let shown: Vec<&Line> = lines.iter().filter(|line| !line.points.is_empty()).collect();
    for Line { name, color, points } in shown.iter().copied() {
        let points = points.iter().map(|&(step, number)| (step, height(number)));
        let color = *color;
        let series = match points.len() {
            // A line of one point would not be seen.
            1 => chart.draw_series(points.map(|point| Circle::new(point, 3, color.filled())))?,
            _ => chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?,
        };
        series.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    if shown.len() > 1 {
        chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).label_font((FONT, 13)).draw()?;
    }
    Ok(())
}

/// The range of an axis on which both numbers stand, with some room.
fn heights(low: f64, high: f64) -> std::ops::Range<f64> {
    if low > high {
        // There is nothing to be drawn.
        return 0.0..1.0;
    }
    // Half of each, so that the difference of the largest numbers is finite.
    let room = 0.1 * (0.5 * high - 0.5 * low);
    let room = if room > 0.0 { room } else { 0.5 * low.abs().max(f64::MIN_POSITIVE / f64::EPSILON) };
    (low - room).max(f64::MIN / 4.0)..(high + room).min(f64::MAX / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Report;
    use crate::solve::{InnerOutcome, InnerStop};

    fn trace(numbers: &[(f64, f64, Option<f64>)]) -> Vec<TraceEntry<f64>> {
        let inner = InnerOutcome { stop: InnerStop::Converged, value: 0.0, gradient_norm: 0.0, n_iterations: 0, n_evaluations: 0 };
        let entry = |&(value, gradient_norm, held_out)| TraceEntry {
            value,
            gradient_norm,
            held_out,
            seconds: 0.0,
            report: Report::new(inner.clone(), 0, 0),
        };
        numbers.iter().map(entry).collect()
    }

    #[test]
    fn a_line_goes_down_where_the_loss_does() {
        let svg = svg(0, &trace(&[(1.0, 1.0, None), (0.5, 1.0, None), (0.4, 1.0, None)])).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        // The first thick line; in SVG the second coordinate grows downwards.
        let line = svg.lines().find(|line| line.contains("stroke-width=\"2\"")).unwrap();
        let points = line.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let heights: Vec<i32> = points.split_whitespace().map(|point| point.split(',').nth(1).unwrap().parse().unwrap()).collect();
        assert!(heights.len() == 3 && heights.is_sorted() && heights[0] < heights[2], "{heights:?}");
        assert!(!svg.contains("held-out"), "{svg}");
    }

    #[test]
    fn held_out_losses_have_a_line_and_a_name_of_their_own() {
        let lines = |held_out| {
            let svg = svg(7, &trace(&[(1.0, 1.0, held_out), (0.01, 0.1, held_out)])).unwrap();
            (svg.matches("<polyline").count(), svg.contains("held-out loss"))
        };
        let ((without, _), (with, named)) = (lines(None), lines(Some(0.3)));
        assert!(with > without && named);
    }

    #[test]
    fn whatever_the_numbers_are_there_is_a_drawing() {
        let (nan, infinite, most) = (f64::NAN, f64::INFINITY, f64::MAX);
        for numbers in [
            &[][..],
            &[(1.0, 2.0, None)],
            &[(0.0, 0.0, Some(0.0)), (0.0, 0.0, Some(0.0))],
            &[(nan, infinite, Some(nan)), (-infinite, nan, None)],
            &[(nan, 1.0, None), (1.0, nan, None), (2.0, 1e-300, None)],
            &[(-most, most, None), (most, 5e-324, None)],
            &[(5e-324, 1.0, None), (1e-323, 1.0, None)],
            &[(-3.0, 1e300, Some(2.0)), (-3.0, 1e300, Some(2.0))],
        ] {
            let svg = svg(3, &trace(numbers)).unwrap();
            assert!(svg.starts_with("<svg") && !svg.contains("NaN") && !svg.contains("inf"), "{numbers:?}\n{svg}");
        }
    }
}
