//! What data are, in one number, so that a file can say which data a run belongs to.

/// A hash of the data of a problem, made array by array: other numbers, other names or other lengths give another one. It is the same on every machine.
///
/// It tells apart what has changed by accident, not what was made to collide.
#[derive(Debug, Clone)]
pub struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Fingerprint(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    /// Adds an array, or several numbers.
    pub fn numbers<T: Bits>(&mut self, name: &str, numbers: &[T]) {
        for byte in name.bytes() {
            self.word(u64::from(byte));
        }
        self.word(numbers.len() as u64);
        for number in numbers {
            self.word(number.bits());
        }
    }

    /// Every step is a bijection of the hash for every word, so that one changed word always shows. A word at a time: data of a gigabyte take half a second.
    fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// The hash as text.
    #[must_use]
    pub fn text(&self) -> String {
        // The last bits of the last words have not spread yet.
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        format!("{:016x}", mixed ^ (mixed >> 32))
    }
}

/// A number of the data as 64 bits.
pub trait Bits {
    /// The bits, which differ where the numbers do.
    fn bits(&self) -> u64;
}

macro_rules! bits {
    ($($T:ty: $bits:expr),* $(,)?) => { $(
        impl Bits for $T {
            fn bits(&self) -> u64 {
                let bits: fn($T) -> u64 = $bits;
                bits(*self)
            }
        }
    )* };
}
bits!(f64: f64::to_bits, f32: |x| u64::from(x.to_bits()), usize: |x| x as u64, i64: |x| x as u64, bool: u64::from);

#[cfg(test)]
mod tests {
    use super::*;

    fn text(arrays: &[(&str, &[f64])]) -> String {
        let mut fingerprint = Fingerprint::default();
        for (name, numbers) in arrays {
            fingerprint.numbers(name, numbers);
        }
        fingerprint.text()
    }

    #[test]
    fn every_change_shows() {
        let all = [
            text(&[("x", &[1.0, 2.0]), ("y", &[3.0])]),
            text(&[("x", &[1.0, 2.0]), ("y", &[3.0_f64.next_up()])]),
            text(&[("x", &[2.0, 1.0]), ("y", &[3.0])]),
            text(&[("x", &[1.0, -2.0]), ("y", &[3.0])]),
            text(&[("x", &[1.0]), ("y", &[2.0, 3.0])]),
            text(&[("x", &[1.0, 2.0]), ("z", &[3.0])]),
            text(&[("x", &[1.0, 2.0])]),
            text(&[]),
        ];
        for (k, one) in all.iter().enumerate() {
            assert!(!all[..k].contains(one), "{k}");
        }
        assert_eq!(all[0], text(&[("x", &[1.0, 2.0]), ("y", &[3.0])]));
    }
}
