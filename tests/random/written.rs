//! Values as Rust text.

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
