//! What the examples share: data, arguments, progress, pictures.

#![allow(dead_code)] // No example needs all of it.

pub(crate) mod arguments;
pub(crate) mod digits;
pub(crate) mod fashion;
pub(crate) mod outer;
pub(crate) mod plot;
pub(crate) mod random;
