//! Fashion-MNIST, read from a folder with its four files.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use bilevel::ndarray::{Array1, Array2};

/// Pixels of an image.
pub(crate) const N_PIXELS: usize = 28 * 28;

/// 60,000 images for training and 10,000 for tests, of 28x28 pixels, in ten classes.
pub(crate) struct FashionMnist {
    pub(crate) train: Images,
    pub(crate) test: Images,
}

/// Images, and what they show.
pub(crate) struct Images {
    /// one image after the other
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl FashionMnist {
    /// Reads the four files in `folder`.
    pub(crate) fn load(folder: &Path) -> Result<Self, String> {
        Ok(FashionMnist { train: Images::load(folder, "train")?, test: Images::load(folder, "t10k")? })
    }
}

impl Images {
    fn load(folder: &Path, part: &str) -> Result<Self, String> {
        let (pixels, shape) = read_idx(folder, &format!("{part}-images-idx3-ubyte.gz"), 3)?;
        let (labels, n_labels) = read_idx(folder, &format!("{part}-labels-idx1-ubyte.gz"), 1)?;
        if shape[1..] != [28, 28] || shape[..1] != n_labels[..] || labels.iter().any(|&label| label > 9) {
            return Err(format!(
                "the files of `{part}` in `{}` do not fit together: images {shape:?}, labels {n_labels:?}",
                folder.display()
            ));
        }
        Ok(Images { pixels, labels })
    }

    /// The number of images.
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// The images at these positions, one a row with pixels in 0..1, and their labels.
    pub(crate) fn rows(&self, positions: &[usize]) -> (Array2<f32>, Array1<usize>) {
        let pixels = positions.iter().flat_map(|&i| &self.pixels[i * N_PIXELS..(i + 1) * N_PIXELS]);
        let x = Array1::from_iter(pixels.map(|&p| f32::from(p) / 255.0));
        let y = positions.iter().map(|&i| usize::from(self.labels[i])).collect();
        (x.into_shape_with_order((positions.len(), N_PIXELS)).expect("as many pixels as each image has"), y)
    }
}

/// Reads a file of the IDX format: bytes, and the lengths of their axes.
fn read_idx(folder: &Path, name: &str, n_axes: u8) -> Result<(Vec<u8>, Vec<usize>), String> {
    let path = folder.join(name);
    let file = File::open(&path).map_err(|error| {
        format!(
            "cannot open `{}` ({error}): `--data` names a folder with the four `.gz` files of Fashion-MNIST, as in `data/fashion` of \
             https://github.com/zalandoresearch/fashion-mnist",
            path.display()
        )
    })?;
    let damaged = |what: &str| format!("`{}` is not as Fashion-MNIST has it: {what}", path.display());
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(BufReader::new(file)).read_to_end(&mut bytes).map_err(|error| damaged(&error.to_string()))?;
    let n_axes_usize = usize::from(n_axes);
    let (head, data) = bytes.split_at_checked(4 * (1 + n_axes_usize)).ok_or_else(|| damaged("it is too short"))?;
    let word = |k: usize| u32::from_be_bytes([head[4 * k], head[4 * k + 1], head[4 * k + 2], head[4 * k + 3]]);
    if word(0) != u32::from_be_bytes([0, 0, 8, n_axes]) {
        return Err(damaged("its first four bytes are others"));
    }
    let shape: Vec<usize> = (1..=n_axes_usize).map(|k| word(k) as usize).collect();
    if shape.iter().product::<usize>() != data.len() {
        return Err(damaged(&format!("{} bytes for the shape {shape:?}", data.len())));
    }
    Ok((data.to_vec(), shape))
}
