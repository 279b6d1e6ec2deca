//! Random numbers that a seed fixes, the same on every machine.

use crate::Float;

/// The generator SplitMix64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SplitMix {
    state: u64,
}

impl SplitMix {
    pub(crate) fn new(seed: u64) -> Self {
        SplitMix { state: seed }
    }

    /// A stream of its own for each pair of a seed and a number.
    pub(crate) fn stream(seed: u64, number: u64) -> Self {
        let mut own = SplitMix::new(SplitMix::new(seed).bits() ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        own.bits();
        own
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Plus or minus one.
    pub(crate) fn sign(&mut self) -> f64 {
        if self.bits() >> 63 == 0 { 1.0 } else { -1.0 }
    }

    /// In `0..limit`, for a limit far below 2⁶⁴.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.bits()) * limit as u128) >> 64) as usize
    }

    /// In the open interval from zero to one.
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Normally distributed, by the method of Box and Muller.
    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Fills a vector with random signs.
    pub(crate) fn signs<T: Float>(&mut self, out: &mut [T]) {
        for x in out {
            *x = T::from_f64(self.sign());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_balanced_and_depend_on_the_seed() {
        let draw = |seed| {
            let mut random = SplitMix::new(seed);
            (0..1000).map(|_| random.sign()).collect::<Vec<f64>>()
        };
        assert!(draw(1).iter().sum::<f64>().abs() < 150.0);
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let mut random = SplitMix::new(3);
        let numbers: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = numbers.iter().sum::<f64>() / 20_000.0;
        let variance = numbers.iter().map(|x| x * x).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        assert!((0..1000).all(|_| random.below(7) < 7));
    }
}
