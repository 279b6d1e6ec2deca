//! The picture of a run: the outer curve, and the rates that were learned.

use std::path::Path;

use crate::common::plot::{self, Curve, Result};
use crate::schedule::Schedule;

/// Draws the validation loss of every outer step, and below it the rates of all steps of training.
pub(crate) fn draw(path: &Path, losses: Vec<f64>, before: &Schedule, after: &Schedule) -> Result<()> {
    plot::save(path, (1000, 800), |root| {
        let (above, below) = root.split_vertically(400);
        plot::curves(&above, "validation loss", "outer step", &[Curve::new("validation loss", losses)])?;
        let rates = |schedule: &Schedule| schedule.1.mapv(f64::exp).to_vec();
        plot::curves(
            &below,
            "learning rate",
            "step of training",
            &[Curve::new("constant", rates(before)), Curve::new("learned", rates(after))],
        )
    })
}
