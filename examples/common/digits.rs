//! The digits data that the examples share, embedded in the executable.

use std::io::Read;

use bilevel::argmax_axis;
use bilevel::ndarray::{Array1, Array2, Axis};

/// 1797 images of 8x8 pixels, scaled to 0..1, and their labels 0..9. See `examples/data/README.md` for the source.
pub(crate) struct Digits {
    /// one image a row, 64 columns
    pub(crate) images: Array2<f64>,
    /// the digit that each image shows
    pub(crate) labels: Array1<usize>,
}

impl Digits {
    /// Unpacks the embedded file.
    pub(crate) fn load() -> Result<Self, String> {
        let packed = include_bytes!("../data/digits.csv.gz");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).map_err(|e| format!("the embedded digits are damaged: {e}"))?;
        let mut pixels = Vec::new();
        let mut labels = Vec::new();
        for (n, line) in text.lines().enumerate().skip(1) {
            let mut fields = line.split(',').map(|field| field.trim().parse::<u8>());
            let mut next = || fields.next().and_then(Result::ok).ok_or_else(|| format!("row {n} of the embedded digits is damaged"));
            for _ in 0..64 {
                pixels.push(f64::from(next()?) / 16.0);
            }
            labels.push(usize::from(next()?));
        }
        let images = Array2::from_shape_vec((labels.len(), 64), pixels).map_err(|e| e.to_string())?;
        Ok(Digits { images, labels: labels.into() })
    }

    /// Rows `range` as arrays of their own.
    pub(crate) fn rows(&self, range: std::ops::Range<usize>) -> (Array2<f64>, Array1<usize>) {
        use bilevel::ndarray::s;
        (self.images.slice(s![range.clone(), ..]).to_owned(), self.labels.slice(s![range]).to_owned())
    }
}

/// The share of rows whose largest logit is the label's.
pub(crate) fn accuracy<T: Copy + PartialOrd>(logits: &Array2<T>, labels: &Array1<usize>) -> f64 {
    let right = argmax_axis(logits, Axis(1)).iter().zip(labels).filter(|(found, label)| found == label).count();
    right as f64 / labels.len() as f64
}
