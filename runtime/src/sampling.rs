//! Minibatches: which rows of the data each step of an inner run sees.
//!
//! The rows of a step follow from the seed and the number of the step alone, so that a step can be made again at any time, in any order, with the same
//! rows: on the way back, in forward mode, and from every checkpoint. Nothing is recorded.

use crate::Error;
use crate::random::SplitMix;

/// Batches of rows of the data that the inner loss samples, `#[inner(minimize = w, sample(x, y))]`, for an [`Unrolled`](crate::methods::Unrolled) run.
///
/// The steps draw one after the other from the rows in a random order, which is another one in each epoch: of every `n` draws from `n` rows, each row is
/// drawn once. Where the size of the batch does not divide `n`, a batch has rows of the end of one epoch and of the beginning of the next.
///
/// Every run draws the same batches, so that its result is a function of `λ` that can be minimised and compared with differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Batches {
    size: usize,
    seed: u64,
    with_replacement: bool,
}

impl Batches {
    /// Batches of so many rows.
    pub fn of(n_rows: usize) -> Self {
        Batches { size: n_rows, seed: 0, with_replacement: false }
    }

    /// The seed of the order. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Draws each row independently of all others, so that one may be drawn again before others.
    pub fn with_replacement(mut self) -> Self {
        self.with_replacement = true;
        self
    }

    /// The rows that step `step` sees, of `n` rows in all.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] where there is no such batch.
    pub fn rows(&self, step: usize, n: usize) -> Result<Vec<usize>, Error> {
        self.check(n)?;
        let mut rows = Vec::new();
        self.draw(step, n, &mut rows);
        Ok(rows)
    }

    /// Fails where a batch is empty, or larger than the data.
    pub(crate) fn check(&self, n: usize) -> Result<(), Error> {
        if (1..=n).contains(&self.size) {
            return Ok(());
        }
        let requirement = "at least 1 and at most the number of rows";
        Err(Error::InvalidSetting { setting: "Batches::of", value: self.size as f64, requirement })
    }

    /// The rows of a step, in the place of those in `rows`.
    pub(crate) fn draw(&self, step: usize, n: usize, rows: &mut Vec<usize>) {
        rows.clear();
        if self.with_replacement {
            let mut random = SplitMix::stream(self.seed, step as u64);
            rows.extend((0..self.size).map(|_| random.below(n)));
            return;
        }
        let mut order: Option<(u128, Order)> = None;
        for k in 0..self.size {
            let draw = step as u128 * self.size as u128 + k as u128;
            let (epoch, at) = (draw / n as u128, (draw % n as u128) as usize);
            let known = order.take().filter(|(of, _)| *of == epoch);
            let (_, order) = order.insert(known.unwrap_or_else(|| (epoch, Order::new(self.seed, epoch as u64, n))));
            rows.push(order.at(at));
        }
    }
}

/// A random order of `0..n` that is computed position by position: a Feistel network with random rounds on the numbers of twice `half_bits` bits, which
/// permutes them, applied until the result is below `n` (Black and Rogaway, *Ciphers with arbitrary finite domains*, 2002).
struct Order {
    n: usize,
    half_bits: u32,
    keys: [u64; Order::N_ROUNDS],
}

impl Order {
    const N_ROUNDS: usize = 10;

    fn new(seed: u64, epoch: u64, n: usize) -> Self {
        let mut random = SplitMix::stream(seed, epoch);
        let bits = usize::BITS - n.saturating_sub(1).leading_zeros();
        // Halves of one bit would reach few orders.
        Order { n, half_bits: bits.div_ceil(2).max(2), keys: std::array::from_fn(|_| random.bits()) }
    }

