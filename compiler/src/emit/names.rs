//! Unique and readable identifiers.

use std::collections::HashSet;

use proc_macro2::{Ident, Span};

use crate::ir::{Elementwise, Func, Index, Linalg, Op, Reduce, Relation, Shape, ValueId};

/// The identifiers of one function of generated code.
///
/// Locals have the macro's hygiene, so that they meet neither the user's variables nor each other's; uniqueness by a number is for readers.
#[derive(Clone, Debug, Default)]
pub struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// Starts with identifiers that are not to be given out.
    pub fn reserving(names: &[&str]) -> Self {
        Names { taken: names.iter().map(|&n| n.to_owned()).collect() }
    }

    /// An identifier that is or resembles `wanted` and was not given out before.
    pub fn unique(&mut self, wanted: &str) -> Ident {
        let wanted = identifier(wanted);
        let mut name = wanted.clone();
        let mut n = 1;
        while !self.taken.insert(name.clone()) {
            n += 1;
            name = format!("{wanted}_{n}");
        }
        Ident::new(&name, Span::mixed_site())
    }
}

/// The nearest Rust identifier that is no keyword.
pub fn identifier(text: &str) -> String {
    let mut name: String = text.strip_prefix("r#").unwrap_or(text).chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_numeric()) {
        name.insert(0, '_');
    }
    let plain = name != "_" && syn::parse_str::<Ident>(&name).is_ok();
    if plain { name } else { name + "_" }
}

/// What a value without a name of the user's is called: after the operation that gives it.
pub fn describe(op: &Op) -> &'static str {
    match op {
        Op::Const(..) => "constant",
        Op::Elementwise(op) => describe_elementwise(*op),
        Op::Reduce(Reduce::Sum { .. }) => "total",
        Op::Reduce(Reduce::Max { .. }) => "largest",
        Op::Reduce(Reduce::Min { .. }) => "smallest",
        Op::Reduce(Reduce::LogSumExp { .. }) => "log_sum_exp",
        Op::Reduce(Reduce::Prod { .. }) => "product",
        Op::Reduce(Reduce::ArgMax { .. } | Reduce::ArgMin { .. }) => "position",
        Op::Einsum(_) => "product",
        Op::Shape(Shape::Broadcast { .. }) => "repeated",
        Op::Shape(Shape::Permute { .. }) => "transposed",
        Op::Shape(Shape::Reshape { .. }) => "reshaped",
        Op::Shape(Shape::Concat { .. }) => "joined",
        Op::Shape(Shape::Unfold { .. }) => "windows",
        Op::Shape(Shape::Fold { .. }) => "folded",
        Op::Shape(Shape::Iota { .. }) => "positions",
        Op::Shape(Shape::DimSize { .. } | Shape::BindDim { .. }) => "length",
        Op::Index(Index::Read(_)) => "element",
        Op::Index(Index::Add(_) | Index::Write(_) | Index::ScatterAdd { .. }) => "updated",
        Op::Index(Index::Gather { .. }) => "gathered",
        Op::Index(Index::TakeAlong { .. }) => "taken",
        Op::Index(Index::PutAlong { .. }) => "put",
        Op::Linalg(op) => describe_linalg(*op, 0),
        Op::Call(_) => "given",
        Op::Control(_) => "carried",
    }
}

/// [`describe`] for one of the results of an operation that may have several.
pub fn describe_linalg(op: Linalg, result: usize) -> &'static str {
    match (op, result) {
        (Linalg::Lu, 0) => "factors",
        (Linalg::Lu, _) => "pivots",
        (Linalg::LuSolve { .. } | Linalg::SolveTriangular(_), _) => "solution",
        (Linalg::LogDet, _) => "log_det",
        (Linalg::Cholesky, _) => "cholesky",
        (Linalg::Eigh, 0) => "eigenvalues",
        (Linalg::Eigh, _) => "eigenvectors",
    }
}

fn describe_elementwise(op: Elementwise) -> &'static str {
    use Elementwise as E;
    match op {
        E::Neg => "negative",
        E::Exp => "exp",
        E::ExpM1 => "exp_m1",
        E::Ln => "ln",
        E::Ln1p => "ln_1p",
        E::Sqrt => "root",
        E::Sin => "sin",
        E::Cos => "cos",
        E::Tan => "tan",
        E::Asin => "asin",
        E::Acos => "acos",
        E::Atan | E::Atan2 => "angle",
        E::Sinh => "sinh",
        E::Cosh => "cosh",
        E::Tanh => "tanh",
        E::Sigmoid => "sigmoid",
        E::Softplus => "softplus",
        E::Erf => "erf",
        E::Abs => "magnitude",
        E::Sign => "sign",
        E::Relu => "relu",
        E::Floor => "floor",
        E::StopGradient => "held",
        E::Powi(-1) => "reciprocal",
        E::Powi(_) | E::Powf => "power",
        E::Add => "sum",
        E::Sub => "difference",
        E::Mul => "scaled",
        E::Div => "quotient",
        E::Rem => "remainder",
        E::Max => "larger",
        E::Min => "smaller",
        E::Lt | E::Le | E::Eq | E::Ne | E::And | E::Or | E::Not => "condition",
        E::Select => "chosen",
        E::Cast(_) => "converted",
    }
}

/// The line of documentation for a value: what the user wrote, or what the value is to what the user wrote.
pub fn explain(func: &Func, value: ValueId) -> Option<String> {
    func.note(value).explain().map(|what| format!(" {what}"))
}

/// The user's expression that a value comes from, and the suffixes for a name of the value that say how: `_dot` for a tangent, `_bar` for an
/// adjoint, in the order in which the derivatives were taken. None for parts of an expression, which cannot be called after the whole.
pub fn source_of(func: &Func, value: ValueId) -> Option<(String, String)> {
    let note = func.note(value);
    let source = note.source.as_ref()?.to_string();
    let marks = note.relations.iter().rev().map(|relation| match relation {
        Relation::Tangent => Some("_dot"),
        Relation::Adjoint => Some("_bar"),
        Relation::DerivativePart => Some("_part"),
        Relation::Part => None,
    });
    Some((source, marks.collect::<Option<String>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_no_keywords() {
        let mut names = Names::reserving(&["buffers"]);
        assert_eq!(names.unique("w_bar").to_string(), "w_bar");
        assert_eq!(names.unique("w_bar").to_string(), "w_bar_2");
        assert_eq!(names.unique("w_bar").to_string(), "w_bar_3");
        assert_eq!(names.unique("w_bar_2").to_string(), "w_bar_2_2");
        assert_eq!(names.unique("buffers").to_string(), "buffers_2");
        assert_eq!(names.unique("type").to_string(), "type_");
        assert_eq!(names.unique("self").to_string(), "self_");
        assert_eq!(names.unique("2nd").to_string(), "_2nd");
        assert_eq!(names.unique("r#match").to_string(), "match_");
        assert_eq!(names.unique("_").to_string(), "__");
    }
}
