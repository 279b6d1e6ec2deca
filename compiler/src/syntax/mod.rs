//! From tokens to what they say: signatures, attributes, and the roles of a problem.

pub mod attributes;
pub mod bounds;
pub mod carrier;
pub mod derivative;
pub mod items;
pub mod problem;
pub mod question;
pub mod requests;
pub mod shapes;
pub mod signature;
mod source;
pub mod witness;

pub use items::{Items, Place};
pub use problem::ProblemIr;
pub use signature::{Assumed, Differentiable, Form, Lowered, Origin, Param, Signature};
pub use source::source_text;
