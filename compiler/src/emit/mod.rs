//! IR to Rust.
//!
//! Decisions for the CPU are taken here and nowhere before: which values get memory ([`plan`]), which operations share a loop ([`fuse`]), which
//! kernel computes a product ([`einsum`]), how loops keep what they carry ([`control`]). [`companion`] and [`problem`] put functions together into
//! the items that the macros give back. Generated code names nothing but the runtime's `rt`.

mod access;
mod call;
mod companion;
mod configured;
mod control;
mod curvature;
mod einsum;
pub mod emitter;
mod expr;
mod forms;
mod fuse;
mod in_place;
mod index;
mod kernels;
mod layout;
mod linalg;
pub mod names;
mod params;
mod plan;
mod positions;
mod problem;
mod requests;
mod rust;
mod sampling;
mod several;
mod steps;

pub use call::adaptor;
pub use companion::{companion, derivative};
pub use params::params;
pub use problem::problem;
pub use sampling::misplaced;
