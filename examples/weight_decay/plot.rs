//! The picture of a run: the outer curve, and the learned penalties as ten images.

use std::path::Path;

use bilevel::ndarray::Array2;

use crate::common::plot::{self, Area, Curve, Result};

/// Draws the validation loss of every outer step, and below it each class' 64 log-penalties as an 8x8 image, to an SVG file.
pub(crate) fn draw(path: &Path, losses: Vec<f64>, log_l2: &Array2<f64>) -> Result<()> {
    plot::save(path, (1000, 540), |root| {
        let (above, below) = root.split_vertically(390);
        plot::curves(&above, "validation loss", "outer step", &[Curve::new("validation loss", losses)])?;
        penalties(&below, log_l2)
    })
}

/// One image per class, dark where the weight is left free, light where it is held near zero.
fn penalties(area: &Area<'_>, log_l2: &Array2<f64>) -> Result<()> {
    let low = log_l2.iter().copied().fold(f64::INFINITY, f64::min);
    let high = log_l2.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let title = format!("learned log-penalty of every weight, by class: {low:.1} (dark, free) to {high:.1} (light, held at zero)");
    let area = area.titled(&title, ("sans-serif", 18))?;
    for (class, tile) in area.split_evenly((1, 10)).iter().enumerate() {
        let tile = tile.margin(6, 6, 6, 6).titled(&class.to_string(), ("sans-serif", 16))?;
        let shades =
            log_l2.column(class).to_vec().into_iter().map(|value| 0.08 + 0.92 * (value - low) / (high - low).max(f64::MIN_POSITIVE));
        plot::image(&tile, 8, shades)?;
    }
    Ok(())
}