    /// The number at a position below `n`.
    fn at(&self, position: usize) -> usize {
        let mask = (1_u64 << self.half_bits) - 1;
        let mut x = position as u64;
        loop {
            let (mut left, mut right) = (x >> self.half_bits, x & mask);
            for &key in &self.keys {
                let mixed = SplitMix::new(key ^ right).bits() >> 32;
                (left, right) = (right, left ^ (mixed & mask));
            }
            x = (left << self.half_bits) | right;
            if x < self.n as u64 {
                return x as usize;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All draws of the first steps.
    fn draws(batches: Batches, n_steps: usize, n: usize) -> Vec<usize> {
        (0..n_steps).flat_map(|step| batches.rows(step, n).unwrap()).collect()
    }

    #[test]
    fn every_row_is_drawn_once_in_an_epoch() {
        for (n, size) in [(1_usize, 1), (2, 1), (7, 3), (12, 4), (100, 32), (1000, 7), (4096, 4096)] {
            for seed in 0..3 {
                let draws = draws(Batches::of(size).seed(seed), 3 * n.div_ceil(size), n);
                for epoch in draws.chunks_exact(n) {
                    let mut sorted = epoch.to_vec();
                    sorted.sort_unstable();
                    assert_eq!(sorted, (0..n).collect::<Vec<_>>(), "batches of {size} of {n} rows");
                }
            }
        }
    }

    #[test]
    fn the_rows_of_a_step_follow_from_the_seed_and_its_number() {
        for batches in [Batches::of(8).seed(7), Batches::of(8).seed(7).with_replacement()] {
            let forwards: Vec<Vec<usize>> = (0..50).map(|step| batches.rows(step, 100).unwrap()).collect();
            for step in (0..50).rev() {
                assert_eq!(batches.rows(step, 100).unwrap(), forwards[step]);
            }
            assert_ne!(batches.seed(8).rows(3, 100).unwrap(), forwards[3]);
            assert_ne!(forwards[0], forwards[1]);
        }
        let epochs = draws(Batches::of(100), 2, 100);
        assert_ne!(epochs[..100], epochs[100..]);
    }

    #[test]
    fn rows_are_drawn_equally_often_at_every_position() {
        const N_SEEDS: u64 = 4000;
        for (n, with_replacement) in [(3, false), (5, false), (16, false), (37, false), (5, true), (37, true)] {
            for step in [0, 1] {
                let mut counts = vec![vec![0_u32; n]; n];
                for seed in 0..N_SEEDS {
                    let batches = Batches { size: n, seed, with_replacement };
                    for (position, row) in batches.rows(step, n).unwrap().into_iter().enumerate() {
                        counts[position][row] += 1;
                    }
                }
                let expected = N_SEEDS as f64 / n as f64;
                for counts in &counts {
                    let chi_squared: f64 = counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
                    // Six standard deviations above its mean of n - 1.
                    let mean = n as f64 - 1.0;
                    assert!(chi_squared < mean + 6.0 * (2.0 * mean).sqrt(), "{n} rows, {with_replacement}: {counts:?}");
                }
            }
        }
    }

    #[test]
    fn pairs_of_rows_follow_each_other_equally_often() {
        const N_SEEDS: u64 = 12_000;
        let n = 5;
        let mut counts = vec![0_u32; n * n];
        for seed in 0..N_SEEDS {
            let rows = Batches::of(2).seed(seed).rows(0, n).unwrap();
            counts[rows[0] * n + rows[1]] += 1;
        }
        let expected = N_SEEDS as f64 / (n * (n - 1)) as f64;
        for (pair, &count) in counts.iter().enumerate() {
            let (first, second) = (pair / n, pair % n);
            let possible = if first == second { 0.0 } else { expected };
            assert!((f64::from(count) - possible).abs() < 5.0 * expected.sqrt(), "{first} and then {second}: {count}");
        }
    }

    #[test]
    fn empty_batches_and_those_larger_than_the_data_are_refused() {
        for (size, n) in [(0, 10), (11, 10), (1, 0)] {
            assert!(matches!(Batches::of(size).rows(0, n), Err(Error::InvalidSetting { setting: "Batches::of", .. })));
        }
    }
}
