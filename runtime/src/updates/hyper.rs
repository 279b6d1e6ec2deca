//! The hyperparameters of an update: constants, or parts of the outer variable.

use super::dual::Number;
use crate::Error;
use crate::methods::Sizes;

/// A hyperparameter of an update: a constant, or a leaf of the outer variable, which is then differentiated.
///
/// A constant is written as it is: `Momentum::new(0.1, 0.9)`. A leaf is named as in the problem:
/// `Momentum::new(Hyper::outer("log_rate").exp(), 0.9)`. It is one number for all steps and weights, unless [`per_step`](Self::per_step), [`per_window`](Self::per_window),
/// [`per_leaf`](Self::per_leaf) or [`per_weight`](Self::per_weight) says otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Hyper {
    source: Source,
    per: Per,
    map: Map,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    Constant(f64),
    Outer(&'static str),
}

/// What has an element of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Per {
    All,
    Step,
    Window(usize),
    Leaf,
    Weight,
}

/// From the element to the hyperparameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Map {
    Identity,
    Exp,
    Sigmoid,
}

impl From<f64> for Hyper {
    fn from(value: f64) -> Self {
        Hyper { source: Source::Constant(value), per: Per::All, map: Map::Identity }
    }
}

impl Hyper {
    /// The leaf `name` of the outer variable.
    pub fn outer(name: &'static str) -> Self {
        Hyper { source: Source::Outer(name), per: Per::All, map: Map::Identity }
    }

    /// The leaf has one element for each step.
    pub fn per_step(self) -> Self {
        Hyper { per: Per::Step, ..self }
    }

    /// The leaf has one element for each window of so many consecutive steps; the last window may be shorter. Its hypergradient is the sum of those that the
    /// steps of the window would have had by themselves.
    pub fn per_window(self, n_steps: usize) -> Self {
        Hyper { per: Per::Window(n_steps), ..self }
    }

    /// The leaf has one element for each leaf of the inner variable: each array of a network's weights.
    pub fn per_leaf(self) -> Self {
        Hyper { per: Per::Leaf, ..self }
    }

    /// The leaf has one element for each element of the inner variable, in its order.
    pub fn per_weight(self) -> Self {
        Hyper { per: Per::Weight, ..self }
    }

    /// The hyperparameter is `eˣ` of the element `x`, and so positive.
    pub fn exp(self) -> Self {
        Hyper { map: Map::Exp, ..self }
    }

    /// The hyperparameter is `1 / (1 + e⁻ˣ)` of the element `x`, and so between 0 and 1.
    pub fn sigmoid(self) -> Self {
        Hyper { map: Map::Sigmoid, ..self }
    }

    /// The number, if it is a constant.
    #[must_use]
    pub fn constant(self) -> Option<f64> {
        match self.source {
            Source::Constant(value) => Some(value),
            Source::Outer(_) => None,
        }
    }
}

/// A hyperparameter with its name and what it must be.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The builder function that sets it, for example `Adam::beta1`.
    pub name: &'static str,
    /// Its value.
    pub hyper: Hyper,
    /// Which constants make sense.
    pub range: Range,
}

/// Which constants make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// Above 0.
    Positive,
    /// At least 0.
    NotNegative,
    /// At least 0 and below 1.
    Fraction,
}

impl Setting {
    /// Checks a constant.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Some(value) = self.hyper.constant() else { return Ok(()) };
        let (holds, requirement) = match self.range {
            Range::Positive => (value > 0.0 && value.is_finite(), "finite and positive"),
            Range::NotNegative => (value >= 0.0 && value.is_finite(), "finite and not negative"),
            Range::Fraction => ((0.0..1.0).contains(&value), "at least 0 and below 1"),
        };
        if holds { Ok(()) } else { Err(Error::InvalidSetting { setting: self.name, value, requirement }) }
    }

    /// Finds its elements in the outer variable.
    pub(crate) fn bind(&self, sizes: &Sizes<'_>, n_steps: usize) -> Result<Bound, Error> {
        self.check()?;
        let Hyper { source, per, map } = self.hyper;
        let name = match source {
            Source::Constant(value) => return Ok(Bound::Constant(value)),
            Source::Outer(name) => name,
        };
        let Some(leaf) = sizes.outer_names.iter().position(|&n| n == name).filter(|&k| k < sizes.outer.len()) else {
            return Err(Error::UnknownHyperparameter { setting: self.name, name, known: sizes.outer_names });
        };
        let expected = match per {
            Per::All => 1,
            Per::Step => n_steps,
            Per::Window(0) => {
                return Err(Error::InvalidSetting { setting: "Hyper::per_window", value: 0.0, requirement: "at least 1" });
            }
            Per::Window(window) => n_steps.div_ceil(window),
            Per::Leaf => sizes.inner.len(),
            Per::Weight => sizes.n_inner(),
        };
        let found = sizes.outer[leaf];
        if found != expected {
            let what = match per {
                Per::All => "one for all: `per_step`, `per_window`, `per_leaf` and `per_weight` say otherwise",
                Per::Step => "one for each step",
                Per::Window(_) => "one for each window of steps",
                Per::Leaf => "one for each leaf of the inner variable",
                Per::Weight => "one for each element of the inner variable",
            };
            return Err(Error::HyperparameterLength { setting: self.name, name, found, expected, what });
        }
        Ok(Bound::Outer { offset: sizes.outer[..leaf].iter().sum(), per, map })
    }
}

/// A hyperparameter with its place in the outer variable.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    Constant(f64),
    Outer { offset: usize, per: Per, map: Map },
}

impl Bound {
    /// Where its element for a coordinate stands in the outer variable. `at` is the coordinate in the whole inner variable.
    #[inline]
    pub(crate) fn position(&self, step: usize, leaf: usize, at: usize) -> Option<usize> {
        match *self {
            Bound::Constant(_) => None,
            Bound::Outer { offset, per, .. } => Some(
                offset
                    + match per {
                        Per::All => 0,
                        Per::Step => step,
                        Per::Window(window) => step / window,
                        Per::Leaf => leaf,
                        Per::Weight => at,
                    },
            ),
        }
    }

    /// Whether an element of the outer variable is its element for some coordinate.
    pub(crate) fn reads(&self, step: usize, position: usize, leaves: &[usize]) -> bool {
        match *self {
            Bound::Constant(_) => false,
            Bound::Outer { offset, per, .. } => match per {
                Per::All => position == offset,
                Per::Step => position == offset + step,
                Per::Window(window) => position == offset + step / window,
                Per::Leaf => (offset..offset + leaves.len()).contains(&position),
                Per::Weight => (offset..offset + leaves.iter().sum::<usize>()).contains(&position),
            },
        }
    }

    /// Whether it is the same for all coordinates of a leaf.
    pub(crate) fn is_uniform(&self) -> bool {
        !matches!(self, Bound::Outer { per: Per::Weight, .. })
    }

    /// The hyperparameter from its element; a constant from anything.
    #[inline(always)]
    pub(super) fn value<N: Number>(&self, element: N) -> N {
        match *self {
            Bound::Constant(value) => N::constant(value),
            Bound::Outer { map, .. } => match map {
                Map::Identity => element,
                Map::Exp => element.exponential(),
                Map::Sigmoid => N::constant(1.0) / (N::constant(1.0) + (N::constant(0.0) - element).exponential()),
            },
        }
    }
}
