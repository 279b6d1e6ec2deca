//! ANIL: almost no inner loop.

use super::{MetaAlgorithm, Task};
use crate::methods::{Kernels, Sizes, Start, Unrolled};
use crate::solve::GradientDescent;
use crate::updates::Hyper;
use crate::{Error, Float, Params};

/// ANIL: [`Maml`](super::Maml) by gradient descent on some leaves only, the head; the others, the body, stay at their start within a task, and are learned through
/// the query loss.
///
/// Raghu, Raghu, Bengio and Vinyals, *Rapid learning or feature reuse?* (2020).
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Anil<'a> {
    learning_rate: f64,
    head: &'a [&'a str],
    unrolled: Unrolled,
}

const RATES: &[&str] = &["rates"];

fn update() -> GradientDescent {
    GradientDescent::new(Hyper::outer(RATES[0]).per_leaf())
}

impl<'a> Anil<'a> {
    /// One step of length `learning_rate` on the leaves that are named as in messages: `w`, or `net.head` for the field of a struct.
    pub fn new(learning_rate: f64, head: &'a [&'a str]) -> Self {
        Anil { learning_rate, head, unrolled: Unrolled::mixed().steps(1) }
    }

    /// The number of steps. Default: 1.
    pub fn steps(mut self, n_steps: usize) -> Self {
        self.unrolled = self.unrolled.steps(n_steps);
        self
    }

    /// The learning rate of each leaf: zero for those of the body.
    fn rates<P: Task>(&self, n_leaves: usize) -> Result<Vec<P::Float>, Error> {
        let (setting, value) = ("Anil::new", self.learning_rate);
        if !(value.is_finite() && value > 0.0) {
            return Err(Error::InvalidSetting { setting, value, requirement: "finite and positive" });
        }
        if let Some(name) = self.head.iter().find(|name| !P::INNER_NAMES.contains(name)) {
            return Err(Error::UnknownLeaf { setting, name: (*name).to_owned(), known: P::INNER_NAMES });
        }
        let is_head = |leaf: usize| P::INNER_NAMES.get(leaf).is_some_and(|name| self.head.contains(name));
        Ok((0..n_leaves).map(|leaf| P::Float::from_f64(if is_head(leaf) { value } else { 0.0 })).collect())
    }
}

impl<P: Task> MetaAlgorithm<P> for Anil<'_> {
    type Learned = P::Inner;

    fn start<'a>(&self, learned: &'a P::Inner) -> &'a P::Inner {
        learned
    }

    fn task(&self, kernels: &mut Kernels<'_, P>, learned: &P::Inner, gradient: &mut [P::Float]) -> Result<P::Float, Error> {
        let lengths = learned.lengths();
        let rates = self.rates::<P>(lengths.len())?;
        let sizes = Sizes { inner: &lengths, outer: &[rates.len()], outer_names: RATES };
        let (theta, mut rates_bar) = (learned.flat().to_vec(), rates.clone());
        Start::new(&self.unrolled, &update(), kernels, &sizes)?.gradient(kernels, &rates, &theta, gradient, &mut rates_bar)
    }

    fn adapt(&self, kernels: &mut Kernels<'_, P>, learned: &P::Inner, inner: &mut [P::Float]) -> Result<(), Error> {
        let lengths = learned.lengths();
        let rates = self.rates::<P>(lengths.len())?;
        let sizes = Sizes { inner: &lengths, outer: &[rates.len()], outer_names: RATES };
        Start::new(&self.unrolled, &update(), kernels, &sizes)?.run(kernels, &rates, inner)
    }
}
