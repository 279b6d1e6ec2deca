//! The place of each operation in the generator of random programs.

use crate::ir::{Control, Elementwise, Index, Op, Reduce, Shape};

/// What random programs draw beside the operations of [`Elementwise::PLAIN`], which are places by their own names. A test asserts that every place is
/// filled.
pub const PLACES: &[&str] = &[
    "const",
    "powi",
    "cast",
    "reduce_sum",
    "reduce_max",
    "reduce_min",
    "log_sum_exp",
    "einsum",
    "broadcast",
    "permute",
    "reshape",
    "concat",
    "unfold",
    "fold",
    "iota",
    "dim_size",
    "bind_dim",
    "read",
    "add_to",
    "write",
    "gather",
    "scatter_add",
    "take_along",
    "put_along",
    "for",
    "if",
    "while",
    "check",
];

/// The place of an operation. One that is added needs a place here to compile, and something in `testing::program` that draws it to fill the place.
pub fn place(op: &Op) -> &'static str {
    match op {
        Op::Const(..) => "const",
        Op::Elementwise(Elementwise::Powi(_)) => "powi",
        Op::Elementwise(Elementwise::Cast(_)) => "cast",
        Op::Elementwise(op) => op.name(),
        Op::Reduce(Reduce::Sum { .. }) => "reduce_sum",
        Op::Reduce(Reduce::Max { .. }) => "reduce_max",
        Op::Reduce(Reduce::Min { .. }) => "reduce_min",
        Op::Reduce(Reduce::LogSumExp { .. }) => "log_sum_exp",
        Op::Einsum(_) => "einsum",
        Op::Shape(Shape::Broadcast { .. }) => "broadcast",
        Op::Shape(Shape::Permute { .. }) => "permute",
        Op::Shape(Shape::Reshape { .. }) => "reshape",
        Op::Shape(Shape::Concat { .. }) => "concat",
        Op::Shape(Shape::Unfold { .. }) => "unfold",
        Op::Shape(Shape::Fold { .. }) => "fold",
        Op::Shape(Shape::Iota { .. }) => "iota",
        Op::Shape(Shape::DimSize { .. }) => "dim_size",
        Op::Shape(Shape::BindDim { .. }) => "bind_dim",
        Op::Index(Index::Read(_)) => "read",
        Op::Index(Index::Add(_)) => "add_to",
        Op::Index(Index::Write(_)) => "write",
        Op::Index(Index::Gather { .. }) => "gather",
        Op::Index(Index::ScatterAdd { .. }) => "scatter_add",
        Op::Index(Index::TakeAlong { .. }) => "take_along",
        Op::Index(Index::PutAlong { .. }) => "put_along",
        Op::Control(Control::For { .. }) => "for",
        Op::Control(Control::If) => "if",
        Op::Control(Control::While) => "while",
        Op::Control(Control::Check { .. }) => "check",
    }
}
