//! From tokens to what they say: signatures, attributes, and the roles of a problem.

pub mod attributes;
pub mod bounds;
pub mod carrier;
pub mod configuration;
pub mod derivative;
pub mod form;
pub mod generics;
pub mod helpers;
pub mod items;
pub mod params;
pub mod problem;
pub mod question;
pub mod requests;
pub mod rule;
pub mod shapes;
pub mod signature;
mod source;
pub mod step;
pub mod structs;
pub mod witness;
pub mod wrt;

pub use form::{Form, StructForm};
pub use items::{Items, Place};
pub use problem::ProblemIr;
pub use signature::{Assumed, Differentiable, Lowered, Origin, Param, Signature};
pub use source::source_text;
pub use structs::TypeNames;
