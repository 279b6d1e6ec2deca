//! Values that the reference evaluator and compiled Rust both understand.

use bilevel_compiler::ir::eval::Tensor;
use ndarray::{Array, ArrayRef, Dimension};

/// A value that can be an argument of both.
pub(crate) trait Argument {
    /// Its leaves.
    fn tensors(&self) -> Vec<Tensor>;
}

/// A value that both can give back.
pub(crate) trait Outcome {
    /// Its elements, leaf after leaf.
    fn numbers(&self) -> Vec<f64>;
}

impl<T: Argument + ?Sized> Argument for &T {
    fn tensors(&self) -> Vec<Tensor> {
        (**self).tensors()
    }
}

macro_rules! scalars {
    ($($ty:ident)*) => { $(
        impl Argument for $ty {
            fn tensors(&self) -> Vec<Tensor> { vec![Tensor::$ty(*self)] }
        }
    )* };
}
scalars!(f64 f32 usize i64 bool);

macro_rules! arrays {
    ($($elem:ident $make:ident)*) => { $(
        impl<D: Dimension> Argument for ArrayRef<$elem, D> {
            fn tensors(&self) -> Vec<Tensor> { vec![Tensor::$make(self.shape(), self.iter().copied().collect())] }
        }
    )* };
}
arrays!(f64 f64s f32 f32s usize usizes);

impl<T, D: Dimension> Argument for Array<T, D>
where
    ArrayRef<T, D>: Argument,
{
    fn tensors(&self) -> Vec<Tensor> {
        (**self).tensors()
    }
}

impl<T, D: Dimension> Argument for ndarray::ArrayView<'_, T, D>
where
    ArrayRef<T, D>: Argument,
{
    fn tensors(&self) -> Vec<Tensor> {
        (**self).tensors()
    }
}

impl Outcome for f64 {
    fn numbers(&self) -> Vec<f64> {
        vec![*self]
    }
}

impl Outcome for f32 {
    fn numbers(&self) -> Vec<f64> {
        vec![f64::from(*self)]
    }
}

impl<T: Copy + Into<f64>, D: Dimension> Outcome for Array<T, D> {
    fn numbers(&self) -> Vec<f64> {
        self.iter().map(|&v| v.into()).collect()
    }
}

macro_rules! tuples {
    ($($A:ident $k:tt),*) => {
        impl<$($A: Argument),*> Argument for ($($A,)*) {
            fn tensors(&self) -> Vec<Tensor> {
                [$(self.$k.tensors()),*].concat()
            }
        }

        impl<$($A: Outcome),*> Outcome for ($($A,)*) {
            fn numbers(&self) -> Vec<f64> {
                [$(self.$k.numbers()),*].concat()
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);

/// A few numbers of both signs.
pub(crate) fn vector(n: usize) -> Array<f64, ndarray::Ix1> {
    Array::from_iter((0..n).map(|i| 0.3 * i as f64 - 0.7 + 0.05 * (i * i) as f64))
}

/// A matrix of numbers of both signs.
pub(crate) fn matrix(n: usize, m: usize) -> Array<f64, ndarray::Ix2> {
    Array::from_shape_fn((n, m), |(i, j)| 0.4 * i as f64 - 0.3 * j as f64 + 0.1 * (i * j) as f64 - 0.2)
}
