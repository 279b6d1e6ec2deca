//! Seeded random numbers.

use crate::ir::eval::{Data, Tensor};
use crate::ir::{Dim, DimId, Elem, Type};

/// A stream of numbers that its seed determines (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    ///
    /// # Panics
    /// If `n` is zero.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// Whether an event of probability `1 / n` happens.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of the items.
    ///
    /// # Panics
    /// If there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A number between two others.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number from one of the intervals.
    ///
    /// # Panics
    /// If there are none.
    pub fn from(&mut self, intervals: &[(f64, f64)]) -> f64 {
        let &(low, high) = self.pick(intervals);
        self.between(low, high)
    }

    /// Floats between -1.5 and 1.5, rounded to the element type; other elements small and not negative.
    pub fn tensor(&mut self, elem: Elem, shape: &[usize]) -> Tensor {
        let n = shape.iter().product();
        let data = match elem {
            // Of a type parameter in the wide type, for a function that is run there.
            Elem::F64 | Elem::Generic(_) => Data::F64((0..n).map(|_| self.between(-1.5, 1.5)).collect()),
            Elem::F32 => Data::F32((0..n).map(|_| self.between(-1.5, 1.5) as f32).collect()),
            Elem::Usize | Elem::I64 => Data::Int(elem, (0..n).map(|_| self.below(3) as i64).collect()),
            Elem::Bool => Data::Bool((0..n).map(|_| self.one_in(2)).collect()),
        };
        Tensor::new(shape, data)
    }

    /// A tensor of a type, for given lengths of the symbolic dimensions.
    pub fn tensor_of(&mut self, ty: &Type, lens: &[usize]) -> Tensor {
        let len = |d: &Dim| match *d {
            Dim::Const(n) => n as usize,
            Dim::Sym(DimId(k)) => lens[k as usize],
        };
        let shape: Vec<usize> = ty.dims.iter().map(len).collect();
        self.tensor(ty.elem, &shape)
    }
}
