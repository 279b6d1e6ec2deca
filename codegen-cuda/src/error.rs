//! Why a function has no kernel.

use std::fmt;

/// What the emitter cannot express, with the statement or value in question by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EmitError {
    /// The operation is not a literal, an element-wise operation, or the repetition of a scalar.
    Operation {
        /// The operation's name in the textual form of the IR.
        operation: &'static str,
        /// The value that it defines.
        value: String,
    },
    /// A value has neither the shape of the others nor is it a scalar.
    Shape {
        /// The value.
        value: String,
        /// Its type.
        found: String,
        /// The shape of the values before it.
        expected: String,
    },
    /// A result is a scalar, while other values are arrays: the threads of a kernel have no single place to write it.
    ScalarResult {
        /// The value.
        value: String,
    },
    /// The function has no results.
    NoResults,
    /// The function is generic over its float type.
    Generic,
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EmitError::Operation { operation, value } => write!(
                f,
                "`{operation}`, which defines `{value}`, cannot be part of a fused kernel: only literals, element-wise operations and repeated scalars can"
            ),
            EmitError::Shape { value, found, expected } => {
                write!(f, "`{value}` is {found}, but a fused kernel works on one shape, here {expected}, and on scalars")
            }
            EmitError::ScalarResult { value } => {
                write!(f, "`{value}` is a scalar result beside arrays; return it from a function of its own")
            }
            EmitError::NoResults => f.write_str("a function without results has nothing to compute"),
            EmitError::Generic => f.write_str("a kernel is for one float type; give the function one by `Func::at_width`"),
        }
    }
}

impl std::error::Error for EmitError {}
