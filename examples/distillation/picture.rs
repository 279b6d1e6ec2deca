//! The picture of a run: the outer curves, and the images.

use std::path::Path;

use bilevel::ndarray::Array2;

use crate::common::plot::{self, Area, Curve, Result};

/// Draws the loss on real images of every outer step, and below it the ten images before and after.
pub(crate) fn draw(path: &Path, [one, many]: [&Vec<f64>; 2], [before, after]: [&Array2<f64>; 2]) -> Result<()> {
    plot::save(path, (1000, 760), |root| {
        let (above, below) = root.split_vertically(440);
        let curves = [Curve::new("from one start", one.clone()), Curve::new("from a fresh start in each step", many.clone())];
        plot::curves(&above, "loss on real images after training on the ten images", "outer step", &curves)?;
        let (upper, lower) = below.split_vertically(150);
        row(&upper, "ten real images", before)?;
        row(&lower, "what was learned from them, from a fresh start in each step", after)
    })
}

/// Ten images side by side, each on a scale of its own from its darkest to its lightest pixel.
fn row(area: &Area<'_>, title: &str, images: &Array2<f64>) -> Result<()> {
    let area = area.titled(title, ("sans-serif", 16))?;
    for (tile, image) in area.split_evenly((1, 10)).iter().zip(images.rows()) {
        let low = image.iter().copied().fold(f64::INFINITY, f64::min);
        let high = image.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let scaled = image.iter().map(|p| (p - low) / (high - low).max(f64::MIN_POSITIVE));
        plot::image(&tile.margin(4, 4, 6, 6), 8, scaled)?;
    }
    Ok(())
}
