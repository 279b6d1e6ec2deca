//! From tokens to what they say: signatures, attributes, and the roles of a problem.

pub mod attributes;
pub mod problem;
pub mod signature;
mod source;

pub use signature::{Form, Lowered, Param, Signature};
pub use source::source_text;
