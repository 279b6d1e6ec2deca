//! Omniglot, and the tasks that are drawn from it.

use std::path::Path;

use bilevel::ndarray::{Array1, Array2};
use serde::Deserialize;

use crate::common::random::Random;

/// Width and height of an image.
pub(crate) const SIDE: usize = 28;
/// Pixels of an image.
pub(crate) const PIXELS: usize = SIDE * SIDE;
/// Images of a character, each by another person.
const DRAWERS: usize = 20;
/// Bytes of an image, one bit a pixel.
const BYTES: usize = PIXELS / 8;

/// Omniglot (Lake, Salakhutdinov and Tenenbaum, 2015) at 28 × 28 pixels of one bit: 1623 handwritten characters of 50 alphabets, 20 images of each.
pub(crate) struct Omniglot {
    /// Character after character, each with its images one after the other, the first pixel in the highest bit.
    bits: Vec<u8>,
    alphabets: Vec<Alphabet>,
}

#[derive(Deserialize)]
struct Names {
    alphabets: Vec<Alphabet>,
}

#[derive(Deserialize)]
struct Alphabet {
    name: String,
    split: Split,
    first_class: usize,
    num_classes: usize,
}

/// The authors' division of the alphabets.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Split {
    Background,
    Evaluation,
}

/// Which characters are learned from and which are held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum HeldOut {
    /// The 20 evaluation alphabets, 659 characters: none of their alphabets is seen in training
    Alphabets,
    /// 423 characters drawn from all alphabets, as in the papers on MAML and its successors
    Characters,
}

/// Characters in some orientations, each of which is a class.
pub(crate) struct Classes {
    characters: Vec<usize>,
    /// Quarter turns: 1 for upright characters only, 4 for all.
    n_turns: usize,
}

impl Classes {
    pub(crate) fn len(&self) -> usize {
        self.characters.len() * self.n_turns
    }
}

impl Omniglot {
    /// Reads `omniglot28.bin` and `omniglot28.json`.
    pub(crate) fn read(folder: &Path) -> Result<Self, String> {
        let file = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|error| {
                format!(
                    "cannot read `{}`: {error}; Omniglot is not part of the repository, see examples/few_shot/README.md",
                    path.display()
                )
            })
        };
        let (bits, names) = (file("omniglot28.bin")?, file("omniglot28.json")?);
        let Names { alphabets } = serde_json::from_slice(&names).map_err(|error| format!("`omniglot28.json` is damaged: {error}"))?;
        let n_characters: usize = alphabets.iter().map(|alphabet| alphabet.num_classes).sum();
        let expected = n_characters * DRAWERS * BYTES;
        if bits.len() != expected {
            return Err(format!("`omniglot28.bin` has {} bytes, not the {expected} of {n_characters} characters", bits.len()));
        }
        if let Some(wrong) = alphabets.iter().find(|alphabet| alphabet.first_class + alphabet.num_classes > n_characters) {
            return Err(format!("`omniglot28.json`: the alphabet {} has characters that do not exist", wrong.name));
        }
        Ok(Omniglot { bits, alphabets })
    }

    /// The classes to learn from, in all four orientations if `turned`, and those that are held out, upright.
    pub(crate) fn classes(&self, held_out: HeldOut, turned: bool, random: &mut Random) -> [Classes; 2] {
        let of = |split| {
            let alphabets = self.alphabets.iter().filter(move |alphabet| alphabet.split == split);
            alphabets.flat_map(|alphabet| alphabet.first_class..alphabet.first_class + alphabet.num_classes)
        };
        let (known, new): (Vec<usize>, Vec<usize>) = match held_out {
            HeldOut::Alphabets => (of(Split::Background).collect(), of(Split::Evaluation).collect()),
            HeldOut::Characters => {
                let n = of(Split::Background).chain(of(Split::Evaluation)).count();
                let mut all = random.choose(n, n);
                let new = all.split_off(n.min(1200));
                (all, new)
            }
        };
        [Classes { characters: known, n_turns: if turned { 4 } else { 1 } }, Classes { characters: new, n_turns: 1 }]
    }

    /// The pixels of an image after some quarter turns, 1 for ink.
    fn pixels(&self, character: usize, drawer: usize, turns: usize) -> impl Iterator<Item = f32> + '_ {
        let image = &self.bits[(character * DRAWERS + drawer) * BYTES..][..BYTES];
        let last = SIDE - 1;
        (0..PIXELS).map(move |p| {
            let (row, column) = (p / SIDE, p % SIDE);
            let (row, column) = match turns % 4 {
                0 => (row, column),
                1 => (column, last - row),
                2 => (last - row, last - column),
                _ => (last - column, row),
            };
            let p = row * SIDE + column;
            f32::from(image[p / 8] >> (7 - p % 8) & 1)
        })
    }
}

/// Images, one a row, and the class of each within its task.
pub(crate) struct Examples {
    pub(crate) images: Array2<f32>,
    pub(crate) labels: Array1<usize>,
}

/// A task: some classes, a few examples of each to learn from and others to be asked about.
pub(crate) struct Episode {
    pub(crate) support: Examples,
    pub(crate) query: Examples,
}

/// How many classes a task has, and how many examples of each are in its support and in its query set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) ways: usize,
    pub(crate) shots: usize,
    pub(crate) queries: usize,
}

impl Sizes {
    /// Whether such tasks can be drawn from classes.
    pub(crate) fn check(self, classes: &Classes) -> Result<(), String> {
        let Sizes { ways, shots, queries } = self;
        if shots + queries > DRAWERS {
            return Err(format!("{shots} shots and {queries} queries are more than the {DRAWERS} images of a character"));
        }
        if ways > classes.len() {
            return Err(format!("a task of {ways} classes cannot be drawn from {}", classes.len()));
        }
        Ok(())
    }

    /// A task: classes in random order, which is the order of their labels, and images of each in random order, first those of the support set.
    pub(crate) fn draw(self, omniglot: &Omniglot, classes: &Classes, random: &mut Random) -> Episode {
        let Sizes { ways, shots, queries } = self;
        let chosen = random.choose(ways, classes.len());
        let drawers: Vec<Vec<usize>> = chosen.iter().map(|_| random.choose(shots + queries, DRAWERS)).collect();
        let examples = |which: std::ops::Range<usize>| {
            let n = ways * which.len();
            let mut pixels = Vec::with_capacity(n * PIXELS);
            let mut labels = Vec::with_capacity(n);
            for (label, (&class, drawers)) in chosen.iter().zip(&drawers).enumerate() {
                for &drawer in &drawers[which.clone()] {
                    pixels.extend(omniglot.pixels(classes.characters[class / classes.n_turns], drawer, class % classes.n_turns));
                    labels.push(label);
                }
            }
            let images = Array2::from_shape_vec((n, PIXELS), pixels).expect("as many pixels as images have");
            Examples { images, labels: labels.into() }
        };
        Episode { support: examples(0..shots), query: examples(shots..shots + queries) }
    }

    /// Several tasks.
    pub(crate) fn draw_many(self, n: usize, omniglot: &Omniglot, classes: &Classes, mut random: Random) -> Vec<Episode> {
        (0..n).map(|_| self.draw(omniglot, classes, &mut random)).collect()
    }
}
