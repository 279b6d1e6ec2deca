//! Values as Rust text, and what every generated file starts with.

use bilevel_compiler::ir::eval::{Data, Tensor};

/// A tensor as an argument: numbers by value, arrays by reference.
pub(crate) fn argument(t: &Tensor) -> String {
    if t.shape.is_empty() { owned(t) } else { format!("&{}", owned(t)) }
}

/// A tensor as an owned value.
pub(crate) fn owned(t: &Tensor) -> String {
    let elements: Vec<String> = match &t.data {
        Data::F64(x) => x.iter().map(|x| format!("{x:?}_f64")).collect(),
        Data::F32(x) => x.iter().map(|x| format!("{x:?}_f32")).collect(),
        Data::Int(elem, x) => x.iter().map(|x| format!("{x}_{elem}")).collect(),
        Data::Bool(x) => x.iter().map(|x| x.to_string()).collect(),
    };
    match &t.shape[..] {
        [] => elements[0].clone(),
        [n] => format!("array::<_, 1>([{n}], vec![{}])", elements.join(", ")),
        shape => format!("array::<_, {}>({shape:?}, vec![{}])", shape.len(), elements.join(", ")),
    }
}

/// What every generated file starts with.
pub(crate) const PRELUDE: &str = "\
//! Random programs and functions with their derivatives; see the test that writes this.
#![allow(warnings)]

use bilevel::ndarray::{Array, Dim, Dimension, IntoDimension};

fn array<T, const R: usize>(shape: [usize; R], elements: Vec<T>) -> Array<T, Dim<[usize; R]>>
where
    [usize; R]: IntoDimension<Dim = Dim<[usize; R]>>,
    Dim<[usize; R]>: Dimension,
{
    Array::from_shape_vec(shape, elements).unwrap()
}

trait Numbers {
    fn numbers(&self) -> Vec<f64>;
}

macro_rules! numbers {
    ($($T:ident)*) => { $( impl Numbers for $T { fn numbers(&self) -> Vec<f64> { vec![*self as f64] } } )* };
}
numbers!(f64 f32 usize i64);

impl Numbers for bool {
    fn numbers(&self) -> Vec<f64> {
        vec![f64::from(*self)]
    }
}

impl<T: Numbers, D: Dimension> Numbers for Array<T, D> {
    fn numbers(&self) -> Vec<f64> {
        self.iter().flat_map(T::numbers).collect()
    }
}

macro_rules! tuples {
    ($($A:ident $k:tt),*) => {
        impl<$($A: Numbers),*> Numbers for ($($A,)*) {
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
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);

fn check(what: &str, found: &impl Numbers, expected: &[f64], tolerance: f64) {
    let found = found.numbers();
    assert_eq!(found.len(), expected.len(), \"{what}\");
    let largest = expected.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
    let fine = found.iter().zip(expected).all(|(f, e)| (f - e).abs() <= tolerance * largest);
    assert!(fine, \"{what}: found {found:?}, expected {expected:?}\");
}
";
